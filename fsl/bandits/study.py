"""The study of notebook 13: who plays where. Settings (train, validation, test visitors), the roster, and its tuning.

Exploration is tuned on validation visitors, for every policy alike; test visitors are met once, at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch

from fsl.bandits.adapted import Adapted
from fsl.bandits.play import compete, play
from fsl.bandits.policies import UCB, EpsilonGreedy, Greedy, Policy, Popular, Thompson
from fsl.bandits.priors import FlatPrior, MetaPrior, Prior, ProcessPrior
from fsl.bandits.rounds import ReplayRounds, Rounds, ShopRounds
from fsl.cold_start.phones import without_copies
from fsl.data import Shop
from fsl.environment.rules import Rules
from fsl.environment.visits import Visits
from fsl.errors import InputError
from fsl.learners import ShrunkBias, UserKNN
from fsl.learners.family import recommender
from fsl.learners.inner_folds import folds_by_group
from fsl.simulate import SCENE_NAMES
from fsl.tasks import Split, Tasks, scene_tasks, split_tasks, user_tasks

FRACTIONS = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class Setting:
    """Training tasks, and visitors to tune on and to be judged on, by name (a scene, or "new users")."""

    train: Tasks
    validation: Mapping[str, Rounds]
    test: Mapping[str, Rounds]
    n_turns: int
    n_factors: int = 4
    small: bool = False


def shop_setting(
    shop: Shop, n_turns: int = 10, seed: int = 0, rules: Rules | None = None
) -> Setting:
    """Each held-out user of a simulated shop visits once every scene that the user's log knows. Simulated."""
    tasks = scene_tasks(shop)
    split = split_tasks(tasks, torch.Generator().manual_seed(seed), FRACTIONS)
    rules = Rules(n_turns=n_turns) if rules is None else rules

    def rounds(part: Tasks) -> dict[str, Rounds]:
        found = {}
        for scene in SCENE_NAMES:
            visits = Visits.of_shop(shop, user_rows(shop, part), scene, rules, seed)
            found[scene] = ShopRounds(visits, tasks, shop, np.arange(len(visits.pairs)))
        return found

    return Setting(split.train, rounds(split.validation), rounds(split.test), n_turns, n_factors=7)


def user_rows(shop: Shop, part: Tasks) -> np.ndarray:
    """Rows of the shop's users that scene-tasks are about."""
    users = part.subject_ids[part.subjects.numpy()].get_level_values(0).unique()
    return np.flatnonzero(shop.users["user"].isin(users))


def replay_settings(
    shop: Shop, n_turns: int = 10, least: int = 20, n_folds: int = 5, seed: int = 0
) -> list[Setting]:
    """Real ratings, replayed: every user is new in one fold; who rated fewer than `least` items only trains.

    Who answered a survey twice is in once. Of the training users one in eight serves to tune on. Raises InputError
    where nobody rated that many.
    """
    tasks = without_copies(user_tasks(shop))
    if not (tasks.sizes >= least).any():
        raise InputError(
            f"{shop.name}: nobody rated {least} items, the most is {int(tasks.sizes.max())}: lower the arms or turns"
        )
    small = tasks.n_rows <= 4_000
    return [
        _replayed(train, test, n_turns, least, small, seed)
        for train, test in folds_by_group(tasks, n_folds, seed)
    ]


def _replayed(train: Tasks, test: Tasks, n_turns: int, least: int, small: bool, seed: int):
    generator = torch.Generator().manual_seed(seed)
    inner = Split(*split_tasks(train, generator, (0.875, 0.125, 0.0)))
    validation, tested = (
        part.subset((part.sizes >= least).nonzero()[:, 0]) for part in (inner.validation, test)
    )
    chosen_on = {"new users": ReplayRounds(validation)}
    judged_on = {"new users": ReplayRounds(tested)} if len(tested) else {}
    return Setting(inner.train, chosen_on, judged_on, n_turns, small=small)


