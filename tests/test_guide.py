"""The guide: what an answer is worth, what it teaches, exact reasons, one language as good as the other."""

import string
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm, truncnorm

from fsl.bandits.posterior import Belief
from fsl.compare import paired_difference
from fsl.data import Shop
from fsl.errors import InputError
from fsl.guide import Guide, Shelf, dialogue, hearing
from fsl.guide.choosing import askable, ranked
from fsl.guide.conversation import LEAST_WORTH
from fsl.guide.questions import (
    evidence,
    foretold,
    learned,
    pair,
    rate,
    reaction,
    shortlist,
    wish,
    worths,
)
from fsl.guide.reasons import reasons_of
from fsl.guide.replay import CHOOSERS, Visit, asked_by, questions
from fsl.guide.state import weighed
from fsl.guide.study import (
    HALVES,
    LEFT_OVER,
    does_it_help,
    gains,
    guide_study,
    of_items,
    pools,
    with_room,
)
from fsl.guide.words import WORDS
from fsl.guide.worth import expected_best, expected_best_of, moments, outcomes


def made_shop(n_users=40, n_items=8, seed=0, **columns) -> Shop:
    """People like either dear or cheap phones; half of the ratings are there."""
    rng = np.random.default_rng(seed)
    price = np.linspace(-1, 1, n_items)
    taste = rng.choice([-1.5, 1.5], n_users)
    rows = [
        (
            f"u{u}",
            f"p{i}",
            float(np.clip(round(3 + taste[u] * price[i] + rng.normal(0, 0.4)), 1, 5)),
        )
        for u in range(n_users)
        for i in rng.permutation(n_items)[: max(4, n_items // 2 + 2)]
    ]
    items = pd.DataFrame({
        "item": [f"p{i}" for i in range(n_items)],
        "name": [f"Phone {i}" for i in range(n_items)],
        "price": 300 + 200 * price,
        **columns,
    })  # fmt: skip
    return Shop(pd.DataFrame(rows, columns=["user", "item", "rating"]), None, items, name="made")


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf.of_shop(made_shop(), n_factors=2)


@pytest.fixture
def belief() -> Belief:
    g = torch.Generator().manual_seed(3)
    draw = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    root = draw(3, 3)
    return Belief(draw(1, 6), draw(1, 6, 3), draw(1, 3), (root @ root.T)[None], draw(1, 6).exp())


numbers = st.lists(st.floats(-3, 3).map(lambda x: round(x, 2)), min_size=2, max_size=6)


@settings(max_examples=15, deadline=None)
@given(numbers, st.integers(0, 10_000))
def test_expected_best_is_the_integral(means, seed):
    slopes = np.random.default_rng(seed).normal(size=len(means)).round(1)  # some are equal
    mean = np.array(means)
    integral = quad(lambda z: (mean + slopes * z).max() * norm.pdf(z), -9, 9, limit=400)[0]
    found = expected_best(torch.tensor(mean), torch.tensor(slopes)[None])
    assert float(found) == pytest.approx(integral, abs=1e-6)


def test_of_two_lines_it_is_clarks_formula():
    gap, width = 0.7, 1.3
    by_hand = width * norm.pdf(gap / width) - gap * norm.cdf(-gap / width)
    mean, slopes = torch.tensor([2.0, 1.3]).double(), torch.tensor([[0.1, 1.4]]).double()
    assert float(expected_best(mean, slopes)) - 2.0 == pytest.approx(by_hand, abs=1e-7)


def test_equal_lines_count_once():
    same = torch.ones(3, dtype=torch.float64)
    assert float(expected_best(same, same[None])) == pytest.approx(1.0)


def test_truncated_moments_are_scipys_and_stay_finite_in_the_tails():
    for low, high in ((-0.5, 1.0), (0.3, np.inf), (-np.inf, -1.2), (-np.inf, np.inf)):
        mean, variance = truncnorm.stats(low, high, moments="mv")
        assert moments(low, high) == pytest.approx((float(mean), float(variance)), abs=1e-8)
    assert moments(40, np.inf)[0] == pytest.approx(40, rel=0.01)
    assert moments(-np.inf, -40)[0] == pytest.approx(-40, rel=0.01)
    with pytest.raises(ValueError, match="low must be below high"):
        moments(1, 1)


def test_outcomes_keep_the_mean():
    found = outcomes(torch.tensor([[-0.4, 0.9]], dtype=torch.float64))
    assert float(found.chance.sum()) == pytest.approx(1)
    assert float((found.chance * found.mean).sum()) == pytest.approx(0, abs=1e-12)


def test_worths_are_those_of_simulated_answers(belief):
    """Draw the person and the answer, learn, choose: the mean gain is the worth, for every kind of question."""
    asked = [
        rate(belief, 2),
        pair(belief, 0, 4),
        wish(belief, ("x", None), torch.arange(6.0).double()),
    ]
    asked.append(reaction(belief, 1, (0.0, 1.0)))
    candidates = torch.arange(6)
    found = worths(belief, asked, candidates)
    rng = np.random.default_rng(0)
    w = rng.multivariate_normal(belief.mean[0].numpy(), belief.covariance[0].numpy(), 600)
    before = float(belief.expected().max())
    for one, worth in zip(asked, found.tolist(), strict=True):
        heard = one.base + w @ one.direction.numpy() + rng.normal(0, one.noise**0.5, len(w))
        answers = np.searchsorted(one.cuts, heard) if one.cuts else heard
        after = {
            a: learned(belief, evidence(belief, one, a)).expected().max() for a in set(answers)
        }
        gain = np.array([float(after[a]) for a in answers]) - before
        assert abs(gain.mean() - worth) < 4 * gain.std() / len(gain) ** 0.5 + 1e-9, one.kind


def test_a_pair_teaches_what_the_probit_posterior_is(belief):
    """Mean and covariance against importance weights Φ((f₀ − f₄) / √noise) on draws from the prior."""
    one = pair(belief, 0, 4)
    after = learned(belief, evidence(belief, one, 1))
    rng = np.random.default_rng(1)
    w = rng.multivariate_normal(belief.mean[0].numpy(), belief.covariance[0].numpy(), 200_000)
    chance = norm.cdf((one.base + w @ one.direction.numpy()) / one.noise**0.5)
    mean = np.average(w, axis=0, weights=chance)
    assert np.allclose(after.mean[0], mean, atol=0.03)
    spread = np.cov(w.T, aweights=chance)
    assert np.allclose(after.covariance[0], spread, atol=0.06)


def test_a_rating_teaches_what_the_bandits_step_does(belief):
    after = learned(belief, evidence(belief, rate(belief, 3), 2.5))
    other = belief.after(torch.tensor([3]), torch.tensor([2.5]))
    assert torch.allclose(after.mean, other.mean)
    assert torch.allclose(after.covariance, other.covariance)


def test_what_the_prior_knows_nothing_of_is_worth_nothing(belief):
    flat = wish(belief, ("x", None), torch.ones(6, dtype=torch.float64))
    assert float(worths(belief, [flat], torch.arange(6))) < 1e-9


def test_every_worth_is_at_least_zero_and_the_shortlist_keeps_the_hopeful(belief):
    asked = [rate(belief, i) for i in range(6)]
    assert (worths(belief, asked, torch.arange(6)) >= 0).all()
    best = int((belief.expected() + 2 * belief.sd())[0].argmax())
    assert shortlist(belief, torch.arange(6), 1).tolist() == [best]


def test_reasons_sum_to_what_is_expected(shelf):
    b = shelf.belief
    answers = [(rate(b, 0), 5.0), (pair(b, 1, 6), 0.0), (shelf.wishes[0], 2.0)]
    answers.append((reaction(b, 5, shelf.cuts), 2.0))
    after, found = weighed(b, answers)
    parts = reasons_of(b, found, torch.arange(8), shelf.scale)
    assert torch.allclose(parts.parts.sum(1), parts.clipped)
    assert torch.allclose(parts.clipped, after.expected()[0].clamp(*shelf.scale), atol=1e-8)
    assert parts.parts.shape == (8, 1 + 4 + 1)
    (alone,) = (reasons_of(b, [], torch.tensor([3]), shelf.scale).parts,)
    assert alone[0, 0] == pytest.approx(float(b.expected()[0, 3]))


def test_liking_a_dear_phone_speaks_for_dear_phones(shelf):
    """People here like either dear or cheap: a 5 for the dearest lifts its neighbour above the cheapest."""
    for score, better, worse in ((5.0, 6, 0), (1.0, 0, 6)):
        after, _ = weighed(shelf.belief, [(rate(shelf.belief, 7), score)])
        assert after.expected()[0, better] > after.expected()[0, worse]


def test_the_most_valuable_question_comes_first_and_none_twice(shelf):
    values = ranked(shelf.belief, askable(shelf, shelf.belief), torch.arange(8))
    assert [v.worth for v in values] == sorted((v.worth for v in values), reverse=True)
    done = [(values[0].question.kind, values[0].question.about)]
    later = askable(shelf, shelf.belief, done=done)
    assert len(later) < len(values)
    assert done[0] not in [(q.kind, q.about) for q in later]


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("7", 7), (" ８ 分", 8), ("٧", 7), ("八", 8), ("十", 10), ("eight", 8), ("7,5", 7.5), ("9/10", 9), ("九分", 9),
        ("-3", -3), ("", None), ("seven hundred", None), ("nan", None), ("1e5", None), ("7 8", None), ("二十一", None),
    ],
)  # fmt: skip
def test_numbers_in_any_digits(line, number):
    assert hearing.number(hearing.plain(line)) == number


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ("like 2", (2, "like", 2)), ("2 dislike", (2, "like", 0)), ("不喜欢 1", (1, "like", 0)),
        ("喜欢2", (2, "like", 2)),
        ("3 10", (3, "points", 10)), ("一般 三", (3, "like", 1)), ("I don't like 2!", None), ("like", None),
        ("2", None),
    ],
)  # fmt: skip
def test_reactions_in_both_languages(line, heard):
    assert hearing.reaction(hearing.plain(line)) == heard


