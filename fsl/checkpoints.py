"""A training run on disk: tensors as safetensors, the rest as JSON; a kill at any moment leaves a whole one.

The JSON names its tensors' file and is put in place last, by one atomic rename; the older tensors go after that.
"""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
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


def probe(trainer, method: nn.Module, tasks) -> dict[str, str]:
    """What must be the same for a run to be gone on with: settings, network, and a draw of the tasks as a checksum."""
    settings = {
        name: value
        for name, value in asdict(trainer).items()
        if name not in ("checkpoint", "save_every", "progress")
    }
    shapes = {name: list(t.shape) for name, t in method.state_dict().items()}
    drawn = method.draw(tasks, 1, torch.Generator().manual_seed(0))
    digest = hashlib.sha256()
    for tensor in _tensors(drawn):
        digest.update(tensor.detach().contiguous().cpu().numpy().tobytes())
    network = f"{type(method).__name__} {json.dumps(shapes)}"
    return {
        "settings": json.dumps(settings, default=str),
        "network": hashlib.sha256(network.encode()).hexdigest(),
        "tasks": digest.hexdigest(),
    }


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
        text = json.dumps({"tensors": name, "mark": self.mark, "state": asdict(state)}, indent=1)
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
            mark, state = saved["mark"], Progress(**saved["state"])
            tensors = load_file(self.folder / saved["tensors"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InputError(
                f"{path}: no checkpoint that can be read ({error}); remove the folder to begin anew"
            ) from error
        for what, value in self.mark.items():
            if mark.get(what) != value:
                raise InputError(
                    f"{path}: the checkpoint has other {what} than this run; "
                    "remove the folder, or name another one"
                )
        return state, _restore(tensors, method, optimizer, generator)


def _flat(method, optimizer, generator, kept: dict | None) -> dict[str, Tensor]:
    parts = {"random/draws": generator.get_state(), "random/torch": torch.get_rng_state()}
    parts |= {f"weights/{name}": t for name, t in method.state_dict().items()}
    parts |= {f"kept/{name}": t for name, t in (kept or {}).items()}
    for i, moments in optimizer.state_dict()["state"].items():
        parts |= {f"adam/{i}/{name}": t for name, t in moments.items()}
    return {name: t.detach().clone().contiguous() for name, t in parts.items()}


def _restore(tensors: dict[str, Tensor], method, optimizer, generator) -> dict | None:
    def under(start: str) -> dict[str, Tensor]:
        return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}

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
