"""The Gaussian process against dense textbook algebra, and what a posterior must and must not depend on."""

import numpy as np
import pandas as pd
import pytest
import torch
from made import grid_tasks, seeded, tasks_of

import fsl.learners.gaussian_process as module
from fsl import Examples, InputError, Shop, sample_episode, split_tasks, user_tasks
from fsl.evaluation import evaluate
from fsl.learners.baselines import GlobalMean, ShrunkBias
from fsl.learners.gaussian_process import PreferenceGP, log_marginal_likelihood
from fsl.learners.preference_kernel import blocks_of
from fsl.metrics import mse


def made_shop(n_users: int = 60, n_items: int = 12, seed: int = 0) -> Shop:
    """People with a level and a taste of their own for price and for one brand; the old share a like of big screens."""
    rng = np.random.default_rng(seed)
    price, screen = rng.normal(size=(2, n_items))
    brand, age = rng.integers(0, 3, n_items), rng.uniform(20, 70, n_users)
    taste, favourite = rng.normal(0, 1, n_users), rng.integers(0, 3, n_users)
    expected = rng.normal(6, 0.8, n_users)[:, None] + np.outer(taste, price)
    expected += 1.0 * (favourite[:, None] == brand) + np.outer((age > 45) - 0.5, screen)
    ratings = (expected + rng.normal(0, 0.4, expected.shape)).round(2)
    user, item = np.nonzero(rng.random(ratings.shape) < 0.9)
    rows = pd.DataFrame({"user": user, "item": item, "rating": ratings[user, item]})
    items = {"item": range(n_items), "price": price, "screen": screen, "brand": [*"abc"]}
    items["brand"] = np.array(list("abc"))[brand]
    return Shop(rows, pd.DataFrame({"user": range(n_users), "age": age}), pd.DataFrame(items))


@pytest.fixture(scope="module")
def split():
    return split_tasks(user_tasks(made_shop()), seeded(0))


@pytest.fixture(scope="module")
def learner(split) -> PreferenceGP:
    return PreferenceGP(n_iterations=12).fit(split.train)


def doubled(side: Examples) -> Examples:
    return side._replace(targets=side.targets.double())


def dense_covariance(learner, pairs: list[tuple[int, int]]) -> np.ndarray:
    """The kernel written again, one pair of rows and one block at a time."""
    value = {key: log.exp().tolist() for key, log in learner.kernel.logs().items()}

    def squares(x, x_, blocks):
        return [float(((x - x_)[blocks == b] ** 2).sum()) for b in range(int(blocks.max()) + 1)]

    def rbf(x, x_, blocks, lengths):
        parts = zip(squares(x, x_, blocks), lengths, strict=True)
        return np.exp(-sum(part / length**2 for part, length in parts) / 2)

    def dot(x, x_, blocks, weights):
        return sum(
            w * float((x * x_)[blocks == b].sum())
            for b, w in enumerate(np.atleast_1d(weights).tolist())
        )

    def k(one, other):
        (u, i), (u_, i_) = one, other
        x, x_, z, z_ = (
            t.numpy() for t in (learner.x[i], learner.x[i_], learner.z[u], learner.z[u_])
        )
        xb, zb = learner.kernel.object_blocks.numpy(), learner.kernel.subject_blocks.numpy()
        e = rbf(x, x_, xb, value["object length"])
        total = value["all smooth"][0] * e + dot(x, x_, xb, value["all linear"])
        total += value["all item"][0] * (i == i_)
        group = value["group constant"][0] + value["group smooth"][0] * e
        total += rbf(z, z_, zb, value["subject length"]) * (
            group + dot(x, x_, xb, value["group linear"])
        )
        own = value["own constant"][0] + value["own smooth"][0] * e
        return total + (u == u_) * (own + dot(x, x_, xb, value["own linear"]))

    half = np.array(
        [[k(a, b) if n <= m else 0 for n, b in enumerate(pairs)] for m, a in enumerate(pairs)]
    )
    return half + np.tril(half, -1).T


