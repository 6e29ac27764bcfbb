"""The exact low-rank form of a first layer that adapts: its weights move only along its own support inputs.

With x the layer's inputs, which do not depend on what adapts, and δ_s = ∂ loss / ∂ (x W_sᵀ + b_s) [n_rows, d_out],
gradient descent on W and b gives

    W_s = W₀ − α_W (Σ δ)ᵀ x,   b_s = b₀ − α_b (Σ δ)ᵀ 1,   so   x' W_sᵀ + b_s = x' W₀ᵀ + b₀ − (α_W x' xᵀ + α_b) Σ δ,

and all that a task needs is an offset [n_rows, d_out] and a Gram matrix [n_rows, n_rows], in place of a matrix
[d_out, d_in] of its own: the better, the fewer rows there are to the width of the inputs.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext

from torch import Tensor, nn

from fsl.engines.inner_loop import InnerLoop


def rate_of(loop: InnerLoop, layer: str, kind: str):
    """The step size of a layer's weight or bias; 0 for one that is not there or does not adapt."""
    name = f"{layer}.{kind}"
    return loop.rates[loop.fast.index(name)] if name in loop.fast else 0.0


@contextmanager
def hooks(modules: Sequence[nn.Module], seen) -> Iterator[None]:
    """While inside, `seen(i, inputs, output)` is called after the i-th module, and may replace its output."""
    with ExitStack() as stack:
        for i, module in enumerate(modules):
            handle = module.register_forward_hook(
                lambda _, x, out, i=i: seen(i, x[0] if x else None, out)
            )
            stack.callback(handle.remove)
        yield


class RowSpace:
    """The first layers of all tasks: their offsets on the support, and what these come to on any other rows."""

    def __init__(self, loop: InnerLoop):
        self.loop, layers = loop, loop.in_row_space
        self.modules = [loop.net.get_submodule(name) for name in layers]
        self.rates = [[rate_of(loop, name, kind) for kind in ("weight", "bias")] for name in layers]
        self.names = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
        self.offsets: list[Tensor] = []

    def begin(self, support) -> None:
        """Offsets of 0 on the support, [n_tasks, n_rows, d_out] for each layer."""
        shape = support.inputs.shape[:2]
        self.offsets = [
            self.loop.parameters[f"{name}.weight"]
            .new_zeros(*shape, m.out_features)
            .requires_grad_()
            for name, m in zip(self.loop.in_row_space, self.modules, strict=True)
        ]
        self.pushed = [offset.detach() for offset in self.offsets]

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
    def movement(self) -> list[Tensor]:
        """What the steps come to, on any rows: α_W x, Σ δ and α_b Σ δᵀ 1 of each layer, one after another."""
        moved = zip(self.inputs, self.pushed, self.rates, strict=True) if self.modules else ()
        each = [(alpha * x, pushed, beta * pushed.sum(-2)) for x, pushed, (alpha, beta) in moved]
        return [tensor for layer in each for tensor in layer]

    def on_support(self, offsets: Sequence[Tensor], given: list[Tensor]):
        """One task's forward pass on its support; `given` has the layers' inputs afterwards."""
        given[:] = [None] * len(self.modules)

        def shifted(i: int, x: Tensor, out: Tensor) -> Tensor:
            given[i] = x
            return out + offsets[i]

        return hooks(self.modules, shifted) if self.modules else nullcontext()

    def on_query(self, movement: Sequence):
        """One task's forward pass on other rows."""

        def shifted(i: int, x: Tensor, out: Tensor) -> Tensor:
            along, pushed, bias = movement[3 * i : 3 * i + 3]
            return out - (x @ along.mT) @ pushed - bias

        return hooks(self.modules, shifted) if self.modules else nullcontext()
