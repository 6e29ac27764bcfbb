"""What a training run is made of: how far it is, as strict JSON, and its parts as named tensors. Knows no file."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Progress:
    """How far a training run is."""

    iteration: int = 0
    least: float = float("inf")
    looks_in_vain: int = 0
    done: bool = False
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    history: list[list[float]] = field(default_factory=list)

    def check(self, n_iterations: int, check_every: int) -> None:
        """Raise ValueError for what no run of that many iterations, with such looks, can be in."""
        i = self.iteration
        if not _whole(i) or i > n_iterations:
            raise ValueError(f"iteration must be a whole number from 0 to {n_iterations}, got {i}")
        if not _whole(self.looks_in_vain):
            raise ValueError(f"looks_in_vain must be a whole number, got {self.looks_in_vain}")
        if not isinstance(self.done, bool):
            raise ValueError(f"done must be true or false, got {self.done}")
        if not _number(self.least) or math.isnan(self.least):
            raise ValueError(f"least must be a number, got {self.least}")
        if not _number(self.seconds) or not 0 <= self.seconds < math.inf:
            raise ValueError(f"seconds must be a number of at least 0, got {self.seconds}")
        looks = [*range(check_every, i + 1, check_every)]
        if i == n_iterations and i % check_every:
            looks.append(i)
        n_losses = i - looks[-1] if looks else i
        if not _numbers(self.losses, n_losses):
            raise ValueError(f"losses must be {n_losses} numbers")
        rows = self.history
        if not isinstance(rows, list) or not all(_numbers(row, 5) for row in rows):
            raise ValueError("history must be rows of 5 numbers")
        if [row[0] for row in rows] != looks or not all(_whole(row[0]) for row in rows):
            raise ValueError(f"history must have a row for each of its {len(looks)} looks")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: Any, n: int) -> bool:
    return isinstance(value, list) and len(value) == n and all(map(_number, value))


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def strict(value: Any) -> Any:
    """As strict JSON has it: a number that is not finite becomes its name, "inf" or "nan"."""
    if isinstance(value, dict):
        return {name: strict(v) for name, v in value.items()}
    if isinstance(value, list):
        return [strict(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def lenient(value: Any) -> Any:
    """What `strict` was given. No other text stands there."""
    if isinstance(value, dict):
        return {name: lenient(v) for name, v in value.items()}
    if isinstance(value, list):
        return [lenient(v) for v in value]
    return float(value) if isinstance(value, str) else value


def flat(method, optimizer, generator, kept: dict | None) -> dict[str, Tensor]:
    """Copies of all that the next iteration depends on, by name: weights, the best so far, Adam's, generators'."""
    parts = {"random/draws": generator.get_state(), "random/torch": torch.get_rng_state()}
    parts |= {f"weights/{name}": t for name, t in method.state_dict().items()}
    parts |= {f"kept/{name}": t for name, t in (kept or {}).items()}
    for i, moments in optimizer.state_dict()["state"].items():
        parts |= {f"adam/{i}/{name}": t for name, t in moments.items()}
    return {name: t.detach().clone().contiguous() for name, t in parts.items()}


def check_parts(tensors: dict[str, Tensor], method, optimizer, generator, has_kept: bool) -> None:
    """Raise ValueError where names, shapes or types are not those that a save would have now."""
    expected = flat(method, optimizer, generator, method.state_dict() if has_kept else None)
    there = {name.rpartition("/")[0] for name in tensors if name.startswith("adam/")}
    for i, parameter in enumerate(p for g in optimizer.param_groups for p in g["params"]):
        if f"adam/{i}" in there:  # a parameter that never had a gradient has no moments
            expected |= {f"adam/{i}/{name}": parameter for name in ("exp_avg", "exp_avg_sq")}
            expected[f"adam/{i}/step"] = torch.zeros((), dtype=torch.float32)
    for name in sorted({*expected, *tensors}):
        if name not in tensors:
            raise ValueError(f"{name} is missing")
        if name not in expected:
            raise ValueError(f"{name} is not known")
        found, right = ((list(t.shape), t.dtype) for t in (tensors[name], expected[name]))
        if found != right:
            raise ValueError(
                f"{name} must be {right[0]} of {right[1]}, got {found[0]} of {found[1]}"
            )


def restore(tensors: dict[str, Tensor], method, optimizer, generator) -> dict | None:
    """Put what `flat` gave back into its parts; the weights that were kept, if any were."""

    def under(start: str) -> dict[str, Tensor]:
        # copies: a loaded tensor is a view of all that was read
        here = [name for name in tensors if name.startswith(start)]
        return {name.removeprefix(start): tensors[name].clone() for name in here}

    method.load_state_dict(under("weights/"))
    whole = optimizer.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in under("adam/").items():
        i, moment = name.split("/")
        moments.setdefault(int(i), {})[moment] = tensor
    optimizer.load_state_dict({**whole, "state": moments})
    generator.set_state(tensors["random/draws"])
    torch.set_rng_state(tensors["random/torch"])
    return under("kept/") or None
