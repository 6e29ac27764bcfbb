"""The verdict on rankings: who competes, that nobody sees whom they are judged on, and words where higher is better."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import seeded

from fsl import InputError, Shop, draw_shots, user_tasks
from fsl.cold_start import plots
from fsl.cold_start.catalogue import rank_catalogue
from fsl.cold_start.clocked import Clocked
from fsl.cold_start.verdict import in_capitals, verdict
from fsl.compare import lower_is_better
from fsl.episodes import Examples
from fsl.learners.catalogue import RankingLearner, counts
from fsl.learners.episodic_ridge import EpisodicRidge
from fsl.learners.popularity import MostPopular
from fsl.ranking.metrics import _FEW, places
from fsl.ranking.rank import rank
from fsl.ranking.refresh import first_seen, periods, rank_refreshed
from fsl.ranking.roster import Contender, affordable, contenders, liked_from, size_of
from fsl.ranking.sizes import Size, gib, seconds

DAY = 86_400.0
METRICS = ("ndcg@10", "hr@10", "hr@10/99")
N_ITEMS = 24


def made_shop(n_users: int = 150, timed: bool = True, rated: bool = False, seed: int = 0) -> Shop:
    """Users who come over a year and take 4 to 8 things, mostly of one of two kinds, some things more popular."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        own = rng.integers(2)
        weight = (1 + np.arange(N_ITEMS) % 7) * np.where(np.arange(N_ITEMS) % 2 == own, 8.0, 1.0)
        taken = rng.choice(N_ITEMS, rng.integers(4, 9), replace=False, p=weight / weight.sum())
        begin = 365 * user / n_users
        rows += [(f"u{user}", f"i{i}", (begin + n) * DAY) for n, i in enumerate(taken)]
    table = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    if rated:
        table["rating"] = rng.integers(1, 6, len(table))
    if not timed:
        table = table.drop(columns="timestamp")
    items = [{"item": f"i{i}", "kind": "ab"[i % 2]} for i in range(N_ITEMS)]
    return Shop(table, items=pd.DataFrame(items))


@pytest.fixture(scope="module")
def timed():
    return user_tasks(made_shop(), implicit=True)


@pytest.fixture(scope="module")
def untimed():
    return user_tasks(made_shop(timed=False), implicit=True)


def cheap(tasks) -> list[Contender]:
    return [one for one in contenders(tasks) if not one.is_meta]


@pytest.fixture(scope="module")
def found(timed):
    everyone = contenders(timed, effort=0.3, shots=(1, 3))
    return rank_catalogue(timed, everyone, metrics=METRICS, n_periods=2)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_few_relevant_things_are_placed_as_a_loop_places_them(seed):
    generator = seeded(seed)
    scores = torch.randint(4, (3, 9), generator=generator).float()
    candidates = torch.rand(3, 9, generator=generator) < 0.7
    relevant = torch.randint(9, (3, 2), generator=generator)
    placed = places(scores, relevant, torch.ones_like(relevant, dtype=torch.bool), candidates)
    for t in range(3):
        for j, i in enumerate(relevant[t].tolist()):
            among = scores[t][candidates[t]]
            assert placed.above[t, j] == int((among > scores[t, i]).sum())
            assert placed.tied[t, j] == int((among == scores[t, i]).sum())


def test_few_and_many_relevant_things_are_placed_alike():
    scores = torch.randint(6, (4, 30), generator=seeded(1)).float()
    candidates = torch.rand(4, 30, generator=seeded(2)) < 0.8
    relevant = torch.arange(_FEW + 2).repeat(4, 1)
    mask = torch.ones_like(relevant, dtype=torch.bool)
    many = places(scores, relevant, mask, candidates)
    few = places(scores, relevant[:, :2], mask[:, :2], candidates)
    for a, b in zip(few, many, strict=True):
        assert torch.equal(a, b[:, :2])
    with pytest.raises(ValueError, match="not finite"):
        places(scores.index_fill(1, torch.tensor([3]), torch.nan), relevant[:, :1], mask[:, :1],
               torch.ones_like(candidates))  # fmt: skip


