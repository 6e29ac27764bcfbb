"""Two contests over the whole catalogue: new users of a shop of ratings, and the next purchase of new users in time.

Who competes, with which settings to choose from (at most nine each), and how they are judged. Knows learners and
judges; knows no table. Settings are chosen on validation users alone: other people, or the months before the cut.

The set ranker itself was designed on validation users of two of the five folds of ml-100k, who are test users in other
folds; its settings are chosen anew in every fold.
"""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import torch

from fsl.errors import InputError
from fsl.learners.blend import Blend
from fsl.learners.catalogue import RankingLearner, counts
from fsl.learners.cooccurrence import EASE, ContentNeighbours, ItemKNN
from fsl.learners.episodic_ridge import EpisodicRidge
from fsl.learners.implicit_mf import ImplicitALS
from fsl.learners.popularity import MostPopular
from fsl.learners.set_ranker import SetRanker
from fsl.ranking.choice import SelectedByRank
from fsl.ranking.rank import METRICS, Ranking, rank
from fsl.ranking.refresh import before, months, rank_refreshed
from fsl.tasks import Split, Tasks, split_tasks

N_VALIDATION = 100
BASELINES = (
    "most popular", "most popular recently", "item kNN", "item kNN + popularity", "content neighbours",
    "kNN + recent", "kNN + recent (by sampled HR)", "kNN + recent + content",
    "kNN + recent + content (by sampled HR)", "EASE", "EASE blend", "ALS", "episodic ridge",
)  # fmt: skip
"""From cheap to costly. The episodic ridge is fitted on episodes, but has no learned features: a baseline."""
META_LEARNERS = ("set ranker", "set ranker, both losses")
_LAMBDAS = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 30.0)
_EASE = (100.0, 200.0, 300.0, 500.0, 700.0, 1000.0, 1500.0, 2000.0, 4000.0)


def _say(line: str) -> None:
    """Nothing is reported unless asked for."""


def user_cold_contest(
    tasks: Tasks,
    relevant_from: float | None,
    folds: Sequence[int] = range(5),
    n_shots: int = 10,
    seeds: Sequence[int] = (0, 1, 2),
    metrics: Sequence[str] = METRICS,
    split_seed: int = 0,
    report: Callable[[str], None] = _say,
    ranker: Mapping[str, object] | None = None,
) -> Ranking:
    """Protocol A over the full catalogue: five folds over users, `n_shots` random behaviours known.

    Relevant are all the user's other behaviours with a target of at least `relevant_from`; candidates are all objects
    but the support's. 100 users of each fold's others, or a quarter of them if that is less, choose the settings, by
    nDCG@10 over the same kind of episodes. ranker: settings of the set rankers, where they shall be others than here.
    """
    how = dict(n_shots=(n_shots,), seeds=seeds, relevant_from=relevant_from)
    rest = min(N_VALIDATION / max(len(tasks), 1), 0.2)
    found = []
    for fold in folds:
        generator = torch.Generator().manual_seed(split_seed)
        split = split_tasks(tasks, generator, (0.8 - rest, rest, 0.2), fold)
        learners = fitted_for_sets(split, relevant_from, how, ranker)
        options = dict(how, metrics=metrics, popularity=counts(split.train, relevant_from))
        judged = rank(learners, split.test, **options)
        found.append(judged._replace(catalogue=judged.catalogue.assign(fold=fold)))
        n_judged = judged.records["task"].nunique()
        report(f"fold {fold}: {n_judged} of {len(split.test)} users judged")
    return Ranking(*(pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True)))


