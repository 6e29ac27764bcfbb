"""Turns between guide and visitor as lines of words. Knows what a guide sees; knows no truth."""

from collections.abc import Mapping, Sequence

import numpy as np

from fsl.data import Shop
from fsl.environment.rules import NOTHING, QUESTIONS, REACTIONS
from fsl.environment.visits import Visits
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


def visit_in_words(visits: Visits, number: int, turns: Sequence[tuple[int, int]]) -> list[str]:
    """One line per turn of visitor `number`; turns: (kind, phone), as `Visits.step` takes them."""
    visits.arrive(np.array([number]))
    lines = []
    for kind, phone in turns:
        turn = visits.step(np.array([kind]), np.array([[phone]]))
        said = f"phone {phone}: {(*REACTIONS, 'gone')[turn.reactions[0, 0]]}"
        if kind:
            said = f"{QUESTIONS[kind - 1]}? {turn.answer[0]:+.2f}"
        lines.append(f"turn {visits.turn[0]}  {said:<20} {turn.reward[0]:+.2f} stars")
    return lines
