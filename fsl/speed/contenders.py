"""Who is timed: our engines, and the peers as their own documentation writes a meta-step. Knows no clock.

A step is a call without arguments that adds the gradient of the mean query loss to `.grad` of the meta-parameters. The
peers differentiate task by task, so that one graph at a time is alive, and see each task's real rows alone, no mask.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import higher
import torch
from torch import Tensor, nn

from fsl.adapt import meta_loss
from fsl.episodes import Episode, Examples
from fsl.speed.works import Work

Step = Callable[[], None]
Task = Callable[[Tensor, Tensor, Tensor, Tensor, float], None]
REFERENCE = "higher"
CHUNK = 32
MANY = 25  # tasks: for fewer there is less to gain, and each size takes a compilation


@dataclass(frozen=True)
class Contender:
    """`step(work, episode)` makes the step; `differs(work, n_tasks)` is False where it would tell nothing."""

    name: str
    step: Callable[[Work, Episode], Step]
    differs: Callable[[Work, int], bool] = lambda work, n_tasks: True
    compiles: bool = False


def contenders() -> list[Contender]:
    """`higher` at its best first, the measure of all; peers that are no dependency, where they are installed."""
    peers = {"learn2learn": by_learn2learn, "torchopt": by_torchopt}
    return [
        Contender(REFERENCE, _head_alone(by_higher)),
        Contender("higher, whole model", _whole(by_higher), lambda work, _: work.head != work.net),
        Contender("loop", _ours(engine="loop")),
        Contender("batched", _ours(engine="batched", chunk=CHUNK)),
        Contender("batched, all at once", _ours(engine="batched", chunk=None), _is_chunked),
        Contender("batched, compiled", _compiled, _pays_compiling, compiles=True),
        Contender("auto", _ours(engine="auto")),
        *(Contender(name, _head_alone(peer)) for name, peer in peers.items() if find_spec(name)),
    ]


def _is_chunked(work: Work, n_tasks: int) -> bool:
    return n_tasks > CHUNK


def _pays_compiling(work: Work, n_tasks: int) -> bool:
    return work.compiles and n_tasks >= MANY


def _ours(**options) -> Callable[[Work, Episode], Step]:
    def make(work: Work, episode: Episode) -> Step:
        def step() -> None:
            losses = meta_loss(work.net, work.loss, episode, work.inner_lr, work.n_steps, **options)
            losses.mean().backward()

        return step

    return make


def _compiled(work: Work, episode: Episode) -> Step:
    return _ours(engine="batched", chunk=CHUNK, compile=True)(work, episode)


def _head_alone(peer: Callable[[Work, nn.Module], Task]) -> Callable[[Work, Episode], Step]:
    """Best use: what does not adapt is run once for all tasks, and the peer is given the head."""

    def make(work: Work, episode: Episode) -> Step:
        return _task_by_task(episode, work.before, peer(work, work.head))

    return make


def _whole(peer: Callable[[Work, nn.Module], Task]) -> Callable[[Work, Episode], Step]:
    """Natural use: the peer is given the network as it is."""

    def make(work: Work, episode: Episode) -> Step:
        return _task_by_task(episode, lambda inputs: inputs, peer(work, work.net))

    return make


def _task_by_task(episode: Episode, before: Callable[[Tensor], Tensor], task: Task) -> Step:
    sizes = [_sizes(side) for side in episode]
    weight = 1 / len(episode.query.inputs)

    def step() -> None:
        sides = [
            _alone(before(side.inputs), side.targets, n)
            for side, n in zip(episode, sizes, strict=True)
        ]
        for support, query in zip(*sides, strict=True):
            task(*support, *query, weight)

    return step


def _sizes(side: Examples) -> list[int]:
    """Real rows of each task, which stand before the padding."""
    n_tasks, n_rows = side.targets.shape
    return [n_rows] * n_tasks if side.mask is None else side.mask.sum(-1).tolist()


def _alone(inputs: Tensor, targets: Tensor, sizes: list[int]) -> Iterator[tuple[Tensor, Tensor]]:
    return ((x[:n], y[:n]) for x, y, n in zip(inputs, targets, sizes, strict=True))


def by_higher(work: Work, net: nn.Module) -> Task:
    """As in its README and its MAML example."""
    optimizer = torch.optim.SGD(net.parameters(), lr=work.inner_lr)

    def task(x: Tensor, y: Tensor, x_query: Tensor, y_query: Tensor, weight: float) -> None:
        with higher.innerloop_ctx(net, optimizer, copy_initial_weights=False) as (fast, inner):
            for _ in range(work.n_steps):
                inner.step(work.plain_loss(fast(x), y))
            (weight * work.plain_loss(fast(x_query), y_query)).backward()

    return task


def by_learn2learn(work: Work, net: nn.Module) -> Task:
    """`MAML`, `clone` and `adapt`."""
    from learn2learn.algorithms import MAML

    maml = MAML(net, lr=work.inner_lr, first_order=False)

    def task(x: Tensor, y: Tensor, x_query: Tensor, y_query: Tensor, weight: float) -> None:
        learner = maml.clone()
        for _ in range(work.n_steps):
            learner.adapt(work.plain_loss(learner(x), y))
        (weight * work.plain_loss(learner(x_query), y_query)).backward()

    return task


def by_torchopt(work: Work, net: nn.Module) -> Task:
    """`MetaSGD`, whose steps replace the net's parameters; its own go back in after each task."""
    import torchopt

    optimizer = torchopt.MetaSGD(net, lr=work.inner_lr)
    start, fresh = (
        torchopt.extract_state_dict(one, by="reference", detach_buffers=True)
        for one in (net, optimizer)
    )

    def task(x: Tensor, y: Tensor, x_query: Tensor, y_query: Tensor, weight: float) -> None:
        try:
            for _ in range(work.n_steps):
                optimizer.step(work.plain_loss(net(x), y))
            (weight * work.plain_loss(net(x_query), y_query)).backward()
        finally:
            torchopt.recover_state_dict(net, start)
            torchopt.recover_state_dict(optimizer, fresh)

    return task
