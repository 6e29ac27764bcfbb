"""Losses and their gradient in one go, so that no more than a chunk of tasks is ever in memory.

The gradient of Σ_t w_t loss_t is taken at once with all w = 1, which is what a mean or a sum of the losses needs up to
a factor. Other weights cost a second run. The result cannot be differentiated twice.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from fsl.engines.inner_loop import InnerLoop
from fsl.episodes import Examples

Chunk = Callable[[list[Tensor], Tensor], tuple[Tensor, list[Tensor]]]


class WholeStep:
    """`__call__(weights)` gives losses [n_tasks] and the gradients of Σ w loss to `leaves`.

    leaves: what requires a gradient among the parameters of net and loss, the net's buffers, the step sizes and the six
    tensors of an episode.
    """

    def __init__(self, loop: InnerLoop, support, query, chunk: int, run: Chunk):
        self.run, self.chunk = run, chunk
        self.learned = loop.learned
        self.sides = [*support, *query]
        self.leaves = self.learned + [t for t in self.sides if t.requires_grad]

    def losses(self) -> Tensor:
        """[n_tasks], differentiable once with respect to `leaves`."""
        return _Weighted.apply(self, *self.leaves)

    def __call__(self, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
        losses, sums, own = [], [], []
        for begin in range(0, len(weights), self.chunk):
            here = slice(begin, begin + self.chunk)
            part = [t[here].detach().requires_grad_(t.requires_grad) for t in self.sides]
            found, gradients = self.run(part, weights[here])
            n = len(self.learned)
            losses.append(found)
            sums = (
                [a + b for a, b in zip(sums, gradients[:n], strict=True)] if sums else gradients[:n]
            )
            own.append(gradients[n:])
        return torch.cat(losses), [*sums, *(torch.cat(parts) for parts in zip(*own, strict=True))]


class _Weighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx, step: WholeStep, *leaves: Tensor) -> Tensor:
        ctx.save_for_backward(*leaves)
        ctx.random_state = torch.get_rng_state()
        losses, ctx.gradients = step(step.leaves[0].new_ones(len(step.sides[0])))
        ctx.step = step
        return losses

    @staticmethod
    def backward(ctx, weights: Tensor):
        # With create_graph=True what came back would have no graph, and nothing would say so.
        if torch.is_grad_enabled():
            raise RuntimeError(
                "a chunked or compiled loss can be differentiated once only: chunk=None keeps its graph"
            )
        if bool((weights == weights[0]).all()):
            return None, *torch._foreach_mul(ctx.gradients, weights[0])
        # Raises where one of them was changed in place since the first run.
        _ = ctx.saved_tensors
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(ctx.random_state)
            return None, *ctx.step(weights)[1]


def eager(loop: InnerLoop, engine: Callable) -> Chunk:
    """One chunk by autograd."""

    def run(part: list[Tensor], weights: Tensor):
        with torch.enable_grad():
            apart = _apart(loop)
            losses = engine(apart, Examples(*part[:3]), Examples(*part[3:]), loop.task_loss)
            leaves = [*apart.learned, *(t for t in part if t.requires_grad)]
            if not losses.requires_grad:
                return losses, [torch.zeros_like(t) for t in leaves]
            gradients = torch.autograd.grad(
                (losses * weights).sum(), leaves, allow_unused=True, materialize_grads=True
            )
        return losses.detach(), list(gradients)

    return run


def _apart(loop: InnerLoop) -> InnerLoop:
    """Step sizes and buffers cut off from where they come from, lest a parameter that they depend on counts twice."""
    tensors = [*loop.buffers.values(), *(rate for rate in loop.rates if isinstance(rate, Tensor))]
    cut = {id(t): t.detach().requires_grad_(t.requires_grad) for t in tensors}
    return replace(
        loop,
        buffers={name: cut[id(buffer)] for name, buffer in loop.buffers.items()},
        rates=tuple(cut.get(id(rate), rate) for rate in loop.rates),
    )
