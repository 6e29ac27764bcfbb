"""What learners that rank a whole catalogue share: sets of objects as matrices, and `predict` by way of all objects.

A subclass scores every object at once. Knows tasks and tensors, no method.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import Learner, mask_of
from fsl.tasks import Tasks

DAY = 86_400.0


class RankingLearner(Learner):
    """A learner whose predictions only need to be in the right order: `scores` of all objects, looked up by `predict`.

    Positive are the behaviours whose target is at least `likes`; None: all of them.
    """

    likes: float | None = None

    def scores(self, support: Examples) -> Tensor:
        """Adapt to each task's support and score every object, known or not: [n_tasks, n_objects], finite."""
        raise TypeError(f"{type(self).__name__} does not say how it scores")

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """The scores of the objects asked about, [n_tasks, n_query]: those of the whole catalogue, looked up."""
        return self.scores(support).gather(1, query_inputs[..., 1])

    def refresh(self, tasks: Tasks) -> RankingLearner:
        """Take up newer behaviours, the settings as they are: here, to fit again."""
        return self.fit(tasks)


def is_positive(targets: Tensor, likes: float | None) -> Tensor:
    """Which targets count as positive: bool, the same shape."""
    return torch.ones_like(targets, dtype=torch.bool) if likes is None else targets >= likes


def met_matrix(tasks: Tasks, likes: float | None = None, weights: Tensor | None = None):
    """Who met what, CSR float32 [n_tasks, n_objects]: 1 for a positive behaviour, or its weight."""
    keep = is_positive(tasks.targets, likes)
    values = torch.ones(tasks.n_rows) if weights is None else weights
    who, what = tasks.task_of_row[keep].numpy(), tasks.objects[keep].numpy()
    shape = (len(tasks), len(tasks.object_ids))
    table = scipy.sparse.coo_matrix((values[keep].numpy().astype(np.float32), (who, what)), shape)
    return _largest(table).tocsr()


def _largest(table: scipy.sparse.coo_matrix) -> scipy.sparse.coo_matrix:
    """Of entries in the same place only the largest, where building a CSR matrix would add them up."""
    order = np.lexsort((-table.data, table.col, table.row))
    row, col, data = table.row[order], table.col[order], table.data[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (col[1:] != col[:-1])
    return scipy.sparse.coo_matrix((data[first], (row[first], col[first])), table.shape)


def support_matrix(support: Examples, n_objects: int, likes: float | None = None):
    """The support's positive objects, CSR float32 [n_tasks, n_objects], 1 or 0."""
    keep = mask_of(support) & is_positive(support.targets, likes)
    who = torch.arange(len(keep))[:, None].expand_as(keep)[keep].numpy()
    what = support.inputs[..., 1][keep].numpy()
    shape = (len(keep), n_objects)
    table = scipy.sparse.coo_matrix((np.ones(len(who), np.float32), (who, what)), shape)
    return _largest(table).tocsr()


def counts(tasks: Tasks, likes: float | None = None) -> Tensor:
    """In how many tasks each object was met: float32 [n_objects]."""
    return torch.from_numpy(np.asarray(met_matrix(tasks, likes).sum(0)).ravel().astype(np.float32))


def dense(product) -> Tensor:
    """A sparse product as a float32 tensor."""
    table = product.toarray() if scipy.sparse.issparse(product) else np.asarray(product)
    return torch.from_numpy(np.ascontiguousarray(table, dtype=np.float32))


def z_scored(scores: Tensor) -> Tensor:
    """Each task's scores with mean 0 and spread 1 over the objects; 0 where they are all the same."""
    centred = scores - scores.mean(1, keepdim=True)
    spread = centred.square().mean(1, keepdim=True).sqrt()
    return torch.where(spread > 1e-6 * scores.abs().amax(1, keepdim=True), centred / spread, 0)
