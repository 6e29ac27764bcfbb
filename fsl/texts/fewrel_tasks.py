"""How well sentence learners name relations that are new to them: FewRel's class-tasks, drawn and judged.

Knows labels, tasks and what a learner promises (`fit(rows)`, `predict`); looks inside no learner.
"""

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from fsl.class_evaluation import judge_classes
from fsl.class_tasks import class_episode
from fsl.compare import summarise
from fsl.evaluation import RULERS
from fsl.learners.text import TfidfPrototypes
from fsl.texts.fewrel import FewRel, around, masked, whole

FORMS = {"whole sentence": whole, "3 words around names": around, "names hidden": masked}


def fewrel_table(
    fewrel: FewRel,
    generator: torch.Generator,
    learners: Mapping[str, object] | None = None,
    **options,
) -> pd.DataFrame:
    """Accuracy per N, K and learner, with its 95 % interval.

    Returns columns partition ("5-way"), n_shots, learner, value (a share), low, high, n_splits; the best first, rulers
    below. learners: None takes `tfidf_learners`. options: those of `fewrel_records`. The intervals resample whole
    splits: which relations are in the background moves a mean more than which sentences are drawn. They are for tasks
    of these relations, and do not say what others would give. About 10 s.
    """
    learners = tfidf_learners(fewrel) if learners is None else learners
    records = fewrel_records(learners, fewrel.labels, generator, **options)
    parts = [
        summarise(rows, "accuracy").assign(partition=partition)
        for partition, rows in records.groupby("partition", sort=False)
    ]
    table = pd.concat(parts).rename(columns={"n_tasks": "n_splits"})
    table = table.assign(ruler=table["learner"].isin(RULERS)).sort_values(
        ["partition", "n_shots", "ruler", "value"], key=_rank, ignore_index=True
    )
    return table[["partition", "n_shots", "learner", "value", "low", "high", "n_splits"]]


def _rank(column: pd.Series) -> pd.Series:
    """5-way before 10-way, few shots before many, rulers below, the best first."""
    if column.name == "partition":
        return column.str.removesuffix("-way").astype(int)
    return -column if column.name == "value" else column


def tfidf_learners(fewrel: FewRel) -> dict[str, TfidfPrototypes]:
    """`TfidfPrototypes` on each of FORMS: how much do the words near the names, and the names themselves, say?"""
    return {name: TfidfPrototypes(fewrel.texts(form)) for name, form in FORMS.items()}


def fewrel_records(
    learners: Mapping[str, object],
    labels: Tensor,
    generator: torch.Generator,
    n_ways: Sequence[int] = (5, 10),
    n_shots: Sequence[int] = (1, 5),
    n_query: int = 5,
    n_tasks: int = 1000,
    n_splits: int = 100,
    n_background: int = 6,
) -> pd.DataFrame:
    """Judge learners on the same tasks, whose relations were not in what the learners were fitted on.

    In each of n_splits, every learner is fitted anew, `fit(rows)`, on n_background relations at random; tasks are
    drawn from the others, n_tasks / n_splits for each N and K, with n_query sentences a class. labels: int64 [n],
    the relation of each row.

    Returns records as `fsl.evaluate` does, for `fsl.compare`, rulers among them: metric accuracy, a share; partition
    "5-way"; task the split and seed the task's number in it, so that intervals keep the tasks of a split together.
    Raises ValueError where n_splits does not divide n_tasks, InputError where relations are too few.
    """
    if n_tasks % n_splits:
        raise ValueError(f"n_tasks must be a multiple of n_splits, got {n_tasks} and {n_splits}")
    records = []
    for split in range(n_splits):
        background, rest = disjoint_rows(labels, n_background, generator)
        for learner in learners.values():
            learner.fit(background)
        for n_way, k in product(n_ways, n_shots):
            size = (n_way, k, n_query, n_tasks // n_splits)
            episode = class_episode(rest, labels[rest], *size, generator)
            judged = judge_classes(learners, episode, k, f"{n_way}-way")
            own = f"split {split}"
            records.append(judged.assign(seed=judged["task"], group=own, task=own))
    return pd.concat(records, ignore_index=True)


def disjoint_rows(
    labels: Tensor, n_background: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows of n_background classes at random, and rows of all the other classes."""
    classes = labels.unique()
    chosen = classes[torch.randperm(len(classes), generator=generator)[:n_background]]
    is_background = torch.isin(labels, chosen)
    return is_background.nonzero()[:, 0], (~is_background).nonzero()[:, 0]