def test_both_languages_say_the_same_things():
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    fields = lambda text: {f[1] for f in string.Formatter().parse(text) if f[1]}  # noqa: E731
    for key, text in WORDS["en"].items():
        assert fields(text) == fields(WORDS["zh"][key]), key
        assert text != WORDS["zh"][key], key
    signs = ("because", "and")  # a colon or a comma alone
    told = [text for key, text in WORDS["zh"].items() if key not in signs]
    assert all(any("\u4e00" <= c <= "\u9fff" for c in text) for text in told)


def test_a_conversation_in_either_language_teaches_the_same(shelf):
    lines = ["5", "3", "skip", "1", "like 1", "dislike 2"]
    ends = {}
    for language in WORDS:
        guide = Guide(shelf, language)
        turn = guide.start()
        for line in lines:
            turn = guide.hear(turn.state, line)
        ends[language] = turn.state
    assert ends["en"].shown == ends["zh"].shown
    assert [a for _, a in ends["en"].answers] == [a for _, a in ends["zh"].answers]


def test_back_leads_to_the_state_before_and_further(shelf):
    guide = Guide(shelf)
    first = guide.start()
    second = guide.hear(first.state, "1")
    third = guide.hear(second.state, "1")
    assert guide.hear(third.state, "back").state is second.state
    assert guide.hear(second.state, "返回").state is first.state
    assert "nothing to take back" in guide.hear(first.state, "back").text


