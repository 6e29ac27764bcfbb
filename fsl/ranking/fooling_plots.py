"""Figures of how metrics fool: what chance scores, what an order of users does, who leads by which test.

Functions take what they show and an Axes, and return the Axes. Know no learner and no file.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fsl.plots import COLOURS, MARKERS, plain


def chance(rows: Mapping[str, tuple[float, float]], ax: Axes) -> Axes:
    """What a list that knows nothing scores: orange squares in careless tests, blue dots on the whole catalogue.

    rows: the test's name -> (careless, whole catalogue), both from 0 to 1; drawn top to bottom.
    """
    orange, blue = COLOURS["orange"], COLOURS["blue"]
    for y, (careless, whole) in enumerate(rows.values()):
        ax.plot([careless, whole], [y, y], color="#bdbdbd", lw=2, zorder=1)
        ax.plot(careless, y, "s", color=orange, ms=8, label="" if y else "careless test")
        ax.plot(whole, y, "o", color=blue, ms=8, label="" if y else "whole catalogue")
        ends = sorted([(careless, orange), (whole, blue)])
        for (value, colour), (side, shift) in zip(ends, (("right", -9), ("left", 9)), strict=True):
            place = dict(ha=side, va="center", fontsize=9, color=colour, weight="bold")
            ax.annotate(f"{value:.2f}", (value, y), (shift, 0), textcoords="offset points", **place)
    ax.set_yticks(range(len(rows)), [plain(name, 60) for name in rows], fontsize=9)
    ax.set(
        xlim=(-0.17, 1.14),
        ylim=(len(rows) - 0.5, -0.7),
        xlabel="score of a list that knows nothing, 0 to 1",
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=2, fontsize=9)
    ax.grid(axis="y", visible=False)
    return ax


def two_orders(first: np.ndarray, second: np.ndarray, ax: Axes, unit: str) -> Axes:
    """Each user's error, judged in one order of the users and in another: off the diagonal means that order matters."""
    top = float(max(first.max(), second.max())) * 1.05
    ax.plot([0, top], [0, top], color=COLOURS["black"], lw=1, ls="--", zorder=0)
    ax.plot(first, second, "o", color=COLOURS["blue"], ms=4, alpha=0.6, mew=0)
    ax.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    ax.set(xlabel=f"a user's error in the log's order, {unit}", ylabel="in a random order")
    return ax


def places_by_test(values: pd.DataFrame, ax: Axes) -> Axes:
    """Who stands where by which test, the best at the top: a line per method, its value beside each marker.

    values: index the methods, columns the tests, higher is better.
    """
    places = values.rank(ascending=False, method="first")
    for i, (name, line) in enumerate(places.iterrows()):
        colour = list(COLOURS.values())[i % 7]
        x = np.arange(len(line))
        ax.plot(x, line, color=colour, marker=MARKERS[i % len(MARKERS)], ms=9, lw=2)
        for column, place in zip(x, line, strict=True):
            text = f"{values.loc[name].iloc[column]:.3f}"
            ax.annotate(text, (column, place), (0, 9), textcoords="offset points", ha="center",
                        fontsize=8.5, color=colour)  # fmt: skip
        for end, side, shift in ((0, "right", -12), (len(line) - 1, "left", 12)):
            ax.annotate(plain(name), (end, line.iloc[end]), (shift, 0), textcoords="offset points",
                        ha=side, va="center", fontsize=9.5, weight="bold", color=colour)  # fmt: skip
    ax.set_xticks(range(len(places.columns)), [plain(test, 60) for test in places.columns])
    ax.set_yticks(range(1, len(places) + 1))
    margin = 0.45 * max(len(places.columns) - 1, 1)
    ax.set(
        xlim=(-margin, len(places.columns) - 1 + margin),
        ylim=(len(places) + 0.5, 0.3),
        ylabel="place among these methods",
    )
    ax.grid(axis="x", visible=False)
    return ax
