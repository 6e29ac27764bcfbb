"""A policy judged from a log: all estimators, both intervals, and whether to believe any. Knows a `Log`, no file."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fsl.offpolicy import estimators
from fsl.offpolicy.intervals import (
    effective_sample_size,
    empirical_bernstein,
    lots,
    percentiles,
    self_normalised_bernstein,
    too_little,
)
from fsl.offpolicy.log import Log
from fsl.offpolicy.reward_model import STRENGTH, cell_means, cross_fitted

ESTIMATORS = ("IPS", "SNIPS", "DM", "DR")
COLUMNS = ("value", "low", "high", "eb_low", "eb_high")
N_BOOTSTRAP = 1_000


@dataclass(frozen=True, eq=False)
class Evaluation:
    """table: a line per estimator: value, low, high (bootstrap), eb_low, eb_high (empirical Bernstein; DM has none).

    effective: effective sample size, rounds. bound: the largest weight there can be, which empirical Bernstein rests
    on. largest: the largest there was. mean_weight with its bootstrap interval: 1, unless the propensities or the
    policy are not what they are said to be. warning: why nothing should be said, or "".
    """

    table: pd.DataFrame
    effective: float
    bound: float
    largest: float
    mean_weight: tuple[float, float, float]
    warning: str


def evaluate_policy(
    log: Log,
    policy: np.ndarray,
    bound: float,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
    n_folds: int = 5,
    alpha: float = 0.05,
    resamples: np.ndarray | None = None,
) -> Evaluation:
    """Value of `policy` [n_contexts, n_actions] from the log of another: mean reward per round, from 0 to 1.

    bound: the largest of π(a|x)/μ(a|x) over all contexts and actions, from the policies, not from the log. groups: int
    [n], what the reward model knows of each context (the context itself unless given). resamples: `lots` drawn before.
    Empirical Bernstein for DR takes the cross-fitted model as given. All ends are cut to 0 and 1, where values lie.
    """
    target = log.chances(policy)
    w = estimators.importance(target, log.actions, log.propensities)
    groups = log.contexts if groups is None else groups
    n_groups = int(groups.max()) + 1
    q = cross_fitted(groups, log.actions, log.rewards, n_groups, log.n_actions, n_folds, rng)
    draws = lots(len(log), N_BOOTSTRAP, rng) if resamples is None else resamples
    dr = estimators.doubly_robust(target, q, log.actions, w, log.rewards)
    means = draws @ np.column_stack([w * log.rewards, w, dr]).astype(np.float32) / len(log)
    direct, again = _direct(log, target, groups, n_groups, draws)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = means[:, 0] / means[:, 1]
    bernstein = (
        empirical_bernstein(w * log.rewards, 0, bound, alpha),
        self_normalised_bernstein(w, log.rewards, bound, alpha),
        (np.nan, np.nan),
        empirical_bernstein(dr, -bound, 1 + bound, alpha),
    )
    found = (
        ((w * log.rewards).mean(), means[:, 0]),
        (estimators.snips(w, log.rewards), ratio),
        (direct, again),
        (dr.mean(), means[:, 2]),
    )
    columns = [(value, *np.clip((*percentiles(drawn, alpha), *ends), 0, 1))
               for (value, drawn), ends in zip(found, bernstein, strict=True)]  # fmt: skip
    table = pd.DataFrame(columns, ESTIMATORS, COLUMNS).rename_axis("estimator").reset_index()
    mean_weight = (float(w.mean()), *percentiles(means[:, 1], alpha))
    about = (effective_sample_size(w), bound, float(w.max()), mean_weight)
    return Evaluation(table, *about, too_little(w, log.rewards))


def _direct(log: Log, target, groups, n_groups: int, draws) -> tuple[float, np.ndarray]:
    """The direct method with a model of all rounds, and of each resample a model of its own: value, [times]."""
    n, n_cells = len(log), n_groups * log.n_actions
    cells = groups * log.n_actions + log.actions
    q = cell_means(cells, log.rewards, n_cells).reshape(n_groups, -1)
    shown, earned, wanted = tables = np.zeros((3, n, n_cells), np.float32)
    shown[np.arange(n), cells] = 1
    earned[np.arange(n), cells] = log.rewards
    for group in range(n_groups):
        rows = groups == group
        place = slice(group * log.n_actions, (group + 1) * log.n_actions)
        wanted[rows, place] = target[rows]
    counts, sums, demand = (draws @ table for table in tables)
    overall = sums.sum(1, keepdims=True) / n
    means = (sums + STRENGTH * overall) / (counts + STRENGTH)
    return float(estimators.direct(target, q[groups]).mean()), (demand * means).sum(1) / n
