"""Learning to match icons with photos: episodes of pairs, and the map that is learned. Knows vectors; no picture."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fsl.episodes import Episode, Examples


@dataclass(frozen=True)
class PairTasks:
    """One-shot tasks of n_way phones: support the photos, one a class, query the icons. A sampler for `fit`.

    icons, photos: float32 [n, d], row by row the same phone.
    """

    icons: Tensor
    photos: Tensor
    n_way: int = 64

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episode:
        """n_tasks draws of n_way phones (all n where there are fewer), every one of them asked about once."""
        lots = torch.rand(n_tasks, len(self.icons), generator=generator).argsort(1)
        chosen = lots[:, : self.n_way]
        classes = torch.arange(chosen.shape[1]).expand_as(chosen)
        sides = self.photos[chosen], self.icons[chosen]
        return Episode(*(Examples(side, classes) for side in sides))


class FromIdentity(nn.Module):
    """x W, W [d, d] the identity in the beginning: learning starts from the encoder's own geometry."""

    def __init__(self, d: int):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(d))

    def forward(self, x: Tensor) -> Tensor:
        """[..., d] -> [..., d]."""
        return x @ self.weight
