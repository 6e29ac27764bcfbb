"""How results are shown. Functions take what they show and an Axes, and return the Axes. Know no learner and no file.

Colours are Okabe & Ito's, safe for colour-blind eyes, and never stand alone: a marker, a dash or a word says the same.
"""

import contextlib
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes

COLOURS = {
    "blue": "#0072B2", "orange": "#D55E00", "green": "#009E73", "pink": "#CC79A7", "sky": "#56B4E9",
    "gold": "#E69F00", "black": "#222222", "grey": "#9a9a9a",
}  # fmt: skip
MARKERS = "osD^vP*Xh"
_CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Arial Unicode MS",
)  # fmt: skip
_CJK_FILES = re.compile(
    r"(SansCJK|SourceHanSans)\w*-(Regular|Bold)|msyh|PingFang|Hiragino Sans GB|wqy-|simhei|Arial Unicode",
    re.IGNORECASE,
)


def set_style() -> None:
    """One look for all notebooks: white, quiet grid, left-aligned titles, legible at a page's width."""
    sns.set_theme(style="whitegrid", palette=list(COLOURS.values()))
    plt.rcParams.update({
        "figure.dpi": 110, "savefig.bbox": "tight", "figure.constrained_layout.use": True,
        "axes.titlelocation": "left", "axes.titlesize": 12, "axes.titleweight": "bold", "axes.labelsize": 11,
        "axes.spines.top": False, "axes.spines.right": False, "grid.color": "#e6e6e6",
        "legend.frameon": False, "font.family": _families(),
    })  # fmt: skip
    warnings.filterwarnings("ignore", message="Glyph .* missing from font")


def _families() -> list[str]:
    """DejaVu Sans, then those fonts of this machine that have Chinese, Japanese and Korean names."""
    if not (found := _installed()):
        _take_in_new_fonts()
        found = _installed()
    return ["DejaVu Sans", *found]


def _installed() -> list[str]:
    known = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in _CJK_FONTS if name in known]


def _take_in_new_fonts() -> None:
    """Fonts that were installed after matplotlib had written its list, which it never writes again by itself."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(font_manager.findSystemFonts()):
        if path not in known and _CJK_FILES.search(path):
            with contextlib.suppress(OSError, RuntimeError):  # a file that is no font
                font_manager.fontManager.addfont(path)


def message(ax: Axes, text: str, simulated: bool = False, width: int = 80) -> Axes:
    """A figure's title: its one-sentence message, wrapped; "(simulated)" is added where the data are."""
    text = f"{text} (simulated)" if simulated else text
    ax.set_title("\n".join(textwrap.wrap(plain(text, 400), width)))
    return ax


def headed(figure, text: str, simulated: bool = False, width: int = 90) -> None:
    """The message of a figure with several panels."""
    text = f"{text} (simulated)" if simulated else text
    figure.suptitle(
        "\n".join(textwrap.wrap(plain(text, 400), width)),
        x=0.01,
        ha="left",
        fontsize=12,
        weight="bold",
    )


def error_vs_shots(
    summary: pd.DataFrame,
    ax: Axes,
    highlight: Sequence[str],
    label: str,
    ceiling: float | None = None,
    subject: str = "user",
) -> Axes:
    """A metric against K: highlighted learners in colour and named, the first two with 95 % bands; all others grey.

    summary: `compare.summarise`'s table. label: the y axis, with its unit. ceiling: the top of the y axis; what lies
    above it is named at the edge with its value. subject: whose behaviours K counts.
    """
    shots, ends, n_above = sorted(summary["n_shots"].unique()), {}, 0
    for name, line in summary.sort_values("n_shots").groupby("learner", sort=False):
        x, values = np.arange(len(line)), line["value"].to_numpy()
        if name not in highlight:
            ax.plot(x, values, color="#bdbdbd", lw=1, zorder=1)
            continue
        place = list(highlight).index(name)
        colour, marker = list(COLOURS.values())[place % 7], MARKERS[place % len(MARKERS)]
        ax.plot(x, values, color=colour, lw=2.2, marker=marker, ms=6, zorder=3)
        if place < 2:
            ax.fill_between(x, line["low"], line["high"], color=colour, alpha=0.12, lw=0)
        ends[name] = (values[-1], colour)
        if ceiling is not None and values[0] > ceiling:
            n_above += 1
            ax.annotate(f"↑ {plain(name)}: {values[0]:.2f}", (0.01, 1.03 - 0.065 * n_above), color=colour,
                        xycoords="axes fraction", fontsize=9, weight="bold", va="center")  # fmt: skip
    ax.set_xticks(np.arange(len(shots)), [str(k) for k in shots])
    ax.set(
        xlim=(-0.15, len(shots) - 0.9),
        xlabel=f"K, behaviours known of the new {subject}",
        ylabel=label,
    )
    if ceiling is not None:
        ax.set_ylim(
            top=ceiling, bottom=summary["low"].min() - 0.02 * (ceiling - summary["low"].min())
        )
    _end_labels(ax, ends, len(shots) - 1)
    return ax


