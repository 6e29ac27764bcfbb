"""Columns of a users or items table as one float matrix. Knows tables; knows no behaviour, so nothing can leak.

Numbers and dates are z-scored over the table, missing ones sit at the mean; short category lists become one-hot
columns, whatever their case; lists of words ("Action Comedy") become one column per word; names, and texts that are
different in nearly every row (ids, free text), are left out.
"""

import re

import numpy as np
import pandas as pd

MAX_LEVELS = 40
_NOT_FEATURES = {"user", "item", "name", "title", "description", "url"}
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SEPARATORS = (r"\s*\|\s*", r"\s*>\s*", r"\s*;\s*", r"\s*,\s*", r"\s+")


def encode(table: pd.DataFrame | None, ids: pd.Index, key: str) -> tuple[np.ndarray, list[str]]:
    """Features of the rows named by `ids`: float32 [n_ids, n_features] and the features' names.

    table: a shop's users or items (`key` is "user" or "item"), or None: then there are no features.
    Each text column says how it is read by its shape alone; see the module's first lines.
    """
    if table is None:
        return np.zeros((len(ids), 0), dtype=np.float32), []
    rows = table.set_index(key).reindex(ids)
    blocks, names = [np.zeros((len(ids), 0))], []
    for column in rows.columns:
        if str(column).lower() not in _NOT_FEATURES:
            block, labels = _encode_column(rows[column])
            blocks.append(block)
            names += [f"{column}={label}" if label else str(column) for label in labels]
    return np.hstack(blocks).astype(np.float32), names


def _encode_column(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """One block of columns and its labels; `[""]` labels a single numeric column, `[]` a column left out."""
    number = _as_number(column)
    if number is not None:
        return _z_scored(number), [""]
    text = column.astype("string").str.strip().str.casefold()
    n_levels = text.nunique()
    if n_levels > 10 and n_levels > 0.9 * text.notna().sum():
        return np.zeros(
            (len(column), 0)
        ), []  # a value of its own in nearly every row: an id, or free text
    if 2 <= n_levels <= MAX_LEVELS:
        return _one_hot(text)
    for separator in _SEPARATORS:
        words = text.str.split(separator, regex=True).explode().dropna()
        if 2 <= words.nunique() <= MAX_LEVELS:
            return _multi_hot(words, column.index)
    if text.value_counts().head(MAX_LEVELS).sum() >= 0.5 * text.notna().sum() and n_levels > 1:
        common = text.value_counts().index[:MAX_LEVELS]
        return _one_hot(text.where(text.isin(common)))
    return np.zeros((len(column), 0)), []


def _as_number(column: pd.Series) -> pd.Series | None:
    """Numbers as they are, dates in days; None where fewer than 95 % of the values given are either."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return _days(column)
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    given = column.dropna().astype(str)
    if len(given) == 0:
        return None
    if given.str.match(_ISO_DATE).mean() >= 0.95:
        return _days(pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True))
    number = pd.to_numeric(column, errors="coerce").astype(float)
    return number if number.notna().sum() >= 0.95 * len(given) else None


def _days(dates: pd.Series) -> pd.Series:
    return (dates - pd.Timestamp(0, tz=getattr(dates.dt, "tz", None))) / pd.Timedelta(days=1)


def _z_scored(number: pd.Series) -> np.ndarray:
    values = number.replace([np.inf, -np.inf], np.nan).to_numpy(dtype=float)
    known = np.isfinite(values)
    if not known.any() or values[known].std() == 0:
        return np.zeros((len(values), 1))
    return np.where(known, (values - values[known].mean()) / values[known].std(), 0)[:, None]


def _one_hot(text: pd.Series) -> tuple[np.ndarray, list[str]]:
    block = pd.get_dummies(text, dtype=float)
    return block.to_numpy(), [str(label) for label in block.columns]


def _multi_hot(words: pd.Series, index: pd.Index) -> tuple[np.ndarray, list[str]]:
    block = pd.crosstab(words.index, words.to_numpy()).clip(upper=1).reindex(index, fill_value=0)
    return block.to_numpy(dtype=float), [str(label) for label in block.columns]
