"""Replay over real preferences: a new user's arms are the items that this user did rate; nothing is invented.

Knows tasks; knows no policy. Whose ratings they are must be people that no prior was learned on.
"""

import torch
from torch import Tensor

from fsl.errors import InputError
from fsl.tasks import Tasks


class Replay:
    """Each task's user at once: choose an arm, get the rating that the user gave to it. No arm comes twice.

    arms: objects' places, int64 [n, A], A the longest task's; ratings: float64 [n, A]; open: bool [n, A], what may
    still be chosen. Padding is never open. Raises InputError for a task in which one object comes twice, and for a
    choice that is not open.
    """

    def __init__(self, tasks: Tasks):
        if len(tasks) == 0:
            raise InputError("there is no user to replay: the tasks are empty")
        n, most = len(tasks), int(tasks.sizes.max())
        owner = tasks.task_of_row
        place = torch.arange(tasks.n_rows) - tasks.offsets[owner]
        twice = torch.stack([owner, tasks.objects]).unique(dim=1).shape[1] < tasks.n_rows
        if twice:
            raise InputError(
                "a user rated an item twice, expected each once: an arm has one reward in a replay"
            )
        self.arms = torch.zeros(n, most, dtype=torch.long)
        self.ratings = torch.zeros(n, most, dtype=torch.float64)
        self.there = torch.zeros(n, most, dtype=torch.bool)
        self.arms[owner, place] = tasks.objects
        self.ratings[owner, place] = tasks.targets.double()
        self.there[owner, place] = True
        self.scale, self.subjects = tasks.scale, tasks.subjects
        self.start()

    def start(self) -> None:
        """Everybody is new again."""
        self.open = self.there.clone()

    def play(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """The ratings of the arms at `places`, int64 [n], and whether there was one: who has no arm left gets 0."""
        rows, here = torch.arange(len(places)), self.open.any(1)
        if not self.open[rows, places][here].all():
            bad = int((here & ~self.open[rows, places]).nonzero()[0])
            raise InputError(
                f"user {bad}: arm {int(places[bad])} is not open, expected one that the user rated and that was "
                "not chosen before"
            )
        self.open[rows[here], places[here]] = False
        return torch.where(here, self.ratings[rows, places], 0), here
