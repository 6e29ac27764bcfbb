"""Expected reward of each action by shrunk means, fitted apart from the rounds it is used on. Arrays only."""

import numpy as np

STRENGTH = 20.0  # rounds' worth of the overall mean that each cell starts with


def cell_means(
    cells: np.ndarray, rewards: np.ndarray, n_cells: int, strength: float = STRENGTH
) -> np.ndarray:
    """(Σ r + κ r̄) / (n + κ) in each cell, r̄ the mean of all, κ = strength. cells: int [n]. Returns [n_cells]."""
    counts = np.bincount(cells, minlength=n_cells)
    sums = np.bincount(cells, rewards, minlength=n_cells)
    return (sums + strength * rewards.mean()) / (counts + strength)


def cross_fitted(
    groups: np.ndarray, actions: np.ndarray, rewards: np.ndarray, n_groups: int, n_actions: int,
    n_folds: int, rng: np.random.Generator, strength: float = STRENGTH,
) -> np.ndarray:  # fmt: skip
    """q [n, n_actions]: cell means of (group, action), each round's from other folds (Chernozhukov et al. 2018).

    groups: int [n], what the model knows of the context.
    """
    cells = groups * n_actions + actions
    fold = rng.permutation(len(actions)) % n_folds
    q = np.empty((len(actions), n_actions))
    for k in range(n_folds):
        others = fold != k
        means = cell_means(cells[others], rewards[others], n_groups * n_actions, strength)
        q[~others] = means.reshape(n_groups, n_actions)[groups[~others]]
    return q
