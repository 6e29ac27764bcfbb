"""What every fitted side of a model is: named tensors, and an answer for one newcomer. Knows no file and no name.

A side is made for new users (its objects are items), or for new items (its objects are users).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

KINDS = {"values": torch.float32, "places": torch.int32, "starts": torch.int64}  # of sparse tables
LIMIT = 1e30  # no sound model has such a number, and sums of smaller ones stay finite


class Answer(NamedTuple):
    """What is expected of every object, and the parts that it is the sum of, all float64.

        mean = start + Σ_f content_f + Σ_k support_k

    mean, start: [n_objects], start is for a newcomer of whom nothing is known. content: [n_objects, n_features], what
    the newcomer's features add (one column for all, where they do not add up; none without features). support:
    [n_objects, K], what each known behaviour adds. sd: [n_objects], or None from who only ranks.
    """

    mean: Tensor
    sd: Tensor | None
    start: Tensor
    content: Tensor
    support: Tensor


@dataclass(frozen=True, eq=False)
class Side:
    """A subclass has tensors for fields, says their sizes in SHAPES (by letters, equal ones alike), and answers."""

    SHAPES: ClassVar[Mapping[str, str]] = {}
    by_nearness: ClassVar[bool] = False  # whether its reasons are likenesses

    @property
    def n_objects(self) -> int:
        """How many objects it answers for."""
        return self.sizes()["n"]

    @property
    def n_features(self) -> int:
        """How many features of a newcomer it takes."""
        return self.sizes().get("f", 0)

    def sizes(self) -> dict[str, int]:
        """The size behind each letter of SHAPES. Raises ValueError for tensors that do not fit together."""
        found: dict[str, int] = {}
        for name, letters in self.SHAPES.items():
            tensor, wanted = getattr(self, name), letters.split()
            fits = tensor.dim() == len(wanted) and all(
                found.setdefault(letter, size) == size
                for letter, size in zip(wanted, tensor.shape, strict=True)
            )
            if not fits:
                raise ValueError(f"its {name} has the shape {list(tensor.shape)}")
        return found

    def tensors(self) -> dict[str, Tensor]:
        """All that it knows, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Side":
        """The side of those tensors. Raises ValueError where they are not what `tensors` gives."""
        if set(tensors) != {field.name for field in fields(cls)}:
            raise ValueError(f"its tensors are {', '.join(sorted(tensors)) or 'none'}")
        for name, tensor in tensors.items():
            kind = KINDS.get(name, torch.float64)
            if tensor.dtype != kind or not bool((tensor.abs() < LIMIT).all()):
                raise ValueError(f"its {name} is no finite {kind}".replace("torch.", ""))
        side = cls(**tensors)
        side.sizes()
        side.check()
        return side

    def check(self) -> None:
        """Raise ValueError for tensors that fit together, but mean nothing."""

    def answer(self, content: Tensor | None, places: Tensor, targets: Tensor) -> Answer:
        """Adapt to one newcomer. content: float64 [n_features], or None where nothing is known of the newcomer itself;
        places: int64 [K], which objects; targets: float64 [K]. K may be 0."""
        raise TypeError(f"{type(self).__name__} does not answer")


@dataclass(frozen=True, eq=False)
class LikenessSide(Side):
    """A side that knows which objects are alike: a sparse table, [n, n], as three tensors."""

    LIKENESS: ClassVar[Mapping[str, str]] = {"values": "m", "places": "m", "starts": "n1"}
    by_nearness: ClassVar[bool] = True
    values: Tensor
    places: Tensor
    starts: Tensor

    def check(self) -> None:
        if len(self.starts) != self.n_objects + 1:
            raise ValueError("its table of likeness is of other objects")
        _ = self.similarity

    @cached_property
    def similarity(self) -> scipy.sparse.csr_matrix:
        """s, CSR [n, n]."""
        return rows_of_sparse(self.values, self.places, self.starts, self.n_objects)

    def alike(self, places: Tensor) -> Tensor:
        """How alike every object is to each of those: [n, K]."""
        return torch.from_numpy(self.similarity[places.numpy()].toarray().T)


def rows_of_sparse(
    values: Tensor, places: Tensor, starts: Tensor, width: int
) -> scipy.sparse.csr_matrix:
    """A sparse matrix from its three tensors. Raises ValueError for places that lie outside of it."""
    shape = (len(starts) - 1, width)
    parts = (values.double().numpy(), places.numpy(), starts.numpy())
    if shape[0] < 0 or (len(places) and not 0 <= places.min() <= places.max() < width):
        raise ValueError("a sparse table points outside of itself")
    if starts[0] != 0 or starts[-1] != len(places) or bool((starts.diff() < 0).any()):
        raise ValueError("a sparse table points outside of itself")
    return scipy.sparse.csr_matrix(parts, shape=shape)


def sparse_tensors(matrix: scipy.sparse.csr_matrix) -> tuple[Tensor, Tensor, Tensor]:
    """Values, places and starts of the rows."""
    matrix = matrix.tocsr()
    matrix.sort_indices()
    kinds = (np.float32, np.int32, np.int64)
    parts = (matrix.data, matrix.indices, matrix.indptr)
    return tuple(torch.from_numpy(p.astype(k)) for p, k in zip(parts, kinds, strict=True))
