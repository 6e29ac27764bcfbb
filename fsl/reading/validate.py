"""What makes three tables a shop, and what is wrong when they are not one. Knows no file format."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from fsl.errors import InputError
from fsl.reading.columns import LARGEST, as_labels, as_numbers, as_seconds, iso_of_german
from fsl.reading.likely import missing_column
from fsl.reading.sentences import Origin, listed, sentence, show

KEYS = {"interactions": ("user", "item"), "users": ("user",), "items": ("item",)}
NUMBERS = ("rating", "label", "timestamp")
YEAR_1 = -62_135_596_800.0
YEAR_3000 = 32_503_680_000.0
LARGEST_RATING = 1e6
CONVERT = {"rating": as_numbers, "label": as_labels, "timestamp": as_seconds}
NO_IDS = ("", "null", "NULL", "nan", "NaN", "None", "<NA>", "\\N")
EXPECTED = {
    "rating": "a finite number",
    "label": "0 or 1",
    "timestamp": "Unix seconds or an ISO 8601 time such as 2024-05-31T18:00:00",
}


def typed(table: pd.DataFrame, role: str) -> pd.DataFrame:
    """A copy with rows numbered from 0, no categorical keys, and (interactions) numbers as float64."""
    table = table.reset_index(drop=True).copy(deep=False)
    for column in table.columns.intersection(KEYS[role]):
        if isinstance(table[column].dtype, pd.CategoricalDtype):
            table[column] = table[column].astype(table[column].cat.categories.dtype)
    if role == "interactions":
        for column in table.columns.intersection(NUMBERS):
            table[column] = CONVERT[column](table[column])
    return table


def table_problems(table: pd.DataFrame, role: str, origin: Origin) -> list[str]:
    """Every problem that one table has by itself, one sentence each. Rows are named by their index label."""
    missing = [key for key in KEYS[role] if key not in table.columns]
    if missing:
        return [missing_column(key, table.columns, origin) for key in missing]
    if table.empty:
        one = role.removesuffix("s")
        return [f"{origin.label}: there are no rows, expected one for each {one}."]
    problems = [p for key in KEYS[role] for p in _key_problems(table[key], origin, role)]
    if role == "interactions":
        for column in table.columns.intersection(NUMBERS):
            problems += _number_problems(table[column], origin)
        return problems
    return problems + _feature_problems(table, origin)


def _key_problems(keys: pd.Series, origin: Origin, role: str) -> list[str]:
    blank = keys.isna()
    if _is_text(keys):
        blank |= keys.isin(NO_IDS)
    problems = []
    if blank.any():
        rows = keys.index[blank].to_numpy()
        seen = origin.raw.get(keys.name, {}).get(rows[0], keys.loc[rows[0]])
        seen = "empty" if pd.isna(seen) or not str(seen).strip() else show(seen)
        problems.append(sentence(origin, rows, keys.name, f"{seen}, expected an id"))
    if _is_mixed(keys):
        problems.append(
            f"{origin.label}, column {keys.name!r}: ids of several types or none that is simple; "
            "expected all text or all numbers."
        )
    elif role != "interactions":
        problems += _repeated(keys[~blank], origin)
    return problems


def _is_mixed(values: pd.Series) -> bool:
    kind = pd.api.types.infer_dtype(values) if pd.api.types.is_object_dtype(values) else ""
    return kind in ("mixed", "mixed-integer")


def _is_text(values: pd.Series) -> bool:
    return pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)


def _repeated(keys: pd.Series, origin: Origin) -> list[str]:
    again = keys.index[keys.duplicated()].to_numpy()
    if not len(again):
        return []
    said = f"{show(keys.loc[again[0]])} is there already, expected each {keys.name} once"
    return [sentence(origin, again, keys.name, said)]


def _number_problems(values: pd.Series, origin: Origin) -> list[str]:
    bad = ~np.isfinite(values.to_numpy())
    if values.name == "label":
        bad |= ~np.isin(values.to_numpy(), (0.0, 1.0))
    problems = _value_sentence(values, bad, origin, f"expected {EXPECTED[values.name]}")
    if values.name == "timestamp":
        early, late = ~bad & (values.to_numpy() < YEAR_1), ~bad & (values.to_numpy() > YEAR_3000)
        said = "expected Unix seconds; before the year 1"
        problems += _value_sentence(values, early, origin, said)
        said = "expected Unix seconds; after the year 3000, so divide by 1000 if these are milliseconds"
        problems += _value_sentence(values, late, origin, said)
    if values.name == "rating":
        huge = ~bad & (np.abs(values.to_numpy()) > LARGEST_RATING)
        said = "expected a rating between -1000000 and 1000000"
        problems += _value_sentence(values, huge, origin, said)
    return problems


def _value_sentence(values: pd.Series, bad: np.ndarray, origin: Origin, said: str) -> list[str]:
    rows = values.index[bad].to_numpy()
    if not len(rows):
        return []
    seen = origin.raw.get(values.name, {}).get(rows[0], values.loc[rows[0]])
    shown = "empty" if isinstance(seen, str) and not seen.strip() else show(seen)
    said += _as_expected(str(seen), values.name)
    return [sentence(origin, rows, values.name, f"{shown}, {said}")]


def _as_expected(seen: str, column: str) -> str:
    if column == "timestamp" and (iso := iso_of_german(seen)):
        return f"; write {iso}"
    return " with a decimal point" if column == "rating" and "," in seen else ""


def _feature_problems(table: pd.DataFrame, origin: Origin) -> list[str]:
    numeric = table.select_dtypes("number")
    problems = []
    for column in numeric:
        size = np.abs(numeric[column].to_numpy("float64", na_value=np.nan))
        huge = (size > LARGEST) & ~np.isinf(size)
        for bad, said in (
            (np.isinf(size), "a finite number"),
            (huge, "a number up to 1e15 in size"),
        ):
            problems += _value_sentence(table[column], bad, origin, f"expected {said} or nothing")
    return problems


def unknown_rows(interactions: pd.DataFrame, table: pd.DataFrame | None, key: str) -> np.ndarray:
    """bool [n_interactions]: True where `table` is given and does not know the row's user (item)."""
    if table is None or key not in table:
        return np.zeros(len(interactions), bool)
    codes, ids = pd.factorize(interactions[key])
    known = np.append(pd.Index(ids).isin(table[key]) | pd.Index(ids).isin(NO_IDS), True)
    return ~known[codes]  # code -1 is a missing id, a problem of its own


