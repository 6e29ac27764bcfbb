"""How a ranked catalogue is judged: against scikit-learn, all orders of ties, draws of negatives, and hand values."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import seeded, shop_of
from sklearn.metrics import ndcg_score

import fsl
from fsl import InputError, Shop, item_tasks, user_tasks
from fsl.compare import per_task
from fsl.learners.popularity import MostPopular
from fsl.ranking.metrics import (
    against_sample,
    hit_rate,
    in_top,
    mrr,
    places,
    precision,
    ranking_ndcg,
    recall,
)
from fsl.ranking.rank import METRICS, rank
from fsl.ranking.refresh import before, first_seen, months, rank_refreshed

DAY = 86_400.0
MEASURES = {
    "ndcg": ranking_ndcg,
    "recall": recall,
    "hr": hit_rate,
    "precision": precision,
    "mrr": mrr,
}


def placed(scores, wanted, candidates=None):
    """Places of the wanted columns of one list."""
    scores = torch.tensor([scores]).double()
    candidates = torch.ones(scores.shape, dtype=torch.bool) if candidates is None else candidates
    relevant = torch.tensor([wanted])
    return places(scores, relevant, torch.ones_like(relevant, dtype=torch.bool), candidates)


def by_hand(order, wanted, k):
    """Every measure of one order of the columns, from its definition."""
    hits = [column in wanted for column in order[:k]]
    discounts = 1 / np.log2(np.arange(len(hits)) + 2)
    best = (1 / np.log2(np.arange(min(k, len(wanted))) + 2)).sum()
    first = hits.index(True) + 1 if any(hits) else np.inf
    return {
        "ndcg": (discounts * hits).sum() / best, "recall": sum(hits) / len(wanted), "hr": float(any(hits)),
        "precision": sum(hits) / k, "mrr": 1 / first,
    }  # fmt: skip


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=5),
    st.data(),
)
def test_every_measure_is_its_mean_over_all_orders_of_the_tied(scores, data):
    n = len(scores)
    wanted = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    k = data.draw(st.integers(1, n + 1))
    orders = [
        order
        for order in itertools.permutations(range(n))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    expected = pd.DataFrame([by_hand(order, wanted, k) for order in orders]).mean()
    found = placed(scores, wanted)
    for name, measure in MEASURES.items():
        assert float(measure(found, k)) == pytest.approx(expected[name], abs=1e-12), name


def test_ndcg_agrees_with_scikit_learn_and_with_fsl_ndcg():
    generator = seeded(3)
    scores = torch.randint(0, 6, (40, 30), generator=generator).double()
    relevance = (torch.rand(40, 30, generator=generator) < 0.2).double()
    relevance[:, 0] = 1
    mask, columns = relevance.sort(dim=1, descending=True)
    found = places(scores, columns, mask > 0, torch.ones(40, 30, dtype=torch.bool))
    for k in (1, 5, 10, 30):
        ours = ranking_ndcg(found, k)
        theirs = [ndcg_score(r[None], s[None], k=k) for r, s in zip(relevance, scores, strict=True)]
        torch.testing.assert_close(ours, torch.tensor(theirs).double())
        torch.testing.assert_close(ours, fsl.ndcg(scores, relevance, k))


def test_only_candidates_take_places():
    candidates = torch.tensor([[True, False, True, True, True]])
    found = placed([1.0, 9.0, 5.0, 3.0, 3.0], [0, 3], candidates)
    assert found.above.tolist() == [[3, 1]]
    assert found.tied.tolist() == [[1, 2]]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_not_finite_has_no_place(wrong):
    with pytest.raises(ValueError, match="not finite"):
        placed([1.0, wrong, 2.0], [0])
    out = torch.tensor([[True, False, True]])
    assert placed([1.0, wrong, 2.0], [0], out).above.tolist() == [[1]]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=4, max_size=7), st.integers(1, 3), st.integers(1, 3))
def test_against_a_sample_is_the_mean_over_all_samples_and_orders(scores, n_negatives, k):
    own, pool = scores[0], scores[1:]
    n_negatives = min(n_negatives, len(pool))
    found = placed(scores, [0], torch.tensor([[False] + [True] * len(pool)]))
    n_pool = torch.tensor([len(pool)])
    samples = list(itertools.combinations(pool, n_negatives))
    for name in ("hr", "mrr", "ndcg"):
        values = [float(MEASURES[name](placed([own, *sample], [0]), k)) for sample in samples]
        ours = float(against_sample(name, found, n_pool, k, n_negatives))
        assert ours == pytest.approx(np.mean(values), abs=1e-9), name


def test_against_a_sample_of_real_size_agrees_with_draws():
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(np.r_[1.6, rng.normal(size=2_000)]).float()[None]
    pool = torch.ones(1, 2_001, dtype=torch.bool)
    pool[0, 0] = False
    found = places(scores, torch.tensor([[0]]), torch.tensor([[True]]), pool)
    ours = float(against_sample("hr", found, pool.sum(1), 10, 99))
    draws = [
        (rng.choice(scores[0, 1:].numpy(), 99, replace=False) > 1.6).sum() < 10
        for _ in range(4_000)
    ]
    assert ours == pytest.approx(np.mean(draws), abs=0.01)


def test_in_top_shares_the_last_places_among_the_tied():
    scores = torch.tensor([[5.0, 3.0, 3.0, 3.0, 1.0, 9.0]])
    candidates = torch.tensor([[True, True, True, True, True, False]])
    assert in_top(scores, candidates, 2).tolist() == [
        pytest.approx([1.0, 1 / 3, 1 / 3, 1 / 3, 0.0, 0.0])
    ]
    assert in_top(scores, candidates, 50).tolist() == [[1.0, 1.0, 1.0, 1.0, 1.0, 0.0]]


# The evaluator


class Fixed:
    """Scores each object by a table, whatever the support."""

    def __init__(self, values):
        self.values = torch.as_tensor(values).float()

    def predict(self, support, query_inputs):
        return self.values[query_inputs[..., 1]]


def random_shop(n_users=30, n_items=40, n_each=12, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{user:02d}", f"i{item:02d}", float(rng.integers(0, 60)) * DAY)
        for user in range(n_users)
        for item in rng.choice(n_items, n_each, replace=False)
    ]
    return Shop(pd.DataFrame(rows, columns=["user", "item", "timestamp"]))


def means(ranking):
    return ranking.records.pivot_table(index="metric", columns="learner", values="value")


def test_implicit_tasks_need_no_rating_and_have_targets_of_one():
    shop = shop_of(("a", 1), ("a", 2), ("b", 1), names="user item")
    for tasks in (user_tasks(shop, implicit=True), item_tasks(shop, implicit=True)):
        assert tasks.targets.tolist() == [1.0, 1.0, 1.0]
        assert tasks.scale == (0.0, 1.0)
    rated = shop_of(("a", 1, 4.0), ("a", 2, 1.0))
    assert user_tasks(rated, implicit=True).targets.tolist() == [1.0, 1.0]
    assert user_tasks(rated).targets.tolist() == [4.0, 1.0]
    with pytest.raises(InputError, match="need a column rating or label"):
        user_tasks(shop)


def test_rulers_are_what_theory_says():
    tasks = user_tasks(random_shop(), implicit=True)
    found = means(rank({"same": Fixed(np.ones(40))}, tasks, (4,)))
    for k in (5, 10, 20):
        assert found.loc[f"recall@{k}", "random"] == pytest.approx(k / 36)  # 40 less 4 of support
        assert found.loc[f"precision@{k}", "random"] == pytest.approx(8 / 36)
        for name in ("ndcg", "recall", "hr", "mrr"):
            assert found.loc[f"{name}@{k}", "oracle"] == pytest.approx(
                min(1, k / 8) if name == "recall" else 1
            )
        none = np.prod([(28 - i) / (36 - i) for i in range(k)])
        assert found.loc[f"hr@{k}", "random"] == pytest.approx(1 - none)
    assert found.loc["hr@10/99", "random"] == pytest.approx(10 / 29)  # 28 never met, and the one
    assert found.loc["hr@10/99", "oracle"] == 1
    np.testing.assert_allclose(found["same"], found["random"])


def test_a_random_order_gets_what_the_ruler_says():
    tasks = user_tasks(random_shop(200), implicit=True)
    lots = torch.rand(200, 40, generator=seeded(0))

    class Random:
        def predict(self, support, query_inputs):
            return lots.gather(1, query_inputs[..., 1])

    found = means(rank({"lots": Random()}, tasks, (4,)))
    np.testing.assert_allclose(found["lots"], found["random"], atol=0.05)


def test_what_the_subject_has_is_no_candidate_and_what_it_meets_later_is_no_negative():
    shop = shop_of(
        *[("a", item, t) for t, item in enumerate("cdefg")],
        ("z", "b", 9),
        names="user item timestamp",
    )
    tasks = user_tasks(shop, implicit=True)
    best_first = Fixed([9.0, 8.0, 7.0, 6.0, 5.0, 4.0])  # b (never met), c, d, e, f, g
    options = dict(n_query=1, support="temporal", metrics=("mrr@5", "hr@1/1"))
    found = means(rank({"it": best_first}, tasks, (2,), **options))
    assert found.loc["mrr@5", "it"] == 1 / 2  # c and d are had; b stands before e
    assert found.loc["hr@1/1", "it"] == 0  # b is the only one never met
    few = means(rank({"it": best_first}, tasks, (0, 2), **options))
    assert few.loc["mrr@5", "it"] == 1 / 2  # the same query and candidates at K = 0


def test_a_query_with_what_the_subject_has_already_is_not_judged():
    rows = [("a", "x", 1), ("a", "x", 2), ("b", "x", 1), ("b", "y", 2), ("c", "z", 1)]
    tasks = user_tasks(shop_of(*rows, names="user item timestamp"), implicit=True)
    options = dict(n_query=1, support="temporal", metrics=("hr@1",))
    found = rank({}, tasks, (1,), **options).records
    assert set(found["task"]) == {"b"}
    only = tasks.subset(torch.tensor([0]))
    with pytest.raises(InputError, match="is there anything new"):
        rank({}, only, (1,), **options)


def test_only_targets_from_a_threshold_are_relevant_the_others_stay_wrong_candidates():
    shop = shop_of(("a", 1, 5.0), ("a", 2, 2.0), ("a", 3, 4.0), ("b", 4, 3.0))
    options = dict(relevant_from=4.0, metrics=("ndcg@2", "recall@2"))
    found = means(rank({"it": Fixed([1.0, 9.0, 5.0, 0.0])}, user_tasks(shop), (0,), **options))
    assert found.loc["recall@2", "it"] == 1 / 2  # 2 comes first, then 3
    assert found.loc["ndcg@2", "it"] == pytest.approx(0.6309298 / 1.6309298)


class Noted:
    """Keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def predict(self, support, query_inputs):
        self.asked.append((support, query_inputs.clone()))
        query_inputs.zero_()  # what is asked of the others stays as it was
        support.inputs.zero_()
        return torch.zeros(query_inputs.shape[:2])


