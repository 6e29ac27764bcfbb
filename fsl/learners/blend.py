"""Several rankings in one: a sum of z-scores in fixed weights. Knows no method."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.catalogue import RankingLearner, z_scored
from fsl.tasks import Tasks


@dataclass(eq=False)
class Blend(RankingLearner):
    """Σ_m w_m z(scores_m): each member's scores, z-scored over the catalogue for each task, in fixed weights.

    `fit` fits the members; give `fitted=True` to share members that somebody else fits.
    """

    members: Sequence[RankingLearner]
    weights: Sequence[float]
    fitted: bool = False

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Blend":
        """Fit every member, unless they are `fitted` already."""
        if not self.fitted:
            self.members = [member.fit(tasks, validation) for member in self.members]
        return self

    def refresh(self, tasks: Tasks) -> "Blend":
        """Every member takes up what is newer, unless they are `fitted` by somebody else."""
        if not self.fitted:
            self.members = [member.refresh(tasks) for member in self.members]
        return self

    def scores(self, support: Examples) -> Tensor:
        """Σ_m w_m z(scores_m), z the z-score over the catalogue: [n_tasks, n_objects]."""
        parts = zip(self.weights, self.members, strict=True)
        return sum(weight * z_scored(member.scores(support)) for weight, member in parts)
