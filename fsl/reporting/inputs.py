"""The data of a report as its notebooks get it: a source's name or a checked folder, with a label and a checksum."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from fsl.errors import InputError
from fsl.feasibility import IMPOSSIBLE
from fsl.ranking.sizes import Size

# Seconds that a run waits for a source that is not on this machine: by default, through pip, and asked for by name.
PATIENCE, PATIENCE_WITH_PIP, SECONDS = 10.0, 60.0, 120.0
LABEL = 60  # characters, and twice as many bytes: four file names with a notebook's name fit in 255


@dataclass(frozen=True)
class Data:
    """`value` is what the notebook's `data` gets; `label` stands in file names and at the top of a page.

    `kind`: "shop", "images", "texts" or "logs"; `has_target`: a shop's rating or label column, others have none.
    `size`: a folder's counts, from which costs are told; `impossible`: why its tables allow no verdict, if so.
    `missing`: why it cannot be had, for a source that nobody asked for by name.
    """

    value: str
    label: str
    simulated: bool
    is_folder: bool = False
    checksum: str | None = None
    has_target: bool = True
    missing: str | None = None
    kind: str = "shop"
    size: Size | None = None
    impossible: str = ""


def from_word(word: str, read_options: Mapping[str, object]) -> Data:
    """What `--data` names: a known source, fetched if need be, or a folder, read whole and checked.

    Raises InputError with all that is wrong with it.
    """
    from fsl.sources import SOURCES, open_shop

    if word in SOURCES:
        return _source(word, SECONDS)
    shop = open_shop(word, **read_options)
    folder = Path(word).resolve()
    has_target = shop.target is not None
    checksum = _folder_checksum(folder)
    said = shop.verdict()
    return Data(
        str(folder),
        _label(folder),
        False,
        True,
        checksum,
        has_target,
        size=shop.size,
        impossible=said if said.startswith(IMPOSSIBLE) else "",
    )


def identity(word: str) -> str:
    """The same for every way to write one data set: a source's name, else the folder's whole path."""
    from fsl.sources import SOURCES

    return word if word in SOURCES else str(Path(word).resolve())


def kind_of(word: str) -> str:
    """A source's kind; every folder is meant to be a shop."""
    from fsl.sources import SOURCES

    return SOURCES[word].kind if word in SOURCES else "shop"


@cache
def from_name(name: str) -> Data:
    """A source that a notebook runs on by default. One that cannot be had in time says why in `missing`."""
    from fsl.sources import SOURCES

    if name not in SOURCES:
        raise InputError(
            f"a notebook's own data {name!r} is no known source ({', '.join(SOURCES)})"
        )
    by_pip = any(file.requirement for file in SOURCES[name].files)
    try:
        return _source(name, PATIENCE_WITH_PIP if by_pip else PATIENCE)
    except InputError as error:
        missing = " ".join(error.problems)
        return Data(name, name, SOURCES[name].simulated, missing=missing, kind=kind_of(name))


def _source(name: str, seconds: float) -> Data:
    """Fetched if need be. Only a shop is opened: of what is none, the files are there and checked."""
    from fsl.sources import SOURCES, files_of, load

    source, shop = SOURCES[name], None
    if source.kind == "shop":
        shop = load(name, timeout=seconds)
    else:
        files_of(name, timeout=seconds)
    has_target = shop is not None and shop.target is not None
    if source.simulated:
        makers = {"shop": lambda: _tables(shop), "images": _images, "texts": _texts, "logs": _logs}
        made = makers[source.kind]()
        checksum = hashlib.sha256(made).hexdigest()
    else:
        parts = "".join(file.sha256 for file in source.files)
        checksum = hashlib.sha256(parts.encode()).hexdigest()
    return Data(name, name, source.simulated, False, checksum, has_target, kind=source.kind)


def _tables(shop) -> bytes:
    """The tables that the code made just now; there is no file to check."""
    tables = (shop.interactions, shop.users, shop.items)
    return "".join(table.to_csv(index=False) for table in tables if table is not None).encode()


def _images() -> bytes:
    """The characters that the code makes by default."""
    from fsl.characters.simulated import simulated_characters

    return simulated_characters().inputs.numpy().tobytes()


def _texts() -> bytes:
    """The questions that the code makes by default."""
    from fsl.texts.simulated_intents import simulate_intents

    made = simulate_intents()
    return "\n".join([*made.train.texts, *made.test.texts]).encode()


def _logs() -> bytes:
    """The clicks of the logs that the code makes by default."""
    import numpy as np

    from fsl.offpolicy.open_bandit import invented

    logs = invented(np.random.default_rng(0), n_draws=1_000).logs.values()
    return b"".join(log.actions.tobytes() + log.rewards.tobytes() for log in logs)


def _label(folder: Path) -> str:
    """The last part of the path, as it may stand in a file name and a link; never a source's name."""
    from fsl.sources import SOURCES

    label = re.sub(r"[^\w.-]+", "-", folder.name).strip("-.") or "data"
    if label.casefold() in SOURCES:
        return f"{label}-folder"
    short = label[:LABEL].encode()[: 2 * LABEL].decode(errors="ignore")
    return label if short == label else f"{short}-{_short_hash(folder.name)}"


def _short_hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def _folder_checksum(folder: Path) -> str:
    """One sha256 over the tables' own, in the order of their roles."""
    from fsl.reading.read import find_tables

    parts = []
    for _, file in sorted(find_tables(folder).items()):
        with file.open() as stream:
            parts.append(_sha256(stream))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
