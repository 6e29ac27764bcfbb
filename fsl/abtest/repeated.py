"""The same test thousands of times, looked at every day: false alarms, power, coverage. Knows arrays only."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from fsl.abtest.means import Moments, welch
from fsl.abtest.sequential import FEWEST, half_width
from fsl.errors import InputError

MISTAKES = 0.05
MOST = 1e8  # visitors of all tests together, some 8 GB


class Ended(NamedTuple):
    """How tests ended, [n_tests] each: the effect was seen; on which day, from 0; the difference then; and whether the
    intervals at all looks hold the truth, had one gone on looking."""

    seen: np.ndarray
    day: np.ndarray
    value: np.ndarray
    holds: np.ndarray


@dataclass(frozen=True)
class Looks:
    """Repeated tests, each looked at after every day: arrays [n_tests, n_days].

    value: difference so far. half: half width of the usual 95 % interval; always: of the always-valid one. Where an arm
    has fewer than FEWEST users both are inf: nobody looks yet. truth: the difference that the outcomes do have.
    """

    value: np.ndarray
    half: np.ndarray
    always: np.ndarray
    truth: float

    def alarms(self, width: str) -> np.ndarray:
        """bool [n_tests, n_days]: the interval of that width ("half" or "always") leaves 0 out that day."""
        return np.abs(self.value) > getattr(self, width)

    def ever(self, width: str) -> np.ndarray:
        """bool [n_tests, n_days]: it has left 0 out on that day or before."""
        return np.logical_or.accumulate(self.alarms(width), axis=1)

    def ended(self, width: str, daily: bool) -> "Ended":
        """Tests stopped at the first alarm of daily looks, or looked at once, at the end."""
        out = np.abs(self.value - self.truth) > getattr(self, width)
        last = self.value.shape[1] - 1
        if not daily:
            at_end = np.full(len(self.value), last)
            return Ended(self.alarms(width)[:, -1], at_end, self.value[:, -1], ~out[:, -1])
        seen = self.ever(width)
        day = np.where(seen[:, -1], seen.argmax(1), last)
        return Ended(seen[:, -1], day, self.value[np.arange(len(day)), day], ~out.any(1))


def repeat(
    control: np.ndarray,
    treatment: np.ndarray,
    n_tests: int,
    n_days: int,
    per_day: int,
    tau: float,
    rng: np.random.Generator,
    alpha: float = MISTAKES,
) -> Looks:
    """n_tests tests of n_days, per_day visitors each, drawn with replacement from these [n] and dealt half and half.

    control, treatment: both outcomes of the same n visitors. Give the same twice for A/A tests.
    Raises InputError for more visitors than memory should hold.
    """
    shape = (n_tests, n_days, per_day)
    if math.prod(shape) > MOST:
        said = f"{n_tests:,} tests of {n_days:,} days with {per_day:,} visitors"
        raise InputError(
            f"{said} are too many to hold: expected at most {MOST:,.0f} visitors in all."
        )
    who = rng.integers(len(control), size=shape)
    treated = rng.random(shape) < 0.5
    values = np.where(treated, treatment[who], control[who])
    found = welch(*(_so_far(values, arm) for arm in (~treated, treated)), alpha)
    few = np.minimum(found.control.n, found.treatment.n) < FEWEST
    half = np.where(few, np.inf, (found.high - found.low) / 2)
    always = np.where(few, np.inf, half_width(found.error, tau, alpha))
    truth = float(treatment.mean() - control.mean())
    return Looks(np.asarray(found.value), half, always, truth)


def _so_far(values: np.ndarray, arm: np.ndarray) -> Moments:
    """Moments of one arm's values up to each day, [n_tests, n_days]."""
    n, s, q = ((arm * values**k).sum(-1).cumsum(1) for k in (0, 1, 2))
    n = np.maximum(n, 2)
    variance = np.maximum(q - s**2 / n, 0) / (n - 1)
    return Moments(n, s / n, np.where(variance > 1e-12, variance, 0))


def shares(hits: np.ndarray) -> pd.DataFrame:
    """Share of tests per day with its exact 95 % interval (Clopper & Pearson 1934): x (day), value, low, high."""
    n, lines = len(hits), []
    for day, k in enumerate(hits.sum(0), 1):
        low, high = binomtest(int(k), n).proportion_ci(method="exact")
        lines.append({"x": day, "value": k / n, "low": low, "high": high})
    return pd.DataFrame(lines)
