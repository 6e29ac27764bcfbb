"""A test's table as arrays: who was shown what, the metrics, the past, the scene and the day. Checks every row.

One row per user, since users were dealt into the arms: rows of one user are not independent. No statistics here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fsl.abtest.columns import as_floats, days_of, numbers, texts
from fsl.errors import InputError
from fsl.reading.sentences import Origin, sentence, show

BEFORE = "_before"
CONTROLS = ("control", "a", "0", "old", "off", "baseline", "kontrolle")
LIKELY = {"segment": ("scene", "segment"), "day": ("day", "date")}


@dataclass(frozen=True, eq=False)
class Trial:
    """n users. treated: bool [n]. metrics: name -> [n]. before: name -> the same metric's past [n], nan where unknown.

    names: control's and treatment's. segments: text [n] or None. days: int [n] from 0, in the order of the calendar, or
    None; day_names: what each was called. notes: what was understood of the table.
    """

    treated: np.ndarray
    names: tuple[str, str]
    metrics: Mapping[str, np.ndarray]
    before: Mapping[str, np.ndarray]
    segments: np.ndarray | None
    days: np.ndarray | None
    day_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def arms(self, values: np.ndarray, where: np.ndarray | None = None) -> tuple:
        """The control's and the treatment's part of values [n], of the rows `where` alone if given."""
        where = np.ones(len(self.treated), bool) if where is None else where
        return values[where & ~self.treated], values[where & self.treated]


def trial_of(
    frame: pd.DataFrame,
    metrics: Sequence[str] = (),
    before: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    control: str | None = None,
    origin: Origin | None = None,
) -> Trial:
    """The `Trial` in a table with columns variant, user, metrics, and where there is one NAME_before, scene and day.

    metrics: the columns to judge; none named: all further columns of numbers. before: metric -> column of its past.
    columns: "variant", "user", "segment" or "day" -> what the table calls it. control: the variant to compare with.
    Raises InputError, one sentence per problem, for missing columns, users twice, values that are no numbers.
    """
    origin, columns, before = origin or Origin("the table"), dict(columns or {}), dict(before or {})
    frame = frame.reset_index(drop=True)
    named = {key: _named(frame, key, columns, origin) for key in ("variant", "user")}
    optional = {key: _optional(frame, key, columns, origin) for key in ("segment", "day")}
    taken = {*named.values(), *optional.values(), *before.values()}
    chosen, notes = _metric_columns(frame, metrics, taken, origin)
    past = _past_columns(frame, chosen, before, origin)
    treated, names = _variants(frame[named["variant"]], control, origin)
    _check_users(frame, named["user"], treated, origin)
    found = {name: numbers(frame, name, origin) for name in chosen}
    pasts = {name: numbers(frame, column, origin, may_miss=True) for name, column in past.items()}
    days, day_names = days_of(frame, optional["day"], origin)
    segments = _segments(frame, optional["segment"])
    return Trial(treated, names, found, pasts, segments, days, day_names, tuple(notes))


def _past_columns(
    frame: pd.DataFrame, chosen: Sequence[str], before: Mapping[str, str], origin: Origin
) -> dict[str, str]:
    """Metric -> the column of its past, for those that have one: as named, else NAME_before."""
    for name, column in before.items():
        _there(frame, column, origin)
        if name not in chosen:
            known = ", ".join(map(show, chosen))
            raise InputError(f"--before {show(name)}: no such metric, expected one of {known}.")
    past = {name: before.get(name, f"{name}{BEFORE}") for name in chosen}
    return {name: column for name, column in past.items() if column in frame}


def _segments(frame: pd.DataFrame, column: str | None) -> np.ndarray | None:
    """Each user's segment as text [n], "not said" where it is empty; None without such a column."""
    if column is None:
        return None
    texts_of = frame[column].astype(str)
    return texts_of.where(texts_of != "", "not said").to_numpy(str)


def _there(frame: pd.DataFrame, column: str, origin: Origin) -> str:
    if column not in frame:
        seen = ", ".join(show(str(c)) for c in frame) or "none"
        raise InputError(
            f"{origin.label}: there is no column {show(column)}; the columns are {seen}."
        )
    return column


