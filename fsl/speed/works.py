"""What is timed: networks with their losses, and episodes of any number of tasks. Knows no engine and no clock."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fsl.adapt import masked_cross_entropy, masked_mse
from fsl.convnets import Conv4
from fsl.episodes import Episode, Examples
from fsl.seeds import seeded
from fsl.sinusoid import SineNet, sine_episode

N_TABLES, N_ROWS, N_DIMENSIONS = 8, 1_000, 32
N_WAY, N_QUERY_PER_CLASS, SIDE = 5, 5, 28


@dataclass(frozen=True)
class Work:
    """One network to meta-learn, `n_steps` inner steps of size `inner_lr`, second order.

    net: inputs of one task -> predictions; net(x) = head(before(x)), and only what is in `head` adapts.
    loss: `loss(predictions, targets, mask)` for us; plain_loss: the same without a mask, for peers, which are given
    each task's real rows alone. draw: (n_tasks, generator) -> Episode. meta_batches: the n_tasks timed by default.
    compiles: whether compilation is tried.
    """

    name: str
    about: str
    n_steps: int
    inner_lr: float
    net: nn.Module
    head: nn.Module
    before: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    plain_loss: Callable[[Tensor, Tensor], Tensor]
    draw: Callable[[int, torch.Generator], Episode]
    meta_batches: tuple[int, ...]
    compiles: bool = True

    @property
    def key(self) -> tuple[str, int]:
        """What tells works apart: name and number of inner steps."""
        return self.name, self.n_steps

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The meta-parameters."""
        return [p for p in self.net.parameters() if p.requires_grad]

    def episode(self, n_tasks: int) -> Episode:
        """The same tasks at every call, in the dtype of the meta-parameters."""
        drawn = self.draw(n_tasks, torch.Generator().manual_seed(0))
        return Episode(*(_in(side, self.parameters[0].dtype) for side in drawn))


def _in(side: Examples, dtype: torch.dtype) -> Examples:
    return Examples(*(t.to(dtype) if t is not None and t.is_floating_point() else t for t in side))


class Recommender(nn.Module):
    """Eight embeddings, fixed, and a head that adapts: int64 [n, 8] -> 256 -> 64 -> 64 -> predictions [n]."""

    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(N_ROWS, N_DIMENSIONS) for _ in range(N_TABLES))
        self.tables.requires_grad_(False)
        layers = nn.Linear(N_TABLES * N_DIMENSIONS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
        self.head = nn.Sequential(*layers, nn.Linear(64, 1), nn.Flatten(-2))

    def embed(self, inputs: Tensor) -> Tensor:
        """int64 [..., 8] -> [..., 256]."""
        return torch.cat([table(inputs[..., i]) for i, table in enumerate(self.tables)], -1)

    def forward(self, inputs: Tensor) -> Tensor:
        """int64 [n, 8] -> predictions [n]."""
        return self.head(self.embed(inputs))


def make_works(dtype: torch.dtype = torch.float32) -> list[Work]:
    """W1 with 1 step and with 5, W2, W3; the same weights at every call."""
    with seeded(0):
        recommender, images = Recommender(), nn.Sequential(Conv4("task"), nn.Linear(64, N_WAY))
    sine = SineNet()
    for net in (sine, recommender, images):
        net.to(dtype)
    return [_sine(sine, 1), _sine(sine, 5), _recommender(recommender), _images(images)]


def _sine(net: nn.Module, n_steps: int) -> Work:
    return Work(
        name="W1",
        about="sine waves, MLP 1-40-40-1, 10 shots, 10 query",
        n_steps=n_steps,
        inner_lr=0.01,
        net=net,
        head=net,
        before=_as_it_is,
        loss=masked_mse,
        plain_loss=nn.functional.mse_loss,
        draw=lambda n_tasks, generator: sine_episode(n_tasks, 10, 10, generator),
        meta_batches=(1, 8, 25, 32, 128, 512),
    )


def _recommender(net: Recommender) -> Work:
    return Work(
        name="W2",
        about="recommender, 8 fixed embeddings and an MLP 256-64-64-1, 10 to 20 shots, 10 query",
        n_steps=5,
        inner_lr=0.01,
        net=net,
        head=net.head,
        before=net.embed,
        loss=masked_mse,
        plain_loss=nn.functional.mse_loss,
        draw=_ragged,
        meta_batches=(1, 8, 32, 128, 512),
    )


def _images(net: nn.Module) -> Work:
    return Work(
        name="W3",
        about="Conv4 and a linear layer, 28 x 28 images, 5-way 1-shot, 25 query",
        n_steps=1,
        inner_lr=0.1,
        net=net,
        head=net,
        before=_as_it_is,
        loss=masked_cross_entropy,
        plain_loss=nn.functional.cross_entropy,
        draw=_classes,
        meta_batches=(1, 4),
        compiles=False,
    )


def _as_it_is(inputs: Tensor) -> Tensor:
    return inputs


def _ragged(n_tasks: int, generator: torch.Generator) -> Episode:
    """Support of 10 to 20 rows, padded to 20 behind; random ids, targets ~ N(0, 1)."""

    def examples(n: int, mask: Tensor | None) -> Examples:
        inputs = torch.randint(N_ROWS, (n_tasks, n, N_TABLES), generator=generator)
        return Examples(inputs, torch.randn(n_tasks, n, generator=generator), mask)

    sizes = torch.randint(10, 21, (n_tasks, 1), generator=generator)
    return Episode(examples(20, torch.arange(20) < sizes), examples(10, None))


def _classes(n_tasks: int, generator: torch.Generator) -> Episode:
    """Random images, which no one could tell apart: the time does not depend on what they show."""

    def examples(n_each: int) -> Examples:
        targets = torch.arange(N_WAY).repeat_interleave(n_each).expand(n_tasks, -1)
        shape = (*targets.shape, SIDE, SIDE)
        return Examples(torch.rand(shape, generator=generator), targets.contiguous())

    return Episode(examples(1), examples(N_QUERY_PER_CLASS))
