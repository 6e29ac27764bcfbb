"""Learning an initialisation that a few gradient steps turn into a person's own model."""

import random
from copy import deepcopy

import torch
from torch import Tensor, nn

from fsl.adapt import adapt, meta_loss
from fsl.episodes import Episode, Examples, Tasks, sample_episode
from fsl.learners.baselines import ShrunkBias
from fsl.learners.neighbours import FoldIn
from fsl.learners.select import validation_episodes, validation_error


class Body(nn.Module):
    """What all tasks share: an embedding per object, beside the content of object and subject. [..., 2] -> [..., d]."""

    def __init__(self, tasks: Tasks, object_embeddings: Tensor):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(object_embeddings.clone(), freeze=False)
        self.register_buffer("object_features", tasks.object_features)
        self.register_buffer("subject_features", tasks.subject_features)
        self.n_outputs = sum(
            x.shape[1] for x in (object_embeddings, tasks.object_features, tasks.subject_features)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        subject, item = inputs[..., 0], inputs[..., 1]
        parts = [self.embedding(item), self.object_features[item], self.subject_features[subject]]
        return (
            torch.cat(parts, dim=-1) / self.n_outputs**0.5
        )  # about unit length: steps of ~0.1 to 1 are stable


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


class MAML:
    """Model-agnostic meta-learning (Finn et al. 2017) as MeLU (Lee et al. 2019) places it: embeddings are shared,
    the decision layers adapt to each task in `n_steps` steps of size `inner_lr`; the meta-gradient is exact.

    It learns what `ShrunkBias` leaves: (r − μ − b_i) / s, s their standard deviation. Object embeddings start from
    matrix factorisation of the training tasks. Training draws episodes of 1 to `max_shots` shots; the weights with
    the least error on validation tasks are kept. Fails where there are too few tasks to learn from.
    """

    def __init__(
        self, n_embedding=8, n_hidden=16, inner_lr=0.2, n_steps=3, shrinkage=2.0, meta_lr=3e-3, n_iterations=200, meta_batch=16,
        max_shots=10, n_query=10, first_order=False, seed=0,
    ):  # fmt: skip
        self.n_embedding, self.n_hidden, self.inner_lr, self.n_steps = (
            n_embedding,
            n_hidden,
            inner_lr,
            n_steps,
        )
        self.meta_lr, self.n_iterations, self.meta_batch, self.seed = (
            meta_lr,
            n_iterations,
            meta_batch,
            seed,
        )
        self.shrinkage, self.max_shots, self.n_query, self.first_order = (
            shrinkage,
            max_shots,
            n_query,
            first_order,
        )

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "MAML":
        self.bias = ShrunkBias().fit(tasks)
        self.scale = (tasks.targets - self.bias.effects[tasks.objects]).std().clamp(min=1e-6)
        embeddings = FoldIn(self.n_embedding, seed=self.seed).fit(tasks).factors
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.body = Body(tasks, embeddings / embeddings.std().clamp(min=1e-6))
            self.head = Head(self.body.n_outputs, self.n_hidden)
        self._train(tasks, validation)
        return self

    def _train(self, tasks: Tasks, validation: Tasks | None) -> None:
        generator, lots = torch.Generator().manual_seed(self.seed), random.Random(self.seed)
        nets = nn.ModuleList([self.body, self.head])
        optimizer = torch.optim.Adam(nets.parameters(), lr=self.meta_lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.n_iterations)
        most = min(self.max_shots, int(tasks.sizes.max()) - 1)
        shots = [k for k in (1, 3, 5, 10) if k <= self.max_shots]
        checks = (
            []
            if validation is None
            else list(validation_episodes(validation, shots, self.n_query, self.seed))
        )
        best, self.history = None, []
        for i in range(self.n_iterations):
            episode = sample_episode(
                tasks, lots.randint(1, most), self.n_query, generator, n_tasks=self.meta_batch
            )
            loss = self._meta_loss(episode).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(nets.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            if checks and ((i + 1) % 50 == 0 or i + 1 == self.n_iterations):
                error = validation_error(self, checks)
                self.history.append({"iteration": i + 1, "train": loss.item(), "validation": error})
                if best is None or error < best[0]:
                    best = (error, deepcopy(nets.state_dict()))
        if best is not None:
            nets.load_state_dict(best[1])

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
        correction = adapt(self.head, self._loss, side, query, self.inner_lr, self.n_steps)
        return self.bias.prior(query_inputs) + self.scale * correction.detach()
