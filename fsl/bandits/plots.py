"""The figures of bandits: what is earned turn by turn, and how a policy learns. Know records and numbers; no policy."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import t as student

from fsl import compare
from fsl.plots import COLOURS, MARKERS, plain


def by_turn(records: pd.DataFrame, ax: Axes, names: Sequence[str], metric: str, label: str) -> Axes:
    """A cumulative measure after each turn, a line per name, the first two with 95 % bands; absent ones left out."""
    chosen = records["learner"].isin(names) & (records["metric"] == metric)
    table = compare.summarise(records[chosen], metric)
    for i, name in enumerate(names):
        line = table[table["learner"] == name].sort_values("n_shots")
        if line.empty:
            continue
        colour, x = list(COLOURS.values())[i % 7], line["n_shots"]
        ax.plot(
            x,
            line["value"],
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            ms=4,
            lw=1.8,
            label=plain(name),
        )
        if i < 2:
            ax.fill_between(x, line["low"], line["high"], color=colour, alpha=0.15, lw=0)
    ax.set(xlabel="turns", ylabel=label)
    return ax


def panels(
    records: pd.DataFrame, axes: Sequence[Axes], names: Sequence[str], metric: str, label: str
) -> Sequence[Axes]:
    """`by_turn` for each partition, side by side, with one legend below."""
    lines = {}
    for ax, (name, part) in zip(axes, records.groupby("partition", sort=False), strict=True):
        n = part["task"].nunique()
        by_turn(part, ax, names, metric, label if ax is axes[0] else "").set_title(
            f"{plain(name)}, {n}"
        )
        lines |= {line.get_label(): line for line in ax.get_lines()}
    axes[0].figure.legend(
        lines.values(), lines, loc="outside lower center", ncols=min(4, len(lines)), fontsize=10
    )
    return axes


def learning_curve(
    curves: np.ndarray, ax: Axes, levels: Mapping[str, float], n_visitors: int, bins: int = 20
) -> Axes:
    """Mean reward per visit while a policy trains, [n_seeds, n_updates], mean and 95 % t band over seeds, in bins.

    levels: name -> reward of others on test visitors, dashed lines. n_visitors: visitors per update.
    """
    n_seeds, n_updates = curves.shape
    parts = np.array_split(np.arange(n_updates), min(bins, n_updates))
    binned = np.array([curves[:, part].mean(1) for part in parts])
    x = np.array([part.mean() * n_visitors / 1_000 for part in parts])
    mean = binned.mean(1)
    ax.plot(x, mean, color=COLOURS["blue"], marker="o", ms=4, lw=2, label=f"RL², mean of {n_seeds}")
    if n_seeds > 1:
        half = student.ppf(0.975, n_seeds - 1) * binned.std(1, ddof=1) / n_seeds**0.5
        ax.fill_between(
            x,
            mean - half,
            mean + half,
            color=COLOURS["blue"],
            alpha=0.18,
            lw=0,
            label="95 % band over seeds",
        )
    dashes = ("--", ":", "-.", (0, (7, 3)), (0, (1, 4)))
    for i, (name, level) in enumerate(levels.items()):
        colour = list(COLOURS.values())[1 + i % 6]
        ax.axhline(
            level, color=colour, ls=dashes[i % 5], lw=1.6, label=f"{plain(name)}, {level:.2f}"
        )
    ax.set(xlabel="visitors met in training, thousands", ylabel="reward per visit, stars")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax


def drift_curves(curves: Mapping[str, np.ndarray], ax: Axes, change_at: int) -> Axes:
    """Mean regret per turn, [n_turns] each, smoothed over 3 turns on either side of the change alone."""
    for i, (name, curve) in enumerate(curves.items()):
        halves = [
            pd.Series(half).rolling(3, min_periods=1).mean()
            for half in np.split(curve, [change_at])
        ]
        y = np.concatenate(halves)
        ax.plot(np.arange(len(y)), y, color=list(COLOURS.values())[i % 7], marker=MARKERS[i % len(MARKERS)],
                markevery=(i, 8), lw=1.8, label=plain(name))  # fmt: skip
    ax.axvline(change_at, color=COLOURS["black"], lw=1, ls="--")
    ax.set(xlabel="turn (dashed: tastes turn)", ylabel="regret per turn, stars", ylim=(0, None))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax
