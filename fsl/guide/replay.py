"""One held-out person, replayed: questions are answered with the ratings that this person did give. No word, no table.

What may be asked about and what may be chosen in the end are two sets of places in the person's own rated items; an
item that was asked about is no candidate any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
import torch
from torch import Tensor

from fsl.bandits.posterior import Belief
from fsl.environment.draws import uniforms
from fsl.guide.choosing import top
from fsl.guide.questions import (
    PAIR,
    RATE,
    Question,
    evidence,
    foretold,
    learned,
    pair,
    rate,
    worths,
)
from fsl.guide.worth import expected_best, expected_best_of, outcomes

Chooser = Callable[["Visit", list[Question]], Tensor]
_LUCK = 301  # what a random number is for


@dataclass
class Visit:
    """belief: about this person and the items rated, n = 1; ratings: [A]; counts: how often others rated them, [A].

    may_ask, candidates: bool [A]. number, seed: names of the person's random numbers.
    """

    belief: Belief
    ratings: Tensor
    counts: Tensor
    may_ask: Tensor
    candidates: Tensor
    number: int
    seed: int = 0
    turn: int = 0


def questions(visit: Visit, kind: str) -> list[Question]:
    """What may be asked: ratings, or pairs. They are about the items, and stay the same while the belief learns."""
    places = visit.may_ask.nonzero()[:, 0].tolist()
    if kind == RATE:
        return [rate(visit.belief, i) for i in places]
    return [pair(visit.belief, *two) for two in combinations(places, 2)]


def answer_of(asked: Question, ratings: Tensor) -> float | None:
    """What this person's ratings say; None where a pair was rated alike, from which nothing is learned."""
    if asked.kind == RATE:
        return float(ratings[asked.about[0]])
    first, second = (float(ratings[i]) for i in asked.about)
    return None if first == second else float(first > second)


def chosen(visit: Visit, asked: list[Question]) -> Tensor:
    """Expected gain in the final choice among what is left after the question: ours."""
    left = visit.candidates.nonzero()[:, 0]
    taken = [[i in one.about for i in left.tolist()] for one in asked]
    if not np.any(taken):
        return worths(visit.belief, asked, left)
    belief = visit.belief
    told = torch.tensor([foretold(belief, one) for one in asked], dtype=torch.float64)
    sd = told[:, 1].sqrt()
    u = torch.stack([one.direction for one in asked])
    slopes = u @ belief.covariance[0] @ belief.features[0, left].T / sd[:, None]
    gone = torch.tensor(taken)
    mean = belief.expected()[0, left].expand_as(gone).masked_fill(gone, -1e9)
    slopes = slopes.masked_fill(gone, 0)
    if not asked[0].cuts:
        return expected_best(mean, slopes)
    cuts = torch.tensor([one.cuts for one in asked], dtype=torch.float64)
    return expected_best_of(mean, slopes, outcomes((cuts - told[:, :1]) / sd[:, None]))


def uncertain(visit: Visit, asked: list[Question]) -> Tensor:
    """The question whose answer is hardest to foretell, in standard deviations of its noise."""
    return torch.tensor([foretold(visit.belief, one)[1] / one.noise for one in asked])


def popular(visit: Visit, asked: list[Question]) -> Tensor:
    """What most others have rated."""
    return torch.tensor([float(sum(visit.counts[i] for i in one.about)) for one in asked])


def by_luck(visit: Visit, asked: list[Question]) -> Tensor:
    """Any question."""
    return torch.from_numpy(
        uniforms(visit.seed, _LUCK, visit.number, visit.turn, np.arange(len(asked)))
    )


CHOOSERS: dict[str, Chooser] = {
    "chosen": chosen,
    "most uncertain": uncertain,
    "popular": popular,
    "random": by_luck,
}


def asked_by(
    visit: Visit, chooser: Chooser, n_questions: Sequence[int], kind: str = RATE
) -> dict[int, dict[str, float]]:
    """Number of questions -> `outcome`, for each of `n_questions`; without questions left, a visit stays as it is."""
    visit, done, found = replace(visit, candidates=visit.candidates.clone()), set(), {}
    every = questions(visit, kind)
    for n in range(max(n_questions) + 1):
        if n in n_questions:
            found[n] = outcome(visit)
        options = [one for one in every if one.about not in done]
        if not options or n == max(n_questions):
            continue
        one = options[int(chooser(visit, options).argmax())]
        done.add(one.about)
        visit.candidates[list(one.about)] = False
        visit.turn += 1
        said = answer_of(one, visit.ratings)
        if said is not None:
            visit.belief = learned(visit.belief, evidence(visit.belief, one, said))
    return found


def outcome(visit: Visit, n_shown: int = 3) -> dict[str, float]:
    """How good the choice among the candidates is, and what picking at random gives in expectation.

    hit@3: whether the best rated candidate (one of the best) is among the three shown. regret: the best candidate's
    rating less the first shown one's; rating: the first shown one's.
    """
    left = visit.candidates.nonzero()[:, 0]
    ratings, shown = visit.ratings[left], visit.ratings[top(visit.belief, left, n_shown)]
    best, n = float(ratings.max()), len(left)
    others = int((ratings < best).sum())
    return {
        "hit@3": float(shown.max() == best),
        "regret": best - float(shown[0]),
        "rating": float(shown[0]),
        "hit@3 of random picks": 1 - comb(others, n_shown) / comb(n, n_shown)
        if n >= n_shown
        else 1.0,
        "regret of random picks": best - float(ratings.mean()),
        "rating of random picks": float(ratings.mean()),
    }


__all__ = ["CHOOSERS", "PAIR", "RATE", "Visit", "asked_by", "outcome"]
