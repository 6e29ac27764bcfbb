"""`fsl report`: runs the planned notebooks, makes their pages, publishes all of it at once."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import nbformat

from fsl.errors import InputError
from fsl.reading.sentences import show
from fsl.reporting import index, page
from fsl.reporting.execute import Kernels, Progress, execute
from fsl.reporting.failure import without_folders
from fsl.reporting.plan import Job, Request, notebooks_folder, plan
from fsl.reporting.publish import commit, opened, stoppable
from fsl.reporting.stamp import stamp
from fsl.reporting.told import replaced_by_smaller, tell, tell_of_folders, warn_of_full
from fsl.reporting.unplaced import unplaced, without

THREADS = 1  # the same on every machine and for every --jobs, so that numbers are
ENDINGS = (".html", ".ipynb", ".parquet", ".json")


@dataclass(frozen=True)
class Run:
    """What the notebooks of one command share."""

    stage: Path
    out: Path
    started: str
    stamp: Mapping
    kernels: Kernels
    with_code: bool


def run_report(
    request: Request, out: Path | None = None, jobs: int = 1, with_code: bool = True
) -> int:
    """Run what `request` asks for into the folder `out`. Returns 0, or 1 when a notebook failed.

    Until the last notebook is done nothing in `out` changes; then all of it does at once.
    Raises InputError before anything runs, KeyboardInterrupt when stopped.
    """
    if jobs < 1:
        raise InputError(f"--jobs wants a whole number above 0, not {jobs}")
    folder = notebooks_folder()
    out = _checked(out or folder.parent / "reports", folder.resolve())
    planned = plan(request, folder)
    tell_of_folders(planned)
    if request.size == "full":
        warn_of_full(planned)
    with stoppable(), opened(out) as stage:
        run = Run(stage, out, _now(), stamp(THREADS), Kernels(THREADS), with_code)
        entries = _run_all(planned, run, jobs)
        names, gone = _changes(entries, stage)
        larger = replaced_by_smaller(entries, out)
        (stage / "index.html").write_text(index.build([stage, out], gone), encoding="utf-8")
        commit(out, [*names, "index.html"], gone)
    tell(entries, out, larger)
    return int(any(entry["status"] == "failed" for entry in entries))


def _checked(out: Path, notebooks: Path) -> Path:
    """Where reports go, resolved. Raises InputError for a place that cannot be (a loop of links, too long a name)."""
    try:
        found = out.resolve()
        _refuse_project(found, notebooks)
    except (OSError, RuntimeError) as error:
        said = getattr(error, "strerror", None) or "its links lead to themselves"
        raise InputError(f"cannot write to {show(str(out))}: {said}") from None
    return found


def _refuse_project(out: Path, notebooks: Path) -> None:
    """A report among notebooks or code would be taken for them by the next run, or by the tests."""
    own = (notebooks, Path(__file__).resolve().parents[1])
    if any(out.is_relative_to(place) for place in own) or (out / "pyproject.toml").exists():
        raise InputError(f"--out {out} is the project's own place: give a folder for reports alone")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _run_all(planned: Sequence[Job], run: Run, jobs: int) -> list[dict]:
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_run_one, job, run) for job in planned]
        try:
            return [future.result() for future in waiting]
        except BaseException:
            run.kernels.stop()
            pool.shutdown(cancel_futures=True)
            raise


def _run_one(job: Job, run: Run) -> dict:
    """Run one notebook and stage its files. Returns its sidecar."""
    if job.data is not None and job.data.missing:
        return _not_run(job, run)
    given, began = dict(job.given), _now()
    if "records_file" in job.known:
        given["records_file"] = str(run.stage / f"{job.stem}.parquet")
    progress = Progress(job.stem, _code_cells(job.notebook) + bool(given))
    done = execute(job.notebook, run.stage / f".{job.stem}.ipynb", given, run.kernels, progress)
    text = nbformat.writes(done.notebook).replace(json.dumps(str(run.stage))[1:-1] + "/", "")
    notebook = nbformat.reads(text, as_version=4)
    error = done.error
    if job.data and job.data.is_folder:
        notebook = unplaced(notebook, job.data.value, job.data.label)
        error = without(error, job.data.value, job.data.label)
    entry = _entry(job, run, began) | _outcome(notebook, done.seconds, error)
    _write(run.stage / f"{job.stem}.ipynb", nbformat.writes(notebook))
    _write(run.stage / f"{job.stem}.html", page.render(notebook, entry, run.with_code))
    _write_sidecar(run.stage, entry)
    return entry


def _code_cells(path: Path) -> int:
    cells = nbformat.read(path, as_version=4).cells
    return sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in cells)


def _entry(job: Job, run: Run, began: str) -> dict:
    """The sidecar as far as it is known before the run."""
    seed = job.given.get("seed", job.known["seed"].default if "seed" in job.known else None)
    return {
        "kind": index.KIND,
        "stem": job.stem,
        "notebook": job.notebook.stem,
        "title": job.title,
        "data": job.data.label if job.data else None,
        "simulated": job.data.simulated if job.data else None,
        "size": job.size,
        "run": run.started,
        "started": began,
        "seconds": 0.0,
        "parameters": _parameters(job),
        "stamp": {**run.stamp, "seed": seed, "checksum": job.data.checksum if job.data else None},
    }


def _parameters(job: Job) -> list[dict]:
    """Name, value, default and meaning. A page travels, so a folder is named by its last part."""
    rows = []
    for known in job.known.values():
        value = job.given.get(known.name, known.default)
        if known.name == "records_file":
            continue
        if known.name == "data" and job.data:
            value = job.data.label
        changed = value != known.default
        rows.append(
            {
                "name": known.name,
                "value": without_folders(value),
                "default": known.default,
                "changed": changed,
                "note": known.note,
            }
        )
    return rows


def _outcome(notebook, seconds: float, error: Mapping | None) -> dict:
    return {
        "status": "failed" if error else "ok",
        "seconds": round(seconds, 1),
        "headline": page.headline_of(notebook),
        "error": without_folders(error),
    }


def _not_run(job: Job, run: Run) -> dict:
    """A source that cannot be had: a row that says so, or a note on an earlier report, which stays."""
    earlier = index.sidecars([run.out]).get(job.stem)
    entry = _entry(job, run, run.started) | {
        "status": "not run",
        "reason": without_folders(job.data.missing),
    }
    note = {"when": run.started, "why": entry["reason"]}
    kept = earlier is not None and earlier["status"] != "not run"
    _write_sidecar(run.stage, {**earlier, "not_renewed": note} if kept else entry)
    return entry


def _write_sidecar(stage: Path, entry: Mapping) -> None:
    _write(
        stage / f"{entry['stem']}.json",
        json.dumps(entry, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    )


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", errors="replace"))


def _changes(entries: Sequence[Mapping], stage: Path) -> tuple[list[str], list[str]]:
    """Names of the staged files to publish, and of those that this run does not have any more."""
    names, gone = [], []
    for entry in entries:
        files = [f"{entry['stem']}{ending}" for ending in ENDINGS]
        names += [name for name in files if (stage / name).exists()]
        if entry["status"] != "not run":
            gone += [name for name in files if not (stage / name).exists()]
    return names, gone
