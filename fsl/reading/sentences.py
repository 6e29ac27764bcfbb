"""How a problem is said: one sentence, harmless to a terminal. Knows no table's meaning."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

SHOWN = 10
IN_EXCEL = "(in Excel: save as 'CSV UTF-8')"


def numbered_rows(rows: Sequence[int]) -> list[int]:
    """Row positions from 0, as a person counts them: from 1."""
    return [int(row) + 1 for row in rows]


@dataclass(frozen=True)
class Origin:
    """Where a table came from, so that a sentence can name its file, its lines and the text seen there."""

    label: str
    unit: str = "row"
    place: Callable[[Sequence[int]], list[int]] = numbered_rows
    raw: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    by_option: bool = False  # whether --column, --drop-unknown and --duplicates can help


def inert(text: object) -> str:
    """The text with control characters, escape sequences and direction marks spelt out (`\\x1b`)."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def show(value: object, width: int = 40) -> str:
    """A value as a sentence shows it: quoted if text, cut to `width`, harmless to a terminal."""
    if isinstance(value, float):
        return f"{value:.15g}"
    if not isinstance(value, str):
        return inert(value)[:width]
    return repr(value if len(value) <= width else value[: width - 1] + "…")


def counted(n: int, things: str) -> str:
    """ "1 user", "2,000 users": a number and what it counts, given in the plural with an s."""
    return f"{n:,} {things[:-1] if n == 1 else things}"


def listed(problems: Sequence[str], label: str) -> list[str]:
    """The first ten problems of a file, and how many more there are."""
    more = len(problems) - SHOWN
    tail = [f"{label}: and {more} more."] if more > 0 else []
    return [*problems[:SHOWN], *tail]


def sentence(origin: Origin, rows: np.ndarray, column: str, said: str) -> str:
    """One problem: file, first bad line, column, what is wrong, and which other lines have the same."""
    places = origin.place(list(rows[:SHOWN]))
    text = f"{origin.label}, {origin.unit} {places[0]}, column {show(column)}: {said}"
    if len(rows) > 1:
        more = f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else ""
        text += f" ({len(rows):,} such {origin.unit}s: {', '.join(map(str, places))}{more})"
    return text + "."