def test_learners_see_moments_with_temporal_support_and_a_catalogue_of_choice():
    tasks = user_tasks(random_shop(), implicit=True)
    first, second, places_of = Noted(), Noted(), torch.tensor([7, 3, 30])
    options = dict(n_query=1, catalogue=places_of, metrics=("hr@5",))
    rank({"it": first, "too": second}, tasks, (3,), support="temporal", **options)
    support, inputs = second.asked[0]
    assert inputs[..., 1].tolist() == [places_of.tolist()] * len(inputs)
    assert support.inputs.shape[2] == inputs.shape[2] == 3
    assert inputs[..., 0].unique(dim=1).shape[1] == 1
    second.asked.clear()
    rank({"it": first, "too": second}, tasks, (3,), **options)
    assert second.asked[0][1].shape[2] == 2


def test_nothing_in_support_is_later_than_the_moment_of_the_query():
    tasks = user_tasks(random_shop(), implicit=True)

    class Checks:
        def predict(self, support, query_inputs):
            when = query_inputs[:, :1, 2]
            assert (query_inputs[..., 2] == when).all()
            assert (support.inputs[..., 2] <= when).all()
            assert (when % DAY == 0).all()
            return torch.zeros(query_inputs.shape[:2])

    rank({"it": Checks()}, tasks, (3,), support="temporal", metrics=("hr@5",))


