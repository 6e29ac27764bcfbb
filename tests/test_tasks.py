"""Tables to tasks: every behaviour in its own task, oldest first; splits that part no one and never look ahead."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import seeded, shop_of, shops, tasks_of

from fsl import InputError, Shop, item_tasks, scene_tasks, split_by_time, split_tasks, user_tasks
from fsl.tasks import join

KEYS = {user_tasks: ["user"], item_tasks: ["item"], scene_tasks: ["user", "scene"]}


def rows_by_subject(tasks) -> dict:
    """subject id -> its rows in the shop's interactions, as the tasks have them."""
    parts = tasks.rows.split(tasks.sizes.tolist())
    ids = tasks.subject_ids[tasks.subjects.numpy()]
    return {subject: part.tolist() for subject, part in zip(ids, parts, strict=True)}


def seconds(tasks) -> list[float]:
    return [] if tasks.times is None else tasks.times.tolist()


@given(shops(scenes=True), st.sampled_from(list(KEYS)))
def test_each_task_has_just_the_rows_of_its_subject(shop, make):
    keys = KEYS[make] if len(KEYS[make]) > 1 else KEYS[make][0]
    expected = shop.interactions.groupby(keys).indices
    made = rows_by_subject(make(shop))
    assert {k: sorted(v) for k, v in made.items()} == {k: v.tolist() for k, v in expected.items()}


@given(shops(scenes=True), st.sampled_from(list(KEYS)))
def test_rows_carry_their_object_target_and_time(shop, make):
    tasks = make(shop)
    table = shop.interactions.iloc[tasks.rows.numpy()]
    other = "user" if make is item_tasks else "item"
    assert tasks.object_ids[tasks.objects.numpy()].tolist() == table[other].tolist()
    assert tasks.targets.tolist() == table["rating"].tolist()
    assert seconds(tasks) == (table["timestamp"].tolist() if "timestamp" in table else [])
    assert tasks.scale == (table["rating"].min(), table["rating"].max())
    assert tasks.n_rows == len(table)


@given(shops(timed=True, scenes=True), st.sampled_from(list(KEYS)))
def test_behaviours_of_a_task_are_oldest_first(shop, make):
    tasks = make(shop)
    for part in tasks.times.split(tasks.sizes.tolist()):
        assert part.tolist() == sorted(part.tolist())


@given(shops(scenes=True))
def test_the_user_is_the_group_of_every_scene_task(shop):
    tasks = scene_tasks(shop)
    users = [user for user, _ in tasks.subject_ids[tasks.subjects.numpy()]]
    same_user = np.equal.outer(users, users)
    assert np.array_equal(np.equal.outer(tasks.groups.numpy(), tasks.groups.numpy()), same_user)


@given(shops())
def test_mean_target_of_each_task(shop):
    tasks = user_tasks(shop)
    expected = shop.interactions.groupby("user")["rating"].mean().sort_index()
    assert tasks.subject_ids.tolist() == expected.index.tolist()
    assert tasks.task_means.tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_an_empty_task_has_mean_zero():
    tasks = tasks_of(("a", 1, 4), ("a", 2, 2), ("b", 1, 5))
    left = tasks.subset(torch.tensor([1, 0]), torch.tensor([True, True, False]))
    assert left.sizes.tolist() == [0, 2]
    assert left.task_means.tolist() == [0, 3]


def test_a_subset_keeps_the_order_asked_for_and_the_rows_kept():
    tasks = tasks_of(("a", 1, 4), ("a", 2, 2), ("b", 1, 5), ("c", 3, 1), ("c", 1, 3))
    some = tasks.subset(torch.tensor([2, 0]), torch.tensor([True, False, True, True, True]))
    assert rows_by_subject(some) == {"c": [3, 4], "a": [0]}
    assert some.targets.tolist() == [1, 3, 4]
    assert some.task_of_row.tolist() == [0, 0, 1]
    assert some.offsets.tolist() == [0, 2, 3]


