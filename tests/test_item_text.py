"""Items as sentences, their embedding as features, and the study of what it is worth."""

import numpy as np
import pandas as pd
import pytest
import torch

import fsl
import fsl.texts
from fsl.data import Shop
from fsl.encoders import text_encoder
from fsl.errors import InputError
from fsl.item_text import item_texts, text_features, with_item_text
from fsl.tasks import item_tasks, user_tasks
from fsl.texts.item_results import (
    BOTH,
    COLUMNS,
    ONE_HOT,
    TEXT,
    WITHOUT,
    content_gaps,
    in_words,
    item_text_table,
    metric_of,
)  # fmt: skip
from fsl.texts.item_study import contents_of, item_text_records


def a_shop(items: pd.DataFrame | None) -> Shop:
    interactions = pd.DataFrame({
        "user": ["u1", "u2", "u1", "u3"], "item": ["a", "a", "b", "c"], "rating": [5.0, 4, 1, 2],
    })  # fmt: skip
    return Shop(interactions, None, items, "made")


ITEMS = pd.DataFrame({
    "item": ["a", "b", "c", "d"],
    "price": [100.0, 200, 300, np.nan],
    "battery_size": [np.nan, 3000, 4000, 5000],
    "name": ["Vireo X1", " Lumo Z ", None, ""],
    "brand": ["Vireo", "Lumo", "Lumo", np.nan],
    "category": ["Phones > Android", None, "Cases", None],
})  # fmt: skip


def test_sentences_by_hand():
    assert item_texts(a_shop(ITEMS)) == [
        "brand Vireo; name Vireo X1; category Phones > Android; price 100 (very low).",
        "brand Lumo; name Lumo Z; battery size 3000 (very low); price 200 (low).",
        "brand Lumo; category Cases; battery size 4000 (low); price 300 (very high).",
        "battery size 5000 (very high).",
    ]
    ids = pd.Index(["c", "unknown", "a"])
    assert [text[:10] for text in item_texts(a_shop(ITEMS), ids)] == [
        "brand Lumo",
        "",
        "brand Vire",
    ]


def test_codes_are_no_names():
    coded = ITEMS.assign(name=["B00ABC", "120401325X", "3998899561", "Lumo Z"])
    assert not any("name" in text for text in item_texts(a_shop(coded)))
    few = ITEMS.assign(name=["B00ABC", "Moto G", "Lumo Z", "OnePlus 7"])
    assert "name B00ABC" in item_texts(a_shop(few))[0]


def test_an_items_text_knows_no_behaviour():
    shop = a_shop(ITEMS)
    other = Shop(shop.interactions.assign(rating=1.0).head(2), None, ITEMS, "made")
    assert item_texts(shop) == item_texts(other)


def test_without_items_it_is_said():
    with pytest.raises(
        InputError, match=r"made: item texts need a table of items, and there is none\."
    ):
        item_texts(a_shop(None))


