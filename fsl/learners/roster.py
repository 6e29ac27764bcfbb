"""Who competes for the cold-start verdict, and the settings that each may choose among on validation tasks.

Every competitor has the same budget: at most `budget` settings, the first of its list being the usual one.
"""

from collections.abc import Callable, Sequence

from fsl.cold_start.competition import Entry
from fsl.learners.attentive import AttentiveBayes
from fsl.learners.baselines import (
    GlobalMean,
    ItemEffect,
    Popularity,
    RidgeOnFeatures,
    ShrunkBias,
    SupportMean,
    SupportMedian,
)
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.learners.family import recommender
from fsl.learners.neighbours import FoldIn, UserKNN
from fsl.learners.object_neighbours import ObjectKNN
from fsl.learners.regressions import RidgeOnStatistics
from fsl.learners.select import Selected
from fsl.learners.tastes import Siamese
from fsl.learners.trees import TreesOnFeatures

SHOTS = (0, 1, 3, 5, 10)  # that settings are chosen at
SHORT = (
    *("global mean", "item effect", "support mean", "item + user bias", "ridge on features", "user kNN", "MF fold-in"),
    *("EB+", "EB+ with tastes", "boosted trees"),
    *("Siamese", "Matching", "ridge head", "ALPaCA", "transfer", "MAML", "EB+ with set encoder"),
    "set encoder on tastes",
)  # fmt: skip


def simple_entries(budget: int = 4, roster: str = "all") -> list[Entry]:
    """The baselines, from cheap to costly; roster "short" leaves some out.

    After choosing they are fitted again on training and validation tasks together. None has chance in its training
    that matters (EM's and the factorisations' starts are fixed), so one fit serves all training seeds.
    """
    plain = {
        "global mean": GlobalMean,
        "popularity": Popularity,
        "item effect": ItemEffect,
        "support mean": SupportMean,
        "support median": SupportMedian,
    }
    grids: dict[str, tuple[Callable, Sequence]] = {
        "item + user bias": (ShrunkBias, [(5, 4), (5, 2), (2, 4), (10, 4), (10, 8), (2, 2)]),
        "ridge on features": (RidgeOnFeatures, [(20, 4), (80, 4), (5, 2), (320, 4), (80, 8)]),
        "content neighbours": (
            lambda v: ObjectKNN("content", vote_shrinkage=v),
            [(1.0,), (3.0,), (9.0,), (0.3,)],
        ),
        "item kNN": (
            lambda s, v: ObjectKNN("ratings", s, v),
            [(20.0, 1.0), (20.0, 0.3), (60.0, 1.0), (60.0, 0.3)],
        ),
        "user kNN": (
            lambda s, v: UserKNN(200, s, v, 4.0),
            [(3, 3), (9, 3), (3, 9), (1, 3), (9, 9), (1, 1)],
        ),
        "MF fold-in": (
            lambda f, g: FoldIn(f, 10.0, g, 4.0),
            [(10, 1.0), (4, 1.0), (20, 1.0), (10, 2.0), (4, 2.0), (10, 0.5)],
        ),
        "EB": (
            lambda d, n: EmpiricalBayes(d, 3, use_content=False, noise_scale=n),
            [(4, 1.0), (2, 1.0), (4, 1.3), (6, 1.0)],
        ),
        "EB+": (
            lambda d, x, n: EmpiricalBayes(d, 3, noise_scale=n, subject_shrinkage=x, n_steps=10),
            [(4, 50.0, 1.0), (4, 10.0, 1.0), (4, 50.0, 1.3), (2, 50.0, 1.0), (6, 50.0, 1.0)],
        ),
        "EB+ with tastes": (
            lambda t, x: EmpiricalBayes(
                n_fits=3, subject_shrinkage=x, n_steps=10, taste_shrinkage=t
            ),
            [(300.0, 50.0), (1000.0, 50.0), (100.0, 50.0), (300.0, 10.0), (3000.0, 50.0)],
        ),
        "ridge on statistics": (
            lambda a: RidgeOnStatistics(alpha=a),
            [(3e3,), (100.0,), (1e5,), (10.0,)],
        ),
        "boosted trees": (
            lambda leaves, n: TreesOnFeatures(leaves, n),
            [(8, 100), (16, 200), (4, 100), (16, 100)],
        ),
    }
    entries = [
        _chosen(name, [lambda seed, kind=kind: kind()], budget, refit=True)
        for name, kind in plain.items()
    ]
    entries += [
        _chosen(name, [lambda seed, make=make, a=a: make(*a) for a in grid], budget, refit=True)
        for name, (make, grid) in grids.items()
    ]
    return _of(entries, roster)


def meta_entries(n_iterations: int = 200, budget: int = 2, roster: str = "all") -> list[Entry]:
    """The meta-learners and their control, transfer, from cheap to costly; most stop by validation tasks.

    The set encoders do not: like the baselines they are fitted on training and validation tasks together. They are
    trained for the squared error, and one of them mostly for the absolute one, whose best guess is a median; one
    starts from empirical Bayes with tastes, which pays for new items.
    """
    rates, steps = (3e-3, 1e-3, 1e-2, 3e-4), (0.2, 0.1, 0.05, 0.4)

    def family(name: str, option: str, values) -> Entry:
        made = [
            lambda seed, value=value: recommender(name, n_iterations, seed, **{option: value})
            for value in values
        ]
        return _chosen(name, made, budget, is_meta=True)

    tastes = [
        lambda seed, n=n, v=v: Siamese(
            n_steps=min(400, 2 * n_iterations), n_neighbours=n, vote_shrinkage=v, seed=seed
        )
        for n, v in ((200, 10), (80, 3), (200, 3), (80, 10))
    ]

    tables: list = []  # of empirical Bayes: the encoders share them

    def encoder(name: str, mae_share: float, tastes: float | None = None) -> Entry:
        made = [
            lambda seed, decay=decay: AttentiveBayes(
                tables=tables,
                taste_shrinkage=tastes,
                mae_share=mae_share,
                weight_decay=decay,
                n_iterations=max(50, 3 * n_iterations // 2),
                stop_early=False,
                seed=seed,
            )
            for decay in (0.1, 1.0, 0.01, 3.0)
        ]
        return _chosen(name, made, budget, refit=True, is_meta=True)

    entries = [
        _chosen("Siamese", tastes, budget, is_meta=True),
        *(family(name, "meta_lr", rates) for name in ("Matching", "ridge head", "ALPaCA", "CNP")),
        *(family(name, "inner_lr", steps) for name in ("transfer", "FOMAML", "ANIL", "Reptile")),
        family("MAML", "inner_lr", steps),
        encoder("EB+ with set encoder", 0.0),
        encoder("EB+ with set encoder (MAE)", 0.7),
        encoder("set encoder on tastes", 0.0, 300.0),
    ]
    return _of(entries, roster)


def _of(entries: list[Entry], roster: str) -> list[Entry]:
    if roster not in ("all", "short"):
        raise ValueError(f'roster must be "all" or "short", got {roster!r}')
    return [entry for entry in entries if roster == "all" or entry.name in SHORT]


def _chosen(
    name: str, makers: Sequence[Callable], budget: int, refit: bool = False, is_meta: bool = False
) -> Entry:
    kept = list(makers)[:budget]

    def make(seed: int) -> object:
        candidates = [maker(seed) for maker in kept]
        if len(candidates) == 1 and not refit:
            return candidates[0]
        return Selected(candidates, SHOTS, seed=seed, refit=refit)

    return Entry(name, make, is_meta, len(kept), is_seeded=is_meta)
