"""What is in a column: ids as text, numbers, seconds, features. Knows no file and no other column."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fsl.reading.sentences import SHOWN

NOTHING = ("NA", "N/A", "nan", "NaN", "null", "NULL", "None", "<NA>", "\\N")
FIRST_DAY = 19_000_101
LAST_DAY = 21_001_231


def as_numbers(values: pd.Series) -> pd.Series:
    """Float64, NaN where a value is no number."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(np.nan, index=values.index)
    return pd.to_numeric(values, errors="coerce").astype("float64")


def as_seconds(values: pd.Series) -> pd.Series:
    """Unix seconds, float64, from numbers, dates or ISO 8601 texts (UTC if no zone is given); NaN where none."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return _since_1970(pd.to_datetime(values, utc=True))
    seconds = as_numbers(values)
    rest = seconds.isna() & values.notna() & ~values.isin(["nan", "NaN"])
    if rest.any():
        times = pd.to_datetime(values[rest], format="ISO8601", utc=True, errors="coerce")
        seconds[rest] = _since_1970(times)
    return seconds


def _since_1970(times: pd.Series) -> pd.Series:
    # Whole microseconds: nanoseconds overflow in 2262, and differences of floats lose a microsecond.
    micros = times.dt.tz_convert(None).to_numpy("datetime64[us]")
    seconds = micros.astype("int64") / 1e6
    return pd.Series(np.where(np.isnat(micros), np.nan, seconds), index=times.index)


def as_ids(array: pa.Array) -> tuple[pa.Array, int]:
    """Ids as text: 7 and 7.0 become "7", "007" stays; and how many had spaces around them."""
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_finite(array), array, None)
        exact = pc.and_(pc.equal(array, pc.floor(array)), pc.less(pc.abs(array), 2.0**53))
        whole = pc.all(exact, min_count=0).as_py()
        array = pc.cast(array, pa.int64()) if whole else array
    text = pc.cast(array, pa.string())
    trimmed = pc.utf8_trim_whitespace(text)
    return trimmed, pc.sum(pc.not_equal(text, trimmed)).as_py() or 0


def as_scenes(array: pa.Array) -> pa.Array:
    """Scenes as text; an empty one is a missing value."""
    text, _ = as_ids(array)
    return pc.if_else(pc.equal(text, ""), None, text)


def as_floats(name: str, array: pa.Array, offset: int, raw: dict) -> pa.Array:
    """Float64, NaN where a text is none; the first of those texts are kept in `raw` for the sentence."""
    texts = pc.utf8_trim_whitespace(array) if pa.types.is_string(array.type) else array
    try:
        if pa.types.is_timestamp(array.type):
            raise pa.ArrowInvalid("a date is a timestamp or nothing")
        values = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        convert = as_seconds if name == "timestamp" else as_numbers
        values = convert(texts.to_pandas()).to_numpy()
    kept = raw.setdefault(name, {})
    for row in np.flatnonzero(~np.isfinite(values))[: max(SHOWN - len(kept), 0)]:
        value = array[int(row)].as_py()
        kept[offset + int(row)] = "" if value is None else str(value)
    return pa.array(values, pa.float64(), from_pandas=False)


def as_feature(values: pd.Series, declared: str | None = None) -> pd.Series:
    """Float64 if all that is there is a number, else text, dates as ISO 8601; NaN where there is nothing.

    declared: RecBole's type; a token stays text. So does a column with a code such as 007 in it.
    """
    if pd.api.types.is_numeric_dtype(values):
        return values.astype("float64")
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.map(lambda time: time.isoformat(), na_action="ignore").astype("str")
    texts = values.where(values.str.strip() != "")
    if declared not in (None, "float"):
        return texts
    there = texts[~texts.isin(NOTHING) & texts.notna()]
    numbers = as_numbers(there)
    is_code = there.str.fullmatch(r"0\d+").any()
    if numbers.isna().any() or is_code or there.empty:
        return texts
    return numbers.reindex(texts.index)


def compact_dates(frame: pd.DataFrame, label: str) -> list[str]:
    """20240531 in every row is a day and not a second of 1970."""
    seconds = frame["timestamp"]
    if not len(seconds) or not seconds.between(FIRST_DAY, LAST_DAY).all():
        return []
    days = pd.to_datetime(seconds.map("{:.0f}".format), format="%Y%m%d", errors="coerce", utc=True)
    if days.isna().any():
        return []
    frame["timestamp"] = as_seconds(days)
    return [f"{label}: timestamps such as {seconds.iloc[0]:.0f} are read as days."]
