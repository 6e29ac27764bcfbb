"""Cross-validation over users: everybody tested once, by learners that never met them; doubles kept apart."""

import pandas as pd
import pytest
from made import tasks_of

from fsl import simulate_shop, user_tasks
from fsl.cold_start.phones import GP, RIDGE, contenders, phones_study, without_copies
from fsl.learners import GlobalMean, RidgeOnFeatures
from fsl.learners.gaussian_process import PreferenceGP
from fsl.learners.inner_folds import SelectedByFolds


class Watched(GlobalMean):
    """Notes whom it was trained on, and refuses to be asked about them."""

    def fit(self, tasks, validation=None):
        self.met = set(tasks.subjects.tolist())
        return super().fit(tasks)

    def predict(self, support, query_inputs):
        assert not self.met & set(query_inputs[..., 0].flatten().tolist())
        return super().predict(support, query_inputs)


@pytest.fixture(scope="module")
def tasks():
    people = user_tasks(simulate_shop(24, 15, 1)[0])
    return people.subset((people.sizes > 3).nonzero()[:, 0])


def few(seed: int) -> dict:
    processes = [PreferenceGP(prior_width=w, n_iterations=2) for w in (0.5, 1.0)]
    return {
        "watched": Watched(),
        RIDGE: RidgeOnFeatures(),
        GP: SelectedByFolds(processes, (2,), 2, seed=seed, n_folds=2, n_draws=1),
    }


@pytest.fixture(scope="module")
def study(tasks):
    return phones_study(tasks, few, {"both": (GP, RIDGE)}, 3, 4, 2, 2)


def test_everybody_is_tested_once_by_a_learner_that_never_met_them(study, tasks):
    folds = study.records.groupby("task")["fold"].nunique()
    assert len(folds) == len(tasks)
    assert (folds == 1).all()
    assert set(study.records["seed"]) == {0, 1, 2, 3}
    assert len(study.seconds) == 3 * 3


def test_an_average_lies_between_its_members(study):
    errors = study.records.query("metric == 'mse'").pivot_table(
        index=["task", "seed"], columns="learner", values="value"
    )
    assert (errors["both"] <= errors[[GP, RIDGE]].max(axis=1) + 1e-6).all()


def test_coverage_is_recorded_of_those_that_give_a_distribution(study):
    covered = study.records.query("metric == 'coverage@90'").dropna(subset="value")
    assert set(covered["learner"]) == {GP}
    assert covered["value"].between(0, 1).all()


def test_the_same_seed_gives_the_same_records(study, tasks):
    again = phones_study(tasks, few, {"both": (GP, RIDGE)}, 3, 4, 2, 2)
    pd.testing.assert_frame_equal(again.records, study.records)


def test_who_answers_twice_is_in_once():
    answers = [(i, 1 + i % 5) for i in range(6)]
    rows = [(user, i, r) for user in "ab" for i, r in answers]  # b repeats a
    rows += [("c", i, 1 + (i + 1) % 5) for i in range(6)] + [("d", 1, 3), ("e", 1, 3)]
    kept = without_copies(tasks_of(*rows))
    assert list(kept.subject_ids[kept.subjects.numpy()]) == ["a", "c", "d", "e"]


def test_contenders_are_made_anew(tasks):
    one, other = contenders(), contenders()
    assert one.keys() == other.keys() >= {RIDGE, GP}
    assert all(one[name] is not other[name] for name in one)
