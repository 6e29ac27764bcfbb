"""A folder of tables becomes a Shop. Knows files and columns; knows no source and no task."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fsl.data import Shop
from fsl.errors import InputError
from fsl.reading import columns as content
from fsl.reading import tablefile, textfile, validate
from fsl.reading.folder import find_tables, rename, unused_columns
from fsl.reading.sentences import Origin, listed, numbered_rows, sentence, show
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
    files = find_tables(Path(folder))
    found = read_tables(files, columns or {})
    notes = [note for table in found.values() for note in table.notes]
    if drop_unknown:
        notes += _drop_unknown(found)
    if duplicates:
        notes += _resolve_duplicates(found["interactions"], duplicates)
    name = Path(folder).resolve().name or "shop"
    return build_shop(found, name=name, notes=tuple(notes))


def build_shop(found: Mapping[str, Table], **about) -> Shop:
    """The checked Shop of tables as read, or InputError with every problem they have."""
    frames = {role: found[role].frame if role in found else None for role in KEYS}
    origins = {role: table.origin for role, table in found.items()}
    earlier = {role: table.problems for role, table in found.items()}
    validate.check(frames, origins, earlier)
    return Shop(**frames, **about)


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
    if isinstance(header, textfile.Layout):
        batches = textfile.text_batches(file, header, malformed)
    else:
        batches = tablefile.parquet_batches(file, header)
    padded, n_rows = 0, 0
    for batch in batches:
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
            frame[name] = content.as_feature(frame[name], types.get(name))
            table.problems += _not_numbers(frame[name], types.get(name), origin)
    elif "timestamp" in frame and is_text:
        table.notes += content.compact_dates(frame, file.label)
    return table


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


def _drop_unknown(found: dict[str, Table]) -> list[str]:
    table = found["interactions"]
    given = {role: found[role].frame if role in found else None for role in ("users", "items")}
    unknown = np.zeros(len(table.frame), bool)
    for key in ("user", "item"):
        unknown |= validate.unknown_rows(table.frame, given[key + "s"], key)
    if unknown.all() and len(unknown):
        raise InputError(f"{table.origin.label}: no interaction is of a known user and item.")
    found["interactions"] = replace(table, frame=table.frame[~unknown])
    n, of = int(unknown.sum()), len(unknown)
    return [f"{n:,} of {of:,} interactions were dropped: user or item not known."] if n else []


def _resolve_duplicates(table: Table, how: str) -> list[str]:
    frame = table.frame
    if how == "mean" and "label" in frame and "rating" not in frame:
        raise InputError(
            "--duplicates mean needs ratings; labels are 0 or 1, so use --duplicates last."
        )
    if validate.table_problems(frame, "interactions", table.origin):
        return []
    early = validate.repeated_rows(frame, keep="last")
    if how == "mean" and "rating" in frame:
        frame = frame.assign(rating=_mean_rating(frame))
    table.frame = frame[~early]
    n = int(early.sum())
    kept = "their mean" if how == "mean" else "the last"
    said = f"{n:,} of {len(early):,} interactions repeat another: {kept} is kept."
    return [said] if n else []


def _mean_rating(frame: pd.DataFrame) -> pd.Series:
    keys = [c for c in ("user", "item", "timestamp", "scene") if c in frame]
    again = validate.repeated_rows(frame, keep=False)
    means = frame[again].groupby(keys, sort=False, dropna=False)["rating"].transform("mean")
    return frame["rating"].where(~again, means.reindex(frame.index))
