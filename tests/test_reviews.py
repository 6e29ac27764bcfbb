"""Opinions of phones: labels by row, kappa and intervals against other libraries, draws without leaks, cards."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score

from fsl import InputError
from fsl.compare import FEWEST
from fsl.data import Shop
from fsl.reviews import cards as phone_cards
from fsl.reviews import confusion as c
from fsl.reviews import few_shot, heads, labels, overview, results
from fsl.reviews.agreement import agreement
from fsl.reviews.codebook import ASPECTS, SENTIMENTS, parse_aspects, written
from fsl.reviews.gallery import cards_html, gallery, write_page
from fsl.reviews.simulated import with_explanations
from fsl.reviews.specs import beaten, standings
from fsl.simulate import simulate_shop
from fsl.sources import load

A = {name: place for place, name in enumerate(ASPECTS)}
LETTERS = {"letters + codebook": heads.Method(heads.letters, heads.logistic, True)}


@pytest.fixture(scope="module")
def invented():
    shop, _ = simulate_shop(600, 60, seed=1)
    return with_explanations(shop, seed=2, n_users=60, n_items=12)


@pytest.fixture(scope="module")
def opinions(invented):
    return labels.opinions_of(*invented)


def made(rows, ratings=None, items=None):
    """Opinions and their shop from (user, item, text, aspects, sentiment)."""
    table = pd.DataFrame(rows, columns=["user", "item", "explanation", "aspects", "sentiment"])
    ratings = np.arange(len(table)) % 5 + 1.0 if ratings is None else ratings
    shop = Shop(
        table[["user", "item", "explanation"]].assign(rating=np.asarray(ratings, float)),
        items=items,
    )
    return shop, labels.opinions_of(shop, table[["user", "item", "aspects", "sentiment"]])


def about(item, n_praise, n_blame, aspect="camera", start=0):
    """One row per person."""
    signs = "+" * n_praise + "-" * n_blame
    feels = {"+": "positive", "-": "negative"}
    return [
        (f"u{start + i}", item, f"{aspect} {i}", f"{aspect}{s}", feels[s])
        for i, s in enumerate(signs)
    ]


# Labels


def test_a_label_is_read_as_it_is_written():
    found = parse_aspects("camera+ price- os0", "here")
    assert found == {"camera": 1, "price": -1, "os": 0}
    there = np.array([name in found for name in ASPECTS])
    signs = np.array([found.get(name, 0) for name in ASPECTS])
    assert written(there, signs) == "camera+ price- os0"


@pytest.mark.parametrize("cell", ["camra+", "camera", "camera+ camera-", "camera+, price-"])
def test_a_label_that_is_none_is_told_with_its_place(tmp_path, cell):
    path = tmp_path / "mine.csv"
    pd.DataFrame(
        [["1", "2", "price+", "positive"], ["1", "3", cell, "positive"]], columns=labels.COLUMNS
    ).to_csv(path, index=False)
    with pytest.raises(
        InputError, match=r"^mine\.csv, line 3, column 'aspects': .*, expected each once"
    ):
        labels.read_labels(path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["1", "2", "", "positive"]], r"line 2, column 'aspects': no aspect"),
        (
            [["1", "2", "os+", "good"]],
            r"line 2, column 'sentiment': 'good', expected positive, neg",
        ),
        ([["1", "2", "os+", "neutral"]] * 2, r"line 3: user '1', item '2' is there twice"),
    ],
)
def test_bad_labels_are_one_sentence(tmp_path, rows, said):
    path = tmp_path / "mine.csv"
    pd.DataFrame(rows, columns=labels.COLUMNS).to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"^mine\.csv, {said}"):
        labels.read_labels(path)


def test_labels_want_their_columns_and_a_file(tmp_path):
    (tmp_path / "mine.csv").write_text("user,item,aspects\n1,2,os+\n")
    with pytest.raises(InputError, match="no column 'sentiment', expected user, item, aspects"):
        labels.read_labels(tmp_path / "mine.csv")
    with pytest.raises(InputError, match=r"^none\.csv: .*expected a CSV of labels"):
        labels.read_labels(tmp_path / "none.csv")


def test_labels_and_shop_must_belong_together():
    rows = pd.DataFrame([["1", "9", "os+", "positive"]], columns=labels.COLUMNS)
    shop = Shop(pd.DataFrame({"user": ["1"], "item": ["2"], "explanation": ["ok"]}))
    with pytest.raises(InputError, match="line 2: user '1', item '9' has no explanation in shop"):
        labels.opinions_of(shop, rows)
    with pytest.raises(InputError, match="no column 'explanation'"):
        labels.opinions_of(Shop(shop.interactions.drop(columns="explanation")), rows)
    with pytest.raises(InputError, match=r"^shop: no labels of its explanations are here"):
        labels.labels_of(shop)


def test_an_address_is_neither_shown_nor_learned():
    shop, found = made([("1", "2", "me@there.org good", "general+", "positive")])
    assert found.table["text"].tolist() == ["(address) good"]
    assert shop.interactions["explanation"].tolist() == ["me@there.org good"]


def test_the_same_text_is_known_in_any_case():
    assert labels.same_text(" Good  CAMERA!") == labels.same_text("good camera")
    assert labels.same_text("good camera") != labels.same_text("good cameras")


def test_the_packaged_labels_are_many_and_hold_no_text():
    table = labels.read_labels()
    assert list(table) == labels.COLUMNS + labels.SECOND
    assert len(table) == 959
    assert table["user"].str.fullmatch(r"\d+").all()
    assert table["item"].str.fullmatch(r"\d+").all()
    words = set(" ".join(table["aspects"]).split()) | set(table["sentiment"])
    assert all(
        re.fullmatch(rf"({'|'.join(ASPECTS)})[-+0]|{'|'.join(SENTIMENTS)}", w) for w in words
    )


def test_the_packaged_labels_fit_phones_99():
    try:
        shop = load("phones-99", timeout=10)
    except InputError:
        pytest.skip("phones-99 cannot be had here")
    found = labels.opinions_of(shop, labels.labels_of(shop))
    assert len(set(found.table["user"])) == 96
    assert not {"238", "233", "252"} & set(found.table["user"]), "who answered twice is in once"
    told = overview.ratings_tell(found)
    assert told.low > 0.8, "readers who saw no rating agree with the ratings"
    wordings = pd.DataFrame({"wording": found.wording, "feeling": found.first.sentiment})
    assert (wordings.groupby("wording")["feeling"].nunique() == 1).all(), "one text, one sentiment"


# Confusion, kappa, intervals


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=8, max_size=60))
def test_measures_are_those_of_scikit_learn(pairs):
    true, told = np.array(pairs).T
    counts = c.confusion(true, told, np.zeros(len(true), int), 4, 1).sum(0)
    assert c.accuracy(counts) == pytest.approx((true == told).mean())
    there = sorted(set(true) | set(told))
    assert c.macro_f1(counts) == pytest.approx(
        f1_score(true, told, labels=there, average="macro", zero_division=0)
    )
    if set(told) <= set(true):  # scikit-learn warns of others
        assert c.balanced_accuracy(counts) == pytest.approx(balanced_accuracy_score(true, told))
    if len(set(true)) > 1:
        assert c.kappa(counts) == pytest.approx(cohen_kappa_score(true, told))


def test_kappa_at_its_ends():
    assert c.kappa(np.eye(3) * 7) == pytest.approx(1)
    assert c.kappa(np.outer([2, 8], [5, 5])) == pytest.approx(0)
    assert c.kappa(np.array([[0, 5], [5, 0]])) == pytest.approx(-1)
    assert np.isnan(c.kappa(np.array([[9, 0], [0, 0]])))


def test_an_interval_resamples_people_and_draws():
    rng = np.random.default_rng(0)
    counts = np.zeros((30, 40, 2, 2))
    right = rng.binomial(10, 0.7, size=(1, 40, 1)) + np.zeros((30, 1, 1))
    counts[..., 1, 1:], counts[..., 1, :1] = right, 10 - right
    same_draws = c.interval(c.accuracy, c.resample(counts))
    share = right[0, :, 0] / 10
    half = 1.96 * share.std() / np.sqrt(len(share))
    assert same_draws.value == pytest.approx(share.mean())
    assert same_draws.high - same_draws.value == pytest.approx(half, rel=0.15)
    shaky = np.clip(right + rng.integers(-3, 4, size=(30, 1, 1)), 0, 10)
    counts[..., 1, 1:], counts[..., 1, :1] = shaky, 10 - shaky
    few = c.interval(c.accuracy, c.resample(counts[:4]))
    assert few.high - few.low > 1.5 * (same_draws.high - same_draws.low), "few draws widen it"


def test_a_difference_is_paired():
    rng = np.random.default_rng(1)
    told = rng.integers(2, size=400)
    true, user = np.where(rng.random(400) < 0.7, told, 1 - told), np.arange(400) // 10
    ours = c.resample(c.confusion(true, told, user, 2, 40)[None])
    assert c.difference(c.accuracy, ours, ours) == c.Interval(0, 0, 0)
    better = np.where(np.arange(400) < 40, true, told)
    gap = c.difference(c.accuracy, c.resample(c.confusion(true, better, user, 2, 40)[None]), ours)
    wide = c.interval(c.accuracy, ours)
    assert gap.value == pytest.approx((better == true).mean() - (told == true).mean())
    assert gap.high - gap.low < wide.high - wide.low
    other = c.resample(c.confusion(1 - true, told, user, 2, 40)[None])
    with pytest.raises(ValueError, match="counts of the same rows"):
        c.difference(c.accuracy, ours, other)


def test_few_people_give_no_interval():
    counts = c.confusion(np.zeros(8, int), np.zeros(8, int), np.arange(8) % 4, 2, 9)[None]
    with pytest.raises(InputError, match="4 users are too few for an interval, 5 are needed"):
        c.resample(counts)


def test_agreement_counts_what_both_readers_said(opinions):
    found = agreement(opinions)
    assert list(found.index) == [*ASPECTS, "polarity", "sentiment"]
    first, second = opinions.first.rows(opinions.reread), opinions.second
    kappa = cohen_kappa_score(first.mentioned[:, A["camera"]], second.mentioned[:, A["camera"]])
    assert found.loc["camera", "kappa"] == pytest.approx(kappa)
    assert found.loc["sentiment", "kappa"] == pytest.approx(
        cohen_kappa_score(first.sentiment, second.sentiment)
    )
    assert ((found["low"] <= found["kappa"]) & (found["kappa"] <= found["high"])).all()
    with pytest.raises(InputError, match="read once"):
        agreement(labels.Opinions(opinions.table, opinions.first))


# Draws and studies


@pytest.mark.parametrize("which", [0, 1])
def test_a_draw_leaks_neither_people_nor_wordings(opinions, which):
    task = few_shot.tasks_of(opinions)[which]
    for seed in range(5):
        drawn = few_shot.draw(opinions, task, 6, np.random.default_rng(seed))
        support = np.concatenate(drawn.support)
        assert not set(opinions.user[support]) & set(opinions.user[drawn.query])
        assert not set(opinions.user[drawn.background]) & set(opinions.user[drawn.query])
        assert not set(opinions.wording[support]) & set(opinions.wording[drawn.query])
        assert len(set(opinions.wording[support])) == len(support), "different texts"
        for place, rows in enumerate(drawn.support):
            assert (task.classes[rows] == place).all()
            assert 1 <= len(rows) <= 6


def test_a_class_without_an_example_is_told():
    rows = [(f"u{i}", "p", f"text {i}", "camera+", "positive") for i in range(20)]
    _, found = made(rows)
    with pytest.raises(
        InputError, match="aspect 'battery': none of the 10 people drawn wrote of it"
    ):
        few_shot.draw(found, few_shot.tasks_of(found)[0], 2, np.random.default_rng(0))


@pytest.fixture(scope="module")
def study(opinions):
    task = few_shot.tasks_of(opinions)[0]
    return few_shot.study(opinions, task, LETTERS, (0, 1, 4), 3, seed=5)


def test_every_method_and_ruler_judges_the_same_rows(opinions, study):
    true = [counts.sum(-1) for counts in study.counts.values()]
    assert all((other == true[0]).all() for other in true)
    assert c.accuracy(study.counts["oracle", 0].sum((0, 1))) == 1
    share = true[0].sum((0, 1)) / true[0].sum()
    assert c.accuracy(study.counts["constant", 0].sum((0, 1))) == pytest.approx(share.max())
    assert c.balanced_accuracy(study.counts["random", 0].sum((0, 1))) == pytest.approx(
        1 / len(ASPECTS)
    )


def test_more_examples_help_and_the_same_seed_gives_the_same_counts(opinions, study):
    found = {
        k: c.balanced_accuracy(study.counts[next(iter(LETTERS)), k].sum((0, 1))) for k in (1, 4)
    }
    assert found[4] > found[1] > 1 / len(ASPECTS)
    again = few_shot.study(opinions, study.task, LETTERS, (0, 1, 4), 3, seed=5)
    assert all((again.counts[key] == counts).all() for key, counts in study.counts.items())


def test_labels_of_the_query_teach_nothing(opinions):
    """Wrong labels for all people who are judged change what is right, not what is told."""
    task = few_shot.tasks_of(opinions)[1]
    drawn = few_shot.draw(opinions, task, 5, np.random.default_rng(3))
    told = few_shot._told(opinions, task, LETTERS, (5,), drawn)
    wrong = task.classes.copy()
    wrong[drawn.query] = (wrong[drawn.query] + 1) % 3
    again = few_shot._told(opinions, task._replace(classes=wrong), LETTERS, (5,), drawn)
    assert all((again[key] == told[key]).all() for key in told)


def test_tables_of_a_study(study):
    counted = results.resamples(study)
    summary = results.table(counted)
    key = (next(iter(LETTERS)), 4)
    total = study.counts[key].sum((0, 1))
    line = summary.query("learner == @key[0] and n_shots == 4").set_index("metric")
    assert line.loc["accuracy", "value"] == pytest.approx(np.trace(total) / total.sum())
    assert (summary["low"] <= summary["value"] + 1e-9).all()
    shown = results.shown(summary, "accuracy")
    assert list(shown.columns) == ["K = 0", "K = 1", "K = 4"]
    assert (
        list(shown.index[-3:]) == ["oracle", "constant", "random"]
        or shown.index[-1] in few_shot.RULERS
    )
    each = results.by_class(study, counted, key)
    assert each.loc["camera", "recall"] == pytest.approx(
        total[A["camera"], A["camera"]] / total[A["camera"]].sum()
    )
    mistakes = results.mixed_up(study, counted, key, n=200)
    assert mistakes["share"].sum() == pytest.approx(1 - np.trace(total) / total.sum())


def test_prototypes_by_hand_dense_and_sparse():
    support = np.array([[1.0, 0], [0.8, 0.6], [0, 1]])
    query = np.array([[0.9, 0.2], [0.1, 1]])
    for dense in (True, False):
        side = (lambda x: x) if dense else heads.csr_matrix
        told = heads.prototypes(side(support), np.array([0, 0, 1]), side(query), 2)
        assert told.tolist() == [0, 1]


def test_what_it_is_about_is_taken_out():
    rng = np.random.default_rng(0)
    kept = {}

    def represent(_, texts):
        rows = [kept.setdefault(t, rng.normal(size=40)) for t in texts]
        return heads.normalize(np.stack(rows))

    lines = [line for name, line in ASPECTS.items() if name != "general"]
    about = represent(None, lines)
    rest = heads.less_aspects(represent)(None, ["a text", "another"])
    assert np.abs(rest @ about.T).max() < 1e-9
    assert np.linalg.norm(rest, axis=1) == pytest.approx(1)


# Cards


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (3, 7), (40, 90), (1, 1)])
def test_wilson_is_scipys(k, n):
    found = phone_cards.wilson(k, n)
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_a_place_in_the_catalogue():
    assert beaten(np.array([1.0, 2, 2, 3])).tolist() == pytest.approx([0, 0.5, 0.5, 1])
    assert np.isnan(beaten(np.array([np.nan, 1, 2]))[0])
    assert beaten(np.array([np.nan, 1, 2])).tolist()[1:] == [0, 1]
    assert np.isnan(beaten(np.array([4.0]))).all()
    assert beaten(np.full(5, 3.0)).tolist() == [0.5] * 5


def catalogue(n=6):
    return pd.DataFrame({
        "item": [f"p{i}" for i in range(n)], "name": [f"Phone {i}" for i in range(n)],
        "price": np.arange(n) * 100.0 + 100, "release_date": [f"2022-0{i + 1}-01" for i in range(n)],
        "screen_size": np.arange(n) + 5.0, "weight": [200.0] * n,
    })  # fmt: skip


def test_low_prices_light_phones_and_late_dates_are_good():
    found = standings(catalogue())
    first = {s.spec.label: s for s in found["p0"]}
    assert first["price"].share == 1
    assert first["released"].share == 0
    assert first["screen"].share == 0
    assert first["weight"].share == 0.5
    assert first["price"].value == "100 USD"
    assert first["price"].n_others == 5


def test_nothing_is_said_below_five_opinions():
    rows = about("p0", 4, 0) + about("p1", 3, 0, "battery", 9) + about("p1", 2, 0, "price", 20)
    shop, found = made(rows, items=catalogue())
    by_name = {card.name: card for card in phone_cards.cards(shop, found)}
    few = by_name["Phone 0"]
    assert (few.n, few.rating, few.positive, few.opinions, few.buy, few.avoid) == (
        4,
        None,
        None,
        [],
        [],
        [],
    )
    enough = by_name["Phone 1"]
    assert enough.n == FEWEST
    assert enough.opinions == []
    assert enough.too_few == {"battery": 3, "price": 2}
    text = cards_html([few], shop)
    assert "4 opinions: fewer than 5, so nothing is said" in text
    assert "positive" not in text


def test_praise_and_blame_are_counted_and_only_clear_ones_are_reasons():
    rows = about("p0", 9, 1) + about("p0", 1, 9, "battery", 20) + about("p0", 4, 3, "memory", 40)
    rows += about("p1", 3, 3, "camera", 60)
    shop, found = made(rows, items=catalogue())
    card = next(card for card in phone_cards.cards(shop, found) if card.name == "Phone 0")
    counts = {o.aspect: (o.praise, o.blame, o.n) for o in card.opinions}
    assert counts == {"camera": (9, 1, 10), "battery": (1, 9, 10), "memory": (4, 3, 7)}
    camera = card.opinions[[o.aspect for o in card.opinions].index("camera")]
    assert camera.of_others == 0.5
    buy, avoid = ({r.what: r.evidence for r in side} for side in (card.buy, card.avoid))
    assert "praised by 9 of 10" in buy["the camera"]
    assert "blamed by 9 of 10" in avoid["the battery"]
    assert "memory" not in {*buy, *avoid}
    assert "cheaper than 100 %" in buy["the price"]
    assert "older than 100 %" in avoid["being recent"]
    low, high = map(int, re.search(r"\[(\d+) % to (\d+) %\]", buy["the camera"]).groups())
    theirs = binomtest(9, 10).proportion_ci(method="wilson")
    assert (low, high) == (round(100 * theirs.low), round(100 * theirs.high))


def test_a_mention_that_is_neither_is_no_opinion():
    rows = [(f"u{i}", "p0", f"t{i}", "camera0", "neutral") for i in range(9)]
    shop, found = made(rows, items=catalogue())
    card = next(card for card in phone_cards.cards(shop, found) if card.n)
    assert card.opinions == []
    assert card.too_few == {}


def test_cards_want_a_catalogue():
    shop, found = made(about("p0", 5, 0))
    with pytest.raises(InputError, match="cards want a table of items"):
        phone_cards.cards(shop, found)


# The page


def test_the_page_is_whole_and_escapes_everything():
    items = catalogue().assign(name=["<script>alert(1)</script>", *(["<img src=x>"] * 5)])
    shop, found = made(about("p0", 6, 2), items=items)
    page = gallery(shop, found, phone_cards.cards(shop, found), ["<b>note</b>"])
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;note" in page
    assert not re.search(r"https?://|url\(|@import|<link", page)
    assert not re.search(r"<[^>]*\s(on\w+|src|href=\"[^#])", page)
    assert "default-src 'none'" in page
    assert page.count('<article class="card"') == 6
    assert "real data" in page
    folded = cards_html(phone_cards.cards(shop, found), shop)
    assert "<script" not in folded
    assert folded.count("<details>") == 5
    assert folded.count("<details open>") == 1


def test_an_invented_shop_is_called_simulated(invented, opinions):
    shop, _ = invented
    assert shop.simulated
    page = gallery(shop, opinions, phone_cards.cards(shop, opinions))
    assert "simulated data" in page
    assert page.lstrip().startswith("<!doctype html>")


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    write_page("one", tmp_path / "cards.html")
    assert (tmp_path / "cards.html").read_text() == "one"
    with pytest.raises(InputError, match="the page cannot be written there"):
        write_page("two", tmp_path / "no" / "cards.html")
    assert [path.name for path in tmp_path.iterdir()] == ["cards.html"]


# What was invented, and the whole


def test_what_is_invented_is_the_same_for_the_same_seed(invented):
    shop, _ = simulate_shop(600, 60, seed=1)
    again = with_explanations(shop, seed=2, n_users=60, n_items=12)
    assert again[0].interactions.equals(invented[0].interactions)
    assert again[1].equals(invented[1])
    other = with_explanations(shop, seed=3, n_users=60, n_items=12)
    assert not other[1]["aspects"].equals(invented[1]["aspects"])
    with pytest.raises(InputError, match="invented from a simulation's truth"):
        with_explanations(invented[0])


def test_what_all_say_adds_up(opinions):
    said = overview.said_of_aspects(opinions)
    assert said[["praise", "blame", "neither"]].sum().sum() == opinions.first.mentioned.sum()
    assert said.loc["camera", "praise"] == (opinions.first.polarity[:, A["camera"]] > 0).sum()
    value = said.loc["camera", "praise"] / said.loc["camera", ["praise", "blame"]].sum()
    assert said.loc["camera", "value"] == pytest.approx(value)


def test_ratings_tell_is_the_auc():
    rows = about("p0", 5, 0) + about("p0", 0, 5, start=5)
    _, good = made(rows, [5, 4, 5, 4, 5, 1, 2, 1, 2, 1])
    assert overview.ratings_tell(good).value == 1
    _, none = made(rows, [3] * 10)
    assert overview.ratings_tell(none).value == 0.5
