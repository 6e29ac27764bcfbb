"""Search: BM25 against its formula, odds, wishes and their answers, expected gain, and purchases by category."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

import fsl
from fsl import compare
from fsl.encoders import text_encoder
from fsl.errors import InputError
from fsl.launches.value import true_ratings
from fsl.metrics import ndcg
from fsl.search import paths, personal
from fsl.search import purchases as bought
from fsl.search.texts import bm25, cosines, fit_odds, log_match
from fsl.search.wishes import WISHES, Query, answers, described, has_it, make_queries
from fsl.tasks import Tasks


@pytest.fixture(scope="module")
def shop():
    return fsl.load("simulated", n_users=150, n_items=60)


@pytest.fixture(scope="module")
def items(shop):
    return shop.items.sort_values("item", ignore_index=True)


# --- words


def test_bm25_is_its_formula():
    documents = ["red phone case", "blue phone", "red red leather wallet with zip", "cable"]
    words = [d.replace("with ", "").split() for d in documents]
    mean = np.mean([len(d) for d in words])
    query, expected = ["red", "phone"], np.zeros(4)
    for w in query:
        n_w = sum(w in d for d in words)
        for i, d in enumerate(words):
            f = Counter(d)[w]
            idf = math.log(1 + (4 - n_w + 0.5) / (n_w + 0.5))
            expected[i] += idf * f / (f + 1.5 * (0.25 + 0.75 * len(d) / mean))
    found = bm25(documents, ["red phone", "tractor", ""])
    assert np.allclose(found[0], expected, atol=1e-5)
    assert not found[1:].any(), "no word shared, no score"


def test_cosines_are_of_every_pair_and_equal_documents_score_alike():
    documents = ["long battery life", "excellent camera", "long battery life"]
    reader = text_encoder("tfidf", documents)
    found = cosines(reader, documents, ["battery", "camera"])
    assert found.shape == (2, 3)
    assert found[0, 0] == found[0, 2]
    assert found[0].argmax() == 0
    assert found[1].argmax() == 1


def test_odds_recover_a_known_logistic_and_saturate():
    generator = torch.Generator().manual_seed(0)
    text = torch.randn(40, 500, generator=generator)
    matches = torch.rand(40, 500, generator=generator) < torch.sigmoid(2 * text - 1)
    odds = fit_odds(text, matches)
    assert odds.slope == pytest.approx(2, abs=0.1)
    assert odds.offset == pytest.approx(-1, abs=0.1)
    steps = log_match(torch.linspace(0, 10, 500)[None], odds)[0].diff()
    assert (steps > 0).all()
    assert steps[-1] < steps[0]
    with pytest.raises(ValueError, match="some documents match and some do not"):
        fit_odds(text, torch.zeros_like(matches))


# --- wishes


def test_a_third_has_what_is_wished_for(items):
    for name, wish in WISHES.items():
        has = has_it(items, wish)
        assert 1 / 3 <= has.mean() < 0.67, name
        values = items[wish.column] * (1 if wish.much else -1)
        assert values[has].min() > values[~has].max()
    with pytest.raises(
        InputError, match=r"items: no column 'weight_g', expected those of the simulated shop"
    ):
        has_it(items.drop(columns="weight_g"), WISHES["lightness"])


def test_the_shops_text_says_what_a_phone_has_and_nothing_else(items):
    for row, text in enumerate(described(items)):
        said = {name for name, wish in WISHES.items() if wish.shop_says in text}
        assert said == {name for name, wish in WISHES.items() if has_it(items, wish)[row]}


def test_answers_are_all_wishes_and_the_brand(items):
    both = answers(Query("", ("battery", "camera")), items)
    assert (both == (has_it(items, WISHES["battery"]) & has_it(items, WISHES["camera"]))).all()
    brand = items["brand"].iloc[0]
    assert (items["brand"][answers(Query("", ("battery",), brand), items)] == brand).all()


def test_queries_are_different_and_have_answers(items):
    made = make_queries(items, np.random.default_rng(0), 20, least=4)
    assert len({query.text for query in made}) == 20
    assert min(answers(query, items).sum() for query in made) >= 4
    assert made == make_queries(items, np.random.default_rng(0), 20, least=4)
    with pytest.raises(InputError, match="only 0 queries have 1000 answers here, expected 3"):
        make_queries(items, np.random.default_rng(0), 3, least=1000)


# --- expected gain


@pytest.fixture(scope="module")
def asked(shop, items):
    tasks = fsl.user_tasks(shop)
    opinions = true_ratings(shop, fsl.item_tasks(shop), torch.arange(len(tasks.subject_ids))).T
    there = items.set_index("item").loc[tasks.object_ids].reset_index()
    queries = make_queries(there, np.random.default_rng(0), 12, least=4)
    meant = torch.from_numpy(np.stack([answers(query, there) for query in queries]))
    found = personal.searches(tasks, opinions, meant, torch.Generator().manual_seed(0), 5, 3)
    return tasks, opinions, meant, found


def test_relevant_is_what_is_meant_and_what_the_user_has_is_no_candidate(asked):
    tasks, opinions, meant, found = asked
    assert len(found.user) == 3 * len(found.draw.tasks)
    assert not (found.relevance[~meant[found.query]]).any()
    subject = tasks.subjects[found.draw.tasks][found.user]
    expected = opinions[subject].float() - 1
    assert torch.allclose(found.relevance, torch.where(meant[found.query], expected, 0))
    had = tasks.objects[found.draw.support[found.user]]
    assert not found.candidates.gather(1, had).any()
    assert (~found.candidates).sum(1).max() <= 5
    for user in range(3):
        assert len(set(found.query[found.user == user].tolist())) == 3


def test_known_intent_and_true_opinion_make_the_best_list(asked):
    tasks, opinions, meant, found = asked
    own = opinions[tasks.subjects[found.draw.tasks]][found.user].float()
    match = torch.where(meant[found.query], 0.0, -50.0)
    exact = personal.quality(personal.log_gain(match, own, 1.0), found)
    assert exact.min() > 0.999
    assert personal.best_weight(match, own, found) == 0.25, (
        "the first weight that orders; 0 does not"
    )
    assert personal.best_weight(match, torch.zeros_like(own), found) == 0
    ruler = personal.judged({"it": match}, found, tasks, 5)
    assert set(ruler["learner"]) == {"it", "random", "oracle"}
    assert ruler.query("learner == 'oracle'")["value"].min() > 0.999
    assert compare.paired_difference(ruler, "it", "random", personal.METRIC, 5).low > 0


def test_opinions_see_the_first_k_alone(asked):
    tasks, _, _, found = asked

    class Sum:
        def predict(self, support, query_inputs):
            total = (support.targets * support.mask).sum(1, keepdim=True)
            return total + query_inputs[..., 1]

    none, two = (personal.opinions_of(Sum(), tasks, found.draw, k) for k in (0, 2))
    assert none[0].tolist() == list(range(len(tasks.object_ids)))
    told = tasks.targets[found.draw.support[:, :2]].sum(1)
    assert torch.allclose(two - none, told[:, None].expand_as(none))
    stranger = personal.everybody(Sum(), tasks, 7)
    assert torch.allclose(stranger, torch.arange(len(tasks.object_ids)).float())


# --- purchases


@pytest.fixture(scope="module")
def log():
    """Two kinds of things; people keep to one brand, and each brand's things are bought together."""
    rng, rows = np.random.default_rng(0), []
    start = pd.Timestamp("2020-01-01").timestamp()
    for user in range(260):
        brand = user % 4
        moments = start + 86_400 * np.sort(rng.choice(110, 6, replace=False) + 2 * user)
        things = [10 * brand + i for i in rng.permutation(10)[:6]]
        rows += [(f"u{user:03}", f"i{t:02}", m) for t, m in zip(things, moments, strict=True)]
    table = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    items = pd.DataFrame({"item": [f"i{i:02}" for i in range(40)]})
    items["brand"] = [f"b{i // 10}" for i in range(40)]
    items["category"] = ["shop > cases" if i % 2 else "shop > cables > long" for i in range(40)]
    return fsl.Shop(table, items=items, name="log")


