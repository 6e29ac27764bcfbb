"""What is in a column: ids as text, numbers, seconds, features. Knows no file and no other column."""

import contextlib
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fsl.reading.money import prices, said_of_prices
from fsl.reading.sentences import SHOWN, show

NOTHING = ("NA", "N/A", "nan", "NaN", "null", "NULL", "None", "<NA>", "\\N")
FIRST_DAY = 19_000_101
LAST_DAY = 21_001_231
JANUARY_1970 = 31 * 86_400
LARGEST = 1e15
SHARE = 0.95
WITH_COMMA = r"-?(0|[1-9]\d*|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?"
THOUSANDS = r"-?[1-9]\d{0,2},\d{3}"
GERMAN_TIMES = {
    "%d.%m.%Y": "%Y-%m-%d",
    "%d.%m.%y": "%Y-%m-%d",
    "%d.%m.%Y %H:%M": "%Y-%m-%dT%H:%M",
    "%d.%m.%Y %H:%M:%S": "%Y-%m-%dT%H:%M:%S",
}
GERMAN_DATE = r"\d{1,2}\.\d{1,2}\.(\d{4}|\d{2})\b.*"


def as_numbers(values: pd.Series) -> pd.Series:
    """Float64, NaN where a value is no number."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(np.nan, index=values.index)
    return pd.to_numeric(values, errors="coerce").astype("float64")


def as_labels(values: pd.Series) -> pd.Series:
    """Float64, 1 and 0 for true and false in any case; NaN where a value is no number."""
    if not pd.api.types.is_string_dtype(values):
        return as_numbers(values)
    answers = values.astype("str").str.strip().str.lower().map({"true": 1.0, "false": 0.0})
    return as_numbers(values.mask(answers.notna())).fillna(answers)


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
        values = _one_by_one(name, texts)
    kept = raw.setdefault(name, {})
    for row in np.flatnonzero(~np.isfinite(values))[: max(SHOWN - len(kept), 0)]:
        value = array[int(row)].as_py()
        kept[offset + int(row)] = "" if value is None else str(value)
    return pa.array(values, pa.float64(), from_pandas=False)


def _one_by_one(name: str, texts: pa.Array) -> np.ndarray:
    if name == "timestamp":
        return as_seconds(texts.to_pandas()).to_numpy()
    if name == "label":
        return as_labels(texts.to_pandas()).to_numpy()
    if pa.types.is_string(texts.type):  # texts with a comma are slow to refuse
        texts = pc.if_else(pc.match_substring(texts, ","), None, texts)
    try:
        return pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return as_numbers(texts.to_pandas()).to_numpy()


def as_feature(values: pd.Series, declared: str | None = None) -> tuple[pd.Series, str]:
    """As `_numbers_or_text` says, but NaN for numbers beyond 1e15 in size: no model can use them."""
    values, said = _numbers_or_text(values, declared)
    if not pd.api.types.is_numeric_dtype(values):
        return values, said
    huge = (values.abs() > LARGEST) & np.isfinite(values)
    if not huge.any():
        return values, said
    more = f"has numbers beyond 1e15 in size ({huge.sum():,}), which become missing values"
    return values.mask(huge), f"{said}; it {more}" if said else more


def _numbers_or_text(values: pd.Series, declared: str | None) -> tuple[pd.Series, str]:
    """Float64 if all that is there is a number, else text, dates as ISO 8601; NaN where there is nothing.

    declared: RecBole's type; a token stays text. So does a column with a code such as 007 in it.
    Returns the values, and what is to be said of the column if that is not plain, else "".
    """
    if pd.api.types.is_numeric_dtype(values):
        return values.astype("float64"), ""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.map(lambda time: time.isoformat(), na_action="ignore").astype("str"), ""
    texts = values.where(values.str.strip() != "")
    there = texts[~texts.isin(NOTHING) & texts.notna()]
    if declared not in (None, "float") or there.empty:
        return texts, ""
    numbers = as_numbers(there)
    if numbers.notna().all() and not there.str.fullmatch(r"0\d+").any():
        return numbers.reindex(texts.index), ""
    decimals = decimal_commas(there, 1.0 if declared else SHARE)
    if decimals is not None:
        return decimals.reindex(texts.index), _said_of_commas(there, decimals)
    if declared is None and (priced := prices(there, SHARE)) is not None:
        return priced[0].reindex(texts.index), said_of_prices(there, *priced)
    return texts, _said_of_text(there)


def decimal_commas(texts: pd.Series, share: float = SHARE) -> pd.Series | None:
    """Float64 of texts such as 109,99 or 1.299,00, NaN for the few that are none.

    None unless at least `share` of them are whole numbers or have one decimal comma, and one has. None also if
    every comma could part thousands, as in 1,234, or if one is used in another way.
    """
    codes, levels = pd.factorize(texts.fillna(""))
    rows, levels = (
        np.bincount(codes, minlength=len(levels)),
        pd.Series(levels, dtype="str").str.strip(),
    )
    commas, fits = levels.str.contains(",", regex=False), levels.str.fullmatch(WITH_COMMA)
    if not commas.any() or (commas & ~fits).any() or _thousands(levels[commas]):
        return None
    if rows[fits].sum() < share * rows[levels != ""].sum():
        return None
    points = levels.where(fits).str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return pd.Series(as_numbers(points).to_numpy()[codes], index=texts.index, name=texts.name)


def _thousands(texts: pd.Series) -> bool:
    return bool(texts.str.fullmatch(THOUSANDS).all())


def _said_of_commas(texts: pd.Series, numbers: pd.Series) -> str:
    others = texts[numbers.isna()]
    said = "has decimal commas and is read as numbers"
    if others.empty:
        return said
    return (
        f"{said}; {len(others):,} of {len(texts):,} values are none, such as {show(others.iloc[0])}"
    )


def _said_of_text(texts: pd.Series) -> str:
    texts = texts.str.strip()
    commas = texts[texts.str.contains(",", regex=False)]
    whole = texts.str.fullmatch(r"-?\d+")
    if len(commas) and len(commas) + whole.sum() == len(texts) and _thousands(commas):
        seen = commas.iloc[0]
        either = f"{seen.replace(',', '.')} or {seen.replace(',', '')}"
        return f"stays text: {show(seen)} could have a decimal comma or thousands; write {either}"
    if texts.str.fullmatch(GERMAN_DATE).mean() >= SHARE:
        seen = texts.iloc[0]
        return f"stays text: {show(seen)} is no date to us; write {iso_of_german(seen) or '2024-06-03'}"
    return ""


def iso_of_german(text: str) -> str | None:
    """3.6.2024 23:03 as 2024-06-03T23:03; None if the text is no such date."""
    for theirs, iso in GERMAN_TIMES.items():
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.strip(), theirs).strftime(iso)
    return None


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


def early_times(frame: pd.DataFrame, label: str) -> list[str]:
    """Day numbers or an own count, read as seconds, all lie in the first month that there is."""
    seconds = frame["timestamp"]
    if not len(seconds) or not seconds.between(0, JANUARY_1970, inclusive="left").all():
        return []
    return [f"{label}: all timestamps lie in January 1970: are they seconds?"]
