"""Search by users whose few ratings are known: what of the order is theirs? Graded by what they would really think.

Knows scores, draws and the judge; knows no text. For the simulated shop, where everybody's opinion is known.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.episodes import Draw, draw_shots, gather
from fsl.evaluation import COLUMNS
from fsl.metrics import ndcg
from fsl.search.texts import blended
from fsl.tasks import Tasks

METRIC = "ndcg@10"
WEIGHTS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
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


def quality(scores: Tensor, asked: Searches) -> Tensor:
    """nDCG@10 of each search, graded: gain 2^relevance − 1. scores: [n, n_items] -> float64 [n]."""
    return ndcg(scores, asked.relevance, 10, asked.candidates)


def best_weight(
    text: Tensor, opinion: Tensor, asked: Searches, weights: Sequence[float] = WEIGHTS
) -> float:
    """The weight of an opinion beside the text that gives the best mean nDCG@10; for validation users.

    text: [n_queries, n_items]; opinion: [n_users, n_items]. The first of equals, so the smallest.
    """
    own = text[asked.query], opinion[asked.user]
    means = [float(quality(blended(own[0], (w, own[1])), asked).mean()) for w in weights]
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
