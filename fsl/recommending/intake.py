"""A person's file of a few behaviours, or of one newcomer's columns, as what a model is asked with. Knows files."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fsl.errors import InputError
from fsl.reading import tablefile, textfile
from fsl.reading.columns import as_labels, as_numbers, decimal_commas
from fsl.reading.folder import OURS
from fsl.reading.likely import likely_column
from fsl.reading.sentences import SHOWN, inert, show
from fsl.reading.tablefile import TableFile
from fsl.recommending.model import OTHER, Model

CALLED = {
    "item": ("item", "name"),
    "user": ("user",),
}  # the names that a column of ids or names may have


@dataclass(frozen=True)
class Rows:
    """A text file's rows: the frame (all text), the file and its layout for the lines of a sentence."""

    frame: pd.DataFrame
    file: TableFile
    layout: textfile.Layout

    @property
    def label(self) -> str:
        """How sentences call it."""
        return self.file.label

    def line(self, row: int) -> int:
        """The line of a row, as an editor counts."""
        return textfile.lines_of(self.file, self.layout, [row])[0]


def read_rows(path: str | Path) -> Rows:
    """The rows of a CSV file, plain or with .gz. Raises InputError: not there, empty, damaged, ragged."""
    path = Path(path)
    kind = "csv.gz" if path.name.lower().endswith(".gz") else "csv"
    try:
        file = TableFile(
            inert(path.name), kind, functools.partial(path.open, "rb"), path.stat().st_size
        )
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{inert(path)}: {error.strerror}, expected a CSV file.") from None
    tablefile.check_content(file)
    layout, malformed = textfile.scan(file), []
    twice = [name for name in layout.header if name and layout.header.count(name) > 1]
    if twice:
        raise InputError(
            f"{file.label}: column {show(twice[0])} is there twice, expected each name once."
        )
    batches = list(textfile.text_batches(file, layout, malformed))
    if malformed:
        raise InputError(textfile.width_problem(file, layout, len(malformed)))
    columns = zip(layout.header, zip(*batches, strict=True), strict=False)
    frame = pd.DataFrame({name: _texts(pieces) for name, pieces in columns if name})
    if frame.empty:
        raise InputError(f"{file.label}: there are no rows, only a header.")
    return Rows(frame, file, layout)


def _texts(pieces) -> pd.Series:
    return tablefile.to_series(list(pieces), pa.string()).fillna("").astype(str).str.strip()


def known_of(
    rows: Rows, model: Model, newcomer: str, columns: Mapping[str, str]
) -> tuple[dict[str, float] | list[str], list[str]]:
    """What the newcomer met, as `Model.recommend` takes it, and notes on the columns that were taken.

    newcomer: "user", whose file names items, or "item", whose file names users. columns: our name -> theirs.
    Raises InputError for a missing column, and for each row that is unknown, there twice or out of the scale.
    """
    key, notes = OTHER[newcomer], []
    ids = rows.frame[_column(rows, CALLED[key], columns, notes)]
    if model.scale is None:
        targets = [1.0] * len(ids)
    else:
        column = _column(rows, (model.about["target"],), columns, notes)
        targets = _numbers(rows.frame[column], model.about["target"])
    _check_one(rows, newcomer, columns)
    _check(rows, model, newcomer, ids, targets)
    known = dict(zip(ids, targets, strict=True))
    return (list(known) if model.scale is None else known), notes


def _numbers(texts: pd.Series, target: str) -> list[object]:
    """Numbers where the texts are some, else the texts, for a sentence to show."""
    found = as_labels(texts) if target == "label" else as_numbers(texts)
    commas = decimal_commas(texts) if found.isna().any() else None
    found = found if commas is None else commas
    return [text if number != number else number for text, number in zip(texts, found, strict=True)]


def _check_one(rows: Rows, newcomer: str, columns: Mapping[str, str]) -> None:
    """A log of several newcomers would pass for one with all their tastes."""
    column = columns.get(newcomer, newcomer)
    several = [text for text in rows.frame.get(column, pd.Series(dtype=str)).unique() if text]
    if len(several) > 1:
        seen = f"{len(several)} {newcomer}s ({show(several[0])}, {show(several[1])}{', …' * (len(several) > 2)})"
        raise InputError(f"{rows.label}: column {show(column)} names {seen}, expected one.")


def _check(rows: Rows, model: Model, newcomer: str, ids: pd.Series, targets: list[object]) -> None:
    """Ten rows' problems, each with its line: a file that is quite another has thousands, and each takes time."""
    catalogue, first, problems = model.objects[OTHER[newcomer]], {}, []
    for row, (text, target) in enumerate(zip(ids, targets, strict=True)):
        try:
            place = catalogue.place(text)
            if place in first:
                raise InputError(
                    f"{catalogue.key} {show(text)} is there twice (first in line {rows.line(first[place])}), "
                    "expected each once."
                )
            first[place] = row
            model.target_of(target)
        except InputError as error:
            problems += [f"{rows.label}, line {rows.line(row)}: {said}" for said in error.problems]
        if len(problems) >= SHOWN and row + 1 < len(ids):
            problems.append(f"{rows.label}: what follows line {rows.line(row)} was not looked at.")
            break
    if problems:
        raise InputError(*problems)


def check_columns(columns: Mapping[str, str], model: Model) -> None:
    """Raises InputError for a name of ours (our name -> theirs) that neither a shop nor the model's features have."""
    ours = {name for names in OURS.values() for name in names} | {"name"}
    ours |= {source for encoder in model.encoders.values() for source in encoder.sources}
    for name in columns:
        if name not in ours:
            said = f"--column {inert(name)}={inert(columns[name])}"
            raise InputError(f"{said}: expected one of {', '.join(sorted(ours))} before the =.")


def _column(
    rows: Rows, wanted: tuple[str, ...], columns: Mapping[str, str], notes: list[str]
) -> str:
    """Their column for the first of our names that has one: by --column, by name, or by what it is called like."""
    there = list(rows.frame.columns)
    for ours in wanted:
        if ours in columns:
            if columns[ours] in there:
                return columns[ours]
            seen = ", ".join(map(show, there))
            raise InputError(
                f"{rows.label}: there is no column {show(columns[ours])}; the columns are {seen}."
            )
    for ours in wanted:
        theirs = likely_column(ours, there)
        if theirs is not None:
            if theirs.lower() != ours:
                notes.append(f"{rows.label}: the column {show(theirs)} is read as {ours}.")
            return theirs
    seen, ours = ", ".join(map(show, there)), wanted[0]
    raise InputError(
        f"{rows.label}: there is no column {ours!r}; the columns are {seen}; "
        f"name yours with --column {ours}=THEIRS."
    )


def attributes_of(rows: Rows, columns: Mapping[str, str]) -> dict[str, str]:
    """The one row of a newcomer's own columns: column -> text. Raises InputError for more rows than one."""
    if len(rows.frame) > 1:
        raise InputError(
            f"{rows.label}: {len(rows.frame)} rows, expected one, that of the newcomer."
        )
    ours = {theirs: name for name, theirs in columns.items()}
    return {ours.get(column, column): rows.frame[column][0] for column in rows.frame}
