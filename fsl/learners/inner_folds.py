"""Choosing among settings by cross-validation inside the training tasks: where users are too few to spare any."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from fsl.errors import InputError
from fsl.learners.base import Learner
from fsl.learners.select import Selected, validation_episodes, validation_error
from fsl.tasks import Tasks


def folds_by_group(tasks: Tasks, n_folds: int, seed: int) -> Iterator[tuple[Tasks, Tasks]]:
    """(training tasks, held-out tasks) for each of `n_folds`: every group (user, item) is held out exactly once.

    The groups are shuffled by a generator of `seed`. Raises InputError for fewer than two folds, or fewer groups than
    folds.
    """
    groups, group = tasks.groups.unique(return_inverse=True)
    if not 2 <= n_folds <= len(groups):
        raise InputError(
            f"folds must be 2 or more and no more than the {len(groups)} {tasks.kind}s, got {n_folds}"
        )
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))
    for held_out in order.tensor_split(n_folds):
        is_out = torch.isin(group, held_out)
        yield tasks.subset((~is_out).nonzero()[:, 0]), tasks.subset(is_out.nonzero()[:, 0])


@dataclass(eq=False)
class SelectedByFolds(Selected):
    """As `Selected`, but each candidate is judged on all training tasks, each held out once; the best fits all.

    The error is the mean square over inner folds, `n_shots` and `n_draws` draws of support and query; every candidate
    meets the same draws. `validation` is not needed and not looked at. `chosen` and `errors` are as in `Selected`.
    """

    n_shots: Sequence[int] = (5,)
    n_query: int = 5
    n_folds: int = 5
    n_draws: int = 4

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "SelectedByFolds":
        totals = [0.0] * len(self.candidates)
        for train, held_out in folds_by_group(tasks, self.n_folds, self.seed):
            episodes = self._episodes(held_out)
            for n, candidate in enumerate(self.candidates):
                totals[n] += validation_error(candidate.fit(train), episodes)
        self.errors = [(total / self.n_folds) ** 0.5 for total in totals]
        best = min(range(len(totals)), key=totals.__getitem__)
        self.chosen: Learner = self.candidates[best].fit(tasks)
        return self

    def _episodes(self, held_out: Tasks) -> list:
        seeds = range(self.seed, self.seed + self.n_draws)
        episodes = [
            episode
            for seed in seeds
            for episode in validation_episodes(held_out, self.n_shots, self.n_query, seed)
        ]
        if not episodes:
            raise InputError(f"none of the held-out tasks has {min(self.n_shots) + 1} behaviours")
        return episodes
