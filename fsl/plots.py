"""Every figure. Functions take what they show and an Axes, and return the Axes. Know no learner and no file.

Colours are Okabe & Ito's, safe for colour-blind eyes, and never stand alone: a marker, a dash or a word says the same.
"""

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
RULER_LABELS = {
    "random": "random (ruler)",
    "constant": "constant (ruler)",
    "oracle": "oracle (ruler)",
}
_MARKERS = "osD^vP*Xh"
_CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Arial Unicode MS",
)  # fmt: skip


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
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _CJK_FONTS if name in installed)]


def message(ax: Axes, text: str, simulated: bool = False, width: int = 80) -> Axes:
    """A figure's title: its one-sentence message, wrapped; "(simulated)" is added where the data are."""
    text = f"{text} (simulated)" if simulated else text
    ax.set_title("\n".join(textwrap.wrap(_plain(text, 400), width)))
    return ax


def headed(figure, text: str, simulated: bool = False, width: int = 90) -> None:
    """The message of a figure with several panels."""
    text = f"{text} (simulated)" if simulated else text
    figure.suptitle(
        "\n".join(textwrap.wrap(_plain(text, 400), width)),
        x=0.01,
        ha="left",
        fontsize=12,
        weight="bold",
    )


def behaviours_per_user(sizes: pd.Series, by: pd.Series | None, ax: Axes) -> Axes:
    """Share of users with 1-4, 5-9, 10-19 and 20 or more behaviours: one bar per scene, or one for all."""
    bins = pd.cut(sizes, [0, 4, 9, 19, np.inf], labels=["1–4", "5–9", "10–19", "20 or more"])
    bar = pd.Series("all users", index=sizes.index) if by is None else by
    shares = pd.crosstab(bar, bins, normalize="index", dropna=False)
    shares = shares.sort_values(shares.columns[0])
    left = np.zeros(len(shares))
    for column, shade in zip(
        shares.columns, sns.color_palette("crest", shares.shape[1]), strict=True
    ):
        bars = ax.barh(
            [_plain(name) for name in shares.index],
            shares[column],
            left=left,
            color=shade,
            height=0.7,
            label=column,
        )
        labels = [f"{share:.0%}" if share >= 0.06 else "" for share in shares[column]]
        ax.bar_label(bars, labels, label_type="center", color="white", weight="bold", fontsize=9)
        left += shares[column].to_numpy()
    ax.set(xlim=(0, 1), xticks=[], xlabel="share of users, by number of behaviours known of each")
    ax.legend(ncols=4, loc="upper left", bbox_to_anchor=(0, -0.16 if len(shares) > 1 else -0.45))
    sns.despine(ax=ax, left=True, bottom=True)
    ax.grid(visible=False)
    return ax


