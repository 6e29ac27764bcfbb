"""Inner loops: a network's own copy for each task, a few gradient steps away from shared initial parameters.

Knows networks, losses and episodes; knows nothing of shops, learners or evaluation. `fsl.engines` holds the ways to run
the loop; this module is the door to all of them.
"""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from fsl.engines.arguments import Loss, Rate, with_mask
from fsl.engines.asked import check_chunk, check_tasks, loop_of, told_of_vmap
from fsl.engines.batched import Adaptation, batched
from fsl.engines.by_higher import by_higher
from fsl.engines.first_layers import with_row_space
from fsl.engines.inner_loop import InnerLoop
from fsl.engines.one_by_one import one_by_one
from fsl.engines.whole_step import Chunk, WholeStep, eager
from fsl.episodes import Episode, Examples
from fsl.metrics import cross_entropy, mse

ENGINES = {"batched": batched, "loop": one_by_one, "higher": by_higher}


def masked_mse(predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean of (p − t)² over the rows where `mask` is True, for one task: [n], [n], [n] -> scalar."""
    return mse(predictions, targets, mask)


def masked_cross_entropy(predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean of −log softmax(p)_t over the rows where `mask` is True, for one class-task: [n, n_way], int64 [n], [n]."""
    return cross_entropy(predictions, targets, mask)


def meta_loss(
    net: nn.Module,
    loss: Loss,
    episode: Episode,
    inner_lr: Rate | Mapping[str, Rate],
    n_steps: int,
    first_order: bool = False,
    fast: Iterable[str] | None = None,
    engine: str = "batched",
    chunk: int | None = 32,
    compile: bool = False,
    randomness: str = "error",
    starts: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Query loss of every task after its own inner loop (MAML: Finn, Abbeel & Levine 2017, algorithm 1).

        θ₀ = θ,   θ_{s+1} = θ_s − α ∇ loss(net(support; θ_s)),   returns loss(net(query; θ_n)) per task

    Differentiable with respect to θ, the parameters of `net`, and α. Second order is exact: for one step the
    meta-gradient is (I − αH) g, H the Hessian of the support loss at θ and g the gradient of the query loss at θ₁.
    `first_order=True` (FOMAML, section 5.2) takes the step's own gradient for a constant, which leaves g.

    net: `net(inputs)` gives predictions [n] for one task's inputs [n, ...], or [n, n_way]. Buffers and parameters of
    `net` are not changed. loss: `loss(predictions, targets, mask)` is a scalar for one task; mask is bool [n], True
    for a real row. episode: [n_tasks, n, ...] support and query; what stands in padded rows is put to 0.
    inner_lr: α; a number, a tensor (Meta-SGD: Li et al. 2017), or a mapping from each fast parameter's name to a
    number or a tensor that broadcasts to it.
    fast: names of the parameters, or of modules with them, that adapt (ANIL: the head); None is all. Those that do not
    require a gradient stay as they are.
    engine: "batched" runs all tasks at once and needs net and loss to run under `torch.vmap`; "loop" runs one after
    another; "higher" likewise, by the library of that name, as a reference; "auto" is `choose_engine`'s.
    chunk: with more tasks than this, a chunk at a time is run and differentiated at once, so that memory stays bounded;
    the result then can be differentiated once only, with respect to θ, α, the episode and the parameters of a loss that
    is a module or a module's method, and weights that differ between tasks cost a second run. None is all at once.
    compile: trace the whole batched step and compile it; pays where the same shapes come thousands of times. The first
    call for each shape takes some 10 s; later ones are 2 to 4 times faster for small networks. What is no tensor (a
    module's or the loss's own numbers, the flow of their Python) is a constant of the trace.
    starts: θ₀ of some fast parameters for each task apart, [n_tasks, *shape], by name (ProtoMAML: the head); such a
    call keeps one graph, whatever `chunk` says.
    randomness: what dropout may do, as in `torch.vmap`: "error" refuses it, "different" draws for each task apart,
    "same" gives all tasks the same draws. The draws come from torch's global generator.

    Returns [n_tasks]. Raises ValueError for an unknown engine, n_steps < 0, a step size that is not finite or does not
    broadcast to its parameter, names that fit no parameter, sides of different length, predictions [n, 1], losses that
    are not scalars, what does not run under vmap, and under `torch.inference_mode`, where nothing would adapt.
    """
    order = 0 if not torch.is_grad_enabled() else 1 if first_order else 2
    loop = loop_of(net, loss, inner_lr, n_steps, order, fast, randomness, starts)
    support, query = (with_mask(side) for side in episode)
    check_tasks(loop, len(support.inputs), len(query.inputs))
    name = _engine_name(engine, net, len(support.inputs))
    if compile and (name != "batched" or loop.starts):
        raise ValueError(f'compile wants engine="batched" and no starts, got {name!r}')
    check_chunk(chunk)
    return _run(loop, name, support, query, chunk, compile)


def _run(loop: InnerLoop, name: str, support, query, chunk: int | None, compile: bool) -> Tensor:
    n_tasks = len(support.inputs)
    if n_tasks == 0:
        return query.targets.new_zeros(0, dtype=torch.get_default_dtype())
    if name == "batched" and not compile:
        loop = with_row_space(loop, support.inputs, query.inputs)
    whole = compile or (n_tasks > (chunk or n_tasks) and not loop.starts)
    if loop.order and loop.fast and whole:
        run = _compiled(loop) if compile else eager(loop, ENGINES[name])
        with told_of_vmap(name):
            return WholeStep(loop, support, query, chunk or n_tasks, run).losses()
    return _adapted(loop, name, support, query, loop.task_loss, chunk)


def _compiled(loop: InnerLoop) -> Chunk:
    """Imported here: torch's compiler takes half a second to import, and few ask for it."""
    from fsl.engines.compiled import compiled

    return compiled(loop)


def adapted_predictions(
    net: nn.Module,
    loss: Loss,
    support: Examples,
    query_inputs: Tensor,
    inner_lr: Rate | Mapping[str, Rate],
    n_steps: int,
    fast: Iterable[str] | None = None,
    engine: str = "batched",
    chunk: int | None = 32,
    randomness: str = "error",
    starts: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Predictions [n_tasks, n_query] or [n_tasks, n_query, n_way] after each task's inner loop, no graph kept.

    The same θ_n as in `meta_loss`, which describes the arguments. query_inputs: [n_tasks, n_query, ...].
    """
    loop = loop_of(net, loss, inner_lr, n_steps, 0, fast, randomness, starts)
    support = with_mask(support)
    check_tasks(loop, len(support.inputs), len(query_inputs))
    check_chunk(chunk)
    if len(query_inputs) == 0:
        return query_inputs.new_zeros(query_inputs.shape[:2], dtype=torch.get_default_dtype())
    name = _engine_name(engine, net, len(query_inputs))
    if name == "batched":
        loop = with_row_space(loop, support.inputs, query_inputs)
    return _adapted(loop, name, support, (query_inputs,), lambda predictions: predictions, chunk)


def adapted_parameters(
    net: nn.Module,
    loss: Loss,
    support: Examples,
    inner_lr: Rate | Mapping[str, Rate],
    n_steps: int,
    fast: Iterable[str] | None = None,
    chunk: int | None = 32,
    randomness: str = "error",
) -> dict[str, Tensor]:
    """θ_n of every task, by name: [n_tasks, *shape of the parameter], no graph kept; for Reptile and for looking at."""
    loop, support = loop_of(net, loss, inner_lr, n_steps, 0, fast, randomness), with_mask(support)
    check_chunk(chunk)
    parts = []
    with torch.enable_grad(), told_of_vmap("batched"):
        for begin in range(0, len(support.inputs), chunk or len(support.inputs)):
            here = Examples(*(t[begin : begin + (chunk or len(t))] for t in support))
            with loop.draws():
                parts.append([p.detach() for p in Adaptation(loop, here).theta])
    columns = (
        zip(*parts, strict=True) if parts else ([loop.parameters[n][None][:0]] for n in loop.fast)
    )
    return dict(zip(loop.fast, map(torch.cat, columns), strict=True))


def choose_engine(net: nn.Module, n_tasks: int) -> str:
    """What engine="auto" means: "loop" for convolutions and for a single task, else "batched".

    Measured on one thread: a Conv4's per-task weights make grouped convolutions, which took 1.15 to 1.3 times as long
    as a loop and up to 2.2 times the memory; a single task has nothing to share the overhead of vmap with.
    """
    convolves = any(isinstance(m, nn.modules.conv._ConvNd) for m in net.modules())
    return "loop" if convolves or n_tasks == 1 else "batched"


def _engine_name(engine: str, net: nn.Module, n_tasks: int) -> str:
    if engine == "auto":
        return choose_engine(net, n_tasks)
    if engine not in ENGINES:
        known = ", ".join(sorted([*ENGINES, "auto"]))
        raise ValueError(f"unknown engine {engine!r}, known: {known}")
    return engine


def _adapted(loop: InnerLoop, name: str, support, query, judge: Callable, chunk) -> Tensor:
    """`judge` of every task after its inner loop; a chunk at a time where no graph is kept."""
    n_tasks, run = len(support.inputs), ENGINES[name]
    with torch.enable_grad(), told_of_vmap(name):
        if loop.order:
            return run(loop, support, query, judge)
        parts = []
        for begin in range(0, n_tasks, chunk or n_tasks):
            here = slice(begin, begin + (chunk or n_tasks))
            some = Examples(*(t[here] for t in support)), [t[here] for t in query]
            parts.append(run(loop.at(here), *some, judge).detach())
        return torch.cat(parts)
