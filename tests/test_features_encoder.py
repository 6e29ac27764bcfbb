"""A saved encoder gives known rows the numbers that `encode` gives them, and new rows what follows from those."""

import json

import numpy as np
import pandas as pd
import pytest

from fsl import load
from fsl.encoder import Encoder
from fsl.features import encode, fit_encoder


def table() -> pd.DataFrame:
    """Every way a column is read: number, date, value, word, frequent value, code; and columns that are left out."""
    n = 120
    often = [f"seller {i % 60}" if i % 3 else "the shop" for i in range(n)]
    return pd.DataFrame({
        "item": [f"p{i}" for i in range(n)],
        "name": [f"Phone {i}" for i in range(n)],
        "price": [*np.linspace(90, 1_900, n - 1), np.nan],
        "weight": [str(i % 17) if i else "heavy" for i in range(n)],
        "released": [f"20{10 + i % 12}-0{1 + i % 9}-11" for i in range(n)],
        "seen": pd.date_range("2021-01-01", periods=n, freq="36h"),
        "colour": [("Red ", "blue", None)[i % 3] for i in range(n)],
        "tags": [f"big|{'gps' if i % 2 else 'nfc'}|t{i % 20}|u{i % 3}" for i in range(n)],
        "seller": often,
        "place": [f"0{1000 + i % 4}" for i in range(n)],
        "same": 1.0,
    })  # fmt: skip


def through_json(encoder: Encoder) -> Encoder:
    return Encoder.from_state(json.loads(json.dumps(encoder.state(), allow_nan=False)))


def shops():
    yield table(), "item"
    shop = load("simulated", n_users=60, n_items=30)
    yield shop.users, "user"
    yield shop.items, "item"


@pytest.mark.parametrize(("given", "key"), list(shops()))
def test_known_rows_get_the_numbers_of_encode(given, key):
    ids = pd.Index(given[key])[::-1]
    expected, names = encode(given, ids, key)
    encoder = through_json(fit_encoder(given, ids, key))
    found = encoder.transform(given.iloc[::-1])
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert encoder.names == names
    assert len(encoder.sources) == len(names)
    one = encoder.transform(given.iloc[[7]])[0]
    assert np.array_equal(one, expected[len(ids) - 1 - 7])


def test_every_way_of_reading_is_in_that_table():
    codes = {
        code.column: code for code in fit_encoder(table(), pd.Index(table()["item"]), "item").codes
    }
    assert {name: code.how for name, code in codes.items()} == {
        "price": "number", "weight": "number", "released": "date", "seen": "date", "colour": "value",
        "tags": "word", "seller": "value", "place": "value",
    }  # fmt: skip
    assert codes["tags"].separator == r"\s*\|\s*"
    assert codes["colour"].levels == ("blue", "red")
    assert len(codes["seller"].levels) == 40
    assert "the shop" in codes["seller"].levels


def test_values_by_hand():
    given = pd.DataFrame(
        {"item": ["a", "b", "c"], "price": [100.0, 200, 300], "os": ["x", "y", "x"]}
    )
    encoder = fit_encoder(given, pd.Index(given["item"]), "item")
    assert encoder.names == ["price", "os=x", "os=y"]
    assert encoder.sources == ["price", "os", "os"]
    new = pd.DataFrame(
        {"price": ["400", None, "dear"], "os": [" Y", "z", None], "colour": ["red"] * 3}
    )
    spread = np.std([100, 200, 300])
    expected = [[200 / spread, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert np.allclose(encoder.transform(new), expected)
    assert np.allclose(encoder.transform(new[["os"]])[0], [0, 0, 1])
    assert encoder.transform(pd.DataFrame(index=range(2))).tolist() == [[0, 0, 0]] * 2


def test_a_table_that_is_not_there_has_an_encoder_without_features():
    encoder = through_json(fit_encoder(None, pd.Index(["a"]), "item"))
    assert encoder.names == []
    assert encoder.transform(pd.DataFrame({"x": [1]})).shape == (1, 0)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"how": "eval"}, ValueError),
        ({"scale": 0.0}, ValueError),
        ({"scale": "1"}, TypeError),
        ({"levels": [1, 2]}, TypeError),
        ({"levels": ["x", "x"]}, ValueError),
        ({"separator": "(a+)+$"}, ValueError),
        ({"more": 1}, TypeError),
    ],
)
def test_a_state_that_none_of_ours_gives_is_refused(change, error):
    given = pd.DataFrame({"item": ["a", "b"], "os": ["x", "y"]})
    state = fit_encoder(given, pd.Index(given["item"]), "item").state()
    with pytest.raises(error):
        Encoder.from_state([state[0] | change])
    with pytest.raises(KeyError):
        Encoder.from_state([{name: v for name, v in state[0].items() if name != "how"}])