def test_records_do_not_depend_on_the_order_of_tasks_and_come_again_with_the_seed():
    tasks = user_tasks(random_shop(), implicit=True)
    learners = {"pop": MostPopular().fit(tasks)}
    options = dict(n_query=3, support="temporal")
    once, again = (rank(learners, tasks, (2, 4), seeds=(0, 1), **options) for _ in range(2))
    pd.testing.assert_frame_equal(once.records, again.records)
    pd.testing.assert_frame_equal(once.catalogue, again.catalogue)
    assert set(once.records["metric"]) == set(METRICS)
    assert len(per_task(once.records, "hr@10")) == 30


def test_parts_of_bounded_memory_give_the_same_as_all_at_once(monkeypatch):
    tasks = user_tasks(random_shop(), implicit=True)
    learners, popularity = {"pop": MostPopular().fit(tasks)}, torch.arange(40)
    whole = rank(learners, tasks, (3,), popularity=popularity)
    monkeypatch.setattr("fsl.ranking.questions._CELLS_AT_ONCE", 40 * 7)
    parts = rank(learners, tasks, (3,), popularity=popularity)
    pd.testing.assert_frame_equal(whole.records, parts.records)
    pd.testing.assert_frame_equal(whole.catalogue, parts.catalogue)


def test_coverage_and_novelty():
    shop = shop_of(
        *[(u, i) for u in "ab" for i in range(3)],
        *[("c", i) for i in range(3, 20)],
        names="user item",
    )
    tasks = user_tasks(shop, implicit=True).subset(torch.tensor([0, 1]))
    popularity = torch.full((20,), 3.0)
    found = rank(
        {"it": Fixed(np.arange(20.0))}, tasks, (0,), metrics=("hr@5",), popularity=popularity
    )
    use = found.catalogue.set_index("learner")
    assert use.loc["it", "coverage@10"] == pytest.approx(0.5)  # both get the same ten of twenty
    assert use.loc["random", "coverage@10"] == pytest.approx(0.75)
    np.testing.assert_allclose(use["novelty@10"], np.log2(20), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(metrics=("auc@5",)), "unknown metric auc@5"),
        (dict(metrics=("recall@5/99",)), "unknown metric recall@5/99"),
        (dict(metrics=("hr@0",)), "unknown metric hr@0"),
        (dict(metrics=()), "no metric"),
    ],
)
def test_unknown_metrics_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rank({}, user_tasks(random_shop(), implicit=True), (1,), **options)


