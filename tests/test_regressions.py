"""Regressions on statistics: the table by hand, nothing of a row's own target in it, and the usual promises."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from made import seeded, tasks_of

import fsl.learners.regressions as module
from fsl import (
    Examples,
    InputError,
    item_tasks,
    sample_episode,
    simulate_shop,
    split_tasks,
    user_tasks,
)
from fsl.learners import GlobalMean, Selected, ShrunkBias
from fsl.learners.averages import Average
from fsl.learners.inner_folds import SelectedByFolds, folds_by_group
from fsl.learners.regressions import (
    ObjectEffects,
    OnStatistics,
    RidgeOnStatistics,
    support_statistics,
)
from fsl.learners.select import validation_episodes, validation_error
from fsl.learners.trees import TreesOnFeatures

LEARNERS = {"ridge": RidgeOnStatistics, "trees": lambda: TreesOnFeatures(n_trees=20)}


@pytest.fixture(scope="module")
def split():
    return split_tasks(user_tasks(simulate_shop(120, 30, 1)[0]), seeded(0))


@pytest.fixture(scope="module", params=LEARNERS)
def learner(request, split):
    return LEARNERS[request.param]().fit(split.train)


def test_effects_leave_out_the_rows_own_task(split):
    tasks = split.train.subset(torch.arange(12))
    others = ObjectEffects(tasks, 5.0).others
    for row in range(0, tasks.n_rows, 7):
        task, item = int(tasks.task_of_row[row]), int(tasks.objects[row])
        met = [
            float(tasks.targets[r] - tasks.task_means[tasks.task_of_row[r]])
            for r in range(tasks.n_rows)
            if tasks.objects[r] == item and tasks.task_of_row[r] != task
        ]
        assert others.effect[row].item() == pytest.approx(sum(met) / (len(met) + 5), abs=1e-5)
        assert others.count[row].item() == len(met)


def test_a_tasks_own_targets_never_reach_its_effects(split):
    tasks = split.train
    own = tasks.task_of_row == 3
    changed = replace(tasks, targets=torch.where(own, 6 - tasks.targets, tasks.targets))
    before, after = (ObjectEffects(part, 5.0) for part in (tasks, changed))
    torch.testing.assert_close(after.others.effect[own], before.others.effect[own])
    assert not torch.allclose(after.everyone.effect, before.everyone.effect)


def test_training_rows_look_like_test_rows_of_a_model_without_them(split):
    """A task's training features are those that it would be given as a new task by effects fitted on the others."""
    tasks = split.train.subset(torch.arange(30))
    learner = RidgeOnStatistics().fit(tasks)
    draw = module.draw_shots(tasks, 3, 5, seeded(0))
    support, query = module.gather(tasks, draw)
    known, asked = (learner.effects.others.at(rows.clamp(min=0)) for rows in draw[1:])
    found = learner.features(support, known, query.inputs, asked)
    for task in (0, 7):
        rest = tasks.subset(torch.tensor([t for t in range(30) if t != int(draw.tasks[task])]))
        learner.effects = ObjectEffects(rest, learner.item_shrinkage)
        told = [learner.effects.everyone.at(side.inputs[..., 1]) for side in (support, query)]
        expected = learner.features(support, told[0], query.inputs, told[1])
        mask = query.mask[task]
        torch.testing.assert_close(found[task][mask], expected[task][mask], rtol=1e-4, atol=1e-5)


def test_statistics_by_hand():
    deviations = torch.tensor([[2.0, -1.0, 0.5, 99.0], [7.0, 7.0, 7.0, 7.0]])
    mask = torch.tensor([[True, True, True, False], [False] * 4])
    residuals = torch.where(mask, deviations - 0.25, 0)
    found = support_statistics(deviations, residuals, mask)
    expected = [3, 0.5, 0.5, np.std([2, -1, 0.5]), 0.75 / 6]
    assert found[0].tolist() == pytest.approx(expected)
    assert found[1].tolist() == [0, 0, 0, 0, 0]
    empty = support_statistics(
        torch.zeros(2, 0), torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)
    )
    assert empty.tolist() == [[0] * 5] * 2


def test_the_nearest_phone_speaks_loudest_by_hand():
    items = pd.DataFrame({"item": [1, 2, 3], "price": [100.0, 200.0, 600.0]})
    rows = [("a", 1, 5), ("a", 2, 3), ("b", 1, 4), ("c", 2, 1), ("c", 3, 2)]
    tasks = tasks_of(*rows, items=items)
    learner = RidgeOnStatistics().fit(tasks)
    support = Examples(torch.tensor([[[0, 0], [0, 2]]]), torch.tensor([[5.0, 1.0]]))
    query = torch.tensor([[[0, 1]]])
    effects = learner.effects.everyone
    told = [effects.at(side[..., 1]) for side in (support.inputs, query)]
    features = learner.features(support, told[0], query, told[1])[0, 0]
    price = (np.array([100, 200, 600]) - 300) / np.std([100, 200, 600])
    near = np.exp(-1.5 * (price[1] - price[[0, 2]]) ** 2 / price.var())
    left = np.array([5, 1]) - 3 - effects.effect[[0, 2]].numpy()
    expected = [price[1], effects.effect[1], np.log(3), (near * left).sum() / (near.sum() + 1)]
    assert features[:4].tolist() == pytest.approx([float(value) for value in expected], abs=1e-5)
    assert features[4:].tolist() == pytest.approx([2, 0, 0, 2, left.sum() / 5], abs=1e-5)


