"""A projection learned on other intents, to be used on new ones: does practice elsewhere help here?

Knows embedded texts, the episodic trainer and looks; knows no text.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fsl.class_tasks import ClassSampler, ClassTasks
from fsl.learners.metric import Prototypical
from fsl.texts.intent_looks import Look
from fsl.training import EpisodicTrainer


class Projection(nn.Module):
    """z ← (z + A z) / ‖·‖ with A = 0 at first: training starts from the encoder as it is. [..., d] -> [..., d]."""

    def __init__(self, n_features: int):
        super().__init__()
        self.n_features = n_features
        self.a = nn.Linear(n_features, n_features, bias=False)
        nn.init.zeros_(self.a.weight)

    def forward(self, z: Tensor) -> Tensor:
        """[..., d] -> [..., d], unit rows."""
        return normalize(z + self.a(z), dim=-1)


def learn_projection(
    z: Tensor,
    labels: Tensor,
    n_iterations: int = 300,
    n_way: int = 30,
    n_shots: int = 5,
    lr: float = 1e-4,
    seed: int = 0,
) -> Projection:
    """Meta-learn A by prototypes (Snell et al. 2017) on tasks of these labelled vectors: z [n, d], labels int64 [n].

    A fifth of the classes, at random, decides which weights are kept; so where nothing helps there, A stays near 0.
    """
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randperm(int(labels.max()) + 1, generator=generator)
    n_held = max(len(classes) // 5, 2)
    everything = ClassTasks(
        z, labels, [str(c) for c in range(len(classes))], torch.zeros(len(classes), dtype=torch.long), ["all"]
    )  # fmt: skip
    parts = everything.subset(classes[n_held:]), everything.subset(classes[:n_held])
    train, check = (ClassSampler(part, min(n_way, len(part)), n_shots, 5) for part in parts)
    trainer = EpisodicTrainer(n_iterations, meta_batch=2, lr=lr, check_every=25, seed=seed)
    method = Prototypical(Projection(z.shape[1]), temperature=0.1, trainer=trainer)
    return method.fit(train, check).body


@dataclass(frozen=True)
class Projected:
    """Looks with every vector projected. Called with (seed, n_shots), as what it is made from."""

    looks: Callable[[int, int], Look]
    projection: Projection

    @torch.no_grad()
    def __call__(self, seed: int, n_shots: int) -> Look:
        shots, asked = self.looks(seed, n_shots)
        shots = shots._replace(z=self.projection(shots.z), names=self.projection(shots.names))
        return Look(shots, {part: self.projection(z) for part, z in asked.items()})
