"""Recommending by distance in a learned space."""

import torch
from torch import Tensor

from fsl.episodes import Examples, Tasks
from fsl.learners.baselines import ShrunkBias, mask_of
from fsl.learners.neighbours import NeighbourVotes, in_chunks
from fsl.siamese import train_siamese


class Siamese:
    """Places a new task's few behaviours in a space trained by contrastive loss, and asks the nearest known tasks.

    A task's taste is t = Σ_support e (z_i − z̄) / (K + λ), z_i the embedding of object i and e the residual of
    `ShrunkBias`; nearness is the cosine of tastes; the neighbours vote with their residuals. Needs object features
    that say something about taste: without any it is `ShrunkBias`.
    """

    def __init__(
        self, n_embedding=16, n_hidden=64, n_steps=400, n_neighbours=80, vote_shrinkage=3.0, seed=0
    ):
        self.training = {
            "n_embedding": n_embedding,
            "n_hidden": n_hidden,
            "n_steps": n_steps,
            "seed": seed,
        }
        self.n_neighbours, self.vote_shrinkage = n_neighbours, vote_shrinkage

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Siamese":
        self.bias = ShrunkBias().fit(tasks)
        self.votes = NeighbourVotes(self.bias, tasks)
        self.net, self.history = train_siamese(tasks, tasks.object_features, **self.training)
        with torch.no_grad():
            z = self.net.tower(tasks.object_features)
        self.places = z - z.mean(0)
        leaning = self.places[tasks.objects] * self.bias.training_residuals[:, None]
        self.known_tastes = torch.zeros(len(tasks), z.shape[1]).index_add_(
            0, tasks.task_of_row, leaning
        )
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        return in_chunks(self._predict, support, query_inputs)

    def _predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        known = self.bias.predict(support, query_inputs)
        similarity = torch.nn.functional.cosine_similarity(
            self.taste(support)[:, None], self.known_tastes[None], dim=-1, eps=1e-6
        )
        votes = self.votes.correction(
            similarity.clamp(min=0), query_inputs, self.n_neighbours, self.vote_shrinkage
        )
        return known + votes

    def taste(self, support: Examples) -> Tensor:
        """Each task's place among tastes, [n_tasks, n_embedding]; the origin at K = 0."""
        leaning = self.places[support.inputs[..., 1]] * self.bias.residuals(support)[..., None]
        return leaning.sum(1) / (mask_of(support).sum(1, keepdim=True) + 1)