def test_without_support_the_episodic_ridge_is_the_mean_of_what_is_taken(timed):
    ridge = EpisodicRidge().fit(timed)
    nobody = Examples(torch.zeros(2, 0, 2, dtype=torch.long), torch.zeros(2, 0))
    share = counts(timed) / len(timed)
    assert torch.allclose(ridge.scores(nobody), share.expand(2, -1), atol=1e-6)


def test_periods_hold_equally_many_targets(timed):
    cut = float(first_seen(timed).quantile(0.5))
    new = timed.subset((first_seen(timed) >= cut).nonzero()[:, 0])
    draw = draw_shots(new, 2, 1, seeded(0), "temporal")
    end = float(timed.times.max()) + 1
    starts = periods(new, {0: draw}, cut, end, 3)
    asked = timed_at(new, draw)
    sizes = [int(((asked >= a) & (asked < b)).sum()) for a, b in pairwise(starts)]
    assert starts[0] == cut
    assert starts[-1] == end
    assert sum(sizes) == len(asked)
    assert max(sizes) - min(sizes) <= 2
    assert periods(new, {0: draw}, cut, end, 1) == [cut, end]


def timed_at(tasks, draw):
    return tasks.times[draw.query[:, 0]]


def test_several_k_are_judged_on_the_same_targets_as_one(timed):
    cut = float(first_seen(timed).quantile(0.7))
    options = dict(metrics=METRICS, n_periods=1)
    several = rank_refreshed({"it": MostPopular()}, timed, cut, n_shots=[0, 3], **options).records
    one = rank_refreshed({"it": MostPopular()}, timed, cut, n_shots=3, **options).records
    mine = several[several["n_shots"] == 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, one.reset_index(drop=True))
    popular = several[several["learner"] == "it"].pivot_table(
        index="task", columns="n_shots", values="value"
    )
    assert (popular[0] == popular[3]).all(), (
        "who does not look at the support says the same at every K"
    )


def test_who_competes_depends_on_the_tables(timed, untimed):
    with_times, without = ([c.name for c in contenders(t)] for t in (timed, untimed))
    assert set(with_times) - set(without) == {"most popular recently"}
    bare = user_tasks(Shop(made_shop().interactions), implicit=True)
    assert {n for n in with_times if "content" in n} == set(with_times) - {
        c.name for c in contenders(bare)
    }
    assert {"co-occurrence", "item kNN", "EASE", "ALS", "episodic ridge", "set ranker"} <= set(
        without
    )
    assert [c.name for c in contenders(timed) if c.is_meta] == ["set ranker"]
    assert {c.name for c in contenders(timed, roster="quick")} < {
        c.name for c in contenders(timed, roster="short")
    }
    with pytest.raises(
        ValueError, match='roster must be one of quick, short, all, got "many"'.replace('"', "'")
    ):
        contenders(timed, roster="many")


def test_a_random_split_of_a_shop_with_times_is_served_as_one_without(timed, untimed):
    names = [c.name for c in contenders(timed, by="random", effort=0.5)]
    assert names == [c.name for c in contenders(untimed, effort=0.5)]
    (ranker,) = contenders(timed, by="random")[-1].make(0)
    assert (ranker.timed, ranker.n_asked) == (False, 1)
    assert contenders(timed)[-1].make(0)[0].timed


def test_who_costs_too_much_stays_out_and_is_said(timed):
    everyone = contenders(timed)
    kept, out = affordable(everyone, timed)
    assert (len(kept), out) == (len(everyone), {})
    kept, out = affordable(everyone, timed, most_gib=0.0)
    assert "most popular" in [one.name for one in kept]
    assert out["item kNN"] == "about 0 GiB to fit, 0 allowed"
    assert "to fit, 0 allowed" in affordable(everyone, timed, most_seconds=0.0)[1]["set ranker"]


