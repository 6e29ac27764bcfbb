"""Every object's own taste for content: the ridge against scikit-learn, and what it adds to empirical Bayes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from made import seeded
from sklearn.linear_model import Ridge

from fsl import Shop, item_tasks
from fsl.episodes import sample_episode
from fsl.learners.attentive import AttentiveBayes
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.learners.own_tastes import own_tastes, standardised
from fsl.tasks import split_tasks

N_USERS, N_ITEMS, N_TRAITS = 24, 120, 8


def tasteful(seed: int = 0, spread: float = 0.5):
    """Items as tasks; every user likes and dislikes eight traits as no few factors can tell, with spread `spread`."""
    rng = np.random.default_rng(seed)
    traits = rng.normal(size=(N_ITEMS, N_TRAITS))
    wants = spread * rng.normal(size=(N_USERS, N_TRAITS))
    stars = np.clip(3 + wants @ traits.T + 0.3 * rng.normal(size=(N_USERS, N_ITEMS)), 1, 5)
    users, items = (x.ravel() for x in np.indices(stars.shape))
    known = rng.random(len(users)) < 0.7
    rows = pd.DataFrame({"user": users, "item": items, "rating": stars.ravel()})[known]
    columns = {f"trait{j}": traits[:, j] for j in range(N_TRAITS)}
    shop = Shop(rows.astype({"user": str, "item": str}), items=items_table(columns))
    return split_tasks(item_tasks(shop), seeded(seed))


def items_table(columns) -> pd.DataFrame:
    return pd.DataFrame({"item": [str(i) for i in range(N_ITEMS)], **columns})


def rmse(learner, tasks, n_shots: int) -> float:
    support, query = sample_episode(tasks, n_shots, 10, seeded(5))
    return float((learner.predict(support, query.inputs) - query.targets).square().mean().sqrt())


@pytest.mark.parametrize("n_tasks", [None, 6], ids=["more rows than columns", "fewer"])
def test_the_slopes_are_scikit_learns_ridge_one_per_object(n_tasks):
    tasks = tasteful().train
    tasks = tasks if n_tasks is None else tasks.subset(torch.arange(n_tasks))
    left = torch.randn(len(tasks.objects), generator=seeded(1), dtype=torch.float64)
    found = own_tastes(tasks, left, 7.0)
    whose = tasks.subjects[tasks.task_of_row]
    x = tasks.subject_features.double()
    seen = x[tasks.subjects]
    design = torch.cat([torch.ones(len(x), 1), (x - seen.mean(0)) / seen.std(0, correction=0)], 1)
    for o in range(len(tasks.object_ids)):
        of_it = tasks.objects == o
        if not of_it.any():
            continue
        ridge = Ridge(alpha=7.0, fit_intercept=False).fit(design[whose[of_it]], left[of_it])
        torch.testing.assert_close(found.slopes[o].numpy(), ridge.coef_, atol=1e-5, rtol=1e-5)
        ours = found.of(whose[of_it], torch.full_like(whose[of_it], o))
        np.testing.assert_allclose(ours, ridge.predict(design[whose[of_it]]), atol=1e-5)


def test_an_object_that_met_nobody_has_no_taste():
    tasks = tasteful().train
    alone = tasks.objects == 3
    tasks = replace(tasks, objects=torch.where(alone, 4, tasks.objects))
    found = own_tastes(tasks, torch.ones(len(tasks.objects), dtype=torch.float64), 1.0)
    assert not found.slopes[3].any()
    assert found.slopes[4].any()


def test_standardised_columns_and_one_that_says_nothing():
    x = torch.tensor([[1.0, 5.0, 0.0], [3.0, 5.0, 0.0], [9.0, 7.0, 0.02]])
    found = standardised(x, torch.tensor([0, 1]))
    assert found[:, 0].tolist() == [-1.0, 1.0, 7.0], "mean 2 and spread 1 of the first two rows"
    assert found[:, 1].tolist() == [0.0, 0.0, 0.0], "constant among these rows"
    assert standardised(x)[2, 2] == pytest.approx((0.02 - x[:, 2].mean()) / 0.05), "spread of .009"
    assert standardised(torch.empty(0, 2)).shape == (0, 2)


@pytest.mark.parametrize("n_shots", [0, 3])
def test_own_tastes_foretell_new_items_where_few_factors_cannot(n_shots):
    split = tasteful()
    without = EmpiricalBayes(2).fit(split.train)
    having = EmpiricalBayes(2, taste_shrinkage=3.0).fit(split.train)
    plain, found = (rmse(learner, split.test, n_shots) for learner in (without, having))
    assert found < 0.75 * plain, (found, plain)


def test_where_nobody_has_tastes_of_the_own_strong_shrinkage_loses_nothing():
    split = tasteful(spread=0.0)
    without = EmpiricalBayes(2).fit(split.train)
    having = EmpiricalBayes(2, taste_shrinkage=300.0).fit(split.train)
    assert rmse(having, split.test, 0) < 1.02 * rmse(without, split.test, 0)


def test_endless_shrinkage_is_no_taste_and_a_second_fit_forgets_the_first():
    split = tasteful()
    support, query = sample_episode(split.test, 3, 10, seeded(5))
    without = EmpiricalBayes(2).fit(split.train).distribution(support, query.inputs)
    learner = EmpiricalBayes(2, taste_shrinkage=1e12).fit(split.train)
    torch.testing.assert_close(learner.distribution(support, query.inputs), without)
    learner.taste_shrinkage = None
    again = learner.fit(split.train).distribution(support, query.inputs)
    assert torch.equal(again.mean, without.mean)
    assert learner.tastes is None


def test_tastes_shift_the_mean_and_leave_the_variance():
    split = tasteful()
    support, query = sample_episode(split.test, 4, 10, seeded(5))
    without = EmpiricalBayes(2).fit(split.train)
    having = EmpiricalBayes(2, taste_shrinkage=3.0).fit(split.train)
    shift = [
        having.tastes.of(query.inputs[:, :1, 0], x[..., 1]) for x in (support.inputs, query.inputs)
    ]
    moved = support._replace(targets=(support.targets - shift[0]).float())
    expected = without.distribution(moved, query.inputs)
    found = having.distribution(support, query.inputs)
    torch.testing.assert_close(found.mean, (expected.mean + shift[1]).float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.variance, expected.variance)


def test_the_set_encoder_starts_from_them():
    split = tasteful()
    learner = AttentiveBayes(2, 1, 2, 1, taste_shrinkage=3.0, n_iterations=0, stop_early=False)
    learner.fit(split.train)
    alone = EmpiricalBayes(2, 1, n_steps=10, taste_shrinkage=3.0).fit(split.train)
    support, query = sample_episode(split.test, 3, 10, seeded(5))
    torch.testing.assert_close(
        learner.predict(support, query.inputs), alone.predict(support, query.inputs)
    )


def test_tastes_of_a_fit_are_those_of_fitting_again():
    split = tasteful()
    again = EmpiricalBayes(2, taste_shrinkage=3.0).fit(split.train)
    found = EmpiricalBayes(2).fit(split.train).with_tastes(split.train, 3.0)
    assert torch.equal(found.tastes.slopes, again.tastes.slopes)
    assert found.with_tastes(split.train, None).tastes is None
    assert found.tastes is not None, "the copy is a copy"
