"""The mean of what several learners predict: simple, often a little better, and never a method of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import Learner
from fsl.tasks import Tasks


@dataclass(eq=False)
class Average(Learner):
    """Σ_m p_m / M over the members' predictions p_m, with equal weights: nothing to tune, nothing to leak.

    Gains where the members err apart. Members that are fitted already need no `fit`.
    """

    members: Sequence

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Average":
        for member in self.members:
            member.fit(tasks, validation)
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        found = [member.predict(support, query_inputs) for member in self.members]
        return torch.stack(found).mean(0)
