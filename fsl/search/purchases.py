"""Search on a log of purchases: the category of what a new user takes next is the query, the thing itself the answer.

Temporal: fits see what lies before their date, and a question shows what came before it. One new user asks one question
for each K, so the users of different K are not the same (K = 10 has few); comparisons are within a K, paired.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.episodes import Draw, draw_shots
from fsl.errors import InputError
from fsl.evaluation import COLUMNS
from fsl.learners.catalogue import z_scored
from fsl.learners.cooccurrence import ContentNeighbours, ItemKNN
from fsl.learners.popularity import MostPopular
from fsl.ranking.metrics import Places, ranking_ndcg
from fsl.ranking.questions import Question, questions
from fsl.ranking.refresh import before, first_seen, months, within
from fsl.search.texts import Odds, fit_odds
from fsl.tasks import Tasks

METRIC = "ndcg@10"
RULERS = ("random", "oracle")
POPULARITY = (0.03, 0.1, 0.3, 1.0, 3.0)
PERSONAL = (0.0, 0.03, 0.1, 0.3, 1.0)
Weights = tuple[float, float, float]


class Asked(NamedTuple):
    """Questions of one K: the answer and its category, int64 [n]; candidates bool [n, n_items]; who, ids [n].

    popularity (of the last 45 days, log), neighbours (by co-purchases), content (by brand and category): [n, n_items],
    what is known of the items and of the user at the fit's date.
    """

    answer: Tensor
    category: Tensor
    candidates: Tensor
    popularity: Tensor
    neighbours: Tensor
    content: Tensor
    who: np.ndarray


def purchase_questions(
    tasks: Tasks,
    categories: Tensor,
    start: float,
    end: float | None,
    n_shots: int,
    most: int = 1500,
    every: int = 3,
    seed: int = 0,
) -> Iterator[Asked]:
    """The next purchase of users first seen from `start` on, n_shots known, if it falls before `end`; in parts.

    Fits see what lies before their date, every `every` months, and nobody who is asked then. most: a random lot of the
    users. start: the start of a month. Raises InputError where there is no such user.
    """
    new = (first_seen(tasks) >= start).nonzero()[:, 0]
    judged = tasks.subset(new)
    end = float(tasks.times.max()) + 1 if end is None else end
    generator = torch.Generator().manual_seed(seed)
    draw = draw_shots(judged, n_shots, 1, generator, "temporal")
    draw = within(judged, draw, start, end)
    some = torch.randperm(len(draw.tasks), generator=generator)[:most].sort().values
    draw, starts = Draw(*(x[some] for x in draw)), months(start, end)
    for begin, stop in pairwise([*starts[:-1:every], starts[-1]]):
        part = within(judged, draw, begin, min(stop, end))
        if not len(part.tasks):
            continue
        train = before(tasks, begin, new[part.tasks])
        fitted = (MostPopular(45).fit(train), ItemKNN().fit(train), ContentNeighbours().fit(train))
        everything = torch.arange(len(tasks.object_ids))
        for question, places in questions(judged, part, n_shots, everything, True):
            asked = _asked(fitted, question, categories)
            who = np.asarray(tasks.subject_ids)[judged.subjects[places].numpy()]
            yield _with_category(asked._replace(who=who))


def _asked(fitted: Sequence, question: Question, categories: Tensor) -> Asked:
    popularity, neighbours, content = (one.scores(question.support) for one in fitted)
    answer = question.relevant[:, 0]
    told = (popularity, neighbours.sqrt(), content)  # √: a few neighbours are very near
    return Asked(answer, categories[answer], question.candidates, *told, who=np.empty(0))


def _with_category(asked: Asked) -> Asked:
    some = asked.category >= 0
    return Asked(*(x[some.numpy() if isinstance(x, np.ndarray) else some] for x in asked))


def together(parts: Sequence[Asked]) -> Asked:
    """Parts as one. Raises InputError for none."""
    if not parts:
        raise InputError("no new user has a next purchase with a category in these months")
    joined = (
        torch.cat(x) if isinstance(x[0], Tensor) else np.concatenate(x)
        for x in zip(*parts, strict=True)
    )
    return Asked(*joined)


def quality(scores: Tensor, asked: Asked) -> Tensor:
    """nDCG@10 with one answer, 1 / log2(1 + its place); ties in expectation: float64 [n]."""
    own = scores.gather(1, asked.answer[:, None])
    above = ((scores > own) & asked.candidates).sum(1, keepdim=True)
    tied = ((scores == own) & asked.candidates).sum(1, keepdim=True)
    return ranking_ndcg(Places(above, tied, torch.ones_like(tied, dtype=torch.bool), own), 10)


def category_odds(text: Tensor, categories: Tensor, asked: Asked) -> Odds:
    """P(an item is of the category asked for | its text score), from the queries of validation users."""
    some = asked.category.unique()
    return fit_odds(text[some], categories == some[:, None])


def ordered(match: Tensor, asked: Asked, weights: Weights) -> Tensor:
    """log P(match) + a z(popularity) + b z(neighbours) + c z(content), weights (a, b, c): [n, n_items].

    match: [n_categories, n_items].
    """
    total = match[asked.category]
    others = (asked.popularity, asked.neighbours, asked.content)
    for weight, other in zip(weights, others, strict=True):
        if weight:
            total = total + weight * z_scored(other)
    return total


def chosen_weights(match: Tensor, asked: Asked) -> tuple[Weights, Weights]:
    """The best weights on validation users by mean nDCG@10: without anything of the user (b = c = 0), then with."""

    def best(grid: Sequence[Weights]) -> Weights:
        return max(grid, key=lambda w: float(quality(ordered(match, asked, w), asked).mean()))

    anybody = best([(a, 0.0, 0.0) for a in (0.0, *POPULARITY)])
    return anybody, best([(anybody[0], b, c) for b, c in product(PERSONAL, PERSONAL)])


def judge_purchases(
    engines: Mapping[str, Tensor],
    match: Tensor,
    parts: Iterable[Asked],
    weights: tuple[Weights, Weights],
    n_shots: int,
) -> pd.DataFrame:
    """Records of each engine alone, of `match` with popularity and with the user, and of the rulers.

    engines: name -> text scores [n_categories, n_items]; match: `log_match` of one of them. Learner "user" is the
    whole: words, popularity and the user's purchases.
    """
    frames = []
    same = {"partition": "new users", "n_shots": n_shots, "seed": 0, "metric": METRIC}
    for asked in parts:
        scores = {name: text[asked.category] for name, text in engines.items()}
        scores["random"] = torch.zeros_like(asked.popularity)
        scores["oracle"] = scores["random"].scatter(1, asked.answer[:, None], 1.0)
        scores |= {
            name: ordered(match, asked, w)
            for name, w in zip(("popularity", "user"), weights, strict=True)
        }
        for name, own in scores.items():
            found = {"learner": name, "task": asked.who, "group": asked.who, **same}
            frames.append(pd.DataFrame({**found, "value": quality(own, asked).numpy()}))
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)]
