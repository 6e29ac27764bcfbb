"""The guide's figures: how good the choice is after so many questions. Functions take records and Axes. No learner."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from fsl.compare import summarise
from fsl.plots import COLOURS, MARKERS

LINES = {"chosen": "blue", "popular": "orange", "random": "grey"}
LABELS = {
    "hit@3": "hit rate of the three shown",
    "regret": "regret of the first, rating points",
}


def by_questions(records: pd.DataFrame, metric: str, ax: Axes) -> Axes:
    """A metric against the number of questions, one line with its 95 % band for each way to choose them.

    records: of one partition, see `fsl.guide.study.guide_study`. Dashed: picking at random from the same candidates.
    """
    table = summarise(records, metric)
    chance = summarise(records, f"{metric} of random picks")
    shots = sorted(table["n_shots"].unique())
    for marker, (name, colour) in zip(MARKERS, LINES.items(), strict=False):
        line = table[table["learner"] == name].sort_values("n_shots")
        x = [shots.index(k) for k in line["n_shots"]]
        ax.plot(
            x, line["value"], color=COLOURS[colour], marker=marker, lw=2, label=f"{name} questions"
        )
        ax.fill_between(x, line["low"], line["high"], color=COLOURS[colour], alpha=0.13, lw=0)
        picks = chance[chance["learner"] == name].sort_values("n_shots")
        ax.plot(
            x, picks["value"], color=COLOURS[colour], ls="--", lw=1.2, label=f"{name}: random picks"
        )
    ax.set_xticks(range(len(shots)), [str(k) for k in shots])
    ax.set(xlabel="questions asked", ylabel=LABELS.get(metric, metric))
    return ax


def panels(
    records: pd.DataFrame, axes: Sequence[Axes], metrics: Sequence[str] = ("hit@3", "regret")
):
    """`by_questions` side by side, one legend below."""
    for metric, ax in zip(metrics, axes, strict=True):
        by_questions(records, metric, ax)
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    return axes
