"""Empirical Bayes: the posterior against dense Gaussian conditioning and scikit-learn; EM against known data."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from made import grid_tasks, seeded
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct

from fsl import Shop, user_tasks
from fsl.episodes import Examples, sample_episode
from fsl.learners.empirical_bayes import EmpiricalBayes, posterior, prior_of
from fsl.learners.factor_analysis import FactorAnalysis, factor_analysis
from fsl.tasks import split_tasks

N_OBJECTS, N_SUBJECTS = 9, 4


def invented(seed: int = 0, d: int = 2, doubt: float = 0.3) -> FactorAnalysis:
    """A fit whose parameters are random ones of the right shapes."""
    known = np.random.default_rng(0).normal(size=(N_SUBJECTS, N_OBJECTS))
    generator = seeded(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    half = randn(d + 1, d + 1)
    return replace(
        factor_analysis(grid_tasks(known), d, 1),
        base=3 + randn(N_OBJECTS),
        loadings=torch.cat([torch.ones(N_OBJECTS, 1), randn(N_OBJECTS, d)], dim=1).double(),
        subject_means=randn(N_SUBJECTS, d + 1),
        covariance=half @ half.T + 0.1 * torch.eye(d + 1),
        noise=torch.tensor(0.7, dtype=torch.float64),
        doubt=doubt * torch.rand(N_OBJECTS, generator=generator, dtype=torch.float64),
    )


def fitted(*fits: FactorAnalysis, **settings) -> EmpiricalBayes:
    bayes = EmpiricalBayes(**settings)
    bayes.fits = list(fits)
    return bayes


def episode(n_shots: int, n_query: int = 3, seed: int = 0):
    """Support and query of four tasks about different objects."""
    generator = seeded(seed)
    lots = torch.stack([torch.randperm(N_OBJECTS, generator=generator) for _ in range(N_SUBJECTS)])
    subjects = torch.arange(N_SUBJECTS)[:, None].expand_as(lots)
    inputs = torch.stack([subjects, lots], dim=-1)
    targets = torch.randint(1, 6, (N_SUBJECTS, n_shots), generator=generator).float()
    return Examples(inputs[:, :n_shots], targets), inputs[:, n_shots : n_shots + n_query]


def conditioned(fit: FactorAnalysis, support: Examples, asked, t: int, noise_scale: float = 1.0):
    """Textbook conditioning of one Gaussian over all rows: μ_q + Σ_qs Σ_ss⁻¹ (y − μ_s), Σ_qq − Σ_qs Σ_ss⁻¹ Σ_sq."""
    known, k = support.inputs[t, :, 1].tolist(), support.inputs.shape[1]
    rows = known + asked[t, :, 1].tolist()
    phi = fit.loadings.numpy()[rows]
    mean = fit.base.numpy()[rows] + phi @ fit.subject_means.numpy()[t]
    scale = np.where(np.arange(len(rows)) < k, noise_scale, 1.0)
    own = scale * (float(fit.noise) + fit.doubt.numpy()[rows])
    joint = phi @ fit.covariance.numpy() @ phi.T + np.diag(own)
    gain = joint[k:, :k] @ np.linalg.inv(joint[:k, :k])
    y = support.targets[t].double().numpy()
    return mean[k:] + gain @ (y - mean[:k]), np.diag(joint[k:, k:] - gain @ joint[:k, k:])


@pytest.mark.parametrize("n_shots", [0, 1, 4])
@pytest.mark.parametrize("noise_scale", [1.0, 1.7])
def test_the_posterior_is_textbook_conditioning(n_shots, noise_scale):
    fit, (support, asked) = invented(), episode(n_shots)
    found, alpha = posterior(prior_of([fit], support.inputs, asked), support, noise_scale)
    assert alpha.shape == (N_SUBJECTS, n_shots)
    for t in range(N_SUBJECTS):
        mean, variance = conditioned(fit, support, asked, t, noise_scale)
        np.testing.assert_allclose(found.mean[t].numpy(), mean, atol=1e-9)
        np.testing.assert_allclose(found.variance[t].numpy(), variance, atol=1e-9)
    rounded = fitted(fit, noise_scale=noise_scale).distribution(support, asked)
    torch.testing.assert_close(rounded.mean, found.mean.float())
    torch.testing.assert_close(rounded.variance, found.variance.float())


def test_the_posterior_agrees_with_scikit_learns_gaussian_process():
    fit, (support, asked) = invented(doubt=0.0), episode(4)
    fit = replace(fit, covariance=torch.eye(3, dtype=torch.float64))
    found = fitted(fit).distribution(support, asked)
    for t in range(N_SUBJECTS):
        known, wanted = support.inputs[t, :, 1], asked[t, :, 1]
        v = fit.loadings[:, 1:].numpy()
        expected = (fit.base + fit.loadings @ fit.subject_means[t]).numpy()
        process = GaussianProcessRegressor(DotProduct(1.0), alpha=float(fit.noise), optimizer=None)
        process.fit(v[known], support.targets[t].numpy() - expected[known])
        mean, sd = process.predict(v[wanted], return_std=True)
        np.testing.assert_allclose(found.mean[t].numpy(), expected[wanted] + mean, atol=1e-5)
        np.testing.assert_allclose(found.variance[t].numpy(), sd**2 + float(fit.noise), atol=1e-5)


def test_several_fits_give_the_mean_of_their_priors():
    fits, (support, asked) = [invented(0), invented(1)], episode(2)
    alone = [prior_of([fit], support.inputs, asked) for fit in fits]
    together = prior_of(fits, support.inputs, asked)
    for name, value in vars(together).items():
        torch.testing.assert_close(value, sum(getattr(prior, name) for prior in alone) / 2)


def test_each_support_row_adds_its_part_to_the_mean():
    fit, (support, asked) = invented(), episode(3)
    prior = prior_of([fit], support.inputs, asked)
    found, alpha = posterior(prior, support)
    parts = prior.across * alpha[:, None]
    torch.testing.assert_close(prior.asked_mean + parts.sum(-1), found.mean)


def padded(support: Examples, wrong: float = 99.0) -> Examples:
    """The same support with two rows of nonsense, one before and one behind."""
    n, k = support.targets.shape
    inputs = torch.cat([support.inputs[:, :1] * 0, support.inputs, support.inputs[:, :1] * 0], 1)
    targets = torch.cat([torch.full((n, 1), x) for x in (wrong, -wrong)], dim=1)
    targets = torch.cat([targets[:, :1], support.targets, targets[:, 1:]], dim=1)
    mask = torch.ones(n, k + 2, dtype=torch.bool)
    mask[:, [0, -1]] = False
    return Examples(inputs, targets, mask)


@pytest.mark.parametrize("wrong", [99.0, float("nan")])
def test_padding_of_the_support_says_nothing(wrong):
    (support, asked), bayes = episode(3), fitted(invented(), invented(1))
    plain = bayes.distribution(support, asked)
    for found, expected in zip(
        bayes.distribution(padded(support, wrong), asked), plain, strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_more_support_is_more_certain_and_no_trust_is_the_prior():
    fit, (support, asked) = invented(), episode(5)
    variance = []
    for k in range(6):
        fewer = Examples(support.inputs[:, :k], support.targets[:, :k])
        variance.append(fitted(fit).distribution(fewer, asked).variance)
    for before, after in pairwise(variance):
        assert (after <= before + 1e-6).all()
    doubtful = fitted(fit, noise_scale=1e12).distribution(support, asked)
    nothing = Examples(support.inputs[:, :0], support.targets[:, :0])
    torch.testing.assert_close(doubtful.mean, fitted(fit).predict(nothing, asked))


def drawn(n_users: int, n_items: int = 20, seed: int = 0, known: float = 1.0, noise: float = 0.5):
    """Ratings from the model itself, d = 2, and the truth: covariance of a user's ratings, levels, σ²."""
    rng = np.random.default_rng(seed)
    level, v = 3 + rng.normal(size=n_items), rng.normal(size=(n_items, 2)) * [1.0, 0.6]
    phi = np.column_stack([np.ones(n_items), v])
    w = rng.normal(size=(n_users, 3)) * [0.7, 1, 1]
    ratings = level + w @ phi.T + noise**0.5 * rng.normal(size=(n_users, n_items))
    ratings[rng.random(ratings.shape) > known] = np.nan
    return ratings, phi @ np.diag([0.49, 1, 1]) @ phi.T, level, noise


