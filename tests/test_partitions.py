"""Partitions: what is new to a test task was in no training task, whichever way the shop is cut."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made import seeded, shop_of

from fsl import InputError, Shop, draw_shots
from fsl.cold_start.partitions import NAMES, partition, possible

SCENES = ("live", "store", "web")
TIMED = "user item rating timestamp"
FEW = settings(max_examples=10)


@st.composite
def busy_shops(draw) -> Shop:
    """Some dozen users and items who meet at different times, in three scenes."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_users, n_items = rng.integers(12, 25, 2)
    n = int(rng.integers(6, 12)) * n_users
    table = pd.DataFrame({"user": rng.integers(0, n_users, n), "item": rng.integers(0, n_items, n)})
    table["rating"] = rng.integers(1, 6, n).astype(float)
    table["timestamp"] = rng.integers(0, draw(st.sampled_from([30, 10_000])), n)
    table["timestamp"] += 300 * table["user"] + 300 * table["item"]
    table["scene"] = rng.choice(SCENES, n)
    items = pd.DataFrame({"item": range(n_items), "price": rng.normal(size=n_items)})
    return Shop(table.drop_duplicates(["user", "item"]), None, items)


def cut(shop, *arguments, **named):
    """A partition; shops that cannot be cut so are left out."""
    try:
        return partition(shop, *arguments, **named)
    except InputError:
        assume(False)


def rows_of(shop, tasks) -> pd.DataFrame:
    """The behaviours of the tasks, as the shop's table has them."""
    return shop.interactions.iloc[tasks.rows.numpy()]


def both(shop, part) -> pd.DataFrame:
    return pd.concat([rows_of(shop, part.train), rows_of(shop, part.validation)])


CUTS = st.fixed_dictionaries({
    "by": st.sampled_from(["temporal", "random"]), "seed": st.integers(0, 5), "fold": st.integers(0, 4),
})  # fmt: skip
COLD = {"user-cold": "user", "item-cold": "item", "both-cold": "user", "scene-cold": "user"}


@FEW
@given(busy_shops(), st.sampled_from(NAMES), CUTS)
def test_who_is_tested_is_in_no_training_and_no_validation_row(shop, name, how):
    part, who = cut(shop, name, **how), COLD[name]
    sides = [set(rows_of(shop, side)[who]) for side in (part.train, part.validation, part.test)]
    assert all(sides)
    assert not (sides[0] | sides[1]) & sides[2]
    assert not sides[0] & sides[1]
    groups = [set(side.groups.tolist()) for side in (part.train, part.validation, part.test)]
    assert not (groups[0] | groups[1]) & groups[2]


@FEW
@given(busy_shops(), st.sampled_from(NAMES))
def test_a_temporal_partition_trains_on_nothing_later_than_its_first_test_moment(shop, name):
    part = cut(shop, name, by="temporal")
    assert part.order == "temporal"
    train, validation, test = (
        rows_of(shop, side)["timestamp"] for side in (part.train, part.validation, part.test)
    )
    assert train.max() < validation.min()
    if name != "scene-cold":  # there the first test moment may be one of another scene
        assert validation.max() < test.min()
    assert both(shop, part)["timestamp"].max() < rows_of(shop, part.test)["timestamp"].min()


@FEW
@given(busy_shops(), CUTS, st.integers(0, 3), st.integers(0, 9))
def test_both_cold_asks_only_about_items_that_nobody_met_in_training(shop, how, n_shots, seed):
    part = cut(shop, "both-cold", **how)
    is_new = set(part.test.objects[part.may_ask].tolist())
    assert is_new
    assert not is_new & set(part.train.objects.tolist())
    assert not is_new & set(part.validation.objects.tolist())
    assert not is_new & set(part.test.objects[~part.may_ask].tolist())
    for _, rows in rows_of(shop, part.test).assign(asked=part.may_ask.numpy()).groupby("item"):
        assert rows["asked"].nunique() == 1
    try:
        draw = draw_shots(
            part.test, n_shots, 4, seeded(seed), part.order, may_ask=part.may_ask, reserve=3
        )
    except InputError:
        assume(False)
    assert part.may_ask[draw.query[draw.query >= 0]].all()
    assert not part.may_ask[draw.support].any(), "the support is of items that are known"


@FEW
@given(busy_shops(), CUTS, st.sampled_from([None, *SCENES]))
def test_scene_cold_trains_on_other_scenes_and_asks_about_one(shop, how, scene):
    part = cut(shop, "scene-cold", **how, scene=scene)
    asked = scene or "web"  # the last by name
    assert set(rows_of(shop, part.test)["scene"]) == {asked}
    assert asked not in set(both(shop, part)["scene"])


