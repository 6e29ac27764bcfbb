"""Measures: each against scikit-learn or a value written out, padding left out, NaN where a task cannot have one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import seeded
from sklearn.metrics import accuracy_score, average_precision_score, ndcg_score, roc_auc_score

from fsl.episodes import Examples
from fsl.measures import Judged, check_measures, measure
from fsl.metrics import average_precision, pairwise_auc

STARS = (1.0, 5.0)


def judged(scores, targets, mask=None, variance=None, scale=STARS) -> Judged:
    scores, targets = (torch.tensor(x, dtype=torch.float32) for x in (scores, targets))
    mask = torch.ones_like(targets, dtype=torch.bool) if mask is None else torch.tensor(mask)
    variance = None if variance is None else torch.tensor(variance)
    return Judged(scores, Examples(torch.zeros(*targets.shape, 2), targets, mask), scale, variance)


def one(name: str, *arguments, **named) -> float:
    return float(measure(name, judged(*arguments, **named))[0])


def some(n_tasks: int = 40, n: int = 8, seed: int = 0) -> Judged:
    """Ratings of 1 to 5, scores of few values (so that many are tied) that reach beyond the scale, random padding."""
    generator = seeded(seed)
    targets = torch.randint(1, 6, (n_tasks, n), generator=generator).float()
    scores = torch.randint(0, 13, (n_tasks, n), generator=generator).float() / 2
    mask = torch.rand(n_tasks, n, generator=generator) < 0.8
    mask[:, 0] = True
    return Judged(scores, Examples(torch.zeros(n_tasks, n, 2), targets, mask), STARS, None)


def rows(these: Judged):
    """Scores and targets of the real rows, task by task, as numpy."""
    for scores, targets, mask in zip(
        these.scores, these.query.targets, these.query.mask, strict=True
    ):
        yield scores[mask].double().numpy(), targets[mask].double().numpy()


SCORES = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=9)


@given(SCORES)
def test_auc_of_a_task_agrees_with_scikit_learn(pairs):
    scores, positive = (torch.tensor(x) for x in zip(*pairs, strict=True))
    found = pairwise_auc(scores[None].float(), positive[None])
    if positive.all() or not positive.any():
        assert found.isnan().all()
    else:
        assert found.item() == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def by_pairs(scores, positive, mask):
    """AUC of each task from all its pairs, as it is written down: P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)."""
    found = []
    for s, p, m in zip(scores, positive, mask, strict=True):
        high, low = s[p & m][:, None], s[~p & m][None, :]
        found.append(((high > low).double() + 0.5 * (high == low)).mean())
    return torch.stack(found)


def test_auc_of_padded_tasks_is_that_of_all_their_pairs_with_infinite_and_tied_scores():
    generator = seeded(3)
    scores = torch.randint(-4, 5, (60, 30), generator=generator).double()
    scores[scores == 4], scores[scores == -4] = torch.inf, -torch.inf
    positive, mask = (torch.rand(2, 60, 30, generator=generator) < 0.6).unbind()
    mask[:3] = False
    mask[3:6] = positive[3:6]
    found = pairwise_auc(scores, positive, mask)
    torch.testing.assert_close(
        found, by_pairs(scores, positive, mask), atol=1e-12, rtol=0, equal_nan=True
    )
    assert found[:6].isnan().all()
    assert not found[6:].isnan().any()


def test_auc_of_a_long_query_needs_no_table_of_its_pairs():
    generator = seeded(4)  # 10¹¹ pairs: a table of them would be 800 GB
    scores = torch.randn(1, 320_000, generator=generator).round(decimals=3)
    positive = torch.rand(1, 320_000, generator=generator) < 0.3
    found = pairwise_auc(scores, positive).item()
    assert found == pytest.approx(roc_auc_score(positive[0], scores[0]), abs=1e-12)
    assert average_precision(scores, positive).item() == pytest.approx(
        average_precision_score(positive[0], scores[0]), abs=1e-12
    )


def test_a_score_that_is_nan_has_no_rank():
    for rank in (pairwise_auc, average_precision):
        with pytest.raises(ValueError, match="NaN"):
            rank(torch.tensor([[1.0, torch.nan]]), torch.tensor([[True, False]]))


def test_auc_ranks_likes_above_the_middle_before_the_others_and_leaves_padding_out():
    these = some()
    expected = [
        roc_auc_score(y > 3, s) if 0 < (y > 3).sum() < len(y) else np.nan for s, y in rows(these)
    ]
    found = measure("auc", these)
    assert found.dtype == torch.float64
    assert np.isnan(expected).any()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_whatever_stands_on_padding_counts_for_nothing():
    these = some()
    for name in ("mae", "mse", "accuracy", "auc", "ndcg@3", "coverage@80"):
        wild = []
        for bad in (-99.0, torch.nan):
            scores = torch.where(these.query.mask, these.scores, bad)
            variance = torch.where(these.query.mask, 1.0, bad)
            targets = torch.where(these.query.mask, these.query.targets, 9.0)
            query = these.query._replace(targets=targets)
            wild.append(measure(name, Judged(scores, query, STARS, variance)))
        plain = measure(name, these._replace(variance=torch.ones_like(these.scores)))
        for found in wild:
            torch.testing.assert_close(found, plain, equal_nan=True)


def test_errors_are_of_what_the_scale_allows():
    assert one("mae", [[9.0, 0.0, 3.0]], [[5, 1, 4]]) == pytest.approx(1 / 3)
    assert one("mse", [[9.0, 0.0, 3.0]], [[4, 2, 5]]) == pytest.approx((1 + 1 + 4) / 3)


def test_accuracy_agrees_with_scikit_learn():
    these = some()
    these = these._replace(scores=these.scores + 0.01)
    expected = [accuracy_score(y > 3, s > 3) for s, y in rows(these)]
    np.testing.assert_allclose(measure("accuracy", these).numpy(), expected)


def test_a_score_in_the_very_middle_is_right_by_half_and_labels_have_a_middle_too():
    assert one("accuracy", [[3.0, 3.0, 4.0, 2.0]], [[5, 1, 5, 5]]) == 0.5  # the middle is no like
    assert one("accuracy", [[0.4, 0.6, 0.9]], [[0, 1, 0]], scale=(0, 1)) == pytest.approx(2 / 3)
    assert one("auc", [[0.4, 0.6, 0.9]], [[0, 1, 0]], scale=(0, 1)) == 0.5


def test_ndcg_agrees_with_scikit_learn_in_steps_of_five_stars_beyond_the_scale():
    these = some()
    for k in (1, 5):
        expected = [
            ndcg_score(2 ** (y[None] - 1) - 1, s[None], k=k) if len(y) > 1 else float(y[0] > 1)
            for s, y in rows(these)
        ]
        np.testing.assert_allclose(measure(f"ndcg@{k}", these).numpy(), expected, atol=1e-9)


def test_coverage_counts_targets_inside_mean_plus_and_minus_z_deviations():
    # z of 80 % is 1.2816: 3 ± 1.28 reaches from 1.72 to 4.28, with a variance of 4 from .44 (so 1) to 5.56 (so 5).
    assert one("coverage@80", [[3.0] * 4], [[1, 2, 4, 5]], variance=[[1.0] * 4]) == 0.5
    assert one("coverage@80", [[3.0] * 4], [[1, 2, 4, 5]], variance=[[4.0] * 4]) == 1
    assert one("coverage@50", [[3.0] * 4], [[1, 2, 4, 5]], variance=[[4.0] * 4]) == 0.5
    assert one("coverage@90", [[7.0, 7.0]], [[5, 4]], variance=[[0.01] * 2]) == 0.5


def test_coverage_of_true_gaussians_is_the_share_in_its_name():
    generator, n = seeded(0), 40_000
    mean, variance = (
        50 * torch.rand(1, n, generator=generator),
        0.5 + torch.rand(1, n, generator=generator),
    )
    targets = mean + variance.sqrt() * torch.randn(1, n, generator=generator)
    query = Examples(torch.zeros(1, n, 2), targets, torch.ones(1, n, dtype=torch.bool))
    for percent in (50, 80, 90, 99):
        share, sd = percent / 100, (percent * (100 - percent) / 1e4 / n) ** 0.5
        true = Judged(mean, query, (-99.0, 199.0), variance)
        assert abs(float(measure(f"coverage@{percent}", true)) - share) < 5 * sd
        small = measure(f"coverage@{percent}", true._replace(variance=variance / 4))
        assert float(small) < share - 5 * sd, "too sure is seen"


def test_without_a_variance_there_is_no_coverage():
    assert measure("coverage@90", some()).isnan().all()


@pytest.mark.parametrize("name", ["mae", "mse", "accuracy", "auc", "ndcg@7", "coverage@1"])
def test_known_measures_pass(name):
    check_measures([name])


@pytest.mark.parametrize(
    "name", ["rmse", "ndcg", "ndcg@", "ndcg@0", "ndcg@x", "coverage@100", "coverage@0", "mae@3", ""]
)
def test_unknown_measures_are_named(name):
    with pytest.raises(
        ValueError, match=f"unknown metrics {name}; known: mae, mse, rounded_mae, accuracy, auc"
    ):
        check_measures(["mae", name])


def test_no_measure_at_all_is_refused():
    with pytest.raises(ValueError, match="unknown metrics"):
        check_measures([])


def test_the_rounded_error_is_that_of_the_nearest_whole_rating_on_the_scale():
    assert one("rounded_mae", [[3.6, 2.5, 7.0, 1.2]], [[5.0, 3.0, 5.0, 1.0]]) == 0.25
    these = some()
    expected = [
        np.abs(np.clip(np.floor(scores + 0.5), 1, 5) - targets).mean()
        for scores, targets in rows(these)
    ]
    assert measure("rounded_mae", these).numpy() == pytest.approx(expected)


def test_where_ratings_are_not_whole_there_is_no_rounded_error():
    assert np.isnan(one("rounded_mae", [[3.6, 2.0]], [[3.5, 2.0]]))
    padded = one("rounded_mae", [[3.6, 2.0]], [[4.0, 2.5]], mask=[[True, False]])
    assert padded == 0
