"""Invented explanations for the simulated shop, with the labels they were made from: for work without real texts.

Which aspect a person names follows from what moved the rating in the simulation. All that is made of it is simulated.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from fsl.data import Shop
from fsl.errors import InputError
from fsl.reading.sentences import inert
from fsl.reviews.codebook import ASPECTS, SENTIMENTS, SIGNS
from fsl.simulate import ATTRIBUTES

NOUNS = {
    "camera": "camera;photos;selfie camera;pictures;main camera", "battery": "battery;battery life;charging;power",
    "price": "price;cost;value for money", "screen": "screen;display;resolution;view",
    "performance": "performance;speed;processor;chip", "memory": "memory;storage;RAM;internal memory",
    "brand": "brand;company;maker;brand name", "size": "weight;size;phone size",
    "design": "design;look;style;appearance;colour", "os": "operating system;os;software system",
    "other": "sound;network;durability;handling",
}  # fmt: skip
PRAISE = {
    "price": "low;fair;great;cheap",
    "size": "handy;light;nice",
    "": "good;very good;great;nice;excellent;best",
}
BLAME = {
    "price": "high;too high;bad",
    "size": "heavy;clumsy;bad",
    "": "bad;poor;weak;not a fan of the;low",
}
WHOLE = {1: "good phone;like it;great product;very nice;best model;good features",
         -1: "do not like it;waste;worst;not my kind of phone;bad features",
         0: "average;ok;not sure;fair;normal type"}  # fmt: skip
OF_ATTRIBUTE = {"lightness": "size", "affordability": "price"}
SHARES = {
    "attribute": 0.6,
    "side": 0.15,
}  # named from the truth; brand, design, os or other; the rest is general
ERRS = 0.06  # how often the invented second reader takes another label


def with_explanations(
    shop: Shop, seed: int = 0, n_users: int = 96, n_items: int = 33, n_each: int = 10
) -> tuple[Shop, pd.DataFrame]:
    """A smaller shop whose reactions have an `explanation`, and the labels, columns as `read_labels` gives them.

    shop: a simulated one, with its truth. Kept are the n_items phones met most, and n_users of the people who met
    n_each / 2 of them or more, with up to n_each reactions each. The second reader, invented too, errs in some 6 % of
    the rows. The same seed gives the same texts.
    """
    if shop.truth is None:
        raise InputError(
            f"explanations are invented from a simulation's truth, {inert(shop.name)} has none"
        )
    rng = np.random.default_rng(seed)
    rows = shop.interactions.drop_duplicates(["user", "item"])
    phones = rows["item"].value_counts().sort_index().nlargest(n_items).index
    rows = rows[rows["item"].isin(phones)]
    many = rows["user"].value_counts()
    people = rng.permutation(sorted(many.index[many >= n_each // 2]))[:n_users]
    rows = rows[rows["user"].isin(people)].groupby("user").head(n_each).reset_index(drop=True)
    found = [_explained(shop, row, rng) for row in rows.itertuples()]
    labels = pd.DataFrame(found, columns=["text", "aspects", "sentiment"])
    rows = rows.assign(explanation=labels.pop("text"))
    labels = pd.concat([rows[["user", "item"]], labels], axis=1)
    labels.attrs["name"] = "invented labels"
    users = shop.users[shop.users["user"].isin(people)]
    items = shop.items[shop.items["item"].isin(phones)].reset_index(drop=True)
    small = replace(
        shop, interactions=rows, users=users.reset_index(drop=True), items=items, truth=None
    )
    return small, _reread(labels, rng)


def _explained(shop: Shop, row, rng: np.random.Generator) -> tuple[str, str, str]:
    """Text, aspects and sentiment of one reaction."""
    sign = int(np.sign(row.rating - 3))
    lot = rng.random()
    if lot > sum(SHARES.values()):
        return _told("general", sign, rng)
    if lot > SHARES["attribute"]:
        return _told(str(rng.choice(["brand", "design", "os", "other"])), sign, rng)
    u, i = int(row.user[1:]), int(row.item[1:])
    moved = shop.truth.tastes[u] * shop.truth.attributes[i]
    a = int(rng.choice(len(moved), p=_softmax(6 * np.abs(moved))))
    aspect = OF_ATTRIBUTE.get(ATTRIBUTES[a], ATTRIBUTES[a])
    good = int(np.sign(shop.truth.attributes[i, a])) or 1
    return _told(aspect, good if rng.random() > 0.12 else 0, rng)


def _told(aspect: str, sign: int, rng: np.random.Generator) -> tuple[str, str, str]:
    mark = {value: key for key, value in SIGNS.items()}[sign]
    feeling = {1: "positive", -1: "negative", 0: "neutral"}[sign]
    if aspect == "general":
        return _one(WHOLE[sign], rng), f"general{mark}", feeling
    noun = _one(NOUNS[aspect], rng)
    if sign == 0:
        return noun, f"{aspect}0", feeling
    bank = PRAISE if sign > 0 else BLAME
    word = _one(bank.get(aspect, bank[""]), rng)
    text = f"{word} {noun}" if rng.random() < 0.6 or word.endswith("the") else f"{noun} is {word}"
    return (text.upper() if rng.random() < 0.2 else text), f"{aspect}{mark}", feeling


def _one(choices: str, rng: np.random.Generator) -> str:
    return str(rng.choice(choices.split(";")))


def _reread(labels: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    signs = rng.choice(list(SIGNS), len(labels))
    other = [
        f"{aspect}{sign}"
        for aspect, sign in zip(rng.choice(list(ASPECTS), len(labels)), signs, strict=True)
    ]
    errs = rng.random((2, len(labels))) < ERRS
    feelings = rng.choice(list(SENTIMENTS), len(labels))
    return labels.assign(
        second_aspects=np.where(errs[0], other, labels["aspects"]),
        second_sentiment=np.where(errs[1], feelings, labels["sentiment"]),
    )


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()
