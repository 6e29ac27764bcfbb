"""What stopped a run, as people read it: its sentence, without paths of this machine. Knows no page."""

import re
import sys
import sysconfig
import textwrap
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

REFUSAL = "InputError"  # fsl.errors: the notebook works, but not on this data or with this value
FOLDERS = re.compile(r"""(?<![\w.…~:/<])/(?:[^\s/:'"<>]+/)+""")
ADDRESS = re.compile(r"https?://([^/\s]+)/\S*[^\s.,:;)]")


def is_refusal(error: Mapping) -> bool:
    """Whether a notebook said that it cannot use what it was given."""
    return error["name"] == REFUSAL


def sentence(error: Mapping, width: int = 400) -> str:
    """One line: a refusal's own words; of any other error its name too."""
    words = [error["message"]] if is_refusal(error) else [error["name"], error["message"]]
    return textwrap.shorten(": ".join(filter(None, words)), width, placeholder=" …")


def why_not_run(reason: str, source: str) -> str:
    """The reason with hosts for addresses and no private paths, and what can be done about it."""
    remedy = f" `fsl data fetch {source}` with a network, or set FSL_DATA."
    short = without_paths(ADDRESS.sub(r"\1", reason))
    return short + (remedy if "cannot be fetched" in reason else "")


def without_paths(text: str) -> str:
    """The text with "…" for where this machine keeps its packages, the project and its user's files."""
    return _private().sub("…", text)


def without_folders(value):
    """A text, or a record's texts, with "…" for the folders of absolute paths: a file's name is left."""
    if isinstance(value, Mapping):
        return {name: without_folders(part) for name, part in value.items()}
    return FOLDERS.sub("…/", without_paths(value)) if isinstance(value, str) else value


@cache
def _private() -> re.Pattern:
    return pattern(_places(), Path.home())


def _places() -> list[Path]:
    found = [Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")]
    found += [Path(__file__).resolve().parents[2], Path.home()]
    if sys.prefix != sys.base_prefix:
        found.append(Path(sys.prefix))
    return found


def pattern(places: Iterable[Path], home: Path) -> re.Pattern:
    """Any of the folders, inner ones first, as written in full or (by IPython) from `~`."""
    names = set()
    for place in {*places, *(place.resolve() for place in places)}:
        if len(place.parts) < 2:  # a home of `/`, as in some containers, hides nothing
            continue
        names.add(str(place))
        if place.is_relative_to(home) and place != home:
            names.add(str(Path("~") / place.relative_to(home)))
    longest = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, longest))})(?![\w-])")