def test_costs_grow_with_the_shop():
    small, large = Size(10_000, 1_000, 500, 200_000), Size(2_000_000, 90_000, 60_000, 900_000_000)
    for name in ("item kNN", "ALS", "set ranker"):
        assert seconds(name, large) > seconds(name, small)
    assert gib("item kNN", large) == pytest.approx(16 * 9e8 / 2**30)
    assert Size.of(np.array([2, 3]), 7) == Size(5, 2, 7, 13)
    assert gib("EASE", Size(1, 1, 10**6, 0)) == gib("EASE", Size(1, 1, 4_000, 0))


def test_rulers_stand_in_the_table_and_say_what_theory_says(found, timed):
    records = found.records
    assert found.order == "temporal"
    assert list(found.n_shots) == [0, 1, 3, 5]
    values = records.groupby(["learner", "metric"])["value"].mean()
    assert values["oracle", "ndcg@10"] == 1
    # One thing to be found among the catalogue less the five that a user has at the largest K.
    assert values["random", "hr@10"] == pytest.approx(10 / (N_ITEMS - 5), abs=1e-6)
    assert set(found.simple) & set(found.meta) == set()
    assert set(records["learner"]) == {"random", "oracle", *found.simple, *found.meta}
    assert (found.costs["fit_s"] >= 0).all()
    assert set(found.use["learner"]) == set(records["learner"])


def test_at_k_0_who_reads_only_the_support_gets_what_chance_gets(found):
    at_0 = (
        found.records.query("n_shots == 0 and metric == 'ndcg@10'")
        .groupby("learner")["value"]
        .mean()
    )
    for name in ("item kNN", "co-occurrence", "content neighbours", "EASE", "ALS"):
        assert at_0[name] == pytest.approx(at_0["random"], abs=1e-6), name
    assert at_0["episodic ridge"] > at_0["random"]


def test_taste_is_found_where_there_is_taste(found):
    at_5 = (
        found.records.query("n_shots == 5 and metric == 'ndcg@10'")
        .groupby("learner")["value"]
        .mean()
    )
    assert at_5["co-occurrence"] > at_5["random"] + 0.05
    assert at_5["content neighbours"] > at_5["most popular"]


class Spy(RankingLearner):
    """Keeps what it is fitted on."""

    def __init__(self):
        self.seen = []

    def fit(self, tasks, validation=None):
        self.seen.append(tasks)
        return self

    def scores(self, support):
        return torch.zeros(len(support.inputs), N_ITEMS)


@pytest.mark.parametrize("by", ["temporal", "random"])
def test_nobody_is_fitted_on_whom_they_are_judged_on(timed, by):
    spy = Spy()
    options = dict(metrics=METRICS, n_periods=2, by=by)
    judged = rank_catalogue(timed, [Contender("spy", lambda seed: [spy])], **options).records
    ids = timed.subject_ids
    assert len(spy.seen) == (2 if by == "temporal" else 1)
    known = [set(ids[tasks.subjects.numpy()]) for tasks in spy.seen]
    assert not known[0] & set(judged["task"])
    if by == "temporal":
        moment = [float(tasks.times.max()) for tasks in spy.seen]
        assert moment[0] < moment[1]
        new = first_seen(timed)[[ids.get_loc(task) for task in judged["task"].unique()]]
        assert moment[0] < float(new.min())


def test_without_times_folds_are_tested_once_each(untimed):
    entries = [Contender("most popular", lambda seed: [MostPopular()])]
    options = dict(metrics=("ndcg@10",), n_shots=[0, 3], n_folds=5, max_tasks=None)
    records = rank_catalogue(untimed, entries, **options).records
    mine = records.query("learner == 'most popular' and n_shots == 3")
    assert mine["task"].is_unique
    assert len(mine) == len(untimed)
    assert rank_catalogue(untimed, entries, **options).records.equals(records)


def test_settings_are_chosen_on_validation_users(timed):
    class Upside(MostPopular):
        def scores(self, support):
            return -super().scores(support)

    both = [Contender("popular", lambda seed: [Upside(), MostPopular()])]
    found = rank_catalogue(timed, both, metrics=("ndcg@10",), max_tasks=None)
    alone = rank_catalogue(timed, [Contender("popular", lambda seed: [MostPopular()])],
                           metrics=("ndcg@10",), max_tasks=None)  # fmt: skip
    assert found.records.equals(alone.records)
    assert found.n_settings == {"popular": 2}


