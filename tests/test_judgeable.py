"""Which partitions of a shop can be judged: what cannot is split otherwise or stays out, and is said."""

import numpy as np
import pandas as pd
import pytest

from fsl import InputError, Shop
from fsl.cold_start.judgeable import by_time_if_possible, judgeable, too_little_past
from fsl.cold_start.partitions import partition

NAMES = ("user-cold", "item-cold")


def shop(n_users: int = 100, n_items: int = 60, timed: bool = True, each: int = 20) -> Shop:
    """Users come one after another, each to a catalogue that was there from the first day."""
    rng, rows = np.random.default_rng(0), []
    for u in range(n_users):
        for place, i in enumerate(rng.choice(n_items, each, replace=False)):
            rows.append((u, i, float(rng.integers(1, 6)), 100.0 * u + place))
    table = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"])
    return Shop(table if timed else table.drop(columns="timestamp"), None, None, name="mine")


@pytest.mark.parametrize(
    ("each", "why"),
    [
        (20, "66 of the 2,000 behaviours would be left to learn from"),
        (40, "48 of the 4,000 behaviours would be left to learn from"),
    ],
)
def test_a_catalogue_that_was_always_there_is_split_at_random_and_said(each, why):
    parts, notes = judgeable(shop(each=each), NAMES)
    assert [part.order for part in parts] == ["temporal", "random"]
    assert notes == [f"item-cold is split at random, not by time: by time {why}."]


def test_a_split_that_is_asked_for_is_not_replaced():
    parts, notes = judgeable(shop(each=40), NAMES, by="temporal")
    assert [part.name for part in parts] == ["user-cold"]
    assert notes == [
        "item-cold stays out: half of the 60 items have fewer than 2 behaviours: "
        "too few for 1 of support and one to be judged on (18 have as many)."
    ]


def test_a_shop_of_twenty_things_is_judged_on_its_users():
    parts, notes = judgeable(shop(n_items=20, each=12, timed=False), (*NAMES, "scene-cold"))
    assert [part.name for part in parts] == ["user-cold"]
    assert notes == [
        "item-cold stays out: 20 of the 20 items have the 15 behaviours that a judgement takes: "
        "at least 25 are needed to say anything.",
        "scene-cold stays out: the tables name fewer than two scenes.",
    ]


def test_folds_are_of_random_splits_and_the_partitions_are_those_of_partition():
    untimed = shop(timed=False)
    parts, notes = judgeable(untimed, NAMES, n_folds=3, seed=4)
    assert [part.name for part in parts] == ["user-cold"] * 3 + ["item-cold"] * 3
    assert notes == []
    for fold in range(3):
        same = partition(untimed, "item-cold", "random", seed=4, fold=fold)
        assert parts[3 + fold].test.rows.equal(same.test.rows)
    timed, _ = judgeable(shop(), ["user-cold"], n_folds=3)
    assert len(timed) == 1


def test_where_nothing_can_be_judged_one_sentence_says_why():
    with pytest.raises(
        InputError, match=r"^mine: nothing can be judged\. user-cold stays out: 10 of"
    ):
        judgeable(shop(n_users=10), ["user-cold"])


def test_a_past_is_too_little_below_a_twentieth_and_by_time_only():
    mine = shop()
    by_time = partition(mine, "item-cold", "temporal")
    assert (
        too_little_past(mine, by_time) == "66 of the 2,000 behaviours would be left to learn from"
    )
    assert too_little_past(mine, partition(mine, "user-cold", "temporal")) == ""
    assert too_little_past(mine, partition(mine, "item-cold", "random")) == ""
    part, note = by_time_if_possible(mine, "item-cold", seed=3)
    assert part.test.rows.equal(partition(mine, "item-cold", "random", seed=3).test.rows)
    assert note.startswith("item-cold is split at random, not by time: by time 66 of the 2,000")
    part, note = by_time_if_possible(mine, "user-cold")
    assert (part.order, note) == ("temporal", "")
