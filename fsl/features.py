"""Columns of a users or items table as one float matrix. Knows tables; knows no behaviour, so nothing can leak.

Numbers and dates are z-scored over the table, missing ones sit at the mean; short category lists become one-hot
columns, whatever their case; lists of words ("Action Comedy") become one column per word; names, columns of one value,
and texts that are different in nearly every row (ids, free text), are left out.
"""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

MAX_LEVELS = 40
FEW_LEVELS = 10
NEARLY_ALL = 0.9
_NOT_FEATURES = {"user", "item", "name", "title", "description", "url"}
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CODE = r"0\d+"  # 01067 is a place and no quantity
_SEPARATORS = (r"\s*\|\s*", r"\s*>\s*", r"\s*;\s*", r"\s*,\s*", r"\s+")


class _Reading(NamedTuple):
    """How a column is read ("number", "value", "word", "frequent value"; "" if it is left out), its values, why not."""

    how: str
    values: pd.Series | None = None
    why_not: str = ""


def encode(table: pd.DataFrame | None, ids: pd.Index, key: str) -> tuple[np.ndarray, list[str]]:
    """Features of the rows named by `ids`: float32 [n_ids, n_features] and the features' names.

    table: a shop's users or items (`key` is "user" or "item"), or None: then there are no features. An id that
    comes again counts once in how a column is read.
    Each text column says how it is read by its shape alone; see the module's first lines.
    """
    if table is None:
        return np.zeros((len(ids), 0), dtype=np.float32), []
    rows = _rows(table, ids, key)
    blocks, names = [np.zeros((len(rows), 0))], []
    for column in rows.columns:
        block, labels = _block(_read(rows[column]), rows.index)
        blocks.append(block)
        names += [f"{column}={label}" if label else str(column) for label in labels]
    return np.hstack(blocks).astype(np.float32)[rows.index.get_indexer(ids)], names


def features_of_columns(table: pd.DataFrame, ids: pd.Index, key: str) -> dict[str, str]:
    """What `encode` makes of every column but the key: `3 features, one per value`, or `left out: …`."""
    rows = _rows(table, ids, key)
    return {column: _said(_read(rows[column])) for column in rows.columns}


def _rows(table: pd.DataFrame, ids: pd.Index, key: str) -> pd.DataFrame:
    return table.set_index(key).reindex(pd.Index(ids, name=key).unique())


def _said(reading: _Reading) -> str:
    if reading.how == "number":
        return "1 feature, a number"
    if not reading.how:
        return f"left out: {reading.why_not}"
    return f"{reading.values.nunique()} features, one per {reading.how}"


def _read(column: pd.Series) -> _Reading:
    """Decide how a column is read, by its shape alone."""
    if str(column.name).lower() in _NOT_FEATURES:
        return _Reading("", why_not="a column of that name is for people")
    number = _as_number(column)
    if number is not None:
        finite = number.replace([np.inf, -np.inf], np.nan)
        if finite.std(ddof=0) > 0:
            return _Reading("number", finite)
        return _Reading("", why_not=_too_few(finite))
    text = column.astype("string").str.strip().str.casefold()
    return _read_text(text, text.nunique(), int(text.notna().sum()))


def _read_text(text: pd.Series, n_levels: int, n_given: int) -> _Reading:
    if n_levels < 2:
        return _Reading("", why_not=_too_few(text))
    if n_levels > max(FEW_LEVELS, NEARLY_ALL * n_given):  # an id, or free text
        return _Reading("", why_not="nearly every row has its own value")
    is_short = n_levels <= max(FEW_LEVELS, n_given / 2)
    if is_short and n_levels <= MAX_LEVELS:
        return _Reading("value", text)
    for separator in _SEPARATORS:
        words = text.str.split(separator, regex=True).explode().dropna()
        if 2 <= words.nunique() <= min(MAX_LEVELS, n_levels - 1):
            return _Reading("word", words)
    counts = text.value_counts()
    if is_short and counts.head(MAX_LEVELS).sum() >= 0.5 * n_given:
        return _Reading("frequent value", text.where(text.isin(counts.index[:MAX_LEVELS])))
    return _Reading("", why_not=f"{n_levels:,} values in {n_given:,} rows")


def _too_few(values: pd.Series) -> str:
    return "there is only one value" if values.notna().any() else "it is empty"


def _block(reading: _Reading, index: pd.Index) -> tuple[np.ndarray, list[str]]:
    """One block of columns and its labels; `[""]` labels a single numeric column, `[]` a column left out."""
    if not reading.how:
        return np.zeros((len(index), 0)), []
    if reading.how == "number":
        return _z_scored(reading.values), [""]
    if reading.how == "word":
        return _multi_hot(reading.values, index)
    return _one_hot(reading.values)


def _as_number(column: pd.Series) -> pd.Series | None:
    """Numbers as they are, dates in days; None where fewer than 95 % of the values given are either, or for codes."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return _days(column)
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    given = column.dropna().astype(str)
    if len(given) == 0 or given.str.fullmatch(_CODE).any():
        return None
    if given.str.match(_ISO_DATE).mean() >= 0.95:
        return _days(pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True))
    number = pd.to_numeric(column, errors="coerce").astype(float)
    return number if number.notna().sum() >= 0.95 * len(given) else None


def _days(dates: pd.Series) -> pd.Series:
    return (dates - pd.Timestamp(0, tz=getattr(dates.dt, "tz", None))) / pd.Timedelta(days=1)


def _z_scored(number: pd.Series) -> np.ndarray:
    values = number.to_numpy(dtype=float)
    known = np.isfinite(values)
    return np.where(known, (values - values[known].mean()) / values[known].std(), 0)[:, None]


def _one_hot(text: pd.Series) -> tuple[np.ndarray, list[str]]:
    block = pd.get_dummies(text, dtype=float)
    return block.to_numpy(), [str(label) for label in block.columns]


def _multi_hot(words: pd.Series, index: pd.Index) -> tuple[np.ndarray, list[str]]:
    block = pd.crosstab(words.index, words.to_numpy()).clip(upper=1).reindex(index, fill_value=0)
    return block.to_numpy(dtype=float), [str(label) for label in block.columns]