def test_features_belong_to_their_subject_and_object():
    users = pd.DataFrame({"user": ["b", "a", "z"], "age": [30, 10, 99]})
    items = pd.DataFrame({"item": [3, 1], "os": ["x", "y"], "name": ["long", "text"]})
    rows = (("a", 1, 5), ("b", 3, 1), ("b", 1, 2))
    shop = shop_of(*rows, users=users, items=items)
    tasks = user_tasks(shop)
    assert tasks.subject_feature_names == ["age"]
    assert tasks.subject_features[:, 0].tolist() == [-1, 1]  # a is younger than b
    assert tasks.object_feature_names == ["os=x", "os=y"]
    assert tasks.object_features.tolist() == [[0, 1], [1, 0]]  # items 1 and 3
    turned = item_tasks(shop)
    assert turned.subject_features.tolist() == tasks.object_features.tolist()
    assert turned.object_features.tolist() == tasks.subject_features.tolist()


def test_a_scene_is_among_the_features_of_its_subject():
    rows = (("a", 1, 5, "web"), ("a", 2, 4, "store"), ("b", 1, 2, "web"))
    tasks = scene_tasks(shop_of(*rows, names="user item rating scene"))
    assert tasks.subject_ids.tolist() == [("a", "store"), ("a", "web"), ("b", "web")]
    assert tasks.subject_feature_names == ["scene=store", "scene=web"]
    assert tasks.subject_features.tolist() == [[1, 0], [0, 1], [0, 1]]


def test_without_tables_there_are_no_features():
    tasks = tasks_of(("a", 1, 5), ("b", 2, 4))
    assert tasks.subject_features.shape == (2, 0)
    assert tasks.object_features.shape == (2, 0)


def test_missing_numbers_sit_at_the_mean_and_words_become_columns():
    items = pd.DataFrame({
        "item": range(200),
        "weight": [None, *range(199)],
        "genres": [f"{'ABC'[i % 3]} {'DE'[i % 2]}{' F' * (i % 5 == 0)}" for i in range(200)],
        "released": pd.date_range("2020-01-01", periods=200).strftime("%Y-%m-%d"),
        "story": [f"word{i} word{i + 100} and so on{i}" for i in range(200)],
    })  # fmt: skip
    tasks = tasks_of(*(("a", i, 1) for i in range(200)), items=items)
    columns = dict(zip(tasks.object_feature_names, tasks.object_features.T, strict=True))
    assert columns["weight"][0] == 0
    assert columns["weight"][1:].std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert columns["released"].diff().min() > 0
    assert not [name for name in columns if name.startswith("story")]
    assert torch.isfinite(tasks.object_features).all()


def test_dates_in_several_time_zones_are_read():
    dates = ["2020-01-01T00:00:00+01:00", "2020-01-02T00:00:00+02:00", "2020-01-03"]
    users = pd.DataFrame({"user": ["a", "b", "c"], "since": dates})
    tasks = tasks_of(("a", 1, 1), ("b", 1, 2), ("c", 1, 3), users=users)
    assert tasks.subject_features[:, 0].diff().min() > 0


def groups_of(part) -> set:
    return set(part.groups.tolist())


@given(shops(scenes=True), st.sampled_from(list(KEYS)), st.integers(0, 9))
def test_a_split_parts_groups_and_loses_nothing(shop, make, seed):
    tasks = make(shop)
    split = split_tasks(tasks, seeded(seed))
    together = [groups_of(part) for part in split]
    assert not any(a & b for n, a in enumerate(together) for b in together[n + 1 :])
    merged = {k: v for part in split for k, v in rows_by_subject(part).items()}
    assert merged == rows_by_subject(tasks)


