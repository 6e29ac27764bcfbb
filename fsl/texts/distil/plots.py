"""Figures of students beside their teacher. Functions take what they show and an Axes, and return the Axes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fsl.plots import COLOURS, MARKERS, plain


def kept_against_size(table: pd.DataFrame, ax: Axes, bar: float = 95.0) -> Axes:
    """Share of the teacher's accuracy kept (per cent, with its interval) against the file's size, one mark each.

    table: index the students, columns MB, value, low, high (per cent). bar: a dashed line.
    """
    for i, (name, row) in enumerate(table.iterrows()):
        colour, marker = list(COLOURS.values())[i % 7], MARKERS[i % len(MARKERS)]
        ax.plot([row.MB] * 2, [row.low, row.high], color=colour, lw=3, alpha=0.5)
        ax.plot(
            row.MB, row.value, marker, color=colour, ms=8, label=f"{plain(name)}: {row.MB:.2g} MB"
        )
    ax.axhline(100, color=COLOURS["black"], lw=1)
    ax.axhline(bar, color=COLOURS["black"], lw=1, ls="--")
    ax.annotate("the teacher, 91 MB", (0.99, 100), xycoords=("axes fraction", "data"), xytext=(0, 3),
                textcoords="offset points", fontsize=9, ha="right")  # fmt: skip
    ax.set(xscale="log", xlabel="size of the file, MB", ylabel="accuracy kept, % of the teacher's")
    ax.set_xlim(table["MB"].min() / 1.4, table["MB"].max() * 2.5)
    ticks = [
        t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if ax.get_xlim()[0] < t < ax.get_xlim()[1]
    ]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax


def cosines(teacher: np.ndarray, student: np.ndarray, ax: Axes) -> Axes:
    """Cosines of all pairs of the same texts by both, as a density of dots; on the dashed line they agree.

    teacher: [n, d_t], student: [n, d_s], unit rows.
    """
    upper = np.triu_indices(len(teacher), 1)
    a, b = (teacher @ teacher.T)[upper], (student @ student.T)[upper]
    ends = [float(min(a.min(), b.min())), 1.0]
    dots = ax.hexbin(a, b, gridsize=45, bins="log", mincnt=1, cmap="Blues", extent=(*ends, *ends))
    ax.plot(ends, ends, color=COLOURS["black"], lw=1, ls="--")
    ax.figure.colorbar(dots, ax=ax, label="pairs of texts")
    ax.set(xlabel="cosine by the teacher", ylabel="cosine by the student", aspect="equal")
    return ax
