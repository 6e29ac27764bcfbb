"""From a draw of tasks to what a ranking judge asks: score the catalogue for each. Knows tasks; knows no learner."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from fsl.episodes import Draw, Examples, gather
from fsl.tasks import Tasks, rows_of

_CELLS_AT_ONCE = 1 << 21  # 50 MB of inputs


class Question(NamedTuple):
    """Some tasks of one size of support, as the judge sees them; all are [n_tasks, …], n the size of the catalogue.

    support: what a learner is given. query_inputs: int64 [n_tasks, n, 2 or 3]. relevant [n_tasks, n_relevant]: columns
    of the catalogue, padded where `mask` is False. candidates, never_met: bool [n_tasks, n], the catalogue less what
    the subject has, and less all that it ever meets in `tasks`.
    """

    support: Examples
    query_inputs: Tensor
    relevant: Tensor
    mask: Tensor
    candidates: Tensor
    never_met: Tensor

    def is_relevant(self) -> Tensor:
        """The relevant ones as bool [n_tasks, n]."""
        hits = torch.zeros(self.candidates.shape, dtype=torch.long)
        return hits.scatter_add_(1, self.relevant, self.mask.long()) > 0


def questions(
    tasks: Tasks,
    draw: Draw,
    n_shots: int,
    catalogue: Tensor,
    timed: bool,
    relevant_from: float | None = None,
) -> Iterator[tuple[Question, Tensor]]:
    """The draw in parts of bounded memory: each `Question`, and where in `tasks` its tasks are.

    The first `n_shots` of the draw's support are shown, all of it is what the subject has. catalogue: int64 [n],
    places of the objects to rank. timed: inputs are [..., 3], the third `when`, in Unix seconds: each support
    behaviour's own moment; for the query that of its first behaviour. relevant_from: the least target that is
    relevant. A task in which nothing new is left to find is passed over.
    """
    column = torch.full((len(tasks.object_ids),), -1)
    column[catalogue] = torch.arange(len(catalogue))
    n_tasks = max(1, _CELLS_AT_ONCE // max(len(catalogue), 1))
    for start in range(0, len(draw.tasks), n_tasks):
        part = Draw(*(x[start : start + n_tasks] for x in draw))
        has = _columns(tasks, part.support, column, len(catalogue))
        rows = part.query
        if relevant_from is not None:
            rows = torch.where(tasks.targets[rows.clamp(min=0)] >= relevant_from, rows, -1)
        relevant = _columns(tasks, rows, column, len(catalogue)) & ~has
        some = relevant.any(1)
        if some.any():
            part = Draw(*(x[some] for x in part))
            yield (
                _question(tasks, part, n_shots, column, timed, has[some], relevant[some]),
                part.tasks,
            )


def _question(tasks, draw: Draw, n_shots: int, column, timed: bool, has, relevant) -> Question:
    support = gather(tasks, draw._replace(support=draw.support[:, :n_shots])).support
    inputs = torch.empty(*has.shape, 3 if timed else 2, dtype=torch.long)
    inputs[..., 0] = tasks.subjects[draw.tasks][:, None]
    inputs[..., 1] = _objects(column, has.shape[1])
    if timed:
        inputs[..., 2] = tasks.times[draw.query[:, :1]].floor().long()
        moments = tasks.times[draw.support[:, :n_shots]].floor().long()
        support = support._replace(inputs=torch.cat([support.inputs, moments[..., None]], -1))
    rows, owner = rows_of(tasks.offsets, draw.tasks)
    ever = torch.full((len(draw.tasks), int(tasks.sizes[draw.tasks].max())), -1)
    first = tasks.sizes[draw.tasks].cumsum(0) - tasks.sizes[draw.tasks]
    ever[owner, torch.arange(len(rows)) - first[owner]] = rows
    met = _columns(tasks, ever, column, has.shape[1])
    mask, columns = relevant.byte().topk(int(relevant.sum(1).max()), dim=1)
    return Question(support, inputs, columns, mask > 0, ~has, ~met)


def _objects(column: Tensor, n: int) -> Tensor:
    """The catalogue again, from where each object stands in it."""
    places = (column >= 0).nonzero()[:, 0]
    return torch.empty(n, dtype=torch.long).index_copy_(0, column[places], places)


def _columns(tasks: Tasks, rows: Tensor, column: Tensor, n: int) -> Tensor:
    """Which of the catalogue's n columns the rows [n_tasks, m] (−1 for padding) are about: bool [n_tasks, n]."""
    found = torch.where(rows >= 0, column[tasks.objects[rows.clamp(min=0)]], -1)
    marked = torch.zeros(len(rows), n + 1, dtype=torch.bool)
    return marked.scatter_(1, found.remainder(n + 1), True)[:, :n]  # −1 lands in the extra column
