"""The whole batched step as one traced graph, compiled by inductor: once per network, shapes and settings."""

import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from types import MethodType

import torch
import torch._inductor
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

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
        given = (list(loop.parameters.values()), list(loop.buffers.values()), rates, part, weights)
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
        inner = replace(
            loop,
            parameters=dict(zip(loop.parameters, parameters, strict=True)),
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
    modules = tuple((id(module), module.training) for module in loop.net.modules())
    mode = torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")
    return loss, loop.fast, numbers, loop.n_steps, loop.order, shapes, modules, mode
