"""From per-task records to claims: means with 95 % intervals, paired differences, the verdict in words.

Knows records only. Intervals resample groups (users, items): all tasks and draws of one are kept together. Fewer than
FEWEST groups are refused with an InputError.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.errors import InputError
from fsl.evaluation import RULERS
from fsl.metrics import auc

N_BOOTSTRAP = 2_000
FEWEST = 5  # below that a bootstrap interval is far too narrow to be shown
_LOWER_IS_BETTER = ("mae", "mse", "rmse", "logloss")


def lower_is_better(metric: str) -> bool:
    """Whether the metric is an error or a loss; all others, rankings among them, are better the higher."""
    return metric in _LOWER_IS_BETTER


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float

    def __format__(self, sign: str) -> str:
        return f"{self.value:{sign}.3f} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"

    def __str__(self) -> str:
        return format(self)


def per_task(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean over seeds of one metric, as a table (group, task) × (learner, n_shots); "rmse" reads the records' mse.

    Raises ValueError for records of several partitions: their mean would mean nothing.
    """
    if "partition" in records and records["partition"].nunique() > 1:
        raise ValueError(
            f"records of one partition are wanted, got {records['partition'].nunique()}"
        )
    chosen = records[records["metric"] == ("mse" if metric == "rmse" else metric)]
    if "group" not in chosen:
        chosen = chosen.assign(group=chosen["task"])
    return chosen.pivot_table(
        index=["group", "task"], columns=["learner", "n_shots"], values="value", aggfunc="mean"
    )


def summarise(records: pd.DataFrame, metric: str, seed: int = 0) -> pd.DataFrame:
    """Mean and 95 % interval of a metric per learner and n_shots: columns learner, n_shots, value, low, high, n_tasks.

    RMSE = sqrt(mean over tasks of mse). All learners share the resamples of tasks.
    """
    table = per_task(records, metric)
    finish = np.sqrt if metric == "rmse" else np.asarray
    means = finish(_resampled_means(table.to_numpy(), seed, _groups(table)))
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    result = table.columns.to_frame(index=False)
    return result.assign(
        value=finish(table.mean().to_numpy()), low=low, high=high, n_tasks=table.count().to_numpy()
    )


def paired_difference(
    records: pd.DataFrame, learner: str, reference: str, metric: str, n_shots: int, seed: int = 0
) -> Interval:
    """`learner` minus `reference` over the same tasks; for an error, below 0 means that `learner` is better."""
    table = per_task(records, metric)
    pair = table[[(learner, n_shots), (reference, n_shots)]].dropna()
    return _interval(*_paired(pair, metric, seed))


def _paired(pair: pd.DataFrame, metric: str, seed: int) -> tuple[float, np.ndarray]:
    """First minus second column: the difference of their means, and that of each resample."""
    finish = np.sqrt if metric == "rmse" else np.asarray
    ours, theirs = finish(pair.to_numpy().mean(0))
    resampled = finish(_resampled_means(pair.to_numpy(), seed, _groups(pair)))
    return float(ours - theirs), resampled[:, 0] - resampled[:, 1]