def test_a_scene_split_keeps_a_user_on_one_side():
    rows = [(u, i, 1 + i % 5, s) for u in range(30) for i, s in enumerate(("web", "store", "live"))]
    tasks = scene_tasks(shop_of(*rows, names="user item rating scene"))
    users = [
        {u for u, _ in part.subject_ids[part.subjects.numpy()]}
        for part in split_tasks(tasks, seeded(0))
    ]
    assert [len(side) for side in users] == [21, 3, 6]
    assert len(set.union(*users)) == 30


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.2), (0.5, 0.25, 0.25), (0, 0, 1), (1, 0, 0)])
@pytest.mark.parametrize("by_time", [False, True])
def test_fractions_are_of_groups(fractions, by_time):
    rows = [(u, i, 3, 1000 * u + i) for u in range(20) for i in range(3)]
    tasks = tasks_of(*rows, names="user item rating timestamp")
    split = split_by_time(tasks, fractions) if by_time else split_tasks(tasks, seeded(1), fractions)
    assert [len(part) for part in split] == [round(20 * share) for share in fractions]


def test_the_generator_decides_the_split():
    tasks = tasks_of(*((u, i, 3) for u in range(40) for i in range(2)))

    def test_users(seed):
        return split_tasks(tasks, seeded(seed)).test.subjects.tolist()

    assert test_users(3) == test_users(3)
    assert len({tuple(test_users(seed)) for seed in range(5)}) == 5
    assert len({user for seed in range(40) for user in test_users(seed)}) == 40


def test_folds_hold_out_other_groups_until_everybody_was_tested_once():
    tasks = tasks_of(*((u, i, 3) for u in range(30) for i in range(2)))
    folds = [split_tasks(tasks, seeded(3), fold=fold) for fold in range(5)]
    assert sorted(s for fold in folds for s in fold.test.subjects.tolist()) == list(range(30))
    for fold in folds:
        assert [len(part) for part in fold] == [21, 3, 6]
        assert not groups_of(fold.train) & groups_of(fold.test)
        assert not groups_of(fold.validation) & groups_of(fold.test)
    default = split_tasks(tasks, seeded(3))
    assert torch.equal(default.test.subjects, folds[0].test.subjects)


@pytest.mark.parametrize("n_users", [*range(3, 23), 50])
def test_five_folds_test_everybody(n_users):
    tasks = tasks_of(*((u, i, 3) for u in range(n_users) for i in range(2)))
    tested = []
    for fold in range(5):
        split = split_tasks(tasks, seeded(1), fold=fold)
        sides = [set(part.subjects.tolist()) for part in split]
        assert all(sides), "no side is empty"
        assert sum(map(len, sides)) == len(set.union(*sides)) == n_users
        tested += sides[2]
    if n_users % 5 == 0:
        assert sorted(tested) == list(range(n_users))
    else:
        assert abs(len(tested) - n_users) <= 2
        assert len(set(tested)) >= n_users - 2, "but for a user or two"


@given(shops(timed=True, scenes=True, min_rows=2), st.sampled_from(list(KEYS)))
def test_a_split_by_time_never_looks_ahead(shop, make):
    tasks = make(shop)
    first_seen = shop.interactions.groupby("item" if make is item_tasks else "user")["timestamp"]
    first_seen = first_seen.min()
    if (first_seen == first_seen.min()).sum() > round(0.4 * len(first_seen)):
        with pytest.raises(InputError, match="s that appear at different times"):
            split_by_time(tasks, (0.4, 0.3, 0.3))
        return
    split = split_by_time(tasks, (0.4, 0.3, 0.3))
    assert len(split.train) > 0
    for before, after in ((0, 1), (0, 2), (1, 2)):
        early, late = split[before], split[after]
        assert not groups_of(early) & groups_of(late)
        assert max(seconds(early), default=-np.inf) < min(seconds(late), default=np.inf)
    everything = rows_by_subject(tasks)
    for part in split:
        assert (part.sizes > 0).all()
        assert all(set(rows) <= set(everything[s]) for s, rows in rows_by_subject(part).items())
    assert all(rows == everything[s] for s, rows in rows_by_subject(split.test).items())


