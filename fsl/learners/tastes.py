"""Recommending by the place of a few behaviours in a learned space of tastes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import mask_of
from fsl.learners.baselines import ShrunkBias
from fsl.learners.neighbours import NeighbourVotes, Voting, described
from fsl.siamese import train_siamese
from fsl.tasks import Tasks


@dataclass(eq=False)
class Siamese(Voting):
    """Places a new task's few behaviours in a space trained by contrastive loss, and asks the nearest known tasks.

    A task's taste is t = Σ_support e (z_i − z̄) / (K + 1), z_i the embedding of object i and e the residual of
    `ShrunkBias`; nearness is the cosine of tastes; the neighbours vote with their residuals. Objects enter the
    network by their content and by factors learned from the training tasks. Fails where neither says anything.
    """

    n_embedding: int = 16
    n_hidden: int = 64
    n_factors: int = 8
    n_steps: int = 400
    n_neighbours: int = 80
    vote_shrinkage: float = 3.0
    seed: int = 0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Siamese":
        self.bias = ShrunkBias().fit(tasks)
        self.votes = NeighbourVotes(self.bias, tasks)
        x = described(tasks, self.n_factors, self.seed)
        self.net, self.history = train_siamese(
            tasks, x, self.n_hidden, self.n_embedding, self.n_steps, seed=self.seed
        )
        with torch.no_grad():
            z = self.net.tower(x)
        self.places = z - z.mean(0)
        leaning = self.places[tasks.objects] * self.bias.training_residuals[:, None]
        self.known_tastes = torch.zeros(len(tasks), z.shape[1]).index_add_(
            0, tasks.task_of_row, leaning
        )
        return self

    def similarity(self, support: Examples) -> Tensor:
        tastes = self.taste(support)[:, None]
        return torch.cosine_similarity(tastes, self.known_tastes[None], dim=-1, eps=1e-6)

    def taste(self, support: Examples) -> Tensor:
        """Each task's place among tastes, [n_tasks, n_embedding]; the origin at K = 0."""
        leaning = self.places[support.inputs[..., 1]] * self.bias.residuals(support)[..., None]
        return leaning.sum(1) / (mask_of(support).sum(1, keepdim=True) + 1)
