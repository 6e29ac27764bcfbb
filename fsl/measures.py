"""What is recorded of a prediction, by name: one value per task. Knows metrics and scales; knows no learner.

Errors and probabilities are of predictions clipped to the scale; nDCG and AUC rank the unclipped ones. A value that a
task cannot have (AUC without a dislike, coverage without a variance) is NaN, and is left out of every mean.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.metrics import average_precision, mae, masked_mean, mse, ndcg, pairwise_auc

N_BINS = 10  # of predicted probabilities, equally wide
GAPS = tuple(f"gap@{n + 1}" for n in range(N_BINS))


class Judged(NamedTuple):
    """What a measure sees of one learner: scores [n_tasks, n_query], the query, the scale; a variance, or None."""

    scores: Tensor
    query: Examples
    scale: tuple[float, float]
    variance: Tensor | None

    @property
    def clipped(self) -> Tensor:
        return self.scores.double().clamp(*self.scale)

    @property
    def liked(self) -> Tensor:
        """Targets above the middle of the scale: 4 and 5 of five stars, 1 of a label."""
        return self.query.targets > sum(self.scale) / 2


def _mae(judged: Judged) -> Tensor:
    return mae(judged.clipped, judged.query.targets.double(), judged.query.mask)


def _rounded_mae(judged: Judged) -> Tensor:
    """The absolute error of the nearest whole number, halves going up; NaN where targets are not whole themselves."""
    targets, nearest = judged.query.targets.double(), (judged.clipped + 0.5).floor()
    if bool((targets % 1 != 0)[judged.query.mask].any()):
        return torch.full(targets.shape[:1], torch.nan, dtype=torch.float64)
    return mae(nearest.clamp(*judged.scale), targets, judged.query.mask)


def _mse(judged: Judged) -> Tensor:
    return mse(judged.clipped, judged.query.targets.double(), judged.query.mask)


def _accuracy(judged: Judged) -> Tensor:
    """The share of query rows told right as liked or not: a score, like a target, is a like above the middle."""
    right = (judged.scores > sum(judged.scale) / 2) == judged.liked
    return masked_mean(right.double(), judged.query.mask)


def _auc(judged: Judged) -> Tensor:
    return pairwise_auc(judged.scores, judged.liked, judged.query.mask)


def _ap(judged: Judged) -> Tensor:
    return average_precision(judged.scores, judged.liked, judged.query.mask)


def _logloss(judged: Judged) -> Tensor:
    """−log p of what happened, p the score as a share of the scale, at least .001: for labels; NaN for ratings."""
    low, high = judged.scale
    if (low, high) != (0.0, 1.0):
        return torch.full(judged.scores.shape[:1], torch.nan, dtype=torch.float64)
    p = judged.clipped.clamp(0.001, 0.999)
    return masked_mean(-torch.where(judged.liked, p, 1 - p).log(), judged.query.mask)


def _ndcg(judged: Judged, k: int) -> Tensor:
    low, high = judged.scale
    steps = 4 * (judged.query.targets - low) / max(high - low, 1e-9)
    return ndcg(judged.scores, steps.clamp(min=0), k, judged.query.mask)


def _coverage(judged: Judged, percent: int) -> Tensor:
    """The share of query targets inside the central predictive interval, mean ± z sd, cut off at the scale."""
    if judged.variance is None:
        return torch.full(judged.scores.shape[:1], torch.nan, dtype=torch.float64)
    half = NormalDist().inv_cdf(0.5 + percent / 200) * judged.variance.double().sqrt()
    low, high = judged.scale
    mean = judged.scores.double()
    begin, end = (mean - half).clamp(low, high), (mean + half).clamp(low, high)
    targets = judged.query.targets.double()
    inside = (begin <= targets) & (targets <= end)
    return masked_mean(inside.double(), judged.query.mask)


def _gap(judged: Judged, bin_: int) -> Tensor:
    """The calibration gap of one bin of ten: mean over the query of (y − p) where (bin − 1)/10 ≤ p < bin/10, else 0.

    For labels; NaN for ratings. `fsl.calibration` makes the calibration error of it.
    """
    if judged.scale != (0.0, 1.0):
        return torch.full(judged.scores.shape[:1], torch.nan, dtype=torch.float64)
    p = judged.clipped
    inside = (p * N_BINS).long().clamp(max=N_BINS - 1) == bin_ - 1
    return masked_mean(torch.where(inside, judged.liked.double() - p, 0), judged.query.mask)


_PLAIN: dict[str, Callable] = {
    "mae": _mae,
    "mse": _mse,
    "rounded_mae": _rounded_mae,
    "accuracy": _accuracy,
    "auc": _auc,
    "ap": _ap,
    "logloss": _logloss,
}
_CUT: dict[str, Callable] = {"ndcg": _ndcg, "coverage": _coverage, "gap": _gap}


def measure(name: str, judged: Judged) -> Tensor:
    """The measure called `name` of every task: float64 [n_tasks]."""
    if name in _PLAIN:
        return _PLAIN[name](judged).double()
    kind, _, cut = name.partition("@")
    return _CUT[kind](judged, int(cut)).double()


def check_measures(names: Sequence[str]) -> None:
    """Raises ValueError for none at all, or for unknown ones."""
    unknown = [name for name in names if name not in _PLAIN and not _cut_is_known(name)]
    if unknown or not names:
        known = ", ".join([*_PLAIN, "ndcg@k", "coverage@percent", "gap@bin"])
        raise ValueError(f"unknown metrics {', '.join(unknown)}; known: {known}")


def _cut_is_known(name: str) -> bool:
    kind, _, cut = name.partition("@")
    right = kind in _CUT and cut.isdigit() and int(cut) > 0
    most = {"coverage": 99, "gap": N_BINS}.get(kind)
    return right and (most is None or int(cut) <= most)
