"""The figures of opinions: what is said of each aspect, and accuracy against K. Take an Axes and return it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fsl.launches.plots import by_shots
from fsl.plots import COLOURS, plain

SIGNS = {"praise": ("blue", ""), "neither": ("grey", ".."), "blame": ("orange", "//")}


def said(table: pd.DataFrame, ax: Axes) -> Axes:
    """Texts per aspect, praise, neither and blame in one bar each; the share of praise with its interval beside it.

    table: `overview.said_of_aspects`'.
    """
    y, left = np.arange(len(table)), np.zeros(len(table))
    for name, (colour, hatch) in SIGNS.items():
        style = {"color": COLOURS[colour], "hatch": hatch, "edgecolor": "white", "lw": 0}
        ax.barh(y, table[name], left=left, height=0.66, label=name, **style)
        left += table[name].to_numpy()
    for at, end, row in zip(y, left, table.itertuples(), strict=True):
        share = f"{row.value:.0%} praise [{row.low:.0%}, {row.high:.0%}]"
        text = share if np.isfinite(row.value) else "too few to say"
        ax.annotate(text, (end, at), (5, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_yticks(y, table.index)
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(0, 1.32 * left.max()), xlabel="texts that name it")
    ax.legend(loc="lower right")
    ax.grid(axis="y", visible=False)
    return ax


def learning(
    summary: pd.DataFrame, ax: Axes, names: Sequence[str], label: str, lines: Mapping[str, float]
) -> Axes:
    """A measure against K for the named methods, with bands; `lines` are dashed levels with a name, such as rulers.

    summary: `results.table`'s, of one metric.
    """
    by_shots(summary, ax, names, label, bands=names)
    for i, (name, level) in enumerate(lines.items()):
        ax.axhline(level, color=COLOURS["black"], lw=1, ls=("--", ":")[i % 2], zorder=0)
        place = {
            "xycoords": ("axes fraction", "data"),
            "va": "bottom",
        }
        ax.annotate(f"{name} {level:.2f}", (0.02, level), **place)
    ax.set(xlabel="K, labelled examples per class", ylim=(0, 1))
    return ax


def ratings(rows: Mapping[str, tuple], ax: Axes) -> Axes:
    """Mean rating of each phone with its 95 % interval, top to bottom. rows: name -> (Interval, how many ratings)."""
    for y, (found, _) in enumerate(rows.values()):
        ax.plot([found.low, found.high], [y, y], color=COLOURS["blue"], lw=3, alpha=0.4)
        ax.plot(found.value, y, "o", color=COLOURS["blue"], ms=5)
    names = [f"{plain(name)} ({n})" for name, (_, n) in rows.items()]
    ax.set_yticks(range(len(rows)), names, fontsize=9)
    ax.set(
        ylim=(len(rows) - 0.4, -0.6),
        xlabel="mean rating, 95 % interval (number of ratings beside the name)",
    )
    ax.grid(axis="y", visible=False)
    return ax
