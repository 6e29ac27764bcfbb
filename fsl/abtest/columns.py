"""One column of a test's table as numbers, days or texts; the sentence where it cannot be. Knows no other column."""

import numpy as np
import pandas as pd

from fsl.errors import InputError
from fsl.reading.columns import as_labels, as_seconds, decimal_commas
from fsl.reading.sentences import Origin, inert, sentence, show

DAY = 86_400
LARGEST = 1e100  # whose square is still a number
DATES_FROM = 1e7  # a larger number is a date's seconds, a smaller one the number of a day


def numbers(frame: pd.DataFrame, column: str, origin: Origin, may_miss: bool = False) -> np.ndarray:
    """A column of numbers (or true and false) as float64 [n]; nan for what is empty if it `may_miss`.

    Raises InputError with the first line that is none.
    """
    values = as_floats(frame[column])
    wrong = ~(np.abs(values.to_numpy()) < LARGEST)
    if may_miss:
        wrong &= (texts(frame[column]) != "").to_numpy()
    if wrong.any():
        rows = np.flatnonzero(wrong)
        seen = texts(frame[column])[rows[0]]
        wanted = "a number, 0 where nothing happened" if seen == "" else "a number"
        wanted += f" below {LARGEST:.0e}" * bool(np.isfinite(values[rows[0]]))
        said = f"{show(seen) if seen else 'is empty'}, expected {wanted}"
        raise InputError(sentence(origin, rows, column, said))
    return values.to_numpy(float)


def as_floats(values: pd.Series) -> pd.Series:
    """Float64, with decimal commas where the column has them; nan where a text is no number."""
    found = as_labels(values)
    if found.isna().any() and pd.api.types.is_string_dtype(values):
        commas = decimal_commas(values)
        found = found if commas is None else commas
    return found


def days_of(
    frame: pd.DataFrame, column: str | None, origin: Origin
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Days as numbers from 0, from whole numbers or ISO dates, and what each was called."""
    if column is None:
        return None, ()
    seconds = as_seconds(frame[column])
    if seconds.isna().any():
        rows = np.flatnonzero(seconds.isna())
        seen = show(texts(frame[column])[rows[0]])
        said = f"{seen}, expected a day's number or a date such as 2024-06-03"
        raise InputError(sentence(origin, rows, column, said))
    seconds = seconds // DAY if seconds.max() > DATES_FROM else seconds
    codes, levels = pd.factorize(seconds, sort=True)
    first = frame[column].groupby(codes).first()
    return codes, tuple(inert(first[i]) for i in range(len(levels)))


def texts(values: pd.Series) -> pd.Series:
    """As text without spaces around, "" where nothing is."""
    return values.astype("object").where(values.notna(), "").astype(str).str.strip()
