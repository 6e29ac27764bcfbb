"""A folder that goes from one whole state to the next: files are staged, then all renamed.

The staging folder is a journal: before its marker `ready` exists it counts for nothing and is
thrown away; from then on the renames are owed, and whoever opens the folder next does the rest.
Knows no notebook.
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fsl.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: two reports at once into one folder are the user's care there
    fcntl = None

STAGE, READY = ".staging", "ready"
POLITE = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def opened(out: Path) -> Iterator[Path]:
    """An empty staging folder inside `out`, which no other report may use meanwhile; gone afterwards.

    Raises InputError when `out` cannot be written to or another report is being made in it.
    """
    with _locked(out):
        stage = _staged(out)
        try:
            yield stage
        finally:
            if not (stage / READY).exists():
                shutil.rmtree(stage, ignore_errors=True)


def _staged(out: Path) -> Path:
    try:
        recover(out)
        (out / STAGE).mkdir()
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from error
    return out / STAGE


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """The system lets go of the lock when its process dies, however it dies."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = os.open(out, os.O_RDONLY) if fcntl else None
        if fcntl:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"another report is being made in {out}; wait for it or give another --out"
        ) from error
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from error
    try:
        yield
    finally:
        if fcntl:
            os.close(folder)


def recover(out: Path) -> None:
    """Finish what a killed run had decided to publish; forget what it had not."""
    stage = out / STAGE
    if (stage / READY).exists():
        _roll_forward(out)
    elif stage.exists():
        shutil.rmtree(stage)


def commit(out: Path, names: Iterable[str], gone: Iterable[str] = ()) -> None:
    """Remove `gone` and put the staged files `names` in their places; not to be interrupted."""
    stage = out / STAGE
    draft = stage / f"{READY}.draft"
    draft.write_text(json.dumps({"put": list(names), "gone": list(gone)}), encoding="utf-8")
    with _undisturbed():
        os.replace(draft, stage / READY)
        _roll_forward(out)


def _roll_forward(out: Path) -> None:
    stage = out / STAGE
    owed = json.loads((stage / READY).read_text(encoding="utf-8"))
    for name in owed["gone"]:
        (out / name).unlink(missing_ok=True)
    for name in owed["put"]:
        if (stage / name).exists():
            os.replace(stage / name, out / name)
    for left in sorted(stage.iterdir(), key=lambda path: path.name == READY):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    stage.rmdir()


@contextmanager
def stoppable() -> Iterator[None]:
    """A polite kill and a closed terminal are like Ctrl-C, so that no kernel outlives the report."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {stop: signal.getsignal(stop) for stop in POLITE}
    before = {
        stop: now for stop, now in before.items() if now != signal.SIG_IGN
    }  # as nohup sets it
    for stop in before:
        signal.signal(stop, signal.default_int_handler)
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C, a polite kill and a closed terminal wait out the few renames."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {stop: signal.signal(stop, signal.SIG_IGN) for stop in (signal.SIGINT, *POLITE)}
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)
