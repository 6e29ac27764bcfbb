"""Treatment minus control: the difference of two means with its interval. Knows arrays of numbers only."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats


class Moments(NamedTuple):
    """Of one arm: users, their mean and their variance (n − 1 below); numbers, or arrays of many tests at once."""

    n: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Difference:
    """Mean of the treatment minus mean of the control, in the metric's unit, with its 1 − alpha interval.

    error: standard error. p: two-sided, Welch's. lift, lift_low, lift_high: the same as a share of the control's mean
    (.10 is ten per cent more), nan where that mean is not above 0; the ends are infinite where it may be 0. Numbers, or
    arrays of many tests at once.
    """

    control: Moments
    treatment: Moments
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    p: np.ndarray
    lift: np.ndarray
    lift_low: np.ndarray
    lift_high: np.ndarray

    def __str__(self) -> str:
        return f"{self.value:+.3g} [{self.low:+.3g}, {self.high:+.3g}]"


def moments(values: np.ndarray) -> Moments:
    """Of one arm's values [n], n at least 2."""
    values = np.asarray(values, float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"an arm needs at least 2 values, got shape {values.shape}")
    return Moments(len(values), values.mean(), values.var(ddof=1))


def difference(control: np.ndarray, treatment: np.ndarray, alpha: float = 0.05) -> Difference:
    """Of two arms' values, [n_control] and [n_treatment]: `welch` of their moments."""
    return welch(moments(control), moments(treatment), alpha)


def welch(control: Moments, treatment: Moments, alpha: float = 0.05) -> Difference:
    """d ± t_{1−α/2, ν} s, with s² = s_c²/n_c + s_t²/n_t and ν = s⁴ / Σ (s_g²/n_g)² / (n_g − 1)   (Welch 1947).

    Moments may be arrays, one entry per test. Where s is 0 nothing varied: the interval is all numbers, p is 1.
    """
    parts = [np.asarray(arm.variance / arm.n, float) for arm in (control, treatment)]
    square = parts[0] + parts[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        df = square**2 / (parts[0] ** 2 / (control.n - 1) + parts[1] ** 2 / (treatment.n - 1))
        value = np.asarray(treatment.mean - control.mean, float)
        error = np.where(square > 0, np.sqrt(square), np.inf)
        t = stats.t.ppf(1 - alpha / 2, df)
        half = np.where(square > 0, t * error, np.inf)
        p = np.where(square > 0, 2 * stats.t.sf(np.abs(value) / error, df), 1.0)
        lift = _lift(control, treatment, parts, t)
    told = (value, value - half, value + half, error, p, *lift)
    return Difference(control, treatment, *(_plain(x) for x in told))


def _lift(control: Moments, treatment: Moments, parts: list, t: np.ndarray) -> tuple:
    """m_t/m_c − 1, with the r − 1 for which |m_t − r m_c| ≤ t sqrt(v_t + r² v_c), v_g = s_g²/n_g   (Fieller 1954).

    t: `welch`'s quantile, so that the lift leaves 0 out just where the difference does. All numbers where m_c itself
    cannot be told from 0.
    """
    below, mean = np.where(np.asarray(control.mean) > 0, control.mean, np.nan), treatment.mean
    lead = below**2 - t**2 * parts[0]
    half = t * np.sqrt(np.maximum(parts[1] * lead + mean**2 * parts[0], 0))
    bounded, nowhere = lead > 0, np.where(np.isfinite(below), np.inf, np.nan)
    low = np.where(bounded, (below * mean - half) / lead - 1, -nowhere)
    return mean / below - 1, low, np.where(bounded, (below * mean + half) / lead - 1, nowhere)


def _plain(x: np.ndarray) -> float | np.ndarray:
    return float(x) if np.ndim(x) == 0 else x
