"""Notebooks 09 to 12 and 17, run here without any data folder and with every connection refused, at small sizes.

So 09 answers from our own FAQ. And what cannot be asked of them is one sentence, before anything is computed.
"""

import ast
import json
import socket
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

from fsl.errors import InputError
from fsl.reading import fetch

FOLDER = Path(__file__).parents[1] / "notebooks"
SMALL = {
    "09_customer_service": {"shots": [1], "n_draws": 2, "epochs": 1},
    "10_distillation": {
        "n_texts": 120, "n_test": 60, "n_other": 80, "n_words": 60, "n_draws": 2, "n_rounds": 1,
    },
    "11_search": {"shots": [0, 3], "n_queries": 12, "n_searches": 2},
    "12_phone_review": {"shots": [0, 1], "n_draws": 1},
    "17_words_and_pictures": {"shots": [0], "n_phones": 8},
}  # fmt: skip


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No data folder, an empty cache, and a list of who asked for a connection, all of them refused."""
    asked = []

    def no(*args, **options):
        asked.append(args)
        raise OSError("no network in this test")

    for way in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, way, no)
    monkeypatch.setattr(socket, "getaddrinfo", no)
    monkeypatch.delenv("FSL_DATA", raising=False)
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path / "cache")
    matplotlib.use("Agg")
    yield asked
    plt.close("all")


def run(name: str, **given) -> dict:
    """The names that a notebook leaves behind, its parameters changed as `given`."""
    names = {"__name__": "notebook", "display": lambda shown: None}
    for cell in json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        exec(compile(source, f"{name}, {cell['id']}", "exec"), names)
        if "parameters" in cell["metadata"].get("tags", []):
            known = {one.targets[0].id for one in ast.parse(source).body}
            assert set(given) <= known
            names.update(given)
    return names


@pytest.mark.parametrize("name", [name for name in SMALL if name != "09_customer_service"])
def test_it_runs_with_no_data_and_no_network_and_asks_for_none(name, alone, capsys):
    run(name, **SMALL[name])
    assert alone == []
    assert "not run" not in capsys.readouterr().out


def test_09_answers_from_our_own_faq_where_the_bank_cannot_be_had(capsys):
    left = run("09_customer_service", **SMALL["09_customer_service"])
    assert left["intents"].source == "phone shop FAQ"
    assert left["encoder"].name == "minilm"
    shown = capsys.readouterr().out
    assert "banking77 cannot be fetched" in shown
    assert "So this run is about a small FAQ that we wrote, read by minilm." in shown
    learned = set(left["records"]["learner"])
    assert {"fine-tuned", "prototypes, cosine + name", "random", "oracle"} <= learned


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("09_customer_service", {"data": "bank"}, "no intents are called 'bank', expected"),
        ("09_customer_service", {"data": "ours", "shots": [0]}, "shots are [0], expected examples"),
        ("09_customer_service", {"data": "ours", "n_draws": 0}, "examples are to be drawn 0 times"),
        ("10_distillation", {"data": "bank"}, "no intents are called 'bank', expected one of"),
        ("10_distillation", {"n_shots": 0}, "n_shots is 0 and n_draws 5, expected 1 or more"),
        ("10_distillation", {"n_draws": 0}, "n_shots is 5 and n_draws 0, expected 1 or more"),
        ("11_search", {"data": "shop"}, "no source is called 'shop', expected one of"),
        ("11_search", {"encoder": "bert"}, "no text encoder is called 'bert', expected one of"),
        ("11_search", {"shots": []}, "shots must be different whole numbers, 0 or more, got []"),
        ("11_search", {"n_queries": 0}, "no query is asked for, expected 1 or more."),
        ("12_phone_review", {"shots": [-1]}, "shots must be different whole numbers, 0 or more"),
        ("12_phone_review", {"encoders": [], "n_draws": 0}, "n_draws is 0, expected 1 or more."),
        ("12_phone_review", {"encoders": ["bert"]}, "no text encoder is called 'bert'"),
        ("17_words_and_pictures", {"encoder": "bert"}, "no text encoder is called 'bert'"),
        ("17_words_and_pictures", {"data": "shop"}, "shop: no such folder, nor a source"),
        ("09_customer_service", {"data": "ours", "n_tuned": -1}, "n_tuned is -1, expected a whole"),
        ("09_customer_service", {"n_draws": 2, "n_tuned": 3}, "n_tuned is 3, expected a whole number from 0 to 2."),
        ("09_customer_service", {"epochs": 0}, "epochs is 0, expected a whole number from 1 to 1,000."),
        ("09_customer_service", {"n_draws": 10**9}, "n_draws is 1000000000, expected a whole number"),
        ("10_distillation", {"n_texts": -1}, "n_texts is -1, expected a whole number from 0 to 1,000,000."),
        ("10_distillation", {"n_test": 2.5}, "n_test is 2.5, expected a whole number"),
        ("10_distillation", {"n_other": -3}, "n_other is -3, expected a whole number"),
        ("10_distillation", {"n_words": -5}, "n_words is -5, expected a whole number"),
        ("10_distillation", {"n_buckets": -1}, "n_buckets is -1, expected a whole number from 0 to 262,144."),
        ("10_distillation", {"n_buckets": 10**9}, "n_buckets is 1000000000, expected a whole number"),
        ("10_distillation", {"n_rounds": 0}, "n_rounds is 0, expected a whole number from 1 to 1,000."),
        ("11_search", {"n_searches": -1}, "n_searches is -1, expected a whole number from 1 to 1,000."),
        ("11_search", {"n_queries": 10**9}, "n_queries is 1000000000, expected a whole number"),
        ("12_phone_review", {"shots": [0]}, "0 examples of each class are drawn, expected a K of 1 or more."),
        ("12_phone_review", {"n_draws": 10**9}, "n_draws is 1000000000, expected a whole number"),
        ("12_phone_review", {"labels_file": "x.csv"}, "x.csv: the simulated shop has labels of its own"),
        ("17_words_and_pictures", {"n_components": -3}, "n_components is -3, expected a whole number"),
        ("17_words_and_pictures", {"n_folds": 6}, "n_folds is 6, expected a whole number from 1 to 5."),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(name, given, said):
    with pytest.raises(InputError) as caught:
        run(name, **given)
    (problem,) = caught.value.problems
    assert problem.startswith(said)
