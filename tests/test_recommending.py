"""Models for one person: sums are exact, files whole or refused, bad input gets one sentence, sides are learners."""

import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import seeded, shop_of
from safetensors.torch import save

import fsl
from fsl import InputError, Shop, cli, item_tasks, load_model, sample_episode, user_tasks
from fsl.learners import recommender
from fsl.learners.cooccurrence import ItemKNN, unit_content
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.learners.object_neighbours import ObjectKNN
from fsl.recommending import model_file, nets
from fsl.recommending.attributes import content_of
from fsl.recommending.catalogue import Catalogue
from fsl.recommending.intervals import GAUSSIAN, Widths, measured
from fsl.recommending.linear import EmpiricalBayesSide
from fsl.recommending.nearest import NearestSide
from fsl.recommending.nets import NetSide
from fsl.recommending.side import Answer, Side
from fsl.recommending.together import AudienceSide, TogetherSide
from fsl.recommending.train import train

SHOP = fsl.load("simulated", n_users=120, n_items=40)
TASKS = {"user": user_tasks(SHOP), "item": item_tasks(SHOP)}
CLICKS = Shop(SHOP.interactions.drop(columns="rating"), SHOP.users, SHOP.items, "clicks")
LEARNERS = ("EB+", "item kNN", "ALPaCA", "ridge head", "clicks")


@pytest.fixture(scope="module")
def models() -> dict:
    with pytest.MonkeyPatch.context() as patch:
        few = nets.recommender
        patch.setattr(nets, "recommender", lambda name, n, seed: few(name, 5, seed))
        made = {name: train(SHOP, name) for name in LEARNERS[:-1]}
    return made | {"clicks": train(CLICKS)}


