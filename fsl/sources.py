"""A known data set by its name: as a Shop, or as the files of one that is no shop. Knows no task and no checksum."""

import difflib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fsl.data import Shop
from fsl.errors import InputError
from fsl.known import SOURCES, Source
from fsl.reading import fetch, read
from fsl.reading.sentences import inert, show


def load(name: str, *, timeout: float = fetch.SECONDS, **options) -> Shop:
    """A known source as a Shop: "phones-99", "amazon-phones", "ml-100k" or "simulated".

    Files are looked for in FSL_DATA, then in the cache, then fetched within `timeout` seconds.
    options: of "simulated" only: n_users, n_items, seed. Raises InputError if it cannot be had or is no shop.
    """
    source = _shop(name)
    allowed = ("n_users", "n_items", "seed") if source.simulated else ()
    wrong = [option for option in options if option not in allowed]
    if wrong:
        raise InputError(
            f"{name} takes no option {wrong[0]!r}, expected {', '.join(allowed) or 'none'}."
        )
    if source.simulated:
        return _simulated(**options)
    return replace(source.read(files_of(name, timeout=timeout)), name=name)


def files_of(name: str, *, timeout: float = fetch.SECONDS) -> dict[str, Path]:
    """The files of a known source by their names, each with the sha256 that is meant; none of what is simulated.

    For "omniglot" and "fewrel", which `fsl.characters.omniglot` and `fsl.texts.fewrel` read.
    Files are looked for as `load` does.
    Raises InputError if they cannot be had within `timeout` seconds.
    """
    return fetch.fetch(name, find_source(name).files, timeout)


def find_source(name: str) -> Source:
    """The source of that name, or InputError with the names there are."""
    if name in SOURCES:
        return SOURCES[name]
    raise InputError(
        f"no source is called {show(str(name))}, expected one of {', '.join(SOURCES)}"
        f"{_nearest(name, SOURCES)}."
    )


def open_shop(data: str | Path, **read_options) -> Shop:
    """A known shop by its name, else the folder of that path (`read_shop` has the options)."""
    if str(data) in SOURCES:
        source = _shop(str(data))
        if any(read_options.values()):
            raise InputError(
                f"{data} is a known source: --column, --drop-unknown and --duplicates are for folders."
            )
        return load(source.name)
    if not Path(data).exists() and not {"/", "\\"} & set(str(data)):
        names = ", ".join(_shops())
        raise InputError(
            f"{inert(data)}: no such folder, nor a source ({names}){_nearest(data, _shops())}."
        )
    return read.read_shop(data, **read_options)


def _shop(name: str) -> Source:
    source = find_source(name)
    if source.kind != "shop":
        raise InputError(no_shop(source))
    return source


def no_shop(source: Source) -> str:
    """Why a source of another kind is refused where a shop is wanted."""
    how = "makes" if source.simulated else "reads"
    return (
        f"{source.name} is {source.kind}, not a shop, expected one of {', '.join(_shops())} "
        f"({source.read_by} {how} {source.name})."
    )


def _shops() -> list[str]:
    return [source.name for source in SOURCES.values() if source.kind == "shop"]


def _nearest(name: object, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f" (is it {near[0]!r}?)" if near else ""


def _simulated(n_users: int = 1200, n_items: int = 240, seed: int = 0) -> Shop:
    from fsl.simulate import simulate_shop

    shop, truth = simulate_shop(n_users, n_items, seed)
    return replace(shop, name="simulated", simulated=True, truth=truth)
