"""Classes to tell apart (characters, phones): labelled inputs by class, and the episodes drawn from them.

Knows tensors, class names and groups; knows no file and no model. Every draw takes its generator as an argument.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from fsl.episodes import Episode, Examples
from fsl.errors import InputError

Transform = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class ClassTasks:
    """Labelled inputs: what class-tasks are drawn from. `len` is the number of classes.

    inputs: [n, ...]. labels: int64 [n], places in class_names. groups: int64 [n_classes], places in group_names:
    what a class belongs to, as the alphabet of a character. Raises InputError where these do not fit together.
    """

    inputs: Tensor
    labels: Tensor
    class_names: list[str]
    groups: Tensor
    group_names: list[str]

    def __post_init__(self):
        if len(self.inputs) != len(self.labels):
            raise InputError(f"{len(self.inputs)} inputs but {len(self.labels)} labels")
        if len(self.groups) != len(self.class_names):
            raise InputError(f"{len(self.class_names)} classes but {len(self.groups)} groups")
        _check_places("label", self.labels, len(self.class_names))
        _check_places("group", self.groups, len(self.group_names))

    def __len__(self) -> int:
        return len(self.class_names)

    @cached_property
    def sizes(self) -> Tensor:
        """Inputs per class, [n_classes]."""
        return torch.bincount(self.labels, minlength=len(self))

    @cached_property
    def order(self) -> Tensor:
        """The rows of `inputs` class by class, [n]; those of class c start at `starts[c]`."""
        return self.labels.argsort(stable=True)

    @cached_property
    def starts(self) -> Tensor:
        """Where each class starts in `order`, [n_classes]."""
        return self.sizes.cumsum(0) - self.sizes

    def subset(self, classes: Sequence[int] | Tensor) -> "ClassTasks":
        """The given classes, relabelled 0, 1, … in that order; each group keeps its place and name."""
        classes = torch.as_tensor(classes)
        if classes.numel() == 0:
            classes = classes.long()
        _check_places("class", classes, len(self))
        if len(classes.unique()) < len(classes):
            raise InputError(f"each class can be taken once, got {classes.tolist()[:10]}")
        place = torch.full((len(self),), -1)
        place[classes] = torch.arange(len(classes))
        rows = (place[self.labels] >= 0).nonzero()[:, 0]
        return replace(
            self,
            inputs=self.inputs[rows],
            labels=place[self.labels[rows]],
            class_names=[self.class_names[c] for c in classes.tolist()],
            groups=self.groups[classes],
        )

    def in_groups(self, names: Sequence[str]) -> "ClassTasks":
        """All classes of the named groups, in their order here. Raises InputError for a name that is no group's."""
        unknown = [name for name in names if name not in self.group_names]
        if unknown:
            known = ", ".join(self.group_names)
            raise InputError(f"no group is called {unknown[0]!r}, expected one of {known}")
        wanted = torch.tensor([name in names for name in self.group_names])
        return self.subset(wanted[self.groups].nonzero()[:, 0])


def _check_places(what: str, places: Tensor, n: int) -> None:
    if places.dtype != torch.long or places.ndim != 1:
        seen = f"{list(places.shape)} of {places.dtype}"
        raise InputError(f"{what} numbers must be a row of int64, got {seen}")
    if len(places) and not 0 <= int(places.min()) <= int(places.max()) < n:
        low, high = int(places.min()), int(places.max())
        raise InputError(f"{what}s must be 0 to {n - 1}, got {low} to {high}")


