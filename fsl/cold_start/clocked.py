"""A learner on the clock: what its fits take, and why it cannot be fitted, if so. Knows learners by their interface."""

import time
from collections.abc import Callable

import torch

from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.tasks import Tasks


class Clocked:
    """A learner with a watch: what it takes to fit, and, where it cannot be fitted to these tables, why."""

    def __init__(self, learner):
        self.learner, self.fit_s, self.problem = learner, [], ""

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Clocked":
        """Fit, on the clock; validation tasks are not passed on: settings are chosen elsewhere."""
        return self._on_the_clock(self.learner.fit, tasks)

    def refresh(self, tasks: Tasks) -> "Clocked":
        """Take up newer behaviours, on the clock: by `refresh` where the learner has it, else by `fit`."""
        return self._on_the_clock(getattr(self.learner, "refresh", self.learner.fit), tasks)

    def _on_the_clock(self, step: Callable, tasks: Tasks) -> "Clocked":
        if self.problem:
            return self
        begin = time.process_time()
        try:
            step(tasks)
        except InputError as error:
            self.problem = str(error)
        self.fit_s.append(time.process_time() - begin)
        return self

    def predict(self, support: Examples, query_inputs: torch.Tensor) -> torch.Tensor:
        """What the learner predicts; zeros of one that could not be fitted."""
        if self.problem:  # stays out; its records are dropped
            return torch.zeros(query_inputs.shape[:2])
        return self.learner.predict(support, query_inputs)