def _end_labels(ax: Axes, ends: dict, x: float) -> None:
    """Names beside the last points, pushed apart until none covers another."""
    low, high = ax.get_ylim()
    gap = (high - low) * 0.065
    order = sorted(ends, key=lambda name: ends[name][0])
    places = np.array([min(ends[name][0], high) for name in order])
    for _ in range(200):
        overlap = np.clip(gap - np.diff(places), 0, None) / 2
        places[:-1] -= overlap
        places[1:] += overlap
    for name, place in zip(order, places, strict=True):
        y, colour = ends[name]
        ax.annotate(plain(name), (x + 0.03, min(y, high)), (x + 0.22, place), color=colour, fontsize=9, va="center",
                    weight="bold", annotation_clip=False,
                    arrowprops=dict(arrowstyle="-", color=colour, lw=0.7, shrinkA=1, shrinkB=0))  # fmt: skip


def intervals(
    rows: Mapping[str, object],
    ax: Axes,
    label: str,
    reference: float | None = None,
    form: str = ".3f",
) -> Axes:
    """Named values with their 95 % intervals, top to bottom; `reference` is a dashed line to be compared with.

    rows: name -> an object with value, low and high. form: how a value is written above its marker.
    """
    for y, row in enumerate(rows.values()):
        colour = list(COLOURS.values())[y % 7]
        ax.plot([row.low, row.high], [y, y], color=colour, lw=3, alpha=0.5, solid_capstyle="round")
        ax.plot(row.value, y, MARKERS[y % len(MARKERS)], color=colour, ms=8)
        ax.annotate(
            f"{row.value:{form}}",
            (row.value, y),
            (0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    if reference is not None:
        ax.axvline(reference, color=COLOURS["black"], lw=1, ls="--", zorder=0)
    ax.set_yticks(range(len(rows)), [plain(name) for name in rows])
    ax.set(ylim=(len(rows) - 0.4, -0.7), xlabel=label)
    ax.grid(axis="y", visible=False)
    return ax


def marked_values(values: Mapping[str, float], ax: Axes, title: str, unit: str = "") -> Axes:
    """Values to compare with, as upright lines in `intervals`: each dashed in its own way and named below."""
    dashes = ("--", ":", "-.", (0, (7, 3)), (0, (1, 4)))
    for i, (name, value) in enumerate(values.items()):
        style = {"color": COLOURS["black"], "lw": 1.2, "ls": dashes[i % len(dashes)], "zorder": 0}
        ax.axvline(value, label=f"{plain(name)}, {value:g}{unit}", **style)
    below = {"loc": "upper left", "bbox_to_anchor": (0, -0.13), "ncols": 2}
    ax.legend(title=title, title_fontsize=9, fontsize=9, alignment="left", **below)
    return ax


def curves(lines: Mapping[str, pd.DataFrame], ax: Axes, xlabel: str, ylabel: str) -> Axes:
    """Lines with bands, one per name; each table has columns x, value, low, high. Named in a legend, own markers."""
    for i, (name, line) in enumerate(lines.items()):
        colour = list(COLOURS.values())[i % 7]
        ax.plot(
            line["x"],
            line["value"],
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            lw=2,
            label=plain(name),
        )
        ax.fill_between(line["x"], line["low"], line["high"], color=colour, alpha=0.15, lw=0)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return ax


def log_curves(
    lines: Mapping[str, pd.DataFrame],
    ax: Axes,
    xlabel: str,
    ylabel: str,
    dashed: Sequence[str] = (),
    log_x: bool = True,
) -> Axes:
    """As `curves`, with logarithmic axes and the legend beside; `dashed` names the lines that are not like the others.

    Tables without low and high have no band. log_x=False leaves the x axis as it is.
    """
    for i, (name, line) in enumerate(lines.items()):
        style = {"color": list(COLOURS.values())[i % 7], "marker": MARKERS[i % len(MARKERS)]}
        style |= {"ls": "--" if name in dashed else "-", "lw": 1.8, "label": plain(name)}
        every = None if len(line) <= 10 else 0.12  # of the axes' diagonal
        ax.plot(line["x"], line["value"], markevery=every, **style)
        if "low" in line:
            band = (line["x"], line["low"], line["high"])
            ax.fill_between(*band, color=style["color"], alpha=0.12, lw=0)
    ax.set(yscale="log", xscale="log" if log_x else "linear", xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plain(text: object, longest: int = 40) -> str:
    """A name from a table as inert figure text: cut, without control characters or a `$` that would start a formula."""
    lines = str(text).split("\n")[:3]
    kept = ("".join(c if c.isprintable() else " " for c in line) for line in lines)
    cut = (line if len(line) <= longest else line[: longest - 1] + "…" for line in kept)
    return "\n".join(cut).replace("$", r"\$")
