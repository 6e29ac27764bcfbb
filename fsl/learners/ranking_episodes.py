"""Cross-fitted episodes for rankings: tasks to be asked, and the other behaviours that tables may be made of.

Knows tasks and episodes; knows no table and no network. Every draw takes its generator as an argument.
"""

from collections.abc import Iterator, Sequence

import torch

from fsl.episodes import Draw, Episode, draw_shots, gather
from fsl.errors import InputError
from fsl.learners.catalogue import DAY
from fsl.tasks import Tasks


def others_and_fold(
    tasks: Tasks, n_folds: int, shots: Sequence[int], n_draws: int, generator: torch.Generator
) -> Iterator[tuple[Tasks, None, list[Episode]]]:
    """For each fold of the tasks: the other tasks, None, and episodes of the fold, `n_draws` for each K in `shots`.

    K random behaviours are support, all others query. Raises InputError where no task has K + 1 behaviours.
    """
    fold = torch.randperm(len(tasks), generator=generator) % n_folds
    for n in range(n_folds):
        asked = tasks.subset((fold == n).nonzero()[:, 0])
        width = max(int(asked.sizes.max()), 1) if len(asked) else 1
        episodes = [
            gather(asked, draw_shots(asked, k, width, generator))
            for k in shots
            for _ in range(n_draws)
            if (asked.sizes > k).any()
        ]
        yield tasks.subset((fold != n).nonzero()[:, 0]), None, episodes


def past_and_next(
    tasks: Tasks,
    n_moments: int,
    span: float,
    shots: Sequence[int],
    n_asked: int,
    generator: torch.Generator,
) -> Iterator[tuple[Tasks, float, list[Episode]]]:
    """For each span of days, the latest last: the behaviours before it of tasks not asked in it, its start, episodes.

    An episode shows the first K behaviours of tasks whose next one falls within the span and asks for that one. About
    `n_asked` tasks are asked in each span, spread over `shots` as they come. A span without a past is passed over.
    Raises InputError where no span has both.
    """
    end, found = float(tasks.times.max()) + 1, False
    draws = [
        draw_shots(tasks, k, 1, generator, "temporal") for k in shots if (tasks.sizes > k).any()
    ]
    for n in reversed(range(n_moments)):
        start = end - (n + 1) * span * DAY
        parts = [_within(tasks, draw, start, start + span * DAY) for draw in draws]
        share = min(1.0, n_asked / max(sum(len(part.tasks) for part in parts), 1))
        parts = [_some(part, share, generator) for part in parts]
        is_asked = torch.zeros(len(tasks), dtype=torch.bool)
        for part in parts:
            is_asked[part.tasks] = True
        past = tasks.subset((~is_asked).nonzero()[:, 0], tasks.times < start)
        if past.n_rows and is_asked.any():
            found = True
            yield past, start, [gather(tasks, part) for part in parts if len(part.tasks)]
    if not found:
        raise InputError(f"no behaviours lie before and within {n_moments} spans of {span:g} days")


def _within(tasks: Tasks, draw: Draw, start: float, end: float) -> Draw:
    moment = tasks.times[draw.query[:, 0]]
    inside = (start <= moment) & (moment < end)
    return Draw(*(x[inside] for x in draw))


def _some(draw: Draw, share: float, generator: torch.Generator) -> Draw:
    n = len(draw.tasks)
    chosen = torch.randperm(n, generator=generator)[: round(n * share)].sort().values
    return Draw(*(x[chosen] for x in draw))