def of(log) -> tuple[Tasks, torch.Tensor, list[str]]:
    tasks = fsl.user_tasks(log, implicit=True)
    typed, category = paths.query_texts(log, tasks.object_ids)
    return tasks, category, typed


def test_queries_are_paths_without_their_root(log):
    tasks, category, typed = of(log)
    assert sorted(typed) == ["cables long", "cases"]
    assert [typed[c] for c in category[:2]] == ["cables long", "cases"]
    assert paths.item_texts(log, tasks.object_ids)[1] == "b0 shop cases"
    with pytest.raises(
        InputError, match="log: queries are category paths, and items has no column category"
    ):
        paths.query_texts(fsl.Shop(log.interactions, name="log"), tasks.object_ids)


def test_a_question_is_the_next_purchase_and_nothing_later_is_known(log):
    tasks, category, _ = of(log)
    start = pd.Timestamp("2020-10-01").timestamp()
    asked = bought.together(list(bought.purchase_questions(tasks, category, start, None, 2)))
    table = log.interactions.sort_values(["user", "timestamp"])
    for who, answer in zip(asked.who[:20], asked.answer[:20], strict=True):
        own = table[table["user"] == who]
        assert own["timestamp"].min() >= start
        assert own["item"].iloc[2] == tasks.object_ids[int(answer)]
    assert torch.equal(asked.category, category[asked.answer])
    assert (~asked.candidates).sum(1).tolist() == [2] * len(asked.answer)
    changed = log.interactions.assign(
        item=log.interactions["item"].where(log.interactions["timestamp"] < start, "i00")
    )
    later, _, _ = of(fsl.Shop(changed, items=log.items, name="log"))
    first = next(iter(bought.purchase_questions(tasks, category, start, None, 0, every=1)))
    again = next(iter(bought.purchase_questions(later, category, start, None, 0, every=1)))
    assert torch.equal(first.popularity[0], again.popularity[0])


