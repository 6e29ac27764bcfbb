"""A plain loop over tasks with `functional_call`: what convolutions and single tasks are fastest with."""

import torch
from torch import Tensor

from fsl.engines.inner_loop import InnerLoop


def one_by_one(loop: InnerLoop, support, query, judge) -> Tensor:
    """`judge` of every task's predictions after its own inner loop, stacked."""
    if not loop.fast:
        return judged_alone(loop, support, query, judge)
    return torch.stack(
        [
            _one_task(loop, loop.start_of(t), *task, judge=judge)
            for t, task in enumerate(zip(*support, *query, strict=True))
        ]
    )


def _one_task(loop: InnerLoop, theta, inputs, targets, mask, *asked, judge) -> Tensor:
    run = _net_of(loop)
    with loop.draws():
        for _ in range(loop.n_steps):
            loss = loop.task_loss(run(theta, inputs), targets, mask)
            theta = loop.step(theta, loop.slopes(loss, theta), loop.rates)
        return judge(run(theta, asked[0]), *asked[1:])


def judged_alone(loop: InnerLoop, support, query, judge) -> Tensor:
    """With nothing to adapt every task is judged by the net as it is, on buffers of its own."""
    judged = []
    for inputs, *rest in zip(*query, strict=True):
        with loop.draws():
            judged.append(judge(_net_of(loop)([], inputs), *rest))
    return torch.stack(judged)


def _net_of(loop: InnerLoop):
    """(θ, inputs) -> predictions, with buffers that live for one task only."""
    slow = loop.slow | {name: buffer.clone() for name, buffer in loop.buffers.items()}

    def run(theta: list[Tensor], inputs: Tensor) -> Tensor:
        fast = dict(zip(loop.fast, theta, strict=True))
        return loop.run(slow | fast, inputs)

    return run
