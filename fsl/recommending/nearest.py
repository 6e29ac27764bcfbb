"""Nearest objects as tensors: what a newcomer thought of alike objects. Knows tensors and fitted learners, no file."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fsl.learners.object_neighbours import ObjectKNN
from fsl.recommending.side import Answer, LikenessSide, sparse_tensors
from fsl.tasks import Tasks


@dataclass(frozen=True, eq=False)
class NearestSide(LikenessSide):
    """`ObjectKNN` by ratings, with each behaviour's share in it:

        share_ok = l_k / (K + λ_t) + s_ok e_k / (Σ_j |s_oj| + λ),   l = r − base,   e = l − Σ l / (K + λ_t)

    settings: λ_t, λ, and the standard deviation of what the effects of both leave of the training ratings.
    """

    SHAPES: ClassVar = {"base": "n", "settings": "s", **LikenessSide.LIKENESS}
    base: Tensor
    settings: Tensor

    @classmethod
    def fitted(cls, tasks: Tasks, learner: ObjectKNN) -> "NearestSide":
        """Fit the learner on those tasks."""
        learner = learner.fit(tasks)
        bias = learner.bias
        spread = float(bias.training_residuals.double().square().mean().sqrt())
        settings = [learner.user_shrinkage, learner.vote_shrinkage, max(spread, 1e-6)]
        return cls(
            *sparse_tensors(learner.similarities),
            (bias.mean + bias.effects).double(),
            torch.tensor(settings, dtype=torch.float64),
        )

    def check(self) -> None:
        super().check()
        if len(self.settings) != 3 or not bool((self.settings > 0).all()):
            raise ValueError("its settings are none")

    def answer(self, content: Tensor | None, places: Tensor, targets: Tensor) -> Answer:
        own, votes, spread = self.settings
        left = targets - self.base[places]
        residuals = left - left.sum() / (len(left) + own)
        near = self.alike(places)
        total = near.abs().sum(1, keepdim=True) + votes
        shares = left / (len(left) + own) + near * residuals / total
        nothing = torch.zeros(len(self.base), 0, dtype=torch.float64)
        return Answer(
            self.base + shares.sum(1), spread.expand_as(self.base), self.base, nothing, shares
        )
