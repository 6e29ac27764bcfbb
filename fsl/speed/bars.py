"""What we promise of our speed, and whether a run kept it. Knows rows of numbers only."""

from collections.abc import Sequence
from typing import NamedTuple


class Bar(NamedTuple):
    """`contender` takes at most 1 / at_least of the time of `against`: medians of one run, one thread, second order."""

    work: str
    n_steps: int
    meta_batch: int
    contender: str
    at_least: float
    against: str = "higher"


BARS = (
    Bar("W1", 1, 25, "batched", 15),
    Bar("W1", 1, 25, "batched, compiled", 50),
    Bar("W1", 5, 25, "batched", 10),
    Bar("W2", 5, 32, "batched", 3.3),
    Bar("W2", 5, 32, "batched", 8, "higher, whole model"),
    Bar("W3", 1, 4, "auto", 0.95),
)


def judge(rows: Sequence[dict]) -> list[dict]:
    """Each bar with `measured`, the ratio of medians, and `met`; both None where the run did not time the two."""
    ms = {
        (row["work"], row["n_steps"], row["meta_batch"], row["contender"]): row["ms"]
        for row in rows
    }
    return [bar._asdict() | _verdict(bar, ms) for bar in BARS]


def _verdict(bar: Bar, ms: dict) -> dict:
    own, other = (ms.get((*bar[:3], name)) for name in (bar.contender, bar.against))
    if own is None or other is None:
        return {"measured": None, "met": None}
    return {"measured": other / own, "met": other / own >= bar.at_least}
