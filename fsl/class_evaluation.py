"""Class-tasks judged: accuracy per task, with rulers, as records that `fsl.compare` reads. Looks inside no learner."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fsl.episodes import Episode, Examples
from fsl.evaluation import COLUMNS, RULERS
from fsl.learners.base import mask_of
from fsl.metrics import masked_mean


def accuracy(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share of a task's query rows whose own class has the highest score; the first of equals counts.

    scores: [n_tasks, n_query, n_way]; a row with a NaN, or with nothing but −inf, is wrong. targets, mask: [n_tasks,
    n_query], targets int. Returns [n_tasks], float64. Raises ValueError for other shapes and targets that are no class.
    """
    if targets.is_floating_point():
        raise ValueError(f"targets must be class numbers, got {targets.dtype}")
    if scores.ndim != 3 or scores.shape[:2] != targets.shape:
        raise ValueError(f"scores are {list(scores.shape)}, expected {[*targets.shape]} and n_way")
    best = scores.max(-1).values
    told = ~best.isnan() & (best > -torch.inf)
    return masked_mean(((scores.argmax(-1) == targets) & told).double(), mask)


def one_to_one_accuracy(scores: Tensor, targets: Tensor) -> Tensor:
    """Accuracy when a task's query rows share out the classes, each class to one row, so as to add up to most.

    Transductive: it uses that every class comes once, and judges the rows together (Hungarian method: Kuhn 1955).
    scores: [n_tasks, n, n], finite. targets: [n_tasks, n]. Returns [n_tasks], float64.
    Raises ValueError where there are not as many query rows as classes.
    """
    if scores.shape[-1] != scores.shape[-2]:
        raise ValueError(f"one row for each class wanted, got scores {list(scores.shape)}")
    finite = scores.double().nan_to_num(nan=-1e12, neginf=-1e12)
    chosen = [linear_sum_assignment(task.numpy(), maximize=True)[1] for task in finite]
    return accuracy(torch.nn.functional.one_hot(torch.tensor(np.stack(chosen))).double(), targets)


def judge_classes(
    learners: Mapping[str, object],
    episode: Episode,
    n_shots: int,
    partition: str = "",
    seed: int = 0,
    one_to_one: bool = False,
) -> pd.DataFrame:
    """Every learner on the same class-tasks: records of metric "accuracy", a share, as `fsl.evaluate` makes them.

    one_to_one: metric "one-to-one" besides, of the learners alone: `one_to_one_accuracy`, for unmasked query rows.
    The rulers: `random` is what guessing comes to, 1 / n_way of each task; `constant` says each task's class 0 always;
    `oracle` is 1. Each query row is judged by what the learner makes of the support alone, if the learner is inductive.
    Raises ValueError for a learner called like a ruler.
    """
    if taken := set(learners) & set(RULERS):
        raise ValueError(f"the names {', '.join(sorted(taken))} are the rulers' own")
    support, query = (Examples(*side) for side in episode)
    n_way = torch.where(mask_of(support), support.targets, 0).amax(-1).double() + 1
    scores = {name: one.predict(support, query.inputs) for name, one in learners.items()}
    found = {name: accuracy(s, query.targets, query.mask) for name, s in scores.items()}
    constant = masked_mean((query.targets == 0).double(), query.mask)
    found |= {"random": 1 / n_way, "constant": constant, "oracle": torch.ones_like(n_way)}
    measures = {"accuracy": found}
    if one_to_one:
        together = {name: one_to_one_accuracy(s, query.targets) for name, s in scores.items()}
        measures["one-to-one"] = together
    rows = [
        (name, partition, n_shots, seed, task, task, metric, value)  # each task a group of its own
        for metric, found in measures.items()
        for name, values in found.items()
        for task, value in enumerate(values.tolist())
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
