"""From records to claims: intervals against a bootstrap written naively, and the verdict's three sentences."""

import random
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import seeded
from sklearn.metrics import roc_auc_score

from fsl import InputError
from fsl.compare import (
    FEWEST,
    Contest,
    Interval,
    against,
    auc_interval,
    best,
    cheapest_as_good,
    contest,
    differences,
    holm,
    mean_interval,
    paired_difference,
    per_task,
    summarise,
    with_intervals,
)


def records_of(values: dict, metric: str = "mse", n_shots: int = 1, seed: int = 0, **more):
    """learner -> value per task, or {task: value}."""
    rows = [
        {"learner": learner, "n_shots": n_shots, "seed": seed, "task": f"t{t}", "value": value}
        for learner, column in values.items()
        for t, value in (column if isinstance(column, dict) else dict(enumerate(column))).items()
    ]
    return pd.DataFrame(rows).assign(metric=metric, partition="user-cold", **more)


def noisy(n: int = 80, seed: int = 0, **gaps: float) -> dict:
    """Errors of several learners on the same hard and easy tasks; each learner is `gap` worse, give or take."""
    rng = np.random.default_rng(seed)
    tasks = rng.gamma(2, 0.5, size=n)
    return {name: tasks + gap + 0.05 * rng.normal(size=n) for name, gap in gaps.items()}


def naive_interval(statistic, n: int, n_resamples: int = 3_000) -> tuple[float, float]:
    """2.5 % and 97.5 % of a statistic of resampled task numbers."""
    lots = random.Random(0)
    values = sorted(statistic(lots.choices(range(n), k=n)) for _ in range(n_resamples))
    return values[round(0.025 * n_resamples)], values[round(0.975 * n_resamples)]


def agree(found, value: float, interval: tuple[float, float]) -> None:
    """The value exactly; the ends up to what two bootstraps differ by."""
    assert found.value == pytest.approx(value, abs=1e-12)
    width = interval[1] - interval[0]
    assert found.low == pytest.approx(interval[0], abs=0.1 * width)
    assert found.high == pytest.approx(interval[1], abs=0.1 * width)


def row(table: pd.DataFrame, learner: str):
    return table.set_index("learner").loc[learner]


@pytest.mark.parametrize("metric", ["mse", "rmse"])
def test_means_and_their_intervals_agree_with_a_naive_bootstrap(metric):
    values = noisy(a=0.3, b=0.5)
    finish = np.sqrt if metric == "rmse" else float
    table = summarise(records_of(values), metric)
    assert list(table) == ["learner", "n_shots", "value", "low", "high", "n_tasks"]
    for name, column in values.items():
        naive = naive_interval(lambda lot, c=column: finish(c[lot].mean()), len(column))
        agree(row(table, name), finish(column.mean()), naive)


@pytest.mark.parametrize("metric", ["mse", "rmse"])
def test_a_paired_difference_agrees_with_a_naive_bootstrap(metric):
    values = noisy(a=0.3, b=0.5)
    a, b = values["a"], values["b"]
    finish = np.sqrt if metric == "rmse" else float

    def gap(lot):
        return finish(a[lot].mean()) - finish(b[lot].mean())

    found = paired_difference(records_of(values), "a", "b", metric, 1)
    agree(found, gap(np.arange(len(a))), naive_interval(gap, len(a)))
    alone = row(summarise(records_of(values), metric), "a")
    assert found.high - found.low < 0.3 * (alone["high"] - alone["low"]), "pairing is sharper"
    turned = paired_difference(records_of(values), "b", "a", metric, 1)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_rmse_is_the_root_of_the_mean_over_tasks():
    records = records_of({"a": [0.0, 4.0] * 3, "b": [1.0, 1.0] * 3})
    assert row(summarise(records, "rmse"), "a")["value"] == pytest.approx(2**0.5)
    assert paired_difference(records, "a", "b", "rmse", 1).value == pytest.approx(2**0.5 - 1)
    assert paired_difference(records, "a", "b", "mse", 1).value == 1


