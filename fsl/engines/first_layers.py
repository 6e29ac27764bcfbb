"""Which layers may adapt in the form of `fsl.engines.low_rank`: those for which forward passes show it exact."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from fsl.engines.inner_loop import InnerLoop
from fsl.engines.low_rank import hooks, rate_of

WORTHWHILE = 4_096  # weights of a layer, from which on the shorter algebra was measured to outweigh its overhead


def with_row_space(loop: InnerLoop, support_inputs: Tensor, query_inputs: Tensor) -> InnerLoop:
    """The loop, told which of its layers adapt as offsets."""
    with torch.enable_grad():
        layers = first_layers(loop, support_inputs, query_inputs)
    return replace(loop, in_row_space=layers) if layers else loop


def first_layers(loop: InnerLoop, support_inputs: Tensor, query_inputs: Tensor) -> tuple[str, ...]:
    """Names of the linear layers for which the low-rank form is exact, and smaller than the weights.

    Such a layer adapts with one step size per parameter, has WORTHWHILE weights or more and is wider than twice its
    support's rows; it is called once, on one row per example; its inputs do not depend on what adapts, and nothing else
    meets its weight or bias.
    """
    large = any(loop.parameters[name].numel() >= WORTHWHILE for name in loop.fast)
    if not large or loop.n_steps == 0 or loop.randomness != "error":
        return ()
    n_rows = support_inputs.shape[1]
    able = [
        name
        for name, module in loop.net.named_modules()
        if type(module) is nn.Linear
        and module.weight.numel() >= WORTHWHILE
        and module.in_features > 2 * n_rows > 0
        and _adapts_plainly(loop, name, module)
    ]
    sides = support_inputs[0].detach(), query_inputs[0].detach()
    return _proven(loop, able, *sides) if able else ()


def _adapts_plainly(loop: InnerLoop, name: str, module: nn.Linear) -> bool:
    """One step size each, a start that the tasks share, and no code of others around the layer."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    changed = any(getattr(module, kind) for kind in kinds) or "forward" in vars(module)
    rates = [rate_of(loop, name, kind) for kind in ("weight", "bias")]
    one_each = all(not isinstance(rate, Tensor) or rate.ndim == 0 for rate in rates)
    shared = not {f"{name}.weight", f"{name}.bias"} & set(loop.starts)
    return f"{name}.weight" in loop.fast and one_each and shared and not changed


def _proven(
    loop: InnerLoop, able: Sequence[str], support: Tensor, query: Tensor
) -> tuple[str, ...]:
    """Those of `able` that one task's inputs show to be moved by nothing, and to move nothing but their own output.

    Seen at places near θ and far from it. A net that cannot run there has shown nothing.
    """
    places = _near_and_far(loop)
    try:
        sides = [_Probe(loop, able, inputs, *places) for inputs in (support, query)]
        still = [name for name in able if sides[0].stands_still(name)]
        return tuple(name for name in still if all(side.is_alone(name) for side in sides))
    except (RuntimeError, ValueError):
        return ()


def _near_and_far(loop: InnerLoop) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """θ + noise, lest zeros hide anything; and for what adapts another sign, another size and another origin."""
    generator = torch.Generator().manual_seed(0)
    near = {}
    for name, p in loop.parameters.items():
        columns = torch.randn((*p.shape[:1], *(1,) * (p.ndim - 1)), generator=generator)
        noise = columns * torch.randn(p.shape[1:], generator=generator)  # for a large p soon drawn
        near[name] = (p.detach() + 0.1 * noise.to(p)).requires_grad_(name in loop.fast)
    far = {name: (0.01 - 1.5 * near[name].detach()).requires_grad_() for name in loop.fast}
    return near, far


class _Probe:
    """Forward passes on one task's inputs; on the same buffers, so that a net whose state changes is seen as well."""

    def __init__(self, loop: InnerLoop, able: Sequence[str], inputs: Tensor, near, far):
        self.loop, self.able, self.inputs, self.near, self.far = loop, able, inputs, near, far
        self.buffers = {name: b.detach().clone() for name, b in loop.buffers.items()}
        self.predictions, self.calls = self._pass(near)

    @cached_property
    def moved(self) -> dict[str, list]:
        """The calls when all that adapts is far away."""
        return self._pass(self.near | self.far)[1]

    def stands_still(self, name: str) -> bool:
        """Whether the layer is called once, on one row per example, with inputs that do not depend on what adapts."""
        if len(self.calls[name]) != 1 or len(self.moved[name]) != 1:
            return False
        (x, version, _), (again, _, _) = self.calls[name][0], self.moved[name][0]
        if x is None or x.requires_grad or x._version != version:
            return False
        return x.ndim == 2 and len(x) == len(self.inputs) and torch.equal(x, again)

    def is_alone(self, name: str) -> bool:
        """Whether, with its output held, the layer's weight and bias make no difference to the predictions."""
        words = {f"{name}.weight", f"{name}.bias"}
        moved = {word: p for word, p in self.far.items() if word in words}
        held = {name: self.calls[name][0][2].detach()} if self.calls[name] else {}
        predictions, _ = self._pass(self.near | moved, held)
        if not torch.equal(predictions, self.predictions):
            return False
        if not predictions.requires_grad:
            return True
        slopes = torch.autograd.grad(predictions.sum(), [*moved.values()], allow_unused=True)
        return all(slope is None for slope in slopes)

    def _pass(self, given: dict[str, Tensor], held: Mapping[str, Tensor] | None = None):
        """The predictions, and of each layer's calls the inputs, their version and the output."""
        calls: dict[str, list] = {name: [] for name in self.able}

        def seen(i: int, x: Tensor | None, out: Tensor) -> Tensor | None:
            calls[self.able[i]].append((x, None if x is None else x._version, out))
            return (held or {}).get(self.able[i])

        with hooks([self.loop.net.get_submodule(name) for name in self.able], seen):
            return self.loop.run(given | self.buffers, self.inputs), calls
