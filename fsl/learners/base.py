"""The one interface of everything that can be asked to recommend. Knows tensors and tasks, no method."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.tasks import Tasks


class Predictive(NamedTuple):
    """A Gaussian for every query row: mean and variance, [n_tasks, n_query]."""

    mean: Tensor
    variance: Tensor


class Learner:
    """`fit` once on training tasks, then `predict` for any number of new ones. Subclassing it is optional."""

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> Learner:
        """Learn from the training tasks; settings and stopping may look at `validation`, never at test tasks.

        Returns the learner itself.
        """
        raise TypeError(f"{type(self).__name__} does not say how it fits")

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """Adapt to each task's support and predict its query.

        support: inputs int64 [n_tasks, K, 2] of (subject, object), targets [n_tasks, K], mask [n_tasks, K] or None;
        K may be 0. query_inputs: [n_tasks, n_query, 2]. Returns [n_tasks, n_query] in the targets' unit. A task's
        predictions depend on its own support alone, and nothing is kept from one call to the next.
        """
        raise TypeError(f"{type(self).__name__} does not say how it predicts")

    def distribution(self, support: Examples, query_inputs: Tensor) -> Predictive | None:
        """A mean, which is what `predict` says, and a variance for every query row; None from who cannot tell."""
        return None


def mask_of(support: Examples) -> Tensor:
    """The support's mask, `None` read as all real: bool [n_tasks, K]."""
    if support.mask is None:
        return torch.ones_like(support.targets, dtype=torch.bool)
    return support.mask