def test_metrics_shots_and_learners_are_kept_apart():
    table = pd.concat([
        records_of({"a": [1.0, 3.0] * 3}, "mae"),
        records_of({"a": [9.0] * 6}, "mse"),
        records_of({"a": [5.0] * 6, "b": [7.0] * 6}, "mae", n_shots=3),
    ])  # fmt: skip
    found = summarise(table, "mae").set_index(["learner", "n_shots"])["value"]
    assert found.to_dict() == {("a", 1): 2, ("a", 3): 5, ("b", 3): 7}
    of_a = {(f"t{t}", f"t{t}"): 1 + 2 * (t % 2) for t in range(6)}  # by group and task
    assert per_task(table, "mae")["a", 1].to_dict() == of_a


def test_all_draws_of_one_task_are_kept_together():
    values = noisy(30, a=0.0, b=0.1)
    once = records_of(values)
    often = pd.concat([records_of(values, seed=seed) for seed in range(40)])
    pd.testing.assert_frame_equal(summarise(once, "mse"), summarise(often, "mse"))
    first, second = (paired_difference(r, "a", "b", "mse", 1) for r in (once, often))
    assert vars(first) == pytest.approx(vars(second))


def test_draws_of_a_task_are_averaged():
    table = pd.concat([
        records_of({"a": [1.0, 2.0]}, seed=0), records_of({"a": [3.0, 6.0]}, seed=1)
    ])  # fmt: skip
    assert per_task(table, "mse")["a", 1].tolist() == [2, 4]


def test_equal_tasks_have_an_interval_of_no_width_and_equal_learners_no_difference():
    found = row(summarise(records_of({"a": [2.0] * 5}), "mse"), "a")
    assert found[["value", "low", "high", "n_tasks"]].tolist() == pytest.approx([2, 2, 2, 5])
    values = [1.0, 3, 2, 7, 5]
    same = paired_difference(records_of({"a": values, "b": values}), "a", "b", "mse", 1)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def few(n: int) -> torch.Tensor:
    return torch.arange(n).double()


def pair_of(n: int, more: int = 0) -> pd.DataFrame:
    """a and b have n tasks in common, and each `more` of its own."""
    own = [range(n + more), [*range(n), *range(n + more, n + 2 * more)]]
    return records_of({name: {t: float(t) for t in side} for name, side in zip("ab", own)})  # noqa: B905


@pytest.mark.parametrize(
    "interval",
    [
        lambda n: summarise(records_of({"a": few(n).numpy()}), "rmse"),
        lambda n: paired_difference(pair_of(n), "a", "b", "mse", 1),
        lambda n: paired_difference(pair_of(n, more=9), "a", "b", "mse", 1),
        lambda n: mean_interval(few(n)),
        lambda n: auc_interval(few(4 * n), few(4 * n) % 2 > 0, torch.arange(4 * n) % n * 100),
    ],
    ids=["summarise", "paired_difference", "of the common tasks", "mean_interval", "auc_interval"],
)
def test_an_interval_takes_five_tasks_or_clusters(interval):
    assert FEWEST == 5
    for n in (1, 4):
        told = f"{n} test tasks are too few for an interval: at least 5 are needed"
        with pytest.raises(InputError, match=told):
            interval(n)
    interval(5)


def test_nothing_at_all_is_too_few_as_well():
    none = torch.zeros(0)
    for call in (lambda: mean_interval(none), lambda: auc_interval(none, none > 0, none)):
        with pytest.raises(InputError, match="0 test tasks are too few for an interval"):
            call()


@pytest.mark.parametrize(
    "asked",
    [
        lambda r: summarise(r, "mse"),
        lambda r: paired_difference(r, "a", "b", "mse", 1),
        lambda r: best(r, ["a", "b"], "mse", 1),
        lambda r: contest(r, ["a"], ["b"], "mse", 1),
        lambda r: cheapest_as_good(r, ["a", "b"], "mse", 1),
        lambda r: differences(r, "a", "mse"),
        lambda r: with_intervals(r, "mse"),
    ],
)
def test_records_of_several_partitions_are_never_averaged(asked):
    records = records_of(noisy(a=0.0, b=0.1))
    asked(records)
    with pytest.raises(ValueError, match="records of one partition are wanted, got 2"):
        asked(pd.concat([records, records.assign(partition="user-warm")]))


