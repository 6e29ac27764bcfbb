"""FewRel: the reader on small files and on bad ones, the forms of a sentence, TF-IDF prototypes, the protocol."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import seeded
from sklearn.feature_extraction.text import TfidfVectorizer

from fsl import InputError, class_episode, sources
from fsl.class_evaluation import accuracy
from fsl.compare import paired_difference
from fsl.episodes import Examples
from fsl.evaluation import COLUMNS, RULERS
from fsl.learners.text import TfidfPrototypes
from fsl.reading import fetch
from fsl.texts.fewrel import Sentence, around, masked, name_spans, read_fewrel, whole
from fsl.texts.fewrel_tasks import disjoint_rows, fewrel_records, fewrel_table

TOKENS = ["The", "Old", "Bridge", "\n", "crosses", "the", "wide", "Wye", ",", "says", "Wye", "."]
BRIDGE = {"tokens": TOKENS, "h": ["old bridge", "Q1", [[1, 2]]], "t": ["wye", "Q2", [[7], [10]]]}
MOTHER = {"tokens": ["Ann", "bore", "Bo"], "h": ["bo", "Q3", [[2]]], "t": ["ann", "Q4", [[0]]]}
NAMES = {"P177": ["crosses", "what it crosses"], "P25": ["mother", "female parent"], "P1": ["", ""]}
SENTENCE = Sentence(tuple(TOKENS), (1, 2), (7, 10))


def read(tmp_path, sentences, names=NAMES):
    files = {"val.json": sentences, "names.json": names}
    for name, content in files.items():
        content = content if isinstance(content, str | bytes) else json.dumps(content)
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
    return read_fewrel(*(tmp_path / name for name in files))


def refused(tmp_path, *contents) -> str:
    with pytest.raises(InputError) as caught:
        read(tmp_path, *contents)
    (problem,) = caught.value.problems
    return problem.replace(f"{tmp_path}/", "")


def test_read(tmp_path):
    found = read(tmp_path, {"P25": [MOTHER], "P177": [BRIDGE, {**BRIDGE, "h": BRIDGE["t"]}]})
    assert len(found) == 3
    assert found.sentences[:2] == [Sentence(("Ann", "bore", "Bo"), (2,), (0,)), SENTENCE]
    assert found.labels.tolist() == [0, 1, 1]
    assert found.labels.dtype == torch.int64
    assert found.relations.to_dict("list") == {
        "relation": ["P25", "P177"], "name": ["mother", "crosses"],
        "description": ["female parent", "what it crosses"]}  # fmt: skip
    assert found.texts(whole)[0] == "Ann bore Bo"


def test_one_wording_may_be_linked_to_two_things(tmp_path):
    other = {**MOTHER, "h": ["bo", "Q5", [[2]]]}
    assert len(read(tmp_path, {"P25": [MOTHER, other]})) == 2


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (whole, "The Old Bridge crosses the wide Wye , says Wye ."),
        (masked, "The _head_ crosses the wide _tail_ , says _tail_ ."),
        (around, "The Old Bridge crosses the wide Wye , says Wye ."),
        (lambda s: around(s, 1), "The Old Bridge wide Wye , says Wye ."),
        (lambda s: around(s, 0), "Old Bridge Wye Wye"),
    ],
)
def test_forms(form, text):
    assert form(SENTENCE) == text


def test_name_spans_are_the_first_mentions_characters():
    head, tail = name_spans(SENTENCE)
    assert whole(SENTENCE)[slice(*head)] == "Old Bridge"
    assert tail == (whole(SENTENCE).index("Wye"), whole(SENTENCE).index("Wye") + 3)
    assert name_spans(Sentence(("\n", "Ann", "\n", "bore"), (1, 2), (3,))) == ((0, 3), (4, 8))
    with pytest.raises(ValueError, match="a mention without a character"):
        name_spans(Sentence(("Ann", "\n"), (0,), (1,)))


def test_a_token_of_both_is_the_heads():
    assert masked(Sentence(("a", "b", "c"), (0, 1), (1, 2))) == "_head_ _tail_"


def without(key: str) -> dict:
    return {name: value for name, value in MOTHER.items() if name != key}


def with_mentions(mentions) -> dict:
    return {"P25": [BRIDGE, {**MOTHER, "t": ["ann", "Q4", mentions]}]}


SECOND = "val.json, relation 'P25', sentence 2"
NO_ENTITY = f"{SECOND}, 't': expected [name, id, mentions], a mention being token places."
BAD = {
    "not json": ("{\n'P25'", "val.json, line 2: expected JSON."),
    "not utf-8": (b"\xff", "val.json: not UTF-8, expected JSON in UTF-8."),
    "deep": ("[" * 100_000, "val.json: not JSON that can be read."),
    "long number": ('{"P25": ' + "1" * 5_000 + "}", None),
    "list": ([MOTHER], "val.json: expected a JSON object of relations such as 'P177'."),
    "empty": ({}, "val.json: expected a JSON object of relations such as 'P177'."),
    "repeated key": ('{"P25": [], "P25": []}',
                     "val.json: the key 'P25' is there twice, expected each once."),
    "no list": ({"P25": {}}, "val.json, relation 'P25': expected a list of sentences."),
    "no sentence": ({"P25": []}, "val.json, relation 'P25': expected a list of sentences."),
    "no object": ({"P25": [MOTHER, 3]}, f"{SECOND}: no 'tokens', expected an object with tokens, h and t."),
    "no tokens": ({"P25": [BRIDGE, without("tokens")]},
                  f"{SECOND}: no 'tokens', expected an object with tokens, h and t."),
    "no head": ({"P25": [BRIDGE, without("h")]},
                f"{SECOND}: no 'h', expected an object with tokens, h and t."),
    "text": ({"P25": [BRIDGE, {**MOTHER, "tokens": "Ann bore Bo"}]},
             f"{SECOND}, 'tokens': expected a list of texts."),
    "number": ({"P25": [BRIDGE, {**MOTHER, "tokens": ["Ann", 1, "Bo"]}]},
               f"{SECOND}, 'tokens': expected a list of texts."),
    "half": ({"P25": [BRIDGE, {**MOTHER, "tokens": ["Ann", "\ud800", "Bo"]}]},
             f"{SECOND}, 'tokens': expected a list of texts."),
    "entity": ({"P25": [BRIDGE, {**MOTHER, "t": ["ann", [[0]]]}]}, NO_ENTITY),
    "id": ({"P25": [BRIDGE, {**MOTHER, "t": ["ann", [], [[0]]]}]}, NO_ENTITY),
    "flat": (with_mentions([0]), NO_ENTITY),
    "no mention": (with_mentions([]), NO_ENTITY),
    "empty mention": (with_mentions([[0], []]), NO_ENTITY),
    "beyond": (with_mentions([[2, 3]]),
               f"{SECOND}, 't': 3 is no place of a token, expected 0 to 2."),
    "below": (with_mentions([[-1]]), f"{SECOND}, 't': -1 is no place of a token, expected 0 to 2."),
    "bool": (with_mentions([[True]]),
             f"{SECOND}, 't': True is no place of a token, expected 0 to 2."),
    "place": (with_mentions([["\u001b[2J"]]),
              f"{SECOND}, 't': '\\x1b[2J' is no place of a token, expected 0 to 2."),
    "twin": ({"P25": [MOTHER, MOTHER]},
             f"{SECOND}: the same as relation 'P25', sentence 1, expected each once."),
    "two answers": ({"P177": [MOTHER], "P25": [MOTHER]},
                    "val.json, relation 'P25', sentence 1: the same as relation 'P177', sentence 1, "
                    "expected each once."),
    "no name": ({"P26": [MOTHER]}, "names.json: relation 'P26' is missing."),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_sentences(tmp_path, case):
    content, said = BAD[case]
    assert refused(tmp_path, content) == said or said is None


@pytest.mark.parametrize("entry", [["mother"], "mother", ["mother", None], None])
def test_bad_names(tmp_path, entry):
    said = refused(tmp_path, {"P25": [MOTHER]}, {"P25": entry})
    assert said == "names.json, relation 'P25': expected [name, description]."


def test_no_file(tmp_path):
    with pytest.raises(InputError) as caught:
        read_fewrel(tmp_path / "no.json", tmp_path)
    said = f"{tmp_path}/no.json: No such file or directory, expected a readable file."
    assert caught.value.problems == (said,)


TEXTS = ["red apple", "green apple pie", "old blue car", "new car", "rain", "apple car rain", "!"]


def one_task(support, targets, query) -> tuple[Examples, torch.Tensor]:
    return Examples(torch.tensor([support]), torch.tensor([targets])), torch.tensor([query])


def test_scores_are_those_of_scikit_learn():
    vectoriser = TfidfVectorizer(
        token_pattern=r"(?u)\b\w+\b", vocabulary=sorted({*" ".join(TEXTS).split()} - {"!"})
    )
    x = vectoriser.fit(TEXTS[4:]).transform(TEXTS).toarray()
    prototypes = np.stack([x[[0, 1]].sum(0), x[[2, 3]].sum(0)])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    learner = TfidfPrototypes(TEXTS).fit(torch.tensor([4, 5, 6]))
    scores = learner.predict(*one_task([0, 1, 2, 3], [0, 0, 1, 1], [5, 4, 6]))
    np.testing.assert_allclose(scores[0], x[[5, 4, 6]] @ prototypes.T, atol=1e-6)
    assert scores[0, 1:].abs().max() == 0  # no word shared, no word at all


def test_without_background_words_are_counted():
    learner = TfidfPrototypes(TEXTS).fit(torch.tensor([], dtype=torch.long))
    scores = learner.predict(*one_task([0, 3], [0, 1], [1]))
    assert scores[0, 0].tolist() == pytest.approx([1 / 6**0.5, 0])


def test_a_common_word_weighs_less():
    texts = ["the apple", "a car", "the car"] + ["the"] * 9 + ["a b"]
    query = one_task([0, 1], [0, 1], [2])
    by_count = TfidfPrototypes(texts).fit(torch.arange(0)).predict(*query)[0, 0]
    by_idf = TfidfPrototypes(texts).fit(torch.arange(3, 13)).predict(*query)[0, 0]
    assert by_count[0] == by_count[1]
    assert by_idf[0] < by_idf[1]


def test_misuse():
    with pytest.raises(AttributeError):
        TfidfPrototypes(TEXTS).predict(*one_task([0], [0], [1]))
    empty = Examples(torch.zeros(2, 0, dtype=torch.long), torch.zeros(2, 0, dtype=torch.long))
    with pytest.raises(ValueError, match="support must hold at least one sentence"):
        TfidfPrototypes(TEXTS).fit(torch.arange(3)).predict(empty, torch.zeros(2, 1).long())


WORDS = [f"w{a} w{b} c{a % 4}" for a in range(8) for b in range(5)]
LABELS = torch.arange(8).repeat_interleave(5)


@given(st.integers(0, 10_000))
def test_predictions_stand_by_themselves(seed):
    """Deterministic, the same alone and in a batch, for any order of support, with padding, for rows as [.., 1]."""
    generator = seeded(seed)
    learner = TfidfPrototypes(WORDS).fit(torch.arange(20))
    support, query = class_episode(torch.arange(40), LABELS, 3, 2, 2, 4, generator)
    scores = learner.predict(support, query.inputs)
    assert scores.shape == (4, 6, 3)
    alone = learner.predict(Examples(support.inputs[1:2], support.targets[1:2]), query.inputs[1:2])
    assert torch.equal(alone, scores[1:2])
    order = torch.randperm(6, generator=generator)
    turned = Examples(support.inputs[:, order], support.targets[:, order])
    assert torch.equal(learner.predict(turned, query.inputs), scores)
    padded = [
        torch.nn.functional.pad(x, (0, 1), value=v)
        for x, v in zip(support[:2], (-1, 9), strict=True)
    ]
    mask = torch.arange(7).expand(4, 7) < 6
    assert torch.equal(learner.predict(Examples(*padded, mask), query.inputs), scores)
    deep = Examples(support.inputs[..., None], support.targets)
    assert torch.equal(learner.predict(deep, query.inputs[..., None]), scores)


def test_perfect_and_guessed():
    scores = torch.eye(3)[None]
    assert accuracy(scores, torch.tensor([[0, 1, 2]])).tolist() == [1.0]
    assert accuracy(torch.zeros(1, 3, 3), torch.tensor([[0, 1, 2]])).tolist() == [
        pytest.approx(1 / 3)
    ]


def test_background_and_rest_share_no_relation():
    background, rest = disjoint_rows(LABELS, 3, seeded(0))
    assert sorted([*background.tolist(), *rest.tolist()]) == list(range(40))
    assert len(LABELS[background].unique()) == 3
    assert not {*LABELS[background].tolist()} & {*LABELS[rest].tolist()}


class Told:
    """Knows every label, and remembers what it was fitted on; to see what the protocol shows a learner."""

    def fit(self, rows):
        self.seen = set(LABELS[rows].tolist())
        return self

    def predict(self, support, query_inputs):
        assert not self.seen & set(LABELS[support.inputs].flatten().tolist())
        for task, rows in enumerate(query_inputs):
            assert not torch.isin(rows, support.inputs[task]).any()
        same = LABELS[query_inputs][:, :, None] == LABELS[support.inputs][:, None]
        ways = support.targets.max() + 1
        return torch.stack(
            [(same & (support.targets == c)[:, None]).any(-1) for c in range(ways)], -1
        ).float()


def test_the_protocol():
    learners = {"told": Told(), "words": TfidfPrototypes(WORDS)}
    options = {
        "n_ways": (2, 3),
        "n_shots": (1, 2),
        "n_query": 2,
        "n_tasks": 12,
        "n_splits": 6,
        "n_background": 4,
    }
    records = fewrel_records(learners, LABELS, seeded(0), **options)
    assert tuple(records.columns) == COLUMNS
    assert records.groupby(["learner", "partition", "n_shots"]).size().to_dict() == {
        (name, partition, k): 12
        for name in (*learners, *RULERS)
        for partition in ("2-way", "3-way")
        for k in (1, 2)
    }
    assert {*records["task"]} == {f"split {n}" for n in range(6)}
    assert {*records["seed"]} == {0, 1}
    assert (records.loc[records["learner"] == "random", "value"].isin([1 / 2, 1 / 3])).all()
    assert (records[records["learner"] == "told"]["value"] == 1).all()
    assert records.equals(fewrel_records(learners, LABELS, seeded(0), **options))
    five = records[records["partition"] == "3-way"]
    assert paired_difference(five, "words", "told", "accuracy", 1).value <= 0
    with pytest.raises(ValueError, match="n_tasks must be a multiple of n_splits, got 12 and 5"):
        fewrel_records(learners, LABELS, seeded(0), **{**options, "n_splits": 5})
    with pytest.raises(InputError, match="5-way tasks need 5 classes"):
        fewrel_records(learners, LABELS, seeded(0), **{**options, "n_ways": (5,)})


@pytest.fixture(scope="module")
def fewrel():
    source = sources.SOURCES["fewrel"]
    if None in fetch.locate(source.name, source.files).values():
        pytest.skip("fewrel is neither in FSL_DATA nor in the cache")
    files = sources.files_of("fewrel")
    return read_fewrel(files["val_wiki.json"], files["pid2name.json"])


def test_real_size(fewrel):
    size = {"sentences": len(fewrel), "relations": len(fewrel.relations)}
    assert size == sources.SOURCES["fewrel"].size
    assert torch.bincount(fewrel.labels).unique().tolist() == [700]
    lengths = [len(sentence.tokens) for sentence in fewrel.sentences]
    assert (min(lengths), max(lengths)) == (6, 36)
    assert fewrel.relations.set_index("relation")["name"]["P25"] == "mother"
    assert all(sentence.head and sentence.tail for sentence in fewrel.sentences)


def test_real_accuracies(fewrel):
    """Whole sentences beat the words around the names, and those beat the rest without the names; N and K matter."""
    table = fewrel_table(fewrel, seeded(0), n_tasks=200, n_splits=50)
    ranks = ["whole sentence", "3 words around names", "names hidden"]
    assert [table["learner"].tolist()[begin : begin + 3] for begin in range(0, 24, 6)] == [
        ranks
    ] * 4
    rulers = table[table["learner"].isin(RULERS)]
    assert rulers.index.tolist() == [n for n in range(24) if n % 6 > 2], "below the learners"
    guessed = rulers[rulers["learner"] != "oracle"].groupby("partition")["value"].unique()
    assert guessed["5-way"] == pytest.approx([0.2])
    assert guessed["10-way"] == pytest.approx([0.1])
    best = table[::6].set_index(["partition", "n_shots"])["value"]
    for setting, value in {
        ("5-way", 1): 0.51,
        ("5-way", 5): 0.70,
        ("10-way", 1): 0.41,
        ("10-way", 5): 0.60,
    }.items():
        assert best[setting] == pytest.approx(value, abs=0.04)
    learned = table.drop(index=rulers.index)
    assert ((learned["low"] < learned["value"]) & (learned["value"] < learned["high"])).all()