def test_nonsense_changes_nothing(shelf):
    guide = Guide(shelf)
    state = guide.hear(guide.start().state, "1").state
    for line in (
        "",
        "   ",
        "foo",
        "\x1b[2Jx",
        "99",
        "-1",
        "1" * 500,
        "😀",
        "help",
        "why",
        "0",
        "\x00",
    ):
        turn = guide.hear(state, line)
        assert turn.state is state, line
        assert "\x1b" not in turn.text
        assert "\x00" not in turn.text


def test_everything_turned_down_is_no_dead_end():
    guide = Guide(Shelf.of_shop(made_shop(n_items=4), n_factors=1), most=0)
    turn = guide.start()
    for _ in range(4):
        turn = guide.hear(turn.state, "dislike 1")
    assert "turned everything down" in turn.text
    assert guide.hear(turn.state, "more").text.count("no further question") == 1
    assert len(guide.hear(turn.state, "back").state.shown) == 1


def test_a_second_word_on_the_same_phone_replaces_the_first(shelf):
    guide = Guide(shelf, most=0)
    turn = guide.hear(guide.start().state, "like 1")
    item = turn.state.answers[0][0].about
    place = turn.state.shown.index(item[0]) + 1
    turn = guide.hear(turn.state, f"{place} 1")
    assert [(q.kind, q.about, a) for q, a in turn.state.answers] == [("rate", item, 1.0)]


