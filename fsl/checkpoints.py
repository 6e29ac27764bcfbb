"""A training run on disk: tensors as safetensors, the rest as JSON; a kill at any moment leaves a whole one.

The JSON names its tensors' file and is put in place last, by one atomic rename; the older tensors go after that.
"""

import contextlib
import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fsl.errors import InputError

_JSON = "checkpoint.json"


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


def probe(trainer, method: nn.Module, tasks, checks) -> dict[str, str]:
    """What must be the same for a run to be gone on with: settings (the trainer's and the method's own), network, a
    draw of the tasks and the validation episodes `checks`, these two as checksums.
    """
    settings = {
        name: value
        for name, value in asdict(trainer).items()
        if name not in ("checkpoint", "save_every", "progress")
    }
    shapes = {name: list(t.shape) for name, t in method.state_dict().items()}
    drawn = method.draw(tasks, 1, torch.Generator().manual_seed(0))
    network = f"{type(method).__name__} {json.dumps(shapes)}"
    return {
        "settings": json.dumps([settings, _own_settings(method)], default=str),
        "network": hashlib.sha256(network.encode()).hexdigest(),
        "tasks": _checksum(drawn),
        "validation tasks": _checksum(checks),
    }


def _own_settings(method: nn.Module) -> dict[str, str]:
    """The method's plain attributes (`inner_lr`, `n_steps`, `loss`, …) as text that is the same in every process."""
    public = {name: v for name, v in vars(method).items() if not name.startswith("_")}
    known = {name: _said(v) for name, v in public.items() if name not in ("training", "trainer")}
    return {name: text for name, text in known.items() if text is not None}


def _said(value: Any) -> str | None:
    plain = isinstance(value, bool | int | float | str | tuple | list) or value is None
    return repr(value) if plain or is_dataclass(value) else getattr(value, "__qualname__", None)


def _checksum(drawn) -> str:
    digest = hashlib.sha256()
    for tensor in _tensors(drawn):
        digest.update(tensor.detach().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def _tensors(drawn) -> list[Tensor]:
    if isinstance(drawn, Tensor):
        return [drawn]
    return [t for part in drawn if part is not None for t in _tensors(part)]


class Checkpoint:
    """The folder of one run, marked with what it belongs to."""

    def __init__(self, folder: Path, mark: dict[str, str]):
        self.folder, self.mark = folder, mark

    def save(self, method, optimizer, generator, state: Progress, kept: dict | None) -> None:
        """Everything that the next iteration depends on. The earlier checkpoint stays whole until this one is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"iteration-{state.iteration:08d}.safetensors"
        tensors = _flat(method, optimizer, generator, kept)
        _put(self.folder / name, lambda path: save_file(tensors, path))
        saved = {"tensors": name, "mark": self.mark, "state": _strict(asdict(state))}
        text = json.dumps(saved, indent=1, allow_nan=False)
        _put(self.folder / _JSON, lambda path: Path(path).write_text(text, encoding="utf-8"))
        for old in self.folder.glob("iteration-*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)

    def load(self, method, optimizer, generator) -> tuple[Progress, dict | None] | None:
        """Put a saved run back into its parts; None where there is none.

        Raises InputError for a file that cannot be read, or that belongs to another run.
        """
        path = self.folder / _JSON
        if not path.exists():
            return None
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            mark, state = dict(saved["mark"]), Progress(**_lenient(saved["state"]))
            tensors = load_file(self.folder / saved["tensors"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise _unreadable(path, error) from error
        for what, value in self.mark.items():
            if mark.get(what) != value:
                raise InputError(
                    f"{path}: the checkpoint has other {what} than this run; "
                    "remove the folder, or name another one"
                )
        try:
            return state, _restore(tensors, method, optimizer, generator)
        except (KeyError, ValueError, RuntimeError) as error:
            raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    why = str(error).split("\n")[0]
    return InputError(
        f"{path}: no checkpoint that can be read ({why}); remove the folder to begin anew"
    )


def _strict(value: Any) -> Any:
    """As strict JSON has it: a number that is not finite becomes its name, "inf" or "nan"."""
    if isinstance(value, dict):
        return {name: _strict(v) for name, v in value.items()}
    if isinstance(value, list):
        return [_strict(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _lenient(value: Any) -> Any:
    """What `_strict` was given. No other text stands there."""
    if isinstance(value, dict):
        return {name: _lenient(v) for name, v in value.items()}
    if isinstance(value, list):
        return [_lenient(v) for v in value]
    return float(value) if isinstance(value, str) else value


def _flat(method, optimizer, generator, kept: dict | None) -> dict[str, Tensor]:
    parts = {"random/draws": generator.get_state(), "random/torch": torch.get_rng_state()}
    parts |= {f"weights/{name}": t for name, t in method.state_dict().items()}
    parts |= {f"kept/{name}": t for name, t in (kept or {}).items()}
    for i, moments in optimizer.state_dict()["state"].items():
        parts |= {f"adam/{i}/{name}": t for name, t in moments.items()}
    return {name: t.detach().clone().contiguous() for name, t in parts.items()}


def _restore(tensors: dict[str, Tensor], method, optimizer, generator) -> dict | None:
    def under(start: str) -> dict[str, Tensor]:
        # copies: what was loaded is a map of a file that the next save takes away
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


def _put(path: Path, write: Any) -> None:
    """Written beside, flushed, then renamed: whole or not there."""
    beside = path.with_name(f".{path.name}.part")
    try:
        write(str(beside))
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
