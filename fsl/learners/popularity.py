"""Most popular, and most popular recently: what a shop shows to somebody whom it does not know."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.learners.catalogue import DAY, RankingLearner, is_positive
from fsl.tasks import Tasks


@dataclass(eq=False)
class MostPopular(RankingLearner):
    """log(1 + n_i), n_i the training behaviours with object i, of the last `days` before the last of all (None: ever).

    likes: count only behaviours with a target of at least that. Objects that were not met within `days` follow in the
    order of how often they were met ever. Ignores the support. Raises InputError for `days` without timestamps.
    """

    days: float | None = None
    likes: float | None = None

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "MostPopular":
        """Counts; those of ever, times 10⁻³, part what was not met within `days`."""
        ever = is_positive(tasks.targets, self.likes)
        self.log_counts = _counted(tasks, ever).log1p()
        if self.days is not None:
            recent = ever & (recency(tasks) < self.days)
            self.log_counts = _counted(tasks, recent).log1p() + 1e-3 * self.log_counts
        return self

    def scores(self, support: Examples) -> Tensor:
        """The same for every task."""
        return self.log_counts.expand(len(support.inputs), -1).clone()


def recency(tasks: Tasks) -> Tensor:
    """Days from each behaviour to the last of all, [n_rows]. Raises InputError without timestamps."""
    if tasks.times is None:
        raise InputError("what is recent needs a column timestamp in interactions, which has none")
    return (tasks.times.max() - tasks.times) / DAY if tasks.n_rows else tasks.times


def _counted(tasks: Tasks, kept: Tensor) -> Tensor:
    return torch.bincount(tasks.objects[kept], minlength=len(tasks.object_ids)).float()
