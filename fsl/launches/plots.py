"""The figures of a launch: how expectations narrow with each reaction, what each one told, what showing is worth.

Functions take what they show and an Axes, and return the Axes. Know no learner and no file.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from fsl.plots import COLOURS, MARKERS, plain

WIDTH_90 = 1.6449  # standard deviations to each side of a Gaussian's 90 %


def fan(
    mean: np.ndarray,
    sd: np.ndarray,
    ax: Axes,
    truth: float | None = None,
    later: float | None = None,
) -> Axes:
    """An expectation after 0, 1, 2 … reactions with its 90 % band, mean ± 1.64 sd; [n_steps] each, in rating points.

    truth: the noise-free expectation, a dashed line. later: the one rating that was given in the end, a diamond.
    """
    k = np.arange(len(mean))
    ax.fill_between(
        k, mean - WIDTH_90 * sd, mean + WIDTH_90 * sd, color=COLOURS["blue"], alpha=0.18, lw=0
    )
    ax.plot(
        k, mean, color=COLOURS["blue"], marker="o", ms=4, lw=2, label="expected, with 90 % band"
    )
    if truth is not None:
        ax.axhline(truth, color=COLOURS["orange"], ls="--", lw=1.6, label="truth")
    if later is not None:
        place = {"clip_on": False, "zorder": 4, "ls": ""}
        ax.plot(k[-1], later, "D", color=COLOURS["black"], ms=6, label="rated in the end", **place)
    ax.set_xticks(k[:: max(1, len(k) // 5)])
    ax.set_xlabel("K, reactions known")
    return ax


def told(
    parts: np.ndarray, rows: Sequence[str], columns: Sequence[str], ax: Axes, label: str
) -> Axes:
    """What each reaction (row) added to each expectation (column): [n_rows, n_columns], number and colour alike."""
    most = max(float(np.abs(parts).max()), 1e-9)
    palette = sns.blend_palette([COLOURS["orange"], "#ffffff", COLOURS["blue"]], as_cmap=True)
    sns.heatmap(parts, ax=ax, cmap=palette, center=0, vmin=-most, vmax=most, annot=True, fmt="+.2f",
                annot_kws={"size": 8}, linewidths=1, cbar_kws={"label": label, "pad": 0.01})  # fmt: skip
    ax.set_xticks(
        np.arange(len(columns)) + 0.5,
        [plain(name) for name in columns],
        rotation=45,
        ha="right",
        fontsize=9,
    )
    ax.set_yticks(
        np.arange(len(rows)) + 0.5, [plain(name, 60) for name in rows], rotation=0, fontsize=9
    )
    return ax


def by_shots(
    summary: pd.DataFrame, ax: Axes, names: Sequence[str], label: str, bands: Sequence[str] = ()
) -> Axes:
    """A measure against K, one line per name, those in `bands` with their 95 % intervals.

    summary: `compare.summarise`'s or `compare.differences`' table; without low and high it has no bands. K stands at
    equal steps. names decides who gets which colour and marker.
    """
    shots = sorted(summary["n_shots"].unique())
    for i, name in enumerate(names):
        line = summary[summary["learner"] == name].sort_values("n_shots")
        if line.empty:
            continue
        x = [shots.index(k) for k in line["n_shots"]]
        colour, marker = list(COLOURS.values())[i % 7], MARKERS[i % len(MARKERS)]
        ax.plot(x, line["value"], color=colour, marker=marker, lw=2, ms=6, label=plain(name))
        if name in bands and "low" in line:
            ax.fill_between(x, line["low"], line["high"], color=colour, alpha=0.13, lw=0)
    ax.set_xticks(range(len(shots)), [str(k) for k in shots])
    ax.set(xlabel="K, reactions known", ylabel=label)
    return ax


def panels(
    tables: Mapping[str, pd.DataFrame],
    axes: Sequence[Axes],
    names: Sequence[str],
    labels: Sequence[str],
    bands: Sequence[str] = (),
) -> Sequence[Axes]:
    """`by_shots` side by side, one table per panel with its title, one legend for all of them below."""
    lines = {}
    for (title, table), label, ax in zip(tables.items(), labels, axes, strict=True):
        by_shots(table, ax, names, label, bands).set_title(title)
        lines |= {line.get_label(): line for line in ax.get_lines()}
    figure = axes[0].figure
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=len(lines), fontsize=10)
    return axes


def list_table(
    lists: Mapping[int, Sequence[str]],
    expected: Mapping[int, np.ndarray],
    sd: Mapping[int, np.ndarray],
    scale: tuple[float, float],
) -> pd.DataFrame:
    """Who is shown the phone at each K, best first: "name 4.8 [3.6, 5.0]", who was not on the list before with a +.

    expected, sd: K -> mean and standard deviation of each one's rating; the 90 % interval ends where the scale does.
    """
    columns, before = {}, None
    for k, names in lists.items():
        rows = zip(names, expected[k], sd[k], strict=True)
        columns[f"K = {k}"] = [
            f"{'' if before is None or who in before else '+ '}{who}  {_rating(mean, width, scale)}"
            for who, mean, width in rows
        ]
        before = set(names)
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(names) + 1, name="place"))


def _rating(mean: float, sd: float, scale: tuple[float, float]) -> str:
    low, high = np.clip([mean - WIDTH_90 * sd, mean + WIDTH_90 * sd], *scale)
    beyond = f"> {scale[1]:g}" if mean > scale[1] else f"< {scale[0]:g}" if mean < scale[0] else ""
    return f"{beyond or f'{mean:.1f}'} [{low:.1f}, {high:.1f}]"
