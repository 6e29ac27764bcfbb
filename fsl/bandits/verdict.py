"""From records of play to claims: paired differences for every group of visitors, and the share of regret saved.

Knows records only, as `compete` gives them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fsl.compare import N_BOOTSTRAP, Interval, paired_difference, per_task


def gains(
    records: pd.DataFrame, ours: Sequence[str], rivals: Sequence[str], n_turns: int
) -> dict[tuple[str, str, str], Interval]:
    """(partition, ours, rival) -> cumulative reward after `n_turns`, ours minus the rival's, paired over visitors."""
    told = records[(records["n_shots"] == n_turns) & (records["metric"] == "reward")]
    return {
        (name, one, rival): paired_difference(part, one, rival, "reward", n_turns)
        for name, part in told.groupby("partition", sort=False)
        for one in ours
        for rival in rivals
        if {one, rival} <= set(part["learner"])
    }


def gains_table(found: dict[tuple[str, str, str], Interval]) -> pd.DataFrame:
    """Rows: ours minus a rival; columns: partitions; "+0.41 [+0.30, +0.52]", with a star where 0 is outside."""
    rows: dict[str, dict[str, str]] = {}
    for (partition, one, rival), gap in found.items():
        star = " *" if gap.low > 0 or gap.high < 0 else ""
        told = f"{gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]{star}"
        rows.setdefault(f"{one} minus {rival}", {})[partition] = told
    return pd.DataFrame(rows).T


def regret_saved(
    records: pd.DataFrame, ours: str, rival: str, n_turns: int, seed: int = 0
) -> Interval:
    """1 − (mean regret of ours) / (mean regret of the rival) after `n_turns`, 95 % interval by resampling users."""
    told = records[(records["n_shots"] == n_turns) & records["learner"].isin([ours, rival])]
    pair = per_task(told, "regret")[[(ours, n_turns), (rival, n_turns)]]
    users = pd.factorize(pair.index.get_level_values("group"))[0]
    sums = np.zeros((users.max() + 1, 2))
    np.add.at(sums, users, pair.to_numpy())
    lots = np.random.default_rng(seed).multinomial(
        len(sums), np.full(len(sums), 1 / len(sums)), N_BOOTSTRAP
    )
    mine, theirs = (lots @ sums).T
    low, high = np.quantile(1 - mine / theirs, [0.025, 0.975])
    return Interval(float(1 - sums[:, 0].sum() / sums[:, 1].sum()), float(low), float(high))
