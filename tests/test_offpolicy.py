"""Off-policy evaluation against loops, the package `obp` and enumerated worlds; coverage; the Open Bandit sample."""

import importlib
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import optimize, stats

from fsl.errors import InputError
from fsl.offpolicy import Log, effective_sample_size, empirical_bernstein, evaluate_policy
from fsl.offpolicy import estimators as est
from fsl.offpolicy import plots as op_plots
from fsl.offpolicy.crossed import crossed, own_value, weight_bound
from fsl.offpolicy.intervals import lots, percentiles, self_normalised_bernstein, too_little
from fsl.offpolicy.open_bandit import (
    WHEEL,
    drift,
    invented,
    item_shares,
    open_campaigns,
    read_open_bandit,
    thompson_chances,
)
from fsl.offpolicy.reward_model import cell_means, cross_fitted
from fsl.offpolicy.simulated import coverage, make_world
from fsl.reading.fetch import locate
from fsl.sources import SOURCES

N, ACTIONS, CONTEXTS = 300, 5, 3


@pytest.fixture(scope="module")
def logged():
    """A log, the judged policy's table, and a reward model's q [n, n_actions]."""
    rng = np.random.default_rng(0)
    tables = rng.dirichlet(np.full(ACTIONS, 2.0), size=(2, CONTEXTS))
    contexts = rng.integers(CONTEXTS, size=N)
    actions = np.array([rng.choice(ACTIONS, p=tables[0][x]) for x in contexts])
    rewards = (rng.random(N) < 0.2 + 0.1 * actions).astype(float)
    log = Log(contexts, actions, rewards, tables[0][contexts, actions], ACTIONS)
    return log, tables[1], rng.random((N, ACTIONS))


# The estimators


def test_each_estimator_is_its_formula_in_a_loop(logged):
    log, policy, q = logged
    target = log.chances(policy)
    w = est.importance(target, log.actions, log.propensities)
    found = {"ips": [], "dm": [], "dr": []}
    for i in range(N):
        x, a = log.contexts[i], log.actions[i]
        weight = policy[x, a] / log.propensities[i]
        model = sum(policy[x, b] * q[i, b] for b in range(ACTIONS))
        found["ips"].append(weight * log.rewards[i])
        found["dm"].append(model)
        found["dr"].append(model + weight * (log.rewards[i] - q[i, a]))
    assert est.ips(w, log.rewards) == pytest.approx(found["ips"])
    assert est.direct(target, q) == pytest.approx(found["dm"])
    dr = est.doubly_robust(target, q, log.actions, w, log.rewards)
    assert dr == pytest.approx(found["dr"])
    assert est.snips(w, log.rewards) == pytest.approx(np.average(log.rewards, weights=w))


def test_the_logging_policy_judged_from_its_own_log_is_the_mean_reward():
    world = make_world(0.3, 0.5, np.random.default_rng(1))
    log = world.log(500, np.random.default_rng(2))
    found = evaluate_policy(log, world.logging, 1.0, np.random.default_rng(3))
    table = found.table.set_index("estimator")["value"]
    assert table["IPS"] == pytest.approx(log.rewards.mean())
    assert table["SNIPS"] == pytest.approx(log.rewards.mean())
    assert found.effective == pytest.approx(500)


def test_ips_and_dr_are_unbiased_over_every_log_that_there_can_be():
    rewards, logging = np.array([0.2, 0.7]), np.array([0.9, 0.1])
    target, q = np.array([[0.3, 0.7]]), np.array([[0.5, 0.4]])
    ips = dr = chance = 0.0
    for a in (0, 1):
        for r in (0.0, 1.0):
            p = logging[a] * (rewards[a] if r else 1 - rewards[a])
            w = est.importance(target, np.array([a]), logging[[a]])
            ips += p * est.ips(w, np.array([r]))[0]
            dr += p * est.doubly_robust(target, q, np.array([a]), w, np.array([r]))[0]
            chance += p
    assert chance == pytest.approx(1)
    assert ips == pytest.approx(0.3 * 0.2 + 0.7 * 0.7)
    assert dr == pytest.approx(0.3 * 0.2 + 0.7 * 0.7)


