"""The evaluator: honest rulers, the same rows for everyone, and nothing of the query's targets for anyone."""

import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from made import grid_tasks, seeded, shop_of, tasks_of

from fsl import InputError, evaluate, ndcg, scene_tasks, simulate_shop, split_tasks, user_tasks
from fsl.evaluation import ALL, METRICS, RULERS, feasible
from fsl.learners import FoldIn, GlobalMean, ItemEffect, ShrunkBias, SupportMean

COLUMNS = ["learner", "partition", "n_shots", "seed", "group", "task", "metric", "value"]
TIMED = "user item rating timestamp"


class Flat:
    """Forgets that there is a batch."""

    def predict(self, support, query_inputs):
        return 3.0


class Spy:
    """Predicts 3 for everything and keeps what it was given."""

    def __init__(self):
        self.given = []

    def predict(self, *arguments, **named):
        assert not named
        self.given.append(arguments)
        return torch.full(arguments[1].shape[:2], 3.0)


class Oracle:
    """Knows every target by subject and object, and says f(target)."""

    def __init__(self, tasks, change=lambda target: target):
        self.table = torch.zeros(len(tasks.subject_ids), len(tasks.object_ids))
        self.table[tasks.subjects[tasks.task_of_row], tasks.objects] = tasks.targets
        self.change = change

    def predict(self, support, query_inputs):
        return self.change(self.table[query_inputs[..., 0], query_inputs[..., 1]])


@pytest.fixture(scope="module")
def simulated():
    shop, truth = simulate_shop(500, 60, 0)
    return split_tasks(user_tasks(shop), seeded(0), (0.5, 0.1, 0.4)), truth


@pytest.fixture(scope="module")
def records(simulated):
    split, truth = simulated
    learners = {
        "mean": GlobalMean(), "item": ItemEffect(), "bias": ShrunkBias(), "fold-in": FoldIn(4),
    }  # fmt: skip
    fitted = {name: learner.fit(split.train) for name, learner in learners.items()}
    return evaluate(fitted, split.test, (1, 3), 8, (0, 1, 2), expected=truth.expected)


def ten_by_ten(seed: int = 0):
    """10 users who rated 10 items each, 1 to 5, both ends used by everyone."""
    ratings = np.random.default_rng(seed).integers(1, 6, size=(10, 10)).astype(float)
    ratings[:, 0], ratings[:, 1] = 1, 5
    return grid_tasks(ratings)


def means(table: pd.DataFrame) -> pd.Series:
    return table.groupby(["learner", "metric"])["value"].mean()


def test_records_are_tidy_and_complete(records):
    assert list(records) == COLUMNS
    assert set(records["learner"]) == {*RULERS, "mean", "item", "bias", "fold-in"}
    assert (
        set(records["metric"])
        == set(METRICS)
        == {
            *("mae", "mse", "ndcg@5", "ndcg@10", "auc", "accuracy"),
            *("coverage@50", "coverage@80", "coverage@90"),
        }
    )
    assert (records["group"] == records["task"]).all()
    assert set(records["n_shots"]) == {1, 3}
    assert set(records["seed"]) == {0, 1, 2}
    assert set(records["partition"]) == {"user-cold"}
    assert not records.duplicated(COLUMNS[:-1]).any()
    n_tasks = records.groupby("seed")["task"].nunique().iloc[0]
    assert len(records) == n_tasks * 7 * len(METRICS) * 2 * 3, "everyone on the same tasks"
    may_miss = records["metric"].str.startswith(("auc", "coverage"))  # one class; no variance
    assert np.isfinite(records["value"][~may_miss]).all()
    assert records["value"][records["metric"].str.startswith("coverage")].isna().all()


def test_just_the_tasks_with_enough_behaviours_are_judged(simulated):
    split, _ = simulated
    found = evaluate({}, split.test, (0, 2, 5), 4, min_query=3)
    large = split.test.subject_ids[split.test.subjects[split.test.sizes >= 8].numpy()]
    assert set(found["task"]) == set(large)
    assert found.groupby("n_shots")["task"].nunique().tolist() == [len(large)] * 3
    few = evaluate({}, split.test, (1,), 4, (0, 1), max_tasks=7)
    lots = few.groupby("seed")["task"].agg(lambda names: frozenset(names))
    assert [len(lot) for lot in lots] == [7, 7]
    assert lots[0] != lots[1]


