"""What a caller asks of an inner loop, checked and made one. Knows networks and losses; knows no engine."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fsl.engines.arguments import Loss, Rate, fast_names, names_of, owner_of, rates_of
from fsl.engines.inner_loop import DRAWS, InnerLoop


def loop_of(
    net: nn.Module,
    loss: Loss,
    inner_lr: Rate | Mapping[str, Rate],
    n_steps: int,
    order: int,
    fast: Iterable[str] | None = None,
    randomness: str = "error",
    starts: Mapping[str, Tensor] | None = None,
) -> InnerLoop:
    """The loop of one call, `fsl.meta_loss` describes the arguments; order: 2, 1 or 0, as `InnerLoop` has it.

    Raises ValueError for what no loop can be made of.
    """
    if n_steps < 0 or n_steps != int(n_steps):
        raise ValueError(f"n_steps must be a whole number, 0 or more, got {n_steps}")
    if randomness not in ("error", "different", "same"):
        raise ValueError(f'randomness must be "error", "different" or "same", got {randomness!r}')
    if torch.is_inference_mode_enabled():
        raise ValueError(
            "an inner loop takes gradients: torch.no_grad() lets it, torch.inference_mode() does not"
        )
    parameters, aliases = names_of(net)
    buffers, owner = dict(net.named_buffers()), owner_of(loss)
    names = fast_names(parameters, aliases, fast)
    odd = sorted(set(starts or ()) - set(names))
    if odd:
        raise ValueError(f"starts names {', '.join(odd)}, which does not adapt")
    return InnerLoop(
        net=net,
        parameters=parameters,
        buffers=buffers,
        loss=loss,
        fast=names,
        rates=rates_of(inner_lr, {name: parameters[name] for name in names}),
        n_steps=int(n_steps),
        order=order,
        tied=len(aliases) > len(parameters) or bool(buffers),
        randomness=randomness,
        starts=dict(starts or {}),
        loss_parameters={} if owner is None else names_of(owner)[0],
    )


def check_tasks(loop: InnerLoop, n_support: int, n_query: int) -> None:
    """Raise ValueError where sides or `starts` are of other lengths, or a start has another rank."""
    if n_support != n_query:
        raise ValueError(f"{n_support} support tasks but {n_query} query tasks")
    for name, start in loop.starts.items():
        if len(start) != n_support:
            raise ValueError(
                f"starts of {name!r} are {len(start)}, expected one for each of {n_support} tasks"
            )
        if start.ndim != loop.parameters[name].ndim + 1:
            shape = [n_support, *loop.parameters[name].shape]
            raise ValueError(f"starts of {name!r} are {list(start.shape)}, expected {shape}")


def check_chunk(chunk: int | None) -> None:
    """Raise ValueError for a chunk that is no number of tasks."""
    if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
        raise ValueError(f"chunk must be a whole number above 0, or None for all, got {chunk}")


@contextmanager
def told_of_vmap(engine: str) -> Iterator[None]:
    """What does not run under vmap is told so, with the way out."""
    try:
        yield
    except RuntimeError as error:
        if engine != "batched" or "vmap" not in str(error):
            raise
        first = str(error).split("\n")[0]
        if "random operation" in first:
            raise ValueError(DRAWS) from error
        raise ValueError(
            f'net or loss does not run under torch.vmap, engine="loop" does without it: {first}'
        ) from error
