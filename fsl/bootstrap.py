"""Bootstrap intervals by resampling whole groups (users, items): all tasks and draws of one are kept together.

Knows arrays of values; knows no records and no learner. Fewer than FEWEST groups are refused with an InputError.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fsl.errors import InputError
from fsl.metrics import auc

N_BOOTSTRAP = 2_000
FEWEST = 5  # below that a bootstrap interval is far too narrow to be shown
_MOST_KEPT = 4_000_000  # draws of one lot, 32 MB; larger ones are drawn anew each time


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float

    def __format__(self, sign: str) -> str:
        return f"{self.value:{sign}.3f} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"

    def __str__(self) -> str:
        return format(self)


def percentile_interval(value: float, resampled: np.ndarray) -> Interval:
    """The value with the 2.5 and 97.5 % points of its resamples."""
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def auc_interval(
    scores: Tensor,
    is_positive: Tensor,
    cluster: Tensor,
    reference: Tensor | None = None,
    seed: int = 0,
) -> Interval:
    """AUC with its 95 % interval over resamples of whole clusters (users); with `reference`, the paired difference.

    scores, reference: [n], higher should be positive. is_positive: bool [n]. cluster: [n]. The difference is the AUC
    of `scores` minus that of `reference` on the same rows and resamples.
    """
    _, cluster = cluster.unique(return_inverse=True)
    n = int(cluster.max()) + 1 if len(cluster) else 0
    lots = torch.tensor(_lots(n, n, 500, seed))

    def value(weight: Tensor | None) -> float:
        if weight is not None and not 0 < (weight * is_positive).sum() < weight.sum():
            return float("nan")  # a resample without one of the two classes says nothing
        mine = auc(scores, is_positive, weight)
        return float(mine if reference is None else mine - auc(reference, is_positive, weight))

    low, high = np.nanquantile([value(lot[cluster]) for lot in lots], [0.025, 0.975])
    return Interval(value(None), float(low), float(high))


def mean_interval(values: Tensor, seed: int = 0) -> Interval:
    """Mean of independent values [n] with its 95 % percentile bootstrap interval."""
    values = values.double().numpy()
    if not np.isfinite(values).all():
        raise ValueError("values must be finite")
    low, high = np.quantile(resampled_means(values[:, None], seed), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def resampled_means(values: np.ndarray, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Means of N_BOOTSTRAP resamples of whole groups, NaN left out: [n_tasks, m] -> [N_BOOTSTRAP, m]."""
    groups = np.arange(len(values)) if groups is None else groups
    known = ~np.isnan(values)
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    some = min((len(np.unique(groups[column])) for column in known.T), default=0)
    lots = _lots(some, n_groups, N_BOOTSTRAP, seed)
    sums, counts = (_by_group(x, groups, n_groups) for x in (np.where(known, values, 0), known))
    return (lots @ sums) / np.maximum(lots @ counts, 1)


def _by_group(values: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    if n_groups == len(values):  # a group for each task: nothing to add up, and no rounding
        order = np.argsort(groups)
        return values[order].astype(float)
    sums = np.zeros((n_groups, values.shape[1]))
    np.add.at(sums, groups, values)
    return sums


def _lots(n_known: int, n: int, times: int, seed: int) -> np.ndarray:
    """How often each of n tasks is drawn in each resample, [times, n]; `n_known` of them have a value."""
    if n_known < FEWEST:
        raise InputError(
            f"{n_known} test tasks are too few for an interval: at least {FEWEST} are needed"
        )
    return (_drawn_once if n * times <= _MOST_KEPT else _drawn)(n, times, seed)


def _drawn(n: int, times: int, seed: int) -> np.ndarray:
    lots = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=times)
    lots.setflags(write=False)
    return lots


@lru_cache(maxsize=4)
def _drawn_once(n: int, times: int, seed: int) -> np.ndarray:
    """Comparisons over the same tasks share their resamples: to draw them costs more than what is done with them."""
    return _drawn(n, times, seed)