def test_the_oracle_is_best_on_every_metric(records):
    table = means(records).unstack()
    for metric in ("mae", "mse"):
        assert table[metric].idxmin() == "oracle"
    for metric in ("ndcg@5", "ndcg@10"):
        assert table[metric].idxmax() == "oracle"


def test_without_a_known_truth_the_oracle_is_perfect():
    table = means(evaluate({}, ten_by_ten(), (0, 2), 5)).loc["oracle"]
    assert table[["mae", "mse"]].tolist() == [0, 0]
    assert table[["ndcg@5", "ndcg@10"]].tolist() == pytest.approx([1, 1])


def test_expected_is_read_at_the_row_of_each_query():
    tasks = ten_by_ten().subset(torch.tensor([7, 2, 4]))
    expected = np.arange(100) % 10 / 2  # of a whole shop; row = 10 user + item
    found = evaluate({}, tasks, (0,), 10, expected=expected, metrics=("mae",))
    found = found[found["learner"] == "oracle"].set_index("task")["value"]
    for user, task in ((7, 0), (2, 1), (4, 2)):
        targets = tasks.targets[tasks.offsets[task] : tasks.offsets[task + 1]].numpy()
        hand = np.abs(np.clip(expected[:10], 1, 5) - targets).mean()
        assert found[user] == pytest.approx(hand, abs=1e-6)


def test_the_constant_is_the_middle_of_the_scale_and_ranks_by_expectation():
    tasks = ten_by_ten()
    found = evaluate({}, tasks, (0,), 10)
    found = found[found["learner"] == "constant"].set_index(["task", "metric"])["value"]
    ratings = tasks.targets.view(10, 10).double()
    discounts = 1 / np.log2(np.arange(2, 12))
    for user in range(10):
        targets = ratings[user].numpy()
        assert found[user, "mae"] == pytest.approx(np.abs(targets - 3).mean())
        assert found[user, "mse"] == pytest.approx(((targets - 3) ** 2).mean())
        gains = 2 ** (targets - 1) - 1
        for k in (5, 10):
            ideal = np.sort(gains)[::-1][:k] @ discounts[:k]
            chance = gains.mean() * discounts[:k].sum() / ideal
            assert found[user, f"ndcg@{k}"] == pytest.approx(chance)


def test_random_is_what_theory_says_and_no_better_than_the_constant(records):
    table = means(evaluate({}, ten_by_ten(), (0,), 10, range(200)))
    assert table["constant", "mae"] <= table["random", "mae"]
    assert table["constant", "mse"] <= table["random", "mse"]
    # uniform on 1…5: E(p − t)² = (t − 3)² + 4²/12
    assert table["random", "mse"] == pytest.approx(table["constant", "mse"] + 16 / 12, abs=0.1)
    for k in (5, 10):
        assert table["random", f"ndcg@{k}"] == pytest.approx(
            table["constant", f"ndcg@{k}"], abs=0.01
        )
    drawn = means(records)
    assert drawn["constant", "mae"] < drawn["random", "mae"]
    assert drawn["constant", "mse"] < drawn["random", "mse"]


def test_random_differs_between_seeds_tasks_and_rows():
    found = evaluate({}, ten_by_ten(), (0,), 10, (0, 1), metrics=("mae",))
    random = found[found["learner"] == "random"]["value"]
    assert random.nunique() == 20