@pytest.fixture(scope="module")
def obp(tmp_path_factory):
    """The estimators of `obp`, out of its wheel: two files, without the rest of the package, which is not installed."""
    path = locate("open-bandit", SOURCES["open-bandit"].files)[WHEEL]
    if path is None:
        pytest.skip("open-bandit is neither in FSL_DATA nor in the cache")
    folder = tmp_path_factory.mktemp("obp")
    with zipfile.ZipFile(path) as wheel:
        for name in ("obp/utils.py", "obp/ope/estimators.py"):
            wheel.extract(name, folder)
    for package in ("obp", "obp/ope"):
        (folder / package / "__init__.py").write_text("")
    sys.path.insert(0, str(folder))
    yield importlib.import_module("obp.ope.estimators"), path
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == "obp"]:
        del sys.modules[name]


def obp_values(theirs, log: Log, policy: np.ndarray, q: np.ndarray) -> list[float]:
    target = log.chances(policy)[:, :, None]
    about = {"reward": log.rewards, "action": log.actions, "pscore": log.propensities}
    about |= {"action_dist": target, "position": np.zeros(len(log), int)}
    about["estimated_rewards_by_reg_model"] = q[:, :, None]
    names = ("InverseProbabilityWeighting", "SelfNormalizedInverseProbabilityWeighting")
    names += ("DirectMethod", "DoublyRobust")
    return [getattr(theirs, name)().estimate_policy_value(**about) for name in names]


def our_values(log: Log, policy: np.ndarray, q: np.ndarray) -> list[float]:
    target = log.chances(policy)
    w = est.importance(target, log.actions, log.propensities)
    dr = est.doubly_robust(target, q, log.actions, w, log.rewards)
    ips, direct = est.ips(w, log.rewards), est.direct(target, q)
    return [ips.mean(), est.snips(w, log.rewards), direct.mean(), dr.mean()]


def test_all_four_agree_with_obp(obp, logged):
    assert our_values(*logged) == pytest.approx(obp_values(obp[0], *logged), abs=1e-9)


def test_all_four_agree_with_obp_on_the_open_bandit_sample(obp):
    theirs, path = obp
    rng = np.random.default_rng(4)
    campaigns = read_open_bandit(path, rng, n_draws=2_000)
    assert [(c.name, c.logs["bts"].n_actions) for c in campaigns] == [
        ("all", 80), ("men", 34), ("women", 46),
    ]  # fmt: skip
    clicks = [int(c.logs[p].rewards.sum()) for c in campaigns for p in ("random", "bts")]
    assert clicks == [38, 42, 46, 69, 46, 46]
    for campaign in campaigns:
        for logged, policy in (("random", "bts"), ("bts", "random")):
            log, table = campaign.logs[logged], campaign.tables[policy]
            q = cross_fitted(log.contexts, log.actions, log.rewards, 3, log.n_actions, 3, rng)
            ours = our_values(log, table, q)
            assert ours == pytest.approx(obp_values(theirs, log, table, q), abs=1e-9)
        uniform = campaign.logs["random"]
        assert uniform.propensities == pytest.approx(np.full(10_000, 1 / uniform.n_actions))


# The reward model


def test_cell_means_are_shrunk_to_the_mean_of_all():
    found = cell_means(np.array([0, 0, 1]), np.array([1.0, 0, 1]), 3, strength=2)
    overall = 2 / 3
    assert found == pytest.approx([(1 + 2 * overall) / 4, (1 + 2 * overall) / 3, overall])


def test_a_round_s_own_reward_never_reaches_its_prediction(logged):
    log, _, _ = logged

    def q(rewards):
        rng = np.random.default_rng(5)
        return cross_fitted(log.contexts, log.actions, rewards, CONTEXTS, ACTIONS, 4, rng)

    for i in (0, 17, 250):
        changed = log.rewards.copy()
        changed[i] = 1 - changed[i]
        before, after = q(log.rewards), q(changed)
        assert (before[i] == after[i]).all()
        assert (before != after).any()


# Intervals


def test_lots_draw_every_round_as_often_as_any_other():
    found = lots(20, 4_000, np.random.default_rng(6))
    assert (found.sum(1) == 20).all()
    assert found.mean(0) == pytest.approx(np.ones(20), abs=0.1)
    assert found.var(0).mean() == pytest.approx(0.95, abs=0.03)


