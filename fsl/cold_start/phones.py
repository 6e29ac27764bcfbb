"""Cross-validation over the users of a shop as small as phones-99, where every user is worth being tested once.

Ten folds of users, 60 draws of 5 rated phones -> 5 others per user; settings are chosen inside the training users.
Knows learners and records; the tables made from the records are `compare`'s.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import pandas as pd
import torch

from fsl.evaluation import evaluate
from fsl.learners.averages import Average
from fsl.learners.baselines import RidgeOnFeatures, ShrunkBias, SupportMean
from fsl.learners.gaussian_process import PreferenceGP
from fsl.learners.inner_folds import SelectedByFolds, folds_by_group
from fsl.learners.neighbours import UserKNN
from fsl.learners.regressions import RidgeOnStatistics
from fsl.learners.trees import TreesOnFeatures
from fsl.tasks import Tasks

RIDGE, GP, TREES = "ridge on features", "preference GP", "boosted trees"
AVERAGES = {"GP + trees": (GP, TREES), "GP + ridge": (GP, RIDGE)}
METRICS = ("mse", "mae", "coverage@90")


def without_copies(tasks: Tasks, least: int = 5) -> Tasks:
    """The tasks less those whose behaviours repeat an earlier task's, object by object and target by target.

    A person who answered a survey twice would be in training and in test at once: phones-99 has three such pairs. Only
    tasks with at least `least` behaviours are compared, since short ones may agree by chance.
    """
    seen, kept = set(), []
    for task, (objects, targets) in enumerate(_by_task(tasks)):
        answers = tuple(sorted(zip(objects.tolist(), targets.tolist(), strict=True)))
        if len(answers) < least or answers not in seen:
            kept.append(task)
        seen.add(answers)
    return tasks.subset(torch.tensor(kept, dtype=torch.long))


def _by_task(tasks: Tasks):
    sizes = tasks.sizes.tolist()
    return zip(tasks.objects.split(sizes), tasks.targets.split(sizes), strict=True)


class Study(NamedTuple):
    """records: as `evaluate` gives them, with the column `fold`; seconds: one row per learner and fold, to fit it."""

    records: pd.DataFrame
    seconds: pd.DataFrame


def contenders(seed: int = 0) -> dict[str, object]:
    """Name -> unfitted learner; settings are chosen by inner folds over the training users, never on test users."""
    biases = [ShrunkBias(i, u) for i, u in product((2, 5, 10, 20), (1, 2, 4))]
    ridges = [RidgeOnFeatures(w, u) for w, u in product((2, 5, 10, 20, 40, 80), (1, 2, 4))]
    nearest = [UserKNN(200, s, v, 4.0) for s, v in product((1, 3, 9), (1, 3, 9))]
    statistics = [RidgeOnStatistics(a, seed=seed) for a in (100, 3e3, 1e5)]
    trees = [TreesOnFeatures(n, 80, seed=seed) for n in (4, 8)]
    processes = [PreferenceGP(prior_width=w) for w in (0.5, 1.0, 2.0)]
    return {
        "support mean": SupportMean(),
        "item + user bias": SelectedByFolds(biases, seed=seed),
        "user kNN": SelectedByFolds(nearest, seed=seed),
        RIDGE: SelectedByFolds(ridges, seed=seed),
        "ridge on statistics": SelectedByFolds(statistics, seed=seed, n_draws=2),
        TREES: SelectedByFolds(trees, seed=seed, n_draws=2),
        GP: SelectedByFolds(processes, seed=seed, n_folds=3),
    }


def phones_study(
    tasks: Tasks,
    make: Callable[[int], Mapping[str, object]] = contenders,
    averages: Mapping[str, Sequence[str]] = AVERAGES,
    n_folds: int = 10,
    n_draws: int = 60,
    n_shots: int = 5,
    n_query: int = 5,
    seed: int = 0,
    keep_copies: bool = False,
) -> Study:
    """Every user tested in one fold, by learners that never met that user, on `n_draws` draws of support and query.

    make: seed -> name -> unfitted learner, made anew for each fold. averages: name -> names of learners whose
    predictions are averaged with equal weights. The records have the metrics mse and mae, and coverage@90 of learners
    that give a `distribution` (an average gives none). Users with no more than `n_shots` ratings are not tested. Who
    answered twice is in once (`without_copies`) unless `keep_copies`: then a test user's double may be in training.
    The same seed gives the same records; the seconds are measured.
    """
    frames, seconds = [], []
    folds = folds_by_group(tasks if keep_copies else without_copies(tasks), n_folds, seed)
    for fold, (train, test) in enumerate(folds):
        fitted = {}
        for name, learner in make(seed).items():
            start = time.perf_counter()
            fitted[name] = learner.fit(train)
            seconds.append((name, fold, time.perf_counter() - start))
        for name, members in averages.items():
            fitted[name] = Average([fitted[member] for member in members])
        found = evaluate(fitted, test, (n_shots,), n_query, range(n_draws), metrics=METRICS)
        frames.append(found.assign(fold=fold))
    times = pd.DataFrame(seconds, columns=["learner", "fold", "seconds"])
    return Study(pd.concat(frames, ignore_index=True), times)
