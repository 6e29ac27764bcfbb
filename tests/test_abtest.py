"""A/B tests against statsmodels, scipy and integrals; repeated A/A tests; tables of a person's own, good and bad."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import integrate, stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

import fsl
from fsl.abtest import adjusted, always_valid, difference, plan, read, sample_ratio, trial_of
from fsl.abtest import plots as abtest_plots
from fsl.abtest.checks import heterogeneity
from fsl.abtest.planning import power_of, sample_size, sample_size_peeking, standard_error
from fsl.abtest.repeated import Looks, repeat, shares
from fsl.abtest.sequential import always_valid_p, evidence, half_width
from fsl.abtest.shop import METRICS, RULES, _guests, assigned, outcomes, popular, visitors
from fsl.abtest.tablefile import read_trial
from fsl.abtest.words import per_cent, plan_in_words
from fsl.cli import main
from fsl.compare import holm
from fsl.environment.rules import NOTHING, STARS
from fsl.errors import InputError
from fsl.tasks import user_tasks


def arms(seed=0, n=(80, 130)):
    rng = np.random.default_rng(seed)
    return rng.normal(2, 1, n[0]), rng.gamma(2, 1.2, n[1])


# The difference


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_difference_is_welch_s_as_scipy_and_statsmodels_have_it(alpha):
    control, treatment = arms()
    found = difference(control, treatment, alpha)
    theirs = stats.ttest_ind(treatment, control, equal_var=False)
    ends = theirs.confidence_interval(1 - alpha)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-10)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-10)
    both = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    assert (found.low, found.high) == pytest.approx(both.tconfint_diff(alpha, usevar="unequal"))


def test_the_lift_s_error_is_that_of_many_repetitions():
    rng = np.random.default_rng(1)
    control = rng.gamma(4, 1, (4_000, 300))
    treatment = rng.gamma(4.4, 1, (4_000, 200))
    ratios = treatment.mean(1) / control.mean(1) - 1
    found = difference(control[0], treatment[0])
    width = (found.lift_high - found.lift_low) / 2 / stats.norm.ppf(0.975)
    assert width == pytest.approx(ratios.std(), rel=0.15)
    inside = [
        d.lift_low < 0.1 < d.lift_high for d in map(difference, control[:1000], treatment[:1000])
    ]
    assert 0.93 < np.mean(inside) < 0.97


@given(st.integers(0, 10_000), st.integers(2, 40), st.floats(0.2, 3), st.sampled_from([0.05, 0.2]))
@settings(max_examples=60, deadline=None)
def test_the_lift_leaves_out_just_the_ratios_that_welch_s_test_does(seed, n, shift, alpha):
    rng = np.random.default_rng(seed)
    control, treatment = rng.normal(1, 1, n), rng.normal(shift, 0.5, n + 3)
    found = difference(control, treatment, alpha)
    t = stats.t.ppf(1 - alpha / 2, stats.ttest_ind(treatment, control, equal_var=False).df)

    def statistic(ratio):
        return stats.ttest_ind(treatment, ratio * control, equal_var=False).statistic

    if control.mean() <= 0:
        assert np.isnan([found.lift, found.lift_low, found.lift_high]).all()
    elif np.isfinite(found.lift_low):
        assert statistic(1 + found.lift_low) == pytest.approx(t, rel=1e-6)
        assert statistic(1 + found.lift_high) == pytest.approx(-t, rel=1e-6)
        assert (found.lift_low > 0 or found.lift_high < 0) == (found.p < alpha)
    else:
        assert abs(stats.ttest_1samp(control, 0).statistic) <= t
        assert (found.lift_low, found.lift_high) == (-np.inf, np.inf)


def test_an_arm_that_never_varies_gives_no_certainty():
    found = difference(np.zeros(10), np.zeros(12))
    assert (found.low, found.high, found.p) == (-np.inf, np.inf, 1.0)
    assert np.isnan(found.lift)
    with pytest.raises(ValueError, match="at least 2 values"):
        difference(np.zeros(1), np.zeros(5))


# CUPED


def test_theta_is_the_regression_s_slope_and_the_variance_falls_by_rho_squared():
    rng = np.random.default_rng(2)
    x = rng.normal(size=500)
    y = 2 + 0.7 * x + rng.normal(size=500)
    found = adjusted(y, x)
    assert found.theta == pytest.approx(stats.linregress(x, y).slope, rel=1e-10)
    assert found.rho == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-10)
    assert found.values.var() / y.var() == pytest.approx(1 - found.rho**2, rel=1e-10)
    assert found.values.mean() == pytest.approx(y.mean())


def test_cuped_estimates_the_same_effect_with_less_variance_over_many_tests():
    rng = np.random.default_rng(3)
    plain, ours = [], []
    for _ in range(1_500):
        x = rng.normal(size=200)
        treated = rng.random(200) < 0.5
        y = 0.8 * x + 0.6 * rng.normal(size=200) + 0.5 * treated
        values = adjusted(y, x).values
        plain.append(y[treated].mean() - y[~treated].mean())
        ours.append(values[treated].mean() - values[~treated].mean())
    assert np.mean(ours) == pytest.approx(0.5, abs=0.01)
    assert np.var(ours) / np.var(plain) == pytest.approx(1 - 0.8**2, rel=0.2)


def test_cuped_leaves_alone_what_has_no_past_or_a_constant_one():
    y = np.arange(8.0)
    assert adjusted(y, np.full(8, 3.0)).values == pytest.approx(y)
    assert adjusted(y, np.full(8, np.nan)).values == pytest.approx(y)
    x = np.array([1, 2, 3, 4, 5, 6, np.nan, np.nan])
    found = adjusted(y, x)
    assert found.values[6:] == pytest.approx(y[6:])


# Checks and many metrics


def test_the_sample_ratio_is_a_chi_square_test():
    found = sample_ratio(5_000, 5_200)
    assert found.p == pytest.approx(stats.chisquare([5_000, 5_200]).pvalue)
    assert not found.suspicious
    assert sample_ratio(5_000, 5_400).suspicious
    assert not sample_ratio(9_000, 1_000, share=0.1).suspicious


def test_heterogeneity_is_cochran_s_q_as_statsmodels_has_it():
    values, errors = np.array([0.1, 0.3, -0.2, 0.15]), np.array([0.1, 0.08, 0.12, 0.2])
    theirs = combine_effects(values, errors**2).test_homogeneity()
    assert heterogeneity(values, errors) == pytest.approx(theirs.pvalue)
    assert np.isnan(heterogeneity(values[:1], errors[:1]))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_holm_is_statsmodels(p):
    assert holm(np.array(p)) == pytest.approx(multipletests(p, method="holm")[1])


# Always valid


@pytest.mark.parametrize(
    ("value", "error", "tau"), [(0.3, 0.1, 0.2), (-0.05, 0.2, 0.1), (0, 0.1, 1)]
)
def test_the_evidence_is_the_mixture_s_integral(value, error, tau):
    def under(effect):
        return stats.norm.pdf(value, effect, error) * stats.norm.pdf(effect, 0, tau)

    mixed, _ = integrate.quad(under, -8 * tau, 8 * tau, epsabs=1e-13)
    assert evidence(value, error, tau) == pytest.approx(
        mixed / stats.norm.pdf(value, 0, error), rel=1e-7
    )


def test_the_interval_leaves_0_out_just_where_the_evidence_reaches_1_over_alpha():
    half = half_width(0.1, 0.3, 0.05)
    assert evidence(half, 0.1, 0.3) == pytest.approx(20)
    assert always_valid_p(half, 0.1, 0.3) == pytest.approx(0.05)
    low, high = always_valid(1.0, 0.1, 0.3)
    assert (low, high) == (pytest.approx(1 - half), pytest.approx(1 + half))


def test_it_is_the_two_sided_normal_mixture_of_howard_and_others():
    error, tau, alpha = 0.07, 0.2, 0.05
    v, rho = 1 / error**2, 1 / tau**2  # S = d v, intrinsic time v
    boundary = np.sqrt((v + rho) * np.log((v + rho) / (rho * alpha**2)))
    assert half_width(error, tau, alpha) == pytest.approx(boundary / v)


@given(st.floats(1e-4, 10), st.floats(1e-3, 10))
@settings(max_examples=50, deadline=None)
def test_it_is_always_wider_than_the_usual_interval(error, tau):
    assert half_width(error, tau) > stats.norm.ppf(0.975) * error


def test_no_tau_of_0():
    with pytest.raises(ValueError, match="tau must be above 0"):
        half_width(0.1, 0)


# The lesson: 2,000 A/A tests


@pytest.fixture(scope="module")
def aa():
    rng = np.random.default_rng(4)
    outcome = (rng.random(3_000) < 0.3).astype(float)
    return repeat(outcome, outcome, 2_000, 28, 40, 0.1, rng)


def test_once_at_the_end_peeking_and_always_valid(aa):
    assert 0.04 <= aa.alarms("half")[:, -1].mean() <= 0.06
    assert aa.ever("half")[:, -1].mean() > 0.15
    assert aa.ever("always")[:, -1].mean() <= 0.05
    assert aa.truth == 0


def test_repeated_tests_agree_with_one_read_from_its_rows():
    rng = np.random.default_rng(5)
    pool = rng.normal(size=50)
    found = repeat(pool, pool + 0.3, 1, 3, 80, 0.1, np.random.default_rng(6))
    again = np.random.default_rng(6)
    who, treated = again.integers(50, size=(1, 3, 80)), again.random((1, 3, 80)) < 0.5
    values = np.where(treated, (pool + 0.3)[who], pool[who])
    for day in range(3):
        seen, arm = values[0, : day + 1].ravel(), treated[0, : day + 1].ravel()
        one = difference(seen[~arm], seen[arm])
        assert found.value[0, day] == pytest.approx(one.value)
        assert found.half[0, day] == pytest.approx((one.high - one.low) / 2)


def test_how_tests_end():
    value = np.array([[0.0, 3, 1], [0, 0, 0.5], [5, 0, 0]])
    half = np.full((3, 3), 2.0)
    looks = Looks(value, half, half * 2, truth=2.5)
    daily = looks.ended("half", daily=True)
    assert daily.seen.tolist() == [True, False, True]
    assert daily.day.tolist() == [1, 2, 0]
    assert daily.value.tolist() == [3, 0.5, 5]
    assert daily.holds.tolist() == [False, False, False]
    once = looks.ended("always", daily=False)
    assert (once.seen.any(), once.day.tolist(), once.holds.all()) == (False, [2, 2, 2], True)


def test_more_visitors_than_memory_holds_are_one_sentence():
    said = "2,000 tests of 28 days with 100,000 visitors are too many to hold: expected at most 100,000,000"
    with pytest.raises(InputError, match=said):
        repeat(np.ones(3), np.ones(3), 2_000, 28, 100_000, 0.1, np.random.default_rng(0))


def test_shares_have_exact_intervals():
    line = shares(np.array([[True], [False], [False], [False]])).iloc[0]
    low, high = stats.beta.ppf([0.025, 0.975], [1, 2], [4, 3])
    assert (line["value"], line["low"], line["high"]) == pytest.approx((0.25, low, high))


# Planning


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_the_sample_size_is_statsmodels(share):
    n = sample_size(0.2, 1.5, power=0.9, alpha=0.01, share=share)
    theirs = NormalIndPower().solve_power(
        0.2 / 1.5, power=0.9, alpha=0.01, ratio=share / (1 - share)
    )
    assert n == pytest.approx(theirs / (1 - share), abs=1.5)
    assert power_of(n, 0.2, 1.5, 0.01, share) == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize(("share", "effect"), [(0.5, 0.02), (0.3, -0.03)])
def test_a_share_s_users_are_those_of_the_textbook(share, effect):
    """Chow, Shao & Wang 2008, §4.2: unpooled, k = n_treated / n_control."""
    control, treated, k = 0.1, 0.1 + effect, share / (1 - share)
    z = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    n = z**2 * (control * (1 - control) + treated * (1 - treated) / k) / effect**2
    assert plan(control, effect, share=share).n == pytest.approx(n * (1 + k), abs=1)


def test_a_share_s_plan_sees_its_effect_in_four_of_five_tests():
    found = plan(0.1, 0.05)
    rng, n = np.random.default_rng(7), found.n // 2
    a, b = rng.binomial(n, 0.1, 4_000) / n, rng.binomial(n, 0.15, 4_000) / n
    z = (b - a) / np.sqrt((a * (1 - a) + b * (1 - b)) / n)
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.025)


def test_the_past_saves_rho_squared_of_the_users():
    assert sample_size(0.1, 1, rho=0.6) == pytest.approx(0.64 * sample_size(0.1, 1), abs=1)


def test_days_in_place_of_an_effect():
    found = plan(0.08, per_day=500, days=21)
    assert (found.n, found.days) == (10_500, 21)
    assert plan(0.08, found.effect).n == pytest.approx(10_500, abs=1)


def test_peeking_costs_more_users_and_sees_the_effect_by_then():
    n = sample_size_peeking(0.3, 1.0)
    assert n > sample_size(0.3, 1.0)
    error = standard_error(n, 1.0)
    assert half_width(error, 0.3) + stats.norm.ppf(0.8) * error == pytest.approx(0.3, rel=1e-2)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"baseline": 8, "effect": 1}, "baseline 8: expected a share between 0 and 1, or an sd."),
        ({"baseline": 0.1, "effect": 0}, "effect 0: expected a number, not 0."),
        ({"baseline": 0.1}, "no effect: expected one, or days and users per day."),
        ({"baseline": 0.9, "effect": 0.2}, "the effect: 0.9 and +0.2 make 1.1, expected a share"),
        ({"baseline": 1, "sd": 0, "effect": 1}, "sd 0: expected a number above 0, below 1e100."),
        ({"baseline": 0.1, "effect": 0.1, "rho": 1}, "rho 1: expected a number above -1 and below"),
        ({"baseline": 0.5, "per_day": 1, "days": 2}, "2 users are too few to see any effect"),
        (
            {"baseline": 0.1, "effect": 1e-300},
            "an effect of 1e-300 would take more than 1e+12 users",
        ),
        (
            {"baseline": 5, "sd": 1e308, "effect": 1},
            "sd 1e+308: expected a number above 0, below 1e100",
        ),
        (
            {"baseline": 0.1, "effect": 0.1, "per_day": 1e-300},
            "users per day 1e-300: expected .001 or more.",
        ),
        (
            {"baseline": 0.1, "effect": 0.1, "per_day": 1e12},
            "users per day 1000000000000.0: expected fewer than 1e+12.",
        ),
        (
            {"baseline": 0.1, "per_day": 10, "days": 10**20},
            "days 100000000000000000000: expected fewer than 1e+12 users in all.",
        ),
    ],
)
def test_a_plan_that_cannot_be(asked, said):
    with pytest.raises(InputError) as caught:
        plan(**asked)
    (problem,) = caught.value.problems
    assert problem.startswith(said)


def test_per_cents():
    assert [per_cent(x) for x in (0.05, 0.5, 0.123, 0.0123, 0)] == [
        "5 %", "50 %", "12 %", "1.2 %", "0 %",
    ]  # fmt: skip
    assert "you need 31,208 users" not in plan_in_words(plan(0.1, 0.05))


# Reading a table


def table(n=400, effect=0.5, seed=8) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, variant = rng.normal(size=n), rng.permutation(np.repeat(["A", "B"], n // 2))
    y = x + rng.normal(size=n) + effect * (variant == "B")
    return pd.DataFrame({
        "user": np.arange(n), "variant": variant, "stars": y + 3, "stars_before": x,
        "bought": (rng.random(n) < 0.3).astype(int), "scene": rng.choice(["web", "shop"], n),
        "day": rng.integers(1, 8, n), "remark": "none",
    })  # fmt: skip


def test_a_table_is_read_as_its_parts_say():
    frame = table()
    found = read(trial_of(frame))
    stars, bought = found.metrics.to_dict("records")
    values = adjusted(frame["stars"].to_numpy(), frame["stars_before"].to_numpy()).values
    b = (frame["variant"] == "B").to_numpy()
    expected = stats.ttest_ind(values[b], values[~b], equal_var=False)
    assert stars["p"] == pytest.approx(expected.pvalue)
    plain = stats.ttest_ind(frame["stars"][b], frame["stars"][~b], equal_var=False)
    assert stars["plain_low"] == pytest.approx(plain.confidence_interval().low)
    assert np.isnan(bought["rho"])
    theirs = multipletests(found.metrics["p"], method="holm")[1]
    assert found.metrics["p_holm"].to_numpy() == pytest.approx(theirs)
    assert set(found.segments["segment"]) == {"web", "shop"}
    n = found.segments.groupby("metric")["n"].sum()
    assert (n == 400).all()
    assert found.looks["n"].max() == 400
    last = found.looks[found.looks["metric"] == "stars"].iloc[-1]
    assert (last["low"], last["always_low"]) == pytest.approx((stars["low"], stars["always_low"]))
    assert found.trial.notes == ("column 'remark' has no numbers and is left out",)


def test_the_words_say_what_the_numbers_say():
    words = str(read(trial_of(table())))
    assert "200 users saw A (the control), 200 B. The split is as planned" in words
    assert "adjusted by its past (correlation 0.6" in words
    assert words.endswith("Verdict: with B, stars went up, if you looked once, at the planned end.")
    none = str(read(trial_of(table(effect=0))))
    assert "Verdict: no difference is established; for " in none


def test_what_never_varies_gets_words_in_place_of_an_interval(tmp_path, capsys):
    frame = table().drop(columns=["day", "remark"]).assign(bought=0)
    said = str(read(trial_of(frame)))
    assert "bought: B minus A 0 (no two users of an arm differ): nothing says how far" in said
    assert "shop 0 (no two users of an arm differ), web 0" in said
    frame["bought"] = (frame["variant"] == "B").astype(int)
    found = read(trial_of(frame[["user", "variant", "bought"]]))
    assert "bought: B minus A +1 (no two users of an arm differ)" in str(found)
    assert str(found).endswith("Verdict: nothing can be said, since no two users of an arm differ.")
    assert "[–, –]" not in said + str(found)
    assert abtest_plots.readout(found, Figure()).axes


def test_a_handful_of_users_gets_no_interval_for_peeking():
    frame = table(58).drop(columns=["day", "scene", "remark"])
    few, enough = (read(trial_of(f)).metrics for f in (frame, table(60)))
    assert not np.isfinite(few[["always_low", "always_high"]]).any(axis=None)
    assert np.isfinite(enough[["always_low", "always_high"]]).all(axis=None)
    said = str(read(trial_of(frame)))
    assert "Not valid if you looked before the end: that wants 30 users in each arm." in said


def test_the_verdict_never_says_that_0_is_left_out_and_nothing_is_established():
    rng = np.random.default_rng(0)
    for seed in range(400):
        frame = table(60, effect=0.55, seed=seed)[["user", "variant", "stars"]]
        found = read(trial_of(frame.assign(other=rng.normal(size=60))))
        first = found.metrics.sort_values("p").iloc[0]
        if first["p"] < 0.05 <= first["p_holm"]:
            break
    words = str(found).split("Verdict: ")[1]
    assert words.startswith("no difference is established; ")
    assert "by itself would have one (p = .0" in words
    assert "among 2 metrics it has not (p = .0" in words


def test_a_broken_split_is_said_and_nothing_concluded():
    frame = table(1_000)
    lost = frame[(frame["variant"] == "A") | (frame["user"] % 3 > 0)]
    words = str(read(trial_of(lost)))
    assert "The split is not as planned" in words
    assert words.endswith("Verdict: none, mend the split first.")


def test_the_order_of_the_rows_does_not_matter():
    frame = table()
    ours, theirs = (
        read(trial_of(f)).metrics for f in (frame, frame.sample(frac=1, random_state=0))
    )
    pd.testing.assert_frame_equal(ours, theirs)


def csv(tmp_path, text: str):
    path = tmp_path / "test.csv"
    path.write_text(text, encoding="utf-8")
    return path


ROWS = "variant,user,bought\nA,1,0\nA,2,1\nB,3,1\nB,4,1\n"
USER = ", line 6, column 'user': "
BOUGHT = ", line 6, column 'bought': "
TWICE = USER + "user '4' is there twice, expected one row per user"
NO_METRIC = ": there is no metric, expected a column of numbers beside variant and user."
NO_VARIANT = ": there is no column 'variant'; the columns are 'user', 'bought'; "
THREE = ": column 'variant' names 3 ('A', 'B', 'C'), expected two; "
NO_CONTROL = ": which of 'B' and 'x' is the control cannot be told; name it with --control."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,bought\n1,0\n", NO_VARIANT + "name yours with --column variant=THEIRS."),
        (ROWS + "C,5,1\n", THREE + "of more, keep the rows of two at a time."),
        (ROWS + "B,4,0\n", TWICE + ": add up each user's rows first."),
        (ROWS + "A,4,0\n", TWICE + "; 1 user is in both variants."),
        (ROWS + "A,,0\n", USER + "is empty, expected the user's id."),
        (ROWS + ",5,0\n", ", line 6, column 'variant': is empty, expected the variant's name."),
        (ROWS + "A,5,x\n", BOUGHT + "'x', expected a number."),
        (ROWS + "A,5,\n", BOUGHT + "is empty, expected a number, 0 where nothing happened."),
        (ROWS + "A,5,inf\n", BOUGHT + "'inf', expected a number."),
        (ROWS + "A,5,1e300\n", BOUGHT + "'1e300', expected a number below 1e+100."),
        (ROWS.replace("A", "x"), NO_CONTROL),
        (ROWS.replace("A,2,1\n", ""), ": variant 'A' has one user, expected 2 or more."),
        ("variant,user,why\nA,1,x\nB,3,y\n", NO_METRIC),
        (ROWS.replace("bought", "day"), NO_METRIC),
    ],
)
def test_a_bad_table_gets_one_sentence(tmp_path, capsys, text, said):
    assert main(["abtest", "read", str(csv(tmp_path, text))]) == 2
    assert capsys.readouterr().err.strip() == f"fsl: test.csv{said}"


THERE = "the columns are 'variant', 'user', 'bought'."
SHARE = "expected numbers above 0, alpha below 0.5 and share below 1."
COLUMNS = "expected one of variant, user, segment, scene, day."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metric", "sold"], f"test.csv: there is no column 'sold'; {THERE}"),
        (
            ["--metric", "user"],
            "test.csv: column 'user' has another meaning, it cannot be a metric.",
        ),
        (["--before", "bought=was"], f"test.csv: there is no column 'was'; {THERE}"),
        (["--control", "C"], "--control 'C': the variants are 'A' and 'B'."),
        (["--effect", "sold=1"], "--effect 'sold': no such metric, expected one of bought."),
        (["--effect", "bought=nan"], "--effect bought=nan: expected a number, not 0."),
        (["--effect", "bought=0"], "--effect bought=0: expected a number, not 0."),
        (["--effect", "bought=much"], "--effect 'much': expected a number, or per cent."),
        (
            ["--figure", "a.pdf"],
            "--figure 'a.pdf': expected a .png file in a folder that is there.",
        ),
        (["--column", "colour=x"], f"--column 'colour': {COLUMNS}"),
        (["--share", "1"], f"--alpha 0.05, --share 1: {SHARE}"),
    ],
)
def test_a_bad_option_gets_one_sentence(tmp_path, capsys, options, said):
    assert main(["abtest", "read", str(csv(tmp_path, ROWS)), *options]) == 2
    assert capsys.readouterr().err.strip() == f"fsl: {said}"


def test_a_german_file_with_its_own_names_and_a_figure(tmp_path, capsys):
    frame = table().drop(columns=["remark", "bought"])
    frame = frame.rename(columns={"variant": "gruppe", "stars_before": "vorher", "day": "tag"})
    frame["tag"] = pd.to_datetime("2024-06-01") + pd.to_timedelta(frame["tag"], unit="D")
    text = io.StringIO()
    frame.to_csv(text, sep=";", decimal=",", index=False)
    path, out = csv(tmp_path, text.getvalue()), tmp_path / "out.png"
    options = ["--column", "variant=gruppe", "--before", "stars=vorher", "--column", "day=tag"]
    options += ["--effect", "stars=0.4", "--figure", str(out)]
    assert main(["abtest", "read", str(path), *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "looked at daily for 7 days" in said
    assert "adjusted by its past" in said
    assert out.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.png", "test.csv"]
    trial = read_trial(path, before={"stars": "vorher"}, columns={"variant": "gruppe"})
    assert trial.days is None
    assert trial.metrics["stars"] == pytest.approx(table()["stars"])


def test_plan_on_the_command_line(tmp_path, capsys):
    out = tmp_path / "plan.png"
    options = ["--baseline", "8%", "--effect", "10%", "--per-day", "600", "--figure", str(out)]
    assert main(["abtest", "plan", *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    n = plan(0.08, 0.008, per_day=600)
    assert f"you need {n.n:,} users in all (50 % control, 50 % treatment): {n.days} days" in said
    assert out.read_bytes().startswith(b"\x89PNG")
    assert main(["abtest", "plan", "--baseline", "8", "--effect", "1"]) == 2
    assert "expected a share between 0 and 1, or an sd" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["abtest", "plan", "--baseline", "lots"])


@pytest.mark.parametrize("effect", ["-10%", "−10%", "-.008", "-0.8e-2"])
def test_an_effect_downwards_needs_no_equals_sign(capsys, effect):
    assert main(["abtest", "plan", "--baseline", "8%", f"--effect={effect}"]) == 0
    one = capsys.readouterr().out
    assert main(["abtest", "plan", "--baseline", "8%", "--effect", effect]) == 0
    assert capsys.readouterr().out == one
    assert "a change of −0.008 from 0.08 (−10 %)" in one


# The simulated shop


@pytest.fixture(scope="module")
def people():
    return visitors(fsl.load("simulated", n_users=600, n_items=120, seed=1), n_past=200)


def test_visitors_have_both_outcomes_and_a_past(people):
    assert people["user"].is_unique
    assert set(people["scene"]) == {"offline_store", "ecommerce", "social_media", "livestream"}
    assert people["stars_before"].between(1, 5).all()
    for arm in ("popular", "guide"):
        assert people[f"bought_{arm}"].isin([0, 1]).all()
        assert ((people[f"spend_usd_{arm}"] > 0) == (people[f"bought_{arm}"] == 1)).all()
    assert people["stars_guide"].mean() > people["stars_popular"].mean()


def test_the_log_holds_one_outcome_of_each_and_reads_near_the_truth(people):
    log = assigned(people, np.random.default_rng(0)).sort_index()
    guided = log["variant"] == "guide"
    for metric in METRICS:
        assert (log[metric][guided] == people[f"{metric}_guide"][guided]).all()
        assert (log[metric][~guided] == people[f"{metric}_popular"][~guided]).all()
    found = read(trial_of(log, control="popular")).metrics.set_index("metric").loc["stars"]
    truth = (people["stars_guide"] - people["stars_popular"]).mean()
    assert found["always_low"] < truth < found["always_high"]


def test_a_visit_is_the_environments_played_alone():
    shop = fsl.load("simulated", n_users=60, n_items=30, seed=1)
    tasks = user_tasks(shop)
    past, new = tasks.subset(torch.arange(30)), tasks.subset(torch.arange(30, 50))
    new = new.subset((new.sizes > 3).nonzero()[:, 0])
    guests = _guests(shop, new, np.random.default_rng(0), seed=3)
    found = outcomes(guests, popular(past, guests), "popular")
    order = torch.bincount(past.objects, minlength=30).double()
    for v in range(len(guests.tasks)):
        guests.visits.arrive(np.array([v]))
        left, stars, bought = order.clone(), [], -1
        left[guests.had[v]] = -torch.inf
        for _ in range(RULES.n_turns):
            phones = left.topk(3).indices
            left[phones] = -torch.inf
            turn = guests.visits.step(np.zeros(1, int), guests.items[phones.numpy()][None])
            stars += [STARS[r] for r in turn.reactions[0] if r != NOTHING]
            bought = max(bought, int(turn.bought[0]))
        assert found["stars_popular"][v] == pytest.approx(np.mean(stars))
        assert found["bought_popular"][v] == (bought >= 0)
        price = shop.truth.prices[bought] if bought >= 0 else 0
        assert found["spend_usd_popular"][v] == price


def test_too_few_visitors_are_one_sentence():
    with pytest.raises(
        InputError, match="the guide learns from 600: expected more of them, by 100"
    ):
        visitors(fsl.load("simulated", n_users=60, n_items=30, seed=1))


def test_the_same_seed_gives_the_same_visitors(people):
    again = visitors(fsl.load("simulated", n_users=600, n_items=120, seed=1), n_past=200)
    pd.testing.assert_frame_equal(people, again)


# Figures


def test_figures_say_what_they_are_given(aa):
    axes = Figure().subplots()
    abtest_plots.alarms(aa, axes)
    assert len(axes.get_legend_handles_labels()[1]) == 4
    assert axes.get_ylim()[0] == 0
    frame = table()
    frame["change"] = frame["stars"] - 50
    figure = abtest_plots.readout(read(trial_of(frame)), Figure())
    assert len(figure.axes) == 3
    assert figure.get_suptitle().startswith("With B, stars went up")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["stars", "bought", "change\n(in planned effects)"]
