"""CUPED: a metric less what its user's own past already said (Deng, Xu, Kohavi & Walker 2013). Knows arrays only."""

from typing import NamedTuple

import numpy as np


class Adjusted(NamedTuple):
    """values [n]: the adjusted metric. rho: its correlation with the past; factor: 1 − ρ², what is left."""

    values: np.ndarray
    theta: float
    rho: float
    factor: float


def theta(metric: np.ndarray, before: np.ndarray) -> float:
    """θ = cov(Y, X) / var(X), over both arms together: X is from before, so no arm can have changed it. [n] each."""
    x = before - before.mean()
    spread = float(x @ x)
    return float(x @ (metric - metric.mean())) / spread if spread > 0 else 0.0


def adjusted(metric: np.ndarray, before: np.ndarray) -> Adjusted:
    """Y − θ (X − X̄): the same mean and difference in expectation, variance × (1 − ρ²)   (eq. 4 and 5 there).

    metric, before: [n], both arms together, in the same order. A missing `before` (nan, a new user) counts as X̄: it is
    then not adjusted. Whoever has no past has none in either arm, so this biases nothing.
    """
    known = ~np.isnan(before)
    filled = np.where(known, before, before[known].mean() if known.any() else 0.0)
    slope = theta(metric, filled)
    values = metric - slope * (filled - filled.mean())
    spread = metric.std() * filled.std()
    rho = slope * filled.var() / spread if spread > 0 else 0.0
    return Adjusted(values, slope, float(rho), float(1 - rho**2))
