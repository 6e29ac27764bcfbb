"""Learning an initialisation that a few gradient steps turn into a person's own model."""

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fsl.adapt import adapted_predictions, meta_loss
from fsl.episodes import Episode, Examples, sample_episode
from fsl.learners.base import Learner
from fsl.learners.baselines import ShrunkBias
from fsl.learners.neighbours import described
from fsl.learners.select import validation_episodes, validation_error
from fsl.tasks import Tasks


class Body(nn.Module):
    """What all tasks share: an embedding per object, beside the content of the subject. [..., 2] -> [..., d]."""

    def __init__(self, objects: Tensor, subject_features: Tensor):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(objects, freeze=False)
        self.register_buffer("subject_features", subject_features)
        self.n_outputs = objects.shape[1] + subject_features.shape[1]

    def forward(self, inputs: Tensor) -> Tensor:
        x = torch.cat(
            [self.embedding(inputs[..., 1]), self.subject_features[inputs[..., 0]]], dim=-1
        )
        return x / self.n_outputs**0.5  # of about unit length: then steps of 0.1 to 1 are stable


class Head(nn.Module):
    """What each task adapts: d → n_hidden, ReLU → 1, with a straight way past the hidden layer. [n, d] -> [n]."""

    def __init__(self, n_inputs: int, n_hidden: int):
        super().__init__()
        self.hidden, self.out = nn.Linear(n_inputs, n_hidden), nn.Linear(n_hidden, 1)
        self.straight = nn.Linear(n_inputs, 1, bias=False)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.straight.weight)

    def forward(self, x: Tensor) -> Tensor:
        return (self.out(self.hidden(x).relu()) + self.straight(x))[..., 0]


@dataclass(eq=False)
class MAML(Learner):
    """Model-agnostic meta-learning (Finn et al. 2017) as MeLU (Lee et al. 2019) places it: embeddings are shared,
    the decision layers adapt to each task in `n_steps` steps of size `inner_lr`; the meta-gradient is exact.

    It learns what the item effect leaves: (r − μ − b_i) / s, s their standard deviation. Object embeddings start as
    content and factors from the training tasks. Training draws episodes of 1 to `max_shots` shots; the weights with
    the least error on validation tasks are kept. Fails where there are too few tasks to learn from.
    """

    n_factors: int = 8
    n_hidden: int = 16
    inner_lr: float = 0.2
    n_steps: int = 3
    shrinkage: float = 2.0
    meta_lr: float = 3e-3
    n_iterations: int = 200
    meta_batch: int = 16
    max_shots: int = 10
    n_query: int = 10
    first_order: bool = False
    seed: int = 0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "MAML":
        self.bias = ShrunkBias().fit(tasks)
        self.scale = (tasks.targets - self.bias.effects[tasks.objects]).std().clamp(min=1e-6)
        objects = described(tasks, self.n_factors, self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.body = Body(objects, tasks.subject_features)
            self.head = Head(self.body.n_outputs, self.n_hidden)
        self._train(tasks, validation)
        return self

    def _train(self, tasks: Tasks, validation: Tasks | None) -> None:
        nets = nn.ModuleList([self.body, self.head])
        optimizer = torch.optim.Adam(nets.parameters(), lr=self.meta_lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.n_iterations)
        checks = self._checks(validation)
        self.history, kept = [], deepcopy(nets.state_dict())
        for i, episode in enumerate(self._episodes(tasks), start=1):
            loss = self._meta_loss(episode).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(nets.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            if i % 50 == 0 or i == self.n_iterations:
                error = validation_error(self, checks) if checks else loss.item()
                if not checks or error < min(
                    (row["validation"] for row in self.history), default=torch.inf
                ):
                    kept = deepcopy(nets.state_dict())
                self.history.append({"iteration": i, "train": loss.item(), "validation": error})
        nets.load_state_dict(kept)

    def _episodes(self, tasks: Tasks) -> Iterator[Episode]:
        """One episode per iteration, of 1 to `max_shots` shots, so that the initialisation serves them all."""
        generator, lots = torch.Generator().manual_seed(self.seed), random.Random(self.seed)
        most = max(1, min(self.max_shots, int(tasks.sizes.max()) - 1))
        for _ in range(self.n_iterations):
            shots = lots.randint(1, most)
            yield sample_episode(tasks, shots, self.n_query, generator, n_tasks=self.meta_batch)

    def _checks(self, validation: Tasks | None) -> list[Episode]:
        if validation is None:
            return []
        shots = [k for k in (1, 3, 5, 10) if k <= self.max_shots]
        return list(validation_episodes(validation, shots, self.n_query, self.seed))

    def _meta_loss(self, episode: Episode) -> Tensor:
        embedded = Episode(*(self._embedded(side) for side in episode))
        return meta_loss(
            self.head, self._loss, embedded, self.inner_lr, self.n_steps, self.first_order
        )

    def _loss(self, predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Σ (p − t)² / (K + λ): one rating moves a person's model less far than ten."""
        return torch.where(mask, predictions - targets, 0).square().sum() / (
            mask.sum() + self.shrinkage
        )

    def _embedded(self, side: Examples) -> Examples:
        left = (side.targets - self.bias.prior(side.inputs)) / self.scale
        return Examples(self.body(side.inputs), left, side.mask)

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        with torch.no_grad():
            side, query = self._embedded(support), self.body(query_inputs)
        correction = adapted_predictions(
            self.head, self._loss, side, query, self.inner_lr, self.n_steps
        )
        return self.bias.prior(query_inputs) + self.scale * correction.detach()
