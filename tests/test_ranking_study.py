"""The two contests over the catalogue: who competes, and proofs that nothing but validation chooses. Small shops."""

import numpy as np
import pandas as pd
import pytest
from made import seeded

from fsl import InputError, Shop, split_tasks, user_tasks
from fsl.ranking.contests import (
    BASELINES,
    META_LEARNERS,
    N_VALIDATION,
    chosen_in_time,
    fitted_for_sets,
    new_users_contest,
    user_cold_contest,
)
from fsl.ranking.refresh import first_seen, rank_refreshed

DAY = 86_400.0
METRICS = ("ndcg@10", "hr@10/99")
TINY = {"n_moments": 2, "n_asked": 1, "n_epochs": 1, "n_nets": 1}
TIMED = {"n_moments": 2, "n_asked": 40, "n_epochs": 1, "n_nets": 1, "n_columns": 20}
N_ITEMS = 30
WITHOUT_TIMES = {*BASELINES[:4], *BASELINES[9:]} - {"most popular recently"} | set(META_LEARNERS)


def seconds(day: str) -> float:
    return pd.Timestamp(day).timestamp()


def shop(n_users=40, taste=6.0, seed=0, timed=False) -> Shop:
    """Users who like one half of the items; each meets 8, on days from November to April where there are times."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(n_users):
        likes = (np.arange(N_ITEMS) < N_ITEMS / 2) == (user % 2 == 0)
        chance = np.where(likes, 1 + taste, 1.0)
        start = seconds("2013-10-01") + float(rng.integers(0, 200)) * DAY
        for n, item in enumerate(rng.choice(N_ITEMS, 8, False, chance / chance.sum())):
            rating = 5.0 if likes[item] or not taste else 2.0
            rows.append((f"u{user:03d}", f"i{item:02d}", rating, start + n * DAY))
    table = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"])
    kinds = pd.DataFrame({"item": [f"i{n:02d}" for n in range(N_ITEMS)]})
    kinds["kind"] = np.where(np.arange(N_ITEMS) < N_ITEMS / 2, "a", "b")
    if timed:
        return Shop(table.drop(columns="rating"), items=kinds)
    return Shop(table.drop(columns="timestamp"))


def contest(shop_, **options):
    usual = dict(folds=[3], n_shots=3, seeds=(0,), metrics=METRICS, ranker=TINY)
    return user_cold_contest(user_tasks(shop_), 4.0, **(usual | options))


@pytest.fixture(scope="module")
def found():
    return contest(shop())


def test_everybody_competes_on_the_same_new_users(found):
    records = found.records
    assert set(records["learner"]) == WITHOUT_TIMES | {"random", "oracle"}
    judged = records.groupby(["learner", "metric"])["task"].agg(["size", "nunique"])
    assert (judged["size"] == judged["nunique"]).all(), "no user is judged twice"
    assert judged["size"].nunique() == 1
    assert set(found.catalogue["fold"]) == {3}
    tasks = user_tasks(shop())
    test = split_tasks(tasks, seeded(0), (0.6, 0.2, 0.2), 3).test
    assert set(records["task"]) == set(tasks.subject_ids[test.subjects.numpy()])


def test_tastes_are_found_and_the_rulers_bound_everybody(found):
    means = found.records.pivot_table(index="learner", columns="metric", values="value")
    for name in ("item kNN", "EASE", "episodic ridge"):
        assert means.loc[name, "ndcg@10"] > means.loc["random", "ndcg@10"] + 0.05, name
    assert (means.loc["oracle"] == 1).all()
    assert (means <= means.loc["oracle"] + 1e-12).all(axis=None)


def test_the_same_seeds_give_the_same_records(found):
    pd.testing.assert_frame_equal(contest(shop()).records, found.records)


def test_without_tastes_nobody_is_told_from_a_random_order():
    records = contest(shop(150, taste=0.0), metrics=("ndcg@10",)).records
    table = records.pivot_table(index="task", columns="learner", values="value")
    gaps = table.drop(columns=["random", "oracle"]).sub(table["random"], axis=0)
    assert (gaps.mean().abs() < 4 * gaps.std() / len(gaps) ** 0.5).all()


def test_test_users_are_not_even_asked_for():
    split = split_tasks(user_tasks(shop()), seeded(0), (0.6, 0.2, 0.2))
    how = dict(n_shots=(3,), seeds=(0,), relevant_from=4.0)
    learners = fitted_for_sets(split._replace(test=None), 4.0, how, TINY)
    assert set(learners) == WITHOUT_TIMES
    with pytest.raises(InputError, match="needs validation tasks"):
        fitted_for_sets(split._replace(validation=None), 4.0, how, TINY)


@pytest.mark.parametrize(("n", "expected"), [(40, 8), (1_000, N_VALIDATION)])
def test_a_hundred_users_choose_or_a_fifth_of_a_small_shop(monkeypatch, n, expected):
    seen = []

    def watch(split, likes, how, ranker):
        seen.append([len(part) for part in split])
        return {}

    monkeypatch.setattr("fsl.ranking.contests.fitted_for_sets", watch)
    lines = []
    user_cold_contest(user_tasks(shop(n)), 4.0, [0], 3, (0,), METRICS, report=lines.append)
    assert seen == [[round(0.8 * n) - expected, expected, n - round(0.8 * n)]]
    assert len(lines) == 1
    assert lines[0].startswith("fold 0: ")


# New users in time


def timed_tasks(n=60, content=True):
    made = shop(n, timed=True)
    return user_tasks(made if content else Shop(made.interactions), implicit=True)


def test_new_users_are_judged_from_the_cut_on_with_everybody_in_the_run():
    tasks, cut, lines = timed_tasks(), seconds("2014-02-01"), []
    options = dict(seeds=(0,), metrics=METRICS, ranker=TIMED, report=lines.append)
    found = new_users_contest(tasks, cut, 2, **options)
    names = set(found.records["learner"]) - {"random", "oracle"}
    assert names <= {*BASELINES, *META_LEARNERS}
    assert {"set ranker", "content neighbours", "kNN + recent + content", "ALS"} <= names
    moment = dict(zip(tasks.subject_ids, first_seen(tasks).tolist(), strict=True))
    judged = set(found.records["task"])
    assert judged == {user for user, seen in moment.items() if seen >= cut}
    assert len(lines) == found.catalogue["month"].nunique() > 1


def test_choosing_does_not_look_behind_the_cut_and_says_what_it_has(monkeypatch):
    tasks, start, end = timed_tasks(content=False), seconds("2013-12-01"), seconds("2014-02-01")
    assert (tasks.times >= end).sum() > 50
    shown = []

    def watch(learners, known, *span, **options):
        shown.append((known, span))
        return rank_refreshed(learners, known, *span, **options)

    monkeypatch.setattr("fsl.ranking.contests.rank_refreshed", watch)
    learners = chosen_in_time(tasks, start, end, 2, TIMED)
    assert len(shown) == 4  # kNN, blends, ALS, set rankers
    for known, span in shown:
        assert span == (start, end)
        assert (known.times < end).all(), "not even for what a user never meets"
    assert set(learners) <= {*BASELINES, *META_LEARNERS}
    assert {"kNN + recent", "kNN + recent (by sampled HR)"} <= set(learners)
    assert not [name for name in learners if "content" in name], "there is no content"


def test_a_cut_within_a_month_is_refused():
    with pytest.raises(InputError, match="start of a month"):
        new_users_contest(timed_tasks(10), seconds("2014-02-03"))
