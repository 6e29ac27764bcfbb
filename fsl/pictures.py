"""Pictures of the data: who did what, one episode, phones in a space. `plots` shows results.

Functions take what they show and an Axes, and return the Axes. Know no learner and no file.
"""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from fsl.plots import COLOURS, MARKERS, plain


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
            [plain(name) for name in shares.index],
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
    ax.set_yticklabels([plain(row["who"]) for row in rows], fontsize=9)
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
    words = textwrap.wrap(plain(name), 11)[:2] or ["?"]
    if len(textwrap.wrap(plain(name), 11)) > 2:
        words[-1] = words[-1][:9] + "…"
    ax.text(x + 0.46, y + 0.27, "\n".join(words), ha="center", va="center", fontsize=8.2, color=ink)
    ax.text(x + 0.46, y + 0.68, f"[{target:g}]" if hidden else f"{target:g}", ha="center", va="center",
            fontsize=12, weight="bold", color=ink)  # fmt: skip


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
            plain(names[i])[:22],
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


def image_rows(
    rows: Mapping[str, np.ndarray], ax: Axes, captions: Mapping[str, Sequence[str]] | None = None
) -> Axes:
    """Rows of small images, ink dark on paper: name -> [n, h, w] in 0 … 1; captions stand below a row's images."""
    captions = captions or {}
    for y, (name, images) in enumerate(rows.items()):
        for x, image in enumerate(images):
            where = (x, x + 0.92, 1.25 * y + 0.92, 1.25 * y)
            ax.imshow(image, cmap="Greys", vmin=0, vmax=1, extent=where)
            ax.add_patch(plt.Rectangle((x, 1.25 * y), 0.92, 0.92, fill=False, ec="#bdbdbd", lw=0.8))
        for x, caption in enumerate(captions.get(name, ())):
            ax.text(x + 0.46, 1.25 * y + 0.94, plain(caption), ha="center", va="top", fontsize=10)
    width = max(len(images) for images in rows.values())
    ax.set(xlim=(-0.05, width), ylim=(1.25 * len(rows), -0.05), xticks=[])
    ax.set_yticks(1.25 * np.arange(len(rows)) + 0.46, [plain(name) for name in rows])
    ax.tick_params(length=0)
    ax.grid(visible=False)
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def embedding_map(places: np.ndarray, labels: np.ndarray, images: np.ndarray, ax: Axes) -> Axes:
    """Points [n, 2] by class, a colour and marker each, with the class's image [n_classes, h, w] at its mean."""
    for label, image in enumerate(images):
        own = places[labels == label]
        colour = list(COLOURS.values())[label % 7]
        marker = MARKERS[label % len(MARKERS)]
        ax.plot(*own.T, marker, color=colour, ms=6, alpha=0.75, mec="white", mew=0.4)
        picture = OffsetImage(image, cmap="Greys", zoom=0.9, norm=plt.Normalize(0, 1))
        frame = dict(edgecolor=colour, lw=1.5, boxstyle="square,pad=0")
        ax.add_artist(AnnotationBbox(picture, own.mean(0), pad=0, bboxprops=frame))
    ax.set(xticks=[], yticks=[], xlabel="first direction", ylabel="second direction")
    ax.margins(0.08)
    return ax


def marks_by_row(table: pd.DataFrame, ax: Axes, label: str, names: Sequence[str]) -> Axes:
    """A line per row of the table, on it a marker per column. names: decides who gets which colour and marker."""
    for i, name in enumerate(table.columns):
        place, apart = names.index(name), 0.36 * (i / max(len(table.columns) - 1, 1) - 0.5)
        style = {"color": list(COLOURS.values())[place % 7], "ms": 6, "ls": "", "alpha": 0.9}
        marker = MARKERS[place % len(MARKERS)]
        rows = np.arange(len(table)) - apart  # none hides another of the same value
        ax.plot(table[name], rows, marker=marker, label=plain(name), **style)
    ax.set_yticks(range(len(table)), [plain(row) for row in table.index], fontsize=8.5)
    ax.set(ylim=(-0.6, len(table) - 0.4), xlabel=label)
    return ax
