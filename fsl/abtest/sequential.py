"""Intervals that may be looked at every day: a confidence sequence by a normal mixture. Knows a value and its error.

The mixture sequential probability ratio test (Robbins 1970; Johari, Koomen, Pekelis & Walsh 2017), as an interval the
two-sided normal mixture of Howard, Ramdas, McAuliffe & Sekhon (2021, eq. 14). Exact for a Gaussian mean of known
variance; with an estimated variance it holds for large samples, so the first look wants some dozens of users per arm.
"""

import numpy as np

FEWEST = 30  # users in each arm before a look counts


def evidence(value: np.ndarray, error: np.ndarray, tau: float) -> np.ndarray:
    """Λ = ∫ N(d; δ, V) dN(δ; 0, τ²) / N(d; 0, V) = sqrt(V/(V + τ²)) exp(τ² d² / (2 V (V + τ²))), V = error².

    How many times likelier the data are if the effect were drawn from N(0, τ²) than if it is 0. Without an effect it is
    a martingale of mean 1: P(it ever reaches 1/α) ≤ α, however often one looks (Ville 1939).
    """
    v, t = np.square(error), tau**2
    return np.exp(0.5 * (np.log(v / (v + t)) + t * np.square(value) / (v * (v + t))))


def always_valid_p(value: np.ndarray, error: np.ndarray, tau: float) -> np.ndarray:
    """min(1, 1/Λ) at each look; the running minimum over looks is a p-value at every moment."""
    return np.minimum(1.0, 1.0 / evidence(value, error, tau))


def half_width(error: np.ndarray, tau: float, alpha: float = 0.05) -> np.ndarray:
    """sqrt( V (V + τ²)/τ² · log((V + τ²)/(V α²)) ): the d at which Λ is 1/α. In the metric's unit; inf for error inf.

    tau: the size of effect that one plans for, fixed before the first look. A wrong one costs width, not validity.
    """
    if not tau > 0:
        raise ValueError(f"tau must be above 0, got {tau}")
    v, t = np.square(np.asarray(error, float)), tau**2
    with np.errstate(invalid="ignore"):
        wide = np.sqrt(v * (v + t) / t * np.log((v + t) / (v * alpha**2)))
    return np.where(np.isfinite(v), wide, np.inf)


def always_valid(
    value: np.ndarray, error: np.ndarray, tau: float, alpha: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end: the true difference is inside at *all* looks together with probability 1 − alpha."""
    half = half_width(error, tau, alpha)
    return value - half, value + half
