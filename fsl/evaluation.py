"""Learners × tasks × shots -> one tidy table of per-task records. Looks inside no learner."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.episodes import Draw, Episode, Examples, draw_shots, gather
from fsl.errors import InputError
from fsl.feasibility import FEWEST_TASKS, feasible_sizes, least_behaviours
from fsl.metrics import mae, mse, ndcg
from fsl.tasks import Tasks

METRICS = ("mae", "mse", "ndcg@5", "ndcg@10")
RULERS = ("random", "constant", "oracle")
COLUMNS = ("learner", "partition", "n_shots", "seed", "task", "metric", "value")


def evaluate(
    learners: Mapping[str, object],
    tasks: Tasks,
    n_shots: Sequence[int] = (1, 3, 5, 10),
    n_query: int = 10,
    seeds: Sequence[int] = (0,),
    support: str = "random",
    partition: str = "user-cold",
    metrics: Sequence[str] = METRICS,
    min_query: int = 1,
    max_tasks: int | None = None,
    expected: np.ndarray | None = None,
) -> pd.DataFrame:
    """Judge fitted learners on the same test tasks, support rows and query rows.

    learners: name -> an object with `predict(support, query_inputs)`, already fitted. It is given the support
    (inputs, targets, mask) and the query's inputs; the query's targets stay here. tasks: the test tasks.
    n_shots: sizes of support; every size is judged on the same query rows, which follow the largest support, so
    tasks with fewer than max(n_shots) + min_query behaviours are left out, and of more than `max_tasks` a random
    lot is judged. seeds: one draw of tasks, support and query for each.
    support: "random" or "temporal" (the task's first behaviours). metrics: mae, mse, ndcg@k.
    expected: noise-free expectation of every interaction of the shop, where it is known (simulated data).

    Three rulers stand in every table: `random` (uniform over the scale), `constant` (the middle of the scale) and
    `oracle` (`expected` where given, else the targets themselves). Predictions are clipped to the scale for errors;
    nDCG ranks the unclipped ones over the task's query rows, with gains 2^g − 1, g the rating as steps of a five-star
    scale, 0 to 4. RMSE is sqrt(mean of mse), formed when records are summarised.

    Returns one row per learner, n_shots, seed, task and metric: columns learner, partition, n_shots, seed, task,
    metric, value. Raises ValueError for a taken name, an unknown metric or predictions that are not finite, and
    InputError where no task has enough behaviours.
    """
    _check(learners, metrics, n_shots, seeds)
    n_shots, seeds = [int(k) for k in n_shots], [int(seed) for seed in seeds]
    frames = []
    for seed, k in product(seeds, n_shots):
        generator = torch.Generator().manual_seed(seed)
        draw = draw_shots(tasks, k, n_query, generator, support, max_tasks, max(n_shots), min_query)
        episode = gather(tasks, draw)
        for name, scores in _predictions(learners, tasks, draw, episode, expected, seed):
            if not scores[episode.query.mask].isfinite().all():
                raise ValueError(f"{name} predicts a value that is not finite at n_shots = {k}")
            values = {metric: _measure(metric, scores, episode, tasks.scale) for metric in metrics}
            frames.append(
                _records(
                    name,
                    partition,
                    k,
                    seed,
                    tasks.subject_ids[tasks.subjects[draw.tasks].numpy()],
                    values,
                )
            )
    return pd.concat(frames, ignore_index=True)


def feasible(
    tasks: Tasks, n_shots: Sequence[int], n_query: int = 10, fewest: int = FEWEST_TASKS
) -> tuple[tuple[int, ...], int]:
    """The shots and query size that at least half of the tasks can serve: (n_shots, n_query), both cut down.

    Query gets at most half of the median task. Raises InputError where even one shot and one query row are too much
    for half of the tasks, where fewer than `fewest` could be judged at all, or where all targets are equal.
    """
    _whole_numbers("n_shots", n_shots)
    median = int(tasks.sizes.double().quantile(0.5)) if len(tasks) else 0
    possible, n_query = feasible_sizes(median, n_shots, n_query)
    if not possible:
        able = int((tasks.sizes > min(n_shots)).sum())
        raise InputError(
            f"half of the {len(tasks)} {tasks.kind}s have fewer than {min(n_shots) + 1} behaviours: "
            f"too few for {min(n_shots)} of support and one to be judged on ({able} have as many)"
        )
    least = least_behaviours(possible, n_query)
    if (able := int((tasks.sizes >= least).sum())) < fewest:
        raise InputError(
            f"{able} of the {len(tasks)} {tasks.kind}s have the {least} behaviours that a judgement takes: "
            f"at least {fewest} are needed to say anything"
        )
    if tasks.scale[0] == tasks.scale[1]:
        raise InputError(f"every target is {tasks.scale[0]:g}: there is nothing to predict")
    return possible, n_query


def _check(learners, metrics, n_shots, seeds) -> None:
    _whole_numbers("n_shots", n_shots)
    _whole_numbers("seeds", seeds)
    if taken := set(learners) & set(RULERS):
        raise ValueError(
            f"the names {', '.join(RULERS)} are the evaluator's own, rename {', '.join(sorted(taken))}"
        )
    unknown = [m for m in metrics if m not in ("mae", "mse") and not _cutoff(m)]
    if unknown or not metrics:
        raise ValueError(f"unknown metrics {', '.join(unknown)}; known: mae, mse, ndcg@k")


def _whole_numbers(name: str, values: Sequence[int]) -> None:
    try:
        whole = [int(v) for v in values]
        right = whole == list(values) and len(set(whole)) == len(whole) > 0
        right = right and min(whole) >= 0 and max(whole) < 2**63
    except (TypeError, ValueError, OverflowError):
        right = False
    if not right:
        seen = list(values) if isinstance(values, Iterable) else values
        raise InputError(f"{name} must be different whole numbers, 0 or more, got {seen}")


def _cutoff(metric: str) -> int:
    name, _, k = metric.partition("@")
    return int(k) if name == "ndcg" and k.isdigit() else 0


def _predictions(learners, tasks: Tasks, draw: Draw, episode: Episode, expected, seed: int):
    """Name and predictions [n_tasks, n_query] of the rulers and of every learner."""
    query, (low, high) = episode.query, tasks.scale
    lots = torch.Generator().manual_seed(seed + 1)
    yield "random", low + (high - low) * torch.rand(query.targets.shape, generator=lots)
    yield "constant", torch.full(query.targets.shape, (low + high) / 2)
    truth = (
        query.targets
        if expected is None
        else torch.from_numpy(expected)[tasks.rows[draw.query.clamp(min=0)]]
    )
    yield "oracle", truth.float()
    for name, learner in learners.items():
        with torch.no_grad():
            own_copy = Examples(*(side.clone() for side in episode.support))
            scores = torch.as_tensor(learner.predict(own_copy, query.inputs.clone()))
        if scores.shape != query.targets.shape:
            raise ValueError(
                f"{name} predicts {tuple(scores.shape)}, expected {tuple(query.targets.shape)}"
            )
        yield name, scores


def _measure(metric: str, scores: Tensor, episode: Episode, scale: tuple[float, float]) -> Tensor:
    low, high = scale
    query, clipped = episode.query, scores.double().clamp(low, high)
    if metric in ("mae", "mse"):
        return {"mae": mae, "mse": mse}[metric](clipped, query.targets.double(), query.mask)
    steps = 4 * (query.targets - low) / max(high - low, 1e-9)
    return ndcg(scores, steps.clamp(min=0), _cutoff(metric), query.mask)


def _records(
    name, partition, n_shots, seed, task_ids: pd.Index, values: dict[str, Tensor]
) -> pd.DataFrame:
    if isinstance(task_ids, pd.MultiIndex):
        # A doubled dot keeps ids that hold the separator themselves apart.
        task_ids = pd.Index(
            [" · ".join(str(x).replace("·", "··") for x in pair) for pair in task_ids]
        )
    n = len(task_ids)
    return pd.DataFrame({
        "learner": name, "partition": partition, "n_shots": n_shots, "seed": seed,
        "task": np.tile(np.asarray(task_ids), len(values)),
        "metric": np.repeat(list(values), n),
        "value": torch.cat(list(values.values())).double().numpy(),
    }, columns=COLUMNS)  # fmt: skip
