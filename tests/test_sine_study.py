"""The sine-wave comparison: same waves for all, what a step is, what counts as diverged, what a band covers."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fsl.compare import paired_difference
from fsl.evaluation import COLUMNS
from fsl.learners import MAML
from fsl.learners.closed_form import Gaussian, Predictive
from fsl.learners.method import Scoring
from fsl.sine_study import (
    DIVERGED,
    best_within,
    chosen_steps,
    coverage,
    first_points,
    milliseconds,
    predictions,
    train_all,
    wave_errors,
    wave_records,
)
from fsl.sinusoid import SineNet, sine_episode
from fsl.training import EpisodicTrainer

TRAINER = EpisodicTrainer(n_iterations=3, meta_batch=4, check_every=1, n_validation=5)


@pytest.fixture(scope="module")
def test_waves():
    return sine_episode(30, 10, 20, torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def methods():
    return train_all(TRAINER, ["MAML", "transfer", "ALPaCA"])


class SupportMean(Scoring):
    """The mean of what it is shown; 0 without any."""

    def scores(self, support, query_inputs):
        mean = (support.targets * support.mask).sum(1) / support.mask.sum(1).clamp(min=1)
        return mean[:, None].expand(query_inputs.shape[:2])


class StandardNormal(Gaussian):
    def distribution(self, support, query_inputs):
        zeros = torch.zeros(query_inputs.shape[:2])
        return Predictive(zeros, zeros + 1)


def test_predicting_zero_never_counts_as_diverged():
    waves = sine_episode(5000, 1, 20, torch.Generator().manual_seed(0))
    assert waves.query.targets.square().max() <= DIVERGED


def test_each_method_is_trained_on_the_same_waves(methods):
    assert list(methods) == ["MAML", "transfer", "ALPaCA"]
    again = train_all(TRAINER, ["ALPaCA", "MAML"])["MAML"]
    for ours, theirs in zip(methods["MAML"].parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs), "neither order nor company matters"
    assert (methods["MAML"].n_steps, methods["transfer"].n_steps) == (1, 10)


def test_steps_are_the_gradient_methods_and_a_closed_form_knows_nothing_before(test_waves):
    maml, mean = MAML(SineNet(0)), SupportMean()
    support, inputs = test_waves.support, test_waves.query.inputs
    assert torch.allclose(predictions(maml, support, inputs, 0), maml.net(inputs), atol=1e-5)
    assert torch.equal(
        predictions(maml, support, inputs, 3), maml.predict(support, inputs, n_steps=3)
    )
    assert (predictions(mean, support, inputs, 0) == 0).all()
    expected = support.targets.mean(1)
    for k in (1, 5):
        assert torch.allclose(predictions(mean, support, inputs, k)[:, 0], expected)


def test_an_error_is_the_mean_square_and_is_cut_at_divergence(test_waves):
    expected = (test_waves.support.targets.mean(1)[:, None] - test_waves.query.targets).square()
    errors = wave_errors(SupportMean(), test_waves, 1)
    assert torch.allclose(errors, expected.mean(1))
    wild = MAML(SineNet(0), inner_lr=1e6)
    assert (wave_errors(wild, test_waves, 1) == DIVERGED).all()
    assert (wave_errors(wild, test_waves, 30) == DIVERGED).all(), "not a number is diverged, too"


def test_steps_are_chosen_by_validation_error(test_waves):
    assert chosen_steps(MAML(SineNet(0), inner_lr=1e6), test_waves) == 0
    assert chosen_steps(MAML(SineNet(0), inner_lr=1e-3), test_waves, (0, 1, 50)) == 50
    assert chosen_steps(SupportMean(), test_waves) == 1


def test_records_can_be_compared_wave_by_wave(methods, test_waves):
    records = wave_records(methods, test_waves, test_waves, (0, 1), seed=7)
    assert tuple(records.columns) == COLUMNS
    assert set(records["seed"]) == {7}
    assert set(records["partition"]) == {"0 steps", "1 step", "chosen steps"}
    assert (records.groupby(["learner", "partition", "metric"]).size() == 30).all()
    one = records.query("partition == '1 step'")
    gap = paired_difference(one, "transfer", "MAML", "mse", 10)
    errors = [wave_errors(methods[name], test_waves, 1).mean() for name in ("transfer", "MAML")]
    assert gap.value == pytest.approx(float(errors[0] - errors[1]), abs=1e-6)
    with_band = records.query("metric == 'coverage'")
    assert set(with_band["learner"]) == {"ALPaCA"}


def test_coverage_is_that_of_the_normal_distribution():
    inputs = torch.zeros(40, 500, 1)
    waves = sine_episode(40, 2, 500, torch.Generator().manual_seed(0))
    targets = torch.randn(40, 500, generator=torch.Generator().manual_seed(1))
    waves = waves._replace(query=waves.query._replace(inputs=inputs, targets=targets))
    assert coverage(StandardNormal(), waves).mean() == pytest.approx(0.95, abs=0.005)
    one_sd = math.erf(1 / math.sqrt(2))
    assert coverage(StandardNormal(), waves, 1.0).mean() == pytest.approx(one_sd, abs=0.01)


def test_first_points_leave_the_query(test_waves):
    fewer = first_points(test_waves, 2)
    assert torch.equal(fewer.support.targets, test_waves.support.targets[:, :2])
    assert fewer.query is test_waves.query


def test_a_task_takes_time(methods, test_waves):
    assert 0 < milliseconds(methods["ALPaCA"], test_waves, 1, repeats=3) < 1e4


def test_best_within_is_the_least_error_so_far():
    slow = pd.DataFrame({"seconds": [2.0, 4.0, 6.0], "validation": [3.0, 1.0, 2.0]})
    fast = slow.assign(seconds=slow["seconds"] / 2, validation=[5.0, 4.0, np.nan])
    found = best_within({"slow": slow, "fast": fast}, 2.5)
    assert found.to_dict() == {"slow": 3.0, "fast": 4.0}
    assert best_within({"slow": slow, "fast": fast}, 1.5).to_dict() == {"fast": 5.0}
    assert best_within({"slow": slow, "fast": fast}, 9)["slow"] == 1.0
    assert best_within({"slow": slow}, 1).empty


def test_an_unknown_name_is_told():
    with pytest.raises(ValueError, match="unknown method 'MAMA'"):
        train_all(TRAINER, ["MAMA"])
    assert isinstance(train_all(TRAINER, ["CNP"])["CNP"], nn.Module)
