"""Losses and their gradient in one go, so that no more than a chunk of tasks is ever in memory.

The gradient of Σ_t w_t loss_t is taken at once with all w = 1, which is what a mean or a sum of the losses needs up to
a factor. Other weights cost a second run. The result cannot be differentiated twice.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fsl.engines.inner_loop import InnerLoop
from fsl.episodes import Examples

Chunk = Callable[[list[Tensor], list[Tensor], Tensor], tuple[Tensor, list[Tensor]]]


class WholeStep:
    """`__call__(weights)` gives losses [n_tasks] and the gradients of Σ w loss to `leaves`.

    leaves: what requires a gradient among the net's parameters, the step sizes and the six tensors of an episode.
    """

    def __init__(self, loop: InnerLoop, support, query, chunk: int, run: Chunk):
        self.run, self.chunk = run, chunk
        rates = [rate for rate in loop.rates if isinstance(rate, Tensor)]
        self.shared = [
            *{id(t): t for t in (*loop.parameters.values(), *rates) if t.requires_grad}.values()
        ]
        self.sides = [*support, *query]
        self.leaves = self.shared + [t for t in self.sides if t.requires_grad]

    def losses(self) -> Tensor:
        """[n_tasks], differentiable once with respect to `leaves`."""
        return _Weighted.apply(self, *self.leaves)

    def __call__(self, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
        losses, sums, own = [], [], []
        for begin in range(0, len(weights), self.chunk):
            here = slice(begin, begin + self.chunk)
            part = [t[here].detach().requires_grad_(t.requires_grad) for t in self.sides]
            found, gradients = self.run(self.shared, part, weights[here])
            n = len(self.shared)
            losses.append(found)
            sums = (
                [a + b for a, b in zip(sums, gradients[:n], strict=True)] if sums else gradients[:n]
            )
            own.append(gradients[n:])
        return torch.cat(losses), [*sums, *(torch.cat(parts) for parts in zip(*own, strict=True))]


class _Weighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx, step: WholeStep, *leaves: Tensor) -> Tensor:
        losses, ctx.gradients = step(step.leaves[0].new_ones(len(step.sides[0])))
        ctx.step = step
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx, weights: Tensor):
        if bool((weights == weights[0]).all()):
            return None, *(weights[0] * gradient for gradient in ctx.gradients)
        return None, *ctx.step(weights)[1]


def eager(loop: InnerLoop, engine: Callable) -> Chunk:
    """One chunk by autograd."""

    def run(shared: list[Tensor], part: list[Tensor], weights: Tensor):
        with torch.enable_grad():
            losses = engine(loop, Examples(*part[:3]), Examples(*part[3:]), loop.task_loss)
            gradients = torch.autograd.grad(
                (losses * weights).sum(),
                [*shared, *(t for t in part if t.requires_grad)],
                allow_unused=True,
                materialize_grads=True,
            )
        return losses.detach(), list(gradients)

    return run