def test_the_bootstrap_is_scipy_s_percentile_interval(logged):
    terms = logged[2][:, 0]
    ours = percentiles(lots(N, 4_000, np.random.default_rng(7)) @ terms / N)
    theirs = stats.bootstrap((terms,), np.mean, n_resamples=4_000, method="percentile", rng=8)
    ends = theirs.confidence_interval
    assert ours == pytest.approx((ends.low, ends.high), abs=0.003)


def test_the_bootstrap_of_snips_is_scipy_s_paired_one(logged):
    log, policy, _ = logged
    w = est.importance(log.chances(policy), log.actions, log.propensities)
    found = evaluate_policy(
        log, policy, w.max(), np.random.default_rng(9), resamples=lots(N, 8_000, np.random.default_rng(9))
    )  # fmt: skip
    ours = found.table.set_index("estimator").loc["SNIPS", ["low", "high"]]

    def ratio(earned, weight, axis=-1):
        return earned.sum(axis) / weight.sum(axis)

    theirs = stats.bootstrap(
        (w * log.rewards, w), ratio, n_resamples=8_000, paired=True, method="percentile", rng=10
    )
    ends = theirs.confidence_interval
    assert ours.tolist() == pytest.approx([ends.low, ends.high], abs=0.005)


def test_self_normalised_bernstein_ends_where_scipy_finds_the_roots(logged):
    """The bound of Maurer & Pontil (2009, theorem 4), both sides, written here from the paper, and Brent's method."""
    log, policy, _ = logged
    w = est.importance(log.chances(policy), log.actions, log.propensities)
    bound, delta = 1.1 * w.max(), 0.05 / 2

    def left(theta):
        terms = w * (log.rewards - theta) / bound
        share = np.log(2 / delta)
        half = np.sqrt(2 * np.var(terms, ddof=1) * share / N) + 7 * share / (3 * (N - 1))
        return abs(terms.mean()) - half

    middle = est.snips(w, log.rewards)
    ends = [optimize.brentq(left, middle, far) if left(far) > 0 else far for far in (0.0, 1.0)]
    assert self_normalised_bernstein(w, log.rewards, bound) == pytest.approx(ends, abs=1e-9)


def test_empirical_bernstein_by_hand():
    terms = np.array([0.0, 2, 2, 0])
    share = np.log(4 / 0.05)
    half = np.sqrt(2 * (4 / 3) * share / 4) + 7 * 2 * share / 9
    assert empirical_bernstein(terms, 0, 2) == pytest.approx((1 - half, 1 + half))
    with pytest.raises(ValueError, match="terms from 0 to 2 are not within 0 to 1"):
        empirical_bernstein(terms, 0, 1)


def test_self_normalised_bernstein_holds_just_those_values_whose_interval_holds_0(logged):
    log, policy, _ = logged
    w = est.importance(log.chances(policy), log.actions, log.propensities)
    bound = w.max() * 1.1
    low, high = self_normalised_bernstein(w, log.rewards, bound)
    assert 0 <= low < est.snips(w, log.rewards) < high <= 1

    def holds(theta):
        terms = w * (log.rewards - theta)
        ends = empirical_bernstein(terms, -bound * theta, bound * (1 - theta))
        return ends[0] <= 0 <= ends[1]

    for theta in (low, high):
        step = 1e-6
        assert holds(np.clip(theta, low + step, high - step))
        assert theta in (0, 1) or not holds(theta + (step if theta == high else -step))
    with pytest.raises(ValueError, match="above the bound"):
        self_normalised_bernstein(w, log.rewards, 0.1)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30), st.floats(0.1, 10))
@settings(max_examples=60, deadline=None)
def test_the_effective_sample_size_is_between_1_and_n_and_has_no_unit(weights, scale):
    weights = np.array(weights)
    found = effective_sample_size(weights)
    assert 1 - 1e-9 <= found <= len(weights) + 1e-9
    assert effective_sample_size(scale * weights) == pytest.approx(found)


def test_the_effective_sample_size_of_equal_and_of_single_weights():
    assert effective_sample_size(np.ones(7)) == pytest.approx(7)
    assert effective_sample_size(np.array([0, 0, 3.0])) == pytest.approx(1)
    assert effective_sample_size(np.zeros(3)) == 0


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=30))
@settings(max_examples=60, deadline=None)
def test_the_effective_sample_size_is_kish_s(weights):
    """n / (1 + cv²), cv the weights' coefficient of variation (Kish 1965, §11.7), scipy's."""
    expected = len(weights) / (1 + stats.variation(weights) ** 2)
    assert effective_sample_size(np.array(weights)) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=25), st.floats(0.01, 0.2))
