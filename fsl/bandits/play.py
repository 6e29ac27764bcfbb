"""Policies against visitors, turn by turn, as per-visitor records that `fsl.compare` reads. Looks inside no policy."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.bandits.policies import Clairvoyant, Policy, Random
from fsl.bandits.rounds import Rounds

CLAIRVOYANT, RANDOM = "clairvoyant", "random"


def play(policy: Policy, rounds: Rounds, n_turns: int, seed: int = 0) -> Tensor:
    """Each visitor's reward in each turn, float64 [n, n_turns]; 0 once a visitor has left."""
    rounds.start()
    policy.begin(rounds, seed)
    rewards = []
    for _ in range(n_turns):
        places = policy.choose(rounds.open())
        played = rounds.play(places)
        policy.learn(places, played)
        rewards.append(played.reward)
    return torch.stack(rewards, 1)


def compete(
    policies: Mapping[str, Policy],
    rounds: Rounds,
    n_turns: int = 10,
    seeds: Sequence[int] = (0,),
    partition: str = "new users",
) -> pd.DataFrame:
    """Cumulative reward and regret of each policy, the rulers `random` and `clairvoyant` among them, after each turn.

    Policies are fitted already. One record per learner, n_shots (turns so far), seed of the policy's own luck (the
    first alone where it has none), task (visitor) and metric ("reward", "regret"), with the user as group: as
    `fsl.evaluate` gives them. Regret is the clairvoyant's cumulative reward less the policy's, for the same visitor
    with the same luck. Raises ValueError for a taken name.
    """
    if taken := {RANDOM, CLAIRVOYANT} & set(policies):
        raise ValueError(f"the names {RANDOM}, {CLAIRVOYANT} are taken, rename {', '.join(taken)}")
    best = play(Clairvoyant(), rounds, n_turns).cumsum(1)
    named = {CLAIRVOYANT: Clairvoyant(), RANDOM: Random(), **policies}
    frames = []
    for name, policy in named.items():
        for seed in seeds if policy.draws else seeds[:1]:
            reward = play(policy, rounds, n_turns, seed).cumsum(1)
            for metric, values in (("reward", reward), ("regret", best - reward)):
                told = {"learner": name, "partition": partition, "seed": seed, "metric": metric}
                frames.append(as_records(values.numpy(), rounds).assign(**told))
    return pd.concat(frames, ignore_index=True)


def as_records(values: np.ndarray, rounds: Rounds) -> pd.DataFrame:
    """One row per visitor and turn: values [n, n_turns] with n_shots, task and group."""
    n, n_turns = values.shape
    return pd.DataFrame({
        "n_shots": np.tile(np.arange(1, n_turns + 1), n),
        "task": np.repeat(np.arange(n), n_turns),
        "group": np.repeat(rounds.groups, n_turns),
        "value": values.ravel(),
    })  # fmt: skip
