"""How each column of a table becomes numbers, remembered: fitted once, kept as JSON, used on rows of another table.

Knows a column's values; `fsl.features` decides how a column is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

SEPARATORS = (r"\s*\|\s*", r"\s*>\s*", r"\s*;\s*", r"\s*,\s*", r"\s+")


class Code(NamedTuple):
    """What one column becomes: how is "number" or "date" ((x − mean) / scale), "value" or "word" (one per level)."""

    column: str
    how: str
    mean: float = 0.0
    scale: float = 1.0
    levels: tuple[str, ...] = ()
    separator: str = ""

    def names(self) -> list[str]:
        """The names of its features."""
        if self.how in ("number", "date"):
            return [self.column]
        return [f"{self.column}={level}" for level in self.levels]

    def features(self, values: pd.Series) -> np.ndarray:
        """float64 [n_rows, n_features]; what is missing, or was never seen before, is 0: the mean, or no level."""
        if self.how in ("number", "date"):
            number = (as_days(values) if self.how == "date" else numbers(values)).to_numpy(float)
            known = np.isfinite(number)
            return np.where(known, (number - self.mean) / self.scale, 0)[:, None]
        text = as_text(values).reset_index(drop=True)
        if self.how == "word":
            text = text.str.split(self.separator, regex=True).explode()
        found = pd.Index(self.levels).get_indexer(text)
        block = np.zeros((len(values), len(self.levels)))
        block[text.index[found >= 0], found[found >= 0]] = 1
        return block


@dataclass(frozen=True)
class Encoder:
    """How the columns of one table become features: fitted by `features.fit_encoder`, kept as JSON, for any rows."""

    codes: tuple[Code, ...] = ()

    @property
    def names(self) -> list[str]:
        """The features' names, as `encode` gives them."""
        return [name for code in self.codes for name in code.names()]

    @property
    def sources(self) -> list[str]:
        """The column that each feature comes from."""
        return [code.column for code in self.codes for _ in code.names()]

    def transform(self, rows: pd.DataFrame) -> np.ndarray:
        """float32 [n_rows, n_features]; a column that `rows` has not is missing in every row."""
        there = {str(column): rows[column] for column in rows.columns}
        none = pd.Series(np.nan, index=rows.index, dtype=object)
        blocks = [code.features(there.get(code.column, none)) for code in self.codes]
        return np.hstack([np.zeros((len(rows), 0)), *blocks]).astype(np.float32)

    def state(self) -> list[dict[str, Any]]:
        """All of it, as JSON can hold it."""
        return [code._asdict() | {"levels": list(code.levels)} for code in self.codes]

    @classmethod
    def from_state(cls, state: list[Mapping[str, Any]]) -> "Encoder":
        """The encoder of a `state`. Raises TypeError, ValueError or KeyError for what is none."""
        return cls(tuple(_code_of(one) for one in state))


def _code_of(state: Mapping[str, Any]) -> Code:
    kinds = {"column": str, "how": str, "mean": float, "scale": float, "separator": str}
    wrong = [name for name, kind in kinds.items() if type(state[name]) is not kind]
    levels = tuple(state["levels"])
    if wrong or not all(isinstance(level, str) for level in levels):
        raise TypeError(f"an encoder's {(wrong or ['levels'])[0]} is of the wrong type")
    if state["how"] not in ("number", "date", "value", "word") or not state["scale"] > 0:
        raise ValueError(f"an encoder reads no column as {state['how']!r}")
    if len(set(levels)) < len(levels) or state["separator"] not in ("", *SEPARATORS):
        raise ValueError("an encoder's levels or separator are none that it makes")
    return Code(**{**state, "levels": levels})


def numbers(column: pd.Series) -> pd.Series:
    """Float64, NaN where there is no number."""
    return pd.to_numeric(column, errors="coerce").astype(float)


def as_days(column: pd.Series) -> pd.Series:
    """Days since 1970, NaN where there is no date."""
    dates = column
    if not pd.api.types.is_datetime64_any_dtype(column):
        dates = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
    return (dates - pd.Timestamp(0, tz=dates.dt.tz)) / pd.Timedelta(days=1)


def as_text(column: pd.Series) -> pd.Series:
    """Texts without spaces around them, whatever their case."""
    return column.astype("string").str.strip().str.casefold()
