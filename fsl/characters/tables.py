"""The one-shot study read: errors in percent with intervals, differences, errors by shots and by alphabet.

Knows records, and methods as things that predict; trains nothing and draws no figure.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import pandas as pd
import torch
from torch import nn

from fsl.class_evaluation import judge_classes
from fsl.class_tasks import ClassSampler, ClassTasks
from fsl.compare import Interval, paired_difference, summarise
from fsl.episodes import Episode, Examples
from fsl.evaluation import RULERS
from fsl.learners.method import Scoring
from fsl.learners.metric import SiameseNearest


def errors(records: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """% errors of one partition's records, the least first: learner, n_shots, value, low, high (95 %, over tasks)."""
    table = summarise(records, metric)
    wrong = table.assign(
        value=100 * (1 - table["value"]),
        low=100 * (1 - table["high"]),
        high=100 * (1 - table["low"]),
    )
    wrong = wrong.sort_values("value", ignore_index=True)
    return wrong[["learner", "n_shots", "value", "low", "high"]]


def more_errors(records: pd.DataFrame, learner: str, reference: str, n_shots: int = 1) -> Interval:
    """% errors of `learner` minus those of `reference` on the same tasks, paired; below 0, `learner` is better."""
    gap = paired_difference(records, learner, reference, "accuracy", n_shots)
    return Interval(-100 * gap.value, -100 * gap.high, -100 * gap.low)


def error_table(records: pd.DataFrame, seconds: pd.DataFrame, reference: str) -> pd.DataFrame:
    """A line per learner of one partition, rulers below, in words: % errors with their interval, those beyond
    `reference`'s on the same runs, and how many seeds of how many seconds its training took.
    """
    table = errors(records).set_index("learner")
    seeds = records.groupby("learner")["seed"].nunique()
    took = seconds.groupby("learner")["seconds"].mean()
    lines = {}
    for name, row in table.sort_index(
        key=lambda names: names.isin(RULERS), kind="stable"
    ).iterrows():
        gap = (
            "–"
            if name in (reference, *RULERS)
            else in_words(more_errors(records, name, reference), "+")
        )
        lines[name] = {
            "errors, %": in_words(row),
            f"minus {reference}": gap,
            "seeds × seconds": f"{seeds[name]} × {took[name]:.0f}" if name in took else "–",
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def one_to_one(records: pd.DataFrame) -> pd.DataFrame:
    """% errors of one partition's learners if a run's queries share out the classes: transductive, a table apart."""
    table = errors(records, "one-to-one").set_index("learner")
    words = [in_words(row) for row in table.itertuples()]
    return pd.DataFrame({"one-to-one (transductive), errors, %": words}, index=list(table.index))


def in_words(row, sign: str = "") -> str:
    """ "27.5 [20.0, 35.0]" of what has value, low and high; sign="+" for differences."""
    return f"{row.value:{sign}.1f} [{row.low:{sign}.1f}, {row.high:{sign}.1f}]"


def held_out_records(
    methods: Mapping[str, Scoring | SiameseNearest],
    tasks: ClassTasks,
    n_way: int,
    shots: Sequence[int] = (1, 2, 3, 4, 5),
    n_tasks: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Methods with a `body` judged on n_tasks within each alphabet of `tasks`, at every K: partition "held out".

    The support of fewer shots is part of that of more, and the query, one image a class, is the same. n_way is cut
    down to the smallest alphabet. A task is called "Greek · 3".
    """
    alphabets = [tasks.group_names[g] for g in tasks.groups.unique().tolist()]
    n_way = min(n_way, int(torch.bincount(tasks.groups)[tasks.groups.unique()].min()))
    frames = []
    for name, method in methods.items():
        method, embedded = on_features(method, tasks)
        generator = torch.Generator().manual_seed(seed)  # the same draws for every method
        for alphabet in alphabets:
            own = ClassSampler(embedded.in_groups([alphabet]), n_way, max(shots), 1)
            episode = own.sample(n_tasks, generator)
            for k in shots:
                judged = judge_classes(
                    {name: method}, first_shots(episode, n_way, k), k, "held out", seed
                )
                called = alphabet + " · " + judged["task"].astype(str)
                frames.append(judged.assign(group=called, task=called))
    return pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)


def on_features(method, tasks: ClassTasks):
    """The method without its body, and the tasks with that body's features as inputs: each image embedded once."""
    with method.judging():
        features = torch.cat([method.body(part[None])[0] for part in tasks.inputs.split(256)])
    bare = deepcopy(method)
    bare.body = nn.Identity()
    return bare, replace(tasks, inputs=features)


def first_shots(episode: Episode, n_way: int, k: int) -> Episode:
    """The same tasks with the first k support rows of each class; `episode` as `ClassSampler` draws it, unmasked."""
    inputs, targets = (
        side.unflatten(1, (n_way, -1))[:, :, :k].flatten(1, 2) for side in episode.support[:2]
    )
    return Episode(Examples(inputs, targets), episode.query)


def errors_by_task(
    records: pd.DataFrame, learners: Sequence[str], alphabets: bool = False
) -> pd.DataFrame:
    """% errors at one shot, mean over seeds, the hardest last: task × learner, or alphabet × learner."""
    chosen = records.query("metric == 'accuracy' and n_shots == 1 and learner in @learners")
    task = chosen["task"].str.rsplit(" · ", n=1).str[0] if alphabets else chosen["task"]
    table = 100 * (1 - chosen.assign(task=task).pivot_table("value", "task", "learner"))
    order = table.mean(axis=1).sort_values(kind="stable").index
    return table.loc[order, list(learners)]