def test_learners_judged_on_different_tasks_keep_their_own_intervals():
    values = noisy(40, a=0.0, b=0.2)
    fewer = {t: value for t, value in enumerate(values["b"]) if t >= 10}
    table = summarise(records_of({"a": values["a"], "b": fewer}), "mse")
    alone = summarise(records_of({"b": fewer}), "mse")
    assert row(table, "b")["value"] == pytest.approx(row(alone, "b")["value"])
    assert row(table, "b")["n_tasks"] == 30
    assert row(table, "a")["n_tasks"] == 40
    width = row(alone, "b")["high"] - row(alone, "b")["low"]
    assert row(table, "b")["low"] == pytest.approx(row(alone, "b")["low"], abs=0.15 * width)
    assert row(table, "b")["high"] == pytest.approx(row(alone, "b")["high"], abs=0.15 * width)


def test_a_pair_is_compared_on_the_tasks_both_have():
    common = {t: float(t) for t in range(5)}
    ours = {t: 1 + value for t, value in common.items()} | {5: 90.0}
    records = records_of({"a": ours, "b": common | {6: -90.0}})
    found = paired_difference(records, "a", "b", "mse", 1)
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_the_order_of_records_makes_no_difference_and_the_seed_decides():
    records = records_of(noisy(a=0.0, b=0.1))
    shuffled = records.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(summarise(records, "mse"), summarise(shuffled, "mse"))
    pd.testing.assert_frame_equal(summarise(records, "mse", 3), summarise(records, "mse", 3))
    assert not summarise(records, "mse", 3).equals(summarise(records, "mse", 4))


def test_the_mean_of_values_with_its_interval():
    values = torch.randn(60, generator=seeded(0), dtype=torch.float64)
    column = values.numpy()
    naive = naive_interval(lambda lot: column[lot].mean(), 60)
    agree(mean_interval(values), column.mean(), naive)


def test_the_best_is_the_least_error_or_the_highest_rank_and_never_a_ruler():
    values = {"a": [2.0] * 6, "b": [1.0, 1.5] * 3, "c": [3.0] * 6, "worst": [4.0] * 6}
    names = ["a", "b", "c", "oracle"]
    least, most = ({**values, "oracle": [ruler] * 6} for ruler in (0.0, 9.0))
    values = least
    for metric in ("mae", "mse"):
        assert best(records_of(values, metric), names, metric, 1) == "b"
        assert best(records_of(values, metric), ["a", "c"], metric, 1) == "a"
    assert best(records_of(values), names, "rmse", 1) == "b"
    assert best(records_of(most, "ndcg@5"), names, "ndcg@5", 1) == "c"
    later = records_of({"a": [0.5] * 6, "b": [0.7] * 6}, n_shots=5)
    later = pd.concat([records_of(values), later])
    assert best(later, names, "mse", 5) == "a"


@pytest.mark.parametrize(
    ("metric", "gap", "outcome"),
    [
        ("rmse", -0.2, "beats"),
        ("rmse", 0.2, "loses to"),
        ("rmse", 0.0, "cannot be told from"),
        ("ndcg@5", 0.2, "beats"),
        ("ndcg@5", -0.2, "loses to"),
        ("ndcg@5", 0.0, "cannot be told from"),
    ],
)
def test_a_contest_is_won_only_by_an_interval_that_leaves_zero_out(metric, gap, outcome):
    better = 1 if metric == "ndcg@5" else -1  # where the other learners stand
    values = noisy(good=0.0, poor=-0.5 * better, new=gap, worse=-0.9 * better)
    values["new"] = values["new"] + (values["good"] - values["new"] + gap).mean()
    records = records_of(values, "mse" if metric == "rmse" else metric)
    found = contest(records, ["good", "poor"], ["new", "worse"], metric, 1)
    assert (found.baseline, found.contender) == ("good", "new")
    assert found.outcome == outcome
    pair = paired_difference(records, "new", "good", metric, 1)
    assert found.gap == pair
    assert str(found) == (
        f"With 1 behaviour known, new {outcome} good, the best simple method ({metric.upper()} difference "
        f"{pair.value:+.3f}, 95 % interval {pair.low:+.3f} to {pair.high:+.3f})."
    )


def test_an_interval_that_touches_zero_decides_nothing():
    for low, high in ((-0.1, 0.0), (0.0, 0.1)):
        found = Contest("a", "b", "rmse", 3, Interval(0.0, low, high))
        assert found.outcome == "cannot be told from"
        assert str(found).startswith("With 3 behaviours known, b cannot be told from a, ")


