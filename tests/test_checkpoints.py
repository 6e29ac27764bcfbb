"""Training that was cut off, anywhere, ends where it would have ended; what cannot be gone on with is refused."""

import copy
import hashlib
import itertools
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from made import another_hash_seed, seeded
from safetensors.torch import load_file, save_file
from torch import nn

from fsl import InputError, simulate_shop, split_tasks, user_tasks
from fsl.adapt import masked_mse
from fsl.checkpoints import Checkpoint, probe
from fsl.class_tasks import ClassSampler, ClassTasks
from fsl.learners import MAML, MetaSGD, Prototypical, Recommender, Transfer
from fsl.learners.gradient import with_head
from fsl.sinusoid import SineNet, SineTasks
from fsl.training import EpisodicTrainer

N = 11
USUAL = {"n_iterations": N, "meta_batch": 2, "lr": 0.02, "check_every": 4, "n_validation": 3}


class Flat(nn.BatchNorm1d):
    """[..., d] -> [..., d], with running statistics over all that stands before d."""

    def forward(self, x):
        return super().forward(x.flatten(0, -2)).view_as(x)


def body(n_hidden: int = 5) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Linear(3, n_hidden), Flat(n_hidden), nn.Dropout(0.3), nn.Linear(n_hidden, 2)
        )
    net.n_features = 2
    return net


def class_sampler(seed: int = 0) -> ClassSampler:
    inputs = torch.randn(48, 3, generator=seeded(seed))
    labels = torch.arange(8).repeat_interleave(6)
    names = [str(n) for n in range(8)]
    tasks = ClassTasks(inputs, labels, names, torch.zeros(8, dtype=torch.long), ["all"])
    return ClassSampler(tasks, 3, 2, 2)


def prototypical(trainer):
    return Prototypical(body(), trainer=trainer)


