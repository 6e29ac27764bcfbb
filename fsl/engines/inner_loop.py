"""What every engine is given: the inner loop of one call. Knows networks and losses; knows no engine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fsl.engines.arguments import Loss, Rate

DRAWS = (
    'net or loss draws at random, as dropout in training does: say randomness="different" or "same"'
)


@dataclass(frozen=True)
class InnerLoop:
    """`n_steps` of θ ← θ − α ∇ loss(net(support; θ)) over the parameters `fast`, each with its own step size.

    parameters, buffers: what the net is run with, by name; its own, or stand-ins for a trace.
    tied: whether one parameter or buffer may go by several names.
    order: 2 keeps the graph of each step, 1 takes its gradient for a constant, 0 keeps no graph at all.
    starts: θ₀ of those parameters that each task begins with on its own, [n_tasks, *shape].
    loss_parameters: those of the loss's owner (`owner_of`), by name; some may be the net's.
    randomness: what `torch.vmap` is told of dropout. in_row_space: layers that the batched engine adapts as offsets.
    """

    net: nn.Module
    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    loss: Loss
    fast: tuple[str, ...]
    rates: tuple[Rate, ...]
    n_steps: int
    order: int
    tied: bool = True
    randomness: str = "error"
    in_row_space: tuple[str, ...] = ()
    starts: Mapping[str, Tensor] = field(default_factory=dict)
    loss_parameters: Mapping[str, Tensor] = field(default_factory=dict)
    random_state: Tensor = field(default_factory=torch.get_rng_state)

    @contextmanager
    def draws(self) -> Iterator[None]:
        """Around one task, or one batch of them: "same" begins where the call began, "error" refuses any draw."""
        if self.randomness == "same":
            torch.set_rng_state(self.random_state)
        before = torch.get_rng_state() if self.randomness == "error" else None
        yield
        if before is not None and not torch.equal(before, torch.get_rng_state()):
            raise ValueError(DRAWS)

    def run(self, given: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """The net's predictions with these parameters and buffers."""
        return functional_call(self.net, given, (inputs,), tie_weights=self.tied)

    @property
    def slow(self) -> dict[str, Tensor]:
        """The parameters that do not adapt, by name."""
        return {name: p for name, p in self.parameters.items() if name not in self.fast}

    @property
    def learned(self) -> list[Tensor]:
        """What requires a gradient: parameters, buffers, step sizes. A step size that is a parameter comes twice."""
        rates = {id(rate): rate for rate in self.rates if isinstance(rate, Tensor)}
        given = (*self.every_parameter, *self.buffers.values(), *rates.values())
        return [t for t in given if t.requires_grad]

    @property
    def every_parameter(self) -> list[Tensor]:
        """The net's parameters, then the loss's own, each once."""
        both = (*self.parameters.values(), *self.loss_parameters.values())
        return list({id(p): p for p in both}.values())

    def start_of(self, task: int) -> list[Tensor]:
        """One task's θ₀, in the order of `fast`; cut off from the net where no graph is kept.

        A view of each parameter, not itself: a step's slope is at θ₀, and does not go on through `starts` made of it.
        """
        theta = [
            self.starts[name][task] if name in self.starts else p.view_as(p)
            for name, p in ((name, self.parameters[name]) for name in self.fast)
        ]
        return with_gradient(theta) if self.order else leaves(theta)

    def stacked_start(self, names: Sequence[str], n_tasks: int) -> list[Tensor]:
        """Every task's θ₀ of these parameters, [n_tasks, *shape]."""
        theta = [
            self.starts[name] if name in self.starts else p.expand(n_tasks, *p.shape)
            for name, p in ((name, self.parameters[name]) for name in names)
        ]
        return with_gradient(theta) if self.order else leaves(theta)

    def at(self, tasks: slice) -> "InnerLoop":
        """The loop of some of the tasks."""
        if not self.starts:
            return self
        return replace(self, starts={name: p[tasks] for name, p in self.starts.items()})

    def task_loss(self, predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """One task's loss; predictions [n, 1] are refused: against targets [n] they would broadcast without a word."""
        if predictions.shape == (*targets.shape, 1):
            raise ValueError(
                f"net gives predictions {list(predictions.shape)}, expected {list(targets.shape)}"
            )
        value = self.loss(predictions, targets, mask)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
            raise ValueError(f"loss must give a scalar tensor for one task, got {value!r}")
        return value.reshape(())

    def slopes(self, losses: Tensor, theta: list[Tensor]) -> list[Tensor | None]:
        """∂ Σ losses / ∂θ; None where the loss does not reach a parameter."""
        if not losses.requires_grad:
            return [None] * len(theta)
        return list(
            torch.autograd.grad(
                losses,
                theta,
                torch.ones_like(losses),
                create_graph=self.order == 2,
                allow_unused=True,
            )
        )

    def step(
        self, theta: list[Tensor], slopes: list[Tensor | None], rates: Sequence[Rate]
    ) -> list[Tensor]:
        """θ − α ∇, parameter by parameter; a loop without a graph begins the next step from leaves."""
        moved = [_moved(*one) for one in zip(theta, slopes, rates, strict=True)]
        return moved if self.order else leaves(moved)


def leaves(theta: Iterable[Tensor]) -> list[Tensor]:
    """The same values, cut off from where they come from."""
    return [p.detach().requires_grad_() for p in theta]


def with_gradient(theta: Iterable[Tensor]) -> list[Tensor]:
    """The same, but a tensor without a gradient is made a leaf."""
    return [p if p.requires_grad else p.detach().requires_grad_() for p in theta]


def _moved(parameter: Tensor, slope: Tensor | None, rate: Rate) -> Tensor:
    if slope is None:
        return parameter
    if isinstance(rate, Tensor):
        return parameter - rate * slope
    return torch.sub(parameter, slope, alpha=rate)
