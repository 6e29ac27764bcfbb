"""Learners × tasks × shots -> one tidy table of per-task records. Looks inside no learner."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.episodes import Draw, Episode, Examples, draw_shots, everything_else, gather
from fsl.errors import InputError
from fsl.feasibility import FEWEST_TASKS, feasible_sizes, least_behaviours
from fsl.measures import Judged, check_measures, measure
from fsl.tasks import Tasks

METRICS = (
    "mae",
    "mse",
    "ndcg@5",
    "ndcg@10",
    "auc",
    "accuracy",
    "coverage@50",
    "coverage@80",
    "coverage@90",
)
RULERS = ("random", "constant", "oracle")
COLUMNS = ("learner", "partition", "n_shots", "seed", "group", "task", "metric", "value")
ALL = 1_000_000  # as n_shots: everything else that the task did, up to MOST_KNOWN behaviours
MOST_KNOWN = 100


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
    may_ask: Tensor | None = None,
) -> pd.DataFrame:
    """Judge fitted learners on the same test tasks, support rows and query rows.

    learners: name -> an object with `predict(support, query_inputs)`, already fitted. It is given the support
    (inputs, targets, mask) and the query's inputs; the query's targets stay here. tasks: the test tasks.
    n_shots: sizes of support; every size is judged on the same query rows, which follow the largest support, so
    tasks with fewer than max(n_shots) + min_query behaviours are left out, and of more than `max_tasks` a random
    lot is judged. `ALL` among them is the warm reference: all else that the task did is support, its
    first MOST_KNOWN behaviours where there are more.
    seeds: one draw of tasks, support and query for each.
    support: "random" or "temporal" (the task's first behaviours). metrics: mae, mse; rounded_mae, of the nearest whole
    number (NaN where targets are not whole); accuracy, auc and ap, average precision (liked or not: a target above
    the middle of the scale); logloss (of labels; NaN for ratings), ndcg@k, coverage@percent (of learners that have
    `distribution`, a mean and a variance; NaN for others).
    may_ask: bool [n_rows]; query rows are drawn from these alone (see `draw_shots`).
    expected: noise-free expectation of every interaction of the shop, where it is known (simulated data).

    Three rulers stand in every table: `random` (uniform over the scale), `constant` (the middle of the scale) and
    `oracle` (`expected` where given, else the targets themselves). Predictions are clipped to the scale for errors;
    nDCG ranks the unclipped ones over the task's query rows, with gains 2^g − 1, g the rating as steps of a five-star
    scale, 0 to 4. RMSE is sqrt(mean of mse), formed when records are summarised.

    Returns one row per learner, n_shots, seed, task and metric: columns learner, partition, n_shots, seed, group (the
    user or item behind the task, which intervals resample), task, metric, value. Raises ValueError for a taken name,
    an unknown metric or predictions that are not finite, and InputError where no task has enough behaviours.
    """
    check_asked(learners, n_shots, seeds)
    check_measures(metrics)
    if ALL in n_shots and (support != "random" or may_ask is not None):
        raise ValueError(
            "all else as support would look ahead, or at what is new: random support of all rows only"
        )
    n_shots, seeds = [int(k) for k in n_shots], [int(seed) for seed in seeds]
    frames, most = [], max((k for k in n_shots if k != ALL), default=0)
    for seed, k in product(seeds, n_shots):
        generator = torch.Generator().manual_seed(seed)
        shown = most if k == ALL else k
        draw = draw_shots(
            tasks, shown, n_query, generator, support, max_tasks, most, min_query, may_ask
        )
        if k == ALL:
            draw = everything_else(tasks, draw)
            draw = draw._replace(support=draw.support[:, :MOST_KNOWN])
        episode, ids = gather(tasks, draw), tasks.subject_ids[tasks.subjects[draw.tasks].numpy()]
        for name, scores, variance in _predictions(learners, tasks, draw, episode, expected, seed):
            if not scores[episode.query.mask].isfinite().all():
                raise ValueError(f"{name} predicts a value that is not finite at n_shots = {k}")
            judged = Judged(scores, episode.query, tasks.scale, variance)
            values = {metric: measure(metric, judged) for metric in metrics}
            frames.append(records_of(name, partition, k, seed, ids, values))
    return pd.concat(frames, ignore_index=True)


def feasible(
    tasks: Tasks, n_shots: Sequence[int], n_query: int = 10, fewest: int = FEWEST_TASKS
) -> tuple[tuple[int, ...], int]:
    """The shots and query size that at least half of the tasks can serve: (n_shots, n_query), both cut down.

    Query gets at most half of the median task. Raises InputError where even one shot and one query row are too much
    for half of the tasks, where fewer than `fewest` could be judged at all, or where all targets are equal.
    """
    whole_numbers("n_shots", n_shots)
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


def check_asked(learners, n_shots, seeds, rulers: Sequence[str] = RULERS) -> None:
    """Raises InputError for shots or seeds that are no different whole numbers, ValueError for a ruler's name."""
    whole_numbers("n_shots", n_shots)
    whole_numbers("seeds", seeds)
    if taken := set(learners) & set(rulers):
        raise ValueError(
            f"the names {', '.join(rulers)} are the evaluator's own, rename {', '.join(sorted(taken))}"
        )


def whole_numbers(name: str, values: Sequence[int]) -> None:
    try:
        whole = [int(v) for v in values]
        right = whole == list(values) and len(set(whole)) == len(whole) > 0
        right = right and min(whole) >= 0 and max(whole) < 2**63
    except (TypeError, ValueError, OverflowError):
        right = False
    if not right:
        seen = list(values) if isinstance(values, Iterable) else values
        raise InputError(f"{name} must be different whole numbers, 0 or more, got {seen}")


def whole_between(least: int, most: int, **given: int) -> None:
    """Raises InputError for the first of the numbers, by its name, that is not whole or not from least to most."""
    for name, value in given.items():
        if type(value) is not int or not least <= value <= most:
            raise InputError(
                f"{name} is {value}, expected a whole number from {least} to {most:,}."
            )


def _predictions(learners, tasks: Tasks, draw: Draw, episode: Episode, expected, seed: int):
    """Name, predictions [n_tasks, n_query] and their variance, or None, of the rulers and of every learner."""
    query, (low, high) = episode.query, tasks.scale
    lots = torch.Generator().manual_seed(seed + 1)
    yield "random", low + (high - low) * torch.rand(query.targets.shape, generator=lots), None
    yield "constant", torch.full(query.targets.shape, (low + high) / 2), None
    truth = (
        query.targets
        if expected is None
        else torch.from_numpy(expected)[tasks.rows[draw.query.clamp(min=0)]]
    )
    yield "oracle", truth.float(), None
    for name, learner in learners.items():
        scores, variance = predicted(name, learner, episode.support, query.inputs)
        yield name, scores, variance


@torch.no_grad()
def predicted(
    name: str, learner, support: Examples, query_inputs: Tensor
) -> tuple[Tensor, Tensor | None]:
    """What a learner predicts of copies of its own, and its variance where it has a `distribution`.

    Raises ValueError, with `name`, for predictions of another shape than [n_tasks, n_query].
    """
    support, asked = Examples(*(side.clone() for side in support)), query_inputs.clone()
    known = getattr(learner, "distribution", None)
    found = None if known is None else known(support, asked)
    if found is None:
        found = torch.as_tensor(learner.predict(support, asked)), None
    if found[0].shape != query_inputs.shape[:2]:
        expected = tuple(query_inputs.shape[:2])
        raise ValueError(f"{name} predicts {tuple(found[0].shape)}, expected {expected}")
    return found


def records_of(
    name: str,
    partition: str,
    n_shots: int,
    seed: int,
    task_ids: pd.Index,
    values: dict[str, Tensor],
) -> pd.DataFrame:
    """The records of one learner; values: metric -> [n_tasks]. Of ids in levels the first is the group."""
    groups = task_ids
    if isinstance(task_ids, pd.MultiIndex):
        groups = task_ids.get_level_values(0)
        # A doubled dot keeps ids that hold the separator themselves apart.
        task_ids = pd.Index(
            [" · ".join(str(x).replace("·", "··") for x in pair) for pair in task_ids]
        )
    n = len(task_ids)
    return pd.DataFrame({
        "learner": name, "partition": partition, "n_shots": n_shots, "seed": seed,
        "group": np.tile(np.asarray(groups), len(values)),
        "task": np.tile(np.asarray(task_ids), len(values)),
        "metric": np.repeat(list(values), n),
        "value": torch.cat(list(values.values())).double().numpy(),
    }, columns=COLUMNS)  # fmt: skip
