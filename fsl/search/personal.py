"""Search by users whose few ratings are known: what of the order is theirs? Graded by what they would really think.

Knows scores, draws and the judge; knows no text. For the simulated shop, where everybody's opinion is known.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.episodes import Draw, draw_shots, gather
from fsl.evaluation import COLUMNS
from fsl.metrics import ndcg
from fsl.tasks import Tasks

METRIC = "ndcg@10"
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
RULERS = ("random", "oracle")


class Searches(NamedTuple):
    """n searches: who asks (place in `draw.tasks`), which query, int64 [n] each; relevance, candidates [n, n_items].

    relevance: the user's true mean rating less 1, in stars, of what the query means, and 0 for all else. candidates:
    what the user has not rated among the draw's support.
    """

    draw: Draw
    user: Tensor
    query: Tensor
    relevance: Tensor
    candidates: Tensor


def searches(
    tasks: Tasks,
    opinions: Tensor,
    answers: Tensor,
    generator: torch.Generator,
    n_shots: int = 10,
    n_queries: int = 4,
) -> Searches:
    """Every user with n_shots ratings and one more asks n_queries different queries, drawn at random.

    opinions: float [n_subjects, n_items], what each would think, in stars from 1. answers: bool [n_queries, n_items].
    """
    draw = draw_shots(tasks, n_shots, 1, generator, tasks.order)
    lots = torch.rand(len(draw.tasks), len(answers), generator=generator).argsort(1)[:, :n_queries]
    user = torch.arange(len(lots)).repeat_interleave(lots.shape[1])
    query = lots.flatten()
    free = torch.ones(len(lots), answers.shape[1], dtype=torch.bool)
    free.scatter_(1, gather(tasks, draw).support.inputs[..., 1], False)
    own = opinions[tasks.subjects[draw.tasks]][user].float()
    return Searches(draw, user, query, torch.where(answers[query], own - 1, 0), free[user])


def opinions_of(learner, tasks: Tasks, draw: Draw, n_shots: int) -> Tensor:
    """What a learner expects of every item once it knows the first n_shots of each user: [n_users, n_items]."""
    support = gather(tasks, draw._replace(support=draw.support[:, :n_shots])).support
    items = torch.arange(len(tasks.object_ids)).expand(len(draw.tasks), -1)
    inputs = torch.stack([tasks.subjects[draw.tasks][:, None].expand_as(items), items], dim=-1)
    return learner.predict(support, inputs)


def everybody(learner, tasks: Tasks, most: int = 300) -> Tensor:
    """What a learner expects of a stranger of whom nothing is known: its mean over `most` training users, [n_items]."""
    some = tasks.subset(torch.arange(min(most, len(tasks))))
    nobody = torch.zeros(len(some), 0, dtype=torch.long)
    return opinions_of(learner, some, Draw(torch.arange(len(some)), nobody, nobody), 0).mean(0)


def quality(scores: Tensor, asked: Searches) -> Tensor:
    """nDCG@10 of each search, graded: gain 2^relevance − 1. scores: [n, n_items] -> float64 [n]."""
    return ndcg(scores, asked.relevance, 10, asked.candidates)


def log_gain(match: Tensor, opinion: Tensor, weight: float) -> Tensor:
    """log P(match) + w ln 2 · opinion: with w = 1 the log of the gain to be expected, P(match) · 2^opinion.

    To list by expected gain is best for nDCG if the two are independent (the probability ranking principle, Robertson
    1977). w says how far an opinion is to be trusted. match (log P) and opinion (stars): [n, n_items].
    """
    return match + weight * math.log(2) * opinion


def best_weight(
    match: Tensor, opinion: Tensor, asked: Searches, weights: Sequence[float] = WEIGHTS
) -> float:
    """The w of the best mean nDCG@10, the smallest of equals; for searches of validation users. Both [n, n_items]."""
    means = [float(quality(log_gain(match, opinion, w), asked).mean()) for w in weights]
    return weights[int(np.argmax(means))]


def judged(
    scores: Mapping[str, Tensor], asked: Searches, tasks: Tasks, n_shots: int
) -> pd.DataFrame:
    """Records (metric "ndcg@10") of every search, rulers besides; task the search's number, group the user."""
    rulers = {"random": torch.zeros_like(asked.relevance), "oracle": asked.relevance}
    who = np.asarray(tasks.subject_ids)[tasks.subjects[asked.draw.tasks].numpy()][
        asked.user.numpy()
    ]
    same = {"partition": "user-cold", "n_shots": n_shots, "seed": 0, "metric": METRIC, "group": who}
    parts = []
    for name, own in {**rulers, **scores}.items():
        task = np.arange(len(who))
        found = {"learner": name, "task": task, "value": quality(own, asked).numpy(), **same}
        parts.append(pd.DataFrame(found)[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True)
