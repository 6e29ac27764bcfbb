"""From a shop's behaviours to few-shot tasks, and the splits that keep cold cold.

Knows a shop's tables and tensors; knows nothing of episodes or models. Every split takes its generator as an argument.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.data import Shop
from fsl.errors import InputError
from fsl.features import encode


@dataclass(frozen=True)
class Tasks:
    """Few-shot tasks in flat form: the behaviours of task t are the rows offsets[t] to offsets[t + 1], oldest first.

    kind: "user", "item" or "scene". A task's `subject` is the new user (item; user in a scene) and its `objects`
    [n_rows] are what the subject met (phones; for an item-task the users). targets: [n_rows], in `scale`'s unit, the
    shop's lowest and highest. times: [n_rows] Unix seconds, or None. rows: [n_rows], each behaviour's place in the
    shop's interactions.
    groups: [n_tasks], the user (item) behind each task: splits never part a group. An episode's inputs are
    [..., 2] of (subject, object), places in subject_features [n_subjects, d_s] and object_features [n_objects, d_o].
    """

    kind: str
    subjects: Tensor
    groups: Tensor
    offsets: Tensor
    objects: Tensor
    targets: Tensor
    times: Tensor | None
    rows: Tensor
    scale: tuple[float, float]
    subject_ids: pd.Index
    object_ids: pd.Index
    subject_features: Tensor
    object_features: Tensor
    subject_feature_names: list[str]
    object_feature_names: list[str]

    def __len__(self) -> int:
        return len(self.subjects)

    @property
    def n_rows(self) -> int:
        """Behaviours in all tasks."""
        return len(self.objects)

    @cached_property
    def sizes(self) -> Tensor:
        """Behaviours per task, [n_tasks]."""
        return self.offsets.diff()

    @cached_property
    def task_of_row(self) -> Tensor:
        """The task each behaviour belongs to, [n_rows]."""
        return torch.repeat_interleave(torch.arange(len(self)), self.sizes)

    @cached_property
    def task_means(self) -> Tensor:
        """Mean target per task, [n_tasks]; 0 for an empty task."""
        sums = torch.zeros(len(self), dtype=self.targets.dtype).index_add_(
            0, self.task_of_row, self.targets
        )
        return sums / self.sizes.clamp(min=1)

    @cached_property
    def has_order(self) -> bool:
        """Whether time tells the behaviours of most tasks apart: else "temporal" would be the order of a file."""
        if self.times is None or self.n_rows == 0:
            return False
        earliest = self.times[self.offsets[:-1].clamp(max=max(self.n_rows - 1, 0))]
        later = self.times > earliest[self.task_of_row]
        several = torch.bincount(self.task_of_row[later], minlength=len(self)) > 0
        return bool(several.double().mean() > 0.5)

    @property
    def order(self) -> str:
        """How support is drawn where nobody says: "temporal", a task's first behaviours, if `has_order`."""
        return "temporal" if self.has_order else "random"

    def subset(self, chosen: Tensor, kept_rows: Tensor | None = None) -> "Tasks":
        """The tasks at the places `chosen`, in that order; of their behaviours only those True in `kept_rows`."""
        rows, owner = rows_of(self.offsets, chosen)
        if kept_rows is not None:
            rows, owner = rows[kept_rows[rows]], owner[kept_rows[rows]]
        sizes = torch.bincount(owner, minlength=len(chosen))
        return replace(
            self,
            subjects=self.subjects[chosen],
            groups=self.groups[chosen],
            offsets=torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)]),
            objects=self.objects[rows],
            targets=self.targets[rows],
            times=None if self.times is None else self.times[rows],
            rows=self.rows[rows],
        )


def user_tasks(shop: Shop, implicit: bool = False) -> Tasks:
    """One task per user: from a few of a user's behaviours, the others.

    implicit: that a behaviour happened is all that counts: every target is 1, the scale (0, 1), whatever ratings
    there are. Without it a shop that has neither rating nor label raises InputError.
    """
    return _tasks(shop, "user", shop.interactions["user"], "user", "item", implicit)


def item_tasks(shop: Shop, implicit: bool = False) -> Tasks:
    """One task per item: from a new product's first few users, how the others will like it; `user_tasks` has more."""
    return _tasks(shop, "item", shop.interactions["item"], "item", "user", implicit)


def scene_tasks(shop: Shop) -> Tasks:
    """One task per user and scene; the scene is among the subject's features. Raises InputError without `scene`."""
    if "scene" not in shop.interactions:
        raise InputError(
            f"{shop.name}: scene-tasks need a column scene in interactions, which has none"
        )
    scene = shop.interactions["scene"].astype(str)
    pair = pd.MultiIndex.from_arrays([shop.interactions["user"], scene], names=["user", "scene"])
    return _tasks(shop, "scene", pair, "user", "item")


def _tasks(
    shop: Shop, kind: str, subject, subject_key: str, object_key: str, implicit: bool = False
) -> Tasks:
    if shop.target is None and not implicit:
        raise InputError(
            f"{shop.name}: tasks need a column rating or label in interactions, which has neither"
        )
    table = shop.interactions
    subject_codes, subject_ids = pd.factorize(subject, sort=True)
    object_codes, object_ids = pd.factorize(table[object_key], sort=True)
    times = table["timestamp"].to_numpy(float) if "timestamp" in table else None
    order = np.lexsort((subject_codes,) if times is None else (times, subject_codes))
    sizes = np.bincount(subject_codes, minlength=len(subject_ids))
    users = subject_ids.get_level_values(0) if kind == "scene" else subject_ids
    subject_features, subject_names = _features(shop, subject_ids, users, subject_key)
    object_features, object_names = _features(shop, object_ids, object_ids, object_key)
    return Tasks(
        kind=kind,
        subjects=torch.arange(len(subject_ids)),
        groups=torch.from_numpy(pd.factorize(users)[0].astype(np.int64)),
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)])),
        objects=torch.from_numpy(object_codes[order].astype(np.int64)),
        targets=torch.ones(len(table))
        if implicit
        else torch.from_numpy(table[shop.target].to_numpy(np.float32)[order]),
        times=None if times is None else torch.from_numpy(times[order]),
        rows=torch.from_numpy(order.astype(np.int64)),
        scale=(0.0, 1.0) if implicit else shop.scale,
        subject_ids=subject_ids,
        object_ids=object_ids,
        subject_features=torch.from_numpy(subject_features),
        object_features=torch.from_numpy(object_features),
        subject_feature_names=subject_names,
        object_feature_names=object_names,
    )


