"""What every engine is given: the inner loop of one call, checked. Knows networks and losses; knows no engine."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fsl.episodes import Examples

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Rate = float | Tensor

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


def owner_of(loss: Loss) -> nn.Module | None:
    """The module that the loss is, or is a method of; None for any other callable."""
    owner = getattr(loss, "__self__", loss)
    return owner if isinstance(owner, nn.Module) else None


def names_of(net: nn.Module) -> tuple[dict[str, Tensor], list[tuple[str, Tensor]]]:
    """The net's parameters, each by its first name; and every name of every parameter."""
    aliases = list(net.named_parameters(remove_duplicate=False))
    first = {id(p): name for name, p in reversed(aliases)}
    return {name: p for name, p in aliases if first[id(p)] == name}, aliases


def fast_names(
    parameters: Mapping[str, Tensor],
    aliases: Iterable[tuple[str, Tensor]],
    fast: Iterable[str] | None,
) -> tuple[str, ...]:
    """The parameters that adapt, in the net's order: all that require a gradient, or those named, or of named modules.

    A parameter with several names answers to each and is given by its first (`names_of`). Raises ValueError for a name
    under which no parameter requires a gradient.
    """
    free = {name: p for name, p in parameters.items() if p.requires_grad}
    if fast is None:
        return tuple(free)
    words = [fast] if isinstance(fast, str) else list(fast)
    chosen = {word: {id(p) for name, p in aliases if _is_under(name, word)} for word in words}
    for word, found in chosen.items():
        if not any(id(p) in found for p in free.values()):
            known = ", ".join(free) or "none"
            raise ValueError(
                f"fast names {word!r}, but the parameters of net with a gradient are: {known}"
            )
    return tuple(name for name, p in free.items() if any(id(p) in c for c in chosen.values()))


def _is_under(name: str, word: str) -> bool:
    return name == word or name.startswith(f"{word}.")


def rates_of(inner_lr: Rate | Mapping[str, Rate], fast: Mapping[str, Tensor]) -> tuple[Rate, ...]:
    """The step size of each fast parameter. One number, or a tensor of one, is everybody's; else a mapping by name.

    Raises ValueError for a step size that is not finite or does not broadcast to its parameter, a tensor of more than
    one number that has no name, and a mapping whose names are not those that adapt.
    """
    if isinstance(inner_lr, Mapping):
        if set(inner_lr) != set(fast):
            odd = sorted(set(inner_lr) ^ set(fast))
            raise ValueError(
                f"inner_lr must name each parameter that adapts, and no other; see {', '.join(odd)}"
            )
        return tuple(_fitting(name, _finite(inner_lr[name]), p) for name, p in fast.items())
    if isinstance(inner_lr, Tensor) and inner_lr.numel() != 1:
        raise ValueError(
            f"inner_lr is a tensor {list(inner_lr.shape)}: step sizes of their own go in a mapping by name"
        )
    rate = inner_lr.reshape(()) if isinstance(inner_lr, Tensor) else inner_lr
    return (_finite(rate),) * len(fast)


def _fitting(name: str, rate: Rate, parameter: Tensor) -> Rate:
    """The step size; one of more dimensions than its parameter would be taken for one per task."""
    shape = rate.shape if isinstance(rate, Tensor) else ()
    fits = zip(reversed(shape), reversed(parameter.shape), strict=False)
    if len(shape) > parameter.ndim or any(of_rate not in (1, n) for of_rate, n in fits):
        raise ValueError(
            f"inner_lr of {name!r} is {list(shape)}, which does not broadcast to {list(parameter.shape)}"
        )
    return rate


def _finite(rate: Rate) -> Rate:
    if isinstance(rate, Tensor):
        if not bool(rate.isfinite().all()):
            raise ValueError(f"inner_lr must be finite, got {rate.detach().flatten()[:5].tolist()}")
        return rate
    if not math.isfinite(rate):
        raise ValueError(f"inner_lr must be finite, got {rate}")
    return float(rate)


def with_mask(side: Examples) -> Examples:
    """`None` means that every row is real; what stands in padded rows is put to 0, lest a NaN there reach θ.

    Raises ValueError where targets or mask are not [n_tasks, n] as the inputs are: they would broadcast without a word.
    """
    inputs, targets, mask = Examples(*side)
    if targets.shape != inputs.shape[:2]:
        raise ValueError(f"targets are {list(targets.shape)}, expected {list(inputs.shape[:2])}")
    if mask is not None and (mask.shape != targets.shape or mask.dtype != torch.bool):
        seen = f"{list(mask.shape)} of {mask.dtype}"
        raise ValueError(f"mask is {seen}, expected {list(targets.shape)} of torch.bool")
    if mask is None:
        return Examples(inputs, targets, torch.ones_like(targets, dtype=torch.bool))
    real = mask.reshape(*mask.shape, *(1,) * (inputs.ndim - mask.ndim))
    return Examples(inputs.masked_fill(~real, 0), targets.masked_fill(~mask, 0), mask)
