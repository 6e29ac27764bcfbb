"""A folder of tables becomes a Shop. Knows files and columns; knows no source and no task."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fsl.data import Shop
from fsl.errors import InputError
from fsl.reading import columns as content
from fsl.reading import mend, tablefile, textfile, validate
from fsl.reading.folder import NAMES, find_tables, rename, unread, unused_columns
from fsl.reading.likely import of_the_future
from fsl.reading.sentences import SHOWN, Origin, listed, numbered_rows, sentence, show
from fsl.reading.tablefile import TableFile
from fsl.reading.validate import KEYS, NUMBERS


@dataclass
class Table:
    """A table as read: the frame (its index is the row in the file), where it is from, what was seen."""

    frame: pd.DataFrame
    origin: Origin
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_shop(
    folder: str | Path,
    columns: Mapping[str, str] | None = None,
    drop_unknown: bool = False,
    duplicates: str | None = None,
) -> Shop:
    """The shop in a folder: `interactions.*`, and if there, `users.*` and `items.*`.

    Endings are .csv, .csv.gz and .parquet; or RecBole's NAME.inter, NAME.user and NAME.item.
    columns: our name -> their name, such as {"rating": "stars"}. drop_unknown: go on without interactions
    of users or items that the given tables do not know. duplicates: "last" or "mean" of interactions that
    nothing tells apart. Ids are text, as written. Features are float64 or text, dates are ISO 8601 text.
    Raises InputError with all that is wrong, one sentence each: file, line, column, what was expected.
    """
    if duplicates not in (None, "last", "mean"):
        raise InputError(f"duplicates is {show(duplicates)}, expected 'last' or 'mean'.")
    if not str(folder).strip():
        raise InputError(
            f"{str(folder)!r} is no folder, expected the name of one ('.' is this one)."
        )
    files = find_tables(Path(folder))
    found = read_tables(files, columns or {})
    notes = unread(Path(folder), files) + [n for table in found.values() for n in table.notes]
    log = found["interactions"]
    if drop_unknown:
        log.frame, said = mend.drop_unknown(_frames(found), log.origin.label)
        notes += said
    if duplicates:
        log.frame, said = mend.resolve_duplicates(log.frame, log.origin, duplicates)
        notes += said
    name = Path(folder).resolve().name or "shop"
    return build_shop(found, name=name, notes=tuple(notes))


def build_shop(found: Mapping[str, Table], **about) -> Shop:
    """The checked Shop of tables as read, or InputError with every problem they have."""
    frames = _frames(found)
    origins = {role: table.origin for role, table in found.items()}
    earlier = {role: table.problems for role, table in found.items()}
    validate.check(frames, origins, earlier)
    return Shop(**frames, **about)


def _frames(found: Mapping[str, Table]) -> dict[str, pd.DataFrame | None]:
    return {role: found[role].frame if role in found else None for role in KEYS}


def read_tables(files: Mapping[str, TableFile], columns: Mapping[str, str]) -> dict[str, Table]:
    """Every table, its columns under our names. All files' headers are checked before any rows are read."""
    headers, problems = {}, []
    for role, file in files.items():
        try:
            tablefile.check_content(file)
            headers[role] = (
                tablefile.open_parquet(file) if file.kind == "parquet" else textfile.scan(file)
            )
        except InputError as error:
            problems += error.problems
    theirs = {role: _header(header) for role, header in headers.items()}
    names = {}
    for role, header in theirs.items():
        names[role], wrong = rename(header, role, columns, files[role])
        problems += listed(wrong, files[role].label)
    if len(headers) == len(files):
        problems += unused_columns(columns, theirs)
    if problems:
        raise InputError(*problems)
    return {role: _read(files[role], role, headers[role], names[role]) for role in files}


def _header(header: object) -> list[str]:
    return header.header if isinstance(header, textfile.Layout) else header.schema_arrow.names