def dense_posterior(learner, train, support: Examples, query_inputs, task: int):
    """Mean and variance of one task's query by one explicit inverse over training and support rows together."""
    told = [
        (int(u), int(i))
        for u, i in zip(train.subjects[train.task_of_row], train.objects, strict=True)
    ]
    told += [tuple(pair) for pair in support.inputs[task].tolist()]
    asked = [tuple(pair) for pair in query_inputs[task].tolist()]
    y = torch.cat([train.targets.double(), support.targets[task].double()]).numpy()
    middle, scale = (
        train.targets.double().mean().item(),
        train.targets.double().std(correction=0).item(),
    )
    mean, noise = float(learner.kernel.mean), float(learner.kernel.noise)
    n, full = len(told), dense_covariance(learner, told + asked)
    inverse = np.linalg.inv(full[:n, :n] + noise * np.eye(n))
    found = mean + full[n:, :n] @ inverse @ ((y - middle) / scale - mean)
    variance = np.diag(full[n:, n:] - full[n:, :n] @ inverse @ full[:n, n:]) + noise
    return middle + scale * found, scale**2 * variance


@pytest.mark.parametrize("n_shots", [0, 3])
def test_the_posterior_is_the_dense_textbook_one(n_shots):
    tasks = user_tasks(made_shop(9, 6, seed=1))
    train, _, test = split_tasks(tasks, seeded(0), (0.8, 0.0, 0.2))
    learner = PreferenceGP(n_iterations=3).fit(train)
    support, query = sample_episode(test, n_shots, 3, seeded(1))
    found = learner.distribution(support, query.inputs)
    assert found.mean.dtype == found.variance.dtype == torch.float64
    for task in range(len(query.inputs)):
        mean, variance = dense_posterior(learner, train, support, query.inputs, task)
        np.testing.assert_allclose(found.mean[task].numpy(), mean, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.variance[task].numpy(), variance, rtol=0, atol=1e-8)


def test_the_marginal_likelihood_and_its_slope_are_those_of_a_gaussian():
    draws = torch.randn(6, 9, generator=seeded(0), dtype=torch.float64)
    covariance = (draws @ draws.T + torch.eye(6)).requires_grad_()
    y = torch.randn(6, generator=seeded(1), dtype=torch.float64).requires_grad_()
    zero = torch.zeros(6, dtype=torch.float64)
    expected = torch.distributions.MultivariateNormal(zero, covariance).log_prob(y)
    found = log_marginal_likelihood(covariance, y)
    assert found.item() == pytest.approx(expected.item(), abs=1e-10)
    slopes = [torch.autograd.grad(value, (covariance, y)) for value in (found, expected)]
    torch.testing.assert_close(slopes[0][1], slopes[1][1], rtol=0, atol=1e-10)
    symmetric = [(slope + slope.T) / 2 for slope, _ in slopes]
    torch.testing.assert_close(*symmetric, rtol=0, atol=1e-10)


def test_fitting_raises_the_marginal_likelihood(split, learner):
    start = PreferenceGP(n_iterations=0).fit(split.train)
    assert learner.log_likelihood > start.log_likelihood + 50


def test_it_is_deterministic_and_leaves_the_global_generator_alone(split, learner):
    state = torch.random.get_rng_state()
    again = PreferenceGP(n_iterations=12).fit(split.train)
    assert torch.equal(torch.random.get_rng_state(), state)
    support, query = sample_episode(split.test, 4, 5, seeded(0))
    assert torch.equal(again.predict(support, query.inputs), learner.predict(support, query.inputs))


def test_tasks_do_not_touch_one_another(split, learner, monkeypatch):
    support, query = map(doubled, sample_episode(split.test, 4, 5, seeded(0)))
    found = learner.distribution(support, query.inputs)
    backwards = learner.distribution(
        Examples(*(side.flip(0) for side in support)), query.inputs.flip(0)
    )
    monkeypatch.setattr(module, "_POINTS_AT_ONCE", 1)
    alone = learner.distribution(support, query.inputs)
    for part, turned, single in zip(found, backwards, alone, strict=True):
        torch.testing.assert_close(turned.flip(0), part, rtol=0, atol=1e-10)
        torch.testing.assert_close(single, part, rtol=0, atol=1e-10)