def test_knowing_the_user_helps_where_people_keep_to_a_brand(log):
    tasks, category, typed = of(log)
    engines = {"BM25": bm25(paths.item_texts(log, tasks.object_ids), typed)}
    moments = [pd.Timestamp(d).timestamp() for d in ("2020-06-01", "2020-10-01")]
    tuned = bought.together(list(bought.purchase_questions(tasks, category, *moments, 3)))
    match = log_match(engines["BM25"], bought.category_odds(engines["BM25"], category, tuned))
    weights = bought.chosen_weights(match, tuned)
    assert weights[0][1:] == (0, 0)
    asked = bought.purchase_questions(tasks, category, moments[1], None, 3)
    records = bought.judge_purchases(engines, match, asked, weights, 3)
    assert compare.paired_difference(records, "user", "popularity", bought.METRIC, 3).low > 0
    table = compare.summarise(records, bought.METRIC).set_index("learner")["value"]
    assert table["oracle"] == 1
    assert table["random"] < table["BM25"] < table["user"]


def test_quality_is_the_librarys_ndcg_with_ties_in_expectation(log):
    tasks, category, _ = of(log)
    start = pd.Timestamp("2020-10-01").timestamp()
    asked = bought.together(list(bought.purchase_questions(tasks, category, start, None, 1)))
    scores = torch.randint(
        5, asked.popularity.shape, generator=torch.Generator().manual_seed(0)
    ).float()
    relevance = torch.zeros_like(scores).scatter(1, asked.answer[:, None], 1.0)
    expected = ndcg(scores, relevance, 10, asked.candidates)
    assert torch.allclose(bought.quality(scores, asked), expected)
    with pytest.raises(InputError, match="no new user has a next purchase with a category"):
        bought.together([])
