"""Empirical Bayes with a set encoder: nothing before training, a function of a set, honest folds, stopped in time."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from made import grid_tasks, seeded

from fsl import InputError, Shop, user_tasks
from fsl.episodes import Examples, sample_episode
from fsl.learners import attentive
from fsl.learners.attentive import AttentiveBayes, SetEncoder
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.tasks import join, split_tasks

SMALL = {"n_factors": 1, "n_fits": 1, "n_inner": 3, "n_inner_fits": 1, "n_hidden": 16}


def camps(n_users: int = 240, n_items: int = 12, seed: int = 0):
    """People are of two camps, and items of two sides: what one camp loves the other hates. No Gaussian prior is so."""
    rng = np.random.default_rng(seed)
    camp, side = rng.choice([-1, 1], n_users), np.arange(n_items) % 2 * 2 - 1
    ratings = 3 + 2 * camp[:, None] * side + rng.normal(size=(n_users, n_items))
    return split_tasks(grid_tasks(ratings, side[:, None]), seeded(0), (0.6, 0.2, 0.2))


@pytest.fixture(scope="module")
def split():
    return camps()


@pytest.fixture(scope="module")
def trained(split):
    return AttentiveBayes(**SMALL, n_iterations=150, lr=1e-2, refit=False).fit(
        split.train, split.validation
    )


def episode(split, n_shots: int, seed: int = 0):
    return sample_episode(split.test, n_shots, 5, seeded(seed))


def test_before_training_it_is_empirical_bayes(split):
    learner = AttentiveBayes(**SMALL, n_iterations=0).fit(split.train)
    bayes = EmpiricalBayes(1, 1).fit(split.train)
    for n_shots in (0, 1, 4):
        support, query = episode(split, n_shots)
        found = learner.distribution(support, query.inputs)
        for ours, theirs in zip(found, bayes.distribution(support, query.inputs), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_training_finds_what_a_gaussian_prior_cannot_say(split, trained):
    assert min(trained.history) < 0.98 * trained.history[0]
    squares = {"ours": [], "bayes": []}
    bayes = EmpiricalBayes(1, 1).fit(split.train)
    for n_shots in (1, 3):
        support, query = episode(split, n_shots)
        for name, learner in (("ours", trained), ("bayes", bayes)):
            error = learner.predict(support, query.inputs) - query.targets
            squares[name].append(error.square().mean().item())
    assert sum(squares["ours"]) < 0.98 * sum(squares["bayes"])


def test_the_weights_kept_are_those_of_the_best_check(split, trained):
    assert len(trained.history) == 150 / attentive.CHECK_EVERY + 1
    episodes = attentive.validation_episodes(split.validation, (0, 1, 3, 5, 10), 10, 0)
    assert trained._validation_loss(list(episodes)) == pytest.approx(min(trained.history))


def test_the_mean_is_the_prediction_and_the_variance_the_posteriors(split, trained):
    support, query = episode(split, 3)
    mean, variance = trained.distribution(support, query.inputs)
    assert torch.equal(mean, trained.predict(support, query.inputs))
    assert torch.equal(variance, trained.bayes.distribution(support, query.inputs).variance)


def test_support_is_a_set(split, trained):
    support, query = episode(split, 5)
    order = torch.tensor([3, 1, 4, 0, 2])
    turned = Examples(*(side[:, order] for side in support))
    plain = trained.predict(support, query.inputs)
    torch.testing.assert_close(trained.predict(turned, query.inputs), plain)
    query_order = torch.tensor([4, 2, 0, 1, 3])
    found = trained.predict(support, query.inputs[:, query_order])
    torch.testing.assert_close(found, plain[:, query_order])


@pytest.mark.parametrize("n_shots", [0, 2])
def test_padding_of_the_support_says_nothing(split, trained, n_shots):
    support, query = episode(split, n_shots)
    n = len(support.targets)
    nonsense = torch.full((n, 2), 50.0)
    wide = Examples(
        torch.cat([support.inputs, query.inputs[:, :2]], dim=1),
        torch.cat([support.targets, nonsense], dim=1),
        torch.cat([support.mask, nonsense < 0], dim=1),
    )
    plain = trained.predict(support, query.inputs)
    torch.testing.assert_close(trained.predict(wide, query.inputs), plain)


def test_a_task_does_not_see_the_others(split, trained):
    support, query = episode(split, 3)
    alone = [
        trained.predict(Examples(*(side[t : t + 1] for side in support)), query.inputs[t : t + 1])
        for t in range(len(query.targets))
    ]
    torch.testing.assert_close(torch.cat(alone), trained.predict(support, query.inputs))


def test_nobody_trains_on_tables_that_the_own_ratings_have_shaped(split, monkeypatch):
    class Noting(EmpiricalBayes):
        def fit(self, tasks, validation=None):
            self.groups = set(tasks.groups.tolist())
            return super().fit(tasks)

    pairs = []

    def note(self, folds, n_steps, episodes):
        pairs.append([(set(held_out.groups.tolist()), bayes.groups) for held_out, bayes in folds])
        return n_steps

    monkeypatch.setattr(attentive, "EmpiricalBayes", Noting)
    monkeypatch.setattr(AttentiveBayes, "_descend", note)
    learner = AttentiveBayes(**SMALL).fit(split.train, split.validation)
    train, validation = (set(part.groups.tolist()) for part in (split.train, split.validation))
    first, again = pairs
    for folds, everyone in ((first, train), (again, train | validation)):
        assert len(folds) == 3
        assert sorted(g for held_out, _ in folds for g in held_out) == sorted(everyone)
        for held_out, fitted_on in folds:
            assert fitted_on == everyone - held_out
    assert learner.bayes.groups == train | validation, "what is predicted with knows them all"


def test_a_refit_takes_the_steps_that_validation_chose(split, monkeypatch):
    steps = []
    descend = AttentiveBayes._descend

    def note(self, folds, n_steps, episodes):
        at = descend(self, folds, n_steps, episodes)
        steps.append((n_steps, episodes is None, at))
        return at

    monkeypatch.setattr(AttentiveBayes, "_descend", note)
    AttentiveBayes(**SMALL, n_iterations=60).fit(split.train, split.validation)
    (first, blind, chosen), (second, blind_again, _) = steps
    assert (first, blind) == (60, False)
    assert (second, blind_again) == (chosen, True)
    assert chosen in (0, 50)


def test_the_same_seed_trains_the_same_and_the_global_generator_is_left_alone(split):
    support, query = episode(split, 2)
    before = torch.random.get_rng_state()
    found = [
        AttentiveBayes(**SMALL, n_iterations=10, seed=seed)
        .fit(split.train)
        .predict(support, query.inputs)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_trait_that_nobody_in_training_had_says_nothing():
    """As the column of a new scene: it never varied, so its weight was never learned."""
    rng = np.random.default_rng(0)
    user, item = (x.ravel() for x in np.indices((40, 8)))
    ratings = rng.integers(1, 6, len(user)).astype(float)
    table = pd.DataFrame({"user": user, "item": item, "rating": ratings})
    kind = np.where(np.arange(40) < 30, "old", "new")
    users = pd.DataFrame({"user": range(40), "age": rng.normal(size=40), "kind": kind})
    tasks = user_tasks(Shop(table, users))
    train, test = tasks.subset(torch.arange(30)), tasks.subset(torch.arange(30, 40))
    learner = AttentiveBayes(**SMALL, n_iterations=2).fit(train)
    columns = dict(zip(tasks.subject_feature_names, learner.subject_content.T, strict=True))
    assert (columns["kind=new"] == 0).all()
    assert columns["age"].std() > 0.5
    support, query = sample_episode(test, 2, 3, seeded(0))
    assert learner.predict(support, query.inputs).isfinite().all()


def test_validation_without_tasks_is_refused(split):
    none = split.validation.subset(torch.arange(0))
    with pytest.raises(InputError, match="none of the validation tasks has a behaviour"):
        AttentiveBayes(**SMALL).fit(split.train, none)


def test_the_encoder_starts_at_zero_and_every_weight_learns_after_one_step():
    generator = seeded(0)

    def randn(*shape):
        return torch.randn(*shape, generator=generator)

    net = SetEncoder(n_token=3, n_content=2, n_hidden=8)
    sides = (
        randn(4, 5, 3),
        randn(4, 5),
        torch.ones(4, 5),
        randn(4, 6, 3),
        randn(4, 2),
        randn(4, 6, 2),
    )
    assert torch.equal(net(*sides), torch.zeros(4, 6))
    descent = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        descent.zero_grad()
        (net(*sides) - 1).square().mean().backward()
        descent.step()
    still = [name for name, w in net.named_parameters() if not (w.grad.abs().sum() > 0)]
    assert not still, "no part is cut off"


def test_tables_are_shared_by_tasks_that_are_alike_and_by_no_others(split):
    learner = AttentiveBayes(**SMALL)
    joined = [join(split.train, split.validation) for _ in range(2)]
    first, again = (learner._fits(tasks) for tasks in joined)
    assert first is again
    stars = joined[0].targets.clone()
    stars[0] += 1
    assert learner._fits(replace(joined[0], targets=stars)) is not first
    assert learner._fits(split.train) is not first


def test_learners_that_share_tables_predict_as_those_that_do_not(split):
    tables = []
    shared = [
        AttentiveBayes(**SMALL, n_iterations=20, tables=tables, mae_share=share).fit(split.train)
        for share in (0.0, 0.7)
    ]
    assert shared[0].bayes is shared[1].bayes
    own = AttentiveBayes(**SMALL, n_iterations=20, mae_share=0.7).fit(split.train)
    other_seed = AttentiveBayes(**SMALL, n_iterations=20, tables=tables, seed=1).fit(split.train)
    assert other_seed.bayes is not own.bayes
    support, query = episode(split, 3)
    assert torch.equal(shared[1].predict(support, query.inputs), own.predict(support, query.inputs))
    assert not torch.equal(
        shared[0].predict(support, query.inputs), own.predict(support, query.inputs)
    )
