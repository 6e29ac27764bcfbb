"""What each user did before a moment, and nothing of what came at or after it. Knows flat tensors; knows no model."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from fsl.tasks import Tasks

DAY = 86_400.0


class Past(NamedTuple):
    """Earlier behaviours, flat: asker [n], the question each belongs to; items [n]; days [n] before its moment."""

    asker: np.ndarray
    items: np.ndarray
    days: np.ndarray


class Log:
    """All behaviours of a shop, by user and time. Every answer is strictly before the moment it is asked for.

    tasks: item-tasks with times; the log holds their places of users (objects) and items (subjects).
    """

    def __init__(self, tasks: Tasks):
        if tasks.kind != "item" or tasks.times is None:
            raise ValueError("a log is made of item-tasks with times")
        items = tasks.subjects[tasks.task_of_row].numpy()
        users, times = tasks.objects.numpy(), tasks.times.numpy()
        order = np.lexsort((items, times, users))
        self.users, self.items, self.times = users[order], items[order], times[order]
        self.n_users, self.n_items = len(tasks.object_ids), len(tasks.subject_ids)
        self.starts = np.searchsorted(self.users, np.arange(self.n_users + 1))

    @property
    def end(self) -> float:
        """The first whole second behind the last behaviour; minus infinity for an empty log."""
        return float(np.floor(self.times.max()) + 1) if len(self.times) else -np.inf

    def before(self, users: Tensor, when: Tensor) -> Past:
        """The behaviours of users[i] strictly before when[i] (Unix seconds), for every i of [n_askers]."""
        users, when = users.numpy(), when.numpy()
        sizes = self.starts[users + 1] - self.starts[users]
        asker = np.repeat(np.arange(len(users)), sizes)
        first = self.starts[users] - (sizes.cumsum() - sizes)
        rows = first[asker] + np.arange(len(asker))
        earlier = self.times[rows] < when[asker]
        asker, rows = asker[earlier], rows[earlier]
        return Past(asker, self.items[rows], (when[asker] - self.times[rows]) / DAY)

    def table(self, upto: float) -> scipy.sparse.csr_matrix:
        """Who had what before `upto`: CSR of 0 and 1, [n_users, n_items]."""
        early = self.times < upto
        shape = (self.n_users, self.n_items)
        ones = np.ones(int(early.sum()))
        table = scipy.sparse.csr_matrix((ones, (self.users[early], self.items[early])), shape)
        return table.sign()

    def first_seen(self) -> np.ndarray:
        """The moment of each item's first behaviour, [n_items]; infinity for an item without any."""
        first = np.full(self.n_items, np.inf)
        np.minimum.at(first, self.items, self.times)
        return first


def weighted(past: Past, n_askers: int, n_items: int, decay: float = np.inf):
    """The past as rows of weights exp(−days / decay): CSR [n_askers, n_items]; an infinite decay counts all alike."""
    where = (past.asker, past.items)
    return scipy.sparse.csr_matrix((np.exp(-past.days / decay), where), (n_askers, n_items))


def month_start(when: Tensor) -> np.ndarray:
    """The first second (UTC) of the month that each Unix second lies in: float64, the same shape."""
    months = when.numpy().astype("datetime64[s]").astype("datetime64[M]")
    return months.astype("datetime64[s]").astype(np.int64).astype(np.float64)


def ordered_within_days(tasks: Tasks, seed: int) -> Tasks:
    """The same tasks with a random second of its day added to each behaviour, whole seconds, rows sorted again.

    For shops that write down the day only: the order within a day is then arbitrary, and drawn once, for everybody.
    Raises ValueError where some time is not the start of a day (UTC): there is an order already.
    """
    if tasks.times is None or bool((tasks.times % DAY != 0).any()):
        raise ValueError("an order within days is for times that are whole days")
    lots = torch.Generator().manual_seed(seed)
    seconds = torch.randint(0, int(DAY), (tasks.n_rows,), generator=lots).to(tasks.times.dtype)
    times = tasks.times + seconds
    order = torch.from_numpy(np.lexsort((times.numpy(), tasks.task_of_row.numpy())))
    return replace(
        tasks,
        objects=tasks.objects[order],
        targets=tasks.targets[order],
        times=times[order],
        rows=tasks.rows[order],
    )
