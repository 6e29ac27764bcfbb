"""`index.html` of a report folder, made from the sidecars that stand in it. Runs nothing."""

import base64
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

import nbformat

from fsl.reporting.page import environment, key_figure

KIND = "fsl report 1"
NEEDED = {
    "notebook",
    "title",
    "data",
    "simulated",
    "status",
    "run",
    "started",
    "seconds",
    "size",
    "stem",
}
WIDTH = 480  # pixels, twice the width it is shown at
LINKS = (("page", ".html"), ("notebook", ".ipynb"), ("numbers", ".json"), ("records", ".parquet"))


def build(folders: Sequence[Path], gone: Iterable[str] = ()) -> str:
    """The index of all reports in `folders`: the newest run on top, of one run its last notebook.

    What stands in an earlier folder hides its namesake in a later one.
    gone: names of files that are about to be removed, so that nothing links to them.
    """
    entries = list(sidecars(folders).values())
    entries.sort(key=lambda entry: (entry["status"] == "not run", entry["stem"]))
    entries.sort(key=lambda entry: (entry["run"], entry["notebook"]), reverse=True)
    seen: set[str] = set()
    for entry in entries:
        entry["anchor"] = entry["stem"] if entry["notebook"] in seen else entry["notebook"]
        seen.add(entry["notebook"])
        entry.update(_files(entry, folders, set(gone)))
    template = environment().get_template("index.html")
    return template.render(entries=entries, counted=_counted(entries))


def _counted(entries: Sequence[dict]) -> str:
    """`4 reports, 1 failed, 3 not run`: each row counted once."""
    counts = Counter(entry["status"] for entry in entries)
    words = [f"{counts['ok']} report{'' if counts['ok'] == 1 else 's'}"]
    return ", ".join(words + [f"{counts[s]} {s}" for s in ("failed", "not run") if counts[s]])


def sidecars(folders: Sequence[Path]) -> dict[str, dict]:
    """Every report's `.json` by its stem. One that cannot be read is named on stderr and left out."""
    found: dict[str, dict] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.json"))):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            print(
                f"fsl: {path.name} cannot be read and is left out of the index ({error})",
                file=sys.stderr,
            )
            continue
        if isinstance(entry, dict) and entry.get("kind") == KIND and entry.keys() >= NEEDED:
            found.setdefault(path.stem, {**entry, "stem": path.stem})
    return found


def _files(entry: dict, folders: Sequence[Path], gone: set[str]) -> dict:
    """Links to the entry's files and its small picture."""
    where = {}
    for word, ending in LINKS:
        name = entry["stem"] + ending
        places = [folder / name for folder in folders if (folder / name).exists()]
        if places and name not in gone:
            where[word] = places[0]
    links = [(word, quote(path.name)) for word, path in where.items() if word != "page"]
    if entry["status"] == "not run":
        return {"links": [], "href": None, "thumbnail": None}
    href = quote(where["page"].name) if "page" in where else None
    return {"links": links, "href": href, "thumbnail": _thumbnail(where.get("notebook"))}


def _thumbnail(path: Path | None) -> str | None:
    """The key figure, small, as a data URI; None without one."""
    png = key_figure(nbformat.read(path, as_version=4)) if path else None
    if png is None:
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(png)).convert("RGBA")
    except (UnidentifiedImageError, OSError):
        return None
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture)
    paper.thumbnail((WIDTH, WIDTH))
    small = io.BytesIO()
    paper.convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()
