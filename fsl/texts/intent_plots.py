"""Pictures of few-shot intents. Functions take what they show and an Axes, and return the Axes."""

import pandas as pd
from matplotlib.axes import Axes

from fsl.plots import COLOURS


def scope_histogram(rows: pd.DataFrame, ax: Axes, n_bins: int = 40) -> Axes:
    """How scores lie on both sides of the threshold: `rows` of `out_of_scope.judge_scope`, of one score at one K."""
    kinds = {
        "in scope": ("blue", "", ~rows["outside"]),
        "out of scope": ("orange", "//", rows["outside"]),
    }
    for kind, (colour, hatch, own) in kinds.items():
        style = {"density": True, "alpha": 0.5, "hatch": hatch, "color": COLOURS[colour]}
        ax.hist(rows.loc[own, "score"], n_bins, label=kind, edgecolor="white", **style)
    ax.axvline(0, color=COLOURS["black"], ls="--", label="threshold, from validation")
    ax.set(xlabel="score minus threshold", ylabel="density")
    ax.legend()
    return ax
