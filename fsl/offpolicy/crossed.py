"""Each policy judged from the other's log, beside what its own log says. Knows campaigns and evaluations, no file."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from fsl.offpolicy.evaluation import evaluate_policy
from fsl.offpolicy.log import Log
from fsl.offpolicy.open_bandit import SMALLEST, Campaign

DIRECTIONS = (("random", "bts"), ("random", "bts as it ran"), ("bts", "random"))
PER = 1_000  # clicks are told per thousand rounds


def own_value(log: Log) -> tuple[float, float, float]:
    """Clicks per round of a log of 0s and 1s, with the exact 95 % interval (Clopper & Pearson 1934)."""
    k, n = int(log.rewards.sum()), len(log)
    ends = binomtest(k, n).proportion_ci(method="exact")
    return k / n, float(ends.low), float(ends.high)


def weight_bound(table: np.ndarray, logged: np.ndarray | None) -> float:
    """Largest weight: max π/μ, μ the logging policy's table; without one (BTS has no floor) SMALLEST stands for it."""
    return float((table / logged).max() if logged is not None else table.max() / SMALLEST)


def crossed(campaigns: Iterable[Campaign], rng: np.random.Generator) -> pd.DataFrame:
    """A line per campaign, direction and estimator, values in clicks per 1,000 rounds.

    Columns: campaign, log, policy, estimator, value, low, high, eb_low, eb_high, own, own_low, own_high (by the judged
    policy's own log), effective, largest, bound, mean_weight, mean_weight_low, mean_weight_high, warning.
    """
    frames = []
    for campaign in campaigns:
        for logged, policy in DIRECTIONS:
            log, table = campaign.logs[logged], campaign.tables[policy]
            uniform = campaign.tables["random"] if logged == "random" else None
            found = evaluate_policy(log, table, weight_bound(table, uniform), rng)
            ends = ["value", "low", "high", "eb_low", "eb_high"]
            lines = found.table.assign(**{end: PER * found.table[end] for end in ends})
            about = {"campaign": campaign.name, "log": logged, "policy": policy}
            own = np.multiply(PER, own_value(campaign.logs[policy.split()[0]]))
            told = dict(zip(("own", "own_low", "own_high"), own, strict=True))
            weights = ("mean_weight", "mean_weight_low", "mean_weight_high")
            told |= dict(zip(weights, found.mean_weight, strict=True))
            told |= {"effective": found.effective, "largest": found.largest}
            told |= {"bound": found.bound, "warning": found.warning}
            frames.append(lines.assign(**about, **told))
    table = pd.concat(frames, ignore_index=True)
    first = ["campaign", "log", "policy", "estimator"]
    return table[first + [column for column in table if column not in first]]
