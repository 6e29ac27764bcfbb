"""What a report will run: notebooks, data, parameters. All is checked here; nothing runs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from fsl.errors import InputError
from fsl.reporting.inputs import Data
from fsl.reporting.matching import data_asked, data_of, with_stand_ins
from fsl.reporting.parameters import (
    Parameter,
    check_names,
    fit_texts,
    read_parameters,
    split_assignments,
)
from fsl.reporting.presets import DEFAULT_RUN, PRESETS, VERDICT_RUN, Preset

OWN_OPTIONS = {"data": "--data", "read_options": "--column and its like", "records_file": "--out"}


@dataclass(frozen=True)
class Request:
    """The command as it was given. size: "quick", "report" or "full"."""

    notebooks: Sequence[str] = ()
    data: Sequence[str] = ()
    assignments: Sequence[str] = ()
    seed: int | None = None
    size: str = "report"
    every: bool = False
    read_options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One notebook on one data set. `known`: its parameters; `given`: the values it is given.

    `size`: what it runs at; one without a full size runs at report size.
    """

    notebook: Path
    title: str
    known: Mapping[str, Parameter]
    given: Mapping[str, object]
    data: Data | None
    size: str

    @property
    def stem(self) -> str:
        """The name of its files: NAME--DATA."""
        return f"{self.notebook.stem}--{self.data.label}" if self.data else self.notebook.stem


def notebooks_folder() -> Path:
    """`notebooks` beside the package (an editable install), else in the current folder."""
    places = [Path(__file__).resolve().parents[2] / "notebooks", Path.cwd() / "notebooks"]
    for place in places:
        if place.is_dir() and any(place.glob("*.ipynb")):
            return place
    raise InputError("no folder of notebooks: run `fsl report` from a clone of the project")


def choose(
    words: Sequence[str], every: bool, folder: Path, usual: Sequence[str] | None = None
) -> list[Path]:
    """The notebooks meant by `04_cold_start`, `04` or `04_cold_start.ipynb`; else `usual`, the default run."""
    paths = sorted(folder.glob("*.ipynb"))
    found = {path.stem: path for path in paths if "--" not in path.stem}  # NAME--DATA is a report's
    if every:
        return list(found.values())
    chosen = [_named(word, found) for word in words or usual or DEFAULT_RUN]
    return list(dict.fromkeys(chosen))


def _named(word: str, found: Mapping[str, Path]) -> Path:
    stem = word.removesuffix(".ipynb").rpartition("/")[2]
    if stem in found:
        return found[stem]
    begun = [name for name in found if name.split("_")[0] == stem]
    if len(begun) == 1:
        return found[begun[0]]
    raise InputError(f"no notebook {word!r}; there are: {', '.join(found)}")


def plan(request: Request, folder: Path) -> list[Job]:
    """Every job of the request, in order. Raises InputError with all that does not fit."""
    texts = split_assignments(request.assignments)
    problems = [
        f"-p {name} is not yours to set: use {OWN_OPTIONS[name]}"
        for name in texts
        if name in OWN_OPTIONS
    ]
    if request.seed is not None and "seed" in texts:
        problems.append("the seed is given twice: --seed and -p seed")
    if problems:
        raise InputError(*problems)
    usual = VERDICT_RUN if _strangers(request.data) else None
    chosen = choose(request.notebooks, request.every, folder, usual)
    read = [_read(path) for path in chosen]
    parameters = {path.stem: known for path, _, known in read}
    asked = data_asked(request.data, request.read_options, parameters, bool(request.notebooks))
    explicit = [path.stem for path in chosen] if request.notebooks else []
    names = with_stand_ins([path.stem for path, *_ in read], asked, explicit)
    read = [_read(folder / f"{name}.ipynb") for name in names]
    givens = [_values(request, path.stem, known, texts) for path, _, known in read]
    brief = not (request.notebooks or request.every)
    jobs = []
    for (path, title, known), given in zip(read, givens, strict=True):
        for data in data_of(path.stem, known, asked, explicit, brief=brief):
            jobs.append(_job(path, title, known, given, data, request))
    if not jobs:
        raise InputError("none of the chosen notebooks takes data, so --data has nothing to do")
    _refuse_one_name_for_two(jobs)
    return jobs


def _strangers(words: Sequence[str]) -> bool:
    """Whether all data are folders: what a stranger's tables are for is the verdict."""
    from fsl.sources import SOURCES

    return bool(words) and not any(word in SOURCES for word in words)


def _read(path: Path) -> tuple[Path, str, dict[str, Parameter]]:
    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:
        raise InputError(f"{path.name} is no notebook that can be read") from error
    return path, title_of(notebook, path.stem), read_parameters(notebook, path.stem)


def title_of(notebook, fallback: str) -> str:
    """The first heading of the first markdown cell."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = re.search(r"^#\s+(.+?)\s*#*$", cell.source, re.M)
            return heading[1] if heading else fallback
    return fallback


def _values(
    request: Request, name: str, known: Mapping[str, Parameter], texts: Mapping[str, str]
) -> dict:
    """Preset, then `--seed` and `-p`, which win."""
    sized = PRESETS.get(name, Preset()).parameters(request.size)
    seed = {} if request.seed is None else {"seed": str(request.seed)}
    check_names(sized, known, name)
    return sized | fit_texts({**texts, **seed}, known, name)


def _job(
    path: Path, title: str, known: Mapping, given: Mapping, data: Data | None, request: Request
) -> Job:
    of_data = {} if data is None else {"data": data.value}
    if data is not None and data.is_folder and request.read_options:
        check_names(["read_options"], known, path.stem)
        of_data["read_options"] = dict(request.read_options)
    size = PRESETS.get(path.stem, Preset()).size(request.size)
    return Job(path, title, known, {**given, **of_data}, data, size)


def _refuse_one_name_for_two(jobs: Iterable[Job]) -> None:
    values: dict[str, str] = {}
    for job in jobs:
        if job.data and values.setdefault(job.data.label, job.data.value) != job.data.value:
            raise InputError(
                f"two data sets would both be called {job.data.label}; rename a folder"
            )
