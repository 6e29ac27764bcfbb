"""Why this phone: the exact share of every answer in its expected rating. Knows beliefs and evidence; no word."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fsl.bandits.posterior import Belief
from fsl.guide.questions import Evidence
from fsl.recommending.linear import LinearHead
from fsl.recommending.side import Answer
from fsl.recommending.why import Reasons, reasons


def reasons_of(
    start: Belief, found: Sequence[Evidence], places: Tensor, scale: tuple[float, float]
) -> Reasons:
    """Parts of each place's expected rating: to anyone, one per answer, the scale's end; they sum to it exactly.

    Every answer is a Gaussian observation base_k + u_k·w + ε_k, so with U its rows the shares are those of
    `LinearHead.adapted`: φ P Uᵀ (U P Uᵀ + Σ)⁻¹ (s − base − U m), one column per answer.
    """
    n, places = start.base.shape[1], places.long()
    rows = [one.question for one in found]
    numbers = [[q.base for q in rows], [one.noise for one in found], [one.seen for one in found]]
    base, noise, seen = torch.tensor(numbers, dtype=torch.float64)
    head = LinearHead(
        torch.cat([start.base[0], base]),
        torch.cat([start.features[0], *(q.direction[None] for q in rows)]),
        start.mean[0],
        start.covariance[0],
        torch.cat([start.noise[0], noise]),
    )
    shares, _ = head.adapted(torch.arange(n, n + len(rows)), seen)
    shares, first = shares[:n], head.start[:n]
    answer = Answer(first + shares.sum(1), None, first, shares.new_zeros(n, 0), shares)
    return reasons(answer, places, (), [str(k) for k in range(len(rows))], scale)
