"""How well an explanation's aspect and sentiment are told from K labelled examples per class, on people never met.

Knows opinions, methods and counts; looks inside no method. In each draw half of the people give examples, the other
half are judged; a text that is among the examples, whoever wrote it, is not judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fsl.errors import InputError
from fsl.evaluation import whole_numbers
from fsl.reviews.codebook import ASPECTS, SENTIMENTS
from fsl.reviews.confusion import confusion
from fsl.reviews.heads import Method
from fsl.reviews.labels import Opinions

RULERS = ("random", "constant", "oracle")


class Task(NamedTuple):
    """What is to be told: a class of each row (-1: none to be told), and the codebook's line of each class by name."""

    name: str
    classes: np.ndarray
    lines: Mapping[str, str]


def tasks_of(opinions: Opinions) -> list[Task]:
    """aspect, of the texts that name one; sentiment, of all."""
    return [
        Task("aspect", opinions.aspect, ASPECTS),
        Task("sentiment", opinions.first.sentiment, SENTIMENTS),
    ]


class Draw(NamedTuple):
    """support: rows by class, the first K of each being the examples at K. query: rows judged. background: rows whose
    texts are known without labels."""

    support: list[np.ndarray]
    query: np.ndarray
    background: np.ndarray


def draw(opinions: Opinions, task: Task, n_shots: int, rng: np.random.Generator) -> Draw:
    """Half of the people give up to n_shots different texts per class; the others' texts that are not among them are
    the query. Raises InputError where a class has no text among the half, and for fewer than one shot."""
    if n_shots < 1:
        raise InputError(f"{n_shots} examples of each class are drawn, expected a K of 1 or more.")
    user, wording = opinions.user, opinions.wording
    order = rng.permutation(int(user.max()) + 1)
    giving = np.isin(user, order[: len(order) // 2])
    rows = rng.permutation(np.flatnonzero(giving))
    rows = rows[np.sort(np.unique(wording[rows], return_index=True)[1])]
    support = [rows[task.classes[rows] == c][:n_shots] for c in range(len(task.lines))]
    empty = [name for name, some in zip(task.lines, support, strict=True) if not len(some)]
    if empty:
        raise InputError(
            f"{task.name} {empty[0]!r}: none of the {len(order) // 2} people drawn wrote of it, "
            "expected an example of every class."
        )
    known = np.isin(wording, wording[np.concatenate(support)])
    return Draw(support, np.flatnonzero(~giving & ~known), np.flatnonzero(giving))


@dataclass(frozen=True, eq=False)
class Study:
    """counts: (method, K) -> [n_draws, n_users, n_classes, n_classes], of rows with a class, rulers among them (K = 0).

    several: (method, K) -> [n_draws, n_users, 2, 2] of the rows that name several aspects: told one of theirs, or not.
    n_support: examples per draw at each K; n_query: rows judged per draw.
    """

    task: Task
    counts: dict[tuple[str, int], np.ndarray]
    several: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    n_support: dict[int, float] = field(default_factory=dict)
    n_query: float = 0.0


def study(
    opinions: Opinions,
    task: Task,
    methods: Mapping[str, Method],
    shots: Sequence[int],
    n_draws: int,
    seed: int = 0,
) -> Study:
    """Every method on the same draws, the examples at a lower K among those at a higher; K = 0 is the codebook alone.

    A class that has fewer than K different texts among the people drawn gives what it has. Methods without the codebook
    have no K = 0. The same seed gives the same counts.
    """
    rng = np.random.default_rng(seed)
    whole_numbers("shots", shots)
    if n_draws < 1:
        raise InputError(f"n_draws is {n_draws}, expected 1 or more.")
    found: dict[str, list] = {}
    several: dict[str, list] = {}
    sizes = []
    for _ in range(n_draws):
        drawn = draw(opinions, task, max(shots), rng)
        sizes.append([len(drawn.query), *(_some(drawn.support, k).size for k in shots)])
        for key, told in _told(opinions, task, methods, shots, drawn).items():
            rows, n_users = drawn.query, int(opinions.user.max()) + 1
            one = task.classes[rows] >= 0
            true, user = task.classes[rows], opinions.user[rows]
            n = len(task.lines)
            found.setdefault(key, []).append(confusion(true[one], told[one], user[one], n, n_users))
            if not one.all():
                hit = opinions.first.mentioned[rows, told][~one].astype(int)
                of = np.ones_like(hit)
                several.setdefault(key, []).append(confusion(of, hit, user[~one], 2, n_users))
    counts = {key: np.stack(draws) for key, draws in found.items()}
    n_query, *n_support = np.mean(sizes, axis=0)
    return Study(
        task,
        counts | rulers(next(iter(counts.values()))),
        {key: np.stack(draws) for key, draws in several.items()},
        dict(zip(shots, n_support, strict=True)),
        n_query,
    )


def rulers(counts: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """What guessing gives (each class equally often), always the commonest class, and always the truth."""
    true = counts.sum(-1, keepdims=True)
    n = counts.shape[-1]
    commonest = np.arange(n) == true.sum((0, 1))[:, 0].argmax()
    return {
        ("random", 0): np.repeat(true / n, n, axis=-1),
        ("constant", 0): true * commonest,
        ("oracle", 0): true * np.eye(n),
    }


def _told(opinions, task, methods, shots, drawn) -> dict[tuple[str, int], np.ndarray]:
    """The class told for each query row, by method and K; a representation is made once per draw."""
    texts = opinions.table["text"].to_numpy()
    lines, told, rows_of = list(task.lines.values()), {}, {}
    for name, (represent, head, with_codebook) in methods.items():
        if represent not in rows_of:
            some = [*texts[drawn.query], *lines, *texts[np.concatenate(drawn.support)]]
            rows_of[represent] = represent([*texts[drawn.background], *lines], some)
        rows, q, n = rows_of[represent], len(drawn.query), len(lines)
        for k in shots:
            if k == 0 and not with_codebook:
                continue
            at, classes = _examples(drawn.support, k, q + n)
            if with_codebook:
                at, classes = np.r_[q : q + n, at], np.r_[np.arange(n), classes]
            told[name, k] = head(rows[at], classes, rows[:q], n)
    return told


def _examples(support: list[np.ndarray], k: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the first k examples of each class in what `_told` represents, and their classes."""
    starts = start + np.cumsum([0, *map(len, support[:-1])])
    at = [s + np.arange(min(k, len(some))) for s, some in zip(starts, support, strict=True)]
    classes = [np.full(len(places), c) for c, places in enumerate(at)]
    return np.concatenate(at).astype(int), np.concatenate(classes).astype(int)


def _some(support: list[np.ndarray], k: int) -> np.ndarray:
    return np.concatenate([rows[:k] for rows in support])