def test_learners_that_cannot_be_judged_are_refused():
    tasks = user_tasks(random_shop(), implicit=True)
    with pytest.raises(ValueError, match="evaluator's own"):
        rank({"oracle": Fixed(np.ones(40))}, tasks, (1,))
    with pytest.raises(ValueError, match="bad: a score is not finite"):
        rank({"bad": Fixed(np.full(40, np.nan))}, tasks, (1,))
    with pytest.raises(InputError, match="no task has"):
        rank({}, tasks, (12,))
    with pytest.raises(InputError, match="whole numbers"):
        rank({}, tasks, (1.5,))


# Refreshed monthly


def test_months_are_those_of_the_calendar():
    stamps = [
        str(pd.Timestamp(start, unit="s").date())
        for start in months(*map(seconds, ("2014-01-01", "2014-03-02")))
    ]
    assert stamps == ["2014-01-01", "2014-02-01", "2014-03-01", "2014-04-01"]
    assert months(seconds("2014-01-02"), seconds("2014-02-01")) == [seconds("2014-02-01")]


def seconds(day: str) -> float:
    return pd.Timestamp(day).timestamp()


class Watched(MostPopular):
    """Keeps the tasks that it was fitted on."""

    def fit(self, tasks, validation=None):
        self.fits = [*getattr(self, "fits", []), tasks]
        return super().fit(tasks)


