"""Phones described as a shop would, and queries as customers ask: two vocabularies, with the intent known. Simulated.

A wish is about one published column of the simulated shop. Knows no encoder, no user and no truth of the simulator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from fsl.errors import InputError


@dataclass(frozen=True)
class Wish:
    """A column of the items, whether much or little of it is wished for, the shop's words, and how customers say it."""

    column: str
    much: bool
    shop_says: str
    asked_as: tuple[str, ...]


WISHES = {
    "battery": Wish("battery_mah", True, "long battery life", (
        "lasts all day without charging", "I never want to look for a charger", "keeps going for two days")),
    "camera": Wish("main_camera_mp", True, "excellent camera", (
        "takes great photos", "sharp pictures of the kids", "good for photography")),
    "screen": Wish("screen_inch", True, "large screen", (
        "big display for films", "easy to read for old eyes", "wide enough to watch videos")),
    "performance": Wish("performance", True, "fast processor", (
        "no lag in games", "quick and powerful", "runs heavy apps smoothly")),
    "memory": Wish("memory_gb", True, "a lot of storage", (
        "room for thousands of songs", "space to keep many apps", "never says memory full")),
    "lightness": Wish("weight_g", False, "lightweight body", (
        "not heavy in the pocket", "small burden to carry", "easy to hold for hours")),
    "affordability": Wish("price_usd", False, "low price", (
        "cheap", "for little money", "on a student's budget")),
}  # fmt: skip
SHARE = 1 / 3


@dataclass(frozen=True)
class Query:
    """What is typed, and what is meant by it: the wishes, and a brand or ""."""

    text: str
    wishes: tuple[str, ...]
    brand: str = ""


def has_it(items: pd.DataFrame, wish: Wish) -> np.ndarray:
    """Which phones are in the third that has most (or least) of it, equal ones in: bool [n_items].

    Raises InputError for items without the column.
    """
    if wish.column not in items:
        raise InputError(f"items: no column {wish.column!r}, expected those of the simulated shop.")
    values = items[wish.column].to_numpy(float) * (1 if wish.much else -1)
    return values >= np.quantile(values, 1 - SHARE)


def described(items: pd.DataFrame) -> list[str]:
    """Each phone as the shop describes it: name, system, price, and what it has more of than two thirds of phones."""
    flags = {name: has_it(items, wish) for name, wish in WISHES.items()}
    texts = []
    for row, item in enumerate(items.itertuples()):
        said = [WISHES[name].shop_says for name, has in flags.items() if has[row]]
        texts.append(", ".join([f"{item.name}: {item.os} phone", f"{item.price_usd} USD", *said]))
    return texts


def answers(query: Query, items: pd.DataFrame) -> np.ndarray:
    """Which phones are what the query means: all its wishes and its brand. bool [n_items]."""
    found = (
        np.ones(len(items), bool) if not query.brand else (items["brand"] == query.brand).to_numpy()
    )
    for name in query.wishes:
        found = found & has_it(items, WISHES[name])
    return found


def make_queries(
    items: pd.DataFrame, rng: np.random.Generator, n: int = 60, least: int = 5
) -> list[Query]:
    """n different queries of one wish, of two, or of a wish and a brand, each with at least `least` answers.

    Raises InputError where there are not so many, and for fewer than one.
    """
    if n < 1:
        raise InputError("no query is asked for, expected 1 or more.")
    names, brands = list(WISHES), sorted(items["brand"].unique())
    plans = [((a,), "") for a in names] + [(pair, "") for pair in combinations(names, 2)]
    plans += [((a,), brand) for a in names for brand in brands]
    made: dict[str, Query] = {}
    for _ in range(40 * n):
        wishes, brand = plans[rng.integers(len(plans))]
        query = Query(_said(wishes, brand, rng), wishes, brand)
        if answers(query, items).sum() >= least:
            made.setdefault(query.text, query)
        if len(made) == n:
            return list(made.values())
    raise InputError(f"only {len(made)} queries have {least} answers here, expected {n}.")


def _said(wishes: Sequence[str], brand: str, rng: np.random.Generator) -> str:
    ways = [str(rng.choice((WISHES[name].shop_says, *WISHES[name].asked_as))) for name in wishes]
    return f"{brand} phone, ".lstrip() + " and ".join(ways)
