"""From per-task records to claims: means with 95 % intervals, paired differences, the verdict in words.

Knows records only; the intervals are those of `fsl.bootstrap`, over whole groups (users, items), and re-exported here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fsl.bootstrap import (
    FEWEST,
    N_BOOTSTRAP,
    Interval,
    auc_interval,
    mean_interval,
    percentile_interval,
    resampled_means,
)
from fsl.evaluation import RULERS

__all__ = [
    "FEWEST", "N_BOOTSTRAP", "Contest", "Interval", "against", "auc_interval", "best", "cheapest_as_good", "contest",
    "differences", "groups_of", "holm", "lower_is_better", "mean_interval", "paired_difference", "per_task",
    "summarise", "with_intervals",
]  # fmt: skip

_LOWER_IS_BETTER = ("mae", "mse", "rmse", "rounded_mae", "logloss")


def lower_is_better(metric: str) -> bool:
    """Whether the metric is an error or a loss; all others, rankings among them, are better the higher."""
    return metric in _LOWER_IS_BETTER


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
    means = finish(resampled_means(table.to_numpy(), seed, groups_of(table)))
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    result = table.columns.to_frame(index=False)
    return result.assign(
        value=finish(table.mean().to_numpy()), low=low, high=high, n_tasks=table.count().to_numpy()
    )


def paired_difference(
    records: pd.DataFrame, learner: str, reference: str, metric: str, n_shots: int, seed: int = 0
) -> Interval:
    """`learner` minus `reference` over the same tasks; for an error, below 0 means that `learner` is better."""
    return _difference(per_task(records, metric), learner, reference, metric, n_shots, seed)


def _difference(
    table: pd.DataFrame, learner: str, reference: str, metric: str, n_shots: int, seed: int = 0
) -> Interval:
    """`paired_difference` from a `per_task` table."""
    pair = table[[(learner, n_shots), (reference, n_shots)]].dropna()
    return percentile_interval(*_paired(pair, metric, seed))


def _paired(pair: pd.DataFrame, metric: str, seed: int) -> tuple[float, np.ndarray]:
    """First minus second column: the difference of their means, and that of each resample."""
    finish = np.sqrt if metric == "rmse" else np.asarray
    ours, theirs = finish(pair.to_numpy().mean(0))
    resampled = finish(resampled_means(pair.to_numpy(), seed, groups_of(pair)))
    return float(ours - theirs), resampled[:, 0] - resampled[:, 1]


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
        line = vars(percentile_interval(value, resampled)) | {
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


def groups_of(table: pd.DataFrame) -> np.ndarray:
    """The group of each line of a `per_task` table, as a number from 0."""
    return pd.factorize(table.index.get_level_values("group"))[0]


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
    table = per_task(records, metric)
    for name in by_cost:
        gap = _difference(table, name, winner, metric, n_shots)
        if name == winner or min(sign * gap.low, sign * gap.high) <= 0:
            return name
    return winner


def differences(records: pd.DataFrame, reference: str, metric: str) -> pd.DataFrame:
    """`paired_difference` of every learner to `reference` at every K: columns learner, n_shots, value, low, high."""
    table = per_task(records, metric)
    rows = [
        {"learner": name, "n_shots": k, **vars(_difference(table, name, reference, metric, k))}
        for name, k in table.columns
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