def _named(frame: pd.DataFrame, key: str, columns: Mapping[str, str], origin: Origin) -> str:
    if key in columns or key in frame:
        return _there(frame, columns.get(key, key), origin)
    seen = ", ".join(show(str(c)) for c in frame) or "none"
    how = f"name yours with --column {key}=THEIRS"
    raise InputError(f"{origin.label}: there is no column {key!r}; the columns are {seen}; {how}.")


def _optional(frame, key: str, columns: Mapping[str, str], origin: Origin) -> str | None:
    if key in columns:
        return _there(frame, columns[key], origin)
    return next((name for name in LIKELY[key] if name in frame), None)


def _metric_columns(frame, metrics, taken, origin: Origin) -> tuple[list[str], list[str]]:
    """The metrics asked for; else every column left that has a number, and notes on those that have none."""
    if metrics:
        for name in metrics:
            if _there(frame, name, origin) in taken:
                raise InputError(
                    f"{origin.label}: column {show(name)} has another meaning, it cannot be a metric."
                )
        return list(dict.fromkeys(metrics)), []
    left = [c for c in map(str, frame) if c not in taken]
    left = [c for c in left if not (c.endswith(BEFORE) and c.removesuffix(BEFORE) in left)]
    numeric = [c for c in left if as_floats(frame[c]).notna().any()]
    notes = [f"column {show(c)} has no numbers and is left out" for c in left if c not in numeric]
    if not numeric:
        wanted = "a column of numbers beside variant and user"
        raise InputError(f"{origin.label}: there is no metric, expected {wanted}.")
    return numeric, notes


def _variants(values: pd.Series, control: str | None, origin: Origin) -> tuple[np.ndarray, tuple]:
    """treated [n] and (control, treatment)."""
    seen, column = texts(values), str(values.name)
    if (seen == "").any():
        rows = np.flatnonzero(seen == "")
        raise InputError(sentence(origin, rows, column, "is empty, expected the variant's name"))
    found = sorted(set(seen))
    if len(found) != 2:
        few = ", ".join(map(show, found[:5])) + (", …" if len(found) > 5 else "")
        said = f"column {show(column)} names {len(found)} ({few}), expected two"
        raise InputError(f"{origin.label}: {said}; of more, keep the rows of two at a time.")
    control = _control(found, control, origin)
    (treatment,) = [name for name in found if name != control]
    for name in found:
        if (seen == name).sum() < 2:
            said = f"variant {show(name)} has one user, expected 2 or more"
            raise InputError(f"{origin.label}: {said}.")
    return (seen == treatment).to_numpy(bool), (control, treatment)


def _control(found: list[str], control: str | None, origin: Origin) -> str:
    """The one asked for, else the one whose name says so."""
    both = " and ".join(map(show, found))
    if control is not None:
        if control not in found:
            raise InputError(f"--control {show(control)}: the variants are {both}.")
        return control
    likely = [name for name in found if name.lower() in CONTROLS]
    if len(likely) != 1:
        said = f"which of {both} is the control cannot be told"
        raise InputError(f"{origin.label}: {said}; name it with --control.")
    return likely[0]


def _check_users(frame: pd.DataFrame, column: str, treated: np.ndarray, origin: Origin) -> None:
    users = texts(frame[column])
    if (users == "").any():
        rows = np.flatnonzero(users == "")
        raise InputError(sentence(origin, rows, column, "is empty, expected the user's id"))
    if not users.duplicated().any():
        return
    rows = np.flatnonzero(users.duplicated())
    both = pd.Series(treated).groupby(users).nunique()
    both = int((both > 1).sum())
    in_both = f"{both:,} user{'s are' if both > 1 else ' is'} in both variants"
    said = f"user {show(users[rows[0]])} is there twice, expected one row per user"
    more = f"; {in_both}" if both else ": add up each user's rows first"
    raise InputError(sentence(origin, rows, column, said + more))
