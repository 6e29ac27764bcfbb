"""Omniglot's zips: what is read from them, and what is said of a zip that is not as published."""

import io
import os
import struct
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fsl import InputError
from fsl.characters.omniglot import read_background, read_runs

FOLDER = Path(os.environ.get("FSL_DATA", ".")) / "omniglot"
published = pytest.mark.skipif(
    not (FOLDER / "all_runs.zip").is_file(), reason="FSL_DATA has no folder omniglot"
)


@cache
def png(row: int = 0, size=(105, 105)) -> bytes:
    """White paper with one black row, as the published images are: one bit, ink 0."""
    pixels = np.full(size[::-1], 255, dtype=np.uint8)
    pixels[row % size[1]] = 0
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(stream, "PNG")
    return stream.getvalue()


def vast() -> bytes:
    """A few bytes that say in their header that they are 60,000 x 60,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def background() -> dict[str, bytes]:
    """Two alphabets of two characters and one, each image with its ink in a row of its own."""
    characters = ("Greek/character01", "Greek/character02", "Latin/character01")
    return {
        f"small/{name}/{c:04d}_{d:02d}.png": png(20 * c + d)
        for c, name in enumerate(characters)
        for d in range(1, 21)
    }


def runs() -> dict[str, bytes]:
    """Run r: class k has its ink in row k, and test item i is of class 21 − i."""
    members = {}
    for run in (f"run{r:02d}" for r in range(1, 21)):
        for k in range(1, 21):
            members[f"{run}/training/class{k:02d}.png"] = png(k)
            members[f"{run}/test/item{k:02d}.png"] = png(21 - k)
        members[f"{run}/class_labels.txt"] = "".join(
            f"{run}/test/item{i:02d}.png {run}/training/class{21 - i:02d}.png\n"
            for i in range(1, 21)
        ).encode()
    return members


def zipped(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_background_set_is_read_by_class_and_drawer(tmp_path):
    members = background()
    shuffled = dict(reversed(members.items()))
    tasks = read_background(zipped(tmp_path, shuffled), size=105)
    assert tasks.class_names == ["Greek/character01", "Greek/character02", "Latin/character01"]
    assert tasks.group_names == ["Greek", "Latin"]
    assert tasks.groups.tolist() == [0, 0, 1]
    assert tasks.labels.tolist() == [0] * 20 + [1] * 20 + [2] * 20
    assert tasks.inputs.shape == (60, 105, 105)
    assert tasks.inputs.unique().tolist() == [0, 1]
    assert tasks.inputs.mean(2).argmax(1).tolist() == list(range(1, 61)), "ink is 1, in its place"


def test_images_are_made_smaller_by_averaging(tmp_path):
    path = zipped(tmp_path, background())
    small, large = read_background(path), read_background(path, size=105)
    assert small.inputs.shape == (60, 28, 28)
    assert small.inputs.dtype == torch.float32
    assert torch.allclose(small.inputs.mean((1, 2)), large.inputs.mean((1, 2)), atol=3e-3)
    thirds = large.inputs.unflatten(1, (35, 3)).unflatten(3, (35, 3)).mean((2, 4))
    assert torch.allclose(read_background(path, size=35).inputs, thirds, atol=3e-3)


def test_runs_are_tasks_whose_targets_are_those_of_the_labels_file(tmp_path):
    support, query = read_runs(zipped(tmp_path, runs()), size=105)
    assert support.inputs.shape == query.inputs.shape == (20, 20, 105, 105)
    assert support.targets.tolist() == [list(range(20))] * 20
    assert query.targets.tolist() == [list(range(19, -1, -1))] * 20
    for task in range(20):
        assert torch.equal(support.inputs[task][query.targets[task]], query.inputs[task])


@published
@pytest.mark.parametrize(
    ("part", "sizes"),
    [
        (1, {"Balinese": 24, "Early_Aramaic": 22, "Greek": 24, "Korean": 40, "Latin": 26}),
        (2, {"Greek": 24, "Japanese_(katakana)": 47, "Latin": 26, "Sanskrit": 42, "Tagalog": 17}),
    ],
)
def test_the_published_background_sets(part, sizes):
    tasks = read_background(FOLDER / f"images_background_small{part}.zip")
    counts = torch.bincount(tasks.groups).tolist()
    assert dict(zip(tasks.group_names, counts, strict=True)) == sizes
    assert tasks.inputs.shape == (20 * sum(sizes.values()), 28, 28)
    assert (tasks.sizes == 20).all()
    assert 0.05 < tasks.inputs.mean() < 0.1, "ink is the rarer"


@published
def test_the_published_runs():
    support, query = read_runs(FOLDER / "all_runs.zip")
    assert support.inputs.shape == query.inputs.shape == (20, 20, 28, 28)
    assert query.targets[0, :6].tolist() == [7, 8, 1, 18, 9, 17]
    assert (query.targets.sort().values == support.targets).all()


FIRST = "small/Greek/character01/0000_01.png"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({FIRST: None}, r"set\.zip: member Greek/character01 has 19 images, expected those of"),
        ({"small/Greek/character01/0000_21.png": png()}, "Greek/character01 has 21 images"),
        ({"small/Greek/one/0000_01.png": png()}, r"member small/Greek/one/0000_01\.png is not ca"),
        ({"Greek/character01/0000_01.png": png()}, "is not called …/Alphabet/characterNN/NNNN_NN"),
        ({"small/\x1b/1.png": png()}, r"member small/\\x1b/1\.png is not called"),
        (
            {"other/Greek/character01/0000_01.png": png()},
            r"01\.png is of the drawer of other/Greek/",
        ),
        ({FIRST: vast()}, r"0000_01\.png is not a readable PNG"),
        ({FIRST: b"GIF89a"}, r"member small/Greek/character01/0000_01\.png is not a readable PNG"),
        ({FIRST: png()[:60]}, r"0000_01\.png is not a readable PNG"),
        ({FIRST: png(size=(104, 105))}, r"0000_01\.png has 104 x 105 pixels, expected 105 x 105"),
        ({FIRST: png(size=(9000, 9000))}, "has 9000 x 9000 pixels, expected 105 x 105"),
        ({FIRST: b"\0" * 100_001}, "has 100,001 bytes, expected at most 100,000"),
        (dict.fromkeys(background()), "no image in it, expected Omniglot's characters"),
    ],
)
def test_a_background_set_that_is_not_as_published(tmp_path, change, message):
    members = {name: data for name, data in (background() | change).items() if data is not None}
    with pytest.raises(InputError, match=message):
        read_background(zipped(tmp_path, members))


LABELS = "run03/class_labels.txt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run20/test/item07.png": None}, r"set\.zip: member run20/test/item07\.png is missing"),
        ({"run02/training/class07.png": b"x"}, r"run02/training/class07\.png is not a readable"),
        ({LABELS: None}, r"member run03/class_labels\.txt is missing"),
        ({LABELS: b"\xff"}, r"run03/class_labels\.txt does not pair the 20 items with the 20 cla"),
        ({LABELS: runs()["run04/class_labels.txt"]}, "does not pair the 20 items"),
        ({LABELS: runs()[LABELS].replace(b"item02", b"item01")}, "does not pair the 20 items"),
        ({LABELS: runs()[LABELS].replace(b"class02", b"class01")}, "does not pair the 20 items"),
        ({LABELS: runs()[LABELS] * 2}, "does not pair the 20 items"),
    ],
)
def test_runs_that_are_not_as_published(tmp_path, change, message):
    members = {name: data for name, data in (runs() | change).items() if data is not None}
    with pytest.raises(InputError, match=message):
        read_runs(zipped(tmp_path, members))


def test_what_is_no_zip_is_said(tmp_path):
    path = tmp_path / "set.zip"
    with pytest.raises(InputError, match=r"set\.zip: No such file or directory, expected a zip"):
        read_background(path)
    path.write_bytes(b"none")
    with pytest.raises(InputError, match=r"set\.zip: not a zip file"):
        read_runs(path)


def test_a_damaged_member_is_said(tmp_path):
    path = zipped(tmp_path, background())
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 255  # stored, not deflated: the check sum tells
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"0000_01\.png cannot be unpacked"):
        read_background(path)
