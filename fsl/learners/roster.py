"""Who competes in the cold-start notebook, and the grid each may choose from on validation tasks."""

from itertools import product

from fsl.learners.baselines import (
    GlobalMean,
    ItemEffect,
    Popularity,
    RidgeOnFeatures,
    ShrunkBias,
    SupportMean,
    SupportMedian,
)
from fsl.learners.family import recommender
from fsl.learners.neighbours import FoldIn, UserKNN
from fsl.learners.select import Selected
from fsl.learners.tastes import Siamese


def baselines(seed: int = 0) -> dict[str, object]:
    """Name -> unfitted learner; those with settings choose among at most nine of them on validation tasks."""
    return {
        "global mean": GlobalMean(),
        "popularity": Popularity(),
        "item effect": ItemEffect(),
        "support mean": SupportMean(),
        "support median": SupportMedian(),
        "item + user bias": _chosen(ShrunkBias(i, u) for i, u in product((2, 5, 10), (2, 4, 8))),
        "ridge on features": _chosen(
            RidgeOnFeatures(r, u) for r, u in product((5, 20, 80), (2, 4, 8))
        ),
        "user kNN": _chosen(UserKNN(200, s, v, 4.0) for s, v in product((1, 3, 9), (1, 3, 9))),
        "MF fold-in": _chosen(
            FoldIn(f, 10.0, g, 4.0, seed=seed) for f, g in product((4, 10, 20), (0.5, 1, 2))
        ),
    }


def meta_learners(n_iterations: int = 200, seed: int = 0) -> dict[str, object]:
    """Name -> unfitted learner, cheap to costly; each chooses among fewer settings than the baselines do."""
    return {
        "Siamese": _chosen(
            Siamese(n_neighbours=n, vote_shrinkage=v, seed=seed) for n, v in ((80, 3), (200, 10))
        ),
        "ALPaCA": _chosen(
            recommender("ALPaCA", n_iterations, seed, meta_lr=lr) for lr in (1e-3, 3e-3)
        ),
        "MAML": _chosen(recommender("MAML", n_iterations, seed, inner_lr=a) for a in (0.1, 0.2)),
    }


def _chosen(candidates) -> Selected:
    return Selected(list(candidates))