def test_who_cannot_be_fitted_stays_out_with_the_reason(untimed):
    entries = [Contender("recent", lambda seed: [MostPopular(45)]), *cheap(untimed)[:1]]
    found = rank_catalogue(untimed, entries, metrics=("ndcg@10",))
    assert found.left_out == {
        "recent": "what is recent needs a column timestamp in interactions, which has none"
    }
    assert "recent" not in set(found.records["learner"])
    assert found.simple == ["most popular"]
    assert Clocked(MostPopular(45)).fit(untimed).fit(untimed).problem


def test_liked_things_alone_are_to_be_found():
    tasks = user_tasks(made_shop(rated=True))
    assert liked_from(tasks) == 4
    assert liked_from(user_tasks(made_shop(), implicit=True)) is None
    found = rank_catalogue(
        tasks, cheap(tasks)[:1], [0, 3], likes=4.0, metrics=("ndcg@10",), by="random"
    )
    alone = rank(
        {}, tasks.subset(torch.tensor([0])), [0], relevant_from=4.0, metrics=("recall@10",)
    )
    assert alone.records.query("learner == 'oracle'")["value"].iloc[0] == 1
    assert found.records["value"].between(0, 1).all()


def test_too_few_behaviours_are_one_sentence():
    rows = [(f"u{n}", f"i{n % 5}") for n in range(60)]
    tasks = user_tasks(Shop(pd.DataFrame(rows, columns=["user", "item"])), implicit=True)
    with pytest.raises(InputError, match=r"^half of the 60 users have fewer than 2 behaviours"):
        rank_catalogue(tasks, cheap(tasks))


def test_the_verdict_where_higher_is_better():
    tasks = [f"u{n}" for n in range(60)]
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame({"learner": name, "partition": "user-cold", "n_shots": 3, "seed": 0, "group": tasks,
                      "task": tasks, "metric": "ndcg@10", "value": mean + 0.05 * rng.normal(size=60)})
        for name, mean in (("popular", 0.2), ("kNN", 0.3), ("ranker", 0.4), ("other", 0.25))
    ]  # fmt: skip
    said = verdict(pd.concat(frames), ["popular", "kNN"], ["other", "ranker"], "ndcg@10")
    (line,) = said.lines
    assert (line.baseline, line.contender, line.outcome) == ("kNN", "ranker", "beats")
    assert not line.lower_is_better
    assert said.enough == "ranker"
    assert "ranker beats kNN, the best simple method (nDCG@10 0." in str(said)
    assert in_capitals("hr@10/99") == "HR@10 of 99"
    assert (in_capitals("rmse"), in_capitals("logloss")) == ("RMSE", "log-loss")
    assert lower_is_better("logloss")
    assert not lower_is_better("auc")


def test_the_best_stands_at_the_top_and_in_green():
    table = pd.DataFrame({
        "learner": ["good", "bad", "unsure"], "value": [0.2, -0.1, 0.01], "low": [0.15, -0.15, -0.04],
        "high": [0.25, -0.05, 0.06], "p_holm": [0.001, 0.001, 0.9],
    })  # fmt: skip
    for higher, first in ((True, "good *"), (False, "bad")):
        _, ax = plt.subplots()
        plots.ranking(table, ax, ["good"], "kNN", "difference", higher)
        assert ax.get_yticklabels()[0].get_text() == first
        low, high = ax.get_xlim()
        assert low <= -0.15
        assert high >= 0.25
        top = next(line for line in ax.lines if len(line.get_xdata()) == 1)
        assert top.get_color() == plots.COLOURS["green"]
    plt.close("all")


def test_the_size_of_tasks_is_that_of_their_tables(timed):
    shop = made_shop()
    assert shop.size == size_of(timed)
    assert shop.size.n_rows == len(shop.interactions)