def test_a_question_worth_nothing_is_asked_only_if_wanted(shelf):
    start = Guide(shelf, kinds=("rate",)).start()
    assert start.state.asked.worth >= LEAST_WORTH
    sure = replace(shelf, belief=replace(shelf.belief, covariance=shelf.belief.covariance * 1e-9))
    guide = Guide(sure, kinds=("rate",))
    turn = guide.start()
    assert turn.state.asked is None
    assert "No further question is expected to help my choice" in turn.text
    assert "My three for you, from what others say:" in turn.text
    turn = guide.hear(turn.state, "more")
    assert "[worth 0.000 points" in turn.text
    turn = guide.hear(turn.state, "3")
    assert "My three for you, from 1 answer:" in turn.text
    assert guide.hear(turn.state, "back").state.asked is not None


@pytest.mark.parametrize(
    ("language", "counts"),
    [("en", ("what others say", "1 answer,", "2 answers,")), ("zh", ("大家的评分", "您的 1 个回答", "您的 2 个回答"))],
)  # fmt: skip
def test_how_many_answers_is_said_as_people_say_it(shelf, language, counts):
    guide = Guide(shelf, language, most=0)
    state = guide.start().state
    for n, said in enumerate(counts):
        assert said in guide.farewell(state)
        assert said.rstrip(",") in guide.hear(state, "show").text
        state = guide.hear(state, f"{n + 1} 5").state


def test_questions_run_out_politely(shelf):
    guide = Guide(shelf, most=30, kinds=("rate",))
    turn = guide.start()
    for _ in range(8):
        turn = guide.hear(turn.state, "3") if turn.state.asked else turn
        turn = turn if turn.state.asked else guide.hear(turn.state, "more")
    assert len(turn.state.answers) == 8
    assert "no further question" in turn.text
    assert "My three" in turn.text


def test_the_same_seed_gives_the_same_dialogue():
    lines = ["4", "skip", "1", "like 1", "more", "2"]
    one, other = (
        dialogue(Guide(Shelf.of_shop(made_shop(), seed=1, n_factors=2)), lines) for _ in range(2)
    )
    assert one == other


def test_bad_input_is_one_sentence(shelf):
    with pytest.raises(InputError, match="language is 'fr', expected one of en, zh"):
        Guide(shelf, "fr")
    with pytest.raises(InputError, match="question kind 'sing'"):
        Guide(shelf, kinds=("sing",))
    shop = made_shop()
    bare = Shop(shop.interactions.drop(columns="rating"), None, shop.items, name="bare")
    with pytest.raises(InputError, match="bare: the guide needs a column rating or label"):
        Shelf.of_shop(bare)


def test_a_replayed_person_answers_with_real_ratings_and_what_was_asked_is_no_candidate(belief):
    ratings = torch.tensor([1.0, 5, 3, 2, 4, 5], dtype=torch.float64)
    all_of = torch.ones(6, dtype=torch.bool)
    visit = Visit(belief, ratings, torch.arange(6), all_of, all_of.clone(), 0)
    for chooser in CHOOSERS.values():
        found = asked_by(visit, chooser, (0, 2))
        assert found[0]["hit@3 of random picks"] == pytest.approx(1 - 4 / 20)  # 1 − C(4,3) / C(6,3)
        assert found[0]["regret of random picks"] == pytest.approx(5 - 20 / 6)
        assert found[2]["regret"] >= 0
        assert found[2]["hit@3"] in (0, 1)
    assert bool(visit.candidates.all()), "the visit itself is left alone"
    popular = asked_by(visit, CHOOSERS["popular"], (2,))[2]  # asks 5 and 4: 1, 5, 3, 2 are left
    assert popular["rating of random picks"] == pytest.approx(11 / 4)


def test_a_pair_that_leaves_the_shelf_is_worth_what_its_answers_do_for_the_rest(belief):
    all_of = torch.ones(6, dtype=torch.bool)
    visit = Visit(belief, torch.arange(6).double(), torch.arange(6), all_of, all_of.clone(), 0)
    asked = questions(visit, "pair")
    found = CHOOSERS["chosen"](visit, asked)
    for one, worth in zip(asked, found, strict=True):
        left = [i for i in range(6) if i not in one.about]
        mean, variance = foretold(belief, one)
        first = float(norm.cdf(mean / variance**0.5))
        by_hand = sum(
            chance * float(learned(belief, evidence(belief, one, said)).expected()[0, left].max())
            for said, chance in ((1, first), (0, 1 - first))
        )
        assert float(worth) == pytest.approx(by_hand, abs=1e-6)


