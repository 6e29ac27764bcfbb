"""Who plays where: training tasks, and new visitors to tune on and to be judged on. Simulated visits, or replays.

Knows shops and how people are split; knows no policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from fsl.bandits.rounds import ReplayRounds, Rounds, ShopRounds
from fsl.cold_start.phones import without_copies
from fsl.data import Shop
from fsl.environment.rules import Rules
from fsl.environment.visits import Visits
from fsl.errors import InputError
from fsl.learners.inner_folds import folds_by_group
from fsl.simulate import SCENE_NAMES
from fsl.tasks import Split, Tasks, scene_tasks, split_tasks, user_tasks

FRACTIONS = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class Setting:
    """Training tasks, and visitors to tune on and to be judged on, by name (a scene, or "new users").

    not_new: training and validation tasks together. small: so few ratings that the exact Gaussian process is at hand.
    """

    train: Tasks
    validation: Mapping[str, Rounds]
    test: Mapping[str, Rounds]
    n_turns: int
    n_factors: int = 4
    small: bool = False
    not_new: Tasks | None = None


def shop_setting(
    shop: Shop, n_turns: int = 10, seed: int = 0, rules: Rules | None = None
) -> Setting:
    """Each held-out user of a simulated shop visits once every scene that the user's log knows. Simulated.

    Raises InputError for more turns than there are phones, since none is shown twice.
    """
    if n_turns > len(shop.items):
        said = (
            f"n_turns is {n_turns}, and the shop has {len(shop.items)} phones and shows none twice"
        )
        raise InputError(f"{said}: expected no more turns than phones.")
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
    return Setting(inner.train, chosen_on, judged_on, n_turns, small=small, not_new=train)


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
