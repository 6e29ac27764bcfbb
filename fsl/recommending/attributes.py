"""A newcomer's own columns (a phone's price and brand, a person's age) as features. Knows no behaviour and no file."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.encoder import Code, Encoder, as_days, numbers
from fsl.errors import InputError
from fsl.reading.columns import decimal_commas
from fsl.reading.money import prices
from fsl.reading.sentences import show

MISSING = ("", "NA", "N/A", "nan", "NaN", "null", "NULL", "None", "<NA>")

NO_FEATURES = {"item", "user", "name", "title"}


class Content(NamedTuple):
    """features: float64 [n_features], or None where nothing is known. said: column -> its value as given. notes: what
    a person should know of how the columns were read."""

    features: Tensor | None
    said: Mapping[str, str]
    notes: tuple[str, ...] = ()


def content_of(given: Mapping[str, object] | None, encoder: Encoder) -> Content:
    """The features of one newcomer. given: column -> value; columns are known in any case; those that the model does
    not know are noted.

    Raises InputError for a number or a date that is none, and where no column at all is known.
    """
    if not given or not encoder.codes:
        return Content(None, {})
    columns = {_plain(column): value for column, value in given.items()}
    values = {c.column: columns.pop(_plain(c.column), None) for c in encoder.codes}
    values = {column: value for column, value in values.items() if not _is_missing(value)}
    if not values:
        wanted = ", ".join(dict.fromkeys(encoder.sources))
        known = {_plain(column) for column in given} & {
            _plain(code.column) for code in encoder.codes
        }
        why = "has a value" if known else "is a feature that the model knows"
        raise InputError(f"none of the columns {why}, expected some of {wanted}.")
    blocks, notes = [], []
    for code in encoder.codes:
        block = np.zeros(len(code.names()))
        if code.column in values:
            block = code.features(pd.Series([_read(code, values[code.column])]))[0]
            if code.levels and not block.any():
                seen = f"{code.column} {show(str(values[code.column]))}"
                notes.append(f"{seen} is new to the model, and counts as unknown.")
        blocks.append(block)
    strange = [
        show(str(column)) for column in given if _plain(column) in set(columns) - NO_FEATURES
    ]
    if strange:
        notes.append(f"not used, since the model knows no such column: {', '.join(strange)}.")
    row = torch.from_numpy(np.concatenate(blocks).astype(np.float32)).double()
    return Content(row, {name: str(value).strip() for name, value in values.items()}, tuple(notes))


def _read(code: Code, value: object) -> object:
    """A value as the column's code wants it."""
    if code.how == "number":
        number = value if isinstance(value, int | float) else numbers(pd.Series([value]))[0]
        if number != number:
            commas = decimal_commas(pd.Series([str(value)]))
            number = number if commas is None else float(commas[0])
        if number != number and (priced := prices(pd.Series([str(value)]))) is not None:
            number = float(priced[0][0])
        if not abs(number) < 1e15:
            raise InputError(f"column {show(code.column)}: {show(value)}, expected a number.")
        return float(number)
    if code.how == "date":
        if as_days(pd.Series([value])).isna()[0]:
            raise InputError(
                f"column {show(code.column)}: {show(value)}, expected a date such as 2024-05-31."
            )
        return value
    return str(value)


def _is_missing(value: object) -> bool:
    return value is None or str(value).strip() in MISSING


def _plain(column: object) -> str:
    return str(column).strip().casefold()
