"""Omniglot (Lake et al. 2015): handwritten characters of many alphabets, read from its zips as published.

Knows the zips' layout and images; knows no model. Files are given as paths; nothing is unpacked or fetched.
"""

import io
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fsl.class_tasks import ClassTasks
from fsl.episodes import Episode, Examples
from fsl.errors import InputError
from fsl.reading.sentences import inert

SIDE = 105  # pixels, as published
N_DRAWERS = 20
N_RUNS, N_WAY = 20, 20
MOST_BYTES = 100_000  # of a member; those published have below 1,000
BACKGROUND = re.compile(r"[^/]+/([^/]+)/(character\d\d)/\d+_(\d\d)\.png", re.ASCII)
LABEL = re.compile(r"(run\d\d)/test/item(\d\d)\.png (run\d\d)/training/class(\d\d)\.png", re.ASCII)
UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)
BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError)


def read_background(path: Path, size: int = 28) -> ClassTasks:
    """A background set: inputs float32 [n, size, size] in 0 … 1 (ink 1), by class and in it by drawer 1 … 20.

    Classes are "Alphabet/characterNN", groups the alphabets. size: pixels; 105 leaves the images as they are.
    Raises InputError for a zip that cannot be read, a wrong name, a missing drawer, an image that is none or of
    another size.
    """
    with _opened(path) as archive:
        members = _by_character(archive, path)
        images = [_image(archive, path, name, size) for names in members.values() for name in names]
    alphabets = sorted({name.split("/")[0] for name in members})
    return ClassTasks(
        inputs=torch.stack(images),
        labels=torch.arange(len(members)).repeat_interleave(N_DRAWERS),
        class_names=list(members),
        groups=torch.tensor([alphabets.index(name.split("/")[0]) for name in members]),
        group_names=alphabets,
    )


def read_runs(path: Path, size: int = 28) -> Episode:
    """The 20 runs of 20-way one-shot classification within an alphabet (Lake et al. 2015), as 20 tasks.

    Inputs float32 [20, 20, size, size] in 0 … 1 (ink 1) on both sides; targets [20, 20]: of support 0 … 19, of query
    what class_labels.txt says. In each run one person drew the support and another the query.
    Raises InputError as `read_background` does, and for labels that do not name each item once.
    """
    with _opened(path) as archive:
        support, query, targets = [], [], []
        for run in (f"run{r:02d}" for r in range(1, N_RUNS + 1)):
            names = [f"{run}/training/class{k:02d}.png" for k in range(1, N_WAY + 1)]
            support += [_image(archive, path, name, size) for name in names]
            names = [f"{run}/test/item{k:02d}.png" for k in range(1, N_WAY + 1)]
            query += [_image(archive, path, name, size) for name in names]
            targets.append(_targets(archive, path, run))
    own = torch.arange(N_WAY).expand(N_RUNS, N_WAY)
    sides = (torch.stack(side).unflatten(0, (N_RUNS, N_WAY)) for side in (support, query))
    return Episode(*map(Examples, sides, (own, torch.tensor(targets))))


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise InputError(f"{inert(path)}: not a zip file.") from None
    except OSError as error:
        raise InputError(f"{inert(path)}: {error.strerror}, expected a zip file.") from None


def _by_character(archive: zipfile.ZipFile, path: Path) -> dict[str, list[str]]:
    """The images' names by class, both in order: every class with one image of each of the 20 drawers."""
    drawers = _by_drawer(archive, path)
    for character, names in drawers.items():
        if set(names) != set(range(1, N_DRAWERS + 1)):
            said = f"{len(names)} images, expected those of drawers 01 to {N_DRAWERS}"
            raise InputError(f"{inert(path)}: member {inert(character)} has {said}.")
    return {character: [names[d] for d in sorted(names)] for character, names in drawers.items()}


def _by_drawer(archive: zipfile.ZipFile, path: Path) -> dict[str, dict[int, str]]:
    drawers: dict[str, dict[int, str]] = {}
    for name in sorted(archive.namelist()):
        if not name.endswith(".png"):
            continue
        match = BACKGROUND.fullmatch(name)
        if match is None:
            meant = "…/Alphabet/characterNN/NNNN_NN.png"
            raise InputError(f"{inert(path)}: member {inert(name)} is not called {meant}.")
        alphabet, character, drawer = match.groups()
        by_drawer = drawers.setdefault(f"{alphabet}/{character}", {})
        if int(drawer) in by_drawer:
            said = f"is of the drawer of {inert(by_drawer[int(drawer)])}, expected one image each"
            raise InputError(f"{inert(path)}: member {inert(name)} {said}.")
        by_drawer[int(drawer)] = name
    if not drawers:
        raise InputError(f"{inert(path)}: no image in it, expected Omniglot's characters.")
    return drawers


def _image(archive: zipfile.ZipFile, path: Path, name: str, size: int) -> Tensor:
    """One image as float32 [size, size]: ink 1, paper 0, between them where pixels are averaged."""
    data = _bytes(archive, path, name)
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if image.size == (SIDE, SIDE):  # known from the header: no other size is ever decoded
            paper = image.convert("L").resize((size, size), Image.Resampling.BOX)
            return 1 - torch.from_numpy(np.asarray(paper, dtype=np.float32)) / 255
    except UNREADABLE:
        raise InputError(f"{inert(path)}: member {inert(name)} is not a readable PNG.") from None
    said = f"{image.size[0]} x {image.size[1]} pixels, expected {SIDE} x {SIDE}"
    raise InputError(f"{inert(path)}: member {inert(name)} has {said}.")


def _bytes(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        size = archive.getinfo(name).file_size
        if size <= MOST_BYTES:
            return archive.read(name)
    except KeyError:
        raise InputError(f"{inert(path)}: member {inert(name)} is missing.") from None
    except BROKEN:
        raise InputError(f"{inert(path)}: member {inert(name)} cannot be unpacked.") from None
    said = f"{size:,} bytes, expected at most {MOST_BYTES:,}"
    raise InputError(f"{inert(path)}: member {inert(name)} has {said}.")


def _targets(archive: zipfile.ZipFile, path: Path, run: str) -> list[int]:
    """The support class 0 … 19 of each test item, in the items' order."""
    name = f"{run}/class_labels.txt"
    lines = _bytes(archive, path, name).decode("utf-8", "replace").split("\n")
    pairs = [LABEL.fullmatch(line.strip()) for line in lines if line.strip()]
    targets = {
        int(pair[2]): int(pair[4]) - 1 for pair in pairs if pair and pair[1] == pair[3] == run
    }
    wanted = set(range(1, N_WAY + 1))
    if len(pairs) != N_WAY or set(targets) != wanted or {t + 1 for t in targets.values()} != wanted:
        said = f"does not pair the {N_WAY} items with the {N_WAY} classes, one line each"
        raise InputError(f"{inert(path)}: member {inert(name)} {said}.")
    return [targets[item] for item in sorted(targets)]
