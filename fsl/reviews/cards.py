"""A card per phone: where it stands in the catalogue, what people praise and blame, whom the evidence speaks for.

Every count is of labelled opinions, one per person; nothing is said of fewer than FEWEST. Knows no model and no page.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from fsl.compare import FEWEST, Interval, mean_interval
from fsl.data import Shop
from fsl.errors import InputError
from fsl.reading.sentences import inert
from fsl.reviews.codebook import ASPECTS, GENERAL, SENTIMENTS
from fsl.reviews.labels import Opinions
from fsl.reviews.specs import Standing, standings

Z = 1.959964  # of the standard normal's central 95 %
STRONG, WEAK = 0.75, 0.25  # of the catalogue: the best and the worst quarter
WHAT = {
    "camera": "the camera",
    "battery": "the battery",
    "price": "the price",
    "screen": "the screen",
    "performance": "speed",
    "memory": "memory",
    "brand": "the brand",
    "size": "size and weight",
    "design": "looks",
    "os": "the operating system",
    "other": "network, sound, handling or durability",
    "age": "being recent",
}


def wilson(k: int, n: int) -> Interval:
    """k of n with the 95 % score interval (Wilson 1927): the p with |k/n − p| ≤ z √(p (1 − p) / n). n > 0."""
    share, spread = k / n, Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z * np.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return Interval(share, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


class Opinion(NamedTuple):
    """What people say of one aspect of one phone. share: praise among praise and blame; of_others: the same of all
    other phones, NaN without any."""

    aspect: str
    praise: int
    blame: int
    neither: int
    share: Interval
    of_others: float

    @property
    def n(self) -> int:
        """Opinions: who praises or blames. A mention that does neither is none."""
        return self.praise + self.blame


class Reason(NamedTuple):
    """One line of whom a phone is for, or not for, and the evidence for that."""

    what: str
    evidence: str


@dataclass(frozen=True)
class Card:
    """One phone. n: labelled opinions; sentiment: how many of them by name; rating: None below FEWEST ratings.

    opinions: aspects with FEWEST opinions or more, the most spoken of first; too_few: how many the others have.
    buy, avoid: reasons, drawn from the above alone.
    """

    item: object
    name: str
    n: int
    n_rated: int
    rating: Interval | None
    sentiment: dict[str, int]
    standings: list[Standing]
    opinions: list[Opinion]
    too_few: dict[str, int]
    buy: list[Reason]
    avoid: list[Reason]

    @property
    def positive(self) -> Interval | None:
        """The share of its explanations that are positive; None below FEWEST."""
        return wilson(self.sentiment["positive"], self.n) if self.n >= FEWEST else None


def cards(shop: Shop, opinions: Opinions) -> list[Card]:
    """A card for every phone of the catalogue, the best mean rating first, those without one last."""
    if shop.items is None:
        raise InputError(f"{inert(shop.name)}: cards want a table of items, and there is none.")
    places, names = standings(shop.items), shop.item_names()
    rows_of = opinions.table["item"].groupby(opinions.table["item"]).indices
    none = np.empty(0, np.int64)
    made = [
        card(item, names[item], places[item], opinions, rows_of.get(str(item), none))
        for item in shop.items["item"]
    ]
    return sorted(made, key=lambda c: (c.rating is None, -c.rating.value if c.rating else 0))


def card(item, name: str, places: list[Standing], opinions: Opinions, rows: np.ndarray) -> Card:
    """The card of one phone, whose opinions are `rows`."""
    said = opinions_on(opinions, rows)
    enough = sorted((o for o in said if o.n >= FEWEST), key=lambda o: -o.n)
    ratings = (
        opinions.table["rating"].to_numpy()[rows] if "rating" in opinions.table else np.empty(0)
    )
    is_told = len(rows) >= FEWEST
    rating = mean_interval(torch.from_numpy(ratings)) if len(ratings) >= FEWEST else None
    places_told = places if is_told else []
    return Card(
        item, str(name), len(rows), len(ratings), rating, sentiments(opinions, rows), places,
        enough, {o.aspect: o.n for o in said if 0 < o.n < FEWEST},
        reasons(places_told, enough, True), reasons(places_told, enough, False),
    )  # fmt: skip


def sentiments(opinions: Opinions, rows: np.ndarray) -> dict[str, int]:
    """How many of the rows are positive, negative, neutral."""
    counts = np.bincount(opinions.first.sentiment[rows], minlength=len(SENTIMENTS))
    return dict(zip(SENTIMENTS, counts.tolist(), strict=True))


def opinions_on(opinions: Opinions, rows: np.ndarray) -> list[Opinion]:
    """What the rows say of each aspect that they praise or blame at all, `general` left out."""
    mentioned, polarity = opinions.first.mentioned, opinions.first.polarity
    found = []
    for a, aspect in enumerate(ASPECTS):
        signs = polarity[rows, a][mentioned[rows, a]]
        praise, blame = int((signs > 0).sum()), int((signs < 0).sum())
        if aspect == GENERAL or not praise + blame:
            continue
        rest = np.delete(polarity[:, a], rows)
        n_rest = int((rest != 0).sum())
        others = float((rest > 0).sum() / n_rest) if n_rest else float("nan")
        neither = int((signs == 0).sum())
        found.append(
            Opinion(aspect, praise, blame, neither, wilson(praise, praise + blame), others)
        )
    return found


def reasons(places: list[Standing], said: list[Opinion], good: bool) -> list[Reason]:
    """Why to buy it (or not): aspects that stand in the best (worst) quarter of the catalogue, or of which the
    interval of praise lies wholly above (below) a half. One line per aspect, all its evidence in it."""
    found: dict[str, list[str]] = {}
    for opinion in said:
        share = opinion.share
        if (share.low > 0.5) if good else (share.high < 0.5):
            k, word = (opinion.praise, "praised") if good else (opinion.blame, "blamed")
            low, high = (share.low, share.high) if good else (1 - share.high, 1 - share.low)
            text = (
                f"{word} by {k} of {opinion.n} who judge it [{_percent(low)} to {_percent(high)}]"
            )
            found.setdefault(opinion.aspect, []).append(text)
    for place in places:
        spec = place.spec
        if spec.better and ((place.share >= STRONG) if good else (place.share <= WEAK)):
            share = place.share if good else 1 - place.share
            than = spec.than if good else OPPOSITE[spec.than]
            text = (
                f"{spec.label} {place.value}, {than} {_percent(share)} of {place.n_others} others"
            )
            found.setdefault(spec.aspect, []).append(text)
    return [Reason(WHAT[aspect], "; ".join(texts)) for aspect, texts in found.items()]


OPPOSITE = {
    "cheaper than": "dearer than",
    "faster than": "slower than",
    "more than": "less than",
    "lighter than": "heavier than",
    "newer than": "older than",
}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
