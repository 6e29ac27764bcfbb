"""A shop built by hand: what is accepted, what is refused in which words, what is said of it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl import InputError, Shop
from fsl.data import column_kind
from fsl.feasibility import feasible_sizes
from fsl.features import encode, features_of_columns

LOG = {"user": [1, 1, 2], "item": ["a", "b", "a"], "rating": [4, 2, 5]}


def shop(**changes) -> Shop:
    return Shop(pd.DataFrame({**LOG, **changes}))


def refused(*tables) -> list[str]:
    with pytest.raises(InputError) as caught:
        Shop(*tables)
    return list(caught.value.problems)


def test_columns_get_their_types_and_rows_their_numbers():
    table = pd.DataFrame({**LOG, "timestamp": ["1970-01-02", "60", 3.5], "why": ["", "x", "y"]})
    made = Shop(table.set_index(pd.Index([7, 8, 9])))
    assert made.interactions.index.tolist() == [0, 1, 2]
    assert made.interactions["rating"].dtype == "float64"
    assert made.interactions["timestamp"].tolist() == [86400.0, 60.0, 3.5]
    assert made.interactions["why"].tolist() == ["", "x", "y"]
    assert table["rating"].dtype == "int64", "the caller's table is left as it was"


def test_rating_is_the_target_before_label():
    assert shop(label=[0, 1, 1]).target == "rating"
    assert shop(label=[0, 1, 1]).scale == (2.0, 5.0)
    labels = Shop(pd.DataFrame({"user": [1], "item": [2], "label": [1]}))
    assert (labels.target, labels.scale) == ("label", (0.0, 1.0))
    clicks = Shop(pd.DataFrame({"user": [1], "item": [2]}))
    assert (clicks.target, clicks.scale) == (None, None)


def test_dates_with_and_without_a_zone_are_unix_seconds():
    times = ["2020-01-01T00:00:00", "2020-01-01T02:00:00+02:00", "2020-01-01T00:00:01Z"]
    assert shop(timestamp=times).interactions["timestamp"].tolist() == [
        1577836800.0,
        1577836800.0,
        1577836801.0,
    ]
    stamps = pd.to_datetime(times, format="ISO8601", utc=True)
    assert shop(timestamp=stamps).interactions["timestamp"].tolist()[2] == 1577836801.0


@given(st.integers(-(2**31), 9_200_000_000))
def test_seconds_survive_the_way_through_iso(seconds):
    text = np.datetime64(seconds, "s").item().isoformat()
    made = Shop(pd.DataFrame({"user": [1], "item": [1], "timestamp": [text]}))
    assert made.interactions["timestamp"].tolist() == [float(seconds)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rating": [1, np.nan, np.inf]}, "interactions, row 2, column 'rating': nan, "
         "expected a finite number (2 such rows: 2, 3)."),
        ({"user": [1, None, 2]}, "interactions, row 2, column 'user': empty, expected an id."),
        ({"user": [1, "x", 2]}, "interactions, column 'user': ids of several types or none that is "
         "simple; expected all text or all numbers."),
        ({"item": ["a", "a", "a"]}, "interactions, row 2, column 'item': user 1 has item 'a' "
         "already, expected once or with a timestamp."),
        ({"label": [0, 1, 2]}, "interactions, row 3, column 'label': 2, expected 0 or 1."),
        ({"timestamp": [1, "noon", 3]}, "interactions, row 2, column 'timestamp': 'noon', expected "
         "Unix seconds or an ISO 8601 time such as 2024-05-31T18:00:00."),
    ],
)  # fmt: skip
def test_bad_interactions(changes, sentence):
    assert refused(pd.DataFrame({**LOG, **changes})) == [sentence]


def test_tables_must_be_tables_with_keys():
    assert refused([1, 2]) == ["interactions: list, expected a pandas DataFrame."]
    assert refused(pd.DataFrame({"customer": [1], "item": [1]})) == [
        "interactions: there is no column 'user'; the columns are 'customer', 'item' "
        "(is it 'customer'?)."
    ]
    log = pd.DataFrame(LOG)
    twice = pd.concat([log, log[["user"]]], axis=1)
    assert refused(twice) == [
        "interactions: column 'user' is there twice, expected each name once."
    ]
    assert refused(log.iloc[:0]) == [
        "interactions: there are no rows, expected one for each interaction."
    ]


def test_unknown_and_repeated_ids():
    log = pd.DataFrame(LOG)
    users, items = pd.DataFrame({"user": [1, 1]}), pd.DataFrame({"item": ["a"]})
    assert refused(log, users, items) == [
        "interactions, row 3, column 'user': 2 is not in users, expected a known user.",
        "interactions, row 2, column 'item': 'b' is not in items, expected a known item.",
        "users, row 2, column 'user': 1 is there already, expected each user once.",
    ]


def test_time_or_scene_tells_repeated_interactions_apart():
    log = {"user": [1, 1], "item": [1, 1]}
    Shop(pd.DataFrame({**log, "timestamp": [1, 2]}))
    Shop(pd.DataFrame({**log, "timestamp": [1, 1], "scene": ["shop", "web"]}))
    assert len(refused(pd.DataFrame({**log, "timestamp": [1, 1], "scene": ["web", "web"]}))) == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)), min_size=1))
def test_repeats_are_found_as_a_set_would_find_them(rows):
    table = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    if len(set(rows)) == len(rows):
        assert len(Shop(table).interactions) == len(rows)
    else:
        assert len(refused(table)) == 1


def test_item_names_fall_back_to_title_then_id():
    items = pd.DataFrame(
        {"item": ["a", "b", "c"], "name": ["Alpha", None, " "], "title": ["x", "Beta", None]}
    )
    made = Shop(pd.DataFrame(LOG), items=items)
    assert made.item_names().to_dict() == {"a": "Alpha", "b": "Beta", "c": "c"}
    assert shop().item_names().to_dict() == {"a": "a", "b": "b"}


def test_describe_says_it_all_and_is_inert(capsys):
    made = Shop(pd.DataFrame(LOG), name="\x1b[31mred", notes=("1 row was dropped.",))
    made.describe()
    said = capsys.readouterr().out
    assert "\x1b" not in said
    for text in ("\\x1b[31mred (real)", "users ", "75.000%", "no timestamps", "rating, 2 to 5",
                 "users with < 5 interactions  100.0%", "- 1 row was dropped."):  # fmt: skip
        assert text in said
    Shop(pd.DataFrame({**LOG, "timestamp": [0, 86400, 5]}), simulated=True).describe()
    said = capsys.readouterr().out
    assert "1970-01-01 to 1970-01-02" in said
    assert "(simulated)" in said


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, 3.5, np.nan], "numeric, 1 to 3.5, 1 missing"),
        ([4006381333931.0], "numeric, 4006381333931 to 4006381333931"),
        (["2020-01-02", "2021-01-02", None], "date, 2020-01-02 to 2021-01-02, 1 missing"),
        (["a", "b", "a"], "category, 2 different"),
        ([f"text {i}" for i in range(60)], "text, 60 different"),
        ([None, None], "empty, not used"),
    ],
)
def test_column_kind(values, kind):
    assert column_kind(pd.Series(values, name="x"), "items") == kind


def test_strange_tables_are_refused_in_words():
    simple = ("interactions, column 'user': ids of several types or none that is simple; "
              "expected all text or all numbers.")  # fmt: skip
    assert refused(pd.DataFrame({"user": [[1], [2]], "item": [1, 2]})) == [simple]
    levels = pd.MultiIndex.from_tuples([("user", "a"), ("item", "b")])
    assert refused(pd.DataFrame([[1, 2]], columns=levels)) == [
        "interactions: columns of several levels, expected one name each."
    ]
    assert refused(pd.DataFrame({"user": [1], "item": [1]}), pd.DataFrame({"user": ["1"]}))[
        0
    ].endswith(
        "expected a known user; ids are int64 here and " + str(pd.Series(["1"]).dtype) + " there."
    )


def test_what_the_check_says_of_features_is_what_the_models_get():
    n = 60
    items = pd.DataFrame({
        "item": range(n + 5),
        "name": "x",
        "price": [*range(n), None, None, None, None, 1e9],
        "brand": [f"B{i % 4}" for i in range(n + 5)],
        "mail": [f"{i}@x" for i in range(n + 5)],
        "model": [f"M{i // 2 if i < 30 else i // 3}" for i in range(n + 5)],
        "plz": [f"0{1000 + i % 7}" for i in range(n + 5)],
        "tags": [f"{'abcd'[i % 4]} {'efghi'[i % 5]} {'jkl'[i % 3]}" for i in range(n + 5)],
        "shop": "here",
        "story": None,
        "out": [f"2024-01-{1 + i % 28:02d}" for i in range(n + 5)],
    })  # fmt: skip
    log = pd.DataFrame({"user": 1, "item": range(n), "rating": 3})
    made = Shop(log, items=items)
    said = made.features_of("items")
    assert said == {
        "price": "1 feature, a number",
        "brand": "4 features, one per value",
        "mail": "left out: nearly every row has its own value",
        "model": "20 features, one per value",
        "plz": "7 features, one per value",
        "tags": "left out: nearly every row has its own value",
        "shop": "left out: there is only one value",
        "story": "left out: it is empty",
        "out": "1 feature, a number",
    }
    _, names = encode(items, pd.Index(range(n)), "item")
    for column, words in said.items():
        mine = [name for name in names if name.partition("=")[0] == column]
        assert len(mine) == (0 if words.startswith("left out") else int(words.split()[0]))
    assert made.features_of("users") == {}


def test_most_values_of_their_own_are_no_features_but_shared_words_are():
    values = [f"v{i % 24}" for i in range(36)]
    lists = [f"{'abcd'[i % 4]};{'efg'[i % 3]};{'hi'[i // 12 % 2]}" for i in range(36)]
    users = pd.DataFrame({"user": range(36), "job": values, "likes": lists})
    said = features_of_columns(users, users["user"], "user")
    assert said == {"job": "left out: 24 values in 36 rows", "likes": "9 features, one per word"}


def test_an_id_that_comes_again_counts_once():
    users = pd.DataFrame(
        {"user": range(20), "mail": [f"{i}@x" for i in range(20)], "age": range(20)}
    )
    once, names = encode(users, pd.Index(range(20)), "user")
    again, _ = encode(users, pd.Index([*range(20), 3, 3, 3, 0]), "user")
    assert names == ["age"]
    assert np.array_equal(again, np.vstack([once, once[[3, 3, 3, 0]]]))


@pytest.mark.parametrize(
    ("median", "asked", "n_query", "expected"),
    [
        (0, (1,), 10, ((), 0)),
        (1, (1, 3), 10, ((), 0)),
        (2, (1, 3), 10, ((1,), 1)),
        (5, (1, 3), 10, ((1, 3), 2)),
        (20, (1, 3, 5, 10), 10, ((1, 3, 5, 10), 10)),
        (100, (1, 3), 4, ((1, 3), 4)),
    ],
)
def test_feasible_sizes(median, asked, n_query, expected):
    assert feasible_sizes(median, asked, n_query) == expected


def test_huge_numbers_of_tables_by_hand_are_refused():
    items = pd.DataFrame({"item": ["a", "b"], "price": [1e16, 2]})
    assert refused(pd.DataFrame({**LOG, "rating": [1, 2, 1e9]}), None, items) == [
        "interactions, row 3, column 'rating': 1000000000, expected a rating between -1000000 and 1000000.",
        "items, row 1, column 'price': 1e+16, expected a number up to 1e15 in size or nothing.",
    ]


@pytest.mark.parametrize("label", [[True, False, True], ["True", "false", "1"], [1, 0, 1]])
def test_labels_may_be_true_and_false(label):
    assert shop(label=label).interactions["label"].tolist() == [1.0, 0.0, 1.0]