def transfer(trainer):
    """Two heads on one body: tensors with two names, and parameters that never see a gradient."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Transfer(with_head(body(), 3), 0.1, n_classes=8, n_rows=16, trainer=trainer)


def meta_sgd(trainer):
    return MetaSGD(SineNet(0, n_hidden=4), 0.01, trainer=trainer)


KINDS = {
    "Prototypical": (prototypical, class_sampler()),
    "transfer": (transfer, class_sampler()),
    "Meta-SGD": (meta_sgd, SineTasks(3, 3)),
}


def run(kind: str, folder=None, sampler=None, **settings):
    make, usual = KINDS[kind]
    trainer = EpisodicTrainer(**USUAL | {"save_every": 3} | settings, checkpoint=folder)
    sampler = sampler or usual
    return make(trainer).fit(sampler, usual)


def same(found, expected) -> None:
    """Weights and history, bit for bit; the clock aside."""
    a, b = found.state_dict(), expected.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    for one, other in zip(found.history.values.T[:4], expected.history.values.T[:4], strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.history["iteration"].dtype == expected.history["iteration"].dtype
    assert not found.training


class Cut(Exception):
    """Where a test ends a run."""


def cutting_off(sampler, n: int):
    """The same sampler, that ends the run when it is asked for the n-th time."""
    cutting = copy.copy(sampler)
    left = itertools.count(n - 1, -1)

    def ask(whole, *args):
        vars(cutting)["left"] = next(left)
        if cutting.left < 0:
            raise Cut
        return whole(*args)

    vars(cutting).update(
        {name: partial(ask, getattr(sampler, name)) for name in ("sample", "joint")}
    )
    return cutting


def cut_at(monkeypatch, owner, name: str, n: int, before: bool = True) -> None:
    """The n-th call of `owner.name`, counted from 1, ends the run, before or after its work."""
    whole, calls = getattr(owner, name), itertools.count(1)

    def cutting(*args, **options):
        is_it = next(calls) == n
        if is_it and before:
            raise Cut
        found = whole(*args, **options)
        if is_it:
            raise Cut
        return found

    monkeypatch.setattr(owner, name, cutting)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_changes_nothing(kind, tmp_path):
    same(run(kind, tmp_path / "deep" / "down"), run(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_before_any_iteration_it_ends_the_same(kind, tmp_path):
    expected = run(kind)
    for n in range(1, N + 1):
        folder = tmp_path / str(n)
        with pytest.raises(Cut):
            run(kind, folder, cutting_off(KINDS[kind][1], n))  # one draw is the probe's
        assert (folder / "checkpoint.json").exists() == (n > 3)
        same(run(kind, folder), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_again_and_again_it_ends_the_same(kind, tmp_path):
    expected, cuts = run(kind), 0
    while cuts < 50:
        try:
            found = run(kind, tmp_path, cutting_off(KINDS[kind][1], 4), save_every=2)
        except Cut:
            cuts += 1
        else:
            break
    same(found, expected)
    assert cuts == 4  # three iterations each time, two of them kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", [True, False])
def test_cut_off_while_looking_it_ends_the_same(kind, before, tmp_path, monkeypatch):
    expected = run(kind)
    for look in (1, 2, 3):  # the third comes after the last iteration
        folder = tmp_path / str(look)
        with monkeypatch.context() as patch:
            cut_at(patch, type(expected), "errors", look, before)
            with pytest.raises(Cut):
                run(kind, folder)
        same(run(kind, folder), expected)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("save_every", [3, N, 100])
def test_cut_off_around_a_save_it_ends_the_same(save_every, before, tmp_path, monkeypatch):
    """The last of them is the one that says that the run is done."""
    expected = run("Prototypical")
    for n in itertools.count(1):
        folder = tmp_path / str(n)
        with monkeypatch.context() as patch:
            cut_at(patch, Checkpoint, "save", n, before)
            try:
                run("Prototypical", folder, save_every=save_every)
            except Cut:
                pass
            else:
                break
        same(run("Prototypical", folder, save_every=save_every), expected)
    assert n == {3: 4, N: 2, 100: 1}[save_every] + 1


def half_written(path, data):
    with open(path, "wb") as file:
        file.write(data[:-50])
    raise Cut


STAGES = {
    "tensors half written": lambda p: p.setattr(Path, "write_bytes", half_written),
    "tensors written": lambda p: cut_at(p, os, "fsync", 1),
    "tensors not yet in place": lambda p: cut_at(p, os, "replace", 1),
    "tensors in place": lambda p: cut_at(p, os, "replace", 1, before=False),
    "text not yet written": lambda p: cut_at(p, Path, "write_bytes", 2),
    "text written": lambda p: cut_at(p, os, "fsync", 2),
    "text not yet in place": lambda p: cut_at(p, os, "replace", 2),
    "text in place": lambda p: cut_at(p, os, "replace", 2, before=False),
    "older tensors still there": lambda p: cut_at(p, Checkpoint, "save", 1, before=False),
}


@pytest.mark.parametrize("tidy", [True, False], ids=["raised", "killed"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_save_that_is_cut_off_leaves_a_whole_checkpoint(stage, tidy, tmp_path, monkeypatch):
    """Killed: nobody takes away what was half written."""
    expected = run("Prototypical")
    with pytest.raises(Cut):
        run("Prototypical", tmp_path, cutting_off(class_sampler(), 6))
    before = json.loads((tmp_path / "checkpoint.json").read_text())["state"]["iteration"]
    assert before == 3
    with monkeypatch.context() as patch:
        if not tidy:
            patch.setattr(Path, "unlink", lambda *_, **__: None)
        STAGES[stage](patch)
        with pytest.raises(Cut):
            run("Prototypical", tmp_path)
    saved = json.loads((tmp_path / "checkpoint.json").read_text())
    in_place = stage in ("text in place", "older tensors still there")
    assert saved["state"]["iteration"] == (6 if in_place else 3)
    load_file(tmp_path / saved["tensors"])
    same(run("Prototypical", tmp_path), expected)
    left = {path.name for path in tmp_path.iterdir()}  # nothing half written either
    assert left == {".lock", "checkpoint.json", f"iteration-{N:08d}.safetensors"}


SCRIPT = """
import sys
sys.path[:0] = [{tests!r}]
import torch
torch.set_num_threads(1)
from test_checkpoints import killable
killable({folder!r}, {stalls})
"""
LONG = {"n_iterations": 200, "check_every": 7, "save_every": 2}
UP_TO = 60  # kills go on up to this iteration
AT_ONCE = 25  # draws that a process which is to be killed is given
assert LONG["n_iterations"] > UP_TO + 2 * AT_ONCE, (
    "those that are to be killed would come to the end"
)


def stalling(sampler):
    """The same sampler, a little slower, that stands still after `AT_ONCE` draws: a minute, then it fails."""
    slow, draws = copy.copy(sampler), itertools.count(1)

    def sample(*args):
        if next(draws) > AT_ONCE:
            time.sleep(60)
            raise Cut
        time.sleep(0.002)
        return sampler.sample(*args)

    vars(slow)["sample"] = sample
    return slow


def killable(folder: str, stalls: bool = False):
    sampler = KINDS["Prototypical"][1]
    return run("Prototypical", folder, stalling(sampler) if stalls else sampler, **LONG)


def started(folder: Path, stalls: bool = False) -> subprocess.Popen:
    script = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(folder), stalls=stalls)
    return subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[1])


def iterations(folder: Path) -> int:
    try:
        return json.loads((folder / "checkpoint.json").read_text())["state"]["iteration"]
    except FileNotFoundError:
        return 0


def forked(folder: Path) -> int:
    """A copy of this process that trains, and never comes to the end."""
    child = os.fork()
    if child == 0:
        try:
            killable(str(folder), stalls=True)
        finally:
            os._exit(1)
    return child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be copied and killed")
def test_killed_at_random_moments_it_ends_the_same(tmp_path):
    """SIGKILL, again and again, as a rule a little after a new save; none of these processes can end before.

    The first and the last process are new ones, the others copies of this.
    """
    expected = run("Prototypical", **LONG)  # first, so that the copies find everything imported
    first = started(tmp_path, stalls=True)
    while iterations(tmp_path) < 4:
        assert first.poll() is None
        time.sleep(0.005)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    at, lots = [iterations(tmp_path)], random.Random(0)
    while at[-1] < UP_TO:
        child = forked(tmp_path)
        early = lots.random() < 0.3
        while not early and iterations(tmp_path) == at[-1]:
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "it was still at work"
            time.sleep(0.002)
        time.sleep(lots.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, "it was still at work"
        at.append(iterations(tmp_path))
    assert at == sorted(at)
    assert len(set(at)) > 2
    assert at[-1] < LONG["n_iterations"]
    assert started(tmp_path).wait() == 0
    same(killable(str(tmp_path)), expected)


def test_stopping_by_patience_survives_being_cut_off(tmp_path):
    stop = {"patience": 2, "check_every": 1, "n_iterations": 60, "lr": 0.3, "save_every": 1}
    expected = run("Prototypical", **stop)
    last = int(expected.history["iteration"].iloc[-1])
    assert 4 < last < 60
    for n in range(1, last + 1):
        folder = tmp_path / str(n)
        with pytest.raises(Cut):
            run("Prototypical", folder, cutting_off(class_sampler(), n), **stop)
        same(run("Prototypical", folder, **stop), expected)


@pytest.mark.parametrize("save_every", [1, 3, 100])
@pytest.mark.parametrize("settings", [{}, {"patience": 1, "check_every": 1, "lr": 0.3}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_run_is_loaded_and_trains_no_more(kind, settings, save_every, tmp_path):
    first = run(kind, tmp_path, save_every=save_every, **settings)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    probe_alone = cutting_off(KINDS[kind][1], 1)
    again = run(kind, tmp_path, probe_alone, save_every=save_every, **settings)
    same(again, first)
    assert probe_alone.left == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert again.history["seconds"].tolist() == first.history["seconds"].tolist()


def test_without_validation_tasks_the_last_weights_come_back(tmp_path):
    def fit(sampler, folder=None):
        trainer = EpisodicTrainer(**USUAL, save_every=3, checkpoint=folder)
        return prototypical(trainer).fit(sampler)

    expected = fit(class_sampler())
    assert expected.history["validation"].isna().all()
    with pytest.raises(Cut):
        fit(cutting_off(class_sampler(), 8), tmp_path)
    same(fit(class_sampler(), tmp_path), expected)
    same(fit(cutting_off(class_sampler(), 1), tmp_path), expected)


def test_seconds_go_on_counting(tmp_path):
    with pytest.raises(Cut):
        run("Prototypical", tmp_path, cutting_off(class_sampler(), 10))
    path = tmp_path / "checkpoint.json"
    saved = json.loads(path.read_text())
    saved["state"]["seconds"] += 1_000
    path.write_text(json.dumps(saved))
    seconds = run("Prototypical", tmp_path).history["seconds"]
    assert seconds.iloc[0] < 1_000 < seconds.iloc[-1] < 1_100


def test_a_recommender_can_be_taken_up_again(tmp_path):
    split = split_tasks(user_tasks(simulate_shop(60, 20, 1)[0]), seeded(0))

    def fit(folder, n_iterations=6):
        trainer = EpisodicTrainer(
            n_iterations, 2, check_every=2, save_every=2, schedule="constant", checkpoint=folder
        )
        learner = Recommender(lambda net: MAML(net, 0.1, fast=["head"], trainer=trainer))
        return learner.fit(split.train, split.validation).method

    same(fit(tmp_path), fit(None))
    same(fit(tmp_path), fit(None))


def cut_run(folder: Path) -> None:
    with pytest.raises(Cut):
        run("Prototypical", folder, cutting_off(class_sampler(), 9))
    assert iterations(folder) == 6


def strictly(constant: str):
    raise ValueError(f"{constant} is not in JSON")


@pytest.mark.parametrize("draws", [5, 9, 100])
def test_what_is_written_is_strict_json_and_safetensors_alone(draws, tmp_path, monkeypatch):
    """Even before the first look, when the least error is infinite, and without validation, when it is not a number."""
    for name in ("dump", "dumps"):
        monkeypatch.setattr(pickle, name, lambda *_: pytest.fail("something was pickled"))
    monkeypatch.setattr(torch, "save", lambda *_, **__: pytest.fail("something was pickled"))
    trainer = EpisodicTrainer(**USUAL, save_every=3, checkpoint=tmp_path)
    try:
        prototypical(trainer).fit(cutting_off(class_sampler(), draws))
    except Cut:
        assert draws < 100
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 3
    saved = json.loads((tmp_path / "checkpoint.json").read_text(), parse_constant=strictly)
    assert names == {".lock", "checkpoint.json", saved["tensors"]}
    assert saved["state"]["least"] == "inf"
    tensors = load_file(tmp_path / saved["tensors"])
    assert {name.split("/")[0] for name in tensors} == {"weights", "adam", "random"}


def wider(trainer):
    return Prototypical(body(6), trainer=trainer)


def cooler(trainer):
    return Prototypical(body(), temperature=2.0, trainer=trainer)


def maml(trainer, **settings):
    return MAML(SineNet(0, n_hidden=4), trainer=trainer, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.03},
        {"n_iterations": 2 * N},
        {"seed": 1},
        {"meta_batch": 3},
        {"patience": 9},
        {"schedule": "constant"},
        {"clip": None},
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused(settings, finished, tmp_path):
    run("Prototypical", tmp_path) if finished else cut_run(tmp_path)
    refused("settings", tmp_path, lambda: run("Prototypical", tmp_path, **settings))


def refused(what: str, folder: Path, again) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError) as error:
        again()
    (problem,) = error.value.problems
    sentence = (
        rf"{re.escape(str(folder / 'checkpoint.json'))}: the checkpoint has other {what}(?P<which> \(.+\))? "
        "than this run; remove the folder, or name another one"
    )
    found = re.fullmatch(sentence, problem)
    assert found, problem
    assert bool(found["which"]) == (what == "settings")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_settings_that_differ_are_named(tmp_path):
    cut_run(tmp_path)
    with pytest.raises(InputError) as error:
        run("Prototypical", tmp_path, lr=0.03, patience=9)
    assert "other settings (lr: 0.02 there, 0.03 here, patience: None there, 9 here) than" in str(
        error.value
    )


def test_another_network_other_tasks_and_other_validation_tasks_are_refused(tmp_path):
    cut_run(tmp_path)
    trainer = EpisodicTrainer(**USUAL, save_every=3, checkpoint=tmp_path)
    sampler = class_sampler()
    refused("network", tmp_path, lambda: wider(trainer).fit(sampler, sampler))
    refused("tasks", tmp_path, lambda: prototypical(trainer).fit(class_sampler(1), sampler))
    for other in (class_sampler(1), None):
        refused("validation tasks", tmp_path, lambda o=other: prototypical(trainer).fit(sampler, o))


@pytest.mark.parametrize(
    "settings",
    [
        {"inner_lr": 0.02},
        {"inner_lr": torch.tensor(0.01)},
        {"inner_lr": dict.fromkeys(dict(SineNet().named_parameters()), 0.01)},
        {"n_steps": 2},
        {"first_order": True},
        {"fast": ["head"]},
        {"fast": {"head"}},
        {"loss": lambda p, t, m: masked_mse(p, t, m)},
    ],
)
def test_other_settings_of_the_method_itself_are_refused(settings, tmp_path):
    trainer = EpisodicTrainer(**USUAL, save_every=3, checkpoint=tmp_path)
    maml(trainer).fit(SineTasks(3, 3))
    refused("settings", tmp_path, lambda: maml(trainer, **settings).fit(SineTasks(3, 3)))
    maml(trainer).fit(SineTasks(3, 3))


def test_how_often_to_save_and_where_may_change(tmp_path):
    cut_run(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    same(run("Prototypical", tmp_path / "b", save_every=1), run("Prototypical"))


def texts(saved: dict) -> dict[str, str]:
    whole = json.dumps(saved)
    state = saved["state"]
    return {
        "empty": "",
        "cut short": whole[: len(whole) // 2],
        "no state": json.dumps({k: v for k, v in saved.items() if k != "state"}),
        "odd mark": json.dumps(saved | {"mark": [1]}),
        "odd state": json.dumps(saved | {"state": [1]}),
        "unknown state": json.dumps(saved | {"state": state | {"mood": 1}}),
        "words for a number": json.dumps(saved | {"state": state | {"least": "little"}}),
        "no checksum": json.dumps({k: v for k, v in saved.items() if k != "sha256"}),
        "no such tensors": json.dumps(saved | {"tensors": "iteration-99.safetensors"}),
        "tensors that are no name": json.dumps(saved | {"tensors": 5}),
    }


KINDS_OF_TEXT = list(texts({"state": {}}))


def unreadable(folder: Path) -> str:
    start = f"{folder / 'checkpoint.json'}: no checkpoint that can be read ("
    with pytest.raises(InputError) as error:
        run("Prototypical", folder)
    (problem,) = error.value.problems
    assert problem.startswith(start)
    assert problem.endswith("); remove the folder to begin anew")
    assert "\n" not in problem
    return problem


@pytest.mark.parametrize("how", KINDS_OF_TEXT)
def test_a_text_that_cannot_be_read_is_refused(how, tmp_path):
    cut_run(tmp_path)
    path = tmp_path / "checkpoint.json"
    path.write_text(texts(json.loads(path.read_text()))[how])
    unreadable(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    cut_run(tmp_path)
    (tmp_path / "checkpoint.json").write_bytes(b"\xff\xfe\x00")
    unreadable(tmp_path)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.999, None])
def test_tensors_that_are_not_whole_are_refused(share, tmp_path):
    cut_run(tmp_path)
    path = next(tmp_path.glob("*.safetensors"))
    whole = path.read_bytes()
    path.unlink()
    if share is not None:
        path.write_bytes(whole[: int(share * len(whole))])
    unreadable(tmp_path)


def noted(folder: Path, tensors: dict) -> None:
    """Other tensors, with their right checksum."""
    text = folder / "checkpoint.json"
    saved = json.loads(text.read_text())
    path = folder / saved["tensors"]
    save_file({name: t.clone() for name, t in tensors.items()}, path)
    saved["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    text.write_text(json.dumps(saved))


LOST = [
    "weights/body.0.weight",
    "random/draws",
    "random/torch",
    "adam/0/exp_avg",
    "kept/body.0.bias",
]


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("lost", LOST)
def test_tensors_with_a_part_missing_are_refused(lost, checksum, tmp_path):
    cut_run(tmp_path)
    path = next(tmp_path.glob("*.safetensors"))
    tensors = load_file(path)
    del tensors[lost]
    if checksum:
        noted(tmp_path, tensors)
        assert f"({lost} is missing)" in unreadable(tmp_path)
    else:
        save_file({name: t.clone() for name, t in tensors.items()}, path)
        assert "its checksum is not the noted one" in unreadable(tmp_path)


@pytest.mark.parametrize("name", LOST)
def test_tensors_of_another_type_or_shape_are_refused(name, tmp_path):
    cut_run(tmp_path)
    tensors = load_file(next(tmp_path.glob("*.safetensors")))
    for other in (tensors[name].to(torch.int16), tensors[name][None]):
        noted(tmp_path, tensors | {name: other})
        assert f"({name} must be [" in unreadable(tmp_path)
    noted(tmp_path, tensors | {"adam/99/step": torch.zeros(())})
    assert "(adam/99/step is not known)" in unreadable(tmp_path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("iteration", [-1, N + 1, None, 1.5, True, "6"]),
        ("looks_in_vain", [-1, None, 0.5]),
        ("done", [0, None]),
        ("least", [None, "nan", []]),
        ("seconds", [None, -1, "nan", "inf"]),
        ("losses", [None, [], [0.1] * 3, [None, 0.1]]),
        ("history", [None, [], [[4, 0.1, 0.1, 0.1]], [4], [[3, 0.1, 0.1, 0.1, 0.1]]]),
    ],
)
def test_a_state_that_no_run_can_be_in_is_refused(name, values, tmp_path):
    cut_run(tmp_path)
    path = tmp_path / "checkpoint.json"
    saved = json.loads(path.read_text())
    for value in values:
        path.write_text(json.dumps(saved | {"state": saved["state"] | {name: value}}))
        assert f"({name} must " in unreadable(tmp_path)


@pytest.mark.parametrize("text", ["[1, 2]", '{"name": "mine"}', "5"])
def test_a_checkpoint_of_something_else_is_said_to_be_none_of_fsls(text, tmp_path):
    path = tmp_path / "checkpoint.json"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        run("Prototypical", tmp_path)
    assert error.value.problems == (f"{path}: this is no checkpoint of fsl's; name another folder",)
    assert path.read_text() == text


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_what_cannot_be_a_folder_is_said_before_training(where, tmp_path):
    (tmp_path / "file").write_text("mine")
    untouched = cutting_off(class_sampler(), 1)  # one draw is the probe's
    with pytest.raises(InputError) as error:
        run("Prototypical", tmp_path / where, untouched)
    (problem,) = error.value.problems
    assert problem.startswith(f"{tmp_path / where}: no folder that checkpoints can be written to (")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_may_not_be_written_to_is_said_before_training(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    sentence = r"no folder that checkpoints can be written to \(Permission denied\)$"
    with pytest.raises(InputError, match=sentence):
        run("Prototypical", tmp_path, cutting_off(class_sampler(), 1))


def test_where_nothing_was_saved_no_folder_is_left(tmp_path):
    (tmp_path / "mine").mkdir()
    for name in ("mine", "new"):
        with pytest.raises(Cut):
            run("Prototypical", tmp_path / name, cutting_off(class_sampler(), 2))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_no_name_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    same(run("Prototypical", ""), run("Prototypical"))
    assert not list(tmp_path.iterdir())


fcntl = pytest.mark.skipif(sys.platform == "win32", reason="needs fcntl")


def in_use(folder: Path) -> None:
    with pytest.raises(InputError) as error:
        run("Prototypical", folder, **LONG)
    assert error.value.problems == (f"{folder}: another training uses this folder",)


@fcntl
def test_a_folder_is_one_trainings_at_a_time(tmp_path):
    """Of another process, killed in the end; and of this one, which lets go of it whatever happens."""
    other = started(tmp_path, stalls=True)  # it stands still, but does not end
    while iterations(tmp_path) < 4:
        assert other.poll() is None
        time.sleep(0.005)
    in_use(tmp_path)
    other.kill()
    other.wait()
    same(killable(str(tmp_path)), run("Prototypical", **LONG))
    with Checkpoint(tmp_path, {}).held():
        in_use(tmp_path)
    cut_run(tmp_path / "cut")
    run("Prototypical", tmp_path / "cut")


def test_old_tensors_go_and_alike_names_stay(tmp_path):
    alike = ["iteration-5.safetensors", "iteration-best.safetensors", ".mine.part"]
    for name in alike:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".iteration-00000003.safetensors.77.part").write_text("half written")
    run("Prototypical", tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {*alike, ".lock", "checkpoint.json", f"iteration-{N:08d}.safetensors"}


def interrupting(sampler, n: int, times: int = 1):
    """The same sampler, with an interrupt (Ctrl-C) while it is asked for the n-th time."""
    found, calls = copy.copy(sampler), itertools.count(1)

    def ask(whole, *args):
        for _ in range(times if next(calls) == n else 0):
            signal.raise_signal(signal.SIGINT)
        return whole(*args)

    vars(found).update({name: partial(ask, getattr(sampler, name)) for name in ("sample", "joint")})
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_it_loses_no_iteration_and_ends_the_same(kind, tmp_path):
    expected, usual = run(kind), signal.getsignal(signal.SIGINT)
    for n in range(2, N + 2):  # the first draw is the probe's
        folder = tmp_path / str(n)
        with pytest.raises(KeyboardInterrupt):
            run(kind, folder, interrupting(KINDS[kind][1], n), save_every=100)
        assert signal.getsignal(signal.SIGINT) is usual
        assert iterations(folder) == n - 1
        same(run(kind, folder, save_every=100), expected)


def test_a_second_interrupt_does_not_wait(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run("Prototypical", tmp_path, interrupting(class_sampler(), 6, times=2))
    assert iterations(tmp_path) == 3
    same(run("Prototypical", tmp_path), run("Prototypical"))


def test_an_interrupt_without_a_checkpoint_comes_at_once():
    sampler = interrupting(class_sampler(), 3)
    with pytest.raises(KeyboardInterrupt):
        run("Prototypical", None, sampler)


def test_it_trains_in_another_thread(tmp_path):
    """Where there are no interrupts."""
    found = []
    thread = threading.Thread(target=lambda: found.append(run("Prototypical", tmp_path)))
    thread.start()
    thread.join()
    same(found[0], run("Prototypical"))


def marked(method=None, sampler=None) -> dict:
    method = method or prototypical(EpisodicTrainer())
    return probe(method.trainer, method, sampler or class_sampler(), [])


def differing(a: dict, b: dict) -> list[str]:
    return [name for name in a if a[name] != b[name]]


def test_the_mark_sees_layers_and_what_is_frozen():
    def made(layer):
        net = nn.Sequential(nn.Linear(3, 2), layer)
        net.n_features = 2
        return Prototypical(net)

    frozen = made(nn.Tanh())
    frozen.body[0].bias.requires_grad_(False)
    base = marked(made(nn.Tanh()))
    assert differing(base, marked(made(nn.Tanh()))) == []
    assert differing(base, marked(made(nn.ReLU()))) == ["network"]
    assert differing(base, marked(frozen)) == ["network"]


def test_the_mark_sees_data_that_the_draw_does_not_have():
    sampler = class_sampler()
    drawn = sampler.sample(1, seeded(0))
    used = torch.cat([side.inputs[0] for side in drawn])
    free = (sampler.tasks.inputs[:, None] != used).any(-1).all(1)
    other = class_sampler()
    other.tasks.inputs[free] += 1
    assert free.sum() > 20
    assert torch.equal(other.sample(1, seeded(0)).support.inputs, drawn.support.inputs)
    assert differing(marked(), marked(sampler=other)) == ["tasks"]
    turned = replace(sampler, transform=lambda x, g: x)
    assert differing(marked(), marked(sampler=turned)) == ["tasks"]


def test_the_mark_tells_functions_apart():
    def scaled(factor):
        return lambda p, t, m: factor * masked_mse(p, t, m)

    losses = [
        lambda p, t, m: masked_mse(p, t, m),
        lambda p, t, m: masked_mse(p, t, m) + 1,
        lambda p, t, m: masked_mse(p, t, m) + 2,
        scaled(2),
        scaled(3),
        partial(masked_mse),
        masked_mse,
        None,
    ]
    said = [
        marked(maml(None, loss=one), SineTasks(3, 3))["settings"]["MAML.loss"] for one in losses
    ]
    assert len(set(said)) == len(losses)
    again = marked(maml(None, loss=scaled(2)), SineTasks(3, 3))["settings"]["MAML.loss"]
    assert again == said[3]


MARK = """
import sys, json
sys.path[:0] = [{tests!r}]
import test_checkpoints
print(json.dumps(test_checkpoints.mark_of_many_settings()))
"""


def mark_of_many_settings() -> dict:
    fast = {"body.0.weight", "body.0.bias", "head.weight", "head.bias"}
    rates = {name: torch.tensor(0.01) for name in sorted(fast)}
    method = maml(None, fast=fast, inner_lr=rates, loss=lambda p, t, m: (p in {"a", "b", "c"}, m))
    return {"sine": marked(method, SineTasks(3, 3)), "classes": marked()}


def test_the_mark_is_the_same_in_every_process():
    script = MARK.format(tests=str(Path(__file__).parent))
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        env=os.environ | another_hash_seed(),
        capture_output=True,
        check=True,
    )
    assert json.loads(found.stdout) == mark_of_many_settings()


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "weights.safetensors").write_bytes(b"mine too")
    run("Prototypical", tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "weights.safetensors").read_bytes() == b"mine too"
