"""All tasks at once: each fast parameter stacked once per task, the forward pass alone under `torch.vmap`.

The gradient is taken outside: `torch.func.grad` under vmap is wrong without a word on torch 2.13, where it is
differentiated a second time through BatchNorm in training after a layer that adapts.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, chain

import torch
from torch import Tensor, nn

from fsl.engines.inner_loop import InnerLoop
from fsl.engines.low_rank import RowSpace
from fsl.engines.one_by_one import judged_alone


def batched(loop: InnerLoop, support, query, judge: Callable) -> Tensor:
    """`judge(predictions, targets, mask)` of every task's query after its own inner loop, stacked."""
    if not loop.fast:
        return judged_alone(loop, support, query, judge)
    with loop.draws():
        return Adaptation(loop, support).judged(query, judge)


class Adaptation:
    """The inner loops of all tasks: stacked parameters `theta`, and the layers that need but an offset in `rows`."""

    def __init__(self, loop: InnerLoop, support):
        n_tasks = len(support.inputs)
        _check_hooks(loop.net)
        self.loop, self.rows = loop, RowSpace(loop)
        kept = [i for i, name in enumerate(loop.fast) if name not in self.rows.names]
        self.names, self.rates = [loop.fast[i] for i in kept], [loop.rates[i] for i in kept]
        self.buffers, self.own = _buffers(loop, n_tasks)
        self.shared = {
            name: p for name, p in loop.parameters.items() if name not in self.names
        } | self.buffers
        self.theta = loop.stacked_start(self.names, n_tasks)
        self.rows.begin(support)
        for _ in range(loop.n_steps):
            self._step(support)

    def _step(self, support) -> None:
        losses, inputs = self._on_support(support)
        slopes = self.loop.slopes(losses, [*self.theta, *self.rows.offsets])
        self.theta = self.loop.step(self.theta, slopes[: len(self.theta)], self.rates)
        self.rows.step(slopes[len(self.theta) :], inputs)

    def _on_support(self, support) -> tuple[Tensor, list[Tensor]]:
        def one_task(theta, own, offsets, inputs, targets, mask):
            given: list[Tensor] = []
            with self.rows.on_support(offsets, given):
                predictions = self._forward(theta, own, inputs)
            return self.loop.task_loss(predictions, targets, mask), given

        return self._over_tasks(one_task, self.rows.offsets, support)

    def judged(self, query, judge: Callable) -> Tensor:
        """`judge(predictions, targets, mask)` for each task, [n_tasks, ...]."""

        def one_task(theta, own, movement, inputs, *rest):
            with self.rows.on_query(movement):
                predictions = self._forward(theta, own, inputs)
            return judge(predictions, *rest)

        with torch.set_grad_enabled(self.loop.order > 0):
            return self._over_tasks(one_task, self.rows.movement, query)

    def _over_tasks(self, one_task: Callable, rows: Sequence[Tensor], side: Sequence[Tensor]):
        """`one_task(theta, own, rows, *side)` of each task; vmap is given one flat list: it is slow to walk nests."""
        parts = self.theta, list(self.own.values()), rows, side
        ends = list(accumulate(map(len, parts)))

        def flat(*given: Tensor):
            theta, own, rows, side = (
                given[e - len(p) : e] for e, p in zip(ends, parts, strict=True)
            )
            return one_task(theta, dict(zip(self.own, own, strict=True)), rows, *side)

        return torch.vmap(flat, randomness=self.loop.randomness)(*chain(*parts))

    def _forward(self, theta: list[Tensor], own: dict, inputs: Tensor) -> Tensor:
        given = self.shared | own | dict(zip(self.names, theta, strict=True))
        return self.loop.run(given, inputs)


def _check_hooks(net: nn.Module) -> None:
    """Under vmap a hook on gradients never fires, and nothing says so."""
    if any(m._backward_hooks or m._backward_pre_hooks for m in net.modules()):
        raise ValueError(
            'net has backward hooks, which torch.vmap passes over: engine="loop" does not'
        )


def _buffers(loop: InnerLoop, n_tasks: int) -> tuple[dict, dict]:
    """Copies, so that the net's own stay as they are; running statistics in training are one copy per task."""
    if not loop.buffers:
        return {}, {}
    running = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in loop.net.named_modules()
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.training
        for name, _ in module.named_buffers(recurse=False)
    }
    copies = {name: buffer.clone() for name, buffer in loop.buffers.items()}
    own = {name: copies.pop(name) for name in list(copies) if name in running}
    return copies, {name: b.expand(n_tasks, *b.shape).clone() for name, b in own.items()}
