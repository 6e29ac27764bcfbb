"""The figures of off-policy evaluation. Functions take tables and an Axes, and return the Axes. Know no file."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fsl.offpolicy.intervals import effective_sample_size
from fsl.plots import COLOURS, plain

DASHES = ("-", "--", ":")


def weight_shares(weights: Mapping[str, np.ndarray], ax: Axes) -> Axes:
    """How much of all weight the heaviest rounds carry, one line per name, with its effective sample size."""
    for i, (name, w) in enumerate(weights.items()):
        share = np.sort(w)[::-1].cumsum() / w.sum()
        said = f"{plain(name)}: {effective_sample_size(w):,.0f} effective rounds of {len(w):,}"
        style = {"color": list(COLOURS.values())[i], "ls": DASHES[i % 3], "lw": 2, "label": said}
        ax.plot(100 * np.arange(1, len(w) + 1) / len(w), 100 * share, **style)
    ax.set(xlabel="heaviest rounds, % of all", ylabel="their share of all weight, %", xscale="log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.legend(fontsize=9, loc="upper left")
    return ax


def coverage_dots(table: pd.DataFrame, ax: Axes) -> Axes:
    """How often intervals hold the true value, per estimator and number of rounds; `coverage`'s table of one world.

    Circles: bootstrap, with the exact 95 % interval of that share; triangles: empirical Bernstein. Band: 92 to 98 %.
    """
    ax.axvspan(92, 98, color=COLOURS["grey"], alpha=0.25, lw=0, label="92 to 98 %")
    for y, row in enumerate(table.itertuples()):
        ax.plot([100 * row.boot_low, 100 * row.boot_high], [y, y], color=COLOURS["blue"], lw=2)
        ax.plot(100 * row.boot, y, "o", color=COLOURS["blue"], ms=6, label="bootstrap")
        if np.isfinite(row.eb):
            style = {"color": COLOURS["orange"], "ms": 6, "label": "empirical Bernstein"}
            ax.plot(100 * row.eb, y + 0.22, "^", **style)
    names = [f"{row.estimator}, {row.n:,} rounds" for row in table.itertuples()]
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(-3, 103), xlabel="intervals that hold the truth, %")
    ax.grid(axis="y", visible=False)
    return ax


def crossed_intervals(
    table: pd.DataFrame, ax: Axes, estimators: Sequence[str], right: float
) -> Axes:
    """One campaign's estimates of each policy from the other's log, beside its own log's value; `crossed`'s table.

    Clicks per 1,000 rounds; ends beyond `right` are cut and marked with an arrow.
    """
    y, ticks = 0.0, []
    for (log, policy), lines in table.groupby(["log", "policy"], sort=False):
        first, own = y, lines.iloc[0]
        for _, line in lines[lines["estimator"].isin(estimators)].iterrows():
            _bar(ax, y, line[["value", "low", "high"]], "blue", "o", "bootstrap", right)
            if np.isfinite(line["eb_high"]):
                ends = line[["value", "eb_low", "eb_high"]]
                _bar(ax, y + 0.25, ends, "orange", "^", "empirical Bernstein", right)
            ticks.append((y, f"{line['estimator']}, {policy} from {log}"))
            y += 0.8
        shade = {"color": COLOURS["green"], "alpha": 0.25, "lw": 0, "label": "its own log, 95 %"}
        ax.fill_between([own["own_low"], own["own_high"]], first - 0.3, y - 0.4, **shade)
        ax.plot([own["own"]] * 2, [first - 0.3, y - 0.4], color=COLOURS["green"], lw=2)
        if own["warning"]:
            ax.annotate("too little", (right, first - 0.3), ha="right", fontsize=9, style="italic")
        y += 0.5
    ax.set_yticks([place for place, _ in ticks], [plain(name, 60) for _, name in ticks])
    ax.set(ylim=(y - 0.6, -0.8), xlim=(0, right), xlabel="clicks per 1,000 rounds")
    ax.grid(axis="y", visible=False)
    return ax


def _bar(ax: Axes, y: float, line, colour: str, marker: str, label: str, right: float) -> None:
    value, low, high = line
    ax.plot([low, min(high, right)], [y, y], color=COLOURS[colour], lw=2, alpha=0.7)
    if high > right:
        ax.plot(right, y, ">", color=COLOURS[colour], ms=6, clip_on=False)
    ax.plot(min(value, right), y, marker, color=COLOURS[colour], ms=5, label=label)


def one_legend(axes: Sequence[Axes]) -> None:
    """The names of all panels once, below the figure."""
    found = {}
    for ax in axes:
        found |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    axes[0].figure.legend(found.values(), found, loc="outside lower center", ncols=len(found))