def test_text_features_are_principal_components_of_the_rows_fitted_on():
    x = np.random.default_rng(0).normal(size=(30, 6))
    rows = np.arange(30) < 20
    found = text_features(x, rows, 3)
    assert found.shape == (30, 3)
    np.testing.assert_allclose(found[rows].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose((found[rows] ** 2).sum(1).mean(), 1)
    cov = np.cov(x[rows].T, bias=True)
    variances = np.sort(np.linalg.eigvalsh(cov))[::-1][:3]
    np.testing.assert_allclose((found[rows] ** 2).mean(0), variances / variances.sum())
    # What stands in the other rows moves nothing.
    x[~rows] += 100
    np.testing.assert_allclose(text_features(x, rows, 3)[rows], found[rows])
    assert text_features(x, np.arange(30) < 3, 6).shape == (30, 2)
    with pytest.raises(InputError, match="two items to fit on, got 1"):
        text_features(x, np.arange(30) < 1, 3)


@pytest.fixture(scope="module")
def shop():
    return fsl.load("simulated", n_users=60, n_items=30)


@pytest.mark.parametrize("make", [item_tasks, user_tasks])
def test_features_for_every_learner(shop, make):
    tasks = make(shop)
    side = "subject" if tasks.kind == "item" else "object"
    old = getattr(tasks, f"{side}_features")
    encoder = text_encoder("tfidf", item_texts(shop))
    rows = np.arange(len(old)) % 2 == 0
    assert with_item_text(tasks, shop, encoder, rows, "one-hot") is tasks
    text = getattr(with_item_text(tasks, shop, encoder, rows, "text", 5), f"{side}_features")
    both = with_item_text(tasks, shop, encoder, rows, "both", 5)
    assert torch.equal(getattr(both, f"{side}_features"), torch.cat([old, text], 1))
    assert len(getattr(both, f"{side}_feature_names")) == old.shape[1] + 5
    centred = old[rows] - old[rows].mean(0)
    torch.testing.assert_close(text[rows].square().sum(1).mean(), centred.square().sum(1).mean())
    with pytest.raises(ValueError, match="kind must be one of one-hot, text, both, got 'all'"):
        with_item_text(tasks, shop, encoder, rows, "all")


class Telling:
    """An encoder that says in one number what nobody else knows of an item: its mean rating."""

    def __init__(self, shop):
        said = dict(zip(item_texts(shop), shop.items["item"], strict=True))
        mean = shop.interactions.groupby("item")["rating"].mean()
        self.of = {text: mean.get(item, 3.0) for text, item in said.items()}

    def encode(self, inputs):
        return np.array([[self.of[text] - 3, 1.0] for text in inputs], np.float32)


def told_by_name_alone() -> Shop:
    """40 items of 30 ratings, good or bad as nothing but the name can tell."""
    draw = np.random.default_rng(0)
    user, item = (part.ravel() for part in np.meshgrid(np.arange(30), np.arange(40)))
    quality = draw.normal(size=40)
    rating = np.clip(3 + quality[item] + 0.5 * draw.normal(size=1200), 1, 5)
    interactions = pd.DataFrame({"user": user, "item": item, "rating": rating}).astype(
        {"user": str, "item": str}
    )
    items = pd.DataFrame({
        "item": np.arange(40).astype(str), "name": [f"phone {n}" for n in range(40)],
        "colour": draw.choice(["red", "blue", "green"], 40),
    })  # fmt: skip
    return Shop(interactions, None, items, "made")


def test_the_study_finds_what_a_text_tells():
    shop = told_by_name_alone()
    table = fsl.texts.item_text_study(shop, Telling(shop), (0,), n_folds=3, n_draws=1)
    assert list(table.columns) == COLUMNS
    value = table.set_index("content")["value"]
    assert list(value.index) == [
        "no content", "one-hot", "text", "both", "random", "constant", "oracle",
    ]  # fmt: skip
    assert value["text"] < value["one-hot"] - 0.2
    assert value["oracle"] == 0
    gap = table.set_index("content")["minus one-hot"]
    assert gap["text"].startswith("-")
    assert gap["one-hot"] == ""


def test_contents_of_clicks_weigh_alike(shop):
    encoder = text_encoder("tfidf", item_texts(shop))
    ids = pd.Index(shop.items["item"])
    rows = np.arange(len(ids)) < 20
    found = contents_of(shop, ids, encoder, rows, 4)
    squares = {
        name: content[rows].multiply(content[rows]).sum(1).mean() for name, content in found.items()
    }
    assert squares["no content"] == 0
    assert squares["text"] == pytest.approx(squares["one-hot"])
    assert squares["both"] == pytest.approx(2 * squares["one-hot"])


def clicked(seed: int = 0, hours: int = 0) -> Shop:
    """A new thing every twelve days of 2013 and 2014; half of the users take red ones, half blue, as its name says."""
    draw = np.random.default_rng(seed)
    colours = np.tile(["red", "blue"], 30)
    rows = [
        (f"u{user}", f"i{item}", 12 * item + int(draw.integers(60)))
        for user in range(60)
        for item in draw.permutation(60)[:30]
        if (colours[item] == "red") == (user % 2 == 0)
    ]
    log = pd.DataFrame(rows, columns=["user", "item", "day"])
    start = int(pd.Timestamp("2013-01-01").timestamp())
    log["timestamp"] = start + 86_400 * log.pop("day") + 3600 * hours
    names = [f"{colour} thing {item}" for item, colour in enumerate(colours)]
    items = pd.DataFrame({"item": [f"i{n}" for n in range(60)], "name": names})
    return Shop(log, None, items, "clicks")


@pytest.fixture(scope="module")
def clicks():
    shop = clicked()
    encoder = text_encoder("tfidf", item_texts(shop))
    return shop, item_text_records(shop, encoder, (0, 2), n_components=8)


def test_clicks_are_judged_and_told_like_ratings(clicks):
    shop, records = clicks
    assert metric_of(shop) == "hr@10"
    table = item_text_table(shop, records)
    assert list(table.columns) == COLUMNS
    first = table[table["n_shots"] == 0].set_index("content")
    assert list(first.index) == [WITHOUT, ONE_HOT, TEXT, BOTH, "random", "oracle"]
    assert first.loc["oracle", "value"] == 1
    assert first.loc[WITHOUT, "value"] == pytest.approx(first.loc["random", "value"], abs=0.02)
    assert first.loc[TEXT, "value"] > first.loc["random", "value"] + 0.1
    gaps = content_gaps(records, "hr@10", 0)
    value = first["value"]
    assert gaps.loc[TEXT, "value"] == pytest.approx(value[TEXT] - value[ONE_HOT])
    assert (first.loc[[WITHOUT, TEXT, BOTH], "p (Holm)"] <= 1).all()


@pytest.mark.parametrize(
    ("low", "high", "p", "metric", "verdict"),
    [
        (-0.2, -0.1, 0.01, "rmse", "beats"),
        (0.1, 0.2, 0.01, "rmse", "loses to"),
        (-0.1, 0.2, 0.01, "rmse", "cannot be told from"),
        (-0.2, -0.1, 0.08, "rmse", "cannot be told from"),
        (0.1, 0.2, 0.01, "hr@10", "beats"),
        (-0.2, -0.1, 0.01, "hr@10", "loses to"),
    ],
)
def test_the_outcome_in_words(low, high, p, metric, verdict):
    gap = pd.Series({"value": (low + high) / 2, "low": low, "high": high, "p_holm": p})
    said = in_words(gap, metric, 0, 33)
    assert said.startswith(f"With nothing known of a new item, its text {verdict} one-hot columns")
    assert said.endswith("33 items")


@pytest.mark.parametrize(
    ("shots", "options", "said"),
    [
        ([], {}, "n_shots must be different whole numbers, 0 or more, got []"),
        ([0], {"n_folds": 6}, "n_folds 6, n_draws 1, n_components 32: expected 1 to 5 folds"),
        ([0], {"n_draws": 0}, "n_folds 1, n_draws 0, n_components 32: expected 1 to 5 folds"),
    ],
)
def test_what_cannot_be_studied_is_one_sentence(shop, shots, options, said):
    asked = {"n_folds": 1, "n_draws": 1} | options
    with pytest.raises(InputError) as caught:
        item_text_records(shop, text_encoder("tfidf", item_texts(shop)), shots, **asked)
    assert str(caught.value).startswith(said)


def test_times_of_the_day_and_no_times(clicks):
    shop = clicked(hours=7)
    encoder = text_encoder("tfidf", item_texts(shop))
    found = item_text_records(shop, encoder, [2], n_components=8)
    assert set(found["learner"]) >= {ONE_HOT, TEXT}
    timeless = Shop(shop.interactions.drop(columns="timestamp"), None, shop.items, "clicks")
    with pytest.raises(
        InputError, match="clicks: a new item is told by its time, and interactions"
    ):
        item_text_records(timeless, encoder, [2])
    with pytest.raises(InputError, match="'soon' is no date, expected one such as 2014-01-01"):
        item_text_records(shop, encoder, [2], start="soon")


def test_clicks_know_five_first_users_at_most(clicks):
    shop, _ = clicks
    with pytest.raises(
        InputError, match=r"n_shots \[6\], n_components 64: expected at most 5 shots"
    ):
        item_text_records(shop, text_encoder("tfidf", item_texts(shop)), [6])
