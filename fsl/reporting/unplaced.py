"""An executed notebook without the place of its data: a folder's path becomes its label. Runs nothing."""

import json
import re
from html import escape

from nbformat import NotebookNode
from papermill.translators import PythonTranslator

AGAIN = "# your folder's path is not published: set `data` to it to run this again\n"


def unplaced(notebook: NotebookNode, folder: str, label: str) -> NotebookNode:
    """The notebook with `label` wherever `folder` stands in its cells and outputs, pictures excepted."""
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = AGAIN + cell.source
    return without(notebook, folder, label)


def without(value, folder: str, label: str):
    """Any texts, lists and records with `label` for `folder`."""
    return _replaced(value, _spellings(folder), label)


def _spellings(folder: str) -> re.Pattern:
    """The path as it stands in text, in Python, in JSON and in HTML."""
    quoted = (PythonTranslator.translate(folder), json.dumps(folder), repr(folder))
    written = {folder, escape(folder), *(text[1:-1] for text in quoted)}
    longest = sorted(written, key=len, reverse=True)
    return re.compile(rf"(?<![\w.~/])(?:{'|'.join(map(re.escape, longest))})(?![\w-])")


def _replaced(value, place: re.Pattern, label: str):
    if isinstance(value, str):
        return place.sub(lambda _: label, value)
    if isinstance(value, list):
        return [_replaced(item, place, label) for item in value]
    if isinstance(value, dict):
        for key in [key for key in value if not key.startswith("image/")]:
            value[key] = _replaced(value[key], place, label)
    return value