def fitted_for_sets(
    split: Split, likes: float | None, how: Mapping, ranker: Mapping[str, object] | None = None
) -> dict[str, RankingLearner]:
    """Everybody who competes without times, fitted on the training users with settings chosen on validation users.

    likes: the least target that counts as positive. how: the options of `rank` for the choice; `ranker` as in
    `user_cold_contest`.
    """

    def chosen(*candidates: RankingLearner) -> RankingLearner:
        return SelectedByRank(candidates, how).fit(split.train, split.validation).chosen

    def blended(members, *weights) -> RankingLearner:
        return chosen(*(Blend(members, weight, fitted=True) for weight in weights))

    liking, k = dict(likes=likes), how["n_shots"][0]
    popular = MostPopular(**liking).fit(split.train)
    knn = chosen(*(ItemKNN(s, a, **liking) for s in (3.0, 10.0, 30.0) for a in (0.5, 0.6, 0.75)))
    ease = chosen(*(EASE(s, **liking) for s in _EASE))
    parts = (0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
    usual = dict(timed=False, shots=(k,), n_moments=10, n_asked=3, n_nets=2, **liking)
    options = usual | dict(ranker or {})
    rankers = [SetRanker(objective=objective, **options) for objective in ("softmax", "each")]
    return {
        "most popular": popular,
        "item kNN": knn,
        "item kNN + popularity": blended([knn, popular], *((1, w) for w in parts)),
        "EASE": ease,
        "EASE blend": blended(
            [ease, knn, popular], *((1, w, p) for w in (0.5, 1, 2) for p in (0, 0.2, 0.5))
        ),
        "ALS": chosen(
            *(ImplicitALS(d, c, 10.0, 6, **liking) for d in (8, 16, 32) for c in (1.0, 4.0, 16.0))
        ),
        "episodic ridge": chosen(*(EpisodicRidge(s, **liking) for s in _LAMBDAS)),
        "set ranker": chosen(*rankers),
        "set ranker, both losses": blended(rankers, (1, 0.5), (1, 1), (1, 2)),
    }


def new_users_contest(
    tasks: Tasks,
    cut: float,
    n_shots: int = 3,
    seeds: Sequence[int] = (0, 1, 2),
    metrics: Sequence[str] = METRICS,
    n_months: int = 2,
    report: Callable[[str], None] = _say,
    ranker: Mapping[str, object] | None = None,
) -> Ranking:
    """Protocol D-users: subjects first seen from `cut` on (a month's start), their next behaviour, refreshed monthly.

    Settings are chosen on those first seen in the `n_months` before the cut, refreshed monthly just so. ranker:
    settings of the set rankers, where they shall be others than here. Raises InputError for a cut within a month.
    """
    if months(cut, cut)[0] != cut:
        day = pd.Timestamp(cut, unit="s")
        raise InputError(f"the cut must be the start of a month (UTC), got {day}")
    month = pd.Timestamp(cut, unit="s") - pd.DateOffset(months=n_months)
    learners = chosen_in_time(tasks, float(month.timestamp()), cut, n_shots, ranker)
    return rank_refreshed(
        learners, tasks, cut, n_shots=n_shots, seeds=seeds, metrics=metrics, report=report
    )


def chosen_in_time(
    tasks: Tasks,
    start: float,
    end: float,
    n_shots: int,
    ranker: Mapping[str, object] | None = None,
) -> dict[str, RankingLearner]:
    """Everybody who competes with times; settings by those first seen, and judged, in [start, end).

    Nothing from `end` on is looked at, not even for what a subject "never meets".
    """
    past = before(tasks, end, torch.zeros(0, dtype=torch.long))
    watched = ("ndcg@10", "hr@10/99")

    def means(candidates: Mapping[str, RankingLearner], others: Mapping | None = None):
        everyone = {**(others or {}), **candidates}  # members of a blend are fitted before it
        options = dict(n_shots=n_shots, seeds=(0, 1), metrics=watched)
        records = rank_refreshed(everyone, past, start, end, **options).records
        table = records.pivot_table(index="learner", columns="metric", values="value")
        return table.loc[list(candidates)]

    def best(candidates: Mapping[str, RankingLearner]) -> RankingLearner:
        return candidates[means(candidates)["ndcg@10"].idxmax()]

    knn = best({f"{s} {a}": ItemKNN(s, a) for s in (10.0, 30.0, 100.0) for a in (0.5, 0.75, 1.0)})
    members: dict[str, RankingLearner] = {
        "item kNN": knn,
        "most popular recently": MostPopular(45),
    }
    weights, name = [(1, p) for p in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 3, 5)], "kNN + recent"
    if tasks.object_features.shape[1]:
        members["content neighbours"] = ContentNeighbours()
        weights = [(1, p, c) for p in (0.5, 1, 3) for c in (0, 0.5, 2)]
        name += " + content"
    blends = {str(w): Blend(list(members.values()), w, fitted=True) for w in weights}
    reached = means(blends, members)
    als = {f"{c} {s}": ImplicitALS(32, c, s, 6) for c in (5.0, 20.0, 80.0) for s in (3.0, 30.0)}
    options = dict(lr=0.01, n_nets=2, n_asked=800) | dict(ranker or {})
    shots = ((n_shots,), (1, 2, 3, 4, 5, 7, 10))
    return {
        "most popular": MostPopular(),
        **members,
        name: blends[reached["ndcg@10"].idxmax()],
        f"{name} (by sampled HR)": blends[reached["hr@10/99"].idxmax()],
        "ALS": best(als),
        "set ranker": best({str(some): SetRanker(shots=some, **options) for some in shots}),
    }
