"""The contest of notebook 13: exploration is tuned on validation visitors, for every policy alike, then all are judged.

Test visitors are met once, at the end. Who plays where is in `settings`, who plays in `roster`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from fsl.bandits.play import compete, play
from fsl.bandits.policies import Policy
from fsl.bandits.priors import Prior
from fsl.bandits.roster import priors, roster
from fsl.bandits.rounds import Rounds
from fsl.bandits.settings import Setting


def one_partition(records: pd.DataFrame) -> pd.DataFrame:
    """Records of several partitions as of one, their visitors told apart."""
    task = records["partition"] + ":" + records["task"].astype(str)
    return records.assign(partition="all", task=task)


def contenders(
    setting: Setting,
    fitted: Mapping[str, Sequence[Prior]],
    more: Mapping[str, Sequence[Policy]] | None = None,
    seed: int = 0,
) -> dict[str, Policy]:
    """The roster and `more`, tuned. In a small shop what was chosen is then fitted again on all who are not new."""
    candidates = roster(setting, fitted)
    places = tuned(candidates, setting.validation, setting.n_turns, seed)
    if setting.small:
        again = replace(setting, train=setting.not_new)
        candidates = roster(again, priors(again, seed))
    return {name: some[places[name]] for name, some in candidates.items()} | {
        name: some[0] for name, some in (more or {}).items()
    }


def tuned(
    candidates: Mapping[str, Sequence[Policy]],
    rounds: Mapping[str, Rounds],
    n_turns: int,
    seed: int = 0,
) -> dict[str, int]:
    """Name -> place of the candidate that earns most over all validation visitors; the first of equals."""
    return {name: _best(some, rounds, n_turns, seed) for name, some in candidates.items()}


def _best(some: Sequence[Policy], rounds: Mapping[str, Rounds], n_turns: int, seed: int) -> int:
    if len(some) == 1:
        return 0
    totals = [
        float(sum(play(policy, one, n_turns, seed).sum() for one in rounds.values()))
        for policy in some
    ]
    return int(np.argmax(totals))


def judge(
    policies: Mapping[str, Policy], setting: Setting, seeds: Sequence[int] = (0,)
) -> pd.DataFrame:
    """`compete` on every group of test visitors; its name is the partition."""
    frames = [
        compete(policies, rounds, setting.n_turns, seeds, name)
        for name, rounds in setting.test.items()
    ]
    return pd.concat(frames, ignore_index=True)
