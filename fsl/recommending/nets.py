"""Linear heads on learned features, ALPaCA and the ridge head, as tensors: one pass and one small solve adapt them.

Knows tensors and fitted learners; knows no file and no name.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from fsl.learners.closed_form import ALPaCA
from fsl.learners.family import recommender
from fsl.recommending.linear import LinearHead
from fsl.recommending.side import Answer, Side
from fsl.tasks import Tasks, split_tasks

STOPS_BY = 0.1  # of the tasks: they decide when training stops, the others are learned from


@dataclass(frozen=True, eq=False)
class NetSide(Side):
    """φ_o(x) = V relu(U z_o + T x + c) + d, for object o and a newcomer of content x, and a linear head on it.

    mean, covariance, noise: the head's prior of weights. prediction = base + shift + gain φ·w. spread: the standard
    deviation of a rating from a head that gives none (0: the head's own). usual: as in `EmpiricalBayesSide`.
    """

    SHAPES: ClassVar = {
        "base": "n",
        "objects": "n d",
        "of_object": "h d",
        "of_subject": "h f",
        "inner": "h",
        "outer": "e h",
        "offset": "e",
        "mean": "e",
        "covariance": "e e",
        "settings": "four",
        "usual": "f",
    }
    base: Tensor
    objects: Tensor
    of_object: Tensor
    of_subject: Tensor
    inner: Tensor
    outer: Tensor
    offset: Tensor
    mean: Tensor
    covariance: Tensor
    settings: Tensor  # noise, gain, shift, spread
    usual: Tensor

    @classmethod
    @torch.no_grad()
    def fitted(cls, tasks: Tasks, name: str, seed: int = 0, n_iterations: int = 200) -> "NetSide":
        """Train "ALPaCA" or "ridge head" on 0.9 of the tasks; the others decide when it stops."""
        generator = torch.Generator().manual_seed(seed)
        split = split_tasks(tasks, generator, (1 - STOPS_BY, STOPS_BY, 0))
        with torch.enable_grad():
            learner = recommender(name, n_iterations, seed).fit(split.train, split.validation)
        body, first, _, last = learner.method.body
        d, unit = body.embedding.weight.shape[1], body.n_features**-0.5
        residual = learner.residual
        head = _bayesian if isinstance(learner.method, ALPaCA) else _ridge
        mean, covariance, settings = head(learner.method, residual.scale.double())
        tensors = {
            "base": residual.bias.mean + residual.bias.effects,
            "objects": body.embedding.weight,
            "of_object": first.weight[:, :d] * unit,
            "of_subject": first.weight[:, d:] * unit,
            "inner": first.bias,
            "outer": last.weight,
            "offset": last.bias,
            "mean": mean,
            "covariance": covariance,
            "settings": torch.stack([torch.as_tensor(s, dtype=torch.float64) for s in settings]),
            "usual": tasks.subject_features[tasks.subjects].mean(0),
        }
        return cls(**{name: t.detach().double().contiguous() for name, t in tensors.items()})

    def check(self) -> None:
        noise, _, _, spread = self.settings.tolist() if len(self.settings) == 4 else (0, 0, 0, 0)
        if not (noise > 0 and spread >= 0):
            raise ValueError("its settings are none")

    @cached_property
    def seen(self) -> Tensor:
        """U z_o + c of every object, the same for all newcomers: [n, h]."""
        return self.objects @ self.of_object.T + self.inner

    @cached_property
    def stranger(self) -> LinearHead:
        """The head for a newcomer of whom nothing is known."""
        return self.head(self.usual)

    def head(self, content: Tensor) -> LinearHead:
        """The linear head for a newcomer of that content."""
        hidden = (self.seen + self.of_subject @ content).relu_()
        features = (hidden @ self.outer.T).add_(self.offset)
        noise = self.settings[0].expand_as(self.base)
        return LinearHead(self.base, features, self.mean, self.covariance, noise)

    def answer(self, content: Tensor | None, places: Tensor, targets: Tensor) -> Answer:
        _, gain, shift, spread = self.settings
        head = self.stranger if content is None else self.head(content)
        shares, left = head.adapted(places, targets)
        shares, start = gain * shares, self.stranger.start + shift
        told = gain * (head.start - self.stranger.start)[:, None]
        sd = spread.expand_as(start) if spread > 0 else head.sd(left)
        return Answer(start + told.sum(1) + shares.sum(1), sd, start, told, shares)


def _bayesian(method: ALPaCA, scale: Tensor):
    """The prior of `ALPaCA`'s weights, in the targets' unit: mean, covariance, (noise, gain, shift, spread)."""
    noise = method.log_noise.double().exp() * scale.square()
    covariance = torch.linalg.inv(method.prior_precision.double()) * noise
    return method.prior_mean * scale, covariance, (noise, 1.0, 0.0, 0.0)


def _ridge(method, scale: Tensor):
    """A ridge regression as a prior: w ~ N(0, I), noise λ; the residuals' standard deviation as spread."""
    mean = torch.zeros(method.body[-1].out_features)
    covariance = torch.eye(len(mean))
    noise, gain = method.log_lambda.double().exp(), method.a
    return mean, covariance, (noise, gain, method.b * scale, scale)