def ladder(metric: str, **gaps: float) -> pd.DataFrame:
    """Records of learners whose mean is just `gap` worse than 1, in the metric's own direction."""
    sign = -1 if metric == "ndcg@5" else 1
    values = {
        name: sign * (column - column.mean() + 1 + gaps[name])
        for name, column in noisy(**gaps).items()
    }
    return records_of(values, "mse" if metric == "rmse" else metric)


@pytest.mark.parametrize("metric", ["rmse", "mae", "ndcg@5"])
def test_enough_is_the_first_that_the_best_does_not_beat(metric):
    records = ladder(metric, far=0.5, near=0.002, top=0.0, twin=0.002)
    winner = best(records, ["far", "near", "top", "twin"], metric, 1)
    assert winner == "top"
    as_good = {}
    for name in ("far", "near", "twin"):
        pair = paired_difference(records, name, winner, metric, 1)
        as_good[name] = pair.low <= 0 <= pair.high
    assert as_good == {"far": False, "near": True, "twin": True}, "the world of this test"
    for by_cost, expected in (
        (["far", "near", "top", "twin"], "near"),
        (["twin", "near", "far", "top"], "twin"),
        (["top", "near"], "top"),
        (["far", "top", "near"], "top"),
        (["far"], "far"),
    ):
        assert cheapest_as_good(records, by_cost, metric, 1) == expected


def test_a_ruler_is_never_enough():
    records = ladder("rmse", oracle=-0.5, far=0.5, top=0.0)
    assert cheapest_as_good(records, ["far", "top"], "rmse", 1) == "top"
    assert best(records, ["oracle", "far", "top"], "rmse", 1) == "top"


def test_simple_methods_come_first_in_what_is_enough():
    records = ladder("rmse", simple=0.002, new=0.0)
    assert cheapest_as_good(records, ["simple", "new"], "rmse", 1) == "simple"


def test_differences_are_those_of_each_pair():
    early = records_of(noisy(a=0.0, b=0.3, oracle=-0.4))
    records = pd.concat([early, records_of(noisy(seed=1, a=0.2, b=0.0, oracle=-0.4), n_shots=3)])
    found = differences(records, "a", "rmse")
    assert list(found) == ["learner", "n_shots", "value", "low", "high"]
    found = found.set_index(["learner", "n_shots"])
    assert set(found.index) == {(name, k) for name in ("a", "b", "oracle") for k in (1, 3)}
    for (name, k), line in found.iterrows():
        assert line.to_dict() == vars(paired_difference(records, name, "a", "rmse", k))
    assert (found.loc["a"] == 0).all(axis=None)


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("mae", ["b", "a", "c", "oracle", "constant"]),
        ("ndcg@5", ["c", "a", "b", "constant", "oracle"]),
    ],
)
def test_the_table_has_the_best_at_the_largest_k_on_top_and_rulers_below(metric, order):
    early = {"a": [1.0] * 5, "b": [2.0] * 5, "c": [3.0] * 5}
    later = {"constant": [9.0] * 5, "a": [2.0] * 5, "oracle": [0.0] * 5, "c": [2.5] * 5}
    later["b"] = [1.0, 1.0, 1.5, 2.0, 2.0]
    records = pd.concat([records_of(early, metric), records_of(later, metric, n_shots=10)])
    table = with_intervals(records, metric)
    assert table.index.tolist() == order
    assert table.columns.tolist() == ["K = 1", "K = 10"]
    assert table.loc["a"].tolist() == ["1.000 [1.00, 1.00]", "2.000 [2.00, 2.00]"]
    b = row(summarise(records, metric).query("n_shots == 10"), "b")
    assert table.loc["b", "K = 10"] == f"1.500 [{b['low']:.2f}, {b['high']:.2f}]"
    assert 1 < b["low"] < 1.5 < b["high"] < 2


def test_an_interval_is_written_with_three_digits():
    assert str(Interval(0.1234, -0.5, 2)) == "0.123 [-0.500, 2.000]"


def clustered(n_users: int = 30, n: int = 12):
    generator = seeded(0)
    sizes = torch.arange(n_users) % 5 + n
    user = torch.arange(n_users).repeat_interleave(sizes)
    positive = torch.rand(len(user), generator=generator) < 0.5
    skill = torch.randn(n_users, generator=generator)[user]
    scores = torch.randn(len(user), generator=generator) + skill * positive
    order = torch.randperm(len(user), generator=generator)
    return scores[order], positive[order], 7 * user[order]


