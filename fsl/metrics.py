"""Measures of one task's predictions against its targets, a batch of tasks at a time. Knows tensors only.

Every function takes padded rows and a mask (`True` is a real row, `None` means all) and returns one value per task.
"""

import math

import torch
from torch import Tensor, nn

_NO_CLASS = -(2**62)  # the target to pass over: by default that is −100, without a word


def mae(predictions: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute error, |p − t| averaged over a task's rows. [n_tasks, n] -> [n_tasks], the targets' unit."""
    return masked_mean(_errors(predictions, targets, mask).abs(), mask)


def mse(predictions: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error, (p − t)² averaged over a task's rows. [n_tasks, n] -> [n_tasks], the unit squared."""
    errors = _errors(predictions, targets, mask)
    return _mean_of_real(errors * errors, mask)


def _errors(predictions: Tensor, targets: Tensor, mask: Tensor | None) -> Tensor:
    """p − t, and 0 on padding, whatever stands there: not even its gradient gets through."""
    errors = predictions - targets
    return errors if mask is None else torch.where(mask, errors, 0)


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the last axis of the rows that are real; 0 for a task without any."""
    if mask is None:
        return values.mean(-1)
    return _mean_of_real(torch.where(mask, values, 0), mask)


def _mean_of_real(values: Tensor, mask: Tensor | None) -> Tensor:
    """`masked_mean` of values that are 0 on padding: a second look at the mask would cost a training its time."""
    if mask is None:
        return values.mean(-1)
    return values.sum(-1) / mask.sum(-1).clamp(min=1)


def cross_entropy(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over a task's rows of −log softmax(s)_t, in nats.

    scores: [n_tasks, n, n_way], or [n, n_way] of one task. targets: int64 [n_tasks, n] or [n], from 0 to n_way − 1.
    mask: likewise. Returns [n_tasks] or a scalar. Raises IndexError for a target that is no class, even in padding.
    """
    surprise = nn.functional.cross_entropy(
        scores.mT if scores.ndim == 3 else scores, targets, reduction="none", ignore_index=_NO_CLASS
    )
    return masked_mean(surprise, mask)


def ndcg(scores: Tensor, relevance: Tensor, k: int, mask: Tensor | None = None) -> Tensor:
    """Normalised discounted cumulative gain at k (Järvelin & Kekäläinen 2002; exponential gain: Burges et al. 2005).

    DCG@k = Σ_{position p ≤ k} (2^rel_p − 1) / log2(p + 1), divided by the DCG@k of the best order.
    Tied scores: the expectation over all orders of the tied items (McSherry & Najork 2008), so a constant score
    gets just what a random order gets on average. A task in which nothing is relevant gets 0.

    scores, relevance: [n_tasks, n], relevance >= 0. mask: bool [n_tasks, n]. Returns [n_tasks], float64, in [0, 1].
    Raises ValueError for k < 1, relevance outside 0 to 1000, a score that is NaN, or unequal shapes.
    """
    if scores.shape != relevance.shape:
        raise ValueError(f"{tuple(scores.shape)} scores, {tuple(relevance.shape)} relevances")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if k != int(k):
        raise ValueError(f"k must be a whole number, got {k}")
    mask = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
    scores, relevance = scores.double(), relevance.double()
    if scores[mask].isnan().any():
        raise ValueError("a score is NaN: it has no place in a ranking")
    wrong = mask & ~(relevance.isfinite() & (relevance >= 0))
    if wrong.any():
        raise ValueError(f"relevance must be finite and >= 0, got {relevance[wrong][0].item():g}")
    if (mask & (relevance > 1_000)).any():
        raise ValueError("relevance must be at most 1000: 2^rel has no room for more")
    gains = torch.where(mask, torch.expm1(relevance * math.log(2)), 0)
    discounts = 1 / torch.log2(torch.arange(scores.shape[-1], device=scores.device).double() + 2)
    discounts[int(k) :] = 0
    ideal = (gains.sort(dim=-1, descending=True).values * discounts).sum(-1)
    dcg = (_tie_averaged(gains, scores, mask) * discounts).sum(-1)
    return torch.where(ideal > 0, dcg / ideal.clamp(min=torch.finfo(torch.float64).tiny), 0)


def _tie_averaged(gains: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    """Gains in the order of falling scores, each replaced by the mean gain of the items that share its score."""
    order = scores.masked_fill(~mask, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    order = order.gather(
        -1, (~mask).gather(-1, order).byte().argsort(dim=-1, stable=True)
    )  # padding last
    scores, gains, padding = (x.gather(-1, order) for x in (scores, gains, ~mask))
    new = (scores != scores.roll(1, -1)) | (padding != padding.roll(1, -1))
    new[..., :1] = False
    group = new.cumsum(-1)
    total = torch.zeros_like(gains).scatter_add_(-1, group, gains)
    size = torch.zeros_like(gains).scatter_add_(-1, group, torch.ones_like(gains))
    return (total / size.clamp(min=1)).gather(-1, group)


def auc(scores: Tensor, is_positive: Tensor, weight: Tensor | None = None) -> Tensor:
    """Area under the ROC curve: P(score⁺ > score⁻) + ½ P(score⁺ = score⁻) (Mann & Whitney 1947).

    scores: [n]; is_positive: bool [n]; weight: [n], how often each row counts. Returns a scalar, float64.
    Raises ValueError where one of the two classes is empty.
    """
    weight = torch.ones_like(scores, dtype=torch.float64) if weight is None else weight.double()
    positive, negative = torch.where(is_positive, weight, 0), torch.where(is_positive, 0, weight)
    if not (positive.sum() > 0 and negative.sum() > 0):
        raise ValueError("AUC needs at least one positive and one negative")
    values, place = scores.unique(return_inverse=True)
    wins, losses = (
        torch.zeros(len(values), dtype=torch.float64).index_add_(0, place, side)
        for side in (positive, negative)
    )
    beaten = losses.cumsum(0) - losses / 2
    return (wins * beaten).sum() / (positive.sum() * negative.sum())


def pairwise_auc(scores: Tensor, is_positive: Tensor, mask: Tensor | None = None) -> Tensor:
    """`auc` of every task by itself, NaN where a class is missing. [n_tasks, n] -> [n_tasks], float64; n log n.

    Raises ValueError for a score that is NaN.
    """
    positive, negative = _classes(scores, is_positive, mask)
    (positive, negative), group = _by_rising_score(scores, positive, negative)
    losses = _summed_within(group, negative)
    beaten = losses.cumsum(-1) - losses / 2  # the negatives below a score, and half of those at it
    wins = (_summed_within(group, positive) * beaten).sum(-1)
    return wins / (positive.sum(-1) * negative.sum(-1))


def average_precision(scores: Tensor, is_positive: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean, over a task's positives, of the precision at each one's score; NaN without any. [n_tasks, n] -> [n_tasks].

    AP = Σ_positives #(positives scored as high) / #(all scored as high) / #positives: the area under the
    precision-recall steps (Manning, Raghavan & Schütze 2008, section 8.4), tied scores taken together. float64,
    n log n. Raises ValueError for a score that is NaN.
    """
    positive, negative = _classes(scores, is_positive, mask)
    (positive, negative), group = _by_rising_score(-scores, positive, negative)
    hits, misses = _summed_within(group, positive), _summed_within(group, negative)
    as_high = (hits + misses).cumsum(-1).clamp(min=1)
    return (hits * hits.cumsum(-1) / as_high).sum(-1) / positive.sum(-1)


def _classes(scores: Tensor, is_positive: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """1 where a row is a positive, and 1 where it is a negative; both 0 on padding. float64 [n_tasks, n]."""
    real = torch.ones_like(is_positive) if mask is None else mask
    if (scores.isnan() & real).any():
        raise ValueError("a score is NaN: it has no place in a ranking")
    return (is_positive & real).double(), (~is_positive & real).double()


def _by_rising_score(scores: Tensor, *sides: Tensor) -> tuple[list[Tensor], Tensor]:
    """The sides in the order of rising scores, and to which run of equal scores each place belongs, from 0."""
    scores, order = scores.sort(dim=-1)
    new = torch.zeros_like(order)
    new[..., 1:] = scores[..., 1:] != scores[..., :-1]
    return [side.gather(-1, order) for side in sides], new.cumsum(-1)


def _summed_within(group: Tensor, values: Tensor) -> Tensor:
    """The sum of each group: [n_tasks, n] -> [n_tasks, n], a place for a group, 0 beyond the last."""
    return torch.zeros_like(values).scatter_add_(-1, group, values)