def test_padding_is_as_if_it_were_not_there(split, learner):
    support, query = map(doubled, sample_episode(split.test, 4, 5, seeded(0)))
    mask = torch.tensor([True, True, False, False]).expand_as(support.targets)
    wrong = torch.where(mask, support.targets, torch.nan)
    short = Examples(support.inputs[:, :2], support.targets[:, :2])
    for one, other in zip(
        learner.distribution(Examples(support.inputs, wrong, mask), query.inputs),
        learner.distribution(short, query.inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_a_rating_makes_it_surer_and_no_tasks_are_no_trouble(split, learner):
    support, query = sample_episode(split.test, 4, 5, seeded(0))
    few = Examples(*(side[:, :1] for side in support))
    more, less = (learner.distribution(side, query.inputs).variance for side in (support, few))
    assert bool((more < less).all())
    nothing = learner.distribution(Examples(*(side[:0] for side in support)), query.inputs[:0])
    assert nothing.mean.shape == (0, 5)


def test_it_finds_tastes_that_biases_cannot_and_its_intervals_hold(split):
    learner, bias = PreferenceGP().fit(split.train), ShrunkBias().fit(split.train)
    inside, errors = [], []
    for seed in range(20):
        support, query = sample_episode(split.test, 5, 5, seeded(seed))
        mean, variance = learner.distribution(support, query.inputs)
        far = (mean - query.targets).abs() / variance.sqrt()
        inside.append((far < 1.645)[query.mask].double().mean())
        theirs = bias.predict(support, query.inputs)
        errors.append([mse(p, query.targets, query.mask).mean() for p in (mean, theirs)])
    ours, theirs = torch.tensor(errors).mean(0).sqrt()
    assert ours < 0.75 * theirs
    assert 0.8 < torch.stack(inside).mean() < 0.97


def test_shuffled_labels_bring_it_down_to_the_mean(split):
    targets = split.train.targets[torch.randperm(split.train.n_rows, generator=seeded(3))]
    tests = split.test.targets[torch.randperm(split.test.n_rows, generator=seeded(4))]
    train, test = (
        type(part)(**{**vars_of(part), "targets": values})
        for part, values in ((split.train, targets), (split.test, tests))
    )
    fitted = {"gp": PreferenceGP().fit(train), "mean": GlobalMean().fit(train)}
    records = evaluate(fitted, test, (5,), 5, range(5), metrics=("mse",))
    means = records.groupby("learner")["value"].mean()
    assert means["gp"] > 0.97 * means["mean"]


def vars_of(tasks) -> dict:
    return {name: getattr(tasks, name) for name in tasks.__dataclass_fields__}


def test_more_rows_than_it_can_take_are_refused_in_a_sentence(split):
    with pytest.raises(
        InputError, match=r"at most 20 training rows \(max_rows\), these tasks have"
    ):
        PreferenceGP(max_rows=20).fit(split.train)


def test_no_contents_one_row_and_equal_targets_are_fitted():
    bare = grid_tasks(np.random.default_rng(0).normal(3, 1, (6, 5)))
    one, flat = tasks_of(("a", 1, 3)), tasks_of(*[(u, i, 4) for u in "abc" for i in range(3)])
    for tasks in (bare, one, flat):
        nothing = Examples(torch.zeros(1, 0, 2, dtype=torch.long), torch.zeros(1, 0))
        found = (
            PreferenceGP(n_iterations=5)
            .fit(tasks)
            .distribution(nothing, torch.zeros(1, 1, 2, dtype=torch.long))
        )
        assert all(bool(part.isfinite().all()) for part in found)
    assert found.mean.item() == pytest.approx(4, abs=1e-3)


def test_wild_parameters_leave_the_covariance_positive_definite(split):
    """A line search may try anything: every parameter stays within reach of its start."""
    learner = PreferenceGP(n_iterations=0).fit(split.train)
    same = split.train.task_of_row[:, None] == split.train.task_of_row
    for far in (-1e3, 1e3):
        for free in learner.kernel.free.values():
            free.fill_(far)
        learner.kernel.free["noise"].fill_(-1e3)
        covariance = learner.kernel(learner.training, learner.training, same.double())
        noise = learner.kernel.noise * torch.eye(len(covariance))
        assert torch.linalg.cholesky(covariance + noise).isfinite().all()


def test_blocks_join_the_columns_of_a_category():
    blocks, n = blocks_of(["price", "brand=a", "brand=b", "os=x"])
    assert (blocks.tolist(), n) == ([0, 1, 1, 2], 3)
    assert blocks_of([])[1] == 1