@FEW
@given(busy_shops(), st.sampled_from(["user-cold", "item-cold", "both-cold"]), st.integers(0, 9))
def test_the_folds_of_a_random_partition_test_everybody_once(shop, name, seed):
    who, tested = COLD[name], []
    for fold in range(5):
        tested += sorted(
            set(rows_of(shop, partition(shop, name, by="random", seed=seed, fold=fold).test)[who])
        )
    n = shop.interactions[who].nunique()
    assert abs(len(tested) - n) <= 2
    assert len(set(tested)) >= n - 2, "but for one or two where 5 does not divide them"


@FEW
@given(busy_shops(), st.sampled_from(NAMES), CUTS)
def test_targets_of_later_rows_change_nothing_in_training(shop, name, how):
    """What is handed to a learner is the same to the last bit, whatever the test tasks' ratings are."""
    part = cut(shop, name, **how)
    table, learned_from = shop.interactions.copy(), both(shop, part).index
    others = ~table.index.isin(learned_from)
    table.loc[others, "rating"] = 6 - table.loc[others, "rating"]
    again = partition(Shop(table, shop.users, shop.items), name, **how)
    for side, same in ((part.train, again.train), (part.validation, again.validation)):
        for field in ("subjects", "groups", "offsets", "objects", "targets", "rows"):
            assert torch.equal(getattr(side, field), getattr(same, field))
        assert torch.equal(side.subject_features, same.subject_features)
        assert torch.equal(side.object_features, same.object_features)
    assert not torch.equal(part.test.targets, again.test.targets) or (part.test.targets == 3).all()


@pytest.mark.parametrize(("by", "order"), [("temporal", "random"), ("random", "random")])
def test_where_support_is_random_nobody_is_told_a_time(by, order):
    part = partition(timed(), "user-cold", by=by, order=order)
    assert part.order == "random"
    for side in (part.train, part.validation, part.test):
        assert side.times is None
        assert side.order == "random"


def timed(n_users: int = 30) -> Shop:
    rows = [(u, i, 1 + (u + i) % 5, 10 * u + i) for u in range(n_users) for i in range(8)]
    return shop_of(*rows, names=TIMED)


def test_auto_is_by_time_where_time_tells_behaviours_apart():
    assert partition(timed(), "user-cold").order == "temporal"
    assert partition(timed(), "user-cold", order="random").order == "random"
    at_once = timed().interactions.assign(timestamp=7)
    for table in (at_once, at_once.drop(columns="timestamp")):
        part = partition(Shop(table), "user-cold")
        assert part.order == "random"
        assert [len(side) for side in (part.train, part.validation, part.test)] == [21, 3, 6]


def test_the_same_seed_cuts_the_same_and_another_does_not():
    shop = timed()

    def tested(seed: int) -> tuple:
        return tuple(partition(shop, "user-cold", by="random", seed=seed).test.subjects.tolist())

    assert tested(3) == tested(3)
    assert len({tested(seed) for seed in range(5)}) == 5
    news = [partition(shop, "both-cold", by="random", seed=seed).may_ask for seed in range(5)]
    assert len({tuple(new.tolist()) for new in news}) > 1


def test_what_a_shop_allows():
    scenes = [(u, i, 3, s) for u in range(3) for i, s in enumerate(SCENES)]
    assert possible(shop_of(*scenes, names="user item rating scene")) == NAMES
    one = [(u, i, 3, "web") for u in range(3) for i in range(3)]
    assert possible(shop_of(*one, names="user item rating scene")) == NAMES[:3]
    assert possible(shop_of((1, 1, 3))) == NAMES[:3]


@pytest.mark.parametrize(
    "wrong",
    [{"name": "cold"}, {"name": "user-cold", "by": "file"}, {"name": "user-cold", "order": "file"}],
)
def test_an_unknown_partition_is_named(wrong):
    with pytest.raises(ValueError, match="partition must be one of user-cold"):
        partition(timed(), **wrong)


@pytest.mark.parametrize(
    ("shop", "name", "options", "message"),
    [
        (shop_of((1, 1, 3), (2, 1, 3)), "user-cold", {}, "user-cold leaves 1, 1, 0 tasks"),
        (shop_of((1, 1, 3), (2, 1, 3)), "user-cold", {"by": "temporal"}, "a column timestamp"),
        (shop_of((1, 1, 3)), "scene-cold", {}, "scene-tasks need a column scene"),
        (
            shop_of((1, 1, 3, "web"), names="user item rating scene"),
            "scene-cold",
            {},
            r"needs one of two or more scenes \(web\), got None",
        ),
        (
            shop_of((1, 1, 3, "web"), (1, 2, 3, "tv"), names="user item rating scene"),
            "scene-cold",
            {"scene": "radio"},
            r"scenes \(tv, web\), got 'radio'",
        ),
        (
            shop_of(*((u, i, 3, 10 * u + i) for u in range(9) for i in (1, 2)), names=TIMED),
            "both-cold",
            {},
            "none of the 2 test tasks is about a new item",
        ),
    ],
)
def test_what_the_tables_do_not_allow_is_said(shop, name, options, message):
    with pytest.raises(InputError, match=message):
        partition(shop, name, **options)
