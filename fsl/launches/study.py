"""Protocol D-items: which of the new items of a period will this user take next? From shop to tidy records.

Looks inside no learner. Learners are fitted on what lies before the period; while it runs they follow the log, of which
each question lets them see what is strictly before its moment; tables and vectors are refreshed at each month's start.

On amazon-phones the overlap terms of `ItemPosterior` were added after a first look at the months of 2014, on the word
of the months before them: what it gains there over the fold-in is not of months that nobody had seen. How it practises
was chosen on June to December 2013. In the pool "out" every answer is ready, and a learner that knows it gains by that.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.compare import N_BOOTSTRAP, Interval
from fsl.content import content_words as content_words
from fsl.data import Shop
from fsl.launches.histories import ordered_within_days
from fsl.launches.protocol import Launches, launches
from fsl.ranking.metrics import against_sample, hit_rate, mrr, places, ranking_ndcg
from fsl.tasks import Tasks, item_tasks

POOLS = ("ready", "all", "out")
RULERS = ("random", "oracle")
METRICS = ("hr@10", "ndcg@10", "mrr@10", "hr@10/99")
COLUMNS = (
    "learner", "partition", "n_shots", "seed", "task", "metric", "value", "group", "user",
)  # fmt: skip
_AT_ONCE = 1_000


def timed_item_tasks(shop: Shop, seed: int = 0) -> Tasks:
    """Implicit item-tasks of a shop that knows days only: the order within each day is drawn once, from `seed`."""
    return ordered_within_days(item_tasks(shop, implicit=True), seed)


def before(tasks: Tasks, moment: float) -> Tasks:
    """The behaviours before a moment, all tasks and all places kept: what a fit at that moment may see."""
    return tasks.subset(torch.arange(len(tasks)), tasks.times < moment)


def judge_launches(
    learners: Mapping[str, object],
    tasks: Tasks,
    found: Launches,
    n_shots: Sequence[int] = (0, 1, 3, 5),
    pools: Sequence[str] = ("ready",),
    metrics: Sequence[str] = METRICS,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank the new items for each question; one record per learner, n_shots, question and metric.

    learners: name -> fitted on what lies before the period and following `tasks`. found: the questions, of the same
    tasks. Every number of shots is asked the same questions.
    pools: whom the answer is ranked among, less what the user has. "ready": new items whose whole support lies before
    the moment; only such can be answers. "all": every new item of the period, those not ready tied at the bottom:
    hr@10 is the same, hr@10/99 easier. "out": those with a first user before the moment, as the learner scores them.
    metrics: hr, ndcg, mrr @k; hr@k/n against n drawn from the pool, in expectation. Ties: expectation over orders.
    Rulers: `random` and `oracle`.

    Columns: learner, partition ("new items, " and the pool), n_shots, seed, task (the question's number), metric,
    value, group (the item), user. Raises ValueError for an unknown pool or metric or a taken name.
    """
    if not pools or set(pools) - set(POOLS):
        raise ValueError(f"pools must be some of {', '.join(POOLS)}, got {pools!r}")
    if taken := set(learners) & set(RULERS):
        raise ValueError(f"the names {', '.join(RULERS)} are taken, rename {', '.join(taken)}")
    ids = {
        "seed": seed,
        "task": np.arange(len(found.answers)),
        "group": np.asarray(tasks.subject_ids[found.items[found.answers].numpy()]),
        "user": np.asarray(tasks.object_ids[found.users.numpy()]),
    }
    frames = []
    for k in n_shots:
        for name, scores in _scored(learners, found, k):
            told = {**ids, "learner": name, "n_shots": k}
            for pool in pools:
                told["partition"] = f"new items, {pool}"
                for metric, value in _measured(scores, found, pool, metrics).items():
                    frames.append(pd.DataFrame({**told, "metric": metric, "value": value.numpy()}))
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)]


def _scored(learners, found: Launches, n_shots: int):
    """Name and scores [n_query, n_new] of the rulers and of every learner."""
    shape = found.unknown.shape
    yield "random", torch.zeros(shape)
    yield "oracle", torch.zeros(shape).scatter_(1, found.answers[:, None], 1.0)
    for name, learner in learners.items():
        parts = [
            learner.predict(found.shots(n_shots), found.query_inputs(slice(s, s + _AT_ONCE))).T
            for s in range(0, len(found.answers), _AT_ONCE)
        ]
        yield name, torch.cat(parts).contiguous()


def _measured(scores: Tensor, found: Launches, pool: str, metrics: Sequence[str]) -> dict:
    candidates, scores = _pool(scores, found, pool)
    answers = found.answers[:, None]
    full = places(scores, answers, answers >= 0, candidates)
    rivals = candidates.scatter(1, answers, False)
    among = places(scores, answers, answers >= 0, rivals)
    values = {}
    for metric in metrics:
        name, _, rest = metric.partition("@")
        k, _, n = rest.partition("/")
        measure = {"hr": hit_rate, "ndcg": ranking_ndcg, "mrr": mrr}.get(name)
        if measure is None or not k.isdigit() or (n and not n.isdigit()):
            raise ValueError(f"unknown metric {metric}; known: hr, ndcg, mrr @k and @k/n")
        sampled = n and against_sample(name, among, rivals.sum(1), int(k), int(n))
        values[metric] = sampled if n else measure(full, int(k))
    return values


def _pool(scores: Tensor, found: Launches, pool: str) -> tuple[Tensor, Tensor]:
    if pool == "ready":
        return found.candidates, scores
    if pool == "out":
        return found.out, scores
    return found.unknown, scores.masked_fill(~found.candidates, float(scores.min()) - 1)


def paired(
    records: pd.DataFrame,
    learner: str,
    reference: str,
    metric: str,
    n_shots: int,
    by: str = "group",
    seed: int = 0,
) -> Interval:
    """Mean over questions of `learner` minus `reference`, with a 95 % bootstrap interval over whole items or users.

    by: "group" resamples items with all their questions, "user" users. Without a reference ("") it is the mean itself.
    Raises ValueError for records of several partitions.
    """
    if records["partition"].nunique() != 1:
        raise ValueError(f"records of one partition, got {records['partition'].nunique()}")
    chosen = records[(records["metric"] == metric) & (records["n_shots"] == n_shots)]
    table = chosen.pivot_table(index=["task", "seed", by], columns="learner", values="value")
    gain = table[learner] - (table[reference] if reference else 0)
    clusters = gain.groupby(by).agg(["sum", "size"]).to_numpy()
    lots = np.random.default_rng(seed).multinomial(
        len(clusters), np.full(len(clusters), 1 / len(clusters)), N_BOOTSTRAP
    )
    sums, sizes = (lots @ clusters).T
    low, high = np.quantile(sums / sizes, [0.025, 0.975])
    return Interval(float(gain.mean()), float(low), float(high))


def new_items_of(tasks: Tasks, start: str, end: str | None = None, **options) -> Launches:
    """`launches` of the period from one ISO date to before another, or to the end of the log."""
    moments = [np.inf if day is None else pd.Timestamp(day).timestamp() for day in (start, end)]
    return launches(tasks, *moments, **options)
