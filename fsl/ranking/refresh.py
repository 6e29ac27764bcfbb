"""A shop that goes on: learners are refreshed at each month's start and judged on that month's new users. Nothing
looks ahead: a fit gets only behaviours before its month, none of them of those who are judged in it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, product

import pandas as pd
import torch
from torch import Tensor

from fsl.episodes import Draw, draw_shots
from fsl.errors import InputError
from fsl.ranking.rank import METRICS, Ranking, rank_draw
from fsl.tasks import Tasks


def first_seen(tasks: Tasks) -> Tensor:
    """The moment of each task's first behaviour, Unix seconds [n_tasks]; ∞ for an empty task."""
    if tasks.times is None:
        raise InputError(
            "who is new by time needs a column timestamp in interactions, which has none"
        )
    found = torch.full((len(tasks),), torch.inf, dtype=tasks.times.dtype)
    return found.scatter_reduce_(0, tasks.task_of_row, tasks.times, "amin")


def months(start: float, end: float) -> list[float]:
    """The starts of the calendar months (UTC) from the one after or at `start`, and the first not before `end`."""
    first = pd.Timestamp(start, unit="s")
    begin = first.to_period("M").start_time
    if begin < first:
        begin += pd.DateOffset(months=1)
    starts = [begin]
    while starts[-1].timestamp() < end:
        starts.append(starts[-1] + pd.DateOffset(months=1))
    return [float(moment.timestamp()) for moment in starts]


def periods(
    tasks: Tasks, draws: Mapping[int, Draw], cut: float, end: float, n_periods: int
) -> list[float]:
    """Starts of up to `n_periods` spans from `cut` to `end` with about equally many targets each, and the end."""
    asked = torch.cat([tasks.times[draw.query[:, 0]] for draw in draws.values()]).sort().values
    asked = asked[asked < end]
    if not len(asked):
        return [cut, end]
    inner = [float(asked[n * len(asked) // n_periods]) for n in range(1, n_periods)]
    return [cut, *sorted({moment for moment in inner if cut < moment < end}), end]


def rank_refreshed(
    learners: Mapping[str, object],
    tasks: Tasks,
    cut: float,
    end: float | None = None,
    n_shots: int | Sequence[int] = 3,
    seeds: Sequence[int] = (0,),
    partition: str = "user-cold, refreshed monthly",
    metrics: Sequence[str] = METRICS,
    report: Callable[[str], None] = lambda line: None,
    n_periods: int | None = None,
    max_tasks: int | None = None,
    n_query: int = 1,
    relevant_from: float | None = None,
) -> Ranking:
    """Rank the next behaviour of subjects first seen in [cut, end), their first `n_shots` known, month by month.

    learners: name -> a learner; it is fitted at the first month, then given what happened since by `refresh(tasks)`
    if it has that, else fitted again. Settings must have been chosen before. tasks: all the shop's tasks. cut: the
    start of a month. end: targets at or after it are not judged (None: all are). n_shots: several are judged on the
    same next behaviour, the one after the largest. n_periods: as many spans with equally many targets in place of
    months. max_tasks: of more subjects a random lot is judged.
    n_query: how many next behaviours are relevant, those with a target of at least `relevant_from` (None: all).
    In each month are judged those whose target falls in it; the training tasks are all others, their behaviours before
    the month. Behaviours of the same moment stand in random order, another one for each seed. Records and rulers are
    those of `fsl.ranking.rank`; novelty by the popularity before the month. The table `catalogue` has a line per month.
    """
    new = (first_seen(tasks) >= cut).nonzero()[:, 0]
    judged = tasks.subset(new)
    shots = [n_shots] if isinstance(n_shots, int) else [int(k) for k in n_shots]
    draws = {
        seed: draw_shots(
            judged, max(shots), n_query, torch.Generator().manual_seed(seed), "temporal", max_tasks
        )
        for seed in seeds
    }
    end = float(tasks.times.max()) + 1 if end is None else end
    starts = months(cut, end) if n_periods is None else periods(judged, draws, cut, end, n_periods)
    found = []
    for start, stop in pairwise(starts):
        parts = {seed: within(judged, draw, start, min(stop, end)) for seed, draw in draws.items()}
        asked = new[torch.cat([part.tasks for part in parts.values()]).unique()]
        if len(asked):
            train = before(tasks, start, asked)
            if not len(train):
                day = pd.Timestamp(start, unit="s").date()
                raise InputError(
                    f"nobody else was there before {day}: there is nothing to learn from"
                )
            for learner in learners.values():
                learner.refresh(train) if found and hasattr(learner, "refresh") else learner.fit(
                    train
                )
            popularity = torch.bincount(train.objects, minlength=len(tasks.object_ids))
            month = str(pd.Timestamp(start, unit="s").date())
            for (seed, part), k in product(parts.items(), shots):
                options = (k, seed, True, partition, metrics, None, popularity, relevant_from)
                made = rank_draw(learners, judged, part, *options)
                found.append(Ranking(made.records, made.catalogue.assign(month=month)))
            report(f"{month}: {len(asked)} judged, {train.n_rows:,} behaviours before")
    if not found:
        raise InputError("no subject is new and has a next behaviour in these months")
    return Ranking(*(pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True)))


def before(tasks: Tasks, moment: float, without: Tensor) -> Tasks:
    """What may be learned from at a moment: the behaviours before it, but of the tasks at the places `without`."""
    free = torch.ones(len(tasks), dtype=torch.bool)
    free[without] = False
    train = tasks.subset(free.nonzero()[:, 0], tasks.times < moment)
    return train.subset((train.sizes > 0).nonzero()[:, 0])


def within(tasks: Tasks, draw: Draw, start: float, end: float) -> Draw:
    """The part of a draw whose first query behaviour falls in [start, end)."""
    moment = tasks.times[draw.query[:, 0]]
    inside = (start <= moment) & (moment < end)
    return Draw(*(x[inside] for x in draw))