def _features(shop: Shop, ids: pd.Index, keys: pd.Index, key: str) -> tuple[np.ndarray, list[str]]:
    """Content of users or items; a scene-task's subject carries its scene as one-hot columns besides."""
    features, names = encode(shop.users if key == "user" else shop.items, pd.Index(keys), key)
    if isinstance(ids, pd.MultiIndex):
        scene = pd.get_dummies(ids.get_level_values(1), dtype=np.float32)
        features = np.hstack([features, scene.to_numpy()])
        names = names + [f"scene={name}" for name in scene.columns]
    return features, names


def join(first: Tasks, second: Tasks) -> Tasks:
    """The tasks of both, in that order: two parts of one shop's tasks, as a split gives them.

    Raises ValueError for tasks of different shops or kinds.
    """
    same = first.kind == second.kind and first.object_ids.equals(second.object_ids)
    if not same or not first.subject_ids.equals(second.subject_ids):
        raise ValueError("only tasks of the same shop and kind can be joined")
    together = {
        name: torch.cat([getattr(first, name), getattr(second, name)])
        for name in ("subjects", "groups", "objects", "targets", "rows")
    }
    offsets = torch.cat([first.offsets, first.offsets[-1] + second.offsets[1:]])
    times = None if first.times is None else torch.cat([first.times, second.times])
    return replace(first, **together, offsets=offsets, times=times)


class Split(NamedTuple):
    """Meta-training, validation and test tasks; no group (user, item) is in two of them."""

    train: Tasks
    validation: Tasks
    test: Tasks


def split_tasks(
    tasks: Tasks, generator: torch.Generator, fractions=(0.7, 0.1, 0.2), fold: int = 0
) -> Split:
    """A random split by group: all tasks of a user (item) land on one side. Fractions are of groups; they sum to 1.

    fold: with the same generator state, folds 0, 1, 2 … hold out the next test groups of one and the same order:
    five folds of the default fractions test everybody once (but for a group or two where 5 does not divide them).
    """
    groups, group = tasks.groups.unique(return_inverse=True)
    n = len(groups)
    first, second = _cuts(fractions, n)
    place = (torch.randperm(n, generator=generator)[group] + fold * (n - second)) % max(n, 1)
    parts = (place < first, (first <= place) & (place < second), second <= place)
    return Split(*(tasks.subset(part.nonzero()[:, 0]) for part in parts))


def split_by_time(tasks: Tasks, fractions=(0.7, 0.1, 0.2)) -> Split:
    """Train on the past: groups are ranked by when they first appear, and no side sees behind the next one's start.

    Validation and test hold the groups that appear last; of the training (validation) groups only the behaviours
    before the first moment of validation (test) are kept. Raises InputError without timestamps.
    """
    if tasks.times is None:
        raise InputError("a split by time needs a column timestamp in interactions, which has none")
    if not len(tasks):
        return Split(tasks, tasks, tasks)
    first_seen = torch.full((int(tasks.groups.max()) + 1,), torch.inf, dtype=tasks.times.dtype)
    first_seen.scatter_reduce_(0, tasks.groups[tasks.task_of_row], tasks.times, "amin")
    appeared = first_seen[first_seen.isfinite()].sort().values
    cuts = [[*appeared, torch.inf][cut] for cut in _cuts(fractions, len(appeared))]
    seen = first_seen[tasks.groups]
    parts = (seen < cuts[0], (cuts[0] <= seen) & (seen < cuts[1]), cuts[1] <= seen)
    if fractions[0] and not parts[0].any():
        raise InputError(f"a split by time needs {tasks.kind}s that appear at different times")
    ends = (*cuts, torch.inf)
    kept = (
        _not_empty(tasks.subset(p.nonzero()[:, 0], tasks.times < e))
        for p, e in zip(parts, ends, strict=True)
    )
    return Split(*kept)


def _not_empty(tasks: Tasks) -> Tasks:
    return tasks.subset((tasks.sizes > 0).nonzero()[:, 0])


def _cuts(fractions, n: int) -> tuple[int, int]:
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(
            f"fractions must be three numbers >= 0 that sum to 1, got {tuple(fractions)}"
        )
    first, second = round(n * fractions[0]), round(n * (fractions[0] + fractions[1]))
    least = [int(share > 0) for share in fractions]
    if n >= sum(least):  # then no side that is asked for is rounded away
        second = min(max(second, least[0] + least[1]), n - least[2])
        first = min(max(first, least[0]), second - least[1])
    return first, second


def rows_of(offsets: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """All rows of the chosen tasks, task by task, and the place in `chosen` that each belongs to."""
    sizes = offsets.diff()[chosen]
    owner = torch.repeat_interleave(torch.arange(len(chosen)), sizes)
    start = offsets[chosen] - (sizes.cumsum(0) - sizes)
    return start[owner] + torch.arange(len(owner)), owner