def test_a_split_by_time_cuts_training_users_where_the_next_begin():
    rows = (
        ("old", 1, 3, 10), ("old", 2, 3, 25), ("old", 3, 3, 99),
        ("mid", 1, 3, 20), ("mid", 2, 3, 29), ("mid", 3, 3, 30),
        ("new", 1, 3, 30), ("new", 2, 3, 98),
    )  # fmt: skip
    split = split_by_time(
        tasks_of(*rows, names="user item rating timestamp"), (1 / 3, 1 / 3, 1 / 3)
    )
    assert [rows_by_subject(part) for part in split] == [
        {"old": [0]},
        {"mid": [3, 4]},
        {"new": [6, 7]},
    ]


def timed(*rows: tuple):
    return tasks_of(*rows, names="user item rating timestamp")


@pytest.mark.parametrize("n_users", [1, 2, 20])
def test_a_split_by_time_needs_a_first_and_a_later(n_users):
    tasks = timed(*((u, i, 3, 10 + 5 * i) for u in range(n_users) for i in range(3)))
    with pytest.raises(InputError, match="a split by time needs users that appear at different"):
        split_by_time(tasks, (0.4, 0.3, 0.3))


def test_items_that_all_appear_at_once_are_called_items():
    shop = shop_of(*((u, i, 3, u) for u in range(3) for i in range(9)),
                   names="user item rating timestamp")  # fmt: skip
    with pytest.raises(InputError, match="a split by time needs items that appear at different"):
        split_by_time(item_tasks(shop))


def test_without_training_there_is_no_first_to_be_needed():
    split = split_by_time(timed(("a", 1, 3, 10), ("b", 1, 3, 10)), (0, 0, 1))
    assert [len(part) for part in split] == [0, 0, 2]


SHARES = st.tuples(*[st.integers(0, 20)] * 3).filter(any)


@given(st.integers(3, 40), SHARES, st.booleans(), st.integers(0, 9))
def test_no_side_that_is_asked_for_is_rounded_away(n_users, shares, by_time, seed):
    fractions = tuple(share / sum(shares) for share in shares)
    tasks = timed(*((u, i, 3, 100 * u + i) for u in range(n_users) for i in range(2)))
    split = (
        split_by_time(tasks, fractions) if by_time else split_tasks(tasks, seeded(seed), fractions)
    )
    sizes = [len(part) for part in split]
    assert sum(sizes) == n_users
    for size, share in zip(sizes, fractions, strict=True):
        assert (size > 0) == (share > 0)
        assert abs(size - n_users * share) <= 2


@pytest.mark.parametrize("n_users", [3, 4, 5, 9])
def test_the_default_fractions_serve_a_small_shop(n_users):
    tasks = timed(*((u, i, 3, 100 * u + i) for u in range(n_users) for i in range(2)))
    for split in (split_tasks(tasks, seeded(0)), split_by_time(tasks)):
        assert min(len(part) for part in split) >= 1
        assert len(split.train) == max(len(part) for part in split)


