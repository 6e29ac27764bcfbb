"""The regression problem of the MAML paper (Finn et al. 2017, section 5.1): every task is a sine wave of its own."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fsl.episodes import Episode, Examples
from fsl.seeds import seeded


class SineNet(nn.Module):
    """1 → 40, ReLU → 40, ReLU (`body`) → 1 (`head`), as in the paper: inputs [n, 1] -> predictions [n]."""

    def __init__(self, seed: int = 0, n_hidden: int = 40):
        super().__init__()
        with seeded(seed):
            self.body = nn.Sequential(
                nn.Linear(1, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_hidden), nn.ReLU()
            )
            self.head = nn.Linear(n_hidden, 1)
        self.body.n_features = n_hidden

    def forward(self, x: Tensor) -> Tensor:
        """Any leading axes: [..., 1] -> [...]."""
        return self.head(self.body(x))[..., 0]


@dataclass(frozen=True)
class SineTasks:
    """A sampler of sine waves: n_shots points to adapt on, n_query to be judged on."""

    n_shots: int = 10
    n_query: int = 10

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episode:
        """n_tasks waves, by `sine_episode`."""
        return sine_episode(n_tasks, self.n_shots, self.n_query, generator)

    def joint(self, n: int, generator: torch.Generator) -> Examples:
        """One point each of n waves: inputs [n, 1], targets [n]."""
        inputs, targets, _ = sine_episode(n, 1, 1, generator).support
        return Examples(inputs[:, 0], targets[:, 0])


def sine_episode(n_tasks: int, n_shots: int, n_query: int, generator: torch.Generator) -> Episode:
    """y = a sin(x − φ), a ~ U[0.1, 5], φ ~ U[0, π], x ~ U[−5, 5]; inputs [n_tasks, n, 1], targets [n_tasks, n]."""
    amplitude = 0.1 + 4.9 * torch.rand(n_tasks, 1, generator=generator)
    phase = math.pi * torch.rand(n_tasks, 1, generator=generator)

    def examples(n: int) -> Examples:
        x = 10 * torch.rand(n_tasks, n, generator=generator) - 5
        return Examples(x[..., None], amplitude * torch.sin(x - phase))

    return Episode(examples(n_shots), examples(n_query))