def test_auc_resamples_whole_users():
    scores, positive, user = clustered()
    rows = [(user == u).nonzero()[:, 0].numpy() for u in user.unique()]
    y, s = positive.numpy(), scores.double().numpy()

    def of(lot):
        chosen = np.concatenate([rows[u] for u in lot])
        return roc_auc_score(y[chosen], s[chosen])

    value, (low, high) = of(range(30)), naive_interval(of, 30, 800)
    found = auc_interval(scores, positive, user)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_an_auc_against_a_reference_is_paired():
    scores, positive, user = clustered()
    other = scores + 0.1 * torch.randn(len(scores), generator=seeded(1))
    none = auc_interval(scores, positive, user, reference=scores)
    assert (none.value, none.low, none.high) == (0, 0, 0)
    gap = auc_interval(scores, positive, user, reference=other)
    y = positive.numpy()
    expected = roc_auc_score(y, scores.numpy()) - roc_auc_score(y, other.numpy())
    assert gap.value == pytest.approx(expected, abs=1e-9)
    alone = auc_interval(scores, positive, user)
    assert gap.high - gap.low < 0.5 * (alone.high - alone.low)


def test_a_learner_with_too_few_tasks_of_its_own_gets_no_interval():
    table = records_of({"a": {t: 1.0 for t in range(80)}, "b": {0: 1.0, 1: 5.0}})
    with pytest.raises(InputError, match="2 test tasks are too few for an interval"):
        summarise(table, "mse")


