"""Do predicted probabilities keep their word? The calibration error, from per-task records. Knows records only."""

import numpy as np
import pandas as pd

from fsl.bootstrap import resampled_means
from fsl.compare import groups_of
from fsl.measures import GAPS


def calibration_errors(records: pd.DataFrame, n_shots: int, seed: int = 0) -> pd.DataFrame:
    """ECE = Σ_bins |mean over tasks of the bin's gap|, ten bins of equal width, with a 95 % interval.

    records: of one partition, with the measures `fsl.measures.GAPS`. The gap of a task and bin is the mean over its
    query of (y − p) where p falls into the bin, so every task weighs the same (Naeini, Cooper & Hauskrecht 2015, has it
    for rows). The interval resamples groups (users); noise adds to an error that cannot be negative, so that value and
    interval lie a little high where there are few tasks. A learner without probabilities is left out.
    Columns learner, value, low, high, n_tasks.
    """
    here = records[(records["n_shots"] == n_shots) & records["metric"].isin(GAPS)]
    lines = []
    for name, part in here.dropna(subset=["value"]).groupby("learner", sort=False):
        table = part.pivot_table(index=["group", "task"], columns="metric", values="value")
        value = table.mean().abs().sum()
        means = resampled_means(table.to_numpy(), seed, groups_of(table))
        low, high = np.quantile(np.abs(means).sum(1), [0.025, 0.975])
        lines.append((name, float(value), float(low), float(high), len(table)))
    return pd.DataFrame(lines, columns=["learner", "value", "low", "high", "n_tasks"])
