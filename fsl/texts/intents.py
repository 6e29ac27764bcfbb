"""What customers want, from one sentence: banking77 (Casanueva et al. 2020) and clinc150 (Larson et al. 2019), as read.

Knows the published files and text; knows no task and no model. Files are given as paths; `open_intents` finds them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fsl.errors import InputError
from fsl.reading.sentences import inert, show
from fsl.recommending.intake import read_rows
from fsl.sources import files_of

PARTS = ("train", "val", "test")


class Texts(NamedTuple):
    """Texts, and the intent of each: int64 [n], places in the data set's `names`; −1 is out of scope."""

    texts: list[str]
    labels: Tensor

    def take(self, rows: Sequence[int] | Tensor) -> "Texts":
        """The given rows, in that order."""
        rows = torch.as_tensor(rows, dtype=torch.long)
        return Texts([self.texts[row] for row in rows.tolist()], self.labels[rows])


@dataclass(frozen=True, eq=False)
class Intents:
    """One data set. names: the intents as words ("card arrival"), sorted as their labels are.

    train, validation, test: what is in scope; validation is empty where the data set has none. out_of_scope: by part
    ("train", "val", "test"), for those that have such texts. removed: how many training texts were taken out because
    a validation or test text is the same but for case and spaces, by part.
    """

    source: str
    names: list[str]
    train: Texts
    validation: Texts
    test: Texts
    out_of_scope: Mapping[str, Texts] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)


def open_intents(name: str) -> Intents:
    """ "banking77" or "clinc150", its files looked for as `fsl.sources.files_of` does. Raises InputError for others."""
    if name not in READERS:
        raise InputError(f"no intents are called {show(name)}, expected {' or '.join(READERS)}.")
    return READERS[name](files_of(name))


def read_banking(files: Mapping[str, Path]) -> Intents:
    """`train.csv` and `test.csv`, columns text and category. There is no validation part and nothing out of scope.

    Raises InputError for a file without these columns, an empty cell, or an intent of the test that has no training.
    """
    pairs = {part: _csv_pairs(files[f"{part}.csv"]) for part in ("train", "test")}
    return _made("banking77", {**pairs, "val": []}, {}, inert(files["test.csv"]))


def _csv_pairs(path: Path) -> list[tuple[str, str]]:
    rows = read_rows(path)
    for column in ("text", "category"):
        if column not in rows.frame:
            seen = ", ".join(map(show, rows.frame.columns))
            raise InputError(f"{rows.label}: no column {column!r}; the columns are {seen}.")
        empty = np.flatnonzero(rows.frame[column] == "")
        if len(empty):
            line = rows.line(int(empty[0]))
            raise InputError(f"{rows.label}, line {line}: {column} is empty, expected some text.")
    return list(zip(rows.frame["text"], rows.frame["category"], strict=True))


def read_clinc(files: Mapping[str, Path]) -> Intents:
    """`data_full.json`: lists of [text, intent] called train, val and test, and the same with oos_ before.

    Raises InputError for what is not so.
    """
    path = files["data_full.json"]
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{inert(path)}: not JSON that can be read ({inert(error)}).") from None
    pairs = {key: _json_pairs(content, key, path) for key in (*PARTS, *(f"oos_{p}" for p in PARTS))}
    outside = {part: [text for text, _ in pairs[f"oos_{part}"]] for part in PARTS}
    return _made("clinc150", {part: pairs[part] for part in PARTS}, outside, inert(path))


def _json_pairs(content: object, key: str, path: Path) -> list[tuple[str, str]]:
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InputError(f"{inert(path)}: no list {key!r}, expected lists of [text, intent].")
    for number, row in enumerate(rows, 1):
        if not (isinstance(row, list) and len(row) == 2 and all(isinstance(x, str) for x in row)):
            said = f"{show(str(row))}, expected [text, intent]"
            raise InputError(f"{inert(path)}, {key}, entry {number}: {said}.")
    return [(text.strip(), intent) for text, intent in rows]


def _made(
    source: str,
    pairs: Mapping[str, Sequence[tuple[str, str]]],
    outside: Mapping[str, Sequence[str]],
    where: str,
) -> Intents:
    """Labels for names; training texts that are asked about again are taken out, so that the test stays whole."""
    raw = sorted({intent for _, intent in pairs["train"]})
    place = {intent: label for label, intent in enumerate(raw)}
    for text, intent in (*pairs["val"], *pairs["test"]):
        if intent not in place:
            said = f"intent {show(intent)} (of {show(text)}) has no training text"
            raise InputError(f"{where}: {said}, expected one.")
    asked = {part: {same_words(text) for text, _ in pairs[part]} for part in ("val", "test")}
    twins = {
        part: sum(same_words(text) in own for text, _ in pairs["train"])
        for part, own in asked.items()
    }
    known = asked["val"] | asked["test"]
    parts = {part: list(rows) for part, rows in pairs.items()}
    parts["train"] = [row for row in pairs["train"] if same_words(row[0]) not in known]
    made = {part: _texts(rows, place) for part, rows in parts.items()}
    unknown = {
        part: Texts(list(texts), torch.full((len(texts),), -1)) for part, texts in outside.items()
    }
    names = [intent.replace("_", " ").strip("? ").lower() for intent in raw]
    return Intents(source, names, made["train"], made["val"], made["test"], unknown, twins)


def _texts(rows: Sequence[tuple[str, str]], place: Mapping[str, int]) -> Texts:
    labels = torch.tensor([place[intent] for _, intent in rows], dtype=torch.long)
    return Texts([text for text, _ in rows], labels)


def same_words(text: str) -> str:
    """The text without what case and spaces add: equal for texts that are duplicates."""
    return " ".join(text.split()).casefold()


READERS = {"banking77": read_banking, "clinc150": read_clinc}