def yearly_shop(seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{user:03d}", f"i{item:02d}", seconds("2014-01-01") + float(start + n // 2) * DAY)
        for user, start in enumerate(rng.integers(-60, 80, 120))
        for n, item in enumerate(rng.choice(30, 6, replace=False))
    ]
    return Shop(pd.DataFrame(rows, columns=["user", "item", "timestamp"]))


def test_a_refreshed_learner_never_sees_its_month_nor_who_is_judged_in_it():
    tasks, watched, cut = user_tasks(yearly_shop(), implicit=True), Watched(), seconds("2014-01-01")
    lines = []
    found = rank_refreshed({"it": watched}, tasks, cut, seeds=(0, 1), report=lines.append)
    starts = [seconds(month) for month in found.catalogue["month"].unique()]
    assert len(starts) == len(watched.fits) == len(lines) == 3
    seen_first = dict(zip(tasks.subject_ids, first_seen(tasks), strict=True))
    whole = found.records.query("learner == 'it' and metric == 'hr@10' and seed == 0")
    assert all(seen_first[user] >= cut for user in whole["task"])
    assert len(whole) == sum(moment >= cut for moment in seen_first.values())
    target = {}
    for user in whole["task"]:
        place = tasks.subject_ids.get_loc(user)
        target[user] = sorted(
            tasks.times[tasks.offsets[place] : tasks.offsets[place + 1]].tolist()
        )[3]
    for start, stop, train in zip(starts, [*starts[1:], np.inf], watched.fits, strict=True):
        assert (train.times < start).all()
        users = set(tasks.subject_ids[train.subjects.numpy()])
        assert not users & {user for user, moment in target.items() if start <= moment < stop}
        assert train.n_rows > 100


def test_before_leaves_out_the_later_the_unwanted_and_the_empty():
    tasks = user_tasks(yearly_shop(), implicit=True)
    train = before(tasks, seconds("2014-01-01"), torch.tensor([0, 1]))
    assert (train.times < seconds("2014-01-01")).all()
    assert not set(train.subjects.tolist()) & {0, 1}
    assert (train.sizes > 0).all()


def test_a_shop_without_new_subjects_or_times_says_so():
    tasks = user_tasks(yearly_shop(), implicit=True)
    with pytest.raises(InputError, match=r"no task|no subject"):
        rank_refreshed({}, tasks, seconds("2030-01-01"))
    timeless = user_tasks(shop_of(("a", 1), names="user item"), implicit=True)
    with pytest.raises(InputError, match="needs a column timestamp"):
        rank_refreshed({}, timeless, 0.0)


def test_a_first_month_without_anybody_to_judge_does_not_skip_the_fit():
    tasks, watched = user_tasks(yearly_shop(), implicit=True), Watched()
    first = first_seen(tasks)
    kept = (first < seconds("2014-01-01")) | (first >= seconds("2014-02-01"))
    tasks = tasks.subset(kept.nonzero()[:, 0])
    found = rank_refreshed({"it": watched}, tasks, seconds("2014-01-01"))
    assert found.catalogue["month"].min() == "2014-02-01"
    assert len(watched.fits) == found.catalogue["month"].nunique()


def test_a_month_with_nothing_before_it_says_so():
    tasks = user_tasks(yearly_shop(), implicit=True)
    with pytest.raises(InputError, match="nothing to learn from"):
        rank_refreshed({}, tasks, seconds("2013-01-01"))
