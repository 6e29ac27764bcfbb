"""What an answer is worth before it is given: the expected gain in the final choice. Gaussians only, float64.

Knows means and covariances; knows no phone, no person and no word.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtr
from scipy.stats import truncnorm
from torch import Tensor

_ROOT_2PI = float(np.sqrt(2 * np.pi))


def density(z: Tensor) -> Tensor:
    """φ(z), the standard normal density; 0 at ±∞."""
    return torch.exp(-z.square() / 2) / _ROOT_2PI


def expected_best(mean: Tensor, slopes: Tensor) -> Tensor:
    """E max_a (mean_a + slopes_qa z), z ~ N(0, 1), exactly, for every question q: [n_questions].

        = Σ_a mean_a (Φ(h_a) − Φ(l_a)) + slopes_a (φ(l_a) − φ(h_a))

    where line a is on top for z in (l_a, h_a): l_a is the last crossing with a flatter line, h_a the first with a
    steeper one. Of equal lines the first counts. mean: [A], or [Q, A]; slopes: [Q, A]. O(Q A²). Frazier, Powell &
    Dayanik 2009, *The knowledge-gradient policy for correlated normal beliefs*, eq. 14.
    """
    mean = mean.expand_as(slopes)
    rise = slopes[:, :, None] - slopes[:, None, :]
    lead = mean[:, :, None] - mean[:, None, :]
    crossing = -lead / torch.where(rise == 0, 1, rise)
    low = crossing.masked_fill(rise <= 0, -torch.inf).amax(2)
    high = crossing.masked_fill(rise >= 0, torch.inf).amin(2)
    place = torch.arange(slopes.shape[1])
    earlier = place[None, :] < place[:, None]
    hidden = ((rise == 0) & ((lead < 0) | ((lead == 0) & earlier))).any(2)
    part = mean * (torch.special.ndtr(high) - torch.special.ndtr(low))
    part = part + slopes * (density(low) - density(high))
    return torch.where((low < high) & ~hidden, part, 0).sum(1)


class Outcomes(NamedTuple):
    """The answers to a question with cuts: chance of each, and mean of z given it; [n_questions, n_answers]."""

    chance: Tensor
    mean: Tensor


def outcomes(edges: Tensor) -> Outcomes:
    """z ~ N(0, 1) falls between two neighbouring `edges` [n_questions, n_cuts]; −∞ and ∞ are added.

    P = Φ(h) − Φ(l), E[z | l < z < h] = (φ(l) − φ(h)) / P.
    """
    ends = torch.full_like(edges[:, :1], torch.inf)
    edges = torch.cat([-ends, edges, ends], 1)
    low, high = edges[:, :-1], edges[:, 1:]
    chance = torch.special.ndtr(high) - torch.special.ndtr(low)
    mean = (density(low) - density(high)) / chance.clamp(min=1e-300)
    return Outcomes(chance, torch.where(chance > 1e-12, mean, 0))


def expected_best_of(mean: Tensor, slopes: Tensor, found: Outcomes) -> Tensor:
    """Σ_i P_i max_a (mean_a + slopes_a E[z | answer i]), exactly: [Q]. mean: [A] or [Q, A]; slopes: [Q, A]."""
    lines = mean.expand_as(slopes)[:, None] + slopes[:, None, :] * found.mean[:, :, None]
    return (found.chance * lines.amax(2)).sum(1)


def moments(low: float, high: float) -> tuple[float, float]:
    """Mean and variance of z ~ N(0, 1) given low < z < high, in the far tails, too."""
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    if (
        ndtr(high) - ndtr(low) < 1e-12
    ):  # nobody expected this answer: the nearer end, and the tail's width
        end = low if low > 0 else high
        return end, 1 / (1 + end**2)
    mean, variance = truncnorm.stats(low, high, moments="mv")
    return float(mean), float(np.clip(variance, 1e-9, 1 - 1e-9))


def equal_parts(n: int) -> Sequence[float]:
    """The n − 1 cuts that part N(0, 1) into n answers of equal chance."""
    from scipy.special import ndtri

    return [float(ndtri(i / n)) for i in range(1, n)]
