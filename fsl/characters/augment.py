"""More from few drawings: other hands for the same character (warps), new characters (turns, overlays), one size.

Knows images as tensors and `ClassTasks`; knows no data set and no model.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsl.class_tasks import ClassTasks


@dataclass(frozen=True)
class Warp:
    """A random affine map and a smooth displacement (elastic: Simard et al. 2003), another for every image.

    Every number is the largest of a uniform draw from −it … it, but for elastic, a standard deviation.
    rotation, shear: degrees. scale: of log(size), each axis by itself. shift: pixels, each axis. elastic: pixels, of
    a displacement drawn at knots x knots places and interpolated between them.
    """

    rotation: float = 15.0
    shear: float = 15.0
    scale: float = 0.15
    shift: float = 2.0
    elastic: float = 0.7
    knots: int = 5

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """images [n, ..., side, side], float -> the same shape: n draws, one for all in an [..., side, side].

        Beyond the edges is paper (0).
        """
        side = images.shape[-1]
        if images.ndim < 3 or images.shape[-2] != side or not images.is_floating_point():
            said = f"{list(images.shape)} of {images.dtype}"
            raise ValueError(f"images must be float [n, ..., side, side], got {said}")
        if not images.numel():
            return images
        n = len(images)
        grid = F.affine_grid(self._affine(n, side, generator), [n, 1, side, side], False)
        grid = grid + self._elastic(n, side, generator)
        channels = images.reshape(n, math.prod(images.shape[1:-2]), side, side)
        return F.grid_sample(channels, grid, align_corners=False).view_as(images)

    def _affine(self, n: int, side: int, generator: torch.Generator) -> Tensor:
        """[n, 2, 3]: rotation · shear · scale, and shift; in the unit of a grid, which spans −1 … 1."""
        lots = torch.rand(6, n, generator=generator) * 2 - 1
        angle, slant = (torch.deg2rad(lots[0] * self.rotation), torch.deg2rad(lots[1] * self.shear))
        cos, sin, tan = angle.cos(), angle.sin(), slant.tan()
        across, down = (lots[2:4] * self.scale).exp()
        x, y = lots[4:6] * self.shift * 2 / side
        to_x = cos * across, (cos * tan - sin) * down, x
        to_y = sin * across, (sin * tan + cos) * down, y
        return torch.stack([*to_x, *to_y], dim=1).unflatten(1, (2, 3))

    def _elastic(self, n: int, side: int, generator: torch.Generator) -> Tensor:
        """[n, side, side, 2]: a smooth displacement in the unit of a grid."""
        knots = torch.randn(n, 2, self.knots, self.knots, generator=generator)
        field = F.interpolate(knots, (side, side), mode="bicubic", align_corners=True)
        return field.movedim(1, 3) * self.elastic * 2 / side


@dataclass(frozen=True)
class Overlay:
    """New characters out of two: a share of the classes gets another class of the batch drawn over it.

    The other is scaled and shifted first, by one draw of `place` for all drawings of the new class, so that they are
    drawings of the same thing. This is a `ClassSampler.class_transform`.
    """

    share: float = 0.5
    place: Warp = Warp(rotation=0, shear=0, scale=0.1, shift=5, elastic=0)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """images [n_classes, n, h, w], the drawings of each class -> the same shape."""
        new = torch.rand(len(images), generator=generator) < self.share
        other = images[torch.randperm(len(images), generator=generator)]
        drawn_over = torch.maximum(images, self.place(other, generator))
        return torch.where(new[:, None, None, None], drawn_over, images)


def centred(images: Tensor, size: int = 28, spread: float | None = 0.42) -> Tensor:
    """Images [n, side, side] -> [n, size, size]: the ink's mean in the middle, and all characters of one extent.

    spread: the extent √((Var(row) + Var(column)) / 2) of the ink afterwards, in halves of the side, for which an image
    grows by a factor of 1/1.4 to 1/0.6 at most; None leaves its scale. Each image by itself; one without ink stays.
    Start from large images (105 x 105): pixels of the result are means of 3 x 3 interpolated ones.
    """
    total = images.sum((1, 2)).clamp(min=1e-6)
    (x, var_x), (y, var_y) = (_moments(images.sum(axis) / total[:, None]) for axis in (1, 2))
    factor = torch.ones_like(x)
    if spread is not None:
        factor = (((var_x + var_y) / 2).sqrt() / spread).clamp(0.6, 1.4)
    none = torch.zeros_like(x)
    affine = torch.stack([factor, none, x, none, factor, y], dim=1).unflatten(1, (2, 3))
    # In parts, as the large grid of all images at once would fill the memory.
    parts = zip(images[:, None].split(256), affine.split(256), strict=True)
    return torch.cat([_resampled(part, theta, size) for part, theta in parts])[:, 0]


def _moments(share: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the place along an axis of −1 … 1, by ink's share there: [n, side] -> [n], [n]."""
    side = share.shape[1]
    place = (torch.arange(side) + 0.5) * 2 / side - 1
    mean = share @ place
    return mean, (share * (place - mean[:, None]).square()).sum(1)


def _resampled(images: Tensor, affine: Tensor, size: int) -> Tensor:
    grid = F.affine_grid(affine, [len(images), 1, 3 * size, 3 * size], False)
    return F.avg_pool2d(F.grid_sample(images, grid, align_corners=False), 3)


class Averaged(nn.Module):
    """Test-time augmentation: in eval mode z = mean of body(image) and body of n warped copies; plain in training.

    The n warps are drawn once and are the same for every image, so that no image's features depend on another's
    (inductive, if `body` is). images: float [..., side, side]; features as `body` gives them, [..., d].
    """

    def __init__(self, body: nn.Module, warp: Warp, n: int, seed: int = 0):
        super().__init__()
        self.body, self.warp, self.n, self.seed = body, warp, n, seed

    def forward(self, images: Tensor) -> Tensor:
        """Float [..., side, side] -> [..., d]."""
        if self.training:
            return self.body(images)
        generator = torch.Generator().manual_seed(self.seed)
        copies = self.warp(images.expand(self.n, *images.shape), generator)
        return (self.body(images) + sum(self.body(copy) for copy in copies)) / (self.n + 1)


def rotations(tasks: ClassTasks) -> ClassTasks:
    """Each class turned by 0, 90, 180, 270 degrees: four times the classes (Santoro et al. 2016) and the groups.

    A turned alphabet is a group of its own: within a group no class is a turned copy of another, so that O, whose
    turns look alike, is never told from itself; and a task still looks like one person's alphabet.
    """
    n_classes, n_groups = len(tasks), len(tasks.group_names)
    turns = range(4)
    turned = [torch.rot90(tasks.inputs, turn, dims=(-2, -1)) for turn in turns]
    return replace(
        tasks,
        inputs=torch.cat(turned),
        labels=torch.cat([tasks.labels + turn * n_classes for turn in turns]),
        class_names=[_turned(name, turn) for turn in turns for name in tasks.class_names],
        groups=torch.cat([tasks.groups + turn * n_groups for turn in turns]),
        group_names=[_turned(name, turn) for turn in turns for name in tasks.group_names],
    )


def _turned(name: str, turn: int) -> str:
    return f"{name} {90 * turn}°" if turn else name
