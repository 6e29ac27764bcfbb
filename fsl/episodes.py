"""From tasks to episodes: padded tensors with masks, a support set to adapt on and a query set to be judged on.

Knows tasks and tensors; knows no table and no model. Every draw takes its generator as an argument.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from fsl.errors import InputError
from fsl.tasks import Tasks, rows_of


class Examples(NamedTuple):
    """One side of an episode: inputs [n_tasks, n, ...], targets [n_tasks, n], mask bool [n_tasks, n] or None (all)."""

    inputs: Tensor
    targets: Tensor
    mask: Tensor | None = None


class Episode(NamedTuple):
    """A batch of tasks: `support` to adapt on, `query` to be judged on; both are `Examples`."""

    support: Examples
    query: Examples


class Draw(NamedTuple):
    """What an episode shows: `tasks` [n_tasks] places; `support`, `query` [n_tasks, n] rows, -1 for padding."""

    tasks: Tensor
    support: Tensor
    query: Tensor


def draw_shots(
    tasks: Tasks,
    n_shots: int,
    n_query: int,
    generator: torch.Generator,
    support: str = "random",
    n_tasks: int | None = None,
    reserve: int | None = None,
    min_query: int = 1,
    may_ask: Tensor | None = None,
) -> Draw:
    """Choose tasks, and in each `n_shots` support rows and up to `n_query` query rows, disjoint. No Python loop.

    support: "random" puts a task's behaviours in random order, "temporal" oldest first, so that nothing in support is
    later than anything in query (those of the same moment stand in random order: a file's order may give away the
    targets). Support is the first n_shots of that order; query follows the first
    `reserve` (n_shots unless given): draws with the same generator state and reserve but different n_shots have
    the same query and nested support. Tasks need reserve + min_query behaviours to be eligible.
    n_tasks: how many tasks to draw without replacement; None takes every eligible task, in order.
    may_ask: bool [n_rows]; where given, the query is drawn from these rows alone and the support from the others
    (a query row may then be older than the support's last, where "temporal" leaves it out).
    Raises InputError where no task is eligible or a temporal draw has no timestamps.
    """
    reserve = n_shots if reserve is None else reserve
    _check_draw(tasks, n_shots, n_query, support, n_tasks, reserve, min_query)
    if may_ask is not None:
        return _draw_apart(
            tasks, n_shots, n_query, generator, support, n_tasks, reserve, min_query, may_ask
        )
    chosen = (tasks.sizes >= reserve + min_query).nonzero()[:, 0]
    if len(chosen) == 0:
        raise InputError(
            f"no task has {reserve + min_query} behaviours ({reserve} for support, {min_query} to be judged on); "
            f"the largest has {int(tasks.sizes.max()) if len(tasks) else 0}"
        )
    if n_tasks is not None:
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:n_tasks]]
    rows, owner = _ordered(tasks, chosen, support, generator)
    rank = _rank(owner, len(chosen))
    return Draw(
        chosen,
        _padded(rows, owner, rank, len(chosen), n_shots),
        _padded(rows, owner, rank - reserve, len(chosen), n_query),
    )


def _draw_apart(tasks, n_shots, n_query, generator, support, n_tasks, reserve, min_query, may_ask):
    """As `draw_shots`, with the rows that may be asked kept apart from those that support is drawn from."""
    rows, owner = _ordered(tasks, torch.arange(len(tasks)), support, generator)
    asked = may_ask[rows]
    known = _padded(
        rows[~asked], owner[~asked], _rank(owner[~asked], len(tasks)), len(tasks), reserve
    )
    if support == "temporal" and reserve:
        last = torch.where(known >= 0, tasks.times[known.clamp(min=0)], -torch.inf).amax(1)
        asked = asked & (tasks.times[rows] >= last[owner])
    owner_asked = owner[asked]
    query = _padded(rows[asked], owner_asked, _rank(owner_asked, len(tasks)), len(tasks), n_query)
    able = (known >= 0).all(1) & ((query >= 0).sum(1) >= min(min_query, n_query))
    chosen = able.nonzero()[:, 0]
    if len(chosen) == 0:
        raise InputError(
            f"no task has {reserve} behaviours for support and {min_query} more that may be asked"
        )
    if n_tasks is not None:
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:n_tasks]]
    return Draw(chosen, known[chosen, :n_shots], query[chosen])


def _ordered(tasks: Tasks, chosen: Tensor, support: str, generator: torch.Generator):
    """The rows of the chosen tasks, task by task, shuffled or oldest first, and their owners' places in `chosen`."""
    rows, owner = rows_of(tasks.offsets, chosen)
    rows = _shuffled(rows, owner, generator)
    if support == "temporal":
        by_time = tasks.times[rows].argsort(stable=True)
        rows = rows[by_time[owner[by_time].argsort(stable=True)]]
    return rows, owner


def _rank(owner: Tensor, n_tasks: int) -> Tensor:
    """The place of each row among its owner's: 0, 1, 2 … (owners stand in order)."""
    sizes = torch.bincount(owner, minlength=n_tasks)
    return torch.arange(len(owner)) - (sizes.cumsum(0) - sizes)[owner]


def _check_draw(tasks, n_shots, n_query, support, n_tasks, reserve, min_query) -> None:
    if support not in ("random", "temporal"):
        raise ValueError(f'support must be "random" or "temporal", got {support!r}')
    if n_tasks is not None and n_tasks < 1:
        raise ValueError(f"n_tasks must be at least 1, or None for every task, got {n_tasks}")
    if n_shots < 0 or n_query < 1 or reserve < n_shots or min_query < 1:
        raise ValueError(
            "need 0 <= n_shots <= reserve, n_query >= 1 and min_query >= 1, "
            f"got {n_shots=} {reserve=} {n_query=} {min_query=}"
        )
    if support == "temporal" and tasks.times is None:
        raise InputError(
            "temporal support needs a column timestamp in interactions, which has none"
        )


def _shuffled(rows: Tensor, owner: Tensor, generator: torch.Generator) -> Tensor:
    """Each owner's rows in random order; the owners stay in theirs."""
    lots = torch.randperm(len(rows), generator=generator)
    return rows[lots[owner[lots].argsort(stable=True)]]


def _padded(rows: Tensor, owner: Tensor, rank: Tensor, n_tasks: int, width: int) -> Tensor:
    """[n_tasks, width] with each row at its rank, where that is in range; -1 elsewhere."""
    table = torch.full((n_tasks, width), -1)
    inside = (rank >= 0) & (rank < width)
    table[owner[inside], rank[inside]] = rows[inside]
    return table


def gather(tasks: Tasks, draw: Draw) -> Episode:
    """The draw's behaviours as padded tensors: inputs int64 [n_tasks, n, 2] of (subject, object), targets, mask."""
    return Episode(*(_examples(tasks, draw.tasks, rows) for rows in (draw.support, draw.query)))


def _examples(tasks: Tasks, chosen: Tensor, rows: Tensor) -> Examples:
    mask, rows = rows >= 0, rows.clamp(min=0)
    inputs = torch.stack(
        [tasks.subjects[chosen][:, None].expand_as(rows), tasks.objects[rows]], dim=-1
    )
    return Examples(inputs, torch.where(mask, tasks.targets[rows], 0), mask)


def everything_else(tasks: Tasks, draw: Draw) -> Draw:
    """The same query, but all other behaviours of each task as support: what a warm user, or a leak, would know."""
    rows, owner = rows_of(tasks.offsets, draw.tasks)
    free = ~torch.isin(rows, draw.query)
    rows, owner = rows[free], owner[free]
    sizes = torch.bincount(owner, minlength=len(draw.tasks))
    rank = torch.arange(len(rows)) - (sizes.cumsum(0) - sizes)[owner]
    return draw._replace(support=_padded(rows, owner, rank, len(draw.tasks), int(sizes.max())))


def sample_episode(
    tasks: Tasks, n_shots: int, n_query: int, generator: torch.Generator, **options
) -> Episode:
    """`draw_shots` and `gather` in one; the options are those of `draw_shots`."""
    return gather(tasks, draw_shots(tasks, n_shots, n_query, generator, **options))
