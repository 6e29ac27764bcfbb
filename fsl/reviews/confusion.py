"""Confusion counts and what is read off them: accuracy, balanced accuracy, F1, kappa, with two-way intervals.

Knows counts only. Counts are [n_draws, n_users, n_classes, n_classes], the true class first; an interval resamples
draws and users at once (the pigeonhole bootstrap: Owen 2007): another support and other people would move a number.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fsl.compare import FEWEST, N_BOOTSTRAP, Interval
from fsl.errors import InputError

Statistic = Callable[[np.ndarray], np.ndarray]


def confusion(true: np.ndarray, told: np.ndarray, user: np.ndarray, n: int, n_users: int):
    """Counts [n_users, n, n] of one draw: rows [m] of true and told classes and the user of each."""
    counts = np.zeros((n_users, n, n))
    np.add.at(counts, (user, true, told), 1)
    return counts


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Σ_c n_cc / Σ n, over the last two axes: [..., n, n] -> [...]."""
    return _share(np.trace(counts, axis1=-2, axis2=-1), counts.sum((-2, -1)))


def balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    """Mean over the classes that are there of recall, n_cc / Σ_t n_ct: every class counts the same."""
    return np.nanmean(_share(_diagonal(counts), counts.sum(-1)), axis=-1)


def f1(counts: np.ndarray) -> np.ndarray:
    """2 n_cc / (Σ_t n_ct + Σ_t n_tc) of each class: [..., n, n] -> [..., n], NaN for one neither there nor told."""
    return _share(2 * _diagonal(counts), counts.sum(-1) + counts.sum(-2))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean of `f1` over the classes that are there or were told."""
    return np.nanmean(f1(counts), axis=-1)


def kappa(counts: np.ndarray) -> np.ndarray:
    """(p_o − p_e) / (1 − p_e), p_e = Σ_c p_c· p_·c (Cohen 1960, eq. 1); NaN where both say one class always."""
    n = counts.sum((-2, -1))
    by_chance = _share((counts.sum(-1) * counts.sum(-2)).sum(-1), n**2)
    return _share(accuracy(counts) - by_chance, 1 - by_chance)


class Resampled(NamedTuple):
    """total: the counts of all draws and users, [n, n]; many: those of each resample, [times, n, n]."""

    total: np.ndarray
    many: np.ndarray


def resample(counts: np.ndarray, seed: int = 0, times: int = N_BOOTSTRAP) -> Resampled:
    """Σ_d Σ_u w_d v_u n_du, with w and v how often a resample has draw d and user u.

    counts: [n_draws, n_users, n, n]. A single draw is not resampled; users without a count are left out. The same seed
    gives the same resamples to all counts of the same draws and users. Raises InputError for fewer than FEWEST users.
    """
    counts = counts[:, counts.sum((0, 2, 3)) > 0]
    n_draws, n_users, n, _ = counts.shape
    if n_users < FEWEST:
        raise InputError(f"{n_users} users are too few for an interval, {FEWEST} are needed")
    rng = np.random.default_rng(seed)
    v = rng.multinomial(n_users, np.full(n_users, 1 / n_users), size=times)
    w = rng.multinomial(n_draws, np.full(n_draws, 1 / n_draws), size=times)
    by_draw = v.astype(float) @ counts.swapaxes(0, 1).reshape(n_users, -1)
    many = np.einsum("td,tdk->tk", w, by_draw.reshape(times, n_draws, -1))
    return Resampled(counts.sum((0, 1)), many.reshape(times, n, n))


def interval(statistic: Statistic, found: Resampled) -> Interval:
    """The statistic of all counts together, with its 95 % percentile interval."""
    return _interval(statistic(found.total), statistic(found.many))


def difference(statistic: Statistic, ours: Resampled, theirs: Resampled) -> Interval:
    """Ours minus theirs, paired. Raises ValueError where the two did not judge the same rows."""
    if not np.allclose(ours.total.sum(-1), theirs.total.sum(-1)):
        raise ValueError("a paired difference wants counts of the same rows")
    value = statistic(ours.total) - statistic(theirs.total)
    return _interval(value, statistic(ours.many) - statistic(theirs.many))


def _interval(value: np.ndarray, many: np.ndarray) -> Interval:
    low, high = np.nanquantile(many, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))


def _diagonal(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _share(part: np.ndarray, of: np.ndarray) -> np.ndarray:
    """part / of, NaN where there is nothing."""
    of = np.asarray(of, float)
    return np.divide(part, of, out=np.full(of.shape, np.nan), where=of > 0)
