"""The launch protocol: items that are first seen in a period, their first users, and whom each query is to guess.

Knows item-tasks and a log; knows no model. Nothing here looks behind a query's own moment, but that an item must have
one behaviour more than its support to be asked about at all.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.launches.histories import DAY, Log
from fsl.tasks import Tasks, rows_of


class Launches(NamedTuple):
    """New items of one period, and the questions asked of them: for this user, at this moment, which of the new items?

    items: int64 [n_new], places in subject_ids. support: int64 [n_new, reserve, 3] of (item, user, when), oldest first.
    answers [n_query]: the item met, as a place in `items`; users [n_query], when int64 [n_query], Unix seconds, by
    rising time. candidates: bool [n_query, n_new], the new items whose support is complete before the moment and that
    the user does not have; the answer is always among them. unknown: those that the user does not have, out or not.
    """

    items: Tensor
    support: Tensor
    answers: Tensor
    users: Tensor
    when: Tensor
    candidates: Tensor
    unknown: Tensor

    def shots(self, n_shots: int) -> Examples:
        """The first `n_shots` users of each new item as support; every target is 1."""
        inputs = self.support[:, :n_shots]
        return Examples(inputs, torch.ones(inputs.shape[:2]))

    @property
    def is_ready(self) -> Tensor:
        """Whether the answer's support is complete before the moment: bool [n_query]; see `asked_from`."""
        return self.support[self.answers, -1, 2] < self.when

    @property
    def out(self) -> Tensor:
        """Candidates with at least one user before the moment, and the ready ones: bool [n_query, n_new]."""
        return self.unknown & ((self.support[:, 0, 2] < self.when[:, None]) | self.candidates)

    def query_inputs(self, chosen: slice) -> Tensor:
        """Some queries, put to every new item: int64 [n_new, n_chosen, 3] of (item, user, when)."""
        pair = torch.stack([self.users[chosen], self.when[chosen]], 1)
        pair = pair.expand(len(self.items), -1, -1)
        return torch.cat([self.items[:, None, None].expand(-1, pair.shape[1], 1), pair], 2)


def launches(
    tasks: Tasks,
    start: float,
    end: float = np.inf,
    reserve: int = 5,
    same_day: bool = True,
    asked_from: int | None = None,
) -> Launches:
    """What happens from `start` to before `end` (Unix seconds) to the items first seen then.

    tasks: item-tasks with whole-second times. New are items with more than `reserve` behaviours in the period; the
    first `reserve` are support, each later one is a query, whatever number of shots is shown later. A user who meets
    the same item again is no query.
    asked_from: which behaviours with an item are queries, from the place `reserve` (counted from 0) on unless said.
    With 1 the second user is asked about, too, while the support is not complete; `out` are the rivals then.
    same_day: False puts each query back to the start of its day (UTC), so that nothing of that day is known.
    Raises InputError where the period has no such item.
    """
    log = Log(tasks)
    new = _new_items(tasks, log.first_seen(), start, end, reserve)
    rows, owner = rows_of(tasks.offsets, new)
    rows, owner = rows[tasks.times[rows] < end], owner[tasks.times[rows] < end]
    sizes = torch.bincount(owner, minlength=len(new))
    place = torch.arange(len(rows)) - (sizes.cumsum(0) - sizes)[owner]
    items = tasks.subjects[new]
    triples = torch.stack([items[owner], tasks.objects[rows], tasks.times[rows].long()], 1)
    is_query = place >= (reserve if asked_from is None else asked_from)
    queries, answers = triples[is_query], owner[is_query]
    order = torch.from_numpy(np.lexsort((answers.numpy(), queries[:, 2].numpy())))
    queries, answers = queries[order], answers[order]
    when = queries[:, 2] if same_day else queries[:, 2] - queries[:, 2] % int(DAY)
    support = triples[place < reserve].view(len(new), reserve, 3)
    unknown = _not_had(log, items, queries[:, 1], when)
    first_time = unknown.gather(1, answers[:, None])[:, 0]
    queries, answers, when = queries[first_time], answers[first_time], when[first_time]
    unknown = unknown[first_time]
    ready = support[:, -1, 2] < when[:, None] if reserve else torch.ones_like(unknown)
    ready.scatter_(1, answers[:, None], True)
    return Launches(items, support, answers, queries[:, 1], when, unknown & ready, unknown)


def _new_items(tasks: Tasks, first_seen: np.ndarray, start, end, reserve: int) -> Tensor:
    """Places of the tasks that are new in the period and have more than `reserve` behaviours in it."""
    inside = torch.bincount(tasks.task_of_row[tasks.times < end], minlength=len(tasks))
    first = torch.from_numpy(first_seen)[tasks.subjects]
    new = ((first >= start) & (inside > reserve)).nonzero()[:, 0]
    if not len(new):
        raise InputError(f"no item is first seen in the period and met more than {reserve} times")
    return new


def _not_had(log: Log, items: Tensor, users: Tensor, when: Tensor) -> Tensor:
    """Whether users[q] did not have items[n] before when[q]: bool [n_query, n_new]."""
    column = np.full(log.n_items, -1)
    column[items.numpy()] = np.arange(len(items))
    past = log.before(users, when)
    new = column[past.items] >= 0
    free = torch.ones(len(users), len(items), dtype=torch.bool)
    free[past.asker[new], column[past.items[new]]] = False
    return free
