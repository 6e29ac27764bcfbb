"""Runs one notebook with papermill, in a kernel of this interpreter. Knows no data and no page."""

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from fsl.reporting.failure import without_paths
from fsl.reporting.markup import plain

ERROR_MARK = "papermill-error-cell-tag"
LAST_LINES = 14


@dataclass(frozen=True)
class Executed:
    """A notebook after its run, how long it took, and why it stopped early (None: it did not)."""

    notebook: nbformat.NotebookNode
    seconds: float
    error: dict | None


class Kernels:
    """A run's kernels: `sys.executable`, whatever is registered as python3; all can be stopped."""

    def __init__(self, threads: int):
        self.threads, self.started, self.stopped = threads, [], threading.Event()
        self.manager_class = self._manager_class()

    def _manager_class(self) -> type[AsyncKernelManager]:
        kernels, spec = self, _spec(self.threads)

        class ThisInterpreter(AsyncKernelManager):
            @property
            def kernel_spec(self):
                return spec

            async def _async_start_kernel(self, **options):
                if kernels.stopped.is_set():
                    raise DeadKernelError("the report was stopped")
                kernels.started.append(self)
                await super()._async_start_kernel(**options)
                if kernels.stopped.is_set():
                    kernels.stop()

            start_kernel = _async_start_kernel

        return ThisInterpreter

    def stop(self) -> None:
        """Kill every kernel that runs; no further one starts."""
        self.stopped.set()
        for manager in self.started:
            process = getattr(manager.provisioner, "process", None)
            if process is not None and process.poll() is None:
                process.kill()


def _spec(threads: int) -> KernelSpec:
    """Threads and figure backend are set, so that nothing hangs on the caller's shell."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    settings = dict.fromkeys(names, str(threads)) | {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "FSL_REPORT": "1",
    }
    argv = [
        sys.executable,
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
        "--log-level=CRITICAL",
    ]
    return KernelSpec(argv=argv, display_name="Python 3", language="python", env=settings)


class Progress:
    """Cells done, on stderr: a bar in a terminal; in a log a plain line now and then."""

    def __init__(self, label: str, total: int, every: float = 15.0):
        self.label, self.total, self.done, self.every = label, total, 0, every
        self.began = self.said = time.monotonic()
        shape = "{desc} {bar:24} {n_fmt}/{total_fmt} cells  {elapsed}"
        options = {"desc": label, "total": total, "bar_format": shape}
        self.bar = tqdm(**options, file=sys.stderr) if sys.stderr.isatty() else None
        if self.bar is None:
            self._say(f"{total} cells")

    def step(self) -> None:
        """One more cell is done."""
        self.done += 1
        if self.bar is not None:
            self.bar.update()
        elif time.monotonic() - self.said > self.every:
            self._say(f"{self.done}/{self.total} cells, {time.monotonic() - self.began:.0f} s")

    def close(self, status: str) -> None:
        """The notebook is done; `status` says how."""
        if self.bar is not None:
            self.bar.set_description_str(f"{self.label} ({status})")
            self.bar.close()
            return
        self._say(
            f"{status}, {self.done}/{self.total} cells, {time.monotonic() - self.began:.0f} s"
        )

    def _say(self, text: str) -> None:
        self.said = time.monotonic()
        sys.stderr.write(f"{self.label}: {text}\n")
        sys.stderr.flush()


def execute(
    source: Path,
    target: Path,
    parameters: Mapping[str, object],
    kernels: Kernels,
    progress: Progress,
) -> Executed:
    """Run `source` with `parameters`, its folder as cwd; `target` is papermill's working copy."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    # A dead kernel is told in `Executed`; its sockets would add a traceback of their own.
    logging.getLogger("tornado.general").setLevel(logging.CRITICAL + 1)
    began, error = time.monotonic(), None
    try:
        papermill.execute_notebook(
            nbformat.read(source, as_version=4),
            str(target).replace("{", "{{").replace("}", "}}"),  # papermill formats its paths
            parameters=dict(parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            kernel_manager_class=kernels.manager_class,
            on_cell_executed=lambda **_: progress.step(),
            resources={"metadata": {"path": os.fspath(source.parent)}},
        )
    except PapermillExecutionError as stop:
        error = _error(stop.exec_count, stop.ename, stop.evalue, "\n".join(stop.traceback))
    except (DeadKernelError, RuntimeError) as stop:
        message = "the kernel ended; a cell stopped it or memory ran out"
        error = _error(None, type(stop).__name__, f"{message} ({stop})", "")
    progress.close("failed" if error else "done")
    return Executed(_read_back(target, source), time.monotonic() - began, error)


def _error(cell: int | None, name: str, message: str, trace: str) -> dict:
    lines = [line for line in plain(trace).splitlines() if not re.fullmatch(r"-*", line.strip())]
    tail = "\n".join(lines[-LAST_LINES:])
    return {
        "cell": cell,
        "name": name,
        "message": without_paths(plain(message)),
        "traceback": without_paths(tail),
    }


def _read_back(target: Path, source: Path) -> nbformat.NotebookNode:
    """The executed notebook without papermill's own error cells and paths."""
    notebook = nbformat.read(target if target.exists() else source, as_version=4)
    notebook.cells = [c for c in notebook.cells if ERROR_MARK not in c.metadata.get("tags", [])]
    notebook.metadata.pop("papermill", None)
    return notebook
