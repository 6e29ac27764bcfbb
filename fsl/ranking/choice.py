"""The choice of settings by how they rank validation tasks, with the same budget for everyone. Knows no method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.learners.catalogue import RankingLearner
from fsl.ranking.rank import rank
from fsl.tasks import Tasks

MOST_SETTINGS = 9


@dataclass(eq=False)
class SelectedByRank(RankingLearner):
    """Fits every candidate and keeps the one that ranks validation tasks best; at most MOST_SETTINGS, for everybody.

    how: options of `fsl.ranking.rank` for the validation tasks: n_shots, n_query, seeds, support, relevant_from.
    metric: which of its measures decides, the mean over tasks and seeds. `fit` needs validation tasks, disjoint from
    the training ones. After it `chosen` is the learner kept and `values` lists each candidate's mean. `refresh` keeps
    the choice and takes up newer behaviours.
    """

    candidates: Sequence[RankingLearner]
    how: Mapping = field(default_factory=dict)
    metric: str = "ndcg@10"

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "SelectedByRank":
        """Fit every candidate, keep the one that ranks best on the validation tasks, `how` as in `rank`."""
        if validation is None or len(validation) == 0:
            raise InputError("choosing a setting needs validation tasks, and there are none")
        if not 0 < len(self.candidates) <= MOST_SETTINGS:
            raise ValueError(f"1 to {MOST_SETTINGS} candidates, got {len(self.candidates)}")
        self.values = []
        for candidate in self.candidates:
            fitted = candidate.fit(tasks, validation)
            judged = rank({"it": fitted}, validation, metrics=(self.metric,), **self.how).records
            self.values.append(float(judged.query("learner == 'it'")["value"].mean()))
        best = int(torch.tensor(self.values).argmax())
        self.chosen = self.candidates[best]
        return self

    def refresh(self, tasks: Tasks) -> "SelectedByRank":
        """The chosen one takes up what is newer; nothing is chosen again."""
        self.chosen = self.chosen.refresh(tasks)
        return self

    def scores(self, support: Examples) -> Tensor:
        """Those of the chosen one."""
        return self.chosen.scores(support)
