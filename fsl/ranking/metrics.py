"""Measures of a ranked catalogue with binary relevance, exact where scores tie. Knows tensors only.

One tie rule everywhere: a measure is its expectation over all orders of the tied items. So a constant score gets just
what a random order gets on average, and nothing is gained by tying. All that a measure needs is how many candidates
score higher than a relevant one and how many score the same: `Places`.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_FEW = 8  # relevant items of a task, up to which counting is quicker than sorting


class Places(NamedTuple):
    """Where relevant items stand: [n_tasks, n_relevant] each. above: candidates of a higher score; tied: of the same.

    A relevant item that is itself a candidate counts among its ties: its position is then above + 1, … above + tied,
    all equally likely. mask: False for padding. score: the relevant items' scores.
    """

    above: Tensor
    tied: Tensor
    mask: Tensor
    score: Tensor


def places(scores: Tensor, relevant: Tensor, mask: Tensor, candidates: Tensor) -> Places:
    """Place each relevant item among the candidates by falling score.

    scores: [n_tasks, n_objects], finite. relevant: int64 [n_tasks, n_relevant], columns of `scores`; mask: bool, the
    same shape. candidates: bool [n_tasks, n_objects]. Raises ValueError for a score that is not finite.
    """
    own = scores.gather(1, relevant).contiguous()
    if relevant.shape[1] <= _FEW:
        return _places_of_few(scores, own, mask, candidates)
    in_order = torch.from_numpy(np.sort(scores.masked_fill(~candidates, -torch.inf).numpy(), 1))
    _check_ends(in_order, candidates)
    below = torch.searchsorted(in_order, own)
    up_to = torch.searchsorted(in_order, own, right=True)
    return Places(scores.shape[1] - up_to, up_to - below, mask, own)


def _places_of_few(scores: Tensor, own: Tensor, mask: Tensor, candidates: Tensor) -> Places:
    """`places` by counting, [n_tasks, n_objects] for each relevant item: quicker than a sort for a few of them."""
    if not (scores.isfinite() | ~candidates).all():
        raise ValueError("a score is not finite: it has no place in a ranking")
    above, tied = torch.empty_like(own, dtype=torch.long), torch.empty_like(own, dtype=torch.long)
    for n in range(own.shape[1]):
        above[:, n] = ((scores > own[:, n : n + 1]) & candidates).sum(1)
        tied[:, n] = ((scores == own[:, n : n + 1]) & candidates).sum(1)
    return Places(above, tied, mask, own)


def _check_ends(in_order: Tensor, candidates: Tensor) -> None:
    """The least and the greatest score of the candidates, NaN sorted last, must be finite: quicker than to ask all."""
    n_out = (~candidates).sum(1, keepdim=True)
    least = in_order.gather(1, n_out.clamp(max=in_order.shape[1] - 1))
    ends = torch.cat([least, in_order[:, -1:]], 1)[n_out[:, 0] < in_order.shape[1]]
    if not ends.isfinite().all():
        raise ValueError("a score is not finite: it has no place in a ranking")


def ranking_ndcg(found: Places, k: int) -> Tensor:
    """nDCG@k, binary: Σ_{relevant in the top k} 1/log2(position + 1) over its most (Järvelin & Kekäläinen 2002).

    Ties: McSherry & Najork 2008, as in `fsl.ndcg`. [n_tasks, n_relevant] places -> [n_tasks], float64.
    """
    discounts = 1 / torch.log2(torch.arange(k).double() + 2)
    up_to = torch.cat([torch.zeros(1).double(), discounts.cumsum(0)])
    gain = _mean_over_ties(up_to, found)
    best = up_to[found.mask.sum(1).clamp(max=k)]
    return gain.sum(1) / best.clamp(min=torch.finfo(torch.float64).tiny)


def _mean_over_ties(up_to: Tensor, found: Places) -> Tensor:
    """Mean over the possible positions of a weight, given as sums up_to[p] of the first p, 0 behind: 0 on padding."""
    last = len(up_to) - 1
    first, end = found.above.clamp(max=last), (found.above + found.tied).clamp(max=last)
    mean = (up_to[end] - up_to[first]) / found.tied.clamp(min=1)
    return torch.where(found.mask, mean, 0)


def _in_top(found: Places, k: int) -> Tensor:
    """Expected number of relevant items among the first k, [n_tasks]."""
    return _mean_over_ties(torch.arange(k + 1).double(), found).sum(1)


def recall(found: Places, k: int) -> Tensor:
    """Share of the relevant items that are in the top k: [n_tasks]."""
    return _in_top(found, k) / found.mask.sum(1).clamp(min=1)


def precision(found: Places, k: int) -> Tensor:
    """Share of the top k that is relevant: [n_tasks]; at most n_relevant / k."""
    return _in_top(found, k) / k


def hit_rate(found: Places, k: int) -> Tensor:
    """Probability that something relevant is in the top k: [n_tasks]; 0 or 1 where no tie crosses position k."""
    return _first_relevant(found, k).sum(1)


def mrr(found: Places, k: int) -> Tensor:
    """Expected reciprocal of the first relevant position, 0 behind position k: [n_tasks]."""
    return (_first_relevant(found, k) / torch.arange(1, k + 1)).sum(1)


def _first_relevant(found: Places, k: int) -> Tensor:
    """P(the first relevant item stands at position p), p = 1 … k: [n_tasks, k].

    Only the highest group of ties that holds a relevant item matters: with R relevant among its T, G above,
    P(none among the group's first j) = Π_{i<j} (T − R − i) / (T − i).
    """
    score = found.score.masked_fill(~found.mask, -torch.inf)
    top, which = score.max(1, keepdim=True)
    n_relevant = (found.mask & (score == top)).sum(1, keepdim=True)
    above, tied = found.above.gather(1, which), found.tied.gather(1, which)
    i = torch.arange(k)
    none_yet = ((tied - n_relevant - i).clamp(min=0) / (tied - i).clamp(min=1).double()).cumprod(1)
    none_yet = torch.cat([torch.ones(len(top), 1).double(), none_yet], dim=1)
    in_group = -none_yet.diff()  # P(first = j), j = 1 …, within the group
    shift = torch.arange(k) - above
    found_at = in_group.gather(1, shift.clamp(min=0)) * (shift >= 0)
    return torch.where(found.mask.any(1, keepdim=True), found_at, 0)


def against_sample(name: str, found: Places, n_pool: Tensor, k: int, n_negatives: int) -> Tensor:
    """A measure of one relevant item against `n_negatives` drawn from a pool it is not in, in expectation: [n_tasks].

    The expectation is exact, over the uniform draw without replacement as over ties: of the pool's A items above, the
    number drawn is hypergeometric. So no generator is needed, and no noise of a draw is added. A task's value is the
    mean over its relevant items, each by itself. Flatters every learner: use it beside the full ranking only.

    name: "hr", "mrr" or "ndcg". found: places in the pool, to which no relevant item belongs. n_pool: [n_tasks].
    """
    value = torch.zeros(found.above.shape, dtype=torch.float64)
    for n in n_pool.unique().tolist():
        rows = n_pool == n
        sums = _sums_by_above(name, n, min(n_negatives, n), k)
        low, high = found.above[rows], (found.above + found.tied)[rows]
        value[rows] = (sums[high + 1] - sums[low]) / (found.tied[rows] + 1)
    return torch.where(found.mask, value, 0).sum(1) / found.mask.sum(1).clamp(min=1)


@lru_cache(maxsize=512)  # all learners are judged against the same pools
def _sums_by_above(name: str, n: int, drawn: int, k: int) -> Tensor:
    """Σ over A < a of the expected measure with A of the pool above, for a = 0 … n + 1: [n + 2]. Not to be changed."""
    position = torch.arange(1, k + 1).double()
    weight = {"hr": torch.ones(k).double(), "mrr": 1 / position, "ndcg": 1 / (position + 1).log2()}
    sums = (_drawn_above(n, drawn, k) @ weight[name]).cumsum(0)
    return torch.cat([torch.zeros(1).double(), sums])


def _drawn_above(n: int, drawn: int, k: int) -> Tensor:
    """P(h of the A best of n are among `drawn`), for A = 0 … n and h = 0 … k − 1: [n + 1, k] (hypergeometric)."""
    above, h = torch.arange(n + 1).double()[:, None], torch.arange(k).double()
    possible = (h <= above) & (drawn - h <= n - above) & (h <= drawn)
    log_p = (
        _log_choose(above, h)
        + _log_choose(n - above, drawn - h)
        - _log_choose(torch.tensor(float(n)).double(), torch.tensor(float(drawn)).double())
    )
    return torch.where(possible, log_p.exp(), 0)


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)


def in_top(scores: Tensor, candidates: Tensor, k: int) -> Tensor:
    """P(an item is among the first k of a list), over all orders of tied items: float32 [n_tasks, n_objects]."""
    scores = scores.masked_fill(~candidates, -torch.inf)
    k = min(k, scores.shape[1])
    edge = scores.topk(k, dim=1).values[:, -1:]
    above, tied = scores > edge, (scores == edge) & candidates
    left = k - above.sum(1, keepdim=True)
    share = (left / tied.sum(1, keepdim=True).clamp(min=1)).clamp(max=1)
    return above.float() + tied * share