def test_time_tells_the_behaviours_of_most_tasks_apart():
    apart, at_once = [(0, 1), (0, 1, 1)], [(5, 5), (5,)]

    def ordered(*times: tuple) -> bool:
        rows = [(u, i, 3, t) for u, own in enumerate(times) for i, t in enumerate(own)]
        return timed(*rows).has_order

    assert ordered(*apart, at_once[0])
    assert ordered((1, 0))
    assert not ordered(*at_once)
    assert not ordered(*apart, *at_once), "most is more than half"
    assert not ordered((1,), (2,), (3,)), "each at its own time, but with nothing to put in order"
    tasks = timed(*((u, i, 3, i) for u in range(3) for i in range(2)))
    assert tasks.has_order
    assert not tasks.subset(torch.tensor([], dtype=torch.long)).has_order
    assert not tasks.subset(torch.arange(3), tasks.times < 1).has_order
    assert not tasks.subset(torch.arange(3), tasks.times < 0).has_order
    emptied = tasks.subset(torch.arange(3), tasks.task_of_row < 2)
    assert emptied.sizes.tolist() == [2, 2, 0]
    assert emptied.has_order
    assert not tasks_of(("a", 1, 3), ("a", 2, 4)).has_order, "no timestamps"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: user_tasks(shop_of(("a", 1), names="user item")), "need a column rating or label"),
        (lambda: scene_tasks(shop_of(("a", 1, 2))), "scene-tasks need a column scene"),
        (lambda: split_by_time(tasks_of(("a", 1, 2))), "needs a column timestamp"),
    ],
)
def test_a_missing_column_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.2, 0.2)])
def test_wrong_fractions_are_refused(fractions):
    told = "fractions must be three numbers >= 0 that sum to 1, got " + re.escape(str(fractions))
    with pytest.raises(ValueError, match=told):
        split_tasks(tasks_of(("a", 1, 2)), seeded(0), fractions)


def test_a_label_is_a_target_on_the_scale_of_0_and_1():
    tasks = user_tasks(Shop(pd.DataFrame({"user": [1, 1], "item": [1, 2], "label": [1, 1]})))
    assert (tasks.targets.tolist(), tasks.scale) == ([1, 1], (0, 1))


def test_offsets_begin_at_zero_and_never_fall():
    tasks = tasks_of(("a", 1, 4), ("b", 1, 5), ("a", 2, 2))
    assert tasks.offsets.tolist() == [0, 2, 3]
    assert all(a <= b for a, b in pairwise(tasks.offsets.tolist()))


@given(shops(scenes=True), st.sampled_from(list(KEYS)), st.integers(0, 9))
def test_joining_the_parts_of_a_split_gives_the_whole_back(shop, make, seed):
    tasks = make(shop)
    train, validation, test = split_tasks(tasks, seeded(seed))
    both = join(train, validation)
    assert rows_by_subject(both) == rows_by_subject(train) | rows_by_subject(validation)
    assert both.subjects.tolist() == train.subjects.tolist() + validation.subjects.tolist()
    assert both.offsets.tolist()[-1] == both.n_rows == train.n_rows + validation.n_rows
    everything = join(both, test)
    assert rows_by_subject(everything) == rows_by_subject(tasks)
    order = everything.subjects.argsort()
    again = everything.subset(order)
    for name in ("groups", "offsets", "objects", "targets", "rows"):
        assert torch.equal(getattr(again, name), getattr(tasks, name))
    assert (again.times is None) == (tasks.times is None)
    if tasks.times is not None:
        assert torch.equal(again.times, tasks.times)


def test_what_was_counted_before_joining_is_counted_anew():
    tasks = tasks_of(("a", 1, 4), ("a", 2, 2), ("b", 1, 5), ("c", 1, 1), ("c", 3, 2))
    first, second = tasks.subset(torch.tensor([2])), tasks.subset(torch.tensor([0, 1]))
    assert (first.sizes.tolist(), second.task_means.tolist()) == ([2], [3, 5])
    both = join(first, second)
    assert both.sizes.tolist() == [2, 2, 1]
    assert both.task_means.tolist() == [1.5, 3, 5]
    assert both.task_of_row.tolist() == [0, 0, 1, 1, 2]
    nothing = tasks.subset(torch.tensor([], dtype=torch.long))
    assert rows_by_subject(join(nothing, both)) == rows_by_subject(join(both, nothing))


def test_only_parts_of_one_shop_are_joined():
    shop = shop_of(("a", 1, 4), ("b", 2, 2))
    others = [
        item_tasks(shop),
        tasks_of(("a", 1, 4), ("b", 3, 2)),
        tasks_of(("a", 1, 4), ("z", 2, 2)),
    ]
    for other in others:
        with pytest.raises(ValueError, match="only tasks of the same shop and kind can be joined"):
            join(user_tasks(shop), other)
