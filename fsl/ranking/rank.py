"""Learners × tasks × shots -> per-task records of how each ranks the whole catalogue. Looks inside no learner.

A new user's (item's) known behaviours are the support; every other object of the catalogue is scored; relevant are the
query's. Records are those of `fsl.evaluation`, so `fsl.compare` reads them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from fsl.episodes import Draw, draw_shots
from fsl.errors import InputError
from fsl.evaluation import check_asked, predicted, records_of
from fsl.ranking.judge import METRICS, Judge, parsed
from fsl.ranking.questions import Question, questions
from fsl.tasks import Tasks

RULERS = ("random", "oracle")


class Ranking(NamedTuple):
    """records: learner, partition, n_shots, seed, task, metric, value. catalogue: a line per learner, n_shots and seed,
    with coverage@10 and novelty@10."""

    records: pd.DataFrame
    catalogue: pd.DataFrame


def rank(
    learners: Mapping[str, object],
    tasks: Tasks,
    n_shots: Sequence[int] = (10,),
    n_query: int | None = None,
    seeds: Sequence[int] = (0,),
    support: str = "random",
    partition: str = "user-cold",
    metrics: Sequence[str] = METRICS,
    min_query: int = 1,
    max_tasks: int | None = None,
    catalogue: Tensor | None = None,
    popularity: Tensor | None = None,
    relevant_from: float | None = None,
) -> Ranking:
    """Judge fitted learners by how they rank the catalogue for the same test tasks.

    learners: name -> an object with `predict(support, query_inputs)`, fitted; higher is better, only the order counts.
    tasks: the test tasks. n_shots, seeds, support, min_query, max_tasks: as in `fsl.evaluate`.
    n_query: how many behaviours that follow the largest support are relevant; None: all of them (of the other
    behaviours, with support "random" as with "temporal").
    catalogue: places of the objects to rank, int64 [n]; None: all objects that `tasks` knows of, met or not.
    relevant_from: of the query only behaviours with a target of at least that are relevant (4: films rated 4 or 5); the
    others' objects stay candidates, and are wrong. None: all are relevant.
    Left out of a task's list is what the subject already has: the behaviours before the query, the largest support.
    A query behaviour with an object that the subject already has is not relevant; a task without any is not judged.
    With support "temporal" inputs are [..., 3]: the third is `when` in Unix seconds, for the support each behaviour's
    own moment, for the query that of the first query behaviour. Else there is no moment, and inputs are [..., 2].

    metrics: ndcg, recall, hr, precision or mrr @k over the full catalogue; hr, ndcg or mrr @k/n of one relevant object
    against n that the subject never meets, in expectation over the draw. Ties: expectation over their orders.
    popularity: [n_objects], how often each object was met in training, for novelty.
    Rulers: `random` is what a random order gets on average, exactly; `oracle` puts the relevant ones first.

    Returns a `Ranking`. coverage@10: share of the catalogue expected in somebody's top 10. novelty@10: mean over the
    top 10 of −log2 of the training share, (n_i + 1) / Σ (n_j + 1), in bits (Vargas & Castells 2011). Raises ValueError
    for a taken name, an unknown metric or a score that is not finite, InputError where no task has enough behaviours.
    """
    _check(learners, metrics, n_shots, seeds)
    catalogue = torch.arange(len(tasks.object_ids)) if catalogue is None else catalogue
    most, made = max(n_shots), ([], [])
    for seed in [int(seed) for seed in seeds]:
        generator = torch.Generator().manual_seed(seed)
        width = n_query or max(int(tasks.sizes.max()) - most, 1) if len(tasks) else 1
        draw = draw_shots(tasks, most, width, generator, support, max_tasks, most, min_query)
        for k in [int(k) for k in n_shots]:
            timed = support == "temporal"
            judged = rank_draw(
                learners,
                tasks,
                draw,
                k,
                seed,
                timed,
                partition,
                metrics,
                catalogue,
                popularity,
                relevant_from,
            )
            for part, tables in zip(made, judged, strict=True):
                part.append(tables)
    return Ranking(*(pd.concat(tables, ignore_index=True) for tables in made))


def rank_draw(
    learners,
    tasks: Tasks,
    draw: Draw,
    n_shots: int,
    seed: int = 0,
    timed: bool = False,
    partition: str = "user-cold",
    metrics: Sequence[str] = METRICS,
    catalogue: Tensor | None = None,
    popularity: Tensor | None = None,
    relevant_from: float | None = None,
) -> Ranking:
    """`rank` for a draw that was made already: its support is what the subject has, the first `n_shots` are shown."""
    catalogue = torch.arange(len(tasks.object_ids)) if catalogue is None else catalogue
    judges = {name: Judge(metrics, catalogue, popularity) for name in (*RULERS, *learners)}
    ids = []
    for question, part in questions(tasks, draw, n_shots, catalogue, timed, relevant_from):
        ids.append(tasks.subject_ids[tasks.subjects[part].numpy()])
        for name, scores in _scores(learners, question):
            try:
                judges[name].see(scores, question)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    if not ids:
        raise InputError("in no task is there anything new in the query: all its objects are known")
    task_ids = ids[0].append(ids[1:])
    frames = [
        records_of(name, partition, n_shots, seed, task_ids, judge.values())
        for name, judge in judges.items()
    ]
    use = [
        {"learner": name, "partition": partition, "n_shots": n_shots, "seed": seed, **judge.use()}
        for name, judge in judges.items()
    ]
    return Ranking(pd.concat(frames, ignore_index=True), pd.DataFrame(use))


def _scores(learners, question: Question):
    """Name and scores [n_tasks, n_catalogue] of the rulers and of every learner."""
    shape = question.candidates.shape
    yield "random", torch.zeros(shape)
    yield "oracle", question.is_relevant().float()
    for name, learner in learners.items():
        scores, _ = predicted(name, learner, question.support, question.query_inputs)
        yield name, scores


def _check(learners, metrics, n_shots, seeds) -> None:
    check_asked(learners, n_shots, seeds, RULERS)
    if not metrics:
        raise ValueError("no metric is asked for")
    for metric in metrics:
        parsed(metric)
