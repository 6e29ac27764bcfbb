"""The whole batched step as one traced graph, compiled by inductor: once per network, shapes and settings."""

import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from types import MethodType

import torch
import torch._inductor
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from fsl.engines.arguments import Loss, owner_of
from fsl.engines.batched import batched
from fsl.engines.first_layers import with_row_space
from fsl.engines.inner_loop import InnerLoop
from fsl.engines.whole_step import Chunk, eager

_KNOWN: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def compiled(loop: InnerLoop) -> Chunk:
    """One chunk by a compiled graph, made when its shapes are first met.

    Raises ValueError where the step cannot be traced: dropout, or Python that looks at values.
    """
    if loop.randomness != "error":
        raise ValueError('compile makes no random draws: it wants randomness="error"')
    rates = [*{id(r): r for r in loop.rates if isinstance(r, Tensor)}.values()]
    known = _KNOWN.setdefault(loop.net, {})

    def run(part: list[Tensor], weights: Tensor):
        given = (loop.every_parameter, list(loop.buffers.values()), rates, part, weights)
        key = _key(loop, given)
        with torch.no_grad():
            if key not in known:
                known[key] = _compile(with_row_space(loop, part[0], part[3]), given)
            losses, *gradients = known[key](*chain(*given[:4]), weights)
        return losses, gradients

    return run


def _compile(loop: InnerLoop, given: tuple) -> Callable:
    rates = given[2]
    wants = [[t.requires_grad for t in tensors] for tensors in given[:4]]
    place = {id(rate): i for i, rate in enumerate(rates)}
    ends = list(accumulate(map(len, wants)))

    def step(*flat):
        groups = (flat[end - len(want) : end] for end, want in zip(ends, wants, strict=True))
        parameters, buffers, rates, part = map(_leaves, groups, wants)
        leaf = dict(zip(map(id, given[0]), parameters, strict=True))
        own = {name: leaf[id(p)] for name, p in loop.loss_parameters.items()}
        inner = replace(
            loop,
            parameters={name: leaf[id(p)] for name, p in loop.parameters.items()},
            loss=_with_parameters(loop.loss, own),
            loss_parameters=own,
            buffers=dict(zip(loop.buffers, buffers, strict=True)),
            rates=tuple(rates[place[id(r)]] if id(r) in place else r for r in loop.rates),
        )
        losses, gradients = eager(inner, batched)(part, flat[-1])
        return losses, *gradients

    flat = [*chain(*given[:4]), given[4]]
    try:
        graph = make_fx(step, tracing_mode="fake")(*flat)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"the step cannot be traced, so not be compiled: {error}") from error
    return torch._inductor.compile(graph, flat, options={"cpp_wrapper": True})


def _with_parameters(loss: Loss, given: dict[str, Tensor]) -> Loss:
    """The loss with stand-ins for its owner's parameters."""
    if not given:
        return loss
    owner = owner_of(loss)
    if owner is loss:
        return lambda *judged: functional_call(owner, given, judged)
    named = {f"owner.{name}": p for name, p in given.items()}
    return lambda *judged: functional_call(_Method(owner, loss.__func__), named, judged)


class _Method(nn.Module):
    """A module's method as a module, which is what `functional_call` calls."""

    def __init__(self, owner: nn.Module, function: Callable):
        super().__init__()
        self.owner, self.function = owner, function

    def forward(self, *judged: Tensor) -> Tensor:
        return self.function(self.owner, *judged)


def _leaves(tensors: Sequence[Tensor], wants: Sequence[bool]) -> list[Tensor]:
    return [t.detach().requires_grad_(want) for t, want in zip(tensors, wants, strict=True)]


def _key(loop: InnerLoop, given: tuple) -> Hashable:
    """All that the trace takes for constant. The loss is held weakly: it may own the net."""
    method = isinstance(loop.loss, MethodType)
    loss = weakref.WeakMethod(loop.loss) if method else weakref.ref(loop.loss)
    place = {id(rate): ("tensor", i) for i, rate in enumerate(given[2])}
    numbers = tuple(place.get(id(rate), rate) for rate in loop.rates)
    shapes = tuple(
        (t.shape, t.stride(), t.dtype, t.device, t.requires_grad)
        for tensors in given[:4]
        for t in tensors
    )
    owners = loop.net, owner_of(loop.loss) or loop.net
    modules = tuple((id(m), m.training) for owner in owners for m in owner.modules())
    mode = torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")
    return loss, loop.fast, numbers, loop.n_steps, loop.order, shapes, modules, mode
