"""What one policy showed and what came of it. Knows arrays only."""

from dataclasses import dataclass

import numpy as np

from fsl.errors import InputError


@dataclass(frozen=True, eq=False)
class Log:
    """n rounds. actions: int [n], what was shown, below n_actions. rewards: [n], each from 0 to 1.

    propensities: [n], the chance that the logging policy gave to what it showed. contexts: int [n], the context of each
    round, a row of a policy's table. A policy is a table [n_contexts, n_actions] of chances, rows adding up to 1.
    Raises InputError for what is no such thing.
    """

    contexts: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    propensities: np.ndarray
    n_actions: int

    def __post_init__(self):
        n = len(self.actions)
        sizes = [len(x) for x in (self.contexts, self.rewards, self.propensities)]
        if n < 2 or set(sizes) != {n}:
            got = f"got {[n, *sizes]}"
            raise InputError(f"a log needs 2 rounds or more and columns of one length, {got}.")
        if not ((self.actions >= 0) & (self.actions < self.n_actions)).all():
            seen = f"{self.actions.min()} to {self.actions.max()}"
            raise InputError(f"actions from {seen}, expected 0 to {self.n_actions - 1}.")
        p, r = self.propensities, self.rewards
        _check("propensity", p, (p > 0) & (p <= 1), "above 0 and at most 1")
        _check("reward", r, (r >= 0) & (r <= 1), "0 to 1; divide by the largest there can be")

    def __len__(self) -> int:
        return len(self.actions)

    def chances(self, policy: np.ndarray) -> np.ndarray:
        """A policy's chances in each round, [n, n_actions]. Raises InputError if the table does not fit."""
        shape = (int(self.contexts.max()) + 1, self.n_actions)
        if policy.ndim != 2 or policy.shape[0] < shape[0] or policy.shape[1] != shape[1]:
            wanted = f"{shape[0]} contexts × {shape[1]} actions"
            raise InputError(f"a policy needs a table of {wanted}, got {policy.shape}.")
        if (policy < 0).any() or not np.allclose(policy.sum(1), 1):
            said = "must be 0 or above and add up to 1 in each context"
            raise InputError(f"a policy's chances {said}.")
        return policy[self.contexts]


def _check(name: str, values: np.ndarray, fine: np.ndarray, wanted: str) -> None:
    """Raises InputError for the first round whose value is not fine."""
    if not fine.all():
        row = int(fine.argmin())
        raise InputError(f"round {row + 1}: {name} {values[row]:g}, expected {wanted}.")
