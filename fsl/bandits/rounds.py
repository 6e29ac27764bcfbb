"""Who is played with, and how: arms, what is open, and what comes of a choice. The simulated shop and replay alike.

A policy learns from `signal`; what counts is `reward`; `regret` needs the truth. Knows environments; knows no policy.
"""

from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.environment.replay import Replay
from fsl.environment.rules import NOTHING
from fsl.environment.visits import Visits, stars_of
from fsl.simulate import SCENE_NAMES
from fsl.tasks import Tasks


class Played(NamedTuple):
    """What a choice brought, [n] each. signal: the reaction in the ratings' unit; reward: what counts, in its unit.

    here: False where the visitor had left before; signal is then 0 and says nothing.
    """

    signal: Tensor
    reward: Tensor
    here: Tensor


class Rounds(Protocol):
    """subjects [n]: places in the prior's tasks; arms [n, A]: objects; numbers [n]: names for random numbers."""

    subjects: Tensor
    arms: Tensor
    numbers: np.ndarray
    groups: np.ndarray

    def start(self) -> None:
        """Everyone arrives (again)."""

    def open(self) -> Tensor:
        """Which arms may be chosen now, bool [n, A]."""

    def play(self, places: Tensor) -> Played:
        """Everyone's arm by its place in `arms`, int64 [n]."""

    def worth(self) -> Tensor:
        """The truth: what a clairvoyant orders the arms by, [n, A]."""


class ReplayRounds:
    """Real ratings: the arms of a new user are the items that the user did rate, the reward is that rating."""

    def __init__(self, tasks: Tasks):
        self.replay = Replay(tasks)
        self.subjects = tasks.subjects
        self.arms, self.numbers = self.replay.arms, tasks.subjects.numpy()
        self.groups = np.asarray(tasks.subject_ids[tasks.subjects.numpy()])

    def start(self) -> None:
        """Nobody has met any of their arms."""
        self.replay.start()

    def open(self) -> Tensor:
        """What was rated and not played yet, bool [n, A]."""
        return self.replay.open

    def play(self, places: Tensor) -> Played:
        """Signal and reward are the rating itself."""
        reward, here = self.replay.play(places)
        return Played(reward, reward, here)

    def worth(self) -> Tensor:
        """The ratings, [n, A]."""
        return self.replay.ratings


class ShopRounds:
    """The simulated shop, one phone per turn and no question: every phone is an arm, none is shown twice.

    visits: who may come; tasks: the scene-tasks that the priors were made for (all of the shop's: places, not
    behaviours, are looked up). numbers: which visitors come.
    """

    def __init__(self, visits: Visits, tasks: Tasks, shop, numbers: np.ndarray):
        self.visits, self.numbers = visits, np.asarray(numbers)
        who = visits.arrive(self.numbers)
        scenes = np.array(SCENE_NAMES)[who.scenes]
        ids = pd.MultiIndex.from_arrays([shop.users["user"].to_numpy()[who.users], scenes])
        self.subjects = torch.from_numpy(tasks.subject_ids.get_indexer(ids)).long()
        items = shop.items["item"].to_numpy()
        place = tasks.object_ids.get_indexer(items)
        self.known = torch.from_numpy(place >= 0)
        self.arms = torch.from_numpy(np.maximum(place, 0)).long().expand(len(who.users), -1)
        self.groups = np.asarray(ids.get_level_values(0))
        self.scenes = scenes

    def start(self) -> None:
        """The same visitors, with the same luck, again."""
        self.visits.arrive(self.numbers)

    def open(self) -> Tensor:
        """Phones not shown yet that the tasks know, bool [n, A]."""
        return torch.from_numpy(~self.visits.shown) & self.known

    def play(self, places: Tensor) -> Played:
        """Show one phone each. Signal: the stars that the reaction says; reward: as `Visits` has it."""
        kinds = np.zeros(len(self.numbers), dtype=np.int64)
        here = ~self.visits.gone
        turn = self.visits.step(kinds, places.numpy()[:, None])
        stars = stars_of(turn.reactions[:, 0])
        seen = here & (turn.reactions[:, 0] != NOTHING)
        return Played(*(torch.from_numpy(side) for side in (stars, turn.reward, seen)))

    def worth(self) -> Tensor:
        """Every phone's appeal, without the moment's luck: stars, [n, A]."""
        return torch.from_numpy(self.visits.appeal())
