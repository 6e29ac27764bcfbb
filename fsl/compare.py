"""From per-task records to claims: means with 95 % intervals, paired differences, the verdict in words.

Knows records only. Intervals resample tasks (users, items) with all draws of one kept together.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.evaluation import RULERS
from fsl.metrics import auc

N_BOOTSTRAP = 2_000
_LOWER_IS_BETTER = ("mae", "mse", "rmse")


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def per_task(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean over seeds of one metric, as a table task × (learner, n_shots); "rmse" reads the records' mse."""
    chosen = records[records["metric"] == ("mse" if metric == "rmse" else metric)]
    return chosen.pivot_table(
        index="task", columns=["learner", "n_shots"], values="value", aggfunc="mean"
    )


def summarise(records: pd.DataFrame, metric: str, seed: int = 0) -> pd.DataFrame:
    """Mean and 95 % interval of a metric per learner and n_shots: columns learner, n_shots, value, low, high, n_tasks.

    RMSE = sqrt(mean over tasks of mse). All learners share the resamples of tasks.
    """
    table = per_task(records, metric)
    finish = np.sqrt if metric == "rmse" else np.asarray
    means = finish(_resampled_means(table.to_numpy(), seed))
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    result = table.columns.to_frame(index=False)
    return result.assign(
        value=finish(table.mean().to_numpy()), low=low, high=high, n_tasks=len(table)
    )


def paired_difference(
    records: pd.DataFrame, learner: str, reference: str, metric: str, n_shots: int, seed: int = 0
) -> Interval:
    """`learner` minus `reference` over the same tasks; for an error, below 0 means that `learner` is better."""
    table = per_task(records, metric)
    pair = table[[(learner, n_shots), (reference, n_shots)]].dropna().to_numpy()
    finish = np.sqrt if metric == "rmse" else np.asarray
    ours, theirs = finish(pair.mean(0))
    resampled = finish(_resampled_means(pair, seed))
    low, high = np.quantile(resampled[:, 0] - resampled[:, 1], [0.025, 0.975])
    return Interval(float(ours - theirs), float(low), float(high))


def auc_interval(
    scores: Tensor,
    is_positive: Tensor,
    cluster: Tensor,
    reference: Tensor | None = None,
    seed: int = 0,
) -> Interval:
    """AUC with its 95 % interval over resamples of whole clusters (users); with `reference`, the paired difference.

    scores, reference: [n], higher should be positive. is_positive: bool [n]. cluster: [n]. The difference is the AUC
    of `scores` minus that of `reference` on the same rows and resamples.
    """
    _, cluster = cluster.unique(return_inverse=True)
    n = int(cluster.max()) + 1
    lots = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=500)

    def value(weight: Tensor | None) -> float:
        mine = auc(scores, is_positive, weight)
        return float(mine if reference is None else mine - auc(reference, is_positive, weight))

    low, high = np.quantile([value(torch.from_numpy(lot)[cluster]) for lot in lots], [0.025, 0.975])
    return Interval(value(None), float(low), float(high))


def mean_interval(values: Tensor, seed: int = 0) -> Interval:
    """Mean of independent values [n] with its 95 % percentile bootstrap interval."""
    values = values.double().numpy()
    low, high = np.quantile(_resampled_means(values[:, None], seed), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def _resampled_means(values: np.ndarray, seed: int) -> np.ndarray:
    """Means of N_BOOTSTRAP resamples of the rows: [n_tasks, m] -> [N_BOOTSTRAP, m]."""
    n = len(values)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_BOOTSTRAP) / n
    return weights @ values


def best(records: pd.DataFrame, learners: list[str], metric: str, n_shots: int) -> str:
    """The learner with the best mean at `n_shots`, rulers left out."""
    table = summarise(records, metric).query("n_shots == @n_shots")
    table = table[
        table["learner"].isin([name for name in learners if name not in RULERS])
    ].set_index("learner")
    return table["value"].idxmin() if metric in _LOWER_IS_BETTER else table["value"].idxmax()


def verdict(
    records: pd.DataFrame, baselines: list[str], contenders: list[str], metric: str, n_shots: int
) -> str:
    """One sentence for a shop owner: the best contender against the best baseline, with the paired interval.

    The baseline is the best of its kind on these very tasks, which favours the baselines.
    """
    baseline = best(records, baselines, metric, n_shots)
    contender = best(records, contenders, metric, n_shots)
    gap = paired_difference(records, contender, baseline, metric, n_shots)
    sign = -1 if metric in _LOWER_IS_BETTER else 1
    gain = sorted([sign * gap.low, sign * gap.high])
    known = "1 interaction" if n_shots == 1 else f"{n_shots} interactions"
    numbers = f"{metric.upper()} difference {gap.value:+.3f}, 95 % interval {gap.low:+.3f} to {gap.high:+.3f}"
    if gain[0] > 0:
        return f"After {known}, {contender} beats the best simple baseline, {baseline} ({numbers})."
    if gain[1] < 0:
        return f"After {known}, use {baseline}: {contender}, the best meta-learner here, is worse ({numbers})."
    return f"After {known}, {contender} and the simple {baseline} cannot be told apart ({numbers}): use {baseline}."