def test_pairs_are_judged_where_three_candidates_are_left():
    assert with_room((0, 1, 3, 5), 10, LEFT_OVER, "pair") == [0, 1, 3]
    assert with_room((0, 1, 3, 5), 10, LEFT_OVER, "rate") == [0, 1, 3, 5]
    assert with_room((0, 5), 10, HALVES, "pair") == [0, 5]


def test_whether_choosing_helps_is_said_as_counted():
    regrets = {1: (1.0, 1.0), 2: (0.5, 1.0), 3: (0.5, 1.0), 5: (2.0, 1.0)}  # chosen, random
    rows = [
        {"learner": name, "n_shots": k, "task": task, "metric": metric, "value": value}
        for k, pair_of in regrets.items()
        for task in range(8)
        for name, regret in zip(("chosen", "random"), pair_of, strict=True)
        for metric, value in (("regret", regret), ("hit@3", 1.0))
    ]
    records = pd.DataFrame(rows).assign(partition="p", seed=0)
    records["group"] = records["task"]
    hits, regret_gaps = (
        pd.DataFrame({f"{k} asked": {("p", "random"): paired_difference(records, "chosen", "random", metric, k)}
                      for k in regrets}) for metric in ("hit@3", "regret")
    )  # fmt: skip
    assert does_it_help(hits, regret_gaps) == [
        "p: choosing, against random questions, helps after 2 and 3 and harms after 5."
    ]
    first = ["1 asked"]
    assert does_it_help(hits[first], regret_gaps[first]) == [
        "p: choosing, against random questions, makes no sure difference after 1."
    ]


def test_an_oracle_prior_hits_and_halves_are_disjoint():
    may_ask, candidates = pools(HALVES, 9, 0, 5)
    assert not (may_ask & candidates).any()
    assert int(candidates.sum()) == 5
    assert pools(LEFT_OVER, 4, 0, 0)[0].all()
    with pytest.raises(ValueError, match="protocol must be"):
        pools("thirds", 4, 0, 0)
    ratings = torch.tensor([1.0, 4, 2, 5, 3], dtype=torch.float64)
    one = torch.eye(5, dtype=torch.float64)
    knows = Belief(
        ratings[None],
        one[None],
        torch.zeros(1, 5).double(),
        1e-9 * one[None],
        torch.ones(1, 5).double(),
    )
    all_of = torch.ones(5, dtype=torch.bool)
    found = asked_by(
        Visit(knows, ratings, torch.ones(5), all_of, all_of, 0), CHOOSERS["random"], (0, 1)
    )
    assert all(v["hit@3"] == 1 and v["regret"] == 0 for v in found.values())


def test_the_study_is_paired_by_person_and_repeats_itself():
    shop = made_shop(n_users=24)
    options = {"n_questions": (0, 1, 2), "n_folds": 2, "n_draws": 2}
    records = guide_study(shop, **options)
    pd.testing.assert_frame_equal(records, guide_study(shop, **options))
    one = records[(records["metric"] == "hit@3") & (records["n_shots"] == 0)]
    same = one.pivot_table(index=["partition", "task", "seed"], columns="learner", values="value")
    assert same.dropna().nunique(axis=1).eq(1).all(), "before any question all are equal"
    table = gains(records, "regret", (1, 2))
    assert table.shape == (12, 2)
    told = does_it_help(gains(records, "hit@3", (1, 2)), table)
    assert len(told) == 8
    assert told[0].startswith("left over, rate: choosing, against popular questions, ")
    with pytest.raises(InputError, match="people rated 200 items"):
        guide_study(shop, n_questions=(100,))


def test_beliefs_about_some_items_are_those_rows(belief):
    some = torch.tensor([4, 1])
    assert torch.equal(of_items(belief, some).expected(), belief.expected()[:, some])
    assert foretold(belief, rate(belief, 4))[0] == pytest.approx(float(belief.expected()[0, 4]))


def test_expected_best_of_two_answers_by_hand():
    mean, slopes = torch.tensor([1.0, 0.0]).double(), torch.tensor([[0.0, 2.0]]).double()
    found = expected_best_of(mean, slopes, outcomes(torch.zeros(1, 1).double()))
    assert float(found) == pytest.approx(0.5 * 1 + 0.5 * 2 * (2 / np.pi) ** 0.5)
