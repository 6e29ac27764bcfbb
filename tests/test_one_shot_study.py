"""The one-shot study: same tasks for all, nothing seen twice, and a study cut short goes on where it was."""

import pandas as pd
import pytest
import torch

from fsl.characters import study as one_shot_study
from fsl.characters.augment import rotations
from fsl.characters.plans import (
    BEST,
    METHODS,
    Hausdorff,
    NearestPixels,
    best_entry,
    best_method,
    best_sampler,
    plain_entry,
    plain_method,
)
from fsl.characters.study import floor_records, open_characters, run_study
from fsl.characters.tables import (
    error_table,
    errors,
    errors_by_task,
    first_shots,
    held_out_records,
    more_errors,
    on_features,
    one_to_one,
)
from fsl.class_evaluation import judge_classes
from fsl.class_tasks import ClassSampler, ClassTasks
from fsl.errors import InputError
from fsl.evaluation import RULERS
from fsl.reporting.presets import PRESETS


@pytest.fixture(scope="module")
def characters():
    return open_characters("simulated-characters")


@pytest.fixture(scope="module")
def small(characters):
    """Two of the alphabets, four drawings a character."""
    (tasks,) = characters.sets.values()
    two = tasks.in_groups(tasks.group_names[:2])
    rows = (torch.arange(len(two.labels)) % 20) < 4
    return ClassTasks(
        two.inputs[rows], two.labels[rows], two.class_names, two.groups, two.group_names
    )


def entries(n_iterations: int = 2) -> list:
    return [plain_entry("Prototypical", 5, n_iterations, 8), best_entry(1)]


def test_what_is_learned_from_is_not_what_is_judged_on(characters):
    (name,) = characters.sets
    known, new = characters.sets[name], characters.held_out[name]
    assert not set(known.class_names) & set(new.class_names)
    drawings = {image.numpy().tobytes() for image in known.inputs}
    asked = torch.cat([side.inputs.flatten(0, 1) for side in characters.runs])
    assert not drawings & {image.numpy().tobytes() for image in asked}
    assert (characters.n_way, characters.simulated) == (10, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("banking77",), "data must be omniglot or sim"), (("omniglot", 3), "got n_sets = 3")],
)
def test_other_data_and_sets_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        open_characters(*arguments)


def test_omniglot_is_centred_and_its_sets_share_no_held_out_alphabet(monkeypatch):
    def background(path, size):
        names = ["Greek", path.split(".")[0]]
        labels = torch.arange(2).repeat_interleave(3)
        return ClassTasks(torch.ones(6, 105, 105), labels, names, torch.arange(2), names)

    def runs(path, size):
        side = one_shot_study.Examples(torch.ones(20, 20, 105, 105), torch.zeros(20, 20).long())
        return one_shot_study.Episode(side, side)

    files = {f"images_background_{name}.zip": name for name in one_shot_study.SETS}
    monkeypatch.setattr(one_shot_study, "files_of", lambda name: files | {"all_runs.zip": ""})
    monkeypatch.setattr(one_shot_study, "read_background", background)
    monkeypatch.setattr(one_shot_study, "read_runs", runs)
    found = open_characters("omniglot", 1)
    assert list(found.sets) == ["small1"]
    assert found.sets["small1"].inputs.shape == (6, 28, 28)
    assert found.runs.query.inputs.shape == (20, 20, 28, 28)
    assert found.large.query.inputs.shape == (20, 20, 105, 105)
    assert [found.held_out["small1"].class_names, found.n_way] == [["small2"], 20]