@settings(max_examples=60, deadline=None)
def test_empirical_bernstein_is_maurer_and_pontil_s(terms, alpha):
    """Theorem 4 there, once on each side: the variance is a mean over pairs, ln(2/δ), δ = α/2."""
    z, n, delta = np.array(terms), len(terms), alpha / 2
    variance = np.square(z[:, None] - z[None, :]).sum() / (2 * n * (n - 1))
    half = (2 * variance * np.log(2 / delta) / n) ** 0.5 + 7 * np.log(2 / delta) / (3 * (n - 1))
    low, high = empirical_bernstein(z, 0, 1, alpha)
    assert (low, high) == pytest.approx((z.mean() - half, z.mean() + half))


def test_what_is_too_little_is_said():
    ones = np.ones(1_000)
    assert too_little(ones, ones) == ""
    clicks = (np.arange(1_000) < 5).astype(float)
    assert too_little(ones, clicks) == "5 effective rewards of 5, expected 10 or more"
    heavy = np.where(np.arange(1_000) == 0, 1e6, 1)
    assert too_little(heavy, ones) == "1 effective rounds of 1,000, expected 100 or more"


# Coverage


@pytest.fixture(scope="module")
def covered():
    worlds = {overlap: make_world(0.3, overlap, np.random.default_rng(9)) for overlap in (0.5, -2)}
    rng = np.random.default_rng(10)
    return {
        overlap: coverage(world, 600, 150, rng).set_index("estimator")
        for overlap, world in worlds.items()
    }


def test_with_overlap_the_bootstrap_covers_and_bernstein_covers_more(covered):
    table = covered[0.5].loc[["IPS", "SNIPS", "DR"]]
    assert (table["boot_high"] > 0.95).all()
    assert (table["boot"] > 0.9).all()
    assert (table["eb"] >= 0.95).all()
    assert (table["eb_width"] > table["boot_width"]).all()
    assert (table["bias"].abs() < 4 * table["error"] / np.sqrt(150)).all()
    assert (table["warned"] == 0).all()


def test_a_wrong_model_fails_alone_and_is_repaired_by_the_weights(covered):
    assert covered[0.5].loc["DM", "boot"] < 0.9
    assert abs(covered[0.5].loc["DR", "bias"]) < abs(covered[0.5].loc["DM", "bias"]) / 3


def test_without_overlap_the_warning_speaks_and_bernstein_still_covers(covered):
    table = covered[-2]
    assert (table["warned"] > 0.9).all()
    assert (table.loc[["IPS", "SNIPS", "DR"], "eb"] >= 0.95).all()


# Logs and policies that cannot be


def log_of(**changed) -> Log:
    about = {"contexts": np.zeros(3, int), "actions": np.array([0, 1, 0])}
    about |= {"rewards": np.array([0.0, 1, 0]), "propensities": np.full(3, 0.5), "n_actions": 2}
    return Log(**(about | changed))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"propensities": np.array([0.5, 0, 0.5])}, "round 2: propensity 0, expected above 0 and at most 1."),
        ({"rewards": np.array([0, 7.0, 0])}, "round 2: reward 7, expected 0 to 1; divide by the largest there can be."),
        ({"actions": np.array([0, 2, 0])}, "actions from 0 to 2, expected 0 to 1."),
        ({"rewards": np.zeros(2)}, "a log needs 2 rounds or more and columns of one length, got [3, 3, 2, 3]."),
    ],
)  # fmt: skip
def test_a_bad_log_gets_one_sentence(changed, said):
    with pytest.raises(InputError) as caught:
        log_of(**changed)
    assert caught.value.problems == (said,)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (np.array([[0.5, 0.6]]), "a policy's chances must be 0 or above and add up to 1 in each context."),
        (np.array([[1.0]]), "a policy needs a table of 1 contexts × 2 actions, got (1, 1)."),
    ],
)  # fmt: skip
def test_a_bad_policy_gets_one_sentence(policy, said):
    with pytest.raises(InputError) as caught:
        log_of().chances(policy)
    assert caught.value.problems == (said,)


# Thompson sampling's chances, and the invented campaign


