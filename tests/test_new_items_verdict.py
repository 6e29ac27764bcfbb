"""New items of any shop with times: judged where there are enough of them, else refused in one sentence."""

import numpy as np
import pandas as pd
import pytest
from test_catalogue_verdict import made_shop

from fsl import InputError, Shop, user_tasks
from fsl.cold_start.verdict import verdict
from fsl.launches.new_items import CONTENDERS, cut_of, judge_new_items

DAY = 86_400.0


def growing_shop(n_items: int = 120, n_users: int = 500, whole_days: bool = False) -> Shop:
    """A thing comes out every third day; users take things of their own kind that are out, the young ones mostly."""
    rng, rows = np.random.default_rng(0), []
    for user in range(n_users):
        day = rng.uniform(40, 3 * n_items)
        out = np.arange(int(day / 3))
        weight = np.exp((out - out.max()) / 15) * np.where(out % 4 == user % 4, 8, 1)
        taken = rng.choice(out, min(6, len(out)), replace=False, p=weight / weight.sum())
        moments = day + np.arange(len(taken)) * 0.3
        moments = np.floor(moments) if whole_days else moments
        rows += [(f"u{user}", f"i{i}", m * DAY) for i, m in zip(taken, moments, strict=True)]
    items = pd.DataFrame(
        {"item": [f"i{i}" for i in range(n_items)], "kind": [f"k{i % 4}" for i in range(n_items)]}
    )
    return Shop(pd.DataFrame(rows, columns=["user", "item", "timestamp"]), items=items)


@pytest.mark.parametrize("whole_days", [False, True])
def test_new_items_get_their_verdict(whole_days):
    shop = growing_shop(whole_days=whole_days)
    cut = cut_of(user_tasks(shop, implicit=True), share=0.5)
    found = judge_new_items(shop, cut, n_shots=(0, 1, 3, 5, 10), max_questions=200)
    records = found.records
    assert set(records["learner"]) == {"random", "oracle", *CONTENDERS}
    assert set(records["n_shots"]) == {0, 1, 3, 5}
    assert records["task"].nunique() == 200
    known = records.query("n_shots == 5 and metric == 'hr@10'").groupby("learner")["value"].mean()
    assert known["oracle"] == 1
    assert known["neighbours, content and age"] > known["random"]
    first = shop.interactions.groupby("item")["timestamp"].min()
    assert (first[records["group"].unique()] >= cut).all(), "no item was there before the cut"
    line = verdict(records, found.simple, found.meta, "hr@10").lines[-1]
    assert line.contender == "item posterior"
    assert line.n_tasks == 200


def test_who_has_no_times_no_content_or_no_new_items_is_told():
    with pytest.raises(
        InputError, match=r"which item is new needs a column timestamp in interactions$"
    ):
        judge_new_items(made_shop(timed=False))
    with pytest.raises(
        InputError, match=r"nothing is known of them before their first user \(a table items\)$"
    ):
        judge_new_items(Shop(made_shop().interactions))
    with pytest.raises(InputError, match=r"no item is first seen in the period"):
        judge_new_items(made_shop())