def log_likelihood(fit: FactorAnalysis, ratings: np.ndarray) -> float:
    """Mean over users of log N(y; μ, φ P φᵀ + σ² I), all rows of the user at once."""
    phi = fit.loadings.numpy()
    covariance = phi @ fit.covariance.numpy() @ phi.T + float(fit.noise) * np.eye(len(phi))
    left = ratings - fit.base.numpy() - phi @ fit.subject_means[0].numpy()
    distance = (left @ np.linalg.inv(covariance) * left).sum(1)
    constant = np.linalg.slogdet(covariance)[1] + len(phi) * np.log(2 * np.pi)
    return float(-0.5 * (distance + constant).mean())


def test_em_finds_what_the_data_were_made_of():
    ratings, covariance, level, noise = drawn(600, known=0.7)
    fit = factor_analysis(grid_tasks(ratings), 2, 30, use_content=False)
    phi = fit.loadings
    found = (phi @ fit.covariance @ phi.T).numpy()
    assert np.linalg.norm(found - covariance) < 0.15 * np.linalg.norm(covariance)
    assert float(fit.noise) == pytest.approx(noise, rel=0.06)
    expected = (fit.base + phi @ fit.subject_means[0]).numpy()
    np.testing.assert_allclose(expected, level, atol=0.25)
    torch.testing.assert_close(fit.covariance.diagonal()[1:], torch.ones(2).double())


