"""Episodic methods on people: what a method learns is what the item effect leaves of each rating."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from fsl.engines.arguments import with_mask
from fsl.episodes import Episode, Examples, sample_episode
from fsl.learners.base import Learner, Predictive
from fsl.learners.baselines import ShrunkBias
from fsl.learners.closed_form import Gaussian
from fsl.learners.method import Method
from fsl.learners.neighbours import described
from fsl.learners.select import validation_episodes
from fsl.seeds import seeded
from fsl.tasks import Tasks


class Body(nn.Module):
    """What all tasks share: an embedding per object, beside the content of the subject. [..., 2] -> [..., d]."""

    def __init__(self, objects: Tensor, subject_features: Tensor):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(objects, freeze=False)
        self.register_buffer("subject_features", subject_features)
        self.n_features = objects.shape[1] + subject_features.shape[1]

    def forward(self, inputs: Tensor) -> Tensor:
        """int64 [..., 2] of (subject, object) -> [..., d], d = `n_features`, of about unit length."""
        x = torch.cat(
            [self.embedding(inputs[..., 1]), self.subject_features[inputs[..., 0]]], dim=-1
        )
        return x / self.n_features**0.5  # of about unit length: then steps of 0.1 to 1 are stable


class Head(nn.Module):
    """What each task adapts: d → n_hidden, ReLU → 1, with a straight way past the hidden layer. [n, d] -> [n]."""

    def __init__(self, n_features: int, n_hidden: int):
        super().__init__()
        self.hidden, self.out = nn.Linear(n_features, n_hidden), nn.Linear(n_hidden, 1)
        self.straight = nn.Linear(n_features, 1, bias=False)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.straight.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[..., d] -> [...]; 0 at the start."""
        return (self.out(self.hidden(x).relu()) + self.straight(x))[..., 0]


@dataclass(frozen=True)
class ShrunkLoss:
    """Σ (p − t)² / (K + λ), one task's: one rating moves a model less far than ten. [n], [n], [n] -> scalar."""

    shrinkage: float = 2.0

    def __call__(self, predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        errors = torch.where(mask, predictions - targets, 0)
        return errors.square().sum() / (mask.sum() + self.shrinkage)


@dataclass(frozen=True)
class Residual:
    """What the item effect leaves, (r − μ − b_i) / s, with s its standard deviation on the training tasks."""

    bias: ShrunkBias
    scale: Tensor

    def of(self, side: Examples) -> Examples:
        """The same rows with residuals for targets."""
        inputs, targets, mask = Examples(*side)
        return Examples(inputs, (targets - self.bias.prior(inputs)) / self.scale, mask)

    def undone(self, predictions: Tensor, inputs: Tensor) -> Tensor:
        """Back in the targets' unit."""
        return self.bias.prior(inputs) + self.scale * predictions


@dataclass(frozen=True)
class RatingSampler:
    """Episodes of a shop's tasks with residuals for targets; each of 1 to `max_shots` shots, to serve them all."""

    tasks: Tasks
    residual: Residual
    max_shots: int = 10
    n_query: int = 10

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episode:
        """n_tasks tasks at random, all with one number of shots, drawn from 1 to `max_shots`."""
        most = max(1, min(self.max_shots, int(self.tasks.sizes.max()) - 1))
        n_shots = int(torch.randint(1, most + 1, (), generator=generator))
        episode = sample_episode(
            self.tasks, n_shots, self.n_query, generator, n_tasks=n_tasks, support=self.tasks.order
        )
        return Episode(*map(self.residual.of, episode))

    def joint(self, n: int, generator: torch.Generator) -> Examples:
        """n rows of all tasks, inputs [n, 2], targets [n]; a row may come twice."""
        rows = torch.randint(self.tasks.n_rows, (n,), generator=generator)
        subjects = self.tasks.subjects[self.tasks.task_of_row[rows]]
        inputs = torch.stack([subjects, self.tasks.objects[rows]], dim=-1)
        return self.residual.of(Examples(inputs, self.tasks.targets[rows]))

    def checks(self, seed: int) -> list[Episode]:
        """Fixed episodes of all tasks, at 1, 3, 5 and 10 shots as far as `max_shots` allows."""
        shots = [k for k in (1, 3, 5, 10) if k <= self.max_shots]
        episodes = validation_episodes(self.tasks, shots, self.n_query, seed)
        return [Episode(*map(self.residual.of, episode)) for episode in episodes]


@dataclass(eq=False)
class Recommender(Learner):
    """Any episodic method as a learner of a shop's tasks: prediction = μ + b_i + s · method's, of known support.

    make: gives the `Method` for a network: one with `body` and `head` ([n, 2] of (subject, object) -> [n]) where the
    method wants a "net", else a body ([..., n, 2] -> [..., n, n_embedding], with `n_features`). As MeLU (Lee et al.
    2019) places it, objects' embeddings are shared: they start as content and factors from the training tasks.
    Fails where there are too few tasks to learn from; `ShrunkBias` is what it has to beat.
    """

    make: Callable[[nn.Module], Method]
    wants: str = "net"
    n_factors: int = 8
    n_hidden: int = 16
    n_embedding: int = 16
    max_shots: int = 10
    n_query: int = 10
    seed: int = 0
    method: Method = field(init=False, repr=False, default=None)

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Recommender":
        if validation is not None and not validation.object_ids.equals(tasks.object_ids):
            raise ValueError(
                "validation tasks must be of the same shop: their objects have other ids"
            )
        bias = ShrunkBias().fit(tasks)
        scale = (tasks.targets - bias.effects[tasks.objects]).std().clamp(min=1e-6)
        self.residual = Residual(bias, scale)
        with seeded(self.seed):
            self.method = self.make(self._network(tasks))
        samplers = [
            part
            if part is None
            else RatingSampler(part, self.residual, self.max_shots, self.n_query)
            for part in (tasks, validation)
        ]
        self.method.fit(*samplers)
        return self

    @property
    def history(self):
        """The trainer's table."""
        return self.method.history

    def _network(self, tasks: Tasks) -> nn.Sequential:
        body = Body(described(tasks, self.n_factors, self.seed), tasks.subject_features)
        if self.wants == "net":
            return nn.Sequential(OrderedDict(body=body, head=Head(body.n_features, self.n_hidden)))
        tower = [nn.Linear(body.n_features, self.n_hidden), nn.ReLU()]
        tower.append(nn.Linear(self.n_hidden, self.n_embedding))
        net = nn.Sequential(body, *tower)
        net.n_features = self.n_embedding
        return net

    def predict(self, support: Examples, query_inputs: Tensor, **options) -> Tensor:
        found = self.method.predict(self.residual.of(support), query_inputs, **options)
        return self.residual.undone(found, query_inputs)

    def distribution(self, support: Examples, query_inputs: Tensor) -> Predictive | None:
        if not isinstance(self.method, Gaussian):
            return None
        with self.method.judging():
            known = with_mask(self.residual.of(support))
            mean, variance = self.method.distribution(known, query_inputs)
        undone = self.residual.undone(mean, query_inputs)
        return Predictive(undone, variance * self.residual.scale.square())
