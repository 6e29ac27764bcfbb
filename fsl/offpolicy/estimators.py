"""Four estimates of a policy's value from another's log, as terms per round whose mean is the estimate. Arrays only.

target: [n, n_actions], the judged policy's chances in each round. q: [n, n_actions], expected reward by a model.
Sources: Horvitz & Thompson (1952); Swaminathan & Joachims (2015) for self-normalising; Dudík, Langford & Li (2011).
"""

import numpy as np


def importance(target: np.ndarray, actions: np.ndarray, propensities: np.ndarray) -> np.ndarray:
    """w_i = π(a_i | x_i) / μ(a_i | x_i): how much likelier the judged policy was to show it. [n], 1 in expectation."""
    return target[np.arange(len(actions)), actions] / propensities


def ips(weights: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """Inverse propensity scoring: w_i r_i. Unbiased if μ never rules out what π may show."""
    return weights * rewards


def snips(weights: np.ndarray, rewards: np.ndarray) -> float:
    """Self-normalised: Σ w_i r_i / Σ w_i. Biased by 1/n, never beyond the rewards, steadier. nan if all w are 0."""
    total = weights.sum()
    return float((weights * rewards).sum() / total) if total > 0 else float("nan")


def direct(target: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Direct method: Σ_a π(a | x_i) q(x_i, a). As good as the model, and blind to where it is wrong."""
    return (target * q).sum(1)


def doubly_robust(
    target: np.ndarray, q: np.ndarray, actions: np.ndarray, weights: np.ndarray, rewards: np.ndarray
) -> np.ndarray:
    """Σ_a π(a | x_i) q(x_i, a) + w_i (r_i − q(x_i, a_i)): unbiased if the propensities *or* the model are right.

    The model must not have seen round i.
    """
    return direct(target, q) + weights * (rewards - q[np.arange(len(actions)), actions])
