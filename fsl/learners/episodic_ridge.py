"""The best linear map from a few known objects to the others, over all possible few of them, in closed form."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solve
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import mask_of
from fsl.learners.catalogue import RankingLearner, dense, met_matrix, support_matrix
from fsl.learners.cooccurrence import MOST_OBJECTS
from fsl.tasks import Tasks


@dataclass(eq=False)
class EpisodicRidge(RankingLearner):
    """scores = ȳ + (s − s̄) W, W = argmin Σ_u E‖y_u − ȳ − (s_u − s̄) W‖² + λ‖W‖², over all K-shot episodes.

    Of a training task's n objects a random K are the support s (0/1), the liked ones among the others the targets y.
    With x, l in {0, 1}^n_objects what a task met and what it liked, E[s_i] = K x_i / n, E[s_i s_j] =
    K (K − 1) x_i x_j / (n (n − 1)) and E[s_i y_j] = K (n − K) x_i l_j / (n (n − 1)), i ≠ j: so W is one solve, no
    episode is drawn, and there is one W for each K (after the marginalised denoising autoencoder, Chen et al. 2012, and
    EASE, Steck 2019, with what is hidden hidden as a cold start hides it). Tasks with K objects or fewer take no part.
    Of a larger catalogue only the MOST_OBJECTS most popular objects are known to it; the others score 0.
    """

    shrinkage: float = 10.0
    likes: float | None = None

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "EpisodicRidge":
        """Keeps what was met and liked: W is solved for each K when it is first asked for."""
        met, liked = met_matrix(tasks), met_matrix(tasks, self.likes)
        self.n_objects = met.shape[1]
        n = np.asarray(met.sum(0)).ravel()
        self.among = np.sort(np.argsort(-n, kind="stable")[:MOST_OBJECTS])
        self.met, self.liked = met[:, self.among], liked[:, self.among]
        self.sizes = np.asarray(met.sum(1)).ravel()
        self.maps = {}
        return self

    def scores(self, support: Examples) -> Tensor:
        """Each task by the map of its own number of shots; ȳ alone where nothing is known."""
        met = dense(support_matrix(support, self.n_objects)[:, self.among])
        shots = mask_of(support).sum(1)
        found = torch.zeros(len(met), self.n_objects)
        for k in shots.unique().tolist():
            rows = (shots == k).nonzero()[:, 0]
            mean, target, weights = self._map(k)
            found[rows[:, None], torch.from_numpy(self.among)] = (
                target + (met[rows] - mean) @ weights
            )
        return found

    def _map(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """s̄, ȳ and W for K-shot episodes, solved when first asked for: a function of the training tasks alone."""
        if k not in self.maps:
            solved = _solved(self.met, self.liked, self.sizes, k, self.shrinkage)
            self.maps[k] = tuple(torch.from_numpy(x.astype(np.float32)) for x in solved)
        return self.maps[k]


def _solved(met, liked, sizes: np.ndarray, k: int, shrinkage: float):
    part = sizes > max(k, 1)
    met, liked, n = met[part], liked[part], sizes[part].astype(np.float64)
    weight = 1 / max(part.sum(), 1)
    shown, hidden = k / n * weight, (1 - k / n) * weight
    mean, target = met.T @ shown, liked.T @ hidden
    if k == 0:  # nothing is shown: the mean is all there is
        return mean, target, np.zeros((met.shape[1], met.shape[1]), np.float32)
    gram = _moment(met, met, k * (k - 1) / (n * (n - 1)) * weight)
    gram[np.diag_indices_from(gram)] = mean
    cross = _moment(met, liked, k * (n - k) / (n * (n - 1)) * weight)
    np.fill_diagonal(cross, 0)  # what is shown is not asked for
    gram -= np.outer(mean, mean)
    gram[np.diag_indices_from(gram)] += shrinkage * weight
    return mean, target, solve(gram, cross - np.outer(mean, target), assume_a="pos")


def _moment(left, right, weight: np.ndarray) -> np.ndarray:
    """Σ_u w_u left_u right_uᵀ, dense: [n_objects, n_objects]."""
    return (left.multiply(weight[:, None]).T @ right).toarray().astype(np.float64)