def test_ridge_is_the_solution_of_its_normal_equations(split):
    learner = RidgeOnStatistics(alpha=30.0).fit(split.train)
    x, y = learner.training_table(split.train)
    x, y = x.astype(float), y.astype(float)
    scaled = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    gram = scaled.T @ scaled + 30.0 * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (y - y.mean()))
    support, query = sample_episode(split.test, 3, 5, seeded(0))
    told = [learner.effects.everyone.at(side.inputs[..., 1]) for side in (support, query)]
    asked = learner.features(support, told[0], query.inputs, told[1]).double().numpy()
    asked = (asked - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    expected = learner.mean.item() + told[1].effect.numpy() + y.mean() + asked @ weights
    found = learner.predict(support, query.inputs)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_they_learn_more_than_the_mean(split, learner):
    for k in (0, 1, 5):
        episodes = list(validation_episodes(split.test, (k,), 10, 0))
        mean = validation_error(GlobalMean().fit(split.train), episodes)
        assert validation_error(learner, episodes) < (0.97 if k else 0.995) * mean


def test_no_support_padding_and_order_of_tasks(split, learner, monkeypatch):
    support, query = sample_episode(split.test, 3, 5, seeded(0))
    found = learner.predict(support, query.inputs)
    turned = learner.predict(Examples(*(side.flip(0) for side in support)), query.inputs.flip(0))
    torch.testing.assert_close(turned.flip(0), found)
    monkeypatch.setattr(module, "_POINTS_AT_ONCE", 1)
    torch.testing.assert_close(learner.predict(support, query.inputs), found)
    masked = Examples(support.inputs, support.targets, torch.zeros_like(support.mask))
    nothing = Examples(support.inputs[:, :0], support.targets[:, :0])
    torch.testing.assert_close(
        learner.predict(masked, query.inputs), learner.predict(nothing, query.inputs)
    )
    nobody = learner.predict(Examples(*(side[:0] for side in support)), query.inputs[:0])
    assert nobody.shape == (0, 5)


def test_the_same_seed_gives_the_same_numbers(split, learner):
    state = torch.random.get_rng_state()
    again = replace(learner).fit(split.train)
    assert torch.equal(torch.random.get_rng_state(), state)
    support, query = sample_episode(split.test, 3, 5, seeded(0))
    assert torch.equal(again.predict(support, query.inputs), learner.predict(support, query.inputs))


def test_large_shops_are_sampled_and_items_may_be_the_subjects(split):
    learner = RidgeOnStatistics()
    learner.max_rows = 600
    features, residuals = learner.fit(split.train).training_table(split.train)
    assert 300 < len(features) == len(residuals) <= 600
    tasks = item_tasks(simulate_shop(60, 30, 1)[0])
    support, query = sample_episode(tasks, 2, 5, seeded(0))
    assert LEARNERS["trees"]().fit(tasks).predict(support, query.inputs).isfinite().all()


def test_a_subclass_names_its_regressor(split):
    with pytest.raises(TypeError, match="OnStatistics does not name its regressor"):
        OnStatistics().fit(split.train)


def test_settings_are_chosen_on_validation_tasks(split):
    grid = [RidgeOnStatistics(alpha) for alpha in (100.0, 1e9)]
    selected = Selected(grid, n_shots=(3, 5)).fit(split.train, split.validation)
    assert selected.chosen.alpha == 100.0


def test_every_group_is_held_out_once_and_never_trained_on(split):
    tasks, held_out = split.train, []
    for train, test in folds_by_group(tasks, 5, seed=1):
        assert not set(train.groups.tolist()) & set(test.groups.tolist())
        assert len(train) + len(test) == len(tasks)
        held_out += test.groups.tolist()
    assert sorted(held_out) == sorted(tasks.groups.tolist())
    for wrong in (1, len(tasks) + 1):
        with pytest.raises(InputError, match=f"no more than the {len(tasks)} users, got {wrong}"):
            next(folds_by_group(tasks, wrong, 0))


def test_inner_folds_choose_the_setting_and_refit_it_on_everybody(split):
    candidates = [ShrunkBias(5.0, weight) for weight in (1e6, 2.0)]
    learner = SelectedByFolds(candidates, n_folds=3).fit(split.train)
    assert learner.chosen is candidates[1]
    assert learner.errors[1] < learner.errors[0]
    expected = ShrunkBias(5.0, 2.0).fit(split.train)
    assert torch.equal(learner.chosen.effects, expected.effects)
    with pytest.raises(InputError, match="none of the held-out tasks has 1001 behaviours"):
        SelectedByFolds(candidates, n_shots=(1000,)).fit(split.train)


def test_an_average_is_the_mean_of_its_members(split):
    members = [GlobalMean(), ShrunkBias()]
    average = Average(members).fit(split.train)
    support, query = sample_episode(split.test, 3, 5, seeded(0))
    one, other = (member.predict(support, query.inputs) for member in members)
    torch.testing.assert_close(average.predict(support, query.inputs), (one + other) / 2)
