"""Columns of a users or items table as one float matrix. Knows tables; knows no behaviour, so nothing can leak.

Numbers and dates are z-scored over the table, missing ones sit at the mean; short category lists become one-hot
columns, whatever their case; lists of words ("Action Comedy") become one column per word; names, columns of one value,
and texts that are different in nearly every row (ids, free text), are left out. `fit_encoder` keeps how, for new rows.
"""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from fsl.encoder import SEPARATORS, Code, Encoder, as_days, as_text, numbers

MAX_LEVELS = 40
FEW_LEVELS = 10
NEARLY_ALL = 0.9
_NOT_FEATURES = {"user", "item", "name", "title", "description", "url"}
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CODE = r"0\d+"  # 01067 is a place and no quantity


class _Reading(NamedTuple):
    """How a column is read ("number", "value", "word", "frequent value"; "" if it is left out), its values, why not."""

    how: str
    values: pd.Series | None = None
    why_not: str = ""
    separator: str = ""


def encode(table: pd.DataFrame | None, ids: pd.Index, key: str) -> tuple[np.ndarray, list[str]]:
    """Features of the rows named by `ids`: float32 [n_ids, n_features] and the features' names.

    table: a shop's users or items (`key` is "user" or "item"), or None: then there are no features. An id that
    comes again counts once in how a column is read.
    Each text column says how it is read by its shape alone; see the module's first lines.
    """
    encoder = fit_encoder(table, ids, key)
    if table is None:
        return np.zeros((len(ids), 0), dtype=np.float32), []
    rows = _rows(table, ids, key)
    return encoder.transform(rows)[rows.index.get_indexer(ids)], encoder.names


def fit_encoder(table: pd.DataFrame | None, ids: pd.Index, key: str) -> Encoder:
    """How `encode` reads the columns of that table for those ids, to be used on other rows, too."""
    if table is None:
        return Encoder()
    rows = _rows(table, ids, key)
    codes = [_code(rows[column], _read(rows[column])) for column in rows.columns]
    return Encoder(tuple(code for code in codes if code is not None))


def _code(column: pd.Series, reading: _Reading) -> Code | None:
    name, values = str(column.name), reading.values
    if not reading.how:
        return None
    if reading.how == "number":
        number = values.to_numpy(dtype=float)
        number = number[np.isfinite(number)]
        how = "date" if _is_date(column) else "number"
        return Code(name, how, float(number.mean()), float(number.std()))
    how = "word" if reading.how == "word" else "value"
    return Code(
        name, how, levels=tuple(sorted(values.dropna().unique())), separator=reading.separator
    )


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
    text = as_text(column)
    return _read_text(text, text.nunique(), int(text.notna().sum()))


def _read_text(text: pd.Series, n_levels: int, n_given: int) -> _Reading:
    if n_levels < 2:
        return _Reading("", why_not=_too_few(text))
    if n_levels > max(FEW_LEVELS, NEARLY_ALL * n_given):  # an id, or free text
        return _Reading("", why_not="nearly every row has its own value")
    is_short = n_levels <= max(FEW_LEVELS, n_given / 2)
    if is_short and n_levels <= MAX_LEVELS:
        return _Reading("value", text)
    for separator in SEPARATORS:
        words = text.str.split(separator, regex=True).explode().dropna()
        if 2 <= words.nunique() <= min(MAX_LEVELS, n_levels - 1):
            return _Reading("word", words, separator=separator)
    counts = text.value_counts()
    if is_short and counts.head(MAX_LEVELS).sum() >= 0.5 * n_given:
        return _Reading("frequent value", text.where(text.isin(counts.index[:MAX_LEVELS])))
    return _Reading("", why_not=f"{n_levels:,} values in {n_given:,} rows")


def _too_few(values: pd.Series) -> str:
    return "there is only one value" if values.notna().any() else "it is empty"


def _as_number(column: pd.Series) -> pd.Series | None:
    """Numbers as they are, dates in days; None where fewer than 95 % of the values given are either, or for codes."""
    if _is_date(column):
        return as_days(column)
    if pd.api.types.is_numeric_dtype(column):
        return numbers(column)
    given = column.dropna().astype(str)
    if len(given) == 0 or given.str.fullmatch(_CODE).any():
        return None
    number = numbers(column)
    return number if number.notna().sum() >= 0.95 * len(given) else None


def _is_date(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return not pd.api.types.is_numeric_dtype(column)
    given = column.dropna().astype(str)
    if len(given) == 0 or given.str.fullmatch(_CODE).any():
        return False
    return bool(given.str.match(_ISO_DATE).mean() >= 0.95)
