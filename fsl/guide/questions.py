"""Questions, and what their answers teach: each asks for one linear functional of the person's tastes, with noise.

    s = base + u·w + ε,   ε ~ N(0, noise)

"Rate this phone" hears s itself. "Which of these two" hears whether s = r_first − r_second is above 0: a probit of the
difference. A wish, and a like or dislike, hear between which cuts s falls. Knows beliefs; knows no word.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.bandits.posterior import Belief
from fsl.guide.worth import equal_parts, expected_best, expected_best_of, moments, outcomes

RATE, PAIR, WISH, REACTION = "rate", "pair", "wish", "reaction"


@dataclass(frozen=True, eq=False)
class Question:
    """kind; about: places of phones, or the column and (for words) the value of a wish; direction u: [p].

    cuts: where s parts into answers 0, 1, …; without cuts the answer is the number s.
    """

    kind: str
    about: tuple
    direction: Tensor
    base: float
    noise: float
    cuts: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """An answer as a Gaussian observation: `seen` = base + u·w + ε, ε ~ N(0, noise)."""

    question: Question
    answer: float
    seen: float
    noise: float


def rate(belief: Belief, item: int) -> Question:
    """How many points does this phone get?"""
    base, noise = belief.base[0, item], belief.noise[0, item]
    return Question(RATE, (item,), belief.features[0, item], float(base), float(noise))


def pair(belief: Belief, first: int, second: int) -> Question:
    """Which of these two? Answer 1: the first, 0: the second. The noise is that of two ratings."""
    one, other = rate(belief, first), rate(belief, second)
    away = one.direction - other.direction
    noise, about = one.noise + other.noise, (first, second)
    return Question(PAIR, about, away, one.base - other.base, noise, (0.0,))


def reaction(belief: Belief, item: int, cuts: Sequence[float]) -> Question:
    """Answer 0: dislike, 1: so-so, 2: like. The cuts part ratings into thirds, as training people gave them."""
    asked = rate(belief, item)
    return Question(REACTION, (item,), asked.direction, asked.base, asked.noise, tuple(cuts))


def wish(belief: Belief, about: tuple, values: Tensor) -> Question:
    """What the column's values [A] are to the person, compared with others: answer 0: less, 1: as usual, 2: more.

    s is the slope of the person's appeal on the standardised column, over all phones: u = Σ_a z_a φ_a / A. Other people
    answer in thirds. No shop here logs stated wishes, so one is trusted as far as *assumed*: its noise is as large as
    what the slope differs by from person to person.
    """
    z = (values - values.mean()) / values.std(correction=0).clamp(min=1e-9)
    direction = (z[:, None] * belief.features[0]).mean(0)
    mean = float(direction @ belief.mean[0])
    variance = max(float(direction @ belief.covariance[0] @ direction), 1e-12)
    cuts = tuple(mean + (2 * variance) ** 0.5 * edge for edge in equal_parts(3))
    return Question(WISH, about, direction, 0.0, variance, cuts)


def foretold(belief: Belief, asked: Question) -> tuple[float, float]:
    """Mean and variance of s before the answer."""
    spread = belief.covariance[0] @ asked.direction
    mean = asked.base + float(asked.direction @ belief.mean[0])
    return mean, float(asked.direction @ spread) + asked.noise


def evidence(belief: Belief, asked: Question, answer: float) -> Evidence:
    """The Gaussian observation that gives the posterior its exact mean and covariance after this answer.

    With s = m + √v z and an answer that says l < z < h: E[z | …] = ζ, Var[z | …] = ω. An observation s̃ with variance ṽ
    in all moves the mean by k (s̃ − m) / ṽ and the covariance by −k kᵀ / ṽ, so ṽ = v / (1 − ω), s̃ = m + √v ζ / (1 − ω).
    One step of assumed-density filtering (Minka 2001); for a pair the probit likelihood's. What is kept is Gaussian.
    """
    if not asked.cuts:
        return Evidence(asked, answer, float(answer), asked.noise)
    mean, variance = foretold(belief, asked)
    edges = [-torch.inf, *((cut - mean) / variance**0.5 for cut in asked.cuts), torch.inf]
    zeta, omega = moments(edges[int(answer)], edges[int(answer) + 1])
    left = max(1 - omega, 1e-9)
    seen = mean + variance**0.5 * zeta / left
    return Evidence(asked, answer, seen, variance / left - (variance - asked.noise))


def learned(belief: Belief, found: Evidence) -> Belief:
    """The belief after the answer."""
    asked = found.question
    seen = torch.tensor([found.seen - asked.base], dtype=torch.float64)
    return belief.told(asked.direction[None], seen, found.noise)


def worths(
    belief: Belief, asked: Sequence[Question], candidates: Tensor, most: int = 100
) -> Tensor:
    """Expected gain in the final choice from each answer, in the ratings' unit, >= 0: [n_questions].

        worth = E_answer max_a E[r_a | answer] − max_a E[r_a],   a among `candidates`

    Exact under the belief. Of many candidates only the `most` of highest mean + 2 sd can be chosen.
    """
    a = shortlist(belief, candidates, most)
    mean = belief.expected()[0, a]
    slopes, edges = _lines(belief, asked, a)
    found = torch.zeros(len(asked), dtype=torch.float64)
    for n_cuts in {len(one.cuts) for one in asked}:
        own = torch.tensor([i for i, one in enumerate(asked) if len(one.cuts) == n_cuts])
        if n_cuts == 0:
            found[own] = expected_best(mean, slopes[own])
        else:
            cuts = torch.tensor([edges[i] for i in own.tolist()], dtype=torch.float64)
            found[own] = expected_best_of(mean, slopes[own], outcomes(cuts))
    return (found - mean.max()).clamp(min=0)


def shortlist(belief: Belief, candidates: Tensor, most: int) -> Tensor:
    """The `most` candidates of highest mean + 2 sd, in their order."""
    if len(candidates) <= most:
        return candidates
    hope = (belief.expected() + 2 * belief.sd())[0, candidates]
    return candidates[hope.topk(most).indices.sort().values]


def _lines(
    belief: Belief, asked: Sequence[Question], a: Tensor
) -> tuple[Tensor, list[list[float]]]:
    """Each candidate's mean moves by slope · z: φ_a C u / √v, [n_questions, A]; and each question's cuts as z."""
    u = torch.stack([one.direction for one in asked])
    base = torch.tensor([one.base for one in asked], dtype=torch.float64)
    noise = torch.tensor([one.noise for one in asked], dtype=torch.float64)
    spread = u @ belief.covariance[0]
    sd = ((spread * u).sum(1) + noise).sqrt()
    means, widths = (base + u @ belief.mean[0]).tolist(), sd.tolist()
    edges = [
        [(cut - m) / s for cut in one.cuts] for one, m, s in zip(asked, means, widths, strict=True)
    ]
    return spread @ belief.features[0, a].T / sd[:, None], edges
