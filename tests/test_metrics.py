"""Metrics against scikit-learn, against theory in the limit cases, and blind to padding."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    mean_absolute_error,
    mean_squared_error,
    ndcg_score,
    roc_auc_score,
)

from fsl import auc, ndcg
from fsl.metrics import average_precision, mae, masked_mean, mse

LEVELS = st.integers(0, 4)
ROWS = st.integers(2, 12).flatmap(
    lambda n: st.tuples(
        st.lists(LEVELS, min_size=n, max_size=n),
        st.lists(st.integers(-3, 3), min_size=n, max_size=n),  # few values: many ties
    )
)


def doubles(*values) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


@given(ROWS, st.integers(1, 15))
def test_ndcg_agrees_with_scikit_learn_ties_and_all(rows, k):
    relevance, scores = (np.array([side], dtype=float) for side in rows)
    expected = ndcg_score(2**relevance - 1, scores, k=k) if relevance.any() else 0
    found = ndcg(torch.from_numpy(scores), torch.from_numpy(relevance), k)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_ndcg_agrees_with_scikit_learn_on_a_batch_without_ties():
    rng = np.random.default_rng(0)
    scores, relevance = rng.normal(size=(50, 30)), rng.integers(0, 5, size=(50, 30))
    for k in (1, 5, 10, 30, 99):
        found = ndcg(torch.from_numpy(scores), torch.from_numpy(relevance), k)
        each = [ndcg_score(2.0 ** relevance[[t]] - 1, scores[[t]], k=k) for t in range(50)]
        assert found.tolist() == pytest.approx(each, abs=1e-9)


def test_ndcg_by_hand():
    gains = 1 / np.log2(2) * 1 + 7 / np.log2(3)
    best = 7 / np.log2(2) + 1 / np.log2(3)
    found = ndcg(doubles(3, 2, 1), doubles(1, 3, 0), k=2)
    assert found.item() == pytest.approx(gains / best, abs=1e-12)


@given(ROWS, st.integers(1, 15))
def test_a_perfect_ranking_scores_1_and_nothing_relevant_scores_0(rows, k):
    relevance = doubles(*rows[0])
    assert ndcg(relevance, relevance, k).item() == pytest.approx(float(relevance.any()), abs=1e-12)
    assert ndcg(doubles(*rows[1]), torch.zeros_like(relevance), k).item() == 0


@given(ROWS, st.integers(1, 15))
def test_a_constant_score_gets_what_random_order_gets_on_average(rows, k):
    relevance = doubles(*rows[0])
    gains = 2.0 ** np.array(rows[0]) - 1
    discounts = 1 / np.log2(np.arange(2, len(gains) + 2)) * (np.arange(len(gains)) < k)
    ideal = np.sort(gains)[::-1] @ discounts
    expected = gains.mean() * discounts.sum() / ideal if ideal else 0
    found = ndcg(torch.zeros_like(relevance), relevance, k).item()
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_expectation_of_random_ranking_is_met_by_random_rankings():
    relevance = doubles(0, 4, 1, 0, 2, 3, 3, 0)
    scores = torch.rand(20_000, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    drawn = ndcg(scores, relevance.expand(20_000, 8), 5)
    constant = ndcg(torch.ones_like(relevance), relevance, 5).item()
    assert drawn.mean().item() == pytest.approx(constant, abs=5 * drawn.std().item() / 20_000**0.5)


def test_tied_scores_get_the_mean_over_all_their_orders():
    relevance, scores = [0, 3, 1, 2], [1.0, 5, 1, 1]
    untied = []
    for order in itertools.permutations(range(3)):
        nudged = [scores[0] + order[0] / 9, 5, scores[2] + order[1] / 9, scores[3] + order[2] / 9]
        untied.append(ndcg(doubles(*nudged), doubles(*relevance), 3).item())
    found = ndcg(doubles(*scores), doubles(*relevance), 3).item()
    assert found == pytest.approx(np.mean(untied), abs=1e-12)
    assert np.std(untied) > 0.01


PADDING = st.sampled_from([-9.0, -1.0, 0.0, 9.0, float("nan"), float("inf"), float("-inf")])


@given(ROWS, st.lists(st.tuples(PADDING, st.sampled_from([-1.0, 0, 9])), max_size=4), st.randoms())
def test_padding_anywhere_makes_no_difference(rows, padding, random):
    real = [(s, r, True) for r, s in zip(*rows, strict=True)]
    mixed = real + [(s, r, False) for s, r in padding]
    random.shuffle(mixed)
    scores, relevance, mask = (torch.tensor([side]) for side in zip(*mixed, strict=True))
    alone = doubles(*rows[1]), doubles(*rows[0])
    found = ndcg(scores.double(), relevance.double(), 3, mask)
    assert found.item() == pytest.approx(ndcg(*alone, 3).item(), abs=1e-12)
    for metric in (mae, mse):
        assert metric(scores.double(), relevance.double(), mask).item() == pytest.approx(
            metric(*alone).item(), abs=1e-12
        )


BAD = pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])


@BAD
@pytest.mark.parametrize("metric", [mae, mse])
def test_what_stands_on_padding_reaches_neither_error_nor_gradient(metric, bad):
    mask = torch.tensor([[True, False, True, False]])
    predictions, targets = doubles(1, bad, 5, 2), doubles(3, 1, 4, bad)
    predictions.requires_grad_()
    found = metric(predictions, targets, mask)
    found.sum().backward()
    alone = doubles(1, 5).requires_grad_()
    expected = metric(alone, doubles(3, 4))
    expected.sum().backward()
    assert found.item() == expected.item()
    assert predictions.grad[0, [0, 2]].tolist() == alone.grad[0].tolist()
    assert predictions.grad[0, [1, 3]].tolist() == [0, 0]


@BAD
def test_a_real_row_that_is_not_a_number_is_not_hidden(bad):
    mask = torch.tensor([[True, False, True]])
    for metric in (mae, mse):
        assert not metric(doubles(1, 2, bad), doubles(3, 1, 4), mask).isfinite().any()


@BAD
def test_relevance_of_padding_is_not_looked_at(bad):
    mask = torch.tensor([[True, False, True]])
    found = ndcg(doubles(2, 3, 1), doubles(1, bad, 3), 2, mask).item()
    assert found == pytest.approx(ndcg(doubles(2, 1), doubles(1, 3), 2).item(), abs=1e-12)


def test_the_slightest_relevance_counts():
    found = ndcg(doubles(3, 2, 1), doubles(0, 1e-17, 0), 3).item()
    assert found == pytest.approx(1 / np.log2(3), abs=1e-12)
    assert ndcg(doubles(1, 2, 1), doubles(0, 1e-17, 0), 3).item() == pytest.approx(1, abs=1e-12)


def test_relevance_up_to_1000_is_ranked():
    assert ndcg(doubles(1, 2), doubles(1_000, 0), 1).item() == 0
    assert ndcg(doubles(2, 1), doubles(1_000, 0), 1).item() == 1


@pytest.mark.parametrize("shape", [(1, 3), (2,), (2, 2), (2, 1)])
def test_shapes_that_differ_are_never_broadcast(shape):
    told = re.escape(f"(1, 2) scores, {shape} relevances")
    with pytest.raises(ValueError, match=told):
        ndcg(doubles(1, 2), torch.zeros(shape), 1)


def test_scores_of_minus_infinity_rank_above_padding():
    mask = torch.tensor([[True, True, False]])
    scores = doubles(-torch.inf, 1, 5)
    assert ndcg(scores, doubles(2, 0, 4), 1, mask).item() == 0
    expected = (3 / np.log2(3)) / 3
    assert ndcg(scores, doubles(2, 0, 4), 2, mask).item() == pytest.approx(expected)


@pytest.mark.parametrize("score", [0.0, 1.0, 2.0])
def test_padding_shares_no_tie_with_a_real_row(score):
    mask = torch.tensor([[True, False, True, False]])
    found = ndcg(doubles(2, score, 1, score), doubles(1, 0, 3, 0), 2, mask).item()
    assert found == pytest.approx(ndcg(doubles(2, 1), doubles(1, 3), 2).item(), abs=1e-12)


def test_k_may_be_written_as_a_float():
    scores, relevance = doubles(2, 3, 1), doubles(1, 0, 3)
    assert ndcg(scores, relevance, 2.0).item() == ndcg(scores, relevance, 2).item()


def test_whole_number_scores_rank_like_others():
    scores = torch.tensor([[3, 1, 2]])
    assert ndcg(scores, torch.tensor([[2, 0, 1]]), 3).item() == 1


def test_tasks_without_rows_score_0():
    assert ndcg(torch.zeros(2, 3), torch.ones(2, 3), 3, torch.zeros(2, 3) > 0).tolist() == [0, 0]
    assert ndcg(torch.zeros(2, 0), torch.zeros(2, 0), 3).tolist() == [0, 0]
    assert mae(torch.zeros(1, 3), torch.ones(1, 3), torch.zeros(1, 3) > 0).tolist() == [0]


@pytest.mark.parametrize(
    ("scores", "relevance", "k", "message"),
    [
        ((1, 2), (0, 1), 0, "k must be at least 1, got 0"),
        ((1, 2), (0, 1), 1.5, "k must be a whole number, got 1.5"),
        ((1, 2), (0, 1_001), 1, "relevance must be at most 1000"),
        ((1, float("nan")), (0, 1), 1, "a score is NaN"),
        ((1, 2), (0, -1), 1, "relevance must be finite and >= 0, got -1"),
        ((1, 2), (0, float("inf")), 1, "relevance must be finite and >= 0, got inf"),
        ((1, 2), (0, float("nan")), 1, "relevance must be finite and >= 0, got nan"),
    ],
)
def test_what_cannot_be_ranked_is_refused_with_the_value_seen(scores, relevance, k, message):
    with pytest.raises(ValueError, match=message):
        ndcg(doubles(*scores), doubles(*relevance), k)


def test_errors_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    predictions, targets = rng.normal(size=(2, 20, 7))
    mask = rng.random((20, 7)) < 0.7
    mask[:, 0] = True
    for ours, theirs in ((mae, mean_absolute_error), (mse, mean_squared_error)):
        found = ours(*(torch.from_numpy(x) for x in (predictions, targets, mask)))
        each = [theirs(targets[t][mask[t]], predictions[t][mask[t]]) for t in range(20)]
        assert found.tolist() == pytest.approx(each, abs=1e-12)
        found = ours(torch.from_numpy(predictions), torch.from_numpy(targets))
        each = [theirs(targets[t], predictions[t]) for t in range(20)]
        assert found.tolist() == pytest.approx(each, abs=1e-12)


def test_errors_by_hand():
    assert mae(doubles(1, 5), doubles(2, 2)).item() == 2
    assert mse(doubles(1, 5), doubles(2, 2)).item() == 5
    assert masked_mean(doubles(1, 5, 9), torch.tensor([[True, False, True]])).item() == 5


@given(st.data(), st.booleans())
def test_auc_agrees_with_scikit_learn_ties_and_weights(data, weighted):
    n = data.draw(st.integers(2, 20))
    scores = data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))
    positive = [True, False, *data.draw(st.lists(st.booleans(), min_size=n - 2, max_size=n - 2))]
    weight = data.draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)) if weighted else None
    found = auc(
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor(positive),
        None if weight is None else torch.tensor(weight),
    )
    expected = roc_auc_score(positive, scores, sample_weight=weight)
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_a_weight_says_how_often_a_row_counts():
    scores, positive = torch.tensor([3.0, 1, 2, 2]), torch.tensor([True, True, False, False])
    weight = torch.tensor([2, 1, 3, 0])
    repeated = [x.repeat_interleave(weight) for x in (scores, positive)]
    assert auc(scores, positive, weight).item() == pytest.approx(auc(*repeated).item(), abs=1e-12)


@pytest.mark.parametrize("flags", [(True, True), (False, False)])
def test_auc_needs_both_classes(flags):
    with pytest.raises(ValueError, match="at least one positive and one negative"):
        auc(torch.tensor([1.0, 2]), torch.tensor(flags))


def test_average_precision_is_scikit_learns_ties_and_padding_included():
    rng = np.random.default_rng(0)
    scores, mask = rng.integers(5, size=(60, 9)), rng.random((60, 9)) < 0.8
    positive = rng.random((60, 9)) < 0.4
    positive[:, 0] = mask[:, 0] = True
    found = average_precision(*map(torch.from_numpy, (scores, positive, mask)))
    expected = [
        average_precision_score(y[m], s[m]) for s, y, m in zip(scores, positive, mask, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    nothing = average_precision(torch.ones(1, 3), torch.zeros(1, 3, dtype=torch.bool))
    assert nothing.isnan().all()
