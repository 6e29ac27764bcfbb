"""Telling classes apart by vectors that were computed once: rows by number. Knows no text, no picture, no file."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fsl.episodes import Examples
from fsl.learners.base import mask_of
from fsl.learners.method import one_hot


class CosinePrototypes:
    """The nearest class mean by the cosine: score = z_q · c / ‖c‖, c = Σ_{support of the class} z.

    Prototypes (Snell et al. 2017, eq. 1) with the cosine in place of the squared distance, as unit vectors want it.
    vectors: float32 [n, d], what the row numbers in a task's inputs stand for; rows are brought to length 1.
    """

    def __init__(self, vectors: Tensor):
        self.vectors = self.z = normalize(vectors.float(), dim=-1)

    def fit(self, rows: Tensor) -> "CosinePrototypes":
        """Nothing is learned from the background, whatever rows it has."""
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """Scores of each task's classes, float32 [n_tasks, n_query, n_way], −1 … 1; the class is the highest.

        support: inputs int64 [n_tasks, K] of rows (or [n_tasks, K, 1]), targets [n_tasks, K] in 0 … n_way − 1, mask
        [n_tasks, K] or None. query_inputs: [n_tasks, n_query] (or [..., 1]). A class without support scores −inf.
        """
        rows = torch.where(mask_of(support), support.inputs.flatten(1), 0)
        of_class = one_hot(support, self.z)
        centres = normalize(of_class.mT @ self.z[rows], dim=-1)
        scores = self.z[query_inputs.flatten(1)] @ centres.mT
        return scores.masked_fill(~of_class.any(1)[:, None], -torch.inf)


class WithinPrototypes(CosinePrototypes):
    """The same in the metric of the background: z ← normalise((S + λ t I)^(−1/2) (z − m)).

    m is the background's mean, S the mean over its classes of their covariances, t = tr S / d and λ = `shrinkage`:
    directions in which sentences of one class differ count for less (Fisher's discriminant; shrunk as Ledoit & Wolf
    2004). labels: int64 [n], the class of every row; only those of background rows are looked at.
    """

    def __init__(self, vectors: Tensor, labels: Tensor, shrinkage: float = 1.0):
        super().__init__(vectors)
        self.labels, self.shrinkage = labels, shrinkage

    def fit(self, rows: Tensor) -> "WithinPrototypes":
        """Learn m and S from the background: int64 [n], rows of vectors, of classes that no task has."""
        z, labels = self.vectors[rows].double(), self.labels[rows]
        _, places = labels.unique(return_inverse=True)
        of_class = torch.nn.functional.one_hot(places).double()
        means = of_class.T @ z / of_class.sum(0)[:, None]
        inside = z - means[places]
        s = inside.T @ inside / len(rows)
        s += self.shrinkage * s.trace() / len(s) * torch.eye(len(s), dtype=s.dtype)
        values, vectors = torch.linalg.eigh(s)
        white = vectors / values.sqrt() @ vectors.T
        self.z = normalize((self.vectors - z.mean(0).float()) @ white.float(), dim=-1)
        return self
