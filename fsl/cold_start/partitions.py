"""What is cold: the user, the item, both, or the scene. Each partition says who is trained on, and who is judged.

Knows tasks and their splits; knows no learner and no episode.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fsl.data import Shop
from fsl.errors import InputError
from fsl.tasks import Split, Tasks, item_tasks, scene_tasks, split_by_time, split_tasks, user_tasks

NAMES = ("user-cold", "item-cold", "both-cold", "scene-cold")
FRACTIONS = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class Partition:
    """Training, validation and test tasks, and how the test tasks are drawn from.

    name: one of NAMES. order: how support is drawn, "temporal" (a task's first behaviours) or "random".
    may_ask: of "both-cold", bool [n_rows of test]: the query is drawn from these rows (new items), the support from the
    others; None draws both from all.
    """

    name: str
    train: Tasks
    validation: Tasks
    test: Tasks
    order: str
    may_ask: Tensor | None = None


def possible(shop: Shop) -> tuple[str, ...]:
    """The partitions that a shop's tables allow: scene-cold wants at least two scenes."""
    scenes = shop.interactions["scene"].nunique() if "scene" in shop.interactions else 0
    return NAMES if scenes > 1 else NAMES[:3]


def partition(
    shop: Shop,
    name: str,
    by: str = "auto",
    order: str = "auto",
    seed: int = 0,
    fold: int = 0,
    scene: str | None = None,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Partition:
    """One partition of a shop, of explicit feedback.

    user-cold: a task is a user; test users are in no training task. item-cold: a task is an item, likewise.
    both-cold: a task is a new user, asked about new items; training has neither. scene-cold: a task is a user in a
    scene; training has neither the test users nor the scene `scene` (None: the last by name).
    by: "temporal" trains on the past, and new is who first appears after the cut; "random" splits at random by `seed`,
    and `fold` 0, 1, 2 … holds out the next fifth; "auto" is "temporal" where time tells behaviours apart.
    order: of support, "temporal" or "random"; "auto" is that of the split. Tasks with random support know no times.
    Raises ValueError for an unknown name, InputError where the tables do not allow it.
    """
    if name not in NAMES or not {by, order} <= {"auto", "temporal", "random"}:
        raise ValueError(
            f'partition must be one of {", ".join(NAMES)} by "auto", "temporal" or "random", got {name!r} by {by!r}'
        )
    make = {"item-cold": item_tasks, "scene-cold": scene_tasks}.get(name, user_tasks)
    tasks = make(shop)
    by = tasks.order if by == "auto" else by
    order = by if order == "auto" else order
    split = _split(tasks, by, seed, fold, fractions)
    if order == "random":  # so that nobody trains for an order that is not asked for
        split = Split(*(replace(part, times=None) for part in split))
    may_ask = None
    if name == "scene-cold":
        split = _without_scene(split, _scene(tasks, scene))
    if name == "both-cold":
        split, may_ask = _on_new_objects(split, by, seed, fold)
    if not all(map(len, split)):
        raise InputError(
            f"{shop.name}: {name} leaves {', '.join(str(len(part)) for part in split)} tasks to train on, to "
            "choose on and to judge: every side needs some"
        )
    if may_ask is not None and not may_ask.any():
        raise InputError(
            f"{shop.name}: none of the {len(split.test)} test tasks is about a new item"
        )
    return Partition(name, *split, order=order, may_ask=may_ask)


def _split(tasks: Tasks, by: str, seed: int, fold: int, fractions) -> Split:
    if by == "temporal":
        return split_by_time(tasks, fractions)
    return split_tasks(tasks, torch.Generator().manual_seed(seed), fractions, fold)


def _scene(tasks: Tasks, scene: str | None) -> str:
    known = sorted(set(tasks.subject_ids.get_level_values(1)))
    if scene is None and len(known) > 1:
        return known[-1]
    if scene not in known or len(known) < 2:
        raise InputError(
            f"scene-cold needs one of two or more scenes ({', '.join(known)}), got {scene!r}"
        )
    return scene


def _without_scene(split: Split, scene: str) -> Split:
    """The scene's tasks stay on the test side, and none else does."""
    scenes = split.test.subject_ids.get_level_values(1)

    def kept(tasks: Tasks, inside: bool) -> Tasks:
        is_it = torch.from_numpy(scenes[tasks.subjects.numpy()] == scene)
        return tasks.subset((is_it == inside).nonzero()[:, 0])

    return Split(kept(split.train, False), kept(split.validation, False), kept(split.test, True))


def _on_new_objects(split: Split, by: str, seed: int, fold: int) -> tuple[Split, Tensor]:
    """New objects are taken out of training and validation; which rows of the test tasks are about them."""
    if by == "temporal":
        is_new = torch.ones(len(split.test.object_ids), dtype=torch.bool)
        is_new[split.train.objects] = False
        is_new[split.validation.objects] = False
    else:
        n = len(split.test.object_ids)
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))
        fifth = max(1, n // 5)
        is_new = torch.zeros(n, dtype=torch.bool)
        is_new[order.roll(-fold * fifth)[:fifth]] = True
    train, validation = (
        _not_empty(part, ~is_new[part.objects]) for part in (split.train, split.validation)
    )
    return Split(train, validation, split.test), is_new[split.test.objects]


def _not_empty(tasks: Tasks, rows: Tensor) -> Tasks:
    kept = tasks.subset(torch.arange(len(tasks)), rows)
    return kept.subset((kept.sizes > 0).nonzero()[:, 0])
