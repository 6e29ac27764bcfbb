"""Nearest objects: what a task thought of alike objects says of the next. Alike by ratings, or by content."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import Learner, mask_of
from fsl.learners.baselines import ShrunkBias
from fsl.learners.neighbours import in_chunks, sparse_means
from fsl.tasks import Tasks


@dataclass(eq=False)
class ObjectKNN(Learner):
    """r = μ + b_o + b_t + Σ_k s_ok e_k / (Σ_k |s_ok| + λ), e the support's residuals of `ShrunkBias`.

    by="ratings": s is the cosine of the objects' training residuals over the subjects that rated both, times
    n / (n + `similarity_shrinkage`), n such subjects (Sarwar et al. 2001; shrunk as in Bell & Koren 2007).
    by="content": s is the cosine of their features, below 0 counted as 0; it serves objects nobody has met.
    Fails where a support says nothing of the objects asked for: then it is `ShrunkBias`.
    """

    by: str = "ratings"
    similarity_shrinkage: float = 20.0
    vote_shrinkage: float = 1.0
    user_shrinkage: float = 4.0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "ObjectKNN":
        if self.by not in ("ratings", "content"):
            raise ValueError(f'by must be "ratings" or "content", got {self.by!r}')
        self.bias = ShrunkBias(user_shrinkage=self.user_shrinkage).fit(tasks)
        if self.by == "content":
            x = tasks.object_features - tasks.object_features.mean(0)
            self.places = torch.nn.functional.normalize(x, dim=1)
            return self
        shape = (len(tasks), len(tasks.object_ids))
        residuals, met = sparse_means(
            self.bias.training_residuals, tasks.task_of_row, tasks.objects, shape
        )
        self.similarities = _cosines(residuals, met, self.similarity_shrinkage)
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        return in_chunks(self._predict, support, query_inputs)

    def _predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        known = self.bias.predict(support, query_inputs)
        mask = mask_of(support)
        if mask.shape[1] == 0:
            return known
        near = self._near(query_inputs[..., 1], support.inputs[..., 1]) * mask[:, None]
        votes = (near @ self.bias.residuals(support)[..., None])[..., 0]
        return known + votes / (near.abs().sum(-1) + self.vote_shrinkage)

    def _near(self, asked: Tensor, known: Tensor) -> Tensor:
        """s of every pair: [n_tasks, n_query] and [n_tasks, K] -> [n_tasks, n_query, K]."""
        if self.by == "content":
            return (self.places[asked] @ self.places[known].mT).clamp(min=0)
        pairs = np.broadcast_arrays(asked[:, :, None].numpy(), known[:, None, :].numpy())
        found = self.similarities[pairs[0].ravel(), pairs[1].ravel()]
        return torch.from_numpy(np.asarray(found).reshape(pairs[0].shape).astype(np.float32))


def _cosines(residuals, met, shrinkage: float) -> scipy.sparse.csr_matrix:
    """Shrunk cosines over common subjects of the columns of two CSR matrices of one pattern, [n_objects, n_objects]."""
    dot, common = (residuals.T @ residuals).tocoo(), (met.T @ met).tocsr()
    if dot.nnz == 0:  # nobody deviates from anything
        return scipy.sparse.csr_matrix(dot.shape)
    squares = (residuals.power(2).T @ met).tocsr()  # of the row's object, over common subjects
    own = np.asarray(squares[dot.row, dot.col]).ravel()
    other = np.asarray(squares[dot.col, dot.row]).ravel()
    n = np.asarray(common[dot.row, dot.col]).ravel()
    values = dot.data / np.sqrt(np.maximum(own * other, 1e-12)) * n / (n + shrinkage)
    return scipy.sparse.csr_matrix((values, (dot.row, dot.col)), dot.shape)
