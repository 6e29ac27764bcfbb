"""The teaching reference: Facebook's `higher` (Grefenstette et al. 2019), which unrolls one task at a time."""

import higher
import torch
from torch import Tensor

from fsl.engines.inner_loop import InnerLoop
from fsl.engines.one_by_one import judged_alone


def by_higher(loop: InnerLoop, support, query, judge) -> Tensor:
    """`judge` of every task's predictions after its own inner loop, stacked."""
    if loop.starts:
        raise ValueError(
            'engine="higher" gives all tasks one start; "batched" and "loop" take starts'
        )
    if not loop.fast:
        return judged_alone(loop, support, query, judge)
    return torch.stack(
        [_one_task(loop, *task, judge=judge) for task in zip(*support, *query, strict=True)]
    )


def _one_task(loop: InnerLoop, inputs, targets, mask, *asked, judge) -> Tensor:
    """`copy_initial_weights=False` keeps θ in the graph: with True, its default, no gradient reaches θ, silently."""
    groups = [{"params": [loop.parameters[name]], "lr": 1.0} for name in loop.fast]
    override = {"lr": list(loop.rates)}
    constant = {} if loop.order == 2 else {"grad_callback": _detach}
    optimizer = torch.optim.SGD(groups, lr=1.0)
    options = {"copy_initial_weights": False, "track_higher_grads": loop.order > 0}
    with loop.draws(), higher.innerloop_ctx(loop.net, optimizer, **options) as (net, inner):
        for _ in range(loop.n_steps):
            loss = loop.task_loss(net(inputs), targets, mask)
            if loss.requires_grad:
                inner.step(loss, override=override, **constant)
        return judge(net(asked[0]), *asked[1:])


def _detach(gradients: list[Tensor]) -> list[Tensor]:
    """A step of constant size: ∂θ_{s+1}/∂θ_s = I. (`track_higher_grads=False` would cut θ itself off.)"""
    return [None if gradient is None else gradient.detach() for gradient in gradients]
