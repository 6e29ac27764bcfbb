"""What all learners for new items share: a log that grows, monthly refreshes, questions sorted by their month.

Knows tasks, supports and moments; knows no scoring. Whatever is computed for a month uses what lies before its start,
and of users' own histories what lies before the moment of the question.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.launches.histories import DAY, Log, month_start
from fsl.launches.protocol import Launches, launches
from fsl.learners.base import Learner, mask_of
from fsl.tasks import Tasks


class Shots(NamedTuple):
    """The support of new items, oldest first: items [n]; users [n, K]; times float64 [n, K], infinity for padding."""

    items: Tensor
    users: Tensor
    times: Tensor

    def visible(self, when: Tensor) -> Tensor:
        """How many of each item's shots lie before each moment: int64 [n, n_moments]."""
        return (self.times[:, None, :] < when[None, :, None]).sum(-1)


def shots_of(support: Examples, items: Tensor) -> Shots:
    """The support by time. items: int64 [n], the subject of each task, which a support of K = 0 cannot tell."""
    if not support.inputs.shape[1]:
        empty = items.new_empty(len(items), 0)
        return Shots(items, empty, empty.double())
    times = support.inputs[..., 2].double().masked_fill(~mask_of(support), torch.inf)
    order = times.argsort(dim=1, stable=True)
    return Shots(items, support.inputs[..., 1].gather(1, order), times.gather(1, order))


def shots_past(log: Log, month: float, shots: Shots) -> tuple[np.ndarray, np.ndarray]:
    """What each shot's user had, up to the shot or, if later, the month's start: pairs (shot of n · K, item), flat.

    The new item itself is left out: it says nothing of its user's taste that the shot does not say.
    """
    n_shots, times = shots.times.shape[1], shots.times.flatten()
    until = times.clamp(min=month).masked_fill(~times.isfinite(), -torch.inf)
    past = log.before(shots.users.flatten(), until)
    other = past.items != np.repeat(shots.items.numpy(), n_shots)[past.asker]
    return past.asker[other], past.items[other]


def ages(shots: Shots, when: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Days since each item's first and its last visible shot, float32 [n, n_moments] each; 0 where none is visible."""
    padded = torch.cat([shots.times, shots.times.new_full((len(shots.items), 1), torch.inf)], 1)
    last = padded.gather(1, (visible - 1).clamp(min=0))
    days = [(when[None, :] - moment) / DAY for moment in (padded[:, :1], last)]
    return tuple(torch.where(visible > 0, d, 0).float() for d in days)


class Period(NamedTuple):
    """New items of one period of the past: what a launch learner learns from, each as if the past ended at `start`."""

    start: float
    found: Launches
    month: np.ndarray


class LaunchLearner(Learner):
    """Scores a new item for a user at a moment; subclasses say how, in `_learn` and `_score`.

    Inputs are int64 [..., 3] of (item, user, when), `when` in Unix seconds. fit: item-tasks with times. New are the
    items first seen after the last training behaviour. Learning is from pseudo-new items: those first seen in each of
    the last `n_periods` periods of `days` days before the end of the training tasks, as if they had just come out.

    content: CSR [n_items, n_words], what is known of each item before its launch; None: the tasks' subject features.
    reserve: how many first users a pseudo-new item shows at most. asked_from: from which user on it is asked about in
    learning, see `launches`; judged is only what comes after the reserve.
    """

    asked_from: int | None = None

    def __init__(
        self,
        content: csr_matrix | None = None,
        days: float = 213,
        n_periods: int = 2,
        reserve: int = 5,
    ):
        self.content, self.days, self.n_periods, self.reserve = content, days, n_periods, reserve

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "LaunchLearner":
        """Learn from the pseudo-new items of `tasks`; `validation` is not looked at.

        Raises InputError where the latest period has no new item; see `launches`.
        """
        self.words = self.content
        if self.words is None:
            self.words = csr_matrix(tasks.subject_features.double().numpy())
        self.follow(tasks)
        self.old_until = self.log.end
        self._learn(self._periods(tasks, self.log.end))
        self._forget(self.log)  # what was kept of the pseudo-new items' months
        return self

    def follow(self, tasks: Tasks) -> "LaunchLearner":
        """Let the shop's log go on: nothing is learned again, but histories and the monthly tables read from it.

        tasks: item-tasks of the same places, from the beginning. A question of moment t uses none of it from t on.
        """
        self._forget(Log(tasks))
        return self

    def _forget(self, log: Log) -> None:
        self.log, self.kept = log, {}

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """Scores [n_tasks, n_query]; of the support what lies before each query's moment is used, K = 0 is allowed."""
        if query_inputs.shape[-1] != 3:
            raise ValueError("new items are asked for as (item, user, when)")
        shots = shots_of(support, query_inputs[:, 0, 0])
        pairs = query_inputs[..., 1] + query_inputs[..., 2] * self.log.n_users
        pairs, place = pairs.unique(return_inverse=True)
        users, when = pairs % self.log.n_users, pairs.div(self.log.n_users, rounding_mode="floor")
        months = month_start(when)
        scores = torch.empty(len(shots.items), len(pairs))
        for month in np.unique(months):
            asked = torch.from_numpy(np.flatnonzero(months == month))
            scores[:, asked] = self._score(month, shots, users[asked], when[asked])
        return scores.gather(1, place)

    def _periods(self, tasks: Tasks, end: float) -> list[Period]:
        """The periods that have new items, latest first; raises InputError where the latest has none."""
        found = []
        for n in range(self.n_periods):
            start, stop = end - (n + 1) * self.days * DAY, end - n * self.days * DAY
            try:
                new = launches(tasks, start, stop, self.reserve, asked_from=self.asked_from)
            except InputError:
                if not found:
                    raise
                break
            found.append(Period(start, new, month_start(new.when)))
        return found

    def _learn(self, periods: list[Period]) -> None:
        raise TypeError(f"{type(self).__name__} does not say how it learns")

    def _score(self, month: float, shots: Shots, users: Tensor, when: Tensor) -> Tensor:
        """Scores [n_items, n_asked] of all items for the users at their moments, all of one month."""
        raise TypeError(f"{type(self).__name__} does not say how it scores")
