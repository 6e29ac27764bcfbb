"""The figures of the verdict's page: who is how far from the best simple method, and whose intervals hold.

Functions take records or tables and an Axes, and return the Axes.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fsl.compare import against, lower_is_better, summarise
from fsl.plots import COLOURS, MARKERS, plain

LEVELS = (50, 80, 90)  # per cent


def ranking(
    table: pd.DataFrame,
    ax: Axes,
    meta: Sequence[str],
    reference: str,
    label: str,
    higher_is_better: bool = False,
) -> Axes:
    """Every method's paired difference to `reference` with its 95 % interval, the best at the top.

    table: `compare.against`'s. Meta-learners are filled circles, simple methods open squares; those that Holm's
    adjustment leaves in no doubt are in colour, the others grey. Differences beyond four times the median width are
    named at the edge of the worse side instead of drawn.
    """
    sign = -1 if higher_is_better else 1
    table = table.sort_values("value", ascending=not higher_is_better).reset_index(drop=True)
    reach = max(4 * float((table["high"] - table["low"]).median()), 1e-6)
    for y, row in table.iterrows():
        sure = row["p_holm"] < 0.05
        colour = (
            (COLOURS["green"] if sign * row["value"] < 0 else COLOURS["orange"])
            if sure
            else "#777777"
        )
        if sign * row["value"] > reach:
            text = f"← {row['value']:+.3f}" if higher_is_better else f"{row['value']:+.3f} →"
            side = "left" if higher_is_better else "right"
            ax.annotate(text, (sign * reach, y), ha=side, va="center", fontsize=9, color=colour)
            continue
        ends = np.clip([row["low"], row["high"]], -reach, reach)
        ax.plot(ends, [y, y], color=colour, lw=2.5, alpha=0.5, solid_capstyle="round")
        is_meta = row["learner"] in meta
        face = colour if is_meta else "white"
        ax.plot(row["value"], y, "o" if is_meta else "s", color=colour, mfc=face, ms=7, mew=1.6)
    ax.axvline(0, color=COLOURS["black"], lw=1, ls="--", zorder=0)
    names = [f"{plain(name)} *" if name in meta else plain(name) for name in table["learner"]]
    ax.set_yticks(range(len(table)), names, fontsize=9)
    least = float(-table["high"].max() if higher_is_better else table["low"].min())
    most = float(-table["low"].min() if higher_is_better else table["high"].max())
    better, worse = max(-reach, 1.2 * min(least, -0.1 * reach)), min(reach, 1.2 * most) * 1.02
    ends = sorted((sign * better, sign * max(worse, 0.1 * reach)))
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=ends, xlabel=label)
    ax.set_title(f"against {plain(reference)}", fontsize=11, weight="normal")
    ax.grid(axis="y", visible=False)
    return ax


def leaders(records: pd.DataFrame, last, meta: Sequence[str], metric: str) -> list[str]:
    """Whom a figure names: both sides of the contest, the next best meta-learner, MAML, and item + user bias."""
    at_k = records[(records["n_shots"] == last.n_shots) & records["learner"].isin(meta)]
    ranked = summarise(at_k, metric).sort_values("value", ascending=lower_is_better(metric))[
        "learner"
    ]
    next_best = [name for name in ranked if name != last.contender][:1]
    named = [last.baseline, last.contender, *next_best, "MAML", "item + user bias"]
    there = set(records["learner"].unique())
    return [name for name in dict.fromkeys(named) if name in there]


def every_difference(
    records: pd.DataFrame, learners: Sequence[str], reference: str, metric: str, n_shots: int
) -> pd.DataFrame:
    """`compare.against` for all `learners` but the reference itself: the table of `ranking`."""
    there = set(records["learner"].unique())
    rest = [name for name in learners if name != reference and name in there]
    return against(records, reference, rest, metric, n_shots)


def calibration_table(records: pd.DataFrame, n_shots: int) -> pd.DataFrame:
    """Of each learner with a variance: the share of ratings inside its 50, 80 and 90 % intervals, and the mean gap.

    Columns learner, 50, 80, 90 (shares), calibration error: mean over the levels of |share − level|.
    """
    here = records[records["n_shots"] == n_shots]
    columns = {}
    for level in LEVELS:
        some = here[(here["metric"] == f"coverage@{level}") & here["value"].notna()]
        if some.empty:
            return pd.DataFrame(columns=["learner", *LEVELS, "calibration error"])
        columns[level] = summarise(some, f"coverage@{level}").set_index("learner")["value"]
    table = pd.DataFrame(columns)
    gaps = (table - np.array(LEVELS) / 100).abs()
    return table.assign(**{"calibration error": gaps.mean(axis=1)}).reset_index()


def calibration(table: pd.DataFrame, ax: Axes) -> Axes:
    """Promised against kept: the dashed diagonal is a promise kept; below it a learner is too sure of itself."""
    promised = np.array(LEVELS)
    ax.plot([40, 100], [40, 100], color=COLOURS["black"], lw=1, ls="--", zorder=0)
    for i, row in table.iterrows():
        kept = 100 * row[list(LEVELS)].to_numpy(float)
        colour = list(COLOURS.values())[i % 7]
        ax.plot(
            promised,
            kept,
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            lw=2,
            label=plain(row["learner"]),
        )
    ax.set(xlabel="interval promises, %", ylabel="ratings inside, %", xticks=promised)
    ax.legend(fontsize=9)
    return ax
