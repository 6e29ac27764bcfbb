"""Learning to match icons with photos: episodes of pairs, and the map that is learned. Knows vectors; no picture."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fsl.episodes import Episode, Examples
from fsl.seeds import seeded


@dataclass(frozen=True)
class PairTasks:
    """One-shot tasks of n_way phones: support the photos, one a class, query the icons. A sampler for `fit`.

    icons, photos: float32 [n, d], row by row the same phone. asked: rows that `checks` asks for, among all n photos.
    """

    icons: Tensor
    photos: Tensor
    n_way: int = 64
    asked: Tensor | None = None

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episode:
        """n_tasks draws of n_way phones, all of each (n phones where there are fewer)."""
        lots = torch.rand(n_tasks, len(self.icons), generator=generator).argsort(1)
        return self._episode(lots[:, : self.n_way], lots[:, : self.n_way])

    def checks(self, seed: int) -> list[Episode]:
        """One task: the icons of `asked` among all photos."""
        return [self._episode(torch.arange(len(self.photos))[None], self.asked[None])]

    def joint(self, n: int, generator: torch.Generator) -> Examples:
        """Not for learning without episodes. Raises TypeError."""
        raise TypeError("pairs are learned by episodes")

    def _episode(self, support: Tensor, query: Tensor) -> Episode:
        place = torch.arange(support.shape[1]).expand_as(support)
        own = place.gather(1, (query[..., None] == support[:, None]).long().argmax(-1))
        return Episode(Examples(self.photos[support], place), Examples(self.icons[query], own))


class NearIdentity(nn.Module):
    """x + x U V, U [d, rank], V [rank, d], V at 0 in the beginning: learning starts from the encoder's own geometry."""

    def __init__(self, d: int, rank: int, seed: int = 0):
        super().__init__()
        with seeded(seed):
            self.down = nn.Linear(d, rank, bias=False)
        self.up = nn.Linear(rank, d, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[..., d] -> [..., d]."""
        return x + self.up(self.down(x))