def repeated_rows(interactions: pd.DataFrame, keep: str = "first") -> np.ndarray:
    """bool [n_interactions]: the same user and item again, with the same time and scene if there are any."""
    users, items = (pd.factorize(interactions[key])[0] for key in ("user", "item"))
    pair = pd.Series(users * np.int64(items.max(initial=0) + 1) + items)
    again = pair.duplicated(keep=False).to_numpy() & (users >= 0) & (items >= 0)
    if "timestamp" in interactions:
        again &= np.isfinite(interactions["timestamp"].to_numpy())
    if again.any():
        keys = pd.DataFrame({"pair": pair[again].to_numpy()})
        for column in interactions.columns.intersection(["timestamp", "scene"]):
            keys[column] = interactions[column].to_numpy()[again]
        again[again] = keys.duplicated(keep=keep).to_numpy()
    return again


def cross_problems(
    tables: Mapping[str, pd.DataFrame | None], origins: Mapping[str, Origin]
) -> list[str]:
    """Of the interactions: users and items that are not known, and rows that nothing tells apart."""
    interactions, origin = tables["interactions"], origins["interactions"]
    keys = [
        table[c]
        for table in tables.values()
        if table is not None
        for c in KEYS["interactions"]
        if c in table
    ]
    if not {"user", "item"} <= set(interactions.columns) or any(map(_is_mixed, keys)):
        return []
    if interactions.empty:
        return []
    problems = []
    for key in ("user", "item"):
        rows = interactions.index[unknown_rows(interactions, tables[key + "s"], key)].to_numpy()
        if len(rows):
            hint = "; --drop-unknown goes on without them" if origin.by_option else ""
            first = show(interactions[key].loc[rows[0]])
            said = f"{first} is not in {origins[key + 's'].label}, expected a known {key}{hint}"
            said += _other_type(interactions[key], tables[key + "s"][key])
            problems.append(sentence(origin, rows, key, said))
    rows = interactions.index[repeated_rows(interactions)].to_numpy()
    if len(rows):
        problems.append(sentence(origin, rows, "item", _twice(interactions, rows[0], origin)))
    return problems


def _other_type(ids: pd.Series, known: pd.Series) -> str:
    same = _is_text(ids) == _is_text(known)
    return "" if same else f"; ids are {ids.dtype} here and {known.dtype} there"


def _twice(interactions: pd.DataFrame, row: int, origin: Origin) -> str:
    first = interactions.loc[row]
    apart = "at another time" if "timestamp" in interactions else "with a timestamp"
    hint = "; --duplicates last or --duplicates mean goes on" if origin.by_option else ""
    return (
        f"user {show(first['user'])} has item {show(first['item'])} already, "
        f"expected once or {apart}{hint}"
    )


def check(
    tables: Mapping[str, pd.DataFrame | None],
    origins: Mapping[str, Origin],
    earlier: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raise InputError with every problem of the tables (and `earlier` ones), each file's first ten."""
    problems = []
    for role in [role for role in tables if tables[role] is not None]:
        own = [*(earlier or {}).get(role, ())]
        if not own or len(tables[role]):  # rows that cannot be read are no missing rows
            own += table_problems(tables[role], role, origins[role])
        own += cross_problems(tables, origins) if role == "interactions" else []
        problems += listed(own, origins[role].label)
    if problems:
        raise InputError(*problems)
