"""The clock, the check and the yardstick. Knows steps, tensors and seconds; knows no contender by name."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fsl.errors import InputError

Step = Callable[[], None]
Clock = Callable[[], float]
N = 1_024
PRODUCT_FLOPS = 2 * N**3


def cleared(step: Step, parameters: Sequence[nn.Parameter]) -> Step:
    """The step, from no gradient on."""

    def run() -> None:
        for p in parameters:
            p.grad = None
        step()

    return run


def seconds_of(step: Step, clock: Clock = time.perf_counter) -> float:
    """One call."""
    begin = clock()
    step()
    return clock() - begin


def interleaved(
    steps: Mapping[str, Step], rounds: int, clock: Clock = time.perf_counter, least: float = 0.03
) -> dict[str, list[float]]:
    """Seconds per call in each round; garbage is collected between rounds and not within.

    In a round every step is called for `least` seconds, at least once, so that what else the machine does falls upon
    all alike; who begins changes from round to round. Raises InputError for fewer than one round.
    """
    if rounds < 1:
        raise InputError(f"{rounds} rounds are asked for, expected 1 or more.")
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    with _no_garbage_collection():
        for i in range(rounds):
            gc.collect()
            turn = i % len(names) if names else 0
            for name in names[turn:] + names[:turn]:
                seconds[name].append(_per_call(steps[name], clock, least))
    return seconds


def _per_call(step: Step, clock: Clock, least: float) -> float:
    n_calls, begin = 0, clock()
    while True:
        step()
        n_calls += 1
        passed = clock() - begin
        if passed >= least:
            return passed / n_calls


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def quartiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Q1, median, Q3 in milliseconds."""
    if len(seconds) == 1:
        return (1e3 * seconds[0],) * 3
    return tuple(1e3 * q for q in statistics.quantiles(seconds, n=4, method="inclusive"))


def gradient_error(found: Sequence[Tensor | None], expected: Sequence[Tensor]) -> float:
    """max over parameters of ‖g − g'‖ / (‖g'‖ + ‖all g'‖ / 1000): a parameter that hardly matters may be rounded off.

    Infinite where a gradient is missing or not finite.
    """
    if any(g is None or not bool(g.isfinite().all()) for g in found):
        return float("inf")
    total = torch.stack([g.norm() for g in expected]).norm()
    errors = [
        (g - e).norm() / (e.norm() + total / 1000) for g, e in zip(found, expected, strict=True)
    ]
    return float(torch.stack(errors).max())


def flops_of(step: Step) -> int:
    """Multiplications and additions of matrix products and convolutions in one call, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def large_product() -> Step:
    """A float32 product of N x N matrices, PRODUCT_FLOPS operations: what the machine can do at best."""
    a, b = torch.rand(N, N), torch.rand(N, N)

    def step() -> None:
        torch.mm(a, b)

    return step
