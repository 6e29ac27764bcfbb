"""A training run on disk: tensors as safetensors, the rest as JSON; a kill at any moment leaves a whole one.

The JSON names its tensors' file and is put in place last, by one atomic rename; the older tensors go after that.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from fsl.errors import InputError
from fsl.fingerprints import checksum, hashed, said
from fsl.training_state import Progress, check_parts, flat, lenient, restore, strict

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_JSON = "checkpoint.json"
_TENSORS = re.compile(r"iteration-\d{8}\.safetensors")
_PART = re.compile(rf"\.({_TENSORS.pattern}|checkpoint\.json)\.\d+\.part")


def probe(trainer, method: nn.Module, tasks, checks) -> dict[str, Any]:
    """What must be the same for a run to be gone on with: settings (the trainer's and the method's own, each as text),
    network, tasks (all that a dataclass of a sampler has, and a draw) and the validation episodes `checks`; these
    three as checksums.
    """
    apart = ("checkpoint", "save_every", "progress")
    settings = {name: said(v) for name, v in asdict(trainer).items() if name not in apart}
    name = type(method).__name__
    shapes = {name: [list(t.shape), str(t.dtype)] for name, t in method.state_dict().items()}
    free = {name: p.requires_grad for name, p in method.named_parameters()}
    layers = re.sub(" at 0x[0-9a-f]+", "", repr(method))
    drawn = method.draw(tasks, 1, torch.Generator().manual_seed(0))
    whole = said(tasks) if is_dataclass(tasks) else ""
    return {
        "settings": settings | {f"{name}.{own}": v for own, v in _own_settings(method).items()},
        "network": hashed(f"{name} {layers} {json.dumps([shapes, free])}"),
        "tasks": hashed(whole + checksum(drawn)),
        "validation tasks": checksum(checks),
    }


def _own_settings(method: nn.Module) -> dict[str, str]:
    """The method's plain attributes (`inner_lr`, `n_steps`, `loss`, …) as text that is the same in every process."""
    apart = ("training", "trainer", "history")
    public = {name: v for name, v in vars(method).items() if not name.startswith("_")}
    known = {name: v for name, v in public.items() if name not in apart}
    return {name: said(v) for name, v in known.items()}


class Checkpoint:
    """The folder of one run, marked with what it belongs to."""

    def __init__(self, folder: Path, mark: dict[str, Any]):
        self.folder, self.mark, self.locked = folder, mark, False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep other trainings out of it; the system lets go of it when this process ends.

        Raises InputError for a folder that cannot be written to, or that another training uses.
        """
        path, new = self.folder / ".lock", not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
            lock = open(path, "ab")  # noqa: SIM115
        except OSError as error:
            raise InputError(
                f"{self.folder}: no folder that checkpoints can be written to ({error.strerror})"
            ) from error
        with lock:
            self.locked = _locked(lock, path)
            try:
                yield
            finally:
                if new and [*self.folder.iterdir()] == [path]:  # nothing was saved
                    with contextlib.suppress(OSError):
                        path.unlink()
                        self.folder.rmdir()
                self.locked = False

    def save(self, method, optimizer, generator, state: Progress, kept: dict | None) -> None:
        """Everything that the next iteration depends on. The earlier checkpoint stays whole until this one is."""
        name = f"iteration-{state.iteration:08d}.safetensors"
        tensors = save(flat(method, optimizer, generator, kept))
        _put(self.folder / name, tensors)
        saved = {
            "tensors": name,
            "sha256": hashlib.sha256(tensors).hexdigest(),
            "mark": self.mark,
            "state": strict(asdict(state)),
        }
        text = json.dumps(saved, indent=1, allow_nan=False)
        _put(self.folder / _JSON, text.encode())
        for old in list(self.folder.iterdir()):
            ours = _TENSORS.fullmatch(old.name) or (self.locked and _PART.fullmatch(old.name))
            if ours and old.name != name:
                old.unlink(missing_ok=True)

    def load(self, trainer, method, optimizer, generator) -> tuple[Progress, dict | None] | None:
        """Put a saved run back into its parts; None where there is none.

        Raises InputError for a file that cannot be read, or that belongs to another run; nothing is changed then.
        """
        path = self.folder / _JSON
        if not path.exists():
            return None
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise _unreadable(path, error) from error
        if not isinstance(saved, dict) or not {"tensors", "mark"} <= saved.keys():
            raise InputError(f"{path}: this is no checkpoint of fsl's; name another folder")
        try:
            mark, state = dict(saved["mark"]), Progress(**lenient(saved["state"]))
            tensors = _read(self.folder, saved["tensors"], saved["sha256"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise _unreadable(path, error) from error
        for what, value in self.mark.items():
            if mark.get(what) != value:
                which = _differing(mark.get(what), value)
                raise InputError(
                    f"{path}: the checkpoint has other {what}{which} than this run; "
                    "remove the folder, or name another one"
                )
        try:
            state.check(trainer.n_iterations, trainer.check_every)
            check_parts(tensors, method, optimizer, generator, state.least < math.inf)
            return state, restore(tensors, method, optimizer, generator)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise _unreadable(path, error) from error


def _locked(lock, path: Path) -> bool:
    """Whether the lock is had, False where there are none. Raises InputError where another has it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock.fileno()), os.stat(path)):
            return True
    except (BlockingIOError, FileNotFoundError):
        pass  # taken, or taken away by another that leaves just now
    except OSError:
        return False  # a file system without locks
    raise InputError(f"{path.parent}: another training uses this folder")


def _read(folder: Path, name: str, sha256: str) -> dict[str, Tensor]:
    if not _TENSORS.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a checkpoint's tensors")
    data = (folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{name} is damaged or of another save: its checksum is not the noted one")
    return load(data)


def _differing(there: Any, here: Any) -> str:
    """Which settings differ, in brackets; nothing where only checksums are known."""
    if not isinstance(there, dict) or not isinstance(here, dict):
        return ""

    def short(settings: dict, name: str) -> str:
        text = str(settings.get(name, "nothing"))
        return text if len(text) <= 60 else f"{text[:40]}…{text[-19:]}"

    names = [name for name in {**here, **there} if there.get(name) != here.get(name)]
    return f" ({', '.join(f'{n}: {short(there, n)} there, {short(here, n)} here' for n in names)})"


def _unreadable(path: Path, error: Exception) -> InputError:
    why = f"no {error}" if isinstance(error, KeyError) else str(error).split("\n")[0]
    return InputError(
        f"{path}: no checkpoint that can be read ({why}); remove the folder to begin anew"
    )


def _put(path: Path, data: bytes) -> None:
    """Written beside, flushed, then renamed: whole or not there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
