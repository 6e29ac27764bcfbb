"""An item's columns as one sentence, for encoders of texts, and its embedding as features for every learner.

Knows a shop's items; knows no behaviour, so nothing can leak. `fsl.content` has the same columns as words, one-hot.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from fsl.data import Shop
from fsl.errors import InputError
from fsl.tasks import Tasks

FIRST = ("brand", "name", "title", "model", "category")
GRADES = ("very low", "low", "high", "very high")
KINDS = ("one-hot", "text", "both")


class Encodes(Protocol):
    """What `fsl.encoders.text_encoder` gives."""

    def encode(self, inputs: Sequence[str]) -> np.ndarray:
        """float32 [n, d]."""


def item_texts(shop: Shop, ids: pd.Index | None = None) -> list[str]:
    """One sentence an item: brand, name, category path, then every other column, the price last; "" if all is missing.

    "brand Apple; name iPhone SE; price 429 (low)." A number is followed by its quarter of the shop's items, since
    encoders read numbers poorly. Names that are codes in most rows, such as ASINs, are left out. ids: which items, in
    which order; None takes the table's. Raises InputError for a shop without a table of items.
    """
    if shop.items is None:
        raise InputError(f"{shop.name}: item texts need a table of items, and there is none.")
    items = shop.items.set_index("item")
    said = {column: _said(items[column]) for column in _ordered(items)}
    parts = [
        words.map(
            lambda word, column=column: f"{column.replace('_', ' ')} {word}", na_action="ignore"
        )
        for column, words in said.items()
    ]
    texts = [_sentence(row) for row in zip(*parts, strict=True)] if parts else [""] * len(items)
    told = pd.Series(texts, index=items.index)
    return told.reindex(items.index if ids is None else ids, fill_value="").tolist()


def _ordered(items: pd.DataFrame) -> list[str]:
    """The columns in the order in which they are said."""
    kept = [column for column in items.columns if not _is_code(items[column])]
    rest = [column for column in kept if column not in (*FIRST, "price")]
    return [c for c in FIRST if c in kept] + rest + [c for c in ("price",) if c in kept]


def _is_code(column: pd.Series) -> bool:
    """Most values are one word with a digit and no small letter: an article number, which no encoder can read."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    given = column.dropna().astype(str)
    code = given.str.fullmatch(r"[^\sa-z]*\d[^\sa-z]*") & ~given.str.fullmatch(r"[\d:.,T+-]+Z?")
    ids = column.name in ("name", "title", "model")
    return bool(ids and len(given) and (code | given.str.fullmatch(r"\d+")).mean() > 0.5)


def _said(column: pd.Series) -> pd.Series:
    """Each value in words; missing stays missing."""
    if not pd.api.types.is_numeric_dtype(column):
        return column.astype("string").str.strip().replace("", pd.NA).astype(object)
    numbers = column.astype(float).replace([np.inf, -np.inf], np.nan)
    cuts = numbers.quantile([0.25, 0.5, 0.75]).to_numpy()
    grades = np.array(GRADES)[np.searchsorted(cuts, numbers.fillna(0))]
    words = [f"{number:g} ({grade})" for number, grade in zip(numbers, grades, strict=True)]
    return pd.Series(words, column.index, dtype=object).where(numbers.notna())


def _sentence(parts: Sequence[object]) -> str:
    given = [part for part in parts if isinstance(part, str)]
    return "; ".join(given) + "." if given else ""


def with_item_text(
    tasks: Tasks,
    shop: Shop,
    encoder: Encodes,
    fitted_on: np.ndarray,
    kind: str = "text",
    n_components: int = 32,
) -> Tasks:
    """The tasks, with items whose features are their text's embedding, or that and the columns; for every learner.

    kind: "one-hot" leaves the features as they are, "text" puts the embedding in their place, "both" beside them.
    The embedding is cut to its first principal components and scaled by one number, so that its features weigh as much
    as the one-hot ones (the same mean square sum over items): the same shrinkage then means the same.
    fitted_on: bool [n_items], the items that mean, components and scale may see: the training items, never new ones.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "one-hot":
        return tasks
    side = "subject" if tasks.kind == "item" else "object"
    ids = getattr(tasks, f"{side}_ids")
    old = getattr(tasks, f"{side}_features")
    x = text_features(encoder.encode(item_texts(shop, ids)), fitted_on, n_components)
    weight = _mean_square(old.numpy(), fitted_on) or 1.0
    new = torch.from_numpy(x * weight**0.5).float()
    names = [f"text {n}" for n in range(new.shape[1])]
    if kind == "both":
        new, names = torch.cat([old, new], 1), getattr(tasks, f"{side}_feature_names") + names
    return replace(tasks, **{f"{side}_features": new, f"{side}_feature_names": names})


def text_features(vectors: np.ndarray, fitted_on: np.ndarray, n_components: int) -> np.ndarray:
    """(x − x̄) V, V the first principal axes of the rows `fitted_on`, scaled to a mean square sum of 1 over them.

    vectors: [n, d]. Returns float64 [n, m], m at most n_components and the rows fitted on less one.
    Raises InputError for fewer than two rows to fit on.
    """
    if fitted_on.sum() < 2:
        raise InputError(f"text features want two items to fit on, got {int(fitted_on.sum())}.")
    x = np.asarray(vectors, float) - np.asarray(vectors[fitted_on], float).mean(0)
    _, _, axes = np.linalg.svd(x[fitted_on], full_matrices=False)
    scores = x @ axes[: min(n_components, int(fitted_on.sum()) - 1)].T
    return scores / max((scores[fitted_on] ** 2).sum(1).mean() ** 0.5, 1e-9)


def _mean_square(features: np.ndarray, rows: np.ndarray) -> float:
    """Mean over the rows of the square sum of their features, less the mean row."""
    if not features.shape[1]:
        return 0.0
    centred = features[rows] - features[rows].mean(0)
    return float((centred.astype(float) ** 2).sum(1).mean())