def episode_picture(rows: Sequence[Mapping], ax: Axes, scale: tuple[float, float]) -> Axes:
    """One line per task: its support, then its query, a tile per behaviour, coloured and labelled by the target.

    rows: {"who": str, "support": [(name, target), …], "query": [(name, target), …]}. The query's targets are what a
    learner has to predict: they are shown in brackets.
    """
    palette, (low, high) = sns.color_palette("crest", as_cmap=True), scale
    n_support = max(len(row["support"]) for row in rows)
    n_columns = n_support + max(len(row["query"]) for row in rows)
    for y, row in enumerate(rows):
        for side, start in (("support", 0), ("query", n_support + 0.4)):
            for x, (name, target) in enumerate(row[side]):
                shade = palette(0.05 + 0.75 * (target - low) / max(high - low, 1e-9))
                _tile(ax, start + x, y, name, target, shade, side == "query")
    ax.axvline(n_support + 0.15, color=COLOURS["black"], lw=1.2, ls=(0, (4, 3)))
    ax.set(
        xlim=(-0.1, n_columns + 0.4),
        ylim=(len(rows) - 0.02, -0.08),
        yticks=np.arange(len(rows)) + 0.45,
    )
    ax.set_yticklabels([_plain(row["who"]) for row in rows], fontsize=9)
    ax.set_xticks([n_support / 2, n_support + 0.4 + (n_columns - n_support) / 2])
    ax.set_xticklabels(
        ["support: adapt on these", "query: predict the number in brackets"], fontsize=10
    )
    ax.tick_params(length=0)
    ax.grid(visible=False)
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def _tile(ax: Axes, x: float, y: float, name: str, target: float, shade, hidden: bool) -> None:
    edge = (
        dict(edgecolor=COLOURS["black"], ls="--", lw=1) if hidden else dict(edgecolor="white", lw=0)
    )
    ax.add_patch(plt.Rectangle((x, y), 0.92, 0.9, facecolor=shade, **edge))
    ink = "white" if np.dot(shade[:3], [0.3, 0.59, 0.11]) < 0.52 else COLOURS["black"]
    words = textwrap.wrap(_plain(name), 11)[:2] or ["?"]
    if len(textwrap.wrap(_plain(name), 11)) > 2:
        words[-1] = words[-1][:9] + "…"
    ax.text(x + 0.46, y + 0.27, "\n".join(words), ha="center", va="center", fontsize=8.2, color=ink)
    ax.text(x + 0.46, y + 0.68, f"[{target:g}]" if hidden else f"{target:g}", ha="center", va="center",
            fontsize=12, weight="bold", color=ink)  # fmt: skip


