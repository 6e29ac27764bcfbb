"""Ways of comparing an icon with a photo: as the encoder does, or by a metric learned on pairs of other phones.

Knows vectors; knows no picture and no test. A way is fitted on pairs and gives a map of icons and a map of photos,
whose inner product is the score.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fsl.learners.metric import Matching
from fsl.photos.pairs import FromIdentity, PairTasks
from fsl.training import EpisodicTrainer


class Pairs(NamedTuple):
    """icons, photos: float32 [n, d], row by row the same phone."""

    icons: Tensor
    photos: Tensor

    def rows(self, chosen: Tensor) -> "Pairs":
        """Some of the phones."""
        return Pairs(self.icons[chosen], self.photos[chosen])


Maps = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]  # of icons, of photos
Fit = Callable[[Pairs], Maps]


def frozen(train: Pairs) -> Maps:
    """The encoder's cosine; nothing is learned."""
    return unit, unit


def centred(train: Pairs) -> Maps:
    """x − x̄ of icons, and of photos: what is common to all icons, such as their size, tells no phone."""
    means = train.icons.mean(0), train.photos.mean(0)
    return tuple(lambda x, mean=mean: unit(x - mean) for mean in means)


def whitened(train: Pairs, ridge: float = 3.0) -> Maps:
    """Relevant component analysis (Bar-Hillel et al. 2003): (x − x̄) L, L Lᵀ = (C + ρ I)⁻¹, a metric in one solve.

    C is the covariance of icon minus photo of one phone: along it two pictures of one phone differ. ρ is `ridge` times
    C's mean variance.
    """
    of_icon, of_photo = (train.icons.mean(0), train.photos.mean(0))
    apart = (train.icons - of_icon) - (train.photos - of_photo)
    c = apart.T @ apart / len(apart)
    rho = ridge * c.trace() / len(c)
    root = torch.linalg.cholesky(torch.linalg.inv(c + rho * torch.eye(len(c))))
    return tuple(lambda x, mean=mean: unit((x - mean) @ root) for mean in (of_icon, of_photo))


def episodic(
    train: Pairs,
    n_components: int = 256,
    n_iterations: int = 100,
    n_way: int = 64,
    lr: float = 1e-3,
    tau: float = 20.0,
) -> Maps:
    """Matching networks (`fsl.learners.metric.Matching`), one photo a class, meta-trained on tasks of n_way phones.

    The body is a linear map on the first principal components of the centred vectors; it starts as the identity, so
    that training starts from `centred`.
    """
    means = train.icons.mean(0), train.photos.mean(0)
    both = torch.cat([side - mean for side, mean in zip(train, means, strict=True)])
    axes = torch.linalg.svd(both, full_matrices=False).Vh[:n_components].T
    before = tuple(lambda x, mean=mean: unit((x - mean) @ axes) for mean in means)
    tasks = PairTasks(*(f(side) for f, side in zip(before, train, strict=True)), n_way)
    trainer = EpisodicTrainer(n_iterations, meta_batch=1, lr=lr, check_every=n_iterations)
    learner = Matching(FromIdentity(axes.shape[1]), tau, trainer).fit(tasks)
    weight = learner.body.weight.detach()
    return tuple(lambda x, f=f: unit(f(x) @ weight) for f in before)


def unit(x: Tensor) -> Tensor:
    """x / ‖x‖ over the last axis."""
    return nn.functional.normalize(x, dim=-1)
