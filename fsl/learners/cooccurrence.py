"""Who met this also met that: item-item neighbours, EASE, and neighbours by content. No training loop."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.learners.catalogue import RankingLearner, dense, met_matrix, support_matrix
from fsl.learners.popularity import recency
from fsl.tasks import Tasks

MOST_OBJECTS = 4_000  # a dense matrix of objects by objects beyond that is too large to invert


@dataclass(eq=False)
class ItemKNN(RankingLearner):
    """Σ_{j in support} s_ji, s_ji = c_ji / ((n_j + λ)^a (n_i + λ)^(1−a)), c co-occurrences (Deshpande & Karypis 2004).

    asymmetry a = ½ is the shrunk cosine; towards 1 popular objects profit more: a = 1 is P(i | j), shrunk.
    half_life: days after which a behaviour's weight is halved (None: all weigh the same). likes: only behaviours with
    such a target count, in training as in the support.
    """

    shrinkage: float = 10.0
    asymmetry: float = 0.5
    half_life: float | None = None
    likes: float | None = None

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "ItemKNN":
        """s, CSR [n_objects, n_objects]; with a half-life a behaviour of age t days weighs 2^(−t / half_life) in c."""
        weights = None
        if self.half_life is not None:
            weights = (0.5 ** (recency(tasks) / self.half_life / 2)).float()
        together, n = co_occurrences(met_matrix(tasks, self.likes, weights))
        self.similarity = scaled(together, n, self.shrinkage, self.asymmetry)
        return self

    def scores(self, support: Examples) -> Tensor:
        """Sums of rows of s; 0 for all objects where nothing is known."""
        met = support_matrix(support, self.similarity.shape[0], self.likes)
        return dense(met @ self.similarity)


def co_occurrences(met) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    """C = XᵀX without its diagonal, CSR [n_objects, n_objects], and the diagonal, [n_objects]."""
    together = (met.T @ met).tocsr().astype(np.float32)
    n = together.diagonal()
    together.setdiag(0)
    together.eliminate_zeros()
    return together, n


def scaled(together, n: np.ndarray, shrinkage: float, asymmetry: float = 0.5):
    """c_ji / ((n_j + λ)^a (n_i + λ)^(1−a)): CSR, row j."""
    of = np.maximum(n + shrinkage, 1e-9)
    rows, columns = of**-asymmetry, of ** (asymmetry - 1)
    return (
        (scipy.sparse.diags(rows) @ together @ scipy.sparse.diags(columns))
        .astype(np.float32)
        .tocsr()
    )


@dataclass(eq=False)
class EASE(RankingLearner):
    """Embarrassingly shallow autoencoder: scores = s B, B_ji = −P_ji / P_ii, diagonal 0, P = (XᵀX + λI)⁻¹ (Steck 2019).

    B is the ridge regression of each object on the others. Of a larger catalogue only the MOST_OBJECTS most popular
    objects take part: the others score 0.
    """

    shrinkage: float = 500.0
    likes: float | None = None

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "EASE":
        """One inverse of [MOST_OBJECTS]² numbers at most, in float64."""
        met = met_matrix(tasks, self.likes)
        n = np.asarray(met.sum(0)).ravel()
        self.n_objects = len(n)
        self.among = np.sort(np.argsort(-n, kind="stable")[:MOST_OBJECTS])
        part = met[:, self.among]
        gram = (part.T @ part).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += self.shrinkage
        inverse = np.linalg.inv(gram)
        weights = -inverse / inverse.diagonal()
        np.fill_diagonal(weights, 0)
        self.weights = torch.from_numpy(weights.astype(np.float32))
        return self

    def scores(self, support: Examples) -> Tensor:
        """s B among the objects that take part, 0 for the others."""
        met = dense(support_matrix(support, self.n_objects, self.likes)[:, self.among])
        found = torch.zeros(len(met), self.n_objects)
        found[:, self.among] = met @ self.weights
        return found


@dataclass(eq=False)
class ContentNeighbours(RankingLearner):
    """Σ_{j in support} cosine(x_j, x_i), x the objects' content with each feature weighed by −log of its share.

    Knows no behaviour, so it works for objects that nobody has met. Raises InputError where there is no content.
    """

    likes: float | None = None

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "ContentNeighbours":
        self.content = unit_content(tasks)
        return self

    def scores(self, support: Examples) -> Tensor:
        """Likeness to the sum of the support's rows of content: [n_tasks, n_objects]."""
        met = support_matrix(support, len(self.content), self.likes)
        return dense(met @ self.content.numpy()) @ self.content.T


def unit_content(tasks: Tasks) -> Tensor:
    """Content with rare features weighing more, each row of unit length (or 0): [n_objects, n_features]."""
    x = tasks.object_features
    if x.shape[1] == 0:
        raise InputError("neighbours by content need features of the objects, and there are none")
    share = (x != 0).float().mean(0).clamp(min=1 / max(len(x), 1))
    x = x * (-share.log()).clamp(min=1e-3)
    return x / x.norm(dim=1, keepdim=True).clamp(min=1e-9)