def test_thompson_s_chances_of_two_items_are_an_integral():
    alpha, beta = np.array([3.0, 2.0, 1.0, 1.0]), np.array([5.0, 6.0, 500.0, 900.0])
    found = thompson_chances(alpha, beta, 40_000, np.random.default_rng(11))
    first, second = stats.beta(3, 5), stats.beta(2, 6)
    beats = first.expect(second.cdf, lb=0, ub=1)
    assert found.sum(1) == pytest.approx(np.ones(3))
    assert found[0, 0] == pytest.approx(beats, abs=0.015)
    assert found[1, 1] == pytest.approx(beats, abs=0.03)


def test_the_invented_campaign_s_weights_have_mean_1_and_its_estimates_the_truth():
    values, weights = [], []
    for seed in range(60):
        campaign = invented(np.random.default_rng(seed), n_rounds=3_000, n_draws=500)
        log, table = campaign.logs["random"], campaign.tables["bts"]
        w = est.importance(log.chances(table), log.actions, log.propensities)
        weights.append(w.mean() - 1)
        values.append((w * log.rewards).mean() - campaign.truth["bts"])
        assert (campaign.logs["bts"].propensities > 0).all()
    for found in (values, weights):
        assert abs(np.mean(found)) < 3.5 * np.std(found) / np.sqrt(60)


def test_a_log_that_its_own_table_made_does_not_drift():
    rng = np.random.default_rng(12)
    campaign = invented(rng, n_draws=5_000)
    own = drift(campaign.logs["bts"], campaign.tables["bts"], rng)
    assert (own["distance"] < 1.3 * own["by_chance_high"]).all()
    other = drift(campaign.logs["random"], campaign.tables["bts"], rng)
    assert (other["distance"] > 2 * other["by_chance_high"]).all()
    assert item_shares(campaign.logs["bts"]).sum(1) == pytest.approx(np.ones(3))


def test_crossed_has_a_line_for_each_direction_and_estimator_per_thousand():
    rng = np.random.default_rng(13)
    campaign = invented(rng, n_rounds=2_000, n_draws=1_000)
    table = crossed([campaign], rng)
    assert len(table) == 12
    log = campaign.logs["random"]
    k = int(log.rewards.sum())
    ends = stats.beta.ppf([0.025, 0.975], [k, k + 1], [2_000 - k + 1, 2_000 - k])
    assert own_value(log) == pytest.approx((k / 2_000, *ends))
    random = table[table["policy"] == "random"].iloc[0]
    assert random["own"] == pytest.approx(k / 2)
    assert random["bound"] == pytest.approx(1 / 30 / 1e-6)
    bts = table[table["policy"] == "bts"].iloc[0]
    assert bts["bound"] == pytest.approx(campaign.tables["bts"].max() * 30)
    assert weight_bound(np.array([[0.2, 0.8]]), np.array([[0.5, 0.5]])) == pytest.approx(1.6)


def test_unknown_logs():
    with pytest.raises(InputError, match=r"no logs are called 'x', expected open-bandit or simul"):
        open_campaigns("x", np.random.default_rng(0))


def test_the_same_seed_gives_the_same_table():
    tables = []
    for _ in range(2):
        rng = np.random.default_rng(14)
        tables.append(crossed([invented(rng, n_rounds=1_000, n_draws=500)], rng))
    pd.testing.assert_frame_equal(*tables)


# Figures


def test_figures_say_what_they_are_given(covered):
    axes = Figure().subplots(1, 3)
    op_plots.coverage_dots(covered[0.5].reset_index(), axes[0])
    labels = [label.get_text() for label in axes[0].get_yticklabels()]
    assert labels == [f"{name}, 600 rounds" for name in ("IPS", "SNIPS", "DM", "DR")]
    rng = np.random.default_rng(15)
    table = crossed([invented(rng, n_rounds=1_000, n_draws=500)], rng)
    op_plots.crossed_intervals(table, axes[1], ("SNIPS", "DM"), 25.0)
    labels = [label.get_text() for label in axes[1].get_yticklabels()]
    assert labels[:2] == ["SNIPS, bts from random", "DM, bts from random"]
    assert len(labels) == 6
    assert axes[1].get_xlim() == (0, 25)
    weights = {"even": np.ones(100), "one": np.eye(100)[0]}
    op_plots.weight_shares(weights, axes[2])
    assert axes[2].get_legend_handles_labels()[1] == [
        "even: 100 effective rounds of 100",
        "one: 1 effective rounds of 100",
    ]
