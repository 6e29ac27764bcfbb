"""Static students: words as rows, ridge by texts or by conjugate gradients, files, and what is kept of a teacher."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import another_hash_seed
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from fsl.compare import paired_difference
from fsl.errors import InputError
from fsl.texts.distil import (
    StaticStudent,
    Words,
    distil,
    distil_scores,
    load_student,
    save_student,
    words_of,
)  # fmt: skip
from fsl.texts.distil.fit import geometry, principal_axes
from fsl.texts.distil.ridge import ridge
from fsl.texts.distil.study import (
    Split,
    accuracy,
    as_labels,
    drawn_rows,
    head_scores,
    hits,
    kept,
    records_of,
    some_texts,
    speed_ratio,
)  # fmt: skip
from fsl.texts.distil.words import WORD, pieces
from fsl.texts.simulated_intents import (
    BLANKS,
    _most,
    _sentences,
    domains,
    open_questions,
    simulate_intents,
)

RNG = np.random.default_rng(0)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def intents():
    return simulate_intents(n_train=20, n_test=8)


@pytest.fixture(scope="module")
def spoken(intents):
    """A made-up teacher that a table can be: a sum of word vectors, and a word that turns another."""
    texts = intents.train.texts
    words = Words(words_of(texts), 512)
    table = np.random.default_rng(1).normal(size=(words.n_rows, 24)).astype(np.float32)
    return unit(words.matrix(texts) @ table), unit(words.matrix(intents.test.texts) @ table)


# --- words


def test_words_and_their_matrix_are_what_scikit_learn_counts(intents):
    texts = intents.train.texts
    words = Words(words_of(texts))
    counts = CountVectorizer(token_pattern=WORD.pattern, vocabulary=list(words.words))
    expected = counts.fit_transform(texts).toarray()
    expected = expected / np.sqrt(expected.sum(1, keepdims=True))
    assert np.allclose(words.matrix(texts).toarray(), expected, atol=1e-6)


def test_pairs_are_neighbours_with_both_ends_and_half_a_words_weight():
    words = Words(("a", "b"), n_buckets=10_000)
    x = words.matrix(["a b", "b a"]).toarray()
    assert (x[:, :2] > 0).all()
    assert (x[:, 2:] > 0).sum(1).tolist() == [3, 3]  # the start and a, a and b, b and the end
    assert not ((x[0] > 0) & (x[1] > 0))[2:].any(), "order matters"
    assert np.allclose(x[0][x[0] > 0], [w / np.sqrt(2 + 1.5) for w in (1, 1, 0.5, 0.5, 0.5)])


def test_a_pair_with_an_unknown_word_does_not_count():
    words = Words(("a", "b"), n_buckets=10_000)
    assert (words.matrix(["a zzz b"]).toarray()[0, 2:] > 0).sum() == 2
    assert words.matrix(["zzz", ""]).nnz == 0


def test_an_unknown_word_is_read_as_the_longest_pieces():
    row = {word: i for i, word in enumerate(("un", "unlock", "##ed", "##e", "##d"))}
    assert pieces("unlocked", row) == (1, 2)
    assert pieces("unlocks", row) == ()
    assert Words(tuple(row)).bags(["unlocked un"])[0].rows.tolist() == [1, 2, 0]


def test_a_texts_rows_do_not_depend_on_the_others_nor_on_the_separator():
    words = Words(("a", "b", "c"), 64)
    many = words.matrix(["a b", "c\0a", "", "b B"]).toarray()
    for text, row in zip(["a b", "c a", "", "b b"], many, strict=True):
        assert np.array_equal(words.matrix([text]).toarray()[0], row)


def test_buckets_are_the_same_in_every_process():
    code = "from fsl.texts.distil import Words; print(Words(('a','b'),1000).bags(['a b a'])[1].rows.tolist())"
    environment = os.environ | another_hash_seed()
    seen = subprocess.check_output([sys.executable, "-c", code], env=environment)
    assert seen == (str(Words(("a", "b"), 1000).bags(["a b a"])[1].rows.tolist()).encode() + b"\n")


# --- ridge


@given(
    st.integers(0, 10_000), st.sampled_from([0.05, 1.0, 20.0]), st.booleans(), st.sampled_from([0, 12])
)  # fmt: skip
def test_ridge_is_the_solution_of_the_normal_equations(seed, shrinkage, has_prior, few):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(12, 7)) * (rng.random((12, 7)) < 0.5), rng.normal(size=(12, 3))
    prior = rng.normal(size=(7, 3)) if has_prior else np.zeros((7, 3))
    expected = np.linalg.solve(x.T @ x + shrinkage * np.eye(7), x.T @ y + shrinkage * prior)
    start = prior if has_prior else None
    found = ridge(csr_matrix(x), y, shrinkage, start, tolerance=1e-6, few=few)
    assert np.allclose(found, expected, atol=1e-3)


def test_a_row_that_no_text_has_stays_at_its_prior():
    x = csr_matrix(np.array([[1.0, 0], [1.0, 0]]))
    found = ridge(x, np.ones((2, 1)), 0.1, np.array([[0.0], [7.0]]))
    assert found[1, 0] == 7
    assert found[0, 0] == pytest.approx(2 / 2.1, abs=1e-4)
    with pytest.raises(ValueError, match="shrinkage must be above 0, got 0"):
        ridge(x, np.ones((2, 1)), 0)


# --- students


def test_a_teacher_that_is_a_table_is_copied(intents, spoken):
    z, z_test = spoken
    found = distil(intents.train.texts, z, dim=24, n_buckets=512)
    assert set(found.likeness) == {0.03, 0.1, 0.3, 1.0}
    assert geometry(found.student.encode(intents.test.texts), z_test) > 0.9
    few = distil(intents.train.texts[:60], z[:60], dim=24, n_buckets=512)
    assert geometry(few.student.encode(intents.test.texts), z_test) < 0.8, "the test can fail"


def test_encode_is_the_matrix_times_the_table(intents):
    words = Words(words_of(intents.train.texts[:50]), 64)
    student = StaticStudent(words, torch.from_numpy(RNG.normal(size=(words.n_rows, 5))).float())
    texts = [*intents.test.texts, "", "zzzz"]
    expected = words.matrix(texts) @ student.table.numpy()
    assert np.allclose(student.scores(texts), expected, atol=1e-5)
    norms = np.linalg.norm(student.encode(texts), axis=1)
    assert np.allclose(norms, np.append(np.ones(len(texts) - 2), [0, 0]), atol=1e-5)


def test_principal_axes_keep_more_of_the_geometry_than_any_columns():
    z = unit(RNG.normal(size=(200, 20)) * np.linspace(3, 0.1, 20))
    axes = principal_axes(z, 5)
    assert np.allclose(axes.T @ axes, np.eye(5), atol=1e-5)
    full = z @ z.T
    errors = [np.linalg.norm(full - part @ part.T) for part in (z @ axes, z[:, :5], z[:, 5:10])]
    assert errors[0] == min(errors)
    assert geometry(z, unit(z @ principal_axes(z, 20))) == pytest.approx(1, abs=1e-5)


def test_single_words_fill_in_for_words_that_no_text_has(intents, spoken):
    z, _ = spoken
    alone = {"zebra": z[0], "phone": z[1]}
    plain = distil(intents.train.texts, z, dim=24).student
    told = distil(intents.train.texts, z, dim=24, extra=alone).student
    assert not plain.encode(["zebra"]).any()
    axes = principal_axes(z, 24)
    assert told.encode(["zebra"])[0] @ unit(z[:1] @ axes)[0] == pytest.approx(1, abs=1e-4)


def test_a_student_of_decisions_agrees_with_them(intents):
    words = Words(words_of(intents.train.texts))
    teach = RNG.normal(size=(words.n_rows, 6))
    scores = words.matrix(intents.train.texts) @ teach
    pupil = distil_scores(intents.train.texts, scores + 5.0).student
    said = pupil.scores(intents.test.texts).argmax(1)
    assert (said == (words.matrix(intents.test.texts) @ teach).argmax(1)).mean() > 0.9


def test_too_few_texts_or_rows_are_refused(intents, spoken):
    with pytest.raises(InputError, match=r"got 1 different texts, expected 50 or more"):
        distil(["a"] * 60, np.ones((60, 3)))
    with pytest.raises(InputError, match="3 rows of the teacher for 400 texts, expected as many"):
        distil(intents.train.texts, np.ones((3, 3)))
    with pytest.raises(InputError, match="a list of texts, got the text 'hello'"):
        distil(intents.train.texts, spoken[0], 4).student.encode("hello")


@pytest.mark.parametrize(
    ("stored", "error"), [("float32", 0), ("float16", 1e-3), ("int8", 1 / 127)]
)
def test_a_file_gives_back_the_rounded_student(tmp_path, stored, error):
    words = Words(("a", "b", "##c"), 5)
    exact = StaticStudent(words, torch.from_numpy(RNG.normal(size=(8, 4))).float())
    student = exact.rounded(stored)
    largest = exact.table.abs().amax(1, keepdim=True)
    assert ((student.table - exact.table).abs() <= error * largest).all()
    save_student(student, tmp_path / "s.safetensors")
    again = load_student(tmp_path / "s.safetensors")
    assert torch.equal(again.table, student.table)
    assert again.words == student.words
    assert (tmp_path / "s.safetensors").stat().st_size == student.megabytes * 1e6
    assert [path.name for path in tmp_path.iterdir()] == ["s.safetensors"]


def test_a_damaged_or_foreign_file_is_refused(tmp_path):
    path = tmp_path / "s.safetensors"
    save_student(StaticStudent(Words(("a",)), torch.ones(1, 3)), path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    for wrong, why in ((bytes(data), "checksum"), (bytes(data[:-4]), ""), (b"\x80\x04.", "")):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match=f"no whole student of fsl, expected one: .*{why}"):
            load_student(path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_student(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be written there"):
        save_student(StaticStudent(Words(("a",)), torch.ones(1, 3)), tmp_path / "no" / "s")


def test_a_table_that_does_not_fit_its_words_is_refused():
    with pytest.raises(ValueError, match=r"a table of 1 rows wanted, got \[2, 3\]"):
        StaticStudent(Words(("a",)), torch.ones(2, 3))
    with pytest.raises(ValueError, match="stored must be one of float32, float16, int8, got int4"):
        StaticStudent(Words(("a",)), torch.ones(1, 3), "int4")


# --- what is kept


def test_draws_have_n_shots_of_each_class_and_no_row_twice():
    y = np.repeat(np.arange(4), 6)
    for rows in drawn_rows(y, 5, 3):
        assert np.bincount(y[rows]).tolist() == [5] * 4
        assert len(set(rows)) == 20
    with pytest.raises(InputError, match="class 0 has 6 training texts, 7 wanted"):
        drawn_rows(y, 7, 1)


def test_heads_name_clear_classes_and_refuse_others():
    support, y = np.eye(3, 5, dtype=np.float32).repeat(2, 0), np.arange(3).repeat(2)
    for head in ("prototypes", "logistic"):
        assert head_scores(head, support, y, support).argmax(1).tolist() == y.tolist()
    with pytest.raises(ValueError, match="head must be one of prototypes, logistic, got 'tree'"):
        head_scores("tree", support, y, support)


def test_what_is_kept_is_a_paired_share():
    theirs = RNG.random((5, 400)) < 0.8
    assert vars(kept(theirs, theirs)) == {"value": 1, "low": 1, "high": 1}
    ours = theirs & (RNG.random((5, 400)) < 0.9)
    share = kept(ours, theirs)
    assert share.value == pytest.approx(ours.mean() / theirs.mean())
    assert share.low < share.value < share.high
    assert share.high - share.low < (accuracy(ours).high - accuracy(ours).low) / theirs.mean(), (
        "paired is narrower"
    )
    with pytest.raises(ValueError, match=r"same draws and texts wanted, got \(5, 3\), \(5, 400\)"):
        kept(ours[:, :3], theirs)


def test_the_interval_sees_draws_and_texts():
    by_text = np.tile(RNG.random(300) < 0.7, (5, 1))  # draws agree: only texts vary
    by_draw = np.tile(np.array([0, 1, 1, 0, 1])[:, None] > 0, (1, 300))  # texts agree
    widths = [accuracy(x).high - accuracy(x).low for x in (by_text, by_draw)]
    assert widths[0] == pytest.approx(2 * 1.96 * np.sqrt(0.21 / 300), rel=0.2)
    assert widths[1] > 0.5


def test_hits_become_records_that_compare_reads(intents, spoken):
    z, z_test = spoken
    y, y_test = as_labels(intents.train.labels), as_labels(intents.test.labels)
    draws = drawn_rows(y, 5, 2)
    found = {
        f"{n} columns": hits(Split(z[:, :n], z_test[:, :n]), draws, y, y_test, "prototypes")
        for n in (2, 24)
    }
    records = records_of(found, 5, "made up")
    gap = paired_difference(records, "24 columns", "2 columns", "accuracy", 5)
    assert gap.value == pytest.approx(found["24 columns"].mean() - found["2 columns"].mean())
    assert gap.low > 0


def test_speed_is_the_ratio_within_rounds():
    found = speed_ratio({"a": [1.0, 2.0, 4.0], "b": [10.0, 20.0, 80.0]}, "a", "b")
    assert found.value == 10
    assert found.high == 15


# --- invented questions


def test_invented_questions_are_of_the_promised_size_and_all_different():
    made = simulate_intents()
    assert (len(made), len(made.train.texts), len(made.test.texts)) == (20, 600, 300)
    assert len(set(made.train.texts) | set(made.test.texts)) == 900
    again = simulate_intents()
    assert made.train.texts == again.train.texts
    assert simulate_intents(seed=1).train.texts != made.train.texts
    assert "{" not in "".join(made.train.texts + made.test.texts)


def test_every_blank_is_known():
    for domain in domains().values():
        for phrasings in domain.values():
            assert "{" not in "|".join(phrasings).format(**dict.fromkeys(BLANKS, "x"))


def test_open_questions_gives_another_trades_too():
    ours, others = open_questions("simulated-intents")
    assert not set(ours.names) & set(others.names)
    assert len(others.train.texts) == 600
    with pytest.raises(
        InputError, match="no intents are called 'x', expected one of simulated-intents, banking77"
    ):
        open_questions("x")
    with pytest.raises(
        InputError,
        match="no invented questions are of 'x', expected one of phone shop, travel desk",
    ):
        simulate_intents("x")
    with pytest.raises(InputError, match="fewer than 9999 different invented questions"):
        simulate_intents("travel desk", 9998, 1)
    name, phrasings = next(iter(domains()["travel desk"].items()))
    only = phrasings[:1]
    with pytest.raises(InputError, match=f"of '{name}' there are fewer than {_most(only)} diff"):
        _sentences(name, only, _most(only), np.random.default_rng(0))  # possible, but not found


def test_a_part_of_the_texts_is_even_over_classes(intents):
    part = some_texts(intents.train, 45)
    counts = torch.bincount(part.labels, minlength=20)
    assert len(part.texts) == 45
    assert set(counts.tolist()) == {2, 3}
    assert some_texts(intents.train, 0) is intents.train
