"""An adapted few-shot learner as a policy: after each reaction it adapts anew, and shows what it expects to be best.

Knows the learners' interface (`fit`, `predict`); it never explores.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.bandits.policies import Policy, best_open
from fsl.bandits.rounds import Played, Rounds
from fsl.episodes import Examples
from fsl.learners.base import Learner
from fsl.tasks import Tasks


@dataclass(eq=False)
class Adapted(Policy):
    """Greedy on `learner.predict(what was seen so far, all arms)`."""

    learner: Learner

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Adapted":
        """Meta-train the learner."""
        self.learner.fit(tasks, validation)
        return self

    def begin(self, rounds: Rounds, seed: int) -> None:
        """Nothing is known of anybody: a support of no rows, and every arm as the query."""
        super().begin(rounds, seed)
        n = len(rounds.subjects)
        self.asked = torch.stack([rounds.subjects[:, None].expand_as(rounds.arms), rounds.arms], -1)
        self.known = Examples(
            torch.zeros(n, 0, 2, dtype=torch.long),
            torch.zeros(n, 0),
            torch.zeros(n, 0, dtype=torch.bool),
        )

    def choose(self, is_open: Tensor) -> Tensor:
        """argmax of `predict(support, all arms)` over what is open."""
        return best_open(self.learner.predict(self.known, self.asked).double(), is_open)

    def learn(self, places: Tensor, played: Played) -> None:
        """The reaction becomes one more support row, masked where the visitor had left."""
        super().learn(places, played)
        met = self.asked[torch.arange(len(places)), places][:, None]
        inputs, targets, mask = self.known
        self.known = Examples(
            torch.cat([inputs, met], 1),
            torch.cat([targets, played.signal.float()[:, None]], 1),
            torch.cat([mask, played.here[:, None]], 1),
        )
