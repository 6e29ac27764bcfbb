"""Cards as HTML: one alone, or all on a page that is whole offline and safe (every value escaped, no script). Knows no
evidence: what a card says was decided before."""

import contextlib
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from fsl.compare import FEWEST, Interval
from fsl.data import Shop
from fsl.errors import InputError
from fsl.reading.sentences import inert
from fsl.reporting.page import environment
from fsl.reviews.cards import Card
from fsl.reviews.labels import Opinions


def gallery(
    shop: Shop, opinions: Opinions, found: Sequence[Card], notes: Sequence[str] = ()
) -> str:
    """All cards as one HTML page. notes: sentences for its head, such as how the opinions were labelled."""
    scale = shop.scale or (0.0, 1.0)
    return environment().get_template("gallery.html").render(
        cards=[_shown(card, place, scale) for place, card in enumerate(found)],
        source=shop.name, simulated=shop.simulated, scale=scale, least=FEWEST, notes=[*notes, chance(found)],
        n_people=len(set(opinions.table["user"])), n_opinions=len(opinions),
    )  # fmt: skip


def cards_html(found: Sequence[Card], shop: Shop) -> str:
    """Cards to be folded open one by one, the first one open; plain enough to be read without the page's styles."""
    scale = shop.scale or (0.0, 1.0)
    macro = environment().get_template("card.html").module.card
    folded = []
    for place, card in enumerate(found):
        opened = " open" if place == 0 else ""
        body = macro(_shown(card, place, scale), scale, FEWEST)
        folded.append(f"<details{opened}><summary>{escape(card.name)}</summary>{body}</details>")
    return "".join(folded)


def chance(found: Sequence[Card]) -> str:
    """How many statements of praise or blame would be there by chance, were opinion divided evenly."""
    n = sum(len(card.opinions) for card in found)
    return (
        f"{n} pairs of phone and aspect have {FEWEST} opinions or more. Were opinion divided evenly on all "
        f"of them, up to {0.05 * n:.1f} would still be called praised or blamed: that is what 95 % means."
    )


def write_page(page: str, path: str | Path) -> None:
    """The page beside `path`, then renamed: whole or not there. Raises InputError where that cannot be."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(page, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        said = error.strerror or str(error)
        raise InputError(f"{inert(path)}: the page cannot be written there: {said}.") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _shown(card: Card, place: int, scale: tuple[float, float]) -> dict:
    """A card's fields for the template; the rating's interval as shares of the scale besides."""
    fields = {name: getattr(card, name) for name in card.__dataclass_fields__}
    low, width = scale[0], max(scale[1] - scale[0], 1e-9)
    rating = card.rating
    on_scale = rating and Interval(
        *((x - low) / width for x in (rating.value, rating.low, rating.high))
    )
    return fields | {"place": place, "positive": card.positive, "on_scale": on_scale}
