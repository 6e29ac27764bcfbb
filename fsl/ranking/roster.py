"""Who competes in ranking a catalogue, from cheap to costly, with the settings that each may choose among.

Every competitor has the same budget: at most `budget` settings, the first of its list being the usual one. Who would
cost too much for the shop at hand stays out, with the reason. Knows learners; knows no judge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from fsl.learners.blend import Blend
from fsl.learners.catalogue import RankingLearner
from fsl.learners.cooccurrence import EASE, ContentNeighbours, ItemKNN
from fsl.learners.episodic_ridge import EpisodicRidge
from fsl.learners.implicit_mf import ImplicitALS
from fsl.learners.popularity import MostPopular
from fsl.learners.set_ranker import SetRanker
from fsl.ranking.sizes import Size, gib, seconds
from fsl.tasks import Tasks

DAYS = 45  # of "most popular recently"
QUICK = ("most popular", "most popular recently", "content neighbours", "item kNN",
         "item kNN + popularity", "co-occurrence", "set ranker")  # fmt: skip
ROSTERS: dict[str, tuple[str, ...] | None] = {
    "quick": QUICK,
    "short": (*QUICK, "ALS", "EASE", "episodic ridge", "kNN + popularity + content"),
    "all": None,
}


@dataclass(frozen=True)
class Contender:
    """A way to rank. make: training seed -> unfitted candidates, the usual one first. is_meta: it learns over episodes
    how to read a support set."""

    name: str
    make: Callable[[int], Sequence[RankingLearner]]
    is_meta: bool = False


def size_of(tasks: Tasks) -> Size:
    """The counts that costs depend on."""
    return Size.of(tasks.sizes.numpy(), len(tasks.object_ids))


def contenders(
    tasks: Tasks,
    likes: float | None = None,
    budget: int = 1,
    roster: str = "all",
    effort: float = 1.0,
    shots: Sequence[int] = (1, 3, 5, 10),
    by: str = "auto",
) -> list[Contender]:
    """Everybody who can compete for these tasks: those with times in the tables, or content, only where there are.

    likes: the least target that counts as positive. budget: settings that each may choose among. roster: one of
    ROSTERS. effort: of the set ranker's training, 1 the usual. shots: the K that it is trained for. by: how
    users are split; at random nobody is told of times.
    """
    if roster not in ROSTERS:
        raise ValueError(f"roster must be one of {', '.join(ROSTERS)}, got {roster!r}")
    likes, timed = dict(likes=likes), is_timed(tasks, by)
    has_content = tasks.object_features.shape[1] > 0
    recent = MostPopular(DAYS, **likes) if timed else MostPopular(**likes)

    def knn(s: float = 10.0, a: float = 0.5) -> ItemKNN:
        return ItemKNN(s, a, **likes)

    def blend(*parts: tuple[RankingLearner, float]) -> Blend:
        return Blend([member for member, _ in parts], [weight for _, weight in parts])

    grids: dict[str, list[Callable[[int], RankingLearner]]] = {
        "most popular": [lambda s: MostPopular(**likes)],
        "most popular recently": [lambda s: MostPopular(DAYS, **likes)] if timed else [],
        "content neighbours": [lambda s: ContentNeighbours(**likes)] if has_content else [],
        "item kNN": [lambda s, a=a: knn(*a) for a in ((10, 0.5), (10, 0.75), (30, 0.5), (3, 0.5))],
        "item kNN + popularity": [
            lambda s, w=w: blend((knn(), 1), (recent, w)) for w in (0.5, 0.2, 1.0, 0.1)
        ],
        "co-occurrence": [lambda s, a=a: knn(a, 1.0) for a in (10.0, 3.0, 30.0, 100.0)],
        "ALS": [
            lambda s, a=a: ImplicitALS(*a, 6, **likes, seed=s)
            for a in ((32, 5.0, 3.0), (32, 20.0, 3.0), (16, 5.0, 10.0), (32, 5.0, 30.0))
        ],
        "EASE": [lambda s, a=a: EASE(a, **likes) for a in (300.0, 100.0, 1000.0, 30.0)],
        "EASE + kNN + popularity": [
            lambda s, w=w: blend((EASE(300.0, **likes), 1), (knn(), 1), (recent, w))
            for w in (0.5, 0.2, 1.0, 0.0)
        ],
        "episodic ridge": [lambda s, a=a: EpisodicRidge(a, **likes) for a in (10.0, 5.0, 20.0, 40.0)],
    }  # fmt: skip
    if has_content:
        grids["kNN + popularity + content"] = [
            lambda s, w=w: blend((knn(), 1), (recent, w[0]), (ContentNeighbours(**likes), w[1]))
            for w in ((0.5, 0.5), (1.0, 0.5), (0.5, 1.0), (0.2, 0.2))
        ]
    found = [Contender(name, _all(grid[:budget])) for name, grid in grids.items() if grid]
    rankers = [
        lambda s, h=h: SetRanker(seed=s, n_hidden=h, **training_of(timed, shots, effort), **likes)
        for h in (16, 8, 32)
    ]
    found.append(Contender("set ranker", _all(rankers[:budget]), True))
    return [one for one in found if ROSTERS[roster] is None or one.name in ROSTERS[roster]]


def is_timed(tasks: Tasks, by: str = "auto") -> bool:
    """Whether learners are told of times: where the split, by name or of its own accord, goes by them."""
    return (tasks.order if by == "auto" else by) == "temporal"


def _all(makers: Sequence[Callable[[int], RankingLearner]]) -> Callable[[int], list]:
    return lambda seed: [make(seed) for make in makers]


def training_of(timed: bool, shots: Sequence[int], effort: float) -> dict:
    """The set ranker's settings. Timed, it learns from the next behaviour of earlier subjects; else from folds."""
    trained = tuple(sorted({*shots} - {0})) or (1,)
    if timed:
        n_moments = max(2, round(3 * effort))
        return dict(lr=0.01, shots=trained, n_asked=round(300 * effort), n_moments=n_moments)
    return dict(timed=False, shots=trained, n_moments=max(2, round(4 * effort)), n_asked=1)


def affordable(
    everyone: Sequence[Contender],
    tasks: Tasks,
    most_seconds: float = 120.0,
    most_gib: float = 4.0,
    budget: int = 1,
) -> tuple[list[Contender], Mapping[str, str]]:
    """Those whose fit stays below `most_seconds` (all settings together) and `most_gib`; and why others stay out."""
    size, kept, out = size_of(tasks), [], {}
    for one in everyone:
        takes, needs = budget * seconds(one.name, size), gib(one.name, size)
        if takes > most_seconds:
            out[one.name] = f"about {takes / 60:.0f} minutes to fit, {most_seconds / 60:g} allowed"
        elif needs > most_gib:
            out[one.name] = f"about {needs:.0f} GiB to fit, {most_gib:g} allowed"
        else:
            kept.append(one)
    return kept, out


def liked_from(tasks: Tasks) -> float | None:
    """The least target that is above the middle of the scale, as `accuracy` counts a like; None without ratings.

    Where all targets are alike every behaviour counts.
    """
    low, high = tasks.scale
    above = tasks.targets[tasks.targets > (low + high) / 2]
    everything = not len(above) or bool((tasks.targets == tasks.targets[0]).all())
    return None if everything else float(torch.min(above))