def _interval(value: float, resampled: np.ndarray) -> Interval:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def against(
    records: pd.DataFrame,
    reference: str,
    learners: Sequence[str],
    metric: str,
    n_shots: int,
    seed: int = 0,
) -> pd.DataFrame:
    """Each of `learners` minus `reference`, paired: columns learner, value, low, high, p, p_holm, win_share, n_tasks.

    p: two-sided, from the same resamples as the interval, (1 + the rarer sign's count) / (1 + resamples) · 2, at most
    1. p_holm: Holm's step-down adjustment over `learners` (Holm 1979): below .05 the difference stands although so
    many were looked at. win_share: share of tasks on which the learner is the better; equal ones count half.
    """
    table, lines = per_task(records, metric), []
    sign = -1 if metric in _LOWER_IS_BETTER else 1
    for name in learners:
        pair = table[[(name, n_shots), (reference, n_shots)]].dropna()
        value, resampled = _paired(pair, metric, seed)
        rarer = min((resampled <= 0).sum(), (resampled >= 0).sum())
        ahead = sign * (pair.iloc[:, 0] - pair.iloc[:, 1]).to_numpy()
        line = vars(_interval(value, resampled)) | {
            "p": min(1.0, 2 * (1 + rarer) / (1 + len(resampled))),
            "win_share": float(((ahead > 0) + 0.5 * (ahead == 0)).mean()),
            "n_tasks": len(pair),
        }
        lines.append({"learner": name, **line})
    found = pd.DataFrame(lines)
    found.insert(5, "p_holm", holm(found["p"].to_numpy()))
    return found


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values: max over j ≤ i of (m − j) p_(j), j from 0, at most 1 (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    adjusted = np.empty(len(p))
    adjusted[order] = steps
    return adjusted


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
    n = int(cluster.max()) + 1 if len(cluster) else 0
    lots = _lots(n, n, 500, seed)

    def value(weight: Tensor | None) -> float:
        if weight is not None and not 0 < (weight * is_positive).sum() < weight.sum():
            return float("nan")  # a resample without one of the two classes says nothing
        mine = auc(scores, is_positive, weight)
        return float(mine if reference is None else mine - auc(reference, is_positive, weight))

    low, high = np.nanquantile(
        [value(torch.from_numpy(lot)[cluster]) for lot in lots], [0.025, 0.975]
    )
    return Interval(value(None), float(low), float(high))


def mean_interval(values: Tensor, seed: int = 0) -> Interval:
    """Mean of independent values [n] with its 95 % percentile bootstrap interval."""
    values = values.double().numpy()
    if not np.isfinite(values).all():
        raise ValueError("values must be finite")
    low, high = np.quantile(_resampled_means(values[:, None], seed), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def _groups(table: pd.DataFrame) -> np.ndarray:
    """The group of each line of a `per_task` table, as a number from 0."""
    return pd.factorize(table.index.get_level_values("group"))[0]


def _resampled_means(values: np.ndarray, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Means of N_BOOTSTRAP resamples of whole groups, NaN left out: [n_tasks, m] -> [N_BOOTSTRAP, m]."""
    groups = np.arange(len(values)) if groups is None else groups
    known = ~np.isnan(values)
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    some = min((len(np.unique(groups[column])) for column in known.T), default=0)
    lots = _lots(some, n_groups, N_BOOTSTRAP, seed)
    sums, counts = (_by_group(x, groups, n_groups) for x in (np.where(known, values, 0), known))
    return (lots @ sums) / np.maximum(lots @ counts, 1)


def _by_group(values: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    if n_groups == len(values):  # a group for each task: nothing to add up, and no rounding
        order = np.argsort(groups)
        return values[order].astype(float)
    sums = np.zeros((n_groups, values.shape[1]))
    np.add.at(sums, groups, values)
    return sums


def _lots(n_known: int, n: int, times: int, seed: int) -> np.ndarray:
    """How often each of n tasks is drawn in each resample, [times, n]; `n_known` of them have a value."""
    if n_known < FEWEST:
        raise InputError(
            f"{n_known} test tasks are too few for an interval: at least {FEWEST} are needed"
        )
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=times)


def best(records: pd.DataFrame, learners: Sequence[str], metric: str, n_shots: int) -> str:
    """The learner with the best mean at `n_shots`, rulers left out."""
    table = summarise(records, metric).query("n_shots == @n_shots")
    table = table[
        table["learner"].isin([name for name in learners if name not in RULERS])
    ].set_index("learner")
    return table["value"].idxmin() if metric in _LOWER_IS_BETTER else table["value"].idxmax()


@dataclass(frozen=True)
class Contest:
    """The best contender against the best baseline at one K: who they are, and contender minus baseline, paired."""

    baseline: str
    contender: str
    metric: str
    n_shots: int
    gap: Interval

    @property
    def outcome(self) -> str:
        """ "beats", "cannot be told from" or "loses to", by whether the 95 % interval leaves 0 out."""
        sign = -1 if self.metric in _LOWER_IS_BETTER else 1
        worst, most = sorted([sign * self.gap.low, sign * self.gap.high])
        return "beats" if worst > 0 else "loses to" if most < 0 else "cannot be told from"

    def __str__(self) -> str:
        known = f"{self.n_shots} behaviour{'s' * (self.n_shots != 1)} known"
        return (
            f"With {known}, {self.contender} {self.outcome} {self.baseline}, the best simple method "
            f"({self.metric.upper()} difference {self.gap.value:+.3f}, 95 % interval {self.gap.low:+.3f} "
            f"to {self.gap.high:+.3f})."
        )


def contest(
    records: pd.DataFrame,
    baselines: Sequence[str],
    contenders: Sequence[str],
    metric: str,
    n_shots: int,
):
    """The `Contest` at `n_shots`. Both sides are the best of their kind on these very tasks."""
    baseline = best(records, baselines, metric, n_shots)
    contender = best(records, contenders, metric, n_shots)
    gap = paired_difference(records, contender, baseline, metric, n_shots)
    return Contest(baseline, contender, metric, n_shots, gap)


def cheapest_as_good(
    records: pd.DataFrame, by_cost: Sequence[str], metric: str, n_shots: int
) -> str:
    """The first of `by_cost` (cheapest first) that the best does not beat: 0 is in the paired interval."""
    winner = best(records, by_cost, metric, n_shots)
    sign = 1 if metric in _LOWER_IS_BETTER else -1
    for name in by_cost:
        gap = paired_difference(records, name, winner, metric, n_shots)
        if name == winner or min(sign * gap.low, sign * gap.high) <= 0:
            return name
    return winner


def differences(records: pd.DataFrame, reference: str, metric: str) -> pd.DataFrame:
    """`paired_difference` of every learner to `reference` at every K: columns learner, n_shots, value, low, high."""
    rows = [
        {
            "learner": name,
            "n_shots": k,
            **vars(paired_difference(records, name, reference, metric, k)),
        }
        for name, k in per_task(records, metric).columns
    ]
    return pd.DataFrame(rows)


def with_intervals(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Learner × K, each cell "value [low, high]" (95 %): the best at the largest K on top, rulers below."""
    table = summarise(records, metric)
    cells = [f"{row.value:.3f} [{row.low:.2f}, {row.high:.2f}]" for row in table.itertuples()]
    words = table.assign(cell=cells).pivot(index="learner", columns="n_shots", values="cell")
    last = table[table["n_shots"] == table["n_shots"].max()].set_index("learner")["value"]
    order = last.sort_values(ascending=metric in _LOWER_IS_BETTER).index
    order = sorted(order, key=lambda name: name in RULERS)
    return words.loc[order].rename(columns="K = {}".format).rename_axis(index=None, columns=None)