def test_a_learner_sees_support_and_query_inputs_and_nothing_else():
    rows = [(u, i, 1 + (u * i) % 5, 10 * i) for u in range(4) for i in range(6)]
    changed = [(u, i, r if i < 2 else 6 - r, t) for u, i, r, t in rows]
    given = []
    for table, expected in ((rows, np.zeros(24)), (changed, np.ones(24))):
        spy = Spy()
        tasks = tasks_of(*table, names=TIMED)
        evaluate({"spy": spy}, tasks, (0, 1, 2), 3, support="temporal", expected=expected)
        given.append(spy.given)
    assert len(given[0]) == 3
    for first, second in zip(*given, strict=True):
        (support, query_inputs), (other_support, other_inputs) = first, second
        assert len(first) == 2
        assert type(query_inputs) is torch.Tensor
        assert query_inputs.shape == (4, 3, 2)
        assert not query_inputs.is_floating_point()
        assert torch.equal(query_inputs, other_inputs)
        assert all(torch.equal(a, b) for a, b in zip(support, other_support, strict=True))


def test_every_number_of_shots_is_judged_on_the_same_query():
    spy = Spy()
    evaluate({"spy": spy}, ten_by_ten(), (5, 1, 3, 0), 4)
    supports, queries = zip(*spy.given, strict=True)
    assert all(torch.equal(query, queries[0]) for query in queries)
    assert [support.targets.shape for support in supports] == [(10, k) for k in (5, 1, 3, 0)]
    for support in supports[1:]:
        k = support.targets.shape[1]
        assert torch.equal(support.inputs, supports[0].inputs[:, :k])
    own = {tuple(pair) for pair in supports[0].inputs.flatten(0, 1).tolist()}
    assert not own & {tuple(pair) for pair in queries[0].flatten(0, 1).tolist()}


def test_errors_are_of_clipped_predictions_and_rankings_of_unclipped_ones():
    tasks = ten_by_ten()
    learners = {"high": Oracle(tasks, lambda t: 100 + t), "low": Oracle(tasks, lambda t: t - 100)}
    found = evaluate(learners, tasks, (0,), 10)
    table = means(found)
    targets = tasks.targets.double()
    assert table["high", "mae"] == pytest.approx((5 - targets).mean().item())
    assert table["low", "mse"] == pytest.approx(((targets - 1) ** 2).mean().item())
    for name in learners:
        assert table[name, "ndcg@5"] == pytest.approx(1)


def test_gains_are_steps_of_a_five_star_scale_whatever_the_scale():
    ratings = np.random.default_rng(0).integers(1, 11, size=(6, 8)).astype(float)
    ratings[0, :2] = 1, 10
    tasks = grid_tasks(ratings)
    found = evaluate({"item": Oracle(tasks, lambda t: -t)}, tasks, (0,), 8, metrics=("ndcg@3",))
    steps = torch.from_numpy((ratings - 1) * 4 / 9)
    expected = ndcg(-steps, steps, 3)
    found = found[found["learner"] == "item"].set_index("task")["value"].sort_index()
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_short_query_is_judged_on_its_real_rows():
    tasks = tasks_of(("a", 1, 1), ("a", 2, 5), ("a", 3, 5), ("b", 1, 2), names="user item rating")
    found = means(evaluate({"spy": Spy()}, tasks, (0,), 4, metrics=("mae",)))
    assert found["spy", "mae"] == pytest.approx((2 + 1) / 2)


