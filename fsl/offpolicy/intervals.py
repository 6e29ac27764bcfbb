"""Two intervals for a mean of heavy-tailed terms, and what says that there is too little to have one. Arrays only.

The bootstrap is short and may be too short when a few rounds decide; empirical Bernstein (Maurer & Pontil 2009, theorem
4) never is, if its bound on the terms is true, and pays for that in width.
"""

import math

import numpy as np

FEWEST_EFFECTIVE = 100  # rounds' worth of weight
FEWEST_REWARDS = 10  # rounds' worth of weighted reward
SIDES = 2


def lots(n: int, times: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n rounds is drawn in each resample: float32 [times, n]."""
    draws = rng.integers(n, size=(times, n))
    draws += n * np.arange(times)[:, None]
    return np.bincount(draws.ravel(), minlength=n * times).reshape(times, n).astype(np.float32)


def percentiles(resampled: np.ndarray, alpha: float = 0.05) -> tuple[float, float]:
    """The bootstrap's ends: quantiles alpha/2 and 1 − alpha/2 of resampled values, nan left out."""
    low, high = np.nanquantile(resampled, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def empirical_bernstein(
    terms: np.ndarray, low: float, high: float, alpha: float = 0.05
) -> tuple[float, float]:
    """mean ± ( sqrt(2 v L / n) + 7 R L / (3 (n − 1)) ), L = log(2·2/alpha), v the sample variance, R = high − low.

    Independent terms [n] that can only be from low to high; the bound is one-sided there, so each side has alpha/2.
    Raises ValueError for a term outside: then the bound is not true, and nothing holds.
    """
    least, most = terms.min(), terms.max()
    if least < low - 1e-9 or most > high + 1e-9:
        raise ValueError(f"terms from {least:g} to {most:g} are not within {low:g} to {high:g}")
    half = _half(terms.var(ddof=1), high - low, len(terms), alpha)
    return float(terms.mean() - half), float(terms.mean() + half)


def _half(variance: float, width: float, n: int, alpha: float) -> float:
    share = math.log(2 * SIDES / alpha)
    return math.sqrt(2 * variance * share / n) + 7 * width * share / (3 * (n - 1))


def self_normalised_bernstein(
    weights: np.ndarray, rewards: np.ndarray, bound: float, alpha: float = 0.05
) -> tuple[float, float]:
    """All θ for which 0 is in the empirical Bernstein interval of the mean of w_i (r_i − θ), rewards from 0 to 1.

    At the policy's value V these terms have mean E[w r] − V E[w] = 0 and lie within bound·[−V, 1 − V], a range of
    `bound`, so V is inside with probability 1 − alpha. Found by bisection between the estimate and 0 and 1.
    """
    if weights.max() > bound * (1 + 1e-9):
        raise ValueError(f"a weight of {weights.max():g} is above the bound {bound:g}")
    n, earned, total = len(weights), float((weights * rewards).mean()), float(weights.mean())
    (v_r, v_rw), (_, v_w) = np.cov(weights * rewards, weights).tolist()

    def inside(theta: float) -> bool:
        variance = max(v_r - 2 * theta * v_rw + theta**2 * v_w, 0.0)
        return abs(earned - theta * total) <= _half(variance, bound, n, alpha)

    middle = earned / total if total > 0 else 0.5
    return _end(inside, middle, 0.0), _end(inside, middle, 1.0)


def _end(inside, middle: float, far: float) -> float:
    """Where `inside` stops on the way from the middle to the far end."""
    if inside(far):
        return far
    near = middle
    for _ in range(40):
        half = (near + far) / 2
        near, far = (half, far) if inside(half) else (near, half)
    return far


def effective_sample_size(weights: np.ndarray) -> float:
    """(Σ w)² / Σ w²: as many equally weighted rounds would vary as little (Kish 1965). 0 if all weights are."""
    square = float((weights**2).sum())
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0


def too_little(weights: np.ndarray, rewards: np.ndarray) -> str:
    """Why nothing should be said, in words, or "". A rule of thumb, tried out in notebook 14, not a theorem."""
    rounds, earned = effective_sample_size(weights), effective_sample_size(weights * rewards)
    if rounds < FEWEST_EFFECTIVE:
        seen = f"{rounds:.0f} effective rounds of {len(weights):,}"
        return f"{seen}, expected {FEWEST_EFFECTIVE} or more"
    if earned < FEWEST_REWARDS:
        seen = f"{earned:.0f} effective rewards of {int((rewards > 0).sum())}"
        return f"{seen}, expected {FEWEST_REWARDS} or more"
    return ""
