"""Choosing among settings of one learner on validation tasks, with the same budget for everyone."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.episodes import Examples, sample_episode
from fsl.errors import InputError
from fsl.learners.base import Learner
from fsl.metrics import mse
from fsl.tasks import Tasks, join


@dataclass(eq=False)
class Selected(Learner):
    """Fits every candidate and keeps the one with the least validation error (mean squared, averaged over `n_shots`).

    `fit` needs validation tasks, disjoint from the training ones; test tasks never choose anything. After it,
    `chosen` is the learner kept and `errors` lists each candidate's validation RMSE. refit: the one chosen is fitted
    again on training and validation tasks together (a single candidate at once); for learners that do not stop by
    validation.
    """

    candidates: Sequence
    n_shots: Sequence[int] = (1, 3, 5)
    n_query: int = 10
    seed: int = 0
    refit: bool = False

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Selected":
        """Fit every candidate, keep the one of least RMSE on validation episodes; `refit`: anew with them."""
        if len(self.candidates) == 1 and self.refit and validation is not None:
            self.chosen, self.errors = self.candidates[0].fit(join(tasks, validation)), []
            return self
        if validation is None or len(validation) == 0:
            raise InputError("choosing a setting needs validation tasks, and there are none")
        episodes = list(validation_episodes(validation, self.n_shots, self.n_query, self.seed))
        if not episodes:
            raise InputError(f"none of the validation tasks has {min(self.n_shots) + 1} behaviours")
        fitted = [candidate.fit(tasks, validation) for candidate in self.candidates]
        self.errors = [validation_error(learner, episodes) ** 0.5 for learner in fitted]
        comparable = [torch.inf if error != error else error for error in self.errors]
        self.chosen = fitted[min(range(len(fitted)), key=comparable.__getitem__)]
        if self.refit:
            self.chosen.fit(join(tasks, validation))
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        return self.chosen.predict(support, query_inputs)

    def distribution(self, support: Examples, query_inputs: Tensor):
        """That of the chosen candidate; None where it has none."""
        known = getattr(self.chosen, "distribution", None)
        return None if known is None else known(support, query_inputs)


def validation_episodes(tasks: Tasks, n_shots: Sequence[int], n_query: int, seed: int):
    """One fixed episode of all validation tasks for every number of shots that some task has enough behaviours for.

    Support is drawn in the order that the tasks are judged in, `tasks.order`.
    """
    for k in n_shots:
        if bool((tasks.sizes > k).any()):
            generator = torch.Generator().manual_seed(seed)
            yield sample_episode(tasks, k, n_query, generator, support=tasks.order)


def validation_error(learner, episodes) -> float:
    """Mean squared error over the tasks of the episodes, each episode weighing the same."""
    errors = [
        mse(learner.predict(support, query.inputs), query.targets, query.mask).mean()
        for support, query in episodes
    ]
    return float(torch.stack(errors).mean())