@dataclass(frozen=True)
class ClassSampler:
    """N-way K-shot class-tasks (Vinyals et al. 2016, section 2.2), all of one size.

    within_groups: every task takes its classes from one group, as Omniglot's within-alphabet task does. Groups with
    fewer than n_way able classes (n_shots + n_query inputs each) are left out; the others are drawn in proportion to
    their able classes, so that every class is seen equally often.
    transform: augmentation of inputs [n, ...], each by itself; support and query are different draws of it.
    class_transform: makes other classes of those drawn, before that: of inputs [n_tasks * n_way, n, ...], all of a
    class's support and query in one place. `joint` does without: its classes are those of `tasks`.
    """

    tasks: ClassTasks
    n_way: int
    n_shots: int
    n_query: int
    within_groups: bool = False
    transform: Transform | None = None
    class_transform: Transform | None = None

    def __post_init__(self):
        if min(self.n_way, self.n_shots, self.n_query) < 1:
            seen = f"{self.n_way=} {self.n_shots=} {self.n_query=}".replace("self.", "")
            raise ValueError(f"need n_way, n_shots and n_query of at least 1, got {seen}")

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episode:
        """Inputs [n_tasks, n_way * n_shots, ...] (query: n_way * n_query), targets 0 … n_way − 1, new in every task.

        No mask. Raises InputError where too few classes (of one group) have enough inputs.
        """
        classes = self._classes(n_tasks, generator)
        rows = some_rows(self.tasks, classes, self.n_shots + self.n_query, generator)
        inputs = _transformed(self.tasks.inputs[rows], self.class_transform, 2, generator)
        inputs = _transformed(inputs, self.transform, 3, generator)
        targets = torch.arange(self.n_way)[None, :, None].expand_as(rows)
        support, query = slice(None, self.n_shots), slice(self.n_shots, None)
        return Episode(
            *(
                Examples(inputs[:, :, side].flatten(1, 2), targets[:, :, side].flatten(1, 2))
                for side in (support, query)
            )
        )

    def joint(self, n: int, generator: torch.Generator) -> Examples:
        """A plain minibatch, drawn with replacement: inputs [n, ...], targets [n], the classes' places in `tasks`."""
        rows = torch.randint(len(self.tasks.labels), (n,), generator=generator)
        inputs = look_up(self.tasks, rows, self.transform, generator)
        return Examples(inputs, self.tasks.labels[rows])

    def _classes(self, n_tasks: int, generator: torch.Generator) -> Tensor:
        """The classes of each task, [n_tasks, n_way]."""
        able = self.tasks.sizes >= self.n_shots + self.n_query
        groups = self.tasks.groups if self.within_groups else torch.zeros_like(self.tasks.groups)
        many = torch.bincount(groups[able], minlength=1)
        if many.max() < self.n_way:
            of_one = " of one group" if self.within_groups else ""
            raise InputError(
                f"{self.n_way}-way tasks need {self.n_way} classes{of_one} with "
                f"{self.n_shots + self.n_query} rows each; {int(many.max())} have as many"
            )
        weights = torch.where(many >= self.n_way, many, 0).float()
        chosen = torch.multinomial(weights, n_tasks, replacement=True, generator=generator)
        return some_classes(able & (groups == chosen[:, None]), self.n_way, generator)


def some_classes(able: Tensor, n_way: int, generator: torch.Generator) -> Tensor:
    """n_way of each row's True places, in random order: bool [n_tasks, n_classes] -> int64 [n_tasks, n_way]."""
    lots = torch.rand(able.shape, generator=generator).masked_fill_(~able, 2)
    return lots.argsort(1)[:, :n_way]


def some_rows(
    tasks: ClassTasks, classes: Tensor, n_rows: int, generator: torch.Generator
) -> Tensor:
    """n_rows different rows of each class, in random order: [..., ] -> [..., n_rows]; classes have that many."""
    sizes = tasks.sizes[classes][..., None]
    lots = torch.rand(*classes.shape, int(sizes.max()), generator=generator)
    lots.masked_fill_(torch.arange(lots.shape[-1]) >= sizes, 2)
    return tasks.order[tasks.starts[classes][..., None] + lots.argsort(-1)[..., :n_rows]]


def look_up(
    tasks: ClassTasks, rows: Tensor, transform: Transform | None, generator: torch.Generator
) -> Tensor:
    """The inputs at rows [...], each transformed by itself."""
    return _transformed(tasks.inputs[rows], transform, rows.ndim, generator)


def _transformed(
    inputs: Tensor, transform: Transform | None, n_lead: int, generator: torch.Generator
) -> Tensor:
    """The first n_lead dimensions as one, for a transform that draws once for each place in it."""
    if transform is None:
        return inputs
    flat = transform(inputs.flatten(0, n_lead - 1), generator)
    return flat.unflatten(0, inputs.shape[:n_lead])


def class_episode(
    inputs: Tensor,
    labels: Tensor,
    n_way: int,
    n_shots: int,
    n_query: int,
    n_tasks: int,
    generator: torch.Generator,
) -> Episode:
    """`ClassSampler.sample` for inputs [n, ...] with any int labels [n], in one call."""
    names, places = labels.unique(return_inverse=True)
    names = [str(name) for name in names.tolist()]
    tasks = ClassTasks(inputs, places, names, torch.zeros(len(names), dtype=torch.long), ["all"])
    return ClassSampler(tasks, n_way, n_shots, n_query).sample(n_tasks, generator)
