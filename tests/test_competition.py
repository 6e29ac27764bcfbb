"""A competition: the same tasks for everyone, who cannot serve stays out, and the same seed gives the same words."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from fsl import InputError, Shop
from fsl.cold_start.competition import Entry, compete
from fsl.cold_start.partitions import partition
from fsl.episodes import sample_episode
from fsl.evaluation import ALL, RULERS
from fsl.learners import GlobalMean, ItemEffect, Learner, Selected, ShrunkBias, recommender
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.learners.roster import SHORT, meta_entries, simple_entries
from fsl.tasks import join


def shop(n_users: int = 60, n: int = 14, timed: bool = False) -> Shop:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        "user": np.repeat(np.arange(n_users), n),
        "item": np.concatenate([rng.permutation(20)[:n] for _ in range(n_users)]),
    })  # fmt: skip
    level = rng.normal(size=n_users)[table["user"]] + rng.normal(size=20)[table["item"]]
    table["rating"] = np.clip(np.round(3 + level + 0.3 * rng.normal(size=len(table))), 1, 5)
    if timed:
        table["timestamp"] = 1_000 * table["user"] + np.arange(len(table)) % n
    return Shop(table)


ENTRIES = [Entry("mean", lambda seed: GlobalMean()), Entry("bias", lambda seed: ShrunkBias())]


def users(by: str = "random", fold: int = 0):
    return partition(shop(timed=by == "temporal"), "user-cold", by=by, fold=fold)


class Refuses(Learner):
    def fit(self, tasks, validation=None):
        raise InputError("there are too few of them")


class Noisy(Learner):
    """Its seed is all that it knows. Notes what it was fitted on."""

    def __init__(self, seed: int, seen: list):
        self.seed, self.seen = seed, seen

    def fit(self, tasks, validation=None):
        self.seen.append((self.seed, tasks, validation))
        return self

    def predict(self, support, query_inputs):
        return query_inputs[..., 1] * 0.0 + 3 + self.seed


def test_an_entry_without_chance_is_fitted_once_and_judged_with_every_seed():
    seen = []
    entries = [
        Entry("fixed", lambda seed: Noisy(seed, seen), is_seeded=False),
        Entry("seeded", lambda seed: Noisy(seed, seen)),
    ]
    found = compete([users()], entries, (1,), 4, seeds=(0, 1), metrics=("mse",))
    assert [seed for seed, _, _ in seen] == [0, 0, 1]
    judged = found.records.groupby("learner", sort=False)["seed"].unique().map(sorted)
    assert judged["fixed"] == judged["seeded"] == [0, 1]
    assert list(found.costs["learner"]) == ["fixed", "seeded", "seeded"]


def test_everyone_is_judged_on_the_same_tasks_with_the_rulers_beside():
    part = users()
    found = compete([part], ENTRIES, (0, 1, 3), 4, n_draws=2, metrics=("mse",))
    records = found.records
    assert set(records["learner"]) == {"mean", "bias", *RULERS}
    assert sorted(records["n_shots"].unique()) == [0, 1, 3, ALL]
    lots = records.groupby(["learner", "n_shots"])["task"].agg(lambda t: tuple(sorted(t)))
    assert lots.nunique() == 1, "the same tasks for everyone and every K"
    assert records.groupby(["learner", "n_shots", "task"]).size().unique().tolist() == [2], "draws"
    mse = records.groupby(["learner", "n_shots"])["value"].mean()
    assert mse["bias"].is_monotonic_decreasing, "K = 0, 1, 3 and all that is known"
    assert mse["bias", 3] < 0.8 * mse["mean", 3]
    assert (found.simple, found.meta) == (["mean", "bias"], [])


def test_a_learner_is_fitted_once_per_split_and_seed_on_training_tasks_alone():
    seen, folds = [], [users(fold=0), users(fold=1)]
    entry = Entry("noisy", lambda seed: Noisy(seed, seen), is_meta=True, n_settings=3)
    found = compete(folds, [entry], (1,), 4, seeds=(0, 1), metrics=("mse",))
    assert [seed for seed, *_ in seen] == [0, 1, 0, 1]
    for (_, tasks, validation), part in zip(seen, [folds[0]] * 2 + [folds[1]] * 2, strict=True):
        assert tasks is part.train
        assert validation is part.validation
    ours = found.records.query("learner == 'noisy' and n_shots == 1")
    assert ours["seed"].unique().tolist() == [0, 1]
    assert ours.groupby("seed")["task"].nunique().tolist() == [24, 24], "two folds of twelve users"
    assert ours.groupby("seed")["value"].mean().nunique() == 2
    assert (found.meta, found.simple, found.n_settings) == (["noisy"], [], {"noisy": 3})


def test_what_it_costs_is_noted_beside_the_records():
    found = compete([users()], ENTRIES, (1,), 4, metrics=("mse",))
    assert found.costs.columns.tolist() == ["learner", "partition", "fit_s", "adapt_us"]
    assert found.cost().index.tolist() == ["mean", "bias"]
    assert (found.costs["fit_s"] >= 0).all()
    assert (found.costs["adapt_us"] > 0).all()
    assert not set(found.costs) & set(found.records) - {"learner", "partition"}


def test_who_cannot_serve_stays_out_and_is_said():
    told = []
    entries = [*ENTRIES, Entry("picky", lambda seed: Refuses())]
    found = compete([users()], entries, (1,), 4, metrics=("mse",), say=told.append)
    assert "picky" not in set(found.records["learner"]) | set(found.costs["learner"])
    assert "picky stays out of user-cold: there are too few of them" in told
    assert "user-cold, seed 0: bias" in told


def test_shots_are_cut_down_to_what_half_of_the_tasks_have():
    found = compete([users()], ENTRIES, (0, 3, 10, 50), 10, metrics=("mse",), with_warm=False)
    assert found.records["n_shots"].unique().tolist() == [0, 3]
    only = compete([users()], ENTRIES, (0,), 4, metrics=("mse",), with_warm=False)
    assert only.records["n_shots"].unique().tolist() == [0], "content alone is a question, too"


@pytest.mark.parametrize("name", ["user-cold", "both-cold"])
def test_no_warm_reference_where_it_would_look_ahead_or_know_what_is_new(name):
    by = "temporal" if name == "user-cold" else "random"
    part = partition(shop(timed=by == "temporal"), name, by=by)
    records = compete([part], ENTRIES, (0, 1), 2, metrics=("mse",)).records
    assert sorted(records["n_shots"].unique()) == [0, 1]


class Watches(ItemEffect):
    def predict(self, support, query_inputs):
        self.seen = [*getattr(self, "seen", []), (support, query_inputs)]
        return super().predict(support, query_inputs)


def test_both_cold_is_asked_about_new_items_and_told_of_old_ones():
    part, watch = partition(shop(), "both-cold", by="random"), Watches()
    compete([part], [Entry("watch", lambda seed: watch)], (0, 3), 4, metrics=("mse",))
    old, new = set(part.train.objects.tolist()), set(part.test.objects[part.may_ask].tolist())
    known, asked = watch.seen[-1]
    assert known.inputs.shape[1] == 3
    assert set(known.inputs[..., 1].flatten().tolist()) <= old
    assert set(asked[..., 1].flatten().tolist()) <= new | {0}, "0 is padding"
    assert not old & new


def test_the_global_generator_is_left_alone():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = compete([users()], ENTRIES, (1,), 4, metrics=("mse",)).records
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(8)
    second = compete([users()], ENTRIES, (1,), 4, metrics=("mse",)).records
    pd.testing.assert_frame_equal(first, second)


def test_too_small_a_shop_is_said_before_anything_is_fitted():
    seen = []
    entry = Entry("noisy", lambda seed: Noisy(seed, seen))
    part = partition(shop(n_users=10), "user-cold", by="random")
    with pytest.raises(InputError, match=re.escape("at least 25 are needed")):
        compete([part], [entry], (1,), 4)
    assert not seen


class Bare:
    """The least that can compete: no `Learner`, and no `distribution`. Notes what it was fitted on."""

    def __init__(self, level: float):
        self.level, self.seen = level, []

    def fit(self, tasks, validation=None):
        self.seen.append(tasks)
        return self

    def predict(self, support, query_inputs):
        return torch.full(query_inputs.shape[:2], self.level)


def test_the_setting_chosen_is_fitted_again_on_training_and_validation_tasks():
    part, good, bad = users(), Bare(3.0), Bare(99.0)
    learner = Selected([bad, good], refit=True).fit(part.train, part.validation)
    assert learner.chosen is good
    assert learner.errors[1] < learner.errors[0]
    assert [tasks.subjects.tolist() for tasks in good.seen] == [
        part.train.subjects.tolist(), join(part.train, part.validation).subjects.tolist()
    ]  # fmt: skip
    assert len(bad.seen) == 1
    once = Bare(3.0)
    Selected([bad, once]).fit(part.train, part.validation)
    assert len(once.seen) == 1
    alone = Bare(3.0)
    Selected([alone], refit=True).fit(part.train, part.validation)
    assert len(alone.seen[-1]) == len(part.train) + len(part.validation)


def test_the_distribution_is_that_of_the_setting_chosen():
    part = users()
    support, query = sample_episode(part.test, 2, 4, torch.Generator().manual_seed(0))
    told = Selected([EmpiricalBayes(1), EmpiricalBayes(2)]).fit(part.train, part.validation)
    for found, expected in zip(
        told.distribution(support, query.inputs),
        told.chosen.distribution(support, query.inputs),
        strict=True,
    ):
        assert torch.equal(found, expected)
    for mute in (Bare(3.0), ShrunkBias()):
        learner = Selected([mute]).fit(part.train, part.validation)
        assert learner.distribution(support, query.inputs) is None


def test_a_gaussian_method_tells_its_variance_in_squares_of_the_targets_unit():
    hundred = Shop(shop().interactions.assign(rating=lambda table: 20 * table["rating"]))
    part = partition(hundred, "user-cold", by="random")
    support, query = sample_episode(part.test, 3, 8, torch.Generator().manual_seed(0))
    known = recommender("ALPaCA", 100, meta_lr=0.03).fit(part.train, part.validation)
    mean, variance = known.distribution(support, query.inputs)
    torch.testing.assert_close(mean, known.predict(support, query.inputs))
    z = (query.targets - mean) / variance.sqrt()
    assert 0.5 < z[query.mask].square().mean() < 2, "as sure as it should be"
    assert recommender("ridge head", 1).fit(part.train).distribution(support, query.inputs) is None


def test_the_roster_has_the_budget_that_it_is_given():
    simple, meta = simple_entries(3), meta_entries(5, 3)
    names = [entry.name for entry in [*simple, *meta]]
    assert len(set(names)) == len(names)
    assert set(SHORT) <= set(names)
    assert not any(entry.is_meta for entry in simple)
    assert all(entry.is_meta for entry in meta)
    assert {entry.n_settings for entry in [*simple, *meta]} == {1, 3}
    for entry in [*simple, *meta]:
        learner = entry.make(0)
        if entry.n_settings > 1:
            assert len(learner.candidates) == entry.n_settings
            assert len({str(vars(candidate)) for candidate in learner.candidates}) == 3
    short = simple_entries(1, "short") + meta_entries(5, 1, "short")
    assert [entry.name for entry in short] == [name for name in names if name in SHORT]
    with pytest.raises(ValueError, match='roster must be "all" or "short", got \'tiny\''):
        simple_entries(1, "tiny")


def test_the_group_of_a_scene_task_is_its_user():
    scenes = np.where(np.arange(60 * 14) % 14 < 8, "web", "store")
    table = shop().interactions.assign(scene=scenes)
    for name in ("scene-cold", "user-cold"):
        part = partition(Shop(table), name, by="random")
        records = compete([part], ENTRIES, (0, 1), 4, metrics=("mse",), with_warm=False).records
        tested = set(table.iloc[part.test.rows.numpy()]["user"])
        assert set(records["group"]) <= tested
        assert (records["group"] == records["task"]).all() == (name == "user-cold")
