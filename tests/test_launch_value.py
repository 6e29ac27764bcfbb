"""What showing a phone is worth: hand values, ties, rulers, who is in an audience; figures draw what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from made import seeded, shop_of

from fsl import InputError, draw_shots, item_tasks, simulate_shop
from fsl.launches.plots import by_shots, fan, list_table, panels, told
from fsl.launches.value import (
    Audience,
    customers,
    judge_shown,
    later_reactors,
    true_ratings,
    unmoved,
    value_of_shown,
)
from fsl.learners import GlobalMean, ShrunkBias


@pytest.fixture(scope="module")
def world():
    shop, _ = simulate_shop(80, 30, seed=1)
    return shop, item_tasks(shop)


def audience(worth, mask=None) -> Audience:
    worth = torch.tensor([worth], dtype=torch.float64)
    mask = torch.ones_like(worth, dtype=torch.bool) if mask is None else torch.tensor([mask])
    return Audience(torch.zeros(*worth.shape, 2, dtype=torch.long), worth, mask)


def test_the_value_is_the_mean_worth_of_those_in_front():
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.7]])
    assert value_of_shown(scores, audience([1.0, 2, 3, 5]), 2) == pytest.approx((2 + 5) / 2)


def test_of_equal_scores_each_has_the_same_chance():
    people = audience([1.0, 2, 3, 6])
    assert value_of_shown(torch.zeros(1, 4), people, 3) == pytest.approx(3.0)
    one_ahead = torch.tensor([[0.0, 0, 0, 1]])
    assert value_of_shown(one_ahead, people, 2) == pytest.approx((6 + 2) / 2)


def test_masked_people_are_never_shown_and_too_few_are_refused():
    people = audience([9.0, 1, 2], [False, True, True])
    assert value_of_shown(torch.tensor([[5.0, 1, 0]]), people, 1) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="fewer than 3"):
        value_of_shown(torch.zeros(1, 3), people, 3)


def test_later_reactors_are_the_query_and_their_worth_the_rating_or_the_truth(world):
    shop, tasks = world
    draw = draw_shots(tasks, 3, 5, seeded(0), "temporal")
    rows = tasks.rows[draw.query.clamp(min=0)]
    ratings, truths = later_reactors(tasks, draw), later_reactors(tasks, draw, shop.truth.expected)
    mask = draw.query >= 0
    wanted = shop.interactions["rating"].to_numpy()[rows]
    assert np.allclose(ratings.worth[mask], wanted[mask])
    assert np.allclose(truths.worth[mask], shop.truth.expected[rows][mask])
    assert torch.equal(ratings.mask, mask)


def test_customers_are_the_same_for_every_phone_less_its_first_reactors(world):
    shop, tasks = world
    users = tasks.objects.unique()[:40]
    draw = draw_shots(tasks, 3, 5, seeded(0), "temporal")
    found = customers(tasks, draw, users, true_ratings(shop, tasks, users))
    for n, t in enumerate(draw.tasks):
        first = set(tasks.objects[draw.support[n]].tolist())
        assert [u not in first for u in users.tolist()] == found.mask[n].tolist()
        assert (found.inputs[n, :, 0] == tasks.subjects[t]).all()


def test_true_ratings_are_the_truth_of_the_simulated_shop(world):
    shop, tasks = world
    table = true_ratings(shop, tasks, torch.arange(len(tasks.object_ids)))
    item, user = 7, 11
    places = shop.items["item"].tolist(), shop.users["user"].tolist()
    i, u = places[0].index(tasks.subject_ids[item]), places[1].index(tasks.object_ids[user])
    parts = shop.truth.expected_rating(np.full(4, u), np.full(4, i), np.arange(4))
    names = ["offline_store", "ecommerce", "social_media", "livestream"]
    shares = shop.interactions["scene"].value_counts(normalize=True)
    assert float(table[item, user]) == pytest.approx(float(parts @ shares[names].to_numpy()))
    real = shop_of(("u", "i", 3.0), ("v", "i", 4.0))
    with pytest.raises(InputError, match="nobody knows"):
        true_ratings(real, item_tasks(real), torch.arange(2))


@pytest.fixture(scope="module")
def records(world):
    _, tasks = world
    learners = {"mean": GlobalMean().fit(tasks), "bias": ShrunkBias().fit(tasks)}
    of = lambda draw: later_reactors(tasks, draw)  # noqa: E731
    return judge_shown(learners, tasks, (0, 2), of, 2, 6, "temporal")


def test_rulers_enclose_all_and_who_cannot_tell_people_apart_is_random(records):
    value = records.pivot_table(index=["task", "n_shots"], columns="learner", values="value")
    assert (value["oracle"] >= value.drop(columns="oracle").max(axis=1) - 1e-9).all()
    assert np.allclose(value["mean"], value["random"])
    assert (value["oracle"] > value["random"]).mean() > 0.9
    assert not np.allclose(value["bias"], value["random"])


def test_the_audience_is_the_same_for_every_number_of_shots(records):
    oracle = records[records["learner"] == "oracle"].pivot(
        index="task", columns="n_shots", values="value"
    )
    assert np.array_equal(oracle[0], oracle[2])


def test_unmoved_keeps_what_was_said_before_any_reaction(records):
    found = (
        unmoved(records, "bias", "still")
        .set_index(["learner", "n_shots", "task"])["value"]
        .sort_index()
    )
    assert found["still", 2].equals(found["bias", 0])
    assert found["still", 0].equals(found["bias", 0])
    with pytest.raises(ValueError, match="K = 0"):
        unmoved(records[records["n_shots"] == 2], "bias", "still")


def test_a_list_shows_who_is_new_and_where_the_scale_ends():
    lists = {0: ["ann", "bob"], 3: ["bob", "cy"]}
    mean = {k: np.array([5.6, 3.0]) for k in lists}
    sd = {k: np.array([1.0, 0.5]) for k in lists}
    table = list_table(lists, mean, sd, (1.0, 5.0))
    assert table["K = 0"].tolist() == ["ann  > 5 [4.0, 5.0]", "bob  3.0 [2.2, 3.8]"]
    assert table["K = 3"].tolist() == ["bob  > 5 [4.0, 5.0]", "+ cy  3.0 [2.2, 3.8]"]


def test_figures_draw_what_they_are_given():
    fig, axes = plt.subplots(1, 2)
    fan(np.array([3.0, 4]), np.array([1.0, 0.5]), axes[0], truth=3.5, later=4.0)
    mean, truth, later = axes[0].get_lines()
    assert mean.get_ydata().tolist() == [3, 4]
    assert truth.get_ydata() == [3.5, 3.5]
    assert list(later.get_ydata()) == [4.0]
    (band,) = axes[0].collections
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(4 + 0.5 * 1.6449)
    told(np.array([[0.1, -0.2]]), ["a $b"], ["x", "y"], axes[1], "points")
    assert [t.get_text() for t in axes[1].texts] == ["+0.10", "-0.20"]
    plt.close(fig)


def test_panels_share_one_legend_and_bands_need_intervals():
    table = pd.DataFrame({"learner": ["a", "a", "b"], "n_shots": [0, 10, 0], "value": [1.0, 2, 3]})
    banded = table.assign(low=table["value"] - 1, high=table["value"] + 1)
    fig, axes = plt.subplots(1, 2, layout="constrained")
    panels({"one": table, "two": banded}, axes, ["a", "b"], ["x", "y"], bands=["a"])
    assert [len(ax.collections) for ax in axes] == [0, 1]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["a", "b"]
    assert [text.get_text() for text in axes[0].get_xticklabels()] == ["0", "10"]
    plt.close(fig)
    assert by_shots(banded, plt.figure().add_subplot(), ["a"], "x").get_ylabel() == "x"
    plt.close()
