"""The simulated shop: the same in the same seed, plausible in its tables, and honest about its truth."""

import numpy as np
import pandas as pd
import pytest

from fsl import simulate_shop
from fsl.simulate import SCENES

TABLES = ("interactions", "users", "items")
STAR_STEPS = {1.0, 2.0, 3.0, 4.0, 5.0}


@pytest.fixture(scope="module")
def made():
    return simulate_shop(400, 80, 0)


def as_bytes(shop) -> list[str]:
    return [getattr(shop, name).to_csv(float_format="%.17g") for name in TABLES]


def indices(shop) -> tuple[np.ndarray, ...]:
    """Users, items and scenes of all interactions as places in the tables, by their ids."""
    log = shop.interactions
    users = pd.Index(shop.users["user"]).get_indexer(log["user"])
    items = pd.Index(shop.items["item"]).get_indexer(log["item"])
    return users, items, pd.Index(list(SCENES)).get_indexer(log["scene"])


def noise_of(scenes: np.ndarray) -> np.ndarray:
    return np.array([scene.noise for scene in SCENES.values()])[scenes]


def test_the_seed_decides_every_byte():
    np.random.seed(0)  # noqa: NPY002 - the global generator must not matter
    first, truth = simulate_shop(30, 12, 5)
    np.random.seed(1)  # noqa: NPY002
    again, same = simulate_shop(30, 12, 5)
    assert as_bytes(first) == as_bytes(again)
    assert all(np.array_equal(value, getattr(same, name)) for name, value in vars(truth).items())
    other, _ = simulate_shop(30, 12, 6)
    assert not any(a == b for a, b in zip(as_bytes(first), as_bytes(other), strict=True))


def test_the_shop_says_that_it_is_simulated_and_carries_its_truth(made):
    shop, truth = made
    assert shop.simulated
    assert shop.name == "simulated"
    assert shop.truth is truth


def test_the_tables_have_what_a_phone_shop_has(made):
    shop, _ = made
    log = shop.interactions
    assert {"user", "item", "rating", "timestamp", "scene"} <= set(log)
    assert set(log["rating"]) == STAR_STEPS
    assert set(log["scene"]) == {"offline_store", "ecommerce", "social_media", "livestream"}
    assert (len(shop.users), len(shop.items)) == (400, 80)
    assert shop.users["user"].is_unique
    assert shop.items["item"].is_unique
    assert shop.items["name"].is_unique
    told = " ".join(shop.items.columns)
    for word in [
        "brand",
        "price",
        "battery",
        "camera",
        "screen",
        "performance",
        "memory",
        "weight",
        "os",
        "release",
    ]:
        assert word in told
    assert {"age", "gender", "occupation"} <= set(shop.users)
    assert set(log["user"]) == set(shop.users["user"]), "everybody visits"
    assert not shop.items.isna().any(axis=None)


def test_nobody_meets_a_phone_before_its_release(made):
    log = made[0].interactions.merge(made[0].items, on="item")
    released = pd.to_datetime(log["release_date"], utc=True).map(pd.Timestamp.timestamp)
    assert (log["timestamp"] >= released).all()
    assert (released > log["timestamp"].min()).any(), "new phones keep arriving"


def test_a_phone_is_met_once_per_user_and_scene_at_its_own_time(made):
    log = made[0].interactions
    assert not log.duplicated(["user", "item", "scene"]).any()
    assert not log.duplicated(["user", "scene", "timestamp"]).any()
    assert log.groupby("user")["timestamp"].is_monotonic_increasing.all()


def test_expected_is_the_mean_of_what_people_would_say(made):
    shop, truth = made
    some = np.arange(0, len(shop.interactions), 29)
    users, items, scenes = (side[some] for side in indices(shop))
    appeal, noise = truth.appeal(users, items, scenes), noise_of(scenes)
    n = 20_000
    felt = appeal + noise * np.random.default_rng(0).normal(size=(n, len(some)))
    stars = np.clip(np.round(felt), 1, 5)
    error = np.abs(stars.mean(0) - truth.expected[some])
    assert (error <= 5 * stars.std(0) / np.sqrt(n) + 2e-3).all()
    assert truth.expected.shape == (len(shop.interactions),)


def test_expected_belongs_to_the_rating_in_its_row(made):
    shop, truth = made
    ratings, (_, _, scenes) = shop.interactions["rating"].to_numpy(), indices(shop)
    surprise = ratings - truth.expected
    for scene in range(4):
        own = surprise[scenes == scene]
        assert abs(own.mean()) < 5 * own.std() / np.sqrt(len(own))
    shuffled = np.random.default_rng(0).permutation(truth.expected)
    assert np.mean(surprise**2) < 0.6 * np.mean((ratings - shuffled) ** 2)
    assert (truth.expected >= 1).all()
    assert (truth.expected <= 5).all()


def test_appeal_is_the_formula_it_claims(made):
    shop, truth = made
    u, i, s = 3, 5, 2
    scene = list(SCENES.values())[s]
    weights = np.array(scene.emphasis) * (truth.tastes[u] + truth.scene_tastes[u, s])
    overspend = 0.8 * np.log(1 + (truth.prices[i] / truth.budgets[u]) ** 4)
    expected = 3.3 + scene.shift + truth.generosity[u] + truth.quality[i] - overspend
    expected += weights @ truth.attributes[i] + truth.os_match[u] * truth.is_aster[i]
    assert truth.appeal(np.array(u), np.array(i), np.array(s)) == pytest.approx(expected)
    assert shop.items["price_usd"].tolist() == truth.prices.tolist()
    assert ((shop.items["os"] == "Aster OS") == (truth.is_aster > 0)).all()


def test_scenes_differ_in_signals_noise_and_in_what_they_show(made):
    shop, truth = made
    log = shop.interactions.assign(surprise=shop.interactions["rating"] - truth.expected)
    per_visit = log.groupby(["scene", "user"]).size().groupby("scene").mean()
    noise = log.groupby("scene")["surprise"].std()
    for name, scene in SCENES.items():
        assert per_visit[name] == pytest.approx(scene.signals, rel=0.15)
    by_noise = sorted(SCENES, key=lambda name: SCENES[name].noise)
    assert noise.sort_values().index.tolist() == by_noise
    price = log.merge(shop.items, on="item").groupby("scene")["price_usd"].mean()
    assert price["livestream"] < price["ecommerce"] - 20
    assert price["livestream"] < price["offline_store"] - 20


@pytest.mark.parametrize(("n_users", "n_items"), [(1, 1), (1, 30), (30, 1), (3, 2)])
def test_the_smallest_shops_work(n_users, n_items):
    shop, truth = simulate_shop(n_users, n_items, 0)
    assert (len(shop.users), len(shop.items)) == (n_users, n_items)
    assert set(shop.interactions["user"]) == set(shop.users["user"])
    assert np.isfinite(truth.expected).all()
    assert len(truth.expected) == len(shop.interactions)


@pytest.mark.parametrize(("n_users", "n_items"), [(0, 5), (5, 0), (-1, 5)])
def test_an_empty_shop_is_refused(n_users, n_items):
    told = f"n_users and n_items must be at least 1, got {n_users} and {n_items}"
    with pytest.raises(ValueError, match=told):
        simulate_shop(n_users, n_items, 0)


@pytest.mark.parametrize("seed", [-1, -7])
def test_a_negative_seed_is_refused(seed):
    with pytest.raises(ValueError, match=f"seed must be 0 or more, got {seed}"):
        simulate_shop(5, 5, seed)
