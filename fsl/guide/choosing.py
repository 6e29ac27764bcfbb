"""Which question next: the one whose answer is worth most to the final choice; and the rulers that do not think."""

from collections.abc import Collection, Iterable
from itertools import combinations
from typing import NamedTuple

from torch import Tensor

from fsl.bandits.posterior import Belief
from fsl.guide.questions import PAIR, RATE, WISH, Question, pair, rate, worths
from fsl.guide.shelf import Shelf

KINDS = (RATE, PAIR, WISH)
N_KNOWN, N_PAIRED = 40, 12  # only the most rated items are asked about: a person has to know them


class Valued(NamedTuple):
    """A question and what its answer is worth, in the ratings' unit."""

    question: Question
    worth: float


def askable(
    shelf: Shelf, belief: Belief, kinds: Collection[str] = KINDS, done: Iterable[tuple] = ()
) -> list[Question]:
    """All questions of these kinds that were not asked yet. done: (kind, about) of those that were.

    Ratings: of the 40 most rated items. Pairs: among the 12 of these with the best outlook. A phone that was rated, or
    skipped as unknown, is not paired any more.
    """
    done = set(done)
    known = shelf.counts.argsort(descending=True, stable=True)[:N_KNOWN].tolist()
    met = {about[0] for kind, about in done if kind == RATE}
    found: list[Question] = []
    if RATE in kinds:
        found += [rate(belief, i) for i in known if (RATE, (i,)) not in done]
    if PAIR in kinds:
        hope = (belief.expected() + belief.sd())[0]
        some = sorted((i for i in known if i not in met), key=lambda i: -float(hope[i]))[:N_PAIRED]
        twos = combinations(sorted(some), 2)
        found += [pair(belief, *two) for two in twos if (PAIR, two) not in done]
    if WISH in kinds:
        found += [one for one in shelf.wishes if (WISH, one.about) not in done]
    return found


def ranked(belief: Belief, asked: list[Question], candidates: Tensor) -> list[Valued]:
    """Questions with their worth, the most valuable first; of equal ones the first."""
    if not asked:
        return []
    worth = worths(belief, asked, candidates)
    order = worth.argsort(descending=True, stable=True).tolist()
    return [Valued(asked[i], float(worth[i])) for i in order]


def best_of_each_kind(values: Iterable[Valued]) -> dict[str, Valued]:
    """Kind -> its most valuable question."""
    found: dict[str, Valued] = {}
    for one in values:
        found.setdefault(one.question.kind, one)
    return found


def top(belief: Belief, candidates: Tensor, n: int = 3) -> Tensor:
    """Places of the `n` candidates expected to please most, the best first."""
    mean = belief.expected()[0, candidates]
    return candidates[mean.argsort(descending=True, stable=True)[:n]]
