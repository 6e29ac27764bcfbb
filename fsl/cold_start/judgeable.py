"""Which partitions of a shop can be judged, and how: one that cannot be split by time is split at random, one that
cannot be judged at all stays out, and both are said. Knows tables and partitions; knows no learner.
"""

from collections.abc import Sequence

from fsl.bootstrap import FEWEST
from fsl.cold_start.competition import sizes
from fsl.cold_start.partitions import Partition, partition, possible
from fsl.data import Shop
from fsl.errors import InputError

LEAST_PAST = 0.05  # of all behaviours: a cut that leaves less to train on judges learners by how they do untaught


def judgeable(
    shop: Shop,
    names: Sequence[str],
    by: str = "auto",
    seed: int = 0,
    n_folds: int = 1,
    n_shots: Sequence[int] = (0, 1, 3, 5, 10),
    n_query: int = 10,
) -> tuple[list[Partition], list[str]]:
    """The partitions of `names` that can be judged, and a sentence for each that is split otherwise or stays out.

    by, seed: as in `partition`; "auto" falls back to "random" where the split by time leaves too little, as in a shop
    whose things have all been there from its first day. n_folds: of random splits. Raises InputError where none is
    left.
    """
    parts, notes = [], []
    for name in names:
        if name not in possible(shop):
            notes.append(f"{name} stays out: the tables name fewer than two scenes.")
            continue
        why = ""
        for way in ("auto", "random") if by == "auto" else (by,):
            try:
                parts += _folds(shop, name, way, seed, n_folds, n_shots, n_query)
            except InputError as error:
                why = why or str(error).rstrip(".")
                continue
            if why:
                notes.append(f"{name} is split at random, not by time: by time {why}.")
            break
        else:
            notes.append(f"{name} stays out: {why}.")
    if not parts:
        raise InputError(f"{shop.name}: nothing can be judged. {' '.join(notes)}")
    return parts, notes


def _folds(shop, name, by, seed, n_folds, n_shots, n_query) -> list[Partition]:
    """The folds, or the only split by time. Raises InputError where they leave too little to judge."""
    parts = [partition(shop, name, by, seed=seed)]
    if by == "auto" and (why := too_little_past(shop, parts[0])):
        raise InputError(why)
    if parts[0].order == "random":
        parts += [partition(shop, name, by, seed=seed, fold=fold) for fold in range(1, n_folds)]
    able = sum(_n_judged(part, n_shots, n_query) for part in parts)
    if able < FEWEST:
        raise InputError(
            f"{able} of the tasks held out have behaviours enough to be judged, at least {FEWEST} are needed"
        )
    return parts


def too_little_past(shop: Shop, part: Partition) -> str:
    """Why a split by time leaves too little to learn from; "" where it does not, or is at random."""
    past, n = int(part.train.sizes.sum()), len(shop.interactions)
    if part.order == "random" or past >= LEAST_PAST * n:
        return ""
    return f"{past:,} of the {n:,} behaviours would be left to learn from"


def by_time_if_possible(shop: Shop, name: str, seed: int = 0) -> tuple[Partition, str]:
    """One partition, at random where time leaves too little to learn from; and a sentence if so, else ""."""
    part = partition(shop, name, seed=seed)
    if not (why := too_little_past(shop, part)):
        return part, ""
    said = f"{name} is split at random, not by time: by time {why}."
    return partition(shop, name, "random", seed=seed), said


def _n_judged(part: Partition, n_shots: Sequence[int], n_query: int) -> int:
    """Test tasks with the largest support and the least query; of both-cold, all: who can be asked is drawn later."""
    shots, _, least = sizes(part, n_shots, n_query)
    if part.may_ask is not None:
        return len(part.test)
    return int((part.test.sizes >= max(shots) + least).sum())
