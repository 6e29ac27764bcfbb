"""What the guide knows before a customer comes: phones, their popularity, and a prior of tastes. From a shop."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.bandits.posterior import Belief
from fsl.data import Shop
from fsl.errors import InputError
from fsl.guide.questions import Question, wish
from fsl.recommending.catalogue import Catalogue
from fsl.recommending.linear import EmpiricalBayesSide
from fsl.tasks import Tasks, user_tasks

FEWEST_WITH, MOST_VALUES = (
    3,
    12,
)  # a value of a column can be wished for if that many phones have it


@dataclass(frozen=True, eq=False)
class Shelf:
    """belief: about a stranger, n = 1; counts: ratings of each item, [A]; table: the items' columns, or None.

    cuts: the ratings' thirds, by which a like is told from a dislike.
    """

    name: str
    simulated: bool
    scale: tuple[float, float]
    belief: Belief
    catalogue: Catalogue
    counts: Tensor
    cuts: tuple[float, float]
    n_people: int
    table: pd.DataFrame | None = None

    @classmethod
    def of_shop(cls, shop: Shop, seed: int = 0, n_factors: int = 4) -> "Shelf":
        """The prior is learned from everybody who rated. Raises InputError: no ratings, fewer than 4 items."""
        if shop.target is None:
            raise InputError(
                f"{shop.name}: the guide needs a column rating or label, there is none."
            )
        tasks = user_tasks(shop)
        if min(len(tasks), len(tasks.object_ids) - 2) < 2:
            seen = f"{len(tasks)} users and {len(tasks.object_ids)} items"
            raise InputError(
                f"{shop.name}: {seen}, the guide expects at least 2 users and 4 items."
            )
        ids = tasks.object_ids
        names = tuple(map(str, shop.item_names().reindex(ids)))
        table = None if shop.items is None else shop.items.set_index("item").reindex(ids)
        return cls(
            shop.name,
            bool(shop.simulated),
            tuple(map(float, tasks.scale)),
            stranger(tasks, seed, n_factors),
            Catalogue("item", tuple(map(str, ids)), names),
            torch.bincount(tasks.objects, minlength=len(ids)),
            thirds(tasks),
            len(tasks),
            table,
        )

    @cached_property
    def wishes(self) -> list[Question]:
        """A wish for each numeric column, and for each value of a column of few values, that tells phones apart."""
        return [] if self.table is None else list(_wishes(self.belief, self.table))


def stranger(tasks: Tasks, seed: int = 0, n_factors: int = 4) -> Belief:
    """The meta-learned prior (EB+, empirical Bayes with content) about a person of whom nothing is known, n = 1."""
    side = EmpiricalBayesSide.fitted(tasks, n_factors, seed=seed)
    mean = side.origin + side.usual @ side.weights
    parts = (side.base, side.features, mean, side.covariance, side.noise)
    return Belief(*(part[None] for part in parts))


def thirds(tasks: Tasks) -> tuple[float, float]:
    """The two values that part the training ratings into thirds; a little below and above where they are equal."""
    low, high = np.quantile(tasks.targets.double().numpy(), [1 / 3, 2 / 3])
    middle = (tasks.scale[1] - tasks.scale[0]) / 20
    return (
        (float(low) - middle, float(high) + middle)
        if high - low < middle
        else (float(low), float(high))
    )


def _wishes(belief: Belief, table: pd.DataFrame):
    for column in table.columns:
        values = table[column]
        if column == "name" or values.nunique() < 2:
            continue
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            known = values.astype(float)
            filled = np.array(known.fillna(known.median()), dtype=float)
            yield wish(belief, (column, None), torch.from_numpy(filled))
        elif not pd.api.types.is_datetime64_any_dtype(values) and values.nunique() <= MOST_VALUES:
            counts = values.value_counts()
            for value in sorted(counts.index[counts >= FEWEST_WITH], key=str):
                has = (values == value).to_numpy(dtype=float)
                if has.min() < has.max():
                    yield wish(belief, (column, str(value)), torch.from_numpy(has))
