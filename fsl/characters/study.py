"""One-shot classification of characters: every method trained on a few alphabets, judged on new ones, in one table.

Knows the two sources of characters, training, records and tables; how a method is made is an `Entry`'s.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from fsl.characters.augment import centred
from fsl.characters.omniglot import N_RUNS, SIDE, read_background, read_runs
from fsl.characters.plans import Entry, Hausdorff, NearestPixels
from fsl.characters.simulated import simulated_characters
from fsl.checkpoints import probe
from fsl.class_evaluation import judge_classes
from fsl.class_tasks import ClassSampler, ClassTasks
from fsl.episodes import Episode, Examples
from fsl.errors import InputError
from fsl.learners.method import Method
from fsl.sources import files_of

SETS = ("small1", "small2")
REPORTED = {  # % errors on the 20 runs, after five alphabets; as Lake et al. (2019) report them, not run again here
    "people": 4.5,
    "BPL": 4.2,
    "simple ConvNet": 23.2,
    "Prototypical net": 30.1,
    "Hausdorff": 38.8,
}


@dataclass(frozen=True)
class Characters:
    """What the study is about: alphabets to learn from, and tasks of others.

    sets: the training alphabets by the set's name. held_out: of each set, alphabets that it does not have, which are
    not those of the runs where that can be helped. runs: the test tasks, 28 x 28. large: the same in more pixels.
    """

    sets: dict[str, ClassTasks]
    held_out: dict[str, ClassTasks]
    runs: Episode
    large: Episode
    simulated: bool

    @property
    def n_way(self) -> int:
        """How many characters a run has."""
        return self.runs.support.inputs.shape[1]


def open_characters(data: str, n_sets: int = 1, seed: int = 0) -> Characters:
    """ "omniglot" with one or two of its minimal background sets, or "simulated-characters" (a set, 10-way runs).

    Omniglot's images are centred. Raises InputError for other data, a wrong n_sets, or files that cannot be had.
    """
    if data == "simulated-characters":
        return _simulated(seed)
    if data != "omniglot":
        raise InputError(f"data must be omniglot or simulated-characters, got {data!r}")
    if n_sets not in (1, 2):
        raise InputError(f"Omniglot has 1 or 2 minimal sets, got n_sets = {n_sets}")
    files = files_of("omniglot")
    both = {
        name: _centred(read_background(files[f"images_background_{name}.zip"], SIDE))
        for name in SETS
    }
    held_out = {
        name: _without(both[other], both[name])
        for name, other in zip(SETS, SETS[::-1], strict=True)
    }
    large = read_runs(files["all_runs.zip"], SIDE)
    runs = Episode(*(_centred_side(side) for side in large))
    return Characters(dict(list(both.items())[:n_sets]), held_out, runs, large, simulated=False)


def _simulated(seed: int) -> Characters:
    """Five alphabets to learn from, five for the runs; the large images are the runs' own."""
    tasks = simulated_characters(seed=seed)
    half = len(tasks.group_names) // 2
    train, rest = (
        tasks.in_groups(names) for names in (tasks.group_names[:half], tasks.group_names[half:])
    )
    generator = torch.Generator().manual_seed(seed)
    runs = ClassSampler(rest, 10, 1, 1, within_groups=True).sample(N_RUNS, generator)
    return Characters(
        {"five alphabets": train}, {"five alphabets": rest}, runs, runs, simulated=True
    )


def _centred(tasks: ClassTasks) -> ClassTasks:
    return replace(tasks, inputs=centred(tasks.inputs))


def _centred_side(side: Examples) -> Examples:
    images = centred(side.inputs.flatten(0, 1))
    return side._replace(inputs=images.unflatten(0, side.inputs.shape[:2]))


def _without(tasks: ClassTasks, known: ClassTasks) -> ClassTasks:
    """The alphabets that `known` does not have: the two minimal sets share some."""
    return tasks.in_groups([name for name in tasks.group_names if name not in known.group_names])


class Study(NamedTuple):
    """records: per run. methods: fitted, by (entry, set, seed). seconds: of training; learner, partition, seed."""

    records: pd.DataFrame
    methods: dict[tuple[str, str, int], Method]
    seconds: pd.DataFrame


def run_study(
    sets: Mapping[str, ClassTasks],
    test: Episode,
    entries: Sequence[Entry],
    seed: int = 0,
    folder: str | Path = "",
) -> Study:
    """Train every entry on every set, with seeds seed, seed + 1, …, and judge it on the same test tasks.

    Nothing is chosen on `test`. The records' partition is the set; metrics: accuracy and one-to-one (`judge_classes`).
    folder: where trainings are kept, each under its own settings, so that a study cut short goes on where it was, and
    one that was finished trains nothing; "" keeps none. The seconds are those that the training took when it was done.
    """
    records, methods, seconds = [], {}, []
    for (place, tasks), entry in product(sets.items(), entries):
        for own in range(seed, seed + entry.n_seeds):
            method, sampler = entry.make(tasks, own), entry.sampler(tasks)
            if folder:
                name = f"{entry.name} {place} {own}"
                method.trainer = _kept(Path(folder), name, method, sampler)
            methods[entry.name, place, own] = method.fit(sampler)
            seconds.append((entry.name, place, own, method.history["seconds"].iloc[-1]))
            records.append(judge_classes({entry.name: method}, test, 1, place, own, True))
    columns = ["learner", "partition", "seed", "seconds"]
    table = pd.concat(records, ignore_index=True).drop_duplicates(ignore_index=True)
    return Study(table, methods, pd.DataFrame(seconds, columns=columns))


def _kept(folder: Path, name: str, method: Method, sampler):
    """The method's trainer with a checkpoint of its own: another for other settings, network or tasks."""
    mark = json.dumps(probe(method.trainer, method, sampler, []), sort_keys=True)
    key = hashlib.sha256(mark.encode()).hexdigest()[:12]
    return replace(
        method.trainer, checkpoint=folder / f"{re.sub('[^A-Za-z0-9]+', '-', name)}-{key}"
    )


def floor_records(characters: Characters) -> pd.DataFrame:
    """What needs no training, judged on the runs: records for every set, as it is the same whatever was trained on."""
    pixels = judge_classes({"nearest pixels": NearestPixels()}, characters.runs, 1, one_to_one=True)
    shapes = judge_classes(
        {"Hausdorff distance": Hausdorff()}, characters.large, 1, one_to_one=True
    )
    both = pd.concat([pixels, shapes]).drop_duplicates()
    return pd.concat([both.assign(partition=name) for name in characters.sets], ignore_index=True)