def _read(file: TableFile, role: str, header: object, names: list[str]) -> Table:
    malformed, raw, pieces = [], {}, {name: [] for name in names if name}
    padded, n_rows = 0, 0
    for batch in _batches(file, header, malformed):
        for name, array in zip(names, batch, strict=True):
            if name in KEYS[role]:
                array, n_padded = content.as_ids(array)
                padded += n_padded
            elif role == "interactions" and name in NUMBERS:
                array = content.as_floats(name, array, n_rows, raw)
            elif role == "interactions" and name == "scene":
                array = content.as_scenes(array)
            if name:
                pieces[name].append(array)
        n_rows += len(batch[0])
    return _table(file, role, header, names, pieces, raw, malformed, padded)


def _batches(file: TableFile, header: object, malformed: list) -> Iterator[list[pa.Array]]:
    if isinstance(header, textfile.Layout):
        return textfile.text_batches(file, header, malformed)
    return tablefile.parquet_batches(file, header)


def _table(file, role, header, names, pieces, raw, malformed, padded) -> Table:
    frame = pd.DataFrame({name: _series(arrays) for name, arrays in pieces.items()}, copy=False)
    is_text = isinstance(header, textfile.Layout)
    place = functools.partial(textfile.lines_of, file, header) if is_text else numbered_rows
    origin = Origin(file.label, "line" if is_text else "row", place, raw, by_option=True)
    table = Table(frame, origin)
    if malformed:
        table.problems.append(textfile.width_problem(file, header, len(malformed)))
    table.notes = _notes(file, header, names, padded)
    if role != "interactions":
        types = dict(zip(names, header.types or [], strict=False)) if is_text else {}
        for name in frame.columns.difference(KEYS[role]):
            declared = "token" if name in NAMES[role] else types.get(name)
            frame[name], said = content.as_feature(frame[name], declared)
            table.notes += of_the_future(frame[name], file.label)
            table.notes += [f"{file.label}: the column {show(name)} {said}."] if said else []
            table.problems += _not_numbers(frame[name], types.get(name), origin)
        return table
    if any("," in text for text in raw.get("rating", {}).values()):
        table.notes += _ratings_with_commas(file, header, names.index("rating"), frame, raw)
    if "timestamp" in frame:
        if is_text or not pa.types.is_temporal(header.schema_arrow.types[names.index("timestamp")]):
            table.notes += content.compact_dates(frame, file.label)
        table.notes += content.early_times(frame, file.label)
    return table


def _ratings_with_commas(file, header, place: int, frame: pd.DataFrame, raw: dict) -> list[str]:
    """Read the ratings once more, as decimals with commas if that is what they are; a note if so."""
    texts = _series([batch[place] for batch in _batches(file, header, [])]).fillna("")
    ratings = content.decimal_commas(texts)
    if ratings is None:
        return []
    frame["rating"] = ratings
    wrong = np.flatnonzero(ratings.isna())[:SHOWN]
    raw["rating"] = {int(row): texts[row] for row in wrong}
    name = show(_header(header)[place])
    return [f"{file.label}: the column {name} has decimal commas and is read as numbers."]


def _not_numbers(values: pd.Series, declared: str | None, origin: Origin) -> list[str]:
    if declared != "float" or pd.api.types.is_numeric_dtype(values):
        return []
    wrong = values.notna() & content.as_numbers(values).isna()
    rows = values.index[wrong].to_numpy()
    said = f"{show(values[rows[0]])}, expected a number"
    return [sentence(origin, rows, values.name, said)]


def _series(arrays: list[pa.Array]) -> pd.Series:
    return tablefile.to_series(arrays, arrays[0].type) if arrays else pd.Series([], dtype="str")


def _notes(file: TableFile, header: object, names: list[str], padded: int) -> list[str]:
    theirs = _header(header)
    notes = [
        f"{file.label}: the column {show(theirs[i])} is read as {name}."
        for i, name in enumerate(names)
        if name and name != theirs[i]
    ]
    if "" in names:
        notes.append(f"{file.label}: column {names.index('') + 1} has no name and is left out.")
    if isinstance(header, textfile.Layout) and file.kind != "recbole" and header.delimiter != ",":
        notes.append(
            f"{file.label}: fields are separated by {textfile.DELIMITERS[header.delimiter]}."
        )
    if padded:
        notes.append(f"{file.label}: spaces around ids were taken off: {padded:,}.")
    return notes
