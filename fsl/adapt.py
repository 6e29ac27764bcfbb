"""Inner loops: a network's own copy for each task, a few gradient steps away from shared initial parameters.

Knows networks, losses and episodes; knows nothing of shops, learners or evaluation. The one engine for now is the
reference, Facebook's `higher`, which unrolls one task at a time.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

import higher
import torch
from torch import Tensor, nn

from fsl.episodes import Episode, Examples
from fsl.metrics import mse

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def masked_mse(predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean of (p − t)² over the rows where `mask` is True, for one task: [n], [n], [n] -> scalar."""
    return mse(predictions, targets, mask)


def meta_loss(
    net: nn.Module,
    loss: Loss,
    episode: Episode,
    inner_lr: float,
    n_steps: int,
    first_order: bool = False,
    engine: str = "higher",
) -> Tensor:
    """Query loss of every task after its own inner loop (MAML: Finn, Abbeel & Levine 2017, algorithm 1).

        θ₀ = θ,   θ_{s+1} = θ_s − α ∇ loss(net(support; θ_s)),   returns loss(net(query; θ_n)) per task

    Differentiable with respect to θ, the parameters of `net`. Second order is exact: for one step the
    meta-gradient is (I − αH) g, H the Hessian of the support loss at θ and g the gradient of the query loss at θ₁.
    `first_order=True` (FOMAML, section 5.2) takes the step's own gradient for a constant, which leaves g.

    net: `net(inputs)` gives predictions [n] for one task's inputs [n, ...]. Parameters that do not require a
    gradient stay as they are; buffers and parameters of `net` are not changed.
    loss: `loss(predictions, targets, mask)` is a scalar for one task; mask is bool [n], True for a real row.
    episode: [n_tasks, n, ...] support and query. inner_lr: α, step size of plain gradient descent.
    Returns [n_tasks]. Raises ValueError for an unknown engine, n_steps < 0, a step size that is not finite or that
    wants a gradient, sides of different length, predictions [n, 1] and losses that are not scalars.
    """
    if engine not in _ENGINES:
        raise ValueError(f"unknown engine {engine!r}, known: {', '.join(sorted(_ENGINES))}")
    _check_steps(inner_lr, n_steps)
    support, query = (_with_mask(side) for side in episode)
    if len(support.inputs) != len(query.inputs):
        raise ValueError(f"{len(support.inputs)} support tasks but {len(query.inputs)} query tasks")
    with torch.enable_grad():
        return _ENGINES[engine](net, loss, support, query, inner_lr, int(n_steps), first_order)


def adapted_predictions(
    net: nn.Module,
    loss: Loss,
    support: Examples,
    query_inputs: Tensor,
    inner_lr: float,
    n_steps: int,
) -> Tensor:
    """Predictions [n_tasks, n_query] after each task's inner loop; same θ_s as in `meta_loss`, no graph kept."""
    _check_steps(inner_lr, n_steps)
    predictions = []
    for inputs, targets, mask, query in zip(*_with_mask(support), query_inputs, strict=True):
        with torch.enable_grad(), _copy_of(net, inner_lr, differentiable=False) as (fast, inner):
            for _ in range(int(n_steps)):
                inner.step(_loss_of(fast, loss, inputs, targets, mask))
            with torch.no_grad():
                predictions.append(fast(query))
    return (
        torch.stack(predictions) if predictions else query_inputs.new_zeros(query_inputs.shape[:2])
    )


def _higher(net, loss, support, query, inner_lr, n_steps, first_order) -> Tensor:
    losses = []
    constant_step = {"grad_callback": _detach} if first_order else {}
    for s_inputs, s_targets, s_mask, *query_task in zip(*support, *query, strict=True):
        with _copy_of(net, inner_lr, differentiable=True) as (fast, inner):
            for _ in range(n_steps):
                inner.step(_loss_of(fast, loss, s_inputs, s_targets, s_mask), **constant_step)
            losses.append(_loss_of(fast, loss, *query_task))
    return torch.stack(losses) if losses else query.targets.new_zeros(0)


def _loss_of(net, loss: Loss, inputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """One task's loss; predictions [n, 1] are refused: against targets [n] they would broadcast without a word."""
    predictions = net(inputs)
    if predictions.shape == (*targets.shape, 1):
        raise ValueError(
            f"net gives predictions {list(predictions.shape)}, expected {list(targets.shape)}"
        )
    value = loss(predictions, targets, mask)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"loss must give a scalar tensor for one task, got {value!r}")
    return value.reshape(())


def _copy_of(net: nn.Module, inner_lr: float, differentiable: bool):
    """`higher`'s functional copy, wired to the shared initial parameters; it lives for one task only.

    `copy_initial_weights=False` keeps θ in the graph: with True, its default, no gradient would reach θ, silently.
    """
    adapted = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not adapted:
        return nullcontext((_still(net), SimpleNamespace(step=lambda loss, **options: None)))
    plain_descent = torch.optim.SGD(adapted, lr=inner_lr)
    return higher.innerloop_ctx(
        net, plain_descent, copy_initial_weights=False, track_higher_grads=differentiable
    )


def _still(net: nn.Module) -> Callable[[Tensor], Tensor]:
    """A net with nothing to adapt, on buffers of its own."""
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    return lambda inputs: torch.func.functional_call(net, buffers, (inputs,))


def _check_steps(inner_lr: float, n_steps: int) -> None:
    if n_steps < 0 or n_steps != int(n_steps):
        raise ValueError(f"n_steps must be a whole number, 0 or more, got {n_steps}")
    if isinstance(inner_lr, Tensor) and inner_lr.requires_grad:
        raise ValueError("inner_lr is a number here: a learned step size would get no gradient")
    if not math.isfinite(inner_lr):
        raise ValueError(f"inner_lr must be finite, got {inner_lr}")


def _detach(gradients: list[Tensor]) -> list[Tensor]:
    """A step of constant size: ∂θ_{s+1}/∂θ_s = I. (`track_higher_grads=False` would cut θ itself off.)"""
    return [None if gradient is None else gradient.detach() for gradient in gradients]


def _with_mask(side: Examples) -> Examples:
    """`None` means that every row is real; what stands in padded rows is put to 0, lest a NaN there reach θ."""
    inputs, targets, mask = Examples(*side)
    if mask is None:
        return Examples(inputs, targets, torch.ones_like(targets, dtype=torch.bool))
    real = mask.reshape(*mask.shape, *(1,) * (inputs.ndim - mask.ndim))
    return Examples(torch.where(real, inputs, 0), torch.where(mask, targets, 0), mask)


_ENGINES = {"higher": _higher}
