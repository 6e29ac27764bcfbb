"""What an explanation can be about, and how a label is written down. Knows no file and no model.

The names and lines are those the labels were made with, written before the first text was labelled.
"""

import re

import numpy as np

from fsl.errors import InputError
from fsl.reading.sentences import show

ASPECTS = {
    "camera": "camera, pictures taken, selfies, megapixels",
    "battery": "battery, power, charging",
    "price": "price, cost, cheap, expensive, affordable, reasonable, worth for money",
    "screen": "screen, display, view, resolution",
    "performance": "performance, speed, processor, chip, lag, hardware",
    "memory": "RAM, internal memory, storage, GB",
    "brand": "the maker or its name: brand, company, trust in the maker, brand not known",
    "size": "size or weight of the phone: big, small, mini, heavy, light, handy",
    "design": "looks: design, style, appearance, colour, attractive, fold or flip",
    "os": "operating system: Android, iOS",
    "other": "network, sound, durability, reliability, ease of use, age, apps, security",
    "general": "a verdict on the whole, features or quality as such, no reason",
}
GENERAL = "general"
SENTIMENTS = {
    "positive": "positive, good, I like it",
    "negative": "negative, bad, I do not like it",
    "neutral": "neutral, average, not sure",
}
SIGNS = {"+": 1, "-": -1, "0": 0}
_WORD = re.compile(r"([a-z]+)([-+0])")


def parse_aspects(cell: str, where: str) -> dict[str, int]:
    """`camera+ price-` as {"camera": 1, "price": -1}: praised 1, blamed -1, 0 neither or both.

    where: file, line and column, for the error. Raises InputError for anything else, an aspect named twice, or none.
    """
    found: dict[str, int] = {}
    for word in cell.split():
        match = _WORD.fullmatch(word)
        if not match or match[1] not in ASPECTS or match[1] in found:
            known = ", ".join(ASPECTS)
            raise InputError(f"{where}: {show(word)}, expected each once, with + - or 0: {known}.")
        found[match[1]] = SIGNS[match[2]]
    if not found:
        raise InputError(f"{where}: no aspect, expected one or more such as 'camera+ price-'.")
    return found


def written(mentioned: np.ndarray, polarity: np.ndarray) -> str:
    """The inverse of `parse_aspects` for one row: bool [n_aspects], int [n_aspects] -> `camera+ price-`."""
    signs = {value: sign for sign, value in SIGNS.items()}
    rows = zip(ASPECTS, mentioned, polarity, strict=True)
    return " ".join(f"{name}{signs[int(p)]}" for name, there, p in rows if there)