def priors(setting: Setting, seed: int = 0) -> dict[str, Sequence[Prior]]:
    """Name -> fitted priors to choose from. "meta": the Bayesian linear head's; "process": for shops of few ratings."""
    train = setting.train
    shrinkage = 10.0 if setting.n_factors > 4 else 50.0
    meta = MetaPrior(setting.n_factors, subject_shrinkage=shrinkage, seed=seed).fit(train)
    found = {
        "flat": [FlatPrior(width).fit(train) for width in (0.3, 1.0, 3.0)],
        "flat, learned features": [FlatPrior(width, meta).fit(train) for width in (0.3, 1.0)],
        "meta": [meta],
    }
    if setting.small:
        found["process"] = [ProcessPrior().fit(train)]
    return found


def roster(setting: Setting, fitted: Mapping[str, Sequence[Prior]]) -> dict[str, list[Policy]]:
    """Name -> candidates that differ in how much they explore (and a flat prior in how wide it is)."""
    found: dict[str, list[Policy]] = {
        "most rated": [Popular("count")],
        "best rated": [Popular(shrinkage=s) for s in (2.0, 5.0, 20.0)],
    }
    for name, some in fitted.items():
        if not name.startswith("flat"):
            found[f"{name} greedy"] = [Greedy(prior) for prior in some]
        if name == "flat":
            epsilons = (0.05, 0.2)
            found[f"{name} ε-greedy"] = [
                EpsilonGreedy(p, epsilon=e) for p, e in product(some, epsilons)
            ]
        found[f"{name} UCB"] = [UCB(p, width=w) for p, w in product(some, (0.3, 1.0, 1.5))]
        found[f"{name} Thompson"] = [Thompson(p, scale=s) for p, s in product(some, (0.3, 1.0))]
    for name in ("most rated", "best rated"):
        found[name] = [policy.fit(setting.train) for policy in found[name]]
    return found


def adapted(setting: Setting, n_iterations: int = 200, seed: int = 0) -> dict[str, list[Policy]]:
    """Few-shot learners of the other notebooks as greedy policies, fitted."""
    learners = {
        "bias, greedy": ShrunkBias(),
        "user kNN, greedy": UserKNN(),
        "MAML, greedy": recommender("MAML", n_iterations, seed),
    }
    return {name: [Adapted(one.fit(setting.train))] for name, one in learners.items()}


def study_settings(
    shop: Shop, n_turns: int, n_folds: int = 5, n_run: int = 1, seed: int = 0
) -> list[Setting]:
    """The settings of a shop: its simulated visits, or replays with two arms for every turn as far as the data allow.

    Nine of ten people must have rated twice as many items as there are turns: else there are fewer turns.
    """
    if shop.truth is not None:
        return [shop_setting(shop, n_turns, seed)]
    most = int(np.quantile(np.bincount(pd.factorize(shop.interactions["user"])[0]), 0.1))
    n_turns = max(1, min(n_turns, (most + 1) // 2))
    return replay_settings(shop, n_turns, min(2 * n_turns, most), n_folds, seed)[:n_run]


def one_partition(records: pd.DataFrame) -> pd.DataFrame:
    """Records of several partitions as of one, their visitors told apart."""
    task = records["partition"] + ":" + records["task"].astype(str)
    return records.assign(partition="all", task=task)


def tuned(
    candidates: Mapping[str, Sequence[Policy]],
    rounds: Mapping[str, Rounds],
    n_turns: int,
    seed: int = 0,
) -> dict[str, Policy]:
    """Of each name's candidates the one with the highest reward over all validation visitors; the first of equals."""
    return {name: _best(some, rounds, n_turns, seed) for name, some in candidates.items()}


def _best(some: Sequence[Policy], rounds: Mapping[str, Rounds], n_turns: int, seed: int) -> Policy:
    if len(some) == 1:
        return some[0]
    totals = [
        float(sum(play(policy, one, n_turns, seed).sum() for one in rounds.values()))
        for policy in some
    ]
    return some[int(np.argmax(totals))]


def judge(
    policies: Mapping[str, Policy], setting: Setting, seeds: Sequence[int] = (0,)
) -> pd.DataFrame:
    """`compete` on every group of test visitors; its name is the partition."""
    frames = [
        compete(policies, rounds, setting.n_turns, seeds, name)
        for name, rounds in setting.test.items()
    ]
    return pd.concat(frames, ignore_index=True)
