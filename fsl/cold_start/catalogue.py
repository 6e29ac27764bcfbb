"""A competition over the whole catalogue: everyone is fitted alike and ranks the same catalogue for the same new users.

With times it is a shop that goes on: who first appears after the cut is new, what they take next is to be found, and
everybody takes up what happened since at the start of each of `n_periods` spans. Without times users are split at
random in folds, and all that they also took is to be found. Knows contenders and judges; knows no method.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
import torch

from fsl.cold_start.clocked import Clocked
from fsl.cold_start.competition import Competition
from fsl.episodes import Examples, draw_shots, gather
from fsl.evaluation import feasible
from fsl.learners.catalogue import counts
from fsl.ranking.rank import Ranking, rank
from fsl.ranking.refresh import before, rank_refreshed
from fsl.ranking.roster import Contender
from fsl.tasks import Tasks, join, split_by_time, split_tasks

METRICS = (
    *(f"{name}@{k}" for name in ("ndcg", "hr", "recall", "mrr") for k in (5, 10, 20)),
    *("ndcg@10/99", "hr@10/99"),
)
PARTITION = "new users, whole catalogue"
CHOOSE_BY = "ndcg@10"
FRACTIONS = (0.7, 0.1, 0.2)
NEXT = 10
_TIMED_TASKS = 16


@dataclass
class CatalogueCompetition(Competition):
    """As `Competition`; use: coverage@10 and novelty@10 of everybody's lists. left_out: who could not compete, and why.

    n_shots: the K that at least half of the users can serve. order: "temporal" or "random".
    """

    use: pd.DataFrame = field(default_factory=pd.DataFrame)
    left_out: Mapping[str, str] = field(default_factory=dict)
    n_shots: Sequence[int] = ()
    order: str = "random"


def rank_catalogue(
    tasks: Tasks,
    entries: Sequence[Contender],
    n_shots: Sequence[int] = (0, 1, 3, 5, 10),
    by: str = "auto",
    likes: float | None = None,
    seed: int = 0,
    n_folds: int = 1,
    n_periods: int = 1,
    seeds: Sequence[int] = (0,),
    n_draws: int = 1,
    max_tasks: int | None = 1000,
    metrics: Sequence[str] = METRICS,
    say: Callable[[str], None] = lambda line: None,
) -> CatalogueCompetition:
    """Fit everyone, let them rank the catalogue for new users, keep per-task records.

    tasks: user-tasks of the whole shop. by: "temporal", "random" or "auto", temporal where time tells behaviours apart.
    likes: the least target that is relevant, by time of the next NEXT behaviours; None: by time the next one is, at
    random all others are. seed: of the split. seeds: of training; each
    is followed by `n_draws` draws of users and support. n_folds: of five, at random. n_periods: by time.
    Settings are chosen by nDCG@10 on validation users (by time: those first seen before the cut), then fitted anew with
    them. Raises InputError where too few users have two behaviours.
    """
    by = tasks.order if by == "auto" else by
    shots, _ = feasible(tasks, [k for k in n_shots if k > 0] or [1], 1)
    shots = [k for k in n_shots if k == 0 or k in shots]
    judge = _by_time if by == "temporal" else _at_random
    options = dict(n_shots=shots, metrics=metrics, max_tasks=max_tasks)
    found, watches = [], []
    for training_seed in seeds:
        draws = [1000 * training_seed + draw for draw in range(n_draws)]
        made = {entry.name: entry.make(training_seed) for entry in entries}
        for part in range(n_folds if by == "random" else 1):
            where = dict(seed=seed, fold=part, likes=likes, n_periods=n_periods, say=say)
            ranking, clocked = judge(tasks, made, draws, where, options)
            found.append(Ranking(*(t.assign(seed=training_seed) for t in ranking)))
            watches.append(clocked)
    records, use = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
    out = {name: w.problem for watch in watches for name, w in watch.items() if w.problem}
    here = [entry for entry in entries if entry.name not in out]
    costs = [
        {"learner": name, "partition": PARTITION, "fit_s": w.fit_s[0], "adapt_us": w.adapt_us}
        for watch in watches
        for name, w in watch.items()
        if name not in out
    ]
    return CatalogueCompetition(
        records[~records["learner"].isin(out)],
        pd.DataFrame(costs, columns=["learner", "partition", "fit_s", "adapt_us"]),
        {entry.name: len(entry.make(0)) for entry in here},
        [entry.name for entry in here if entry.is_meta],
        [entry.name for entry in here if not entry.is_meta],
        use[~use["learner"].isin(out)],
        out,
        shots,
        by,
    )


def _by_time(tasks: Tasks, made: Mapping, draws, where: Mapping, options: Mapping):
    """New users of the time after the cut, refreshed; settings by the new users of the time just before it."""
    split = split_by_time(tasks, FRACTIONS)
    start, cut = (float(part.times.min()) for part in split[1:])
    likes = where["likes"]
    options = dict(options, n_query=1 if likes is None else NEXT, relevant_from=likes)

    def watch(candidates: Mapping) -> pd.DataFrame:
        past = before(tasks, cut, torch.zeros(0, dtype=torch.long))
        told = dict(options, metrics=(CHOOSE_BY,), n_periods=1, seeds=(0,))
        return rank_refreshed(candidates, past, start, cut, **told).records

    learners = _chosen(made, watch, where["say"])
    where["say"](f"fitting and judging {len(learners)} ways to rank")
    n_periods = max(1, min(where["n_periods"], len(split.test) // 12))
    told = dict(options, n_periods=n_periods, seeds=draws, report=where["say"])
    judged = rank_refreshed(learners, tasks, cut, partition=PARTITION, **told)
    return judged, _with_adapting(learners, split.test, options["n_shots"], "temporal")


def _at_random(tasks: Tasks, made: Mapping, draws, where: Mapping, options: Mapping):
    """New users of a fold, all else that they liked to be found; settings by validation users."""
    tasks = replace(tasks, times=None)  # so that nobody trains for an order that is not asked for
    generator = torch.Generator().manual_seed(where["seed"])
    split = split_tasks(tasks, generator, FRACTIONS, where["fold"])
    likes = where["likes"]

    def watch(candidates: Mapping) -> pd.DataFrame:
        for learner in candidates.values():
            learner.fit(split.train)
        told = dict(options, metrics=(CHOOSE_BY,), relevant_from=likes)
        return rank(candidates, split.validation, **told).records

    learners = _chosen(made, watch, where["say"])
    train = join(split.train, split.validation)
    for name, learner in learners.items():
        where["say"](f"fold {where['fold']}: {name}")
        learner.fit(train)
    told = dict(options, seeds=draws, relevant_from=likes, popularity=counts(train, likes))
    judged = rank(learners, split.test, partition=PARTITION, **told)
    return judged, _with_adapting(learners, split.test, options["n_shots"], "random")


def _chosen(made: Mapping[str, Sequence], watch: Callable, say: Callable) -> dict[str, Clocked]:
    """Of each name's candidates the one with the best mean nDCG@10; a single one needs no choice."""
    rivals = {
        f"{name} · {n}": Clocked(candidate)
        for name, candidates in made.items()
        for n, candidate in enumerate(candidates)
        if len(candidates) > 1
    }
    best = dict.fromkeys(made, 0)
    if rivals:
        say(f"choosing among {len(rivals)} settings on validation users")
        means = watch(rivals).groupby("learner")["value"].mean()
        for name, candidates in made.items():
            if len(candidates) > 1:
                best[name] = max(range(len(candidates)), key=lambda n: means[f"{name} · {n}"])
    return {name: Clocked(candidates[best[name]]) for name, candidates in made.items()}


def _with_adapting(learners: dict[str, Clocked], test: Tasks, shots, order: str) -> dict:
    """Each with the median microseconds to read one new user's support and score the whole catalogue."""
    k, n = max(shots), len(test.object_ids)
    draw = draw_shots(test, k, 1, torch.Generator().manual_seed(0), order, _TIMED_TASKS)
    support, asked = gather(test, draw).support, torch.arange(n)
    for learner in learners.values():
        taken = []
        for t in range(len(draw.tasks)):
            one = Examples(*(side[t : t + 1] for side in support))
            rows = torch.stack([test.subjects[draw.tasks[t]].expand(n), asked], 1)[None]
            begin = time.process_time()
            learner.predict(one, rows)
            taken.append(time.process_time() - begin)
        learner.adapt_us = 1e6 * sorted(taken)[len(taken) // 2]
    return learners
