"""A turn between guide and visitor as one line of words. Knows what a guide sees; knows no truth."""

from collections.abc import Mapping

from fsl.data import Shop
from fsl.environment.rules import NOTHING, QUESTIONS, REACTIONS
from fsl.simulate import SCENE_NAMES


def turn_in_words(seen: Mapping, shop: Shop) -> str:
    """`turn 2, ecommerce: shows Lumo Z1, look`; seen: one visitor's observation."""
    head = f"turn {int(seen['turn'])}, {SCENE_NAMES[int(seen['scene'])]}: "
    if seen["asked"]:
        return (
            f"{head}asks about {QUESTIONS[int(seen['asked']) - 1]}, {float(seen['answer'][0]):+.2f}"
        )
    names = shop.items["name"].tolist()
    pairs = zip(seen["shown"], seen["reactions"], strict=True)
    shown = [f"{names[i]}, {REACTIONS[r]}" for i, r in pairs if i < len(names) and r != NOTHING]
    return head + (f"shows {'; '.join(shown)}" if shown else "shows nothing")