class Wild:
    def __init__(self, value):
        self.value = value

    def predict(self, support, query_inputs):
        out = torch.ones(query_inputs.shape[:2])
        out[-1, -1] = self.value
        return out


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_predictions_that_are_not_finite_are_refused(value):
    with pytest.raises(
        ValueError, match=r"wild predicts a value that is not finite at n_shots = 2"
    ):
        evaluate({"wild": Wild(value)}, ten_by_ten(), (2,), 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learners": {"oracle": Spy()}}, "the evaluator's own, rename oracle"),
        ({"metrics": ("mae", "ndgc@5", "ndcg@0")}, "unknown metrics ndgc@5, ndcg@0; known: mae"),
        ({"learners": {"flat": Flat()}},
         r"flat predicts \(\), expected \(10, 3\)"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(change, message):
    arguments = {"learners": {}, "tasks": ten_by_ten(), "n_shots": (1,), "n_query": 3, **change}
    with pytest.raises(ValueError, match=message):
        evaluate(**arguments)


@pytest.mark.parametrize("name", ["n_shots", "seeds"])
@pytest.mark.parametrize("values", [(), (1, 1), (2, 2.0), (1.5,), (3, -1), ("1",)])
def test_shots_and_seeds_are_different_whole_numbers(name, values):
    arguments = {"n_shots": (1,), "n_query": 3, "seeds": (0,), name: values}
    told = f"{name} must be different whole numbers, 0 or more, got {list(values)}"
    with pytest.raises(InputError, match=re.escape(told)):
        evaluate({}, ten_by_ten(), **arguments)


def test_whole_numbers_of_any_type_are_whole_numbers():
    expected = evaluate({"spy": Spy()}, ten_by_ten(), (1, 2), 3, (0, 4))
    found = evaluate({"spy": Spy()}, ten_by_ten(), np.array([1.0, 2.0]), 3, (0.0, 4.0))
    pd.testing.assert_frame_equal(found, expected)


def test_metrics_are_asked_for():
    with pytest.raises(
        ValueError,
        match=r"known: mae, mse, rounded_mae, accuracy, auc, ap, logloss, ndcg@k, coverage@percent",
    ):
        evaluate({}, ten_by_ten(), (1,), 3, metrics=())


def test_too_many_shots_are_an_error_of_the_input():
    with pytest.raises(InputError, match="no task has 11 behaviours"):
        evaluate({}, ten_by_ten(), (1, 10), 3)


def test_the_order_of_test_tasks_makes_no_difference():
    rows = [(u, i, 1 + (3 * u + i * i) % 5, 10 * i + u) for u in range(12) for i in range(6)]
    tasks = tasks_of(*rows, names=TIMED)
    learners = {"bias": ShrunkBias().fit(tasks), "mean": SupportMean().fit(tasks)}
    tables = []
    for order in (torch.arange(12), torch.randperm(12, generator=seeded(0))):
        found = evaluate(learners, tasks.subset(order), (1, 3), 3, support="temporal")
        found = found[found["learner"] != "random"]
        tables.append(found.set_index(COLUMNS[:-1]).sort_index())
    pd.testing.assert_frame_equal(*tables)


class Vandal:
    """Writes into what it was given."""

    def predict(self, support, query_inputs):
        support.targets.fill_(1)
        support.mask.fill_(False)
        query_inputs.fill_(0)
        return torch.ones(query_inputs.shape[:2])


def test_a_learner_cannot_spoil_the_others():
    tasks = ten_by_ten()
    honest = {"mean": SupportMean().fit(tasks), "bias": ShrunkBias().fit(tasks)}
    alone = evaluate(honest, tasks, (2,), 4)
    beside = evaluate({"vandal": Vandal(), **honest}, tasks, (2,), 4)
    beside = beside[beside["learner"] != "vandal"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, beside)
    fresh = ten_by_ten()
    assert torch.equal(tasks.targets, fresh.targets)
    assert torch.equal(tasks.objects, fresh.objects)


def parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file)
    return file.getvalue()


def test_records_are_the_same_byte_for_byte():
    def once(seed: int) -> bytes:
        split = split_tasks(user_tasks(simulate_shop(60, 20, 0)[0]), seeded(0))
        learners = {"fold-in": FoldIn(3).fit(split.train), "bias": ShrunkBias().fit(split.train)}
        return parquet(evaluate(learners, split.test, (1, 2), 4, (seed, 5)))

    torch.manual_seed(0)
    first = once(0)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    assert once(0) == first
    assert torch.equal(torch.random.get_rng_state(), before)
    assert once(1) != first


def test_scene_tasks_are_named_by_user_and_scene():
    shop, _ = simulate_shop(40, 20, 0)
    names = set(evaluate({}, scene_tasks(shop), (1,), 2)["task"])
    log = shop.interactions
    assert names <= set(log["user"] + " · " + log["scene"])
    assert len(names) > 40, "a user has several"


def test_scene_tasks_keep_their_names_apart_whatever_is_in_an_id():
    pairs = [("a · b", "c"), ("a", "b · c"), ("a ·", "b"), ("a", "· b"), ("a·", "c"), ("a··", "c")]
    rows = [(user, i, i + 1, scene) for user, scene in pairs for i in range(3)]
    found = evaluate({}, scene_tasks(shop_of(*rows, names="user item rating scene")), (1,), 2)
    assert found["task"].nunique() == 6
    assert not found.duplicated(COLUMNS[:-1]).any()


def sized(*sizes: int, rating=lambda item: 1 + item % 2):
    """User u has sizes[u] behaviours; by default of 1 and 2 in turn."""
    return tasks_of(*((u, i, rating(i)) for u, n in enumerate(sizes) for i in range(n)))


@pytest.mark.parametrize(
    ("sizes", "asked", "n_query", "expected"),
    [
        ((20, 20, 20), (1, 3, 5, 10), 10, ((1, 3, 5, 10), 10)),
        ((12, 12, 12), (1, 3, 5, 10), 10, ((1, 3, 5), 6)),
        ((10, 10, 10, 10), (1, 3, 5, 10), 10, ((1, 3, 5), 5)),
        ((2, 2, 9), (1, 3), 10, ((1,), 1)),
        ((1, 8, 30), (1, 3, 5), 2, ((1, 3, 5), 2)),
    ],
)
def test_feasible_cuts_down_to_what_half_of_the_tasks_have(sizes, asked, n_query, expected):
    tasks = sized(*sizes)
    shots, query = feasible(tasks, asked, n_query, fewest=1)
    assert (tuple(shots), query) == expected
    assert int((tasks.sizes >= max(shots) + query).sum()) >= len(sizes) / 2


def test_feasible_says_when_even_one_is_too_many():
    told = (
        "half of the 3 users have fewer than 2 behaviours: "
        "too few for 1 of support and one to be judged on (1 have as many)"
    )
    with pytest.raises(InputError, match=re.escape(told)):
        feasible(sized(1, 1, 9), (1, 3), fewest=1)
    with pytest.raises(InputError, match=r"fewer than 4 behaviours.* 3 of .*\(2 have as many\)"):
        feasible(sized(2, 2, 2, 4, 9), (5, 3), fewest=1)


def test_feasible_wants_enough_tasks_to_say_anything():
    told = (
        "24 of the 40 users have the 4 behaviours that a judgement takes: "
        "at least 25 are needed to say anything"
    )
    with pytest.raises(InputError, match=told):
        feasible(sized(*[6] * 24, *[3] * 16), (1, 3), n_query=4)
    assert feasible(sized(*[6] * 25, *[3] * 15), (1, 3), n_query=4) == ((1, 3), 3)
    with pytest.raises(InputError, match=r"3 of the 3 users .* at least 4 are needed"):
        feasible(sized(6, 6, 6), (1,), fewest=4)
    assert feasible(sized(6, 6, 6), (1,), fewest=3) == ((1,), 3)


def test_feasible_has_nothing_to_predict_where_all_targets_are_equal():
    with pytest.raises(InputError, match=r"^every target is 3\.5: there is nothing to predict$"):
        feasible(sized(*[6] * 30, rating=lambda item: 3.5), (1, 3))


@pytest.mark.parametrize("shots", [(), (1, 1), (-1,), (0.5,)])
def test_feasible_takes_different_whole_numbers(shots):
    with pytest.raises(InputError, match="n_shots must be different whole numbers"):
        feasible(sized(*[6] * 30), shots)


def test_feasible_has_no_answer_for_no_tasks():
    with pytest.raises(InputError, match="half of the 0 users"):
        feasible(sized(6).subset(torch.tensor([], dtype=torch.long)), (1,))


@pytest.mark.parametrize("change", [{"support": "temporal"}, {"may_ask": torch.ones(100).bool()}])
def test_everything_else_as_support_does_not_look_ahead(change):
    with pytest.raises(ValueError, match="look ahead"):
        evaluate({}, ten_by_ten(), (1, ALL), 3, **change)
