"""How large a shop is, and about how many seconds and GiB each way to rank its catalogue will take. Knows no tensor.

The constants agree with CPU seconds on one thread measured on amazon-phones (86,974 training rows, 10,429 items); how
they grow with the counts follows from what each fit does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

MOST_SOLVED = 4_000  # objects beyond which EASE and the episodic ridge take the most popular only


@dataclass(frozen=True)
class Size:
    """Counts of a shop. n_pairs: Σ over subjects of the square of how many behaviours each has, what counting who met
    what together costs."""

    n_rows: int
    n_subjects: int
    n_objects: int
    n_pairs: int

    @classmethod
    def of(cls, subjects, n_objects: int) -> "Size":
        """Of a table: how many behaviours each subject has, [n_subjects] (NumPy), and how many objects there are."""
        pairs = int((subjects.astype(float) ** 2).sum())
        return cls(int(subjects.sum()), len(subjects), n_objects, pairs)

    def terms(self) -> tuple[float, ...]:
        """What costs are linear in: 1, rows / 10⁵, subjects / 10⁴, objects / 10⁴, (solved objects / 4,000)³, and pairs
        (at most all of objects × objects) / 10⁷."""
        solved = min(self.n_objects, MOST_SOLVED) / MOST_SOLVED
        pairs = min(self.n_pairs, self.n_objects**2)
        return (
            *(1.0, self.n_rows / 1e5, self.n_subjects / 1e4, self.n_objects / 1e4),
            *(solved**3, pairs / 1e7),
        )


def linear(weights: tuple[float, ...], size: Size) -> float:
    """Σ weight · term."""
    return sum(w * x for w, x in zip(weights, size.terms(), strict=True))


SECONDS: Mapping[str, tuple[float, ...]] = {
    "most popular": (0.0, 0.01, 0.0, 0.0, 0.0, 0.0),
    "item kNN": (0.0, 0.06, 0.0, 0.0, 0.0, 1.0),
    "content neighbours": (0.0, 0.0, 0.0, 0.02, 0.0, 0.0),
    "EASE": (0.0, 0.1, 0.0, 0.0, 6.0, 0.0),
    "ALS": (0.0, 2.5, 1.3, 1.3, 0.0, 0.0),
    "episodic ridge": (0.0, 0.1, 0.0, 0.0, 14.0, 0.0),
    "set ranker": (2.0, 5.0, 0.0, 3.0, 0.0, 4.0),
}
"""To fit once; a name that is not here costs as much as the dearest part that its own name mentions."""


def seconds(name: str, size: Size) -> float:
    """About how many seconds one fit of a learner takes on one thread; a blend pays for all the parts it names."""
    return sum(linear(weights, size) for part, weights in SECONDS.items() if part in name)


def gib(name: str, size: Size) -> float:
    """About how much memory a learner adds while it is fitted: the table of what was met together, or a dense solve."""
    together = 16 * min(size.n_pairs, size.n_objects**2) / 2**30
    dense = 6 * 8 * min(size.n_objects, MOST_SOLVED) ** 2 / 2**30
    if "EASE" in name or "ridge" in name:
        return dense + together
    if "kNN" in name or "set ranker" in name:
        return (3 if "set" in name else 1) * together
    return 0.0
