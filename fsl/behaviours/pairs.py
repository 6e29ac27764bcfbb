"""From a draw of tasks to pairs to be foretold: what the user took next, and things it never takes, drawn by a rule.

The rule: beside every thing taken stand `n_negatives` things never taken, drawn with replacement, each with a chance in
proportion to its weight. Knows tasks and tensors; knows no learner.
"""

import torch
from torch import Tensor

from fsl.episodes import Draw, Episode, Examples, gather
from fsl.learners.catalogue import counts
from fsl.tasks import Tasks, rows_of

SAMPLINGS = ("alike", "as popular")
_TASKS_AT_ONCE = 256


def sampling_weights(sampling: str, tasks: Tasks) -> Tensor:
    """The weight of each object: "alike", 1; "as popular", in how many of `tasks` it was met. [n_objects]."""
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLINGS)}, got {sampling!r}")
    if sampling == "alike":
        return torch.ones(len(tasks.object_ids))
    return counts(tasks)


def pair_episode(
    tasks: Tasks, draw: Draw, n_negatives: int, weights: Tensor, generator: torch.Generator
) -> tuple[Episode, Tensor]:
    """Support as drawn; as query each new thing taken (target 1) and its `n_negatives` things never taken (target 0).

    tasks: those drawn from; never taken is what a subject never meets in them. weights: [n_objects], >= 0; a task in
    which nothing with a weight is left, or nothing new is taken, is passed over. What the subject has before the query
    is no question. Returns the episode, query [n_tasks, n_query · (1 + n_negatives)], and its tasks' places in the
    draw.
    """
    episode = gather(tasks, draw)
    taken, new = episode.query.inputs[..., 1], episode.query.mask & ~_had(tasks, draw)
    parts = torch.arange(len(draw.tasks)).split(_TASKS_AT_ONCE)
    wanted = taken.shape[1] * n_negatives
    drawn, can = zip(
        *(_never_met(tasks, draw.tasks[p], wanted, weights, generator) for p in parts), strict=True
    )
    negatives, possible = torch.cat(drawn).view(*taken.shape, n_negatives), torch.cat(can)
    objects = torch.cat([taken[..., None], negatives], -1)
    targets = torch.zeros(objects.shape).index_fill_(-1, torch.tensor([0]), 1.0)
    mask = new[..., None].expand_as(objects)
    kept = (possible & new.any(1)).nonzero()[:, 0]
    inputs = torch.stack(
        [tasks.subjects[draw.tasks][:, None, None].expand_as(objects), objects], -1
    )
    query = Examples(inputs.flatten(1, 2), targets.flatten(1), mask.flatten(1))
    sides = (Examples(*(x[kept] for x in side)) for side in (episode.support, query))
    return Episode(*sides), kept


def _had(tasks: Tasks, draw: Draw) -> Tensor:
    """Whether a query row's object stands in the draw's support or earlier in its query: bool [n_tasks, n_query]."""
    place = torch.where(draw.query >= 0, tasks.objects[draw.query.clamp(min=0)], -1)
    known = torch.where(draw.support >= 0, tasks.objects[draw.support.clamp(min=0)], -2)
    before = (place[:, :, None] == place[:, None, :]).tril(-1).any(-1)
    return before | (place[:, :, None] == known[:, None, :]).any(-1)


def _never_met(tasks: Tasks, chosen: Tensor, n: int, weights: Tensor, generator):
    """n objects for each chosen task, of those that it never meets, by weight: int64 [n_chosen, n]; and if it can."""
    rows, owner = rows_of(tasks.offsets, chosen)
    chance = weights.repeat(len(chosen), 1)
    chance[owner, tasks.objects[rows]] = 0
    possible = chance.sum(1) > 0
    chance[~possible] = 1
    return torch.multinomial(chance, n, replacement=True, generator=generator), possible
