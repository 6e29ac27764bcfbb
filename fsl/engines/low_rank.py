"""The exact low-rank form of a first layer that adapts: its weights move only along its own support inputs.

With x the layer's inputs, which do not depend on what adapts, and δ_s = ∂ loss / ∂ (x W_sᵀ + b_s) [n_rows, d_out],
gradient descent on W and b gives

    W_s = W₀ − α_W (Σ δ)ᵀ x,   b_s = b₀ − α_b (Σ δ)ᵀ 1,   so   x' W_sᵀ + b_s = x' W₀ᵀ + b₀ − (α_W x' xᵀ + α_b) Σ δ,

and all that a task needs is an offset [n_rows, d_out] and a Gram matrix [n_rows, n_rows], in place of a matrix
[d_out, d_in] of its own: the better, the fewer rows there are to the width of the inputs.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from fsl.engines.inner_loop import InnerLoop

WORTHWHILE = 4_096  # weights of a layer, from which on the shorter algebra was measured to outweigh its overhead


def with_row_space(loop: InnerLoop, support) -> InnerLoop:
    """The loop, told which of its layers adapt as offsets."""
    with torch.enable_grad():
        return replace(loop, in_row_space=first_layers(loop, support))


def first_layers(loop: InnerLoop, support) -> tuple[str, ...]:
    """Names of the linear layers for which the low-rank form is exact, and smaller than the weights.

    Such a layer adapts with one step size per parameter, has WORTHWHILE weights or more and is wider than twice its
    support's rows; it is called once, on one row per example; its inputs do not depend on what adapts, and nothing else
    meets its weight.
    """
    if loop.n_steps == 0 or loop.randomness != "error":
        return ()
    n_rows = support.targets.shape[1]
    able = [
        name
        for name, module in loop.net.named_modules()
        if type(module) is nn.Linear
        and module.weight.numel() >= WORTHWHILE
        and module.in_features > 2 * n_rows > 0
        and _adapts_plainly(loop, name, module)
    ]
    return tuple(_proven(loop, able, support)) if able else ()


def _adapts_plainly(loop: InnerLoop, name: str, module: nn.Linear) -> bool:
    hooked = module._forward_hooks or module._forward_pre_hooks
    rates = [_rate(loop, name, kind) for kind in ("weight", "bias")]
    one_each = all(not isinstance(rate, Tensor) or rate.ndim == 0 for rate in rates)
    shared = not {f"{name}.weight", f"{name}.bias"} & set(loop.starts)
    return f"{name}.weight" in loop.fast and one_each and shared and not hooked


def _rate(loop: InnerLoop, layer: str, kind: str):
    """The step size of a layer's weight or bias; 0 for one that is not there or does not adapt."""
    name = f"{layer}.{kind}"
    return loop.rates[loop.fast.index(name)] if name in loop.fast else 0.0


def _proven(loop: InnerLoop, able: Sequence[str], support) -> Iterator[str]:
    """Those of `able` whose gradient is δᵀ x and whose inputs stand still: seen near θ, on the first task."""
    generator = torch.Generator().manual_seed(0)
    near = {
        name: (p.detach() + 0.1 * torch.randn(p.shape, generator=generator).to(p)).requires_grad_(
            name in loop.fast
        )
        for name, p in loop.parameters.items()
    }
    buffers = {name: b.clone() for name, b in loop.buffers.items()}
    modules = [loop.net.get_submodule(name) for name in able]
    with _hooks(modules, lambda i, x, out: calls[i].append((x, out))):
        calls = [[] for _ in able]
        predictions = loop.run(near | buffers, support.inputs[0].detach())
    weights = torch.randn(predictions.shape, generator=generator).to(predictions)
    if not predictions.requires_grad:
        return
    for name, called in zip(able, calls, strict=True):
        if len(called) != 1 or called[0][0].requires_grad or called[0][0].ndim != 2:
            continue
        (x, out), weight = called[0], near[f"{name}.weight"]
        delta, slope = torch.autograd.grad(
            (predictions * weights).sum(),
            [out, weight],
            retain_graph=True,
            materialize_grads=True,
            allow_unused=True,
        )
        if torch.allclose(slope, delta.T @ x, rtol=1e-4, atol=1e-5 * float(slope.abs().max())):
            yield name


@contextmanager
def _hooks(modules: Sequence[nn.Module], seen) -> Iterator[None]:
    """While inside, `seen(i, inputs, output)` is called after the i-th module, and may replace its output."""
    with ExitStack() as stack:
        for i, module in enumerate(modules):
            handle = module.register_forward_hook(lambda _, x, out, i=i: seen(i, x[0], out))
            stack.callback(handle.remove)
        yield


class RowSpace:
    """The first layers of all tasks: their offsets on the support, and what these come to on any other rows."""

    def __init__(self, loop: InnerLoop):
        self.loop, layers = loop, loop.in_row_space
        self.modules = [loop.net.get_submodule(name) for name in layers]
        self.rates = [[_rate(loop, name, kind) for kind in ("weight", "bias")] for name in layers]
        self.names = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
        self.offsets: list[Tensor] = []

    def begin(self, support) -> None:
        """Offsets of 0 on the support, [n_tasks, n_rows, d_out] for each layer."""
        shape = support.targets.shape
        self.offsets = [
            self.loop.parameters[f"{name}.weight"]
            .new_zeros(*shape, m.out_features)
            .requires_grad_()
            for name, m in zip(self.loop.in_row_space, self.modules, strict=True)
        ]
        self.pushed = [0.0] * len(self.modules)

    def step(self, slopes: Sequence[Tensor | None], inputs: Sequence[Tensor]) -> None:
        """One step of descent: `slopes` are δ, `inputs` what the layers were given, [n_tasks, n_rows, d_in]."""
        kept = [x if self.loop.order == 2 else x.detach() for x in inputs]
        for i, (x, slope, (alpha, beta)) in enumerate(zip(kept, slopes, self.rates, strict=True)):
            if slope is None:
                continue
            self.pushed[i] = self.pushed[i] + slope
            self.offsets[i] = self.offsets[i] - (alpha * (x @ x.mT) + beta) @ slope
            if self.loop.order < 2:
                self.offsets[i] = self.offsets[i].detach().requires_grad_()
        self.inputs = kept

    @property
    def movement(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """What the steps come to, on any rows: (α_W x, Σ δ, α_b Σ δᵀ 1) of each layer."""
        moved = zip(self.inputs, self.pushed, self.rates, strict=True) if self.modules else ()
        return [(alpha * x, pushed, beta * pushed.sum(-2)) for x, pushed, (alpha, beta) in moved]

    @contextmanager
    def on_support(self, offsets: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        """One task's forward pass on its support; the list it yields has the layers' inputs afterwards."""
        given: list[Tensor] = [None] * len(self.modules)

        def shifted(i: int, x: Tensor, out: Tensor) -> Tensor:
            given[i] = x
            return out + offsets[i]

        with _hooks(self.modules, shifted):
            yield given

    def on_query(self, movement: Sequence):
        """One task's forward pass on other rows."""

        def shifted(i: int, x: Tensor, out: Tensor) -> Tensor:
            along, pushed, bias = movement[i]
            return out - (x @ along.mT) @ pushed - bias

        return _hooks(self.modules, shifted)