def test_em_never_loses_much_likelihood_and_ends_where_principal_components_end():
    ratings, *_ = drawn(500)
    train, test = ratings[:300], ratings[300:]
    tasks = grid_tasks(train)
    climb = [
        log_likelihood(factor_analysis(tasks, 2, n, use_content=False), train) for n in range(1, 25)
    ]
    assert climb[-1] > climb[0] + 1
    assert (np.diff(climb) > -0.02).all()
    fit = factor_analysis(tasks, 2, 40, use_content=False)
    best = PCA(3).fit(train).score(test)  # the exact maximum, Tipping & Bishop 1999
    assert log_likelihood(fit, test) == pytest.approx(best, abs=0.15)


def test_intervals_of_new_users_hold_what_they_promise():
    tasks = grid_tasks(drawn(700, known=0.8)[0])
    split = split_tasks(tasks, seeded(0), (0.5, 0, 0.5))
    bayes = EmpiricalBayes(2, use_content=False).fit(split.train)
    for k in (0, 3):
        support, query = sample_episode(split.test, k, 8, seeded(k))
        mean, variance = bayes.distribution(support, query.inputs)
        z = ((query.targets - mean) / variance.sqrt())[query.mask]
        assert (z.abs() < 1.2816).float().mean().item() == pytest.approx(0.8, abs=0.03)
        assert z.square().mean().item() == pytest.approx(1, abs=0.1)


def test_what_people_are_like_says_what_they_like_before_the_first_rating():
    """Users and items of two kinds; each kind of user likes one kind of item."""
    rng = np.random.default_rng(0)
    user, item = (x.ravel() for x in np.indices((120, 16)))
    table = pd.DataFrame({"user": user, "item": item})
    table["rating"] = (
        3 + (1 - 2 * (user % 2)) * (1 - 2 * (item % 2)) + 0.3 * rng.normal(size=len(user))
    )
    kinds = [
        pd.DataFrame({key: range(n), "kind": np.arange(n) % 2})
        for key, n in (("user", 120), ("item", 16))
    ]
    split = split_tasks(user_tasks(Shop(table, *kinds)), seeded(0))
    support, query = sample_episode(split.test, 0, 10, seeded(0))
    errors = {
        use: (
            EmpiricalBayes(2, use_content=use).fit(split.train).predict(support, query.inputs)
            - query.targets
        )
        for use in (True, False)
    }
    assert errors[True].square().mean() < 0.3
    assert errors[False].square().mean() > 0.9


def test_the_same_seed_fits_the_same():
    tasks = grid_tasks(drawn(60)[0])
    support, query = sample_episode(tasks, 3, 5, seeded(0))
    first, second, other = (
        EmpiricalBayes(2, 2, seed=seed).fit(tasks).predict(support, query.inputs)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
