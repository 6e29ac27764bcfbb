"""Which file of a folder holds which table, and what its columns are called. Reads no rows."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from fsl.errors import InputError
from fsl.reading.likely import missing_column
from fsl.reading.sentences import IN_EXCEL, Origin, inert, show
from fsl.reading.tablefile import TableFile
from fsl.reading.validate import KEYS

ENDINGS = {".csv": "csv", ".csv.gz": "csv.gz", ".parquet": "parquet"}
RECBOLE = {"interactions": ".inter", "users": ".user", "items": ".item"}
RECBOLE_NAMES = {"user": "user_id", "item": "item_id"}
NAMES = {"interactions": (), "users": (), "items": ("name", "title")}
OURS = {
    "interactions": ("user", "item", "rating", "label", "timestamp", "scene"),
    "users": ("user",),
    "items": ("item", *NAMES["items"]),
}


def find_tables(folder: Path) -> dict[str, TableFile]:
    """Which file holds which table: role -> file. InputError if there is none, or more than one."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        reason = {NotADirectoryError: "a file", FileNotFoundError: "no such folder"}
        said = reason.get(type(error), error.strerror)
        hint = "a folder with interactions.csv, .csv.gz, .parquet or NAME.inter"
        raise InputError(f"{inert(folder)}: {said}, expected {hint}.") from None
    chosen = {role: _candidate(folder, paths, role, "") for role in ("interactions",)}
    stem = chosen["interactions"].name.rpartition(".")[0]
    for role in ("users", "items"):
        chosen[role] = _candidate(folder, paths, role, stem)
    return {role: _table_file(path, role) for role, path in chosen.items() if path}


def _candidate(folder: Path, paths: Sequence[Path], role: str, stem: str) -> Path | None:
    names = [role + ending for ending in ENDINGS]
    fits = [p for p in paths if p.name.lower() in names]
    fits += [p for p in paths if p.suffix == RECBOLE[role] and (not stem or p.stem == stem)]
    if len(fits) > 1:
        several = " and ".join(inert(p.name) for p in fits)
        raise InputError(f"{inert(folder)}: {several} are both there, expected one {role} table.")
    if fits:
        return fits[0]
    strange = [p.name for p in paths if p.name.lower().startswith(role + ".") or p.stem == role]
    if role == "interactions" or strange:
        seen = ", ".join(inert(n) for n in strange or [p.name for p in paths][:10]) or "nothing"
        wanted = f"{role}.csv, .csv.gz, .parquet or NAME{RECBOLE[role]}"
        hint = f" {IN_EXCEL}" if ".xls" in seen else ""
        raise InputError(
            f"{inert(folder)}: no {role} table, expected {wanted}; there is {seen}{hint}."
        )
    return None


def unread(folder: Path, files: Mapping[str, TableFile]) -> list[str]:
    """A note if there are more tables in the folder than those that are read."""
    read = {file.label for file in files.values()}
    endings = (*ENDINGS, ".xlsx", ".xls", ".tsv", ".json")
    more = [inert(p.name) for p in sorted(folder.iterdir()) if p.name.lower().endswith(endings)]
    more = [name for name in more if name not in read]
    tables = "tables are called interactions, users and items"
    return [f"not read: {', '.join(more[:10])}; {tables}."] if more else []


def _table_file(path: Path, role: str) -> TableFile:
    kind = "recbole" if path.suffix == RECBOLE[role] else None
    kind = kind or next(k for ending, k in ENDINGS.items() if path.name.lower().endswith(ending))
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        found = "a directory" if path.is_dir() else "no regular file"
        raise InputError(f"{inert(path.name)}: {found}, expected a file.")
    try:
        path.open("rb").close()
        return TableFile(
            inert(path.name), kind, functools.partial(path.open, "rb"), path.stat().st_size
        )
    except OSError as error:
        raise InputError(
            f"{inert(path.name)}: {error.strerror}, expected a readable file."
        ) from None


def unused_columns(columns: Mapping[str, str], theirs: Mapping[str, list[str]]) -> list[str]:
    known = sorted({name for names in OURS.values() for name in names})
    problems = []
    for ours, name in columns.items():
        if ours not in known:
            problems.append(
                f"--column {inert(ours)}={inert(name)}: expected one of {', '.join(known)} before the =."
            )
            continue
        seen = [c for role, header in theirs.items() if ours in OURS[role] for c in header]
        if name not in seen:
            listed = ", ".join(show(c) for c in dict.fromkeys(seen))
            problems.append(
                f"--column {ours}={inert(name)}: no table has the column {show(name)}, expected one of {listed}."
            )
    return problems


def rename(
    header: Sequence[str], role: str, columns: Mapping[str, str], file: TableFile
) -> tuple[list[str], list[str]]:
    """Our names for a file's columns, "" for a column without a name; and the problems of its header."""
    defaults = RECBOLE_NAMES if file.kind == "recbole" else {}
    wanted = {**{o: t for o, t in defaults.items() if o not in header}, **columns}
    wanted = {ours: t for ours, t in wanted.items() if ours in OURS[role] and t in header}
    problems = [
        f"{file.label}: the column {show(t)} is to be {ours!r}, but there is a column {ours!r} already, "
        "expected one of the two."
        for ours, t in wanted.items()
        if ours != t and ours in header and ours not in wanted.values()
    ]
    back = {theirs: ours for ours, theirs in wanted.items()}
    if len(back) < len(wanted):
        problems.append(f"{file.label}: one column is mapped to two names, expected one name each.")
    names = [back.get(name, name) for name in header]
    twice = sorted({n for n in header if n and header.count(n) > 1})
    problems += [
        f"{file.label}: column {show(n)} is there twice, expected each name once." for n in twice
    ]
    origin = Origin(file.label, by_option=True)
    missing = [key for key in KEYS[role] if key not in names]
    problems += [missing_column(key, header, origin) for key in missing]
    return names, problems
