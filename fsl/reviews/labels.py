"""Labels of explanations, by row, and the texts they belong to. Knows files and shops; no model.

The repository holds labels keyed by (user, item) and never a text: the texts come with the shop that has them.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from fsl.data import Shop
from fsl.errors import InputError
from fsl.reading.sentences import inert, show
from fsl.reviews.codebook import ASPECTS, SENTIMENTS, parse_aspects

KEYS = ["user", "item"]
COLUMNS = [*KEYS, "aspects", "sentiment"]
SECOND = ["second_aspects", "second_sentiment"]
PACKAGED = files("fsl.reviews") / "phone_review_labels.csv"


@dataclass(frozen=True, eq=False)
class Reading:
    """One reader's labels of n texts. mentioned: bool [n, n_aspects]; polarity: int8, the same shape, -1, 0 or 1,
    0 where not mentioned; sentiment: int64 [n], places in SENTIMENTS."""

    mentioned: np.ndarray
    polarity: np.ndarray
    sentiment: np.ndarray

    def __len__(self) -> int:
        return len(self.sentiment)

    def rows(self, chosen: np.ndarray) -> "Reading":
        """The chosen rows."""
        return Reading(self.mentioned[chosen], self.polarity[chosen], self.sentiment[chosen])


@dataclass(frozen=True, eq=False)
class Opinions:
    """Explanations with their labels. table: columns user, item, rating (where the shop has it), text, rows as in
    `first`. second: the labels of an independent reader for the rows `reread` (int64), None where there was none."""

    table: pd.DataFrame
    first: Reading
    second: Reading | None = None
    reread: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def aspect(self) -> np.ndarray:
        """The one aspect of each text, a place in ASPECTS; -1 where it names several. int64 [n]."""
        single = self.first.mentioned.sum(1) == 1
        return np.where(single, self.first.mentioned.argmax(1), -1)

    @cached_property
    def user(self) -> np.ndarray:
        """The number of each row's user, from 0: int64 [n]."""
        return pd.factorize(self.table["user"])[0]

    @cached_property
    def wording(self) -> np.ndarray:
        """The number of each row's text among the different ones, `same_text` deciding: int64 [n]."""
        return pd.factorize(self.table["text"].map(same_text))[0]


def same_text(text: str) -> str:
    """Lower case, letters and digits only, single blanks: "Good  Camera!" and "good camera" are the same text."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def without_addresses(text: str) -> str:
    """Nobody's e-mail address is shown, or learned from."""
    return re.sub(r"\S+@\S+", "(address)", text)


def read_labels(path: Path | str = PACKAGED) -> pd.DataFrame:
    """The labels in a CSV as they stand, ids as text: columns user, item, aspects, sentiment, and perhaps SECOND.

    aspects: `camera+ price-`; sentiment: positive, negative or neutral (which is also mixed). Empty second cells: not
    read twice. Raises InputError naming line and column of what is not so, and a pair that is there twice.
    """
    name = inert(getattr(path, "name", path))
    try:
        with Path(str(path)).open(encoding="utf-8", newline="") as file:
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {inert(error)}, expected a CSV of labels.") from error
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise InputError(f"{name}: no column {missing[0]!r}, expected {', '.join(COLUMNS)}.")
    twice = np.flatnonzero(table.duplicated(KEYS))
    if len(twice):
        user, item = table.loc[twice[0], KEYS]
        said = f"user {show(user)}, item {show(item)} is there twice, expected each pair once"
        raise InputError(f"{name}, line {twice[0] + 2}: {said}.")
    table.attrs["name"] = name
    reading_of(table, "aspects", "sentiment")
    return table


def labels_of(shop: Shop, labels_file: str = "") -> pd.DataFrame:
    """`read_labels` of a file, "" being the labels of phones-99 in this package. Raises InputError for another shop."""
    if not labels_file and shop.name != "phones-99":
        said = f"no labels of its explanations are here, expected a file of {', '.join(COLUMNS)}"
        raise InputError(f"{inert(shop.name)}: {said}.")
    return read_labels(labels_file or PACKAGED)


def reading_of(table: pd.DataFrame, aspects: str, sentiment: str) -> Reading:
    """The labels of two columns of `read_labels`' table, line 2 being its first row."""
    mentioned = np.zeros((len(table), len(ASPECTS)), bool)
    polarity = np.zeros((len(table), len(ASPECTS)), np.int8)
    place, name = list(ASPECTS), table.attrs.get("name", "labels")
    for row, cell in zip(table.index, table[aspects], strict=True):
        at = table.index.get_loc(row)
        found = parse_aspects(cell, f"{name}, line {row + 2}, column {aspects!r}")
        columns = [place.index(aspect) for aspect in found]
        mentioned[at, columns], polarity[at, columns] = True, list(found.values())
    known = list(SENTIMENTS)
    for row, value in table[sentiment].items():
        if value not in known:
            said = f"{show(value)}, expected {', '.join(known)}"
            raise InputError(f"{name}, line {row + 2}, column {sentiment!r}: {said}.")
    return Reading(mentioned, polarity, table[sentiment].map(known.index).to_numpy(np.int64))


def opinions_of(shop: Shop, labels: pd.DataFrame) -> Opinions:
    """The labelled rows of a shop with the column `explanation`, in the labels' order.

    Raises InputError where the shop has no such column, or not a row that is labelled.
    """
    name, rows = inert(shop.name), shop.interactions
    if "explanation" not in rows:
        raise InputError(f"{name}: interactions have no column 'explanation', expected the texts.")
    texts = rows.assign(user=rows["user"].astype(str), item=rows["item"].astype(str))
    kept = [c for c in (*KEYS, "rating", "explanation") if c in texts]
    table = labels[KEYS].merge(texts[kept].drop_duplicates(KEYS), on=KEYS, how="left")
    lost = np.flatnonzero(table["explanation"].isna())
    if len(lost):
        user, item = table.loc[lost[0], KEYS]
        said = f"user {show(user)}, item {show(item)} has no explanation in {name}"
        raise InputError(f"{labels.attrs.get('name', 'labels')}, line {lost[0] + 2}: {said}.")
    table["text"] = table.pop("explanation").astype(str).str.strip().map(without_addresses)
    found = Opinions(table, reading_of(labels, "aspects", "sentiment"))
    return _with_second(found, labels)


def _with_second(opinions: Opinions, labels: pd.DataFrame) -> Opinions:
    if not set(SECOND) <= set(labels):
        return opinions
    reread = np.flatnonzero(labels[SECOND[0]] != "")
    if not len(reread):
        return opinions
    chosen = labels.iloc[reread]
    chosen.attrs.update(labels.attrs)
    return replace(opinions, second=reading_of(chosen, *SECOND), reread=reread)