def test_the_report_asks_for_methods_that_there_are():
    preset = PRESETS["05_metric_learners"]
    assert set(preset.report["methods"]) < set(METHODS)
    assert preset.full["methods"] == list(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_every_plain_method_judges_each_query_alone(small, name):
    episode = ClassSampler(small, 5, 1, 1).sample(2, torch.Generator().manual_seed(0))
    method = plain_method(name, 5, 1, 0, 8, len(small)).fit(ClassSampler(small, 5, 1, 1))
    together = method.predict(episode.support, episode.query.inputs)
    alone = method.predict(episode.support, episode.query.inputs[:, 2:3])
    torch.testing.assert_close(together[:, 2:3], alone, rtol=1e-3, atol=1e-4)


def test_the_best_method_judges_each_query_alone_and_starts_by_its_seed(small):
    episode = ClassSampler(small, 5, 1, 1).sample(2, torch.Generator().manual_seed(0))
    method, same, other = (best_method(1, seed, n_warps=2).eval() for seed in (0, 0, 1))
    together = method.predict(episode.support, episode.query.inputs)
    alone = method.predict(episode.support, episode.query.inputs[:, :1])
    torch.testing.assert_close(together[:, :1], alone, rtol=1e-3, atol=1e-4)
    assert torch.equal(together, same.predict(episode.support, episode.query.inputs))
    assert not torch.equal(together, other.predict(episode.support, episode.query.inputs))


def test_its_tasks_are_of_many_ways_out_of_all_alphabets(small, characters):
    (whole,) = characters.sets.values()
    for tasks, n_way in ((small, min(64, 4 * len(small))), (whole, 64)):
        episode = best_sampler(tasks).sample(1, torch.Generator().manual_seed(0))
        assert episode.support.targets.tolist() == [list(range(n_way))]
        assert episode.query.inputs.shape == (1, n_way, 28, 28)


def test_training_tasks_of_plain_methods_stay_within_one_turned_alphabet(small):
    sampler = plain_entry("Matching", 5, 1, 8).sampler(small)
    assert sampler.within_groups
    assert len(sampler.tasks) == len(rotations(small))


def test_rulers_without_training_know_the_same_drawing(characters):
    support = characters.runs.support
    for ruler in (NearestPixels(), Hausdorff()):
        scores = ruler.predict(support, support.inputs[:, :3])
        assert torch.equal(scores.argmax(-1), torch.arange(3).expand(20, 3))


def test_a_study_has_records_of_every_entry_set_and_seed(small, characters):
    plan = [plain_entry("Prototypical", 5, 2, 8, n_seeds=2), best_entry(1)]
    study = run_study({"a": small, "b": small}, characters.runs, plan, seed=3)
    found = study.records.groupby(["learner", "partition", "seed", "metric"]).size()
    for metric in ("accuracy", "one-to-one"):
        assert all(found["Prototypical", where, s, metric] == 20 for where in "ab" for s in (3, 4))
        assert (BEST, "a", 4, metric) not in found
    assert found.max() == 20, "rulers stand once"
    trained = study.seconds[["learner", "partition", "seed"]].itertuples(index=False, name=None)
    assert set(study.methods) == set(trained)
    assert len(study.seconds) == 6
    assert (study.seconds["seconds"] > 0).all()


def test_a_study_that_was_kept_trains_nothing_and_says_the_same(
    small, characters, tmp_path, monkeypatch
):
    first = run_study({"a": small}, characters.runs, entries(), folder=tmp_path)
    folders = sorted(path.name for path in tmp_path.iterdir())
    assert [name.rsplit("-", 1)[0] for name in folders] == ["Prototypical-a-0", "best-recipe-a-0"]

    def no_step(run, rate):
        raise AssertionError("a training step was made")

    monkeypatch.setattr("fsl.training._Run._step", no_step)
    again = run_study({"a": small}, characters.runs, entries(), folder=tmp_path)
    pd.testing.assert_frame_equal(first.records, again.records)
    pd.testing.assert_frame_equal(first.seconds, again.seconds)
    with pytest.raises(AssertionError, match="a training step"):  # other settings, another training
        run_study({"a": small}, characters.runs, entries(3), folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == folders


def test_a_study_that_is_kept_says_what_one_that_is_not_says(small, characters, tmp_path):
    kept = run_study({"a": small}, characters.runs, entries()[:1], folder=tmp_path)
    free = run_study({"a": small}, characters.runs, entries()[:1])
    pd.testing.assert_frame_equal(kept.records, free.records)


def test_one_to_one_is_perfect_where_scores_are_right_up_to_a_shift(characters):
    class Shifted:
        """Right but for a class that is always a little too near: alone it takes some, together none."""

        def predict(self, support, query_inputs):
            right = torch.nn.functional.one_hot(characters.runs.query.targets, 10).float()
            return right + torch.tensor([1.5] + [0.0] * 9)

    records = judge_classes({"shifted": Shifted()}, characters.runs, 1, one_to_one=True)
    assert set(records.loc[records["metric"] == "one-to-one", "learner"]) == {"shifted"}
    means = records.query("learner == 'shifted'").groupby("metric")["value"].mean()
    assert means["one-to-one"] == 1
    assert means["accuracy"] == pytest.approx(0.1)


def test_floors_stand_in_every_set(characters):
    both = characters.__class__(
        {"a": None, "b": None}, {}, characters.runs, characters.large, simulated=True
    )
    records = floor_records(both)
    counts = records.groupby(["partition", "learner", "metric"]).size()
    assert (counts == 20).all()
    assert {name for _, name, _ in counts.index} == {
        "nearest pixels",
        "Hausdorff distance",
        *RULERS,
    }


@pytest.fixture
def records():
    """Two learners on six runs and two seeds: `good` errs by 10 points less than `poor` in every run."""
    rows = [
        (name, "a", 1, seed, run, metric, 0.5 + 0.05 * run + gain)
        for name, gain in (("good", 0.1), ("poor", 0.0))
        for seed in (0, 1)
        for run in range(6)
        for metric in ("accuracy", "one-to-one")
    ]
    columns = ["learner", "partition", "n_shots", "seed", "task", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def test_errors_are_percent_the_least_first(records):
    table = errors(records)
    assert list(table["learner"]) == ["good", "poor"]
    assert table["value"].tolist() == pytest.approx([27.5, 37.5])
    assert ((table["low"] < table["value"]) & (table["value"] < table["high"])).all()
    gap = more_errors(records, "good", "poor")
    assert [gap.value, gap.low, gap.high] == pytest.approx([-10, -10, -10])


def test_the_table_says_differences_seeds_and_seconds(records):
    rulers = records.query("learner == 'poor'").assign(learner="random")
    seconds = pd.DataFrame(
        {"learner": ["good"] * 2, "partition": "a", "seed": [0, 1], "seconds": [3, 5]}
    )
    table = error_table(pd.concat([records, rulers]), seconds, "poor")
    assert list(table.index) == ["good", "poor", "random"], "rulers below"
    assert table.loc["good"].tolist()[1:] == ["-10.0 [-10.0, -10.0]", "2 × 4"]
    assert "27.5" in table.loc["good"].iloc[0]
    assert table.loc["poor"].tolist()[1] == "–"
    assert table.loc["random"].tolist()[1] == "–"


def test_transductive_errors_are_a_table_of_their_own(records):
    better = records["value"].where(records["metric"] == "accuracy", records["value"] + 0.1)
    records = records.assign(value=better)
    apart = one_to_one(records)
    assert list(apart.index) == ["good", "poor"]
    (column,) = apart.columns
    assert "transductive" in column
    assert apart[column]["good"].startswith("17.5 [")
    seconds = pd.DataFrame({"learner": ["good"], "partition": "a", "seed": 0, "seconds": 3})
    together = error_table(records, seconds, "poor")
    assert not [name for name in together.columns if "one-to-one" in name]
    assert together["errors, %"]["good"].startswith("27.5 [")


def test_fewer_shots_are_part_of_more(small):
    episode = ClassSampler(small, 5, 3, 1).sample(2, torch.Generator().manual_seed(0))
    fewer = first_shots(episode, 5, 2)
    assert fewer.query is episode.query
    assert fewer.support.targets[0].tolist() == [n for n in range(5) for _ in range(2)]
    for n in range(5):
        of_class = episode.support.inputs[:, episode.support.targets[0] == n]
        assert torch.equal(fewer.support.inputs[:, 2 * n : 2 * n + 2], of_class[:, :2])


@pytest.mark.parametrize("name", ["Siamese", "Matching", "Prototypical", "Relation", "ridge head"])
def test_on_features_predicts_as_on_images(small, name):
    method = plain_method(name, 5, 1, 0, 8, 0).eval()
    bare, embedded = on_features(method, small)
    sides = [
        ClassSampler(t, 5, 2, 1).sample(3, torch.Generator().manual_seed(0))
        for t in (small, embedded)
    ]
    whole, quick = (
        m.predict(e.support, e.query.inputs) for m, e in zip((method, bare), sides, strict=True)
    )
    torch.testing.assert_close(whole, quick, rtol=1e-3, atol=1e-4)


def test_held_out_alphabets_are_each_judged_on_the_same_tasks(small):
    methods = {name: plain_method(name, 5, 1, 0, 8, 0) for name in ("Siamese", "Prototypical")}
    records = held_out_records(methods, small, 5, shots=(1, 3), n_tasks=4)
    sizes = records.groupby(["learner", "n_shots"]).size()
    assert (sizes == 8).all(), "four tasks of each of two alphabets"
    one = records.query("n_shots == 1").pivot(index="task", columns="learner", values="value")
    assert (one["Siamese"] == one["Prototypical"]).all(), "with one drawing they rank alike"
    table = errors_by_task(records, ["Prototypical"], alphabets=True)
    assert sorted(table.index) == small.group_names[:2]
    expected = 100 * (1 - one["Prototypical"].groupby(one.index.str.split(" · ").str[0]).mean())
    assert table["Prototypical"].sort_index().tolist() == pytest.approx(
        expected.sort_index().tolist()
    )