def test_a_resample_without_one_of_the_classes_does_not_count():
    torch.manual_seed(0)
    found = auc_interval(torch.rand(20), torch.arange(20) < 4, torch.arange(20) // 4)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_values_that_are_not_finite_have_no_mean():
    with pytest.raises(ValueError, match="values must be finite"):
        mean_interval(torch.tensor([1.0, 2, 3, 4, float("nan")]))


def holm_by_the_book(p: list[float]) -> list[float]:
    """The least level at which Holm's procedure (1979) rejects each hypothesis, from its definition."""

    def rejects(level: float) -> set[int]:
        found = set()
        for step, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
            if p[place] * (len(p) - step) > level:
                break
            found.add(place)
        return found

    levels = sorted({min(1.0, value * n) for value in p for n in range(1, len(p) + 1)})
    return [next((x for x in levels if place in rejects(x)), 1.0) for place in range(len(p))]


@given(st.lists(st.integers(1, 40).map(lambda n: n / 40), min_size=1, max_size=8))
def test_holm_gives_the_least_level_at_which_its_procedure_rejects(p):
    np.testing.assert_allclose(holm(np.array(p)), holm_by_the_book(p), atol=1e-12)


def test_holm_by_hand():
    found = holm(np.array([0.04, 0.01, 0.03, 0.5]))
    np.testing.assert_allclose(found, [0.09, 0.04, 0.09, 0.5])
    assert holm(np.array([0.2])).tolist() == [0.2]


def test_against_is_a_line_of_paired_differences_with_p_and_wins():
    values = noisy(base=0.3, better=0.2, same=0.3, worse=0.5)
    records, names = records_of(values), ["better", "same", "worse"]
    found = against(records, "base", names, "rmse", 1)
    columns = ["learner", "value", "low", "high", "p", "p_holm", "win_share", "n_tasks"]
    assert list(found) == columns
    assert found["learner"].tolist() == names
    for line in found.itertuples():
        pair = paired_difference(records, line.learner, "base", "rmse", 1)
        assert (line.value, line.low, line.high) == (pair.value, pair.low, pair.high)
        won = (values[line.learner] < values["base"]).mean()
        assert (line.win_share, line.n_tasks) == (pytest.approx(won), 80)
        if line.p != pytest.approx(0.05, abs=0.004):
            assert (line.p < 0.05) == (pair.low * pair.high > 0)
    np.testing.assert_allclose(found["p_holm"], holm_by_the_book(found["p"].tolist()))
    better, same, worse = found["p"]
    assert better == worse == 2 / 2001, (
        "no resample on the other side: the least p that 2,000 can give"
    )
    assert same > 0.05


def test_p_is_that_of_a_t_test_where_differences_are_normal():
    rng = np.random.default_rng(3)
    base = rng.normal(size=400)
    records = records_of({"base": base, "new": base + rng.normal(size=400) + 0.09}, "auc")
    line = against(records, "base", ["new"], "auc", 1).iloc[0]
    gap = records.query("learner == 'new'")["value"].to_numpy() - base
    z = gap.mean() / (gap.std(ddof=1) / 20)
    expected = 2 * (1 - NormalDist().cdf(abs(z)))
    assert 0.01 < expected < 0.5, "the world of this test"
    assert line["p"] == pytest.approx(expected, rel=0.25)


def test_equal_learners_have_p_1_and_win_half():
    records = records_of({"a": [1.0, 2, 3, 4, 5], "b": [1.0, 2, 3, 4, 5]})
    line = against(records, "a", ["b"], "mse", 1).iloc[0]
    assert (line["value"], line["p"], line["p_holm"], line["win_share"]) == (0, 1, 1, 0.5)


def test_for_ranks_a_win_is_the_higher_value():
    records = records_of({"a": [0.1, 0.2, 0.3, 0.4, 0.5], "b": [0.2, 0.3, 0.4, 0.5, 0.1]}, "ndcg@5")
    assert against(records, "a", ["b"], "ndcg@5", 1)["win_share"].item() == 0.8


def grouped(values: dict, groups) -> pd.DataFrame:
    """Records whose tasks t0, t1 … belong to `groups`."""
    records = records_of(values)
    return records.assign(group=[groups[int(task[1:])] for task in records["task"]])


def test_one_task_per_group_is_the_plain_bootstrap():
    values = noisy(40, a=0.0, b=0.1)
    plain, alone = records_of(values), grouped(values, [f"g{t:02}" for t in range(40)])
    of_plain = plain.assign(task=[f"t{int(task[1:]):02}" for task in plain["task"]])
    pd.testing.assert_frame_equal(summarise(alone, "mse"), summarise(of_plain, "mse"))
    pairs = (paired_difference(records, "a", "b", "rmse", 1) for records in (alone, of_plain))
    assert vars(next(pairs)) == pytest.approx(vars(next(pairs)), abs=1e-12)


def test_repeating_the_tasks_of_every_group_adds_no_certainty():
    once = noisy(40, a=0.0, b=0.1)
    often = {name: np.tile(column, 9) for name, column in once.items()}
    few = grouped(once, list(range(40)))
    many = grouped(often, list(range(40)) * 9)
    single, repeated = (paired_difference(r, "a", "b", "mse", 1) for r in (few, many))
    assert vars(repeated) == pytest.approx(vars(single), abs=1e-9)
    blind = paired_difference(records_of(often), "a", "b", "mse", 1)
    assert blind.high - blind.low < 0.5 * (single.high - single.low), "as if there were 360 people"


def test_groups_of_unequal_size_agree_with_a_naive_bootstrap_of_groups():
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    values = rng.normal(size=30)[group] + 0.2 * rng.normal(size=len(group))
    parts = [values[group == g] for g in range(30)]
    found = row(summarise(grouped({"a": values}, group.tolist()), "mse"), "a")
    naive = naive_interval(lambda lot: np.concatenate([parts[g] for g in lot]).mean(), 30)
    agree(found, values.mean(), naive)
    assert found["n_tasks"] == len(group)
    with pytest.raises(InputError, match="4 test tasks are too few for an interval"):
        summarise(grouped({"a": values}, (group % 4).tolist()), "mse")


def test_intervals_hold_what_they_promise():
    """Of 300 data sets of 25 people with 4 tasks each, some 95 % have the truth inside; without groups far fewer."""
    rng, people = np.random.default_rng(0), np.repeat(np.arange(25), 4)
    values = {
        f"data {n}": rng.normal(size=25)[people] + 0.3 * rng.normal(size=100) for n in range(300)
    }
    records = grouped(values, people.tolist())

    def share_inside(records) -> float:
        table = summarise(records, "mse")
        return float(((table["low"] <= 0) & (table["high"] >= 0)).mean())

    assert 0.89 <= share_inside(records) <= 0.98, "25 resampled people give a little below 95 %"
    assert share_inside(records.drop(columns="group")) < 0.8
