"""What a caller names, checked: which parameters adapt, with what step sizes, on which rows. Knows no inner loop."""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from fsl.episodes import Examples

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Rate = float | Tensor


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