@pytest.fixture(scope="module")
def path(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "phones.fsl"
    models["EB+"].save(path)
    return path


# --- sides are the learners that they say they are ---


def asked(tasks):
    """Episodes of some tasks, with no, one and four known behaviours."""
    return [sample_episode(tasks, k, 6, seeded(3), n_tasks=8) for k in (0, 1, 4)]


def answers(side: Side, tasks, episode):
    """Mean and sd of every query row, by the side, one newcomer after the other: [n_tasks, n_query] each."""
    found = []
    for inputs, targets, query in zip(*episode.support[:2], episode.query.inputs, strict=True):
        content = tasks.subject_features[query[0, 0]].double()
        answer = side.answer(content, inputs[:, 1], targets.double())
        found.append([part[query[:, 1]] for part in (answer.mean, answer.sd)])
    return (torch.stack(part).float() for part in zip(*found, strict=True))


@pytest.mark.parametrize("newcomer", ["user", "item"])
def test_empirical_bayes_is_the_learner(newcomer):
    tasks = TASKS[newcomer]
    learner = EmpiricalBayes(3, 2, 5).fit(tasks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fsl.recommending.linear.EmpiricalBayes", lambda *a, **b: learner)
        side = EmpiricalBayesSide.fitted(tasks)
    for episode in asked(tasks):
        expected = learner.distribution(episode.support, episode.query.inputs)
        mean, sd = answers(side, tasks, episode)
        assert torch.allclose(mean, expected.mean, atol=1e-5)
        assert torch.allclose(sd.square(), expected.variance, atol=1e-5)


@pytest.mark.parametrize("name", ["ALPaCA", "ridge head"])
@pytest.mark.parametrize("newcomer", ["user", "item"])
def test_heads_on_learned_features_are_the_learner(name, newcomer):
    tasks, kept = TASKS[newcomer], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nets, "recommender", lambda *a: kept.append(recommender(*a)) or kept[0])
        side = NetSide.fitted(tasks, name, n_iterations=4)
    for episode in asked(tasks):
        mean, sd = answers(side, tasks, episode)
        expected = kept[0].predict(episode.support, episode.query.inputs)
        assert torch.allclose(mean, expected, atol=1e-4)
        told = kept[0].distribution(episode.support, episode.query.inputs)
        if name == "ALPaCA":
            assert torch.allclose(sd.square(), told.variance, rtol=1e-3)
        else:
            assert told is None
            assert sd.unique().numel() == 1


@pytest.mark.parametrize("newcomer", ["user", "item"])
def test_nearest_is_the_learner(newcomer):
    tasks, learner = TASKS[newcomer], ObjectKNN()
    side = NearestSide.fitted(tasks, learner)
    for episode in asked(tasks):
        mean, _ = answers(side, tasks, episode)
        expected = learner.predict(episode.support, episode.query.inputs)
        assert torch.allclose(mean, expected, atol=1e-4)


def test_together_is_the_learner():
    tasks = user_tasks(CLICKS, implicit=True)
    learner, episode = ItemKNN(), sample_episode(tasks, 4, 6, seeded(0), n_tasks=8)
    side = TogetherSide.fitted(tasks, learner)
    for row, inputs in enumerate(episode.support.inputs):
        known = inputs[:, 1].unique()  # somebody may meet a phone in two scenes
        found = side.answer(None, known, torch.ones(len(known)).double()).mean
        assert torch.allclose(found.float(), learner.scores(episode.support)[row], atol=1e-5)
    most = torch.bincount(tasks.objects[tasks.task_of_row.diff(prepend=torch.tensor([-1])) >= 0])
    alone = side.answer(None, torch.tensor([], dtype=torch.long), torch.tensor([]).double()).mean
    assert alone.argmax() in (most == most.max()).nonzero()


def test_an_audience_by_hand():
    rows = [("ann", "a"), ("ann", "b"), ("bob", "b"), ("cyd", "c")]
    items = pd.DataFrame({"item": ["a", "b", "c"], "os": ["x", "x", "y"]})
    shop = shop_of(*rows, names="user item", items=items)
    tasks = item_tasks(shop, implicit=True)
    side = AudienceSide.fitted(tasks, ItemKNN(shrinkage=2.0))
    content = torch.tensor([0.0, 1.0]).double()
    found = side.answer(content, torch.tensor([0]), torch.ones(1).double())
    # Content: of the items only c is like it. First user ann: a (had by 1) and b (had by 2) become alike to it.
    a, b = (3 * 3) ** -0.5, (3 * 4) ** -0.5
    assert torch.allclose(found.content[:, 0], torch.tensor([0, 0, 1.0]).double())
    assert torch.allclose(found.support[:, 0], torch.tensor([(a + b) / 2**0.5, b, 0]).double())
    assert torch.equal(found.mean, found.content.sum(1) + found.support.sum(1))
    nobody = side.answer(None, torch.tensor([], dtype=torch.long), torch.tensor([]).double())
    assert nobody.mean.tolist() == [2, 1, 1]


def test_an_audience_weighs_features_as_neighbours_by_content_do():
    side = AudienceSide.fitted(TASKS["item"], ItemKNN())
    expected = unit_content(TASKS["user"]) @ unit_content(TASKS["user"]).T
    found = torch.stack([side._alike(x) for x in side.content])
    assert torch.allclose(found.float(), expected, atol=1e-4)


# --- answers ---


@pytest.mark.parametrize("name", LEARNERS)
@settings(max_examples=15)
@given(st.data())
def test_parts_sum_to_what_is_expected(models, name, data):
    model = models[name]
    newcomer = data.draw(st.sampled_from(["user", "item"]))
    met = model.objects["item" if newcomer == "user" else "user"].ids
    known = data.draw(st.dictionaries(st.sampled_from(met), st.integers(1, 5), max_size=12))
    own = {"user": {"age": 30, "gender": "female"}, "item": {"brand": "Lumo", "price_usd": "499"}}
    own = data.draw(st.sampled_from([None, own[newcomer]]))
    users = newcomer == "user"
    ask = model.recommend if users else model.audience
    found = ask(known, about=own, top=50) if users else ask(own, known, top=200)
    assert len(found.table) == len(met) - len(known)
    assert not set(known) & set(found.table.iloc[:, 0])
    value = found.table["score" if name == "clicks" else "expected"]
    assert value.is_monotonic_decreasing
    assert np.abs(found.parts.sum(axis=1) - value).max() < 1e-9
    assert found.parts.shape[1] >= len(known) + 2
    if name != "clicks":
        assert (found.table["low"] <= value).all()
        assert (value <= found.table["high"]).all()
        assert found.table[["low", "high"]].stack().between(1, 5).all()


def test_reasons_are_the_parts_in_words(models):
    known = {"p0003": 5, "p0010": 1, "p0020": 4}
    found = models["EB+"].recommend(known, top=3, about={"age": 70}, reasons=20)
    names = SHOP.item_names()
    said, parts = found.table["why"].iloc[0].split("; "), found.parts.iloc[0]
    assert said[0] == f"{parts['start']:.2f} to anyone"
    for item, rating in known.items():
        label = f"you rated {names[item]} {rating}"
        assert abs(parts[label]) < 0.005 or f"because {label}: {parts[label]:+.2f}" in said
    assert abs(parts["age"]) > 0.005
    assert f"your age 70: {parts['age']:+.2f}" in said
    short = models["EB+"].recommend(known, top=3, reasons=1).table["why"].iloc[0].split("; ")
    assert len(short) <= 3
    total = sum(
        float(part.split(" ")[0] if part.endswith("anyone") else part.split(": ")[1])
        for part in short
    )
    assert total == pytest.approx(
        models["EB+"].recommend(known).table["expected"].iloc[0], abs=0.02
    )


def test_likenesses_name_liked_things_first(models):
    known = {"p0003": 5, "p0010": 1}
    found = models["item kNN"].recommend(known, top=40, reasons=1)
    liked = [why for why in found.table["why"] if "which you rated 5: +" in why]
    assert len(liked) > 10
    assert not any("rated 1: -" in why for why in found.table["why"])
    assert "which you have: +" in models["clicks"].recommend(["p0003"]).table["why"].iloc[0]
    assert "who has it: +" in models["clicks"].audience(None, ["u00003"]).table["why"].iloc[0]


def test_more_ratings_of_one_taste_move_the_list_to_it(models):
    """Somebody who likes what costs little and dislikes what is dear gets cheaper things than the opposite."""
    price = SHOP.items.set_index("item")["price_usd"].sort_values()
    met = [item for item in price.index if item in models["EB+"].objects["item"].ids]
    cheap, dear = met[:4], met[-4:]
    frugal = models["EB+"].recommend({**dict.fromkeys(cheap, 5), **dict.fromkeys(dear, 1)}, top=8)
    lavish = models["EB+"].recommend({**dict.fromkeys(cheap, 1), **dict.fromkeys(dear, 5)}, top=8)
    assert price[frugal.table["item"]].mean() < price[lavish.table["item"]].mean()


def test_the_printed_table(models):
    text = str(models["EB+"].recommend({"p0003": 5}, top=2)).splitlines()
    assert (
        text[0]
        == "EB+ of simulated (simulated): 120 users, 40 items. From 1 rating of the new user."
    )
    assert text[1].split() == ["item", "name", "expected", "90", "%", "interval", "why"]
    assert len(text) == 4
    everything = dict.fromkeys(models["EB+"].objects["item"].ids, 3)
    assert str(models["EB+"].recommend(everything)).splitlines()[1:] == ["Nothing is left to show."]


def test_names_that_could_harm_a_terminal_are_spelt_out(models):
    model = models["EB+"]
    items = model.objects["item"]
    wild = Catalogue("item", items.ids, tuple(f"\x1b[31m{name}" for name in items.names))
    text = str(replace(model, objects={**model.objects, "item": wild}).recommend())
    assert "\x1b" not in text
    assert r"\x1b[31m" in text


# --- intervals ---


class Flat(Side):
    """Expects 0 with a standard deviation of 1, whatever it is asked."""

    n_objects, n_features = 40, 0

    def answer(self, content, places, targets) -> Answer:
        zero = torch.zeros(40).double()
        return Answer(zero, zero + 1, zero, zero[:, None][:, :0], torch.zeros(40, len(places)))


def test_widths_hold_nine_of_ten_ratings():
    tasks, seen = TASKS["user"], []
    noise = torch.randn(tasks.n_rows, generator=seeded(5)) * 3
    tasks = replace(tasks, targets=noise)
    widths = measured(tasks, lambda part: seen.append(part) or Flat(), 0, False)
    assert set(widths.by_shots) == {0, 1, 3, 5, 10}
    assert widths.at(0) == pytest.approx(3 * GAUSSIAN, rel=0.2)
    assert widths.at(4) == widths.by_shots[3]
    assert widths.at(99) == widths.by_shots[10]
    assert (noise.abs() <= widths.at(0)).float().mean() == pytest.approx(0.9, abs=0.04)


def test_widths_come_from_newcomers_that_the_fit_has_not_seen():
    tasks, fitted = TASKS["user"], []
    measured(tasks, lambda part: fitted.append(part) or Flat(), 0, False)
    assert len(fitted) == 1
    assert len(fitted[0]) == 96
    held = sorted(set(range(120)) - set(fitted[0].subjects.tolist()))
    quiet = tasks.targets.clone()
    quiet[torch.isin(tasks.subjects[tasks.task_of_row], torch.tensor(held))] = 0
    assert measured(replace(tasks, targets=quiet), lambda part: Flat(), 0, False).at(0) == 0


def test_small_shops_have_no_measured_widths():
    tasks = user_tasks(fsl.load("simulated", n_users=8, n_items=10))
    assert measured(tasks, lambda part: Flat(), 0, False) == Widths()
    assert Widths().at(3) == GAUSSIAN


# --- files ---


@pytest.mark.parametrize("name", LEARNERS)
def test_a_model_read_back_says_the_same_to_the_bit(models, name, tmp_path):
    model, path = models[name], tmp_path / "m.fsl"
    model.save(path)
    again = load_model(path)
    assert model_file.as_bytes(again) == path.read_bytes() == model_file.as_bytes(model)
    known = {"p0003": 5, "p0010": 1}
    for one in (
        lambda m: m.recommend(known, about={"age": 30}),
        lambda m: m.audience({"brand": "Lumo", "price_usd": 300}, {"u00003": 4}),
        lambda m: m.recommend(),
    ):
        pd.testing.assert_frame_equal(one(model).table, one(again).table, check_exact=True)
        pd.testing.assert_frame_equal(one(model).parts, one(again).parts, check_exact=True)
        assert str(one(model)) == str(one(again))


def test_three_lines(path):
    model = fsl.load_model(path)
    found = model.recommend({"p0003": 5, "p0010": 2}, top=10)
    assert len(str(found).splitlines()) == 12
    assert list(found.table.columns) == ["item", "name", "expected", "low", "high", "why"]


def test_training_again_gives_the_same_bytes(models):
    assert model_file.as_bytes(train(SHOP)) == model_file.as_bytes(models["EB+"])


REFUSED = "no whole model of fsl train, nothing of it was used: "


def refused(tmp_path, data: bytes, name: str = "bad.fsl") -> str:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        load_model(path)
    (said,) = caught.value.problems
    assert said.startswith(f"{path}: {REFUSED}")
    assert said.endswith(".")
    assert "\n" not in said
    return said.split(REFUSED)[1]


def test_a_file_that_was_cut_off_is_refused(path, tmp_path):
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    for end in (
        1,
        7,
        8,
        9,
        100,
        size - 1,
        size,
        size + 1,
        len(data) // 2,
        len(data) - 8,
        len(data) - 1,
    ):
        refused(tmp_path, data[:end])
    assert refused(tmp_path, data[:100]) == "it is cut off, or no safetensors file."
    assert refused(tmp_path, b"") == "it is empty."
    assert refused(tmp_path, data[:-1]) == "it is cut off, or longer than its header says."
    assert refused(tmp_path, data + b"\0" * 8) == "it is cut off, or longer than its header says."


def test_a_flipped_byte_is_refused_wherever_it_is(path, tmp_path):
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    places = [
        *range(0, 12),
        *np.linspace(12, size - 1, 25).astype(int),
        *np.linspace(size, len(data) - 1, 25).astype(int),
    ]
    for place in places:
        for bit in (1, 0x80):
            changed = bytearray(data)
            changed[place] ^= bit
            refused(tmp_path, bytes(changed))
    changed = bytearray(data)
    changed[9] ^= 1
    assert refused(tmp_path, bytes(changed)) == "its header was damaged or changed."
    changed = bytearray(data)
    changed[-1] ^= 1
    assert (
        refused(tmp_path, bytes(changed))
        == "its checksum is not that of its content, it was damaged or changed."
    )


def test_foreign_files_are_refused_and_never_run(tmp_path):
    struck = tmp_path / "struck"

    class Evil:
        def __reduce__(self):
            return (struck.write_text, ("x",))

    for protocol in (0, 2, 4):
        data = pickle.dumps({"a": Evil()}, protocol=protocol)
        said = refused(tmp_path, data)
        if protocol:
            assert said == "it is a pickle, which could run anything when it is read."
    torch.save({"a": torch.zeros(2)}, tmp_path / "t.pt")
    assert "torch.save" in refused(tmp_path, (tmp_path / "t.pt").read_bytes())
    assert not struck.exists()
    assert refused(tmp_path, b'{"a": 1}') == "it is JSON."
    assert refused(tmp_path, b"user,item\n1,2\n") == "it is cut off, or no safetensors file."
    other = save({"a": torch.zeros(2)}, {"by": "another"})
    assert refused(tmp_path, other) == "it is a safetensors file of something else."
    assert refused(tmp_path, save({"a": torch.zeros(2)})) == "there is no '__metadata__'."
    deep = b"[" * 100_000
    refused(tmp_path, len(deep).to_bytes(8, "little") + b"{" + deep)


def forged(model, change_header=lambda header: None, change=lambda tensors: None) -> bytes:
    """A file with other content, and a checksum that fits it."""
    data = model_file.as_bytes(model)
    header, _ = model_file._header(data)
    tensors = model_file.load(data)
    change_header(header)
    change(tensors)
    signed = {"header": header, "sha256": model_file._checksum(header, tensors)}
    return save(tensors, {"fsl": json.dumps(signed)})


def test_what_was_made_up_is_refused_even_with_a_fitting_checksum(models, tmp_path):
    def broken(name, **changes) -> str:
        return refused(tmp_path, forged(models[name], **changes))

    far = {"user.places": lambda t: t + 10_000}
    assert "points outside of itself" in broken("clicks", change=lambda t: apply(t, far))
    assert "points outside" in broken(
        "item kNN", change=lambda t: apply(t, {"user.starts": lambda x: x.flip(0)})
    )
    nan = {"user.base": lambda t: t * torch.nan}
    assert broken("EB+", change=lambda t: apply(t, nan)) == "its base is no finite float64."
    short = {"user.base": lambda t: t[1:].clone()}
    assert "has the shape" in broken("EB+", change=lambda t: apply(t, short))
    assert "its tensors are" in broken("EB+", change=lambda t: t.pop("user.base"))
    assert "belong to nothing" in broken("EB+", change=lambda t: t.update(more=torch.zeros(1)))
    assert "its tensors are" in broken(
        "EB+", change_header=lambda h: h["sides"].update(user="NetSide")
    )
    assert (
        broken("EB+", change_header=lambda h: h["sides"].update(user="os.system"))
        == "there is no 'os.system'."
    )
    assert "other sizes" in broken(
        "EB+", change_header=lambda h: h["objects"]["item"].update(ids=["a"], names=["b"])
    )
    assert "version 2" in broken("EB+", change_header=lambda h: h.update(version=2))
    assert "not sound" in broken("EB+", change_header=lambda h: h["about"].update(scale=[5, 1]))
    assert "other sizes" in broken("EB+", change_header=lambda h: h["encoders"].update(user=[]))


def apply(tensors, changes) -> None:
    for name, change in changes.items():
        tensors[name] = change(tensors[name]).to(tensors[name].dtype)


def test_a_failed_write_leaves_the_older_model(models, path, tmp_path, monkeypatch):
    target = tmp_path / "m.fsl"
    target.write_bytes(b"older")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(model_file.os, "fsync", full)
        with pytest.raises(InputError, match="cannot be written there: No space left on device"):
            models["EB+"].save(target)
    assert target.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == ["m.fsl"]


def test_a_model_takes_the_place_of_a_file_and_of_nothing_else(models, tmp_path, capsys):
    """As root, renaming onto a device or a socket would put the model in its place, for everybody."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path, tmp_path / ("a" * 300), tmp_path / "none" / "m.fsl"):
        with pytest.raises(InputError, match="expected a file in a folder that is there"):
            models["EB+"].save(place)
        code, out, err = run(capsys, "train", "--data", "simulated", "--out", place)
        assert (code, out) == (2, "")
        assert err == f"fsl: --out {str(place)!r}: expected a file in a folder that is there.\n"
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]
    assert pipe.is_fifo()


def test_a_shop_of_one_user_or_one_item_is_refused_and_one_of_two_has_a_file(tmp_path):
    with pytest.raises(InputError, match="interactions are of 1 user, expected at least 2"):
        train(shop_of(("u", "i", 4), ("u", "j", 2)))
    with pytest.raises(InputError, match="interactions are of 1 item, expected at least 2"):
        train(shop_of(("u", "i"), ("v", "i"), names="user item"))
    small = train(shop_of(("u", "i"), ("v", "j"), names="user item"))
    small.save(tmp_path / "m.fsl")
    assert load_model(tmp_path / "m.fsl").recommend(["i"]).table["item"].tolist() == ["j"]


# --- as a person types it ---


def run(capsys, *words) -> tuple[int, str, str]:
    try:
        code = cli.main([*map(str, words)])
    except SystemExit as stop:
        code = stop.code
    return (code, *capsys.readouterr())


def written(tmp_path, text: str, name: str = "user.csv"):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def test_train_and_recommend(capsys, tmp_path):
    SHOP.interactions.to_csv(tmp_path / "interactions.csv", index=False)
    SHOP.items.to_csv(tmp_path / "items.csv", index=False)
    out = tmp_path / "phones.fsl"
    code, said, _ = run(capsys, "train", "--data", tmp_path, "--out", out)
    assert code == 0
    assert said.startswith(f"{out}: EB+ of {tmp_path.name}: 120 users, 40 items, ")
    names = SHOP.item_names()
    user = written(tmp_path, f"Phone;Sterne;note\np0003;5;good\n{names['p0010'].upper()};2;\n")
    code, said, notes = run(capsys, "recommend", "--model", out, "--user", user, "--top", 4)
    assert code == 0
    assert "user.csv: the column 'Phone' is read as item." in notes
    assert "user.csv: the column 'Sterne' is read as rating." in notes
    lines = said.splitlines()
    assert lines[0].endswith("From 2 ratings of the new user.")
    assert len(lines) == 6
    expected = fsl.load_model(out).recommend({"p0003": 5, "p0010": 2}, top=4)
    assert said == f"{expected}\n"
    code, said, _ = run(capsys, "recommend", "--model", out, "--top", 1)
    assert (code, len(said.splitlines())) == (0, 3)
    item = written(tmp_path, "brand,price_usd,release_date\nLumo,499,2022-05-01\n", "item.csv")
    first = written(tmp_path, "user,rating\nu00003,5\nu00010,2\n", "first.csv")
    code, said, _ = run(
        capsys, "recommend", "--model", out, "--new-item", item, "--reactions", first
    )
    assert code == 0
    given = {"brand": "Lumo", "price_usd": 499, "release_date": "2022-05-01"}
    assert said == f"{fsl.load_model(out).audience(given, {'u00003': 5, 'u00010': 2})}\n"
    assert "its price_usd 499" in str(fsl.load_model(out).audience(given, top=100, reasons=9))


def test_train_and_recommend_without_ratings(capsys, tmp_path):
    CLICKS.interactions.to_csv(tmp_path / "interactions.csv", index=False)
    out = tmp_path / "clicks.fsl"
    code, said, _ = run(capsys, "train", "--data", tmp_path, "--out", out)
    assert code == 0
    assert said.startswith(f"{out}: item kNN of ")
    user = written(tmp_path, "item\np0003\np0010\n")
    code, said, _ = run(capsys, "recommend", "--model", out, "--user", user)
    assert code == 0
    assert "which you have" in said
    code, _, err = run(capsys, "train", "--data", tmp_path, "--out", out, "--learner", "EB+")
    assert code == 2
    assert "EB+ needs a column rating or label in interactions, which has neither" in err


BAD_USERS = [
    ("item,rating\np0003,5\nq99,4\n", "user.csv, line 3: no item has the id or name 'q99'."),
    ("item,rating\np0003,5\np003,4\n", "user.csv, line 3: no item has the id or name 'p003' (is it "),
    ("", "user.csv: the file is empty, expected a header and rows."),
    ("\n\n", "user.csv: there are only empty lines, expected a header and rows."),
    ("item,rating\n", "user.csv: there are no rows, only a header."),
    ("item,rating\np0003,7\n", "user.csv, line 2: rating 7, expected a number from 1 to 5."),
    ("item,rating\np0003,\n", "user.csv, line 2: rating '', expected a number from 1 to 5."),
    ("item,rating\np0003,good\n", "user.csv, line 2: rating 'good', expected a number from 1 to 5."),
    ("item,rating\np0003,inf\n", "user.csv, line 2: rating inf, expected a number from 1 to 5."),
    (
        "item,rating\np0003,5\np0004,4\n\np0003,4\n",
        "user.csv, line 5: item 'p0003' is there twice (first in line 2), expected each once.",
    ),
    (
        "item,when\np0003,5\n",
        "user.csv: there is no column 'rating'; the columns are 'item', 'when'; name yours with "
        "--column rating=THEIRS.",
    ),
    ("rating\n5\n", "user.csv: there is no column 'item'; the columns are 'rating'; name yours with"),
    ("item,rating\np0003,5,6\n", "user.csv, line 2: 3 fields, expected 2 as in the header."),
    ("item,rating,rating\np0003,5,5\n", "user.csv: column 'rating' is there twice, expected each name once."),
    (
        "user,item,rating\na,p0003,5\nb,p0004,1\nc,p0005,1\n",
        "user.csv: column 'user' names 3 users ('a', 'b', …), expected one.",
    ),
    ("\x1b[2J,rating\np0003,5\n", r"user.csv: there is no column 'item'; the columns are '\x1b[2J', 'rating'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD_USERS)
def test_bad_user_files_get_one_sentence(capsys, path, tmp_path, text, said):
    code, out, err = run(capsys, "recommend", "--model", path, "--user", written(tmp_path, text))
    assert (code, out) == (2, "")
    assert err.startswith(f"fsl: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--user", "none.csv"], "none.csv: No such file or directory, expected a CSV file."),
        (["--model", "none.fsl"], "none.fsl: the model cannot be read: No such file or directory."),
        (["--top", 0], "--top 0, --reasons 2: expected whole numbers, --top above 0."),
        (
            ["--user", "a", "--new-item", "b"],
            "--new-item and --reactions are of a new item, --user and ",
        ),
    ],
)
def test_bad_options_get_one_sentence(capsys, path, words, said):
    code, out, err = run(capsys, "recommend", "--model", path, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"fsl: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("price_usd\ncheap\n", "column 'price_usd': 'cheap', expected a number."),
        (
            "release_date\nsoon\n",
            "column 'release_date': 'soon', expected a date such as 2024-05-31.",
        ),
        (
            "colour\nred\n",
            "none of the columns is a feature that the model knows, expected some of brand, os, ",
        ),
        (
            "colour,Brand,os\nred,,NA\n",
            "none of the columns has a value, expected some of brand, os, ",
        ),
        ("brand\nLumo\nTarn\n", "item.csv: 2 rows, expected one, that of the newcomer."),
    ],
)
def test_bad_new_items_get_one_sentence(capsys, path, tmp_path, text, said):
    item = written(tmp_path, text, "item.csv")
    code, out, err = run(capsys, "recommend", "--model", path, "--new-item", item)
    assert (code, out) == (2, "")
    assert err.startswith(f"fsl: {said}")
    assert err.count("\n") == 1


def test_of_a_file_that_is_quite_another_ten_lines_are_told_and_the_rest_is_not_looked_at(
    capsys, models, path, tmp_path, monkeypatch
):
    asked = []
    place = Catalogue.place
    monkeypatch.setattr(Catalogue, "place", lambda self, x: asked.append(x) or place(self, x))
    rows = "".join(f"q{n},4\n" for n in range(500))
    user = written(tmp_path, f"item,rating\np0003,5\n{rows}")
    code, out, err = run(capsys, "recommend", "--model", path, "--user", user)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.split(":")[1] for line in lines[:10]] == [
        f" user.csv, line {n}" for n in range(3, 13)
    ]
    assert lines[10:] == ["fsl: user.csv: what follows line 12 was not looked at."]
    assert len(asked) == 11, "each that is unknown costs a search for its nearest name"
    with pytest.raises(InputError) as caught:
        next(iter(models.values())).recommend({f"q{n}": 4 for n in range(500)})
    assert len(caught.value.problems) == 11
    assert caught.value.problems[10] == "what follows 'q9' was not looked at."


def test_columns_by_option_and_decimal_commas(capsys, path, tmp_path):
    user = written(tmp_path, "what;how\np0003;4,5\np0010;2\n")
    words = ["recommend", "--model", path, "--user", user]
    code, out, _ = run(capsys, *words, "--column", "item=what", "--column", "rating=how")
    assert code == 0
    assert out == f"{load_model(path).recommend({'p0003': 4.5, 'p0010': 2})}\n"
    code, out, err = run(capsys, *words, "--column", "itme=what")
    assert (code, out) == (2, "")
    assert err.startswith("fsl: --column itme=what: expected one of ")
    assert {"battery_mah", "item", "name", "rating", "user"} <= set(re.findall(r"\w+", err))
    code, _, err = run(capsys, *words, "--column", "item=wat")
    assert code == 2
    assert err == "fsl: user.csv: there is no column 'wat'; the columns are 'what', 'how'.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "simulated", "--out", "no/such/m.fsl"], "--out 'no/such/m.fsl': expected a file in a folder"),
        (["--data", "simulated", "--out", "m.fsl", "--seed", "4294967296"],
         "--seed 4294967296: expected a whole number from 0 to 4294967295.\n"),
        (["--data", "simulated", "--out", "m.fsl", "--learner", "magic"], "--learner 'magic': expected one of EB+, "),
        (["--data", "simulatd", "--out", "m.fsl"], "simulatd: no such folder, nor a source"),
    ],
)  # fmt: skip
def test_bad_training_gets_one_sentence(capsys, words, said):
    code, out, err = run(capsys, "train", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"fsl: {said}")


# --- what a person may mean ---


def test_ids_come_before_names_and_names_may_be_those_of_several():
    catalogue = Catalogue("item", ("a", "b", "Gamma", "d"), ("Alpha", "Beta", "a", "beta "))
    assert catalogue.place("a") == 0
    assert catalogue.place(" ALPHA ") == 0
    assert catalogue.place("Gamma") == 2
    with pytest.raises(InputError, match="no item has the id or name 'gamma'"):
        catalogue.place("gamma")  # ids are as they are written; only names may be in any case
    with pytest.raises(
        InputError, match=r"'beta' is the name of 2 items, expected an id \('b', 'd'\)"
    ):
        catalogue.place("beta")
    assert catalogue.said(1) == "Beta (b)"
    assert catalogue.said(0) == "Alpha"
    with pytest.raises(ValueError, match="no list of ids and names"):
        Catalogue("item", ("a", "a"), ("x", "y"))


def test_python_names_problems_too(models):
    model = models["EB+"]
    with pytest.raises(InputError) as caught:
        model.recommend({"p0003": 9, "what": 3, "p0010": 3})
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="rating None, expected a number from 1 to 5"):
        model.recommend(["p0003"])
    with pytest.raises(InputError, match="top is 0"):
        model.recommend(top=0)
    twice = model.objects["item"].names[model.objects["item"].place("p0003")]
    with pytest.raises(InputError, match="is there twice"):
        model.recommend({"p0003": 5, twice: 5})


def test_no_columns_at_all_are_as_good_as_none_given(models):
    assert str(models["EB+"].audience({})) == str(models["EB+"].audience())


def test_values_that_are_new_are_noted_and_count_as_unknown(models):
    model = models["EB+"]
    found = model.audience({"brand": "Zeta", "price_usd": 300})
    assert found.notes == ("brand 'Zeta' is new to the model, and counts as unknown.",)
    (note,) = model.audience({"name": "Zeta 1", "price_usd": 300, "colour": "red"}).notes
    assert note == "not used, since the model knows no such column: 'colour'."
    encoder = model.encoders["item"]
    assert torch.equal(
        content_of({"BRAND": "lumo ", "price_usd": "1.299,00"}, encoder).features,
        content_of({"brand": "Lumo", "price_usd": 1299}, encoder).features,
    )
    row = pd.DataFrame([{"brand": "Lumo", "price_usd": 1299}])
    expected = torch.from_numpy(encoder.transform(row))[0].double()
    assert torch.equal(content_of({"brand": "Lumo", "price_usd": 1299}, encoder).features, expected)
    priced = content_of({"brand": "Lumo", "price_usd": "$1,299.00"}, encoder).features
    assert torch.equal(priced, expected)
    nearest = models["item kNN"].audience({"brand": "Zeta"})
    assert nearest.notes == ("item kNN makes no use of a new item's own columns here.",)


def test_labels_are_answers(tmp_path, capsys):
    table = SHOP.interactions.assign(label=(SHOP.interactions["rating"] > 3).astype(int))
    model = train(Shop(table.drop(columns="rating"), SHOP.users, SHOP.items, "likes"), "item kNN")
    found = model.recommend({"p0003": 1, "p0010": 0})
    assert found.table["expected"].between(0, 1).all()
    with pytest.raises(InputError, match=r"label 0\.5, expected 0 or 1"):
        model.recommend({"p0003": 0.5})
    path = tmp_path / "likes.fsl"
    model.save(path)
    user = written(tmp_path, "item,liked\np0003,true\np0010,FALSE\n")
    code, out, _ = run(capsys, "recommend", "--model", path, "--user", user)
    assert (code, out) == (0, f"{found}\n")


def test_a_shop_of_one_table_has_a_model():
    model = train(Shop(SHOP.interactions, name="bare"))
    assert model.sides["item"].n_features == 0
    assert len(model.audience({"brand": "Lumo"}, {"u00003": 5}).table) == 10
    assert model.recommend({"p0003": 5}).table["name"].str.startswith("p").all()


def test_speed_says_each_learner_and_its_bar(capsys, tmp_path):
    code, out, err = run(capsys, "speed", "recommend", "--items", 60, "--calls", 3, "--json", "-")
    found = json.loads(out)
    assert code == 0
    assert [(row["learner"], row["what"]) for row in found["rows"]] == [
        (name, what) for name in ("EB+", "ALPaCA", "ridge head") for what in ("rank", "answer")
    ]
    assert all(0 < row["ms"] <= row["p95_ms"] for row in found["rows"])
    assert all(bar["met"] == (bar["measured"] <= 10) for bar in found["bars"])
    code, _, err = run(capsys, "speed", "recommend", "--items", 5)
    assert code == 2
    assert err == "fsl: --items and --calls: expected more than 10 items and 2 calls.\n"


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom fsl.cli import main\n"
        "for words in (['train'], ['recommend'], ['speed', 'recommend']):\n"
        "    try: main([*words, '--help'])\n    except SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