def error_vs_shots(
    summary: pd.DataFrame,
    ax: Axes,
    highlight: Sequence[str],
    label: str,
    ceiling: float | None = None,
) -> Axes:
    """A metric against K: highlighted learners in colour and named, the first two with 95 % bands; all others grey.

    summary: `compare.summarise`'s table. label: the y axis, with its unit. ceiling: the top of the y axis; what lies
    above it is named at the edge with its value.
    """
    shots, ends, n_above = sorted(summary["n_shots"].unique()), {}, 0
    for name, line in summary.sort_values("n_shots").groupby("learner", sort=False):
        x, values = np.arange(len(line)), line["value"].to_numpy()
        if name not in highlight:
            ax.plot(x, values, color="#bdbdbd", lw=1, zorder=1)
            continue
        place = list(highlight).index(name)
        colour, marker = list(COLOURS.values())[place % 7], _MARKERS[place % len(_MARKERS)]
        ax.plot(x, values, color=colour, lw=2.2, marker=marker, ms=6, zorder=3)
        if place < 2:
            ax.fill_between(x, line["low"], line["high"], color=colour, alpha=0.12, lw=0)
        ends[name] = (values[-1], colour)
        if ceiling is not None and values[0] > ceiling:
            n_above += 1
            ax.annotate(f"↑ {_plain(name)}: {values[0]:.2f}", (0.01, 1.03 - 0.065 * n_above), color=colour,
                        xycoords="axes fraction", fontsize=9, weight="bold", va="center")  # fmt: skip
    ax.set_xticks(np.arange(len(shots)), [str(k) for k in shots])
    ax.set(
        xlim=(-0.15, len(shots) - 0.9), xlabel="K, behaviours known of the new user", ylabel=label
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
        ax.annotate(_plain(name), (x + 0.03, min(y, high)), (x + 0.22, place), color=colour, fontsize=9, va="center",
                    weight="bold", annotation_clip=False,
                    arrowprops=dict(arrowstyle="-", color=colour, lw=0.7, shrinkA=1, shrinkB=0))  # fmt: skip


def intervals(
    rows: Mapping[str, object], ax: Axes, label: str, reference: float | None = None
) -> Axes:
    """Named values with their 95 % intervals, top to bottom; `reference` is a dashed line to be compared with.

    rows: name -> an object with value, low and high.
    """
    for y, row in enumerate(rows.values()):
        colour = list(COLOURS.values())[y % 7]
        ax.plot([row.low, row.high], [y, y], color=colour, lw=3, alpha=0.5, solid_capstyle="round")
        ax.plot(row.value, y, _MARKERS[y % len(_MARKERS)], color=colour, ms=8)
        ax.annotate(
            f"{row.value:.3f}",
            (row.value, y),
            (0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    if reference is not None:
        ax.axvline(reference, color=COLOURS["black"], lw=1, ls="--", zorder=0)
    ax.set_yticks(range(len(rows)), [_plain(name) for name in rows])
    ax.set(ylim=(len(rows) - 0.4, -0.7), xlabel=label)
    ax.grid(axis="y", visible=False)
    return ax


def distances(same: np.ndarray, different: np.ndarray, ax: Axes) -> Axes:
    """Histograms of the distances of similar and of different pairs, as shares of their kind."""
    edges = np.linspace(0, np.quantile(np.concatenate([same, different]), 0.99) + 1e-9, 36)
    for values, name, colour, hatch in (
        (same, "similar: both liked by one user", COLOURS["blue"], ""),
        (different, "different: one liked, one not", COLOURS["orange"], "//"),
    ):
        ax.hist(values, edges, weights=np.full(len(values), 1 / len(values)), alpha=0.45, color=colour,
                hatch=hatch, edgecolor=colour, label=name)  # fmt: skip
    ax.set(xlabel="distance", ylabel="share of pairs")
    return ax


def phone_map(
    places: np.ndarray, names: Sequence[str], value: np.ndarray, label: str, ax: Axes, n_names=22
) -> Axes:
    """Phones at their places [n, 2], coloured by `value`; names where there is room for them."""
    points = ax.scatter(*places.T, c=value, cmap="cividis", s=36, edgecolor="white", lw=0.5)
    bar = ax.figure.colorbar(points, ax=ax, shrink=0.8, pad=0.01)
    bar.set_label(label)
    for i in _spread(places, n_names):
        ax.annotate(
            _plain(names[i])[:22],
            places[i],
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    ax.set(xticks=[], yticks=[], xlabel="first direction of the space", ylabel="second direction")
    ax.margins(0.08)
    return ax


def _spread(places: np.ndarray, n: int) -> list[int]:
    """Up to n points, chosen greedily so that a name above one does not reach the name above another."""
    scaled = (places - places.mean(0)) / np.maximum(np.ptp(places, axis=0), 1e-9)
    chosen: list[int] = []
    for i in np.argsort(-np.abs(scaled).sum(1)):
        gap = np.abs(scaled[chosen] - scaled[i]) if chosen else np.ones((1, 2))
        if len(chosen) < n and not ((gap[:, 0] < 0.2) & (gap[:, 1] < 0.045)).any():
            chosen.append(int(i))
    return chosen


def curves(lines: Mapping[str, pd.DataFrame], ax: Axes, xlabel: str, ylabel: str) -> Axes:
    """Lines with bands, one per name; each table has columns x, value, low, high. Named in a legend, own markers."""
    for i, (name, line) in enumerate(lines.items()):
        colour = list(COLOURS.values())[i % 7]
        ax.plot(
            line["x"],
            line["value"],
            color=colour,
            marker=_MARKERS[i % len(_MARKERS)],
            lw=2,
            label=_plain(name),
        )
        ax.fill_between(line["x"], line["low"], line["high"], color=colour, alpha=0.15, lw=0)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return ax


def _plain(text: object, longest: int = 40) -> str:
    """A name from a table as inert figure text: cut, without control characters or a `$` that would start a formula."""
    lines = str(text).split("\n")[:3]
    kept = ("".join(c if c.isprintable() else " " for c in line) for line in lines)
    cut = (line if len(line) <= longest else line[: longest - 1] + "…" for line in kept)
    return "\n".join(cut).replace("$", r"\$")
