"""Who met this also met that, as tensors, for shops without ratings. Both sides only rank: they give no rating.

Knows tensors, tasks and fitted learners; knows no file and no name.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from fsl.learners.catalogue import met_matrix
from fsl.learners.cooccurrence import ItemKNN
from fsl.recommending.side import Answer, LikenessSide, Side, rows_of_sparse, sparse_tensors
from fsl.tasks import Tasks


@dataclass(frozen=True, eq=False)
class TogetherSide(LikenessSide):
    """`ItemKNN` for a new user: score_i = Σ_k s_ki over what the user has. Without anything: how many have i."""

    SHAPES: ClassVar = {"counts": "n", **LikenessSide.LIKENESS}
    counts: Tensor

    @classmethod
    def fitted(cls, tasks: Tasks, learner: ItemKNN) -> "TogetherSide":
        """Fit the learner on those tasks."""
        similarity = learner.fit(tasks).similarity
        return cls(*sparse_tensors(similarity), _counts(met_matrix(tasks)))

    def answer(self, content: Tensor | None, places: Tensor, targets: Tensor) -> Answer:
        return _ranked(
            self.alike(places), torch.zeros(len(self.counts), 0, dtype=torch.float64), self.counts
        )


@dataclass(frozen=True, eq=False)
class AudienceSide(Side):
    """For a new item, the users whose things are like it: by content, and by what its first users have.

        score_p = |h_p|^(−1/2) Σ_{i in h_p} [ cos(x ∘ g, x_i ∘ g) + Σ_k [i in h_k] / √((K + λ)(n_i + λ)) ]

    h_p: what user p has; k: the first users; n_i: how many have i; g: weights of the features, −log of the share of
    items that have each, as in `fsl.learners.cooccurrence`. Without content and first users: how much p has.
    """

    SHAPES: ClassVar = {
        "content": "i f",
        "weights": "f",
        "values": "m",
        "places": "m",
        "starts": "n1",
        "settings": "one",
    }
    by_nearness: ClassVar[bool] = True
    content: Tensor
    weights: Tensor
    values: Tensor
    places: Tensor
    starts: Tensor
    settings: Tensor

    @classmethod
    def fitted(cls, tasks: Tasks, learner: ItemKNN) -> "AudienceSide":
        """From item-tasks: what each user has, and what the items are like; the learner gives λ."""
        x = tasks.subject_features[tasks.subjects].double()
        share = (x != 0).double().mean(0).clamp(min=1 / max(len(x), 1))
        weights = (-share.log()).clamp(min=1e-3)
        return cls(
            x,
            weights,
            *sparse_tensors(met_matrix(tasks).T),
            torch.tensor([learner.shrinkage], dtype=torch.float64),
        )

    @property
    def n_objects(self) -> int:
        return len(self.starts) - 1

    def check(self) -> None:
        if len(self.settings) != 1 or not float(self.settings[0]) > 0:
            raise ValueError("its settings are none")
        _ = self.had

    @cached_property
    def had(self) -> scipy.sparse.csr_matrix:
        """Who has what, CSR [n_users, n_items]."""
        return rows_of_sparse(self.values, self.places, self.starts, len(self.content))

    @cached_property
    def scaled(self) -> scipy.sparse.csr_matrix:
        """The same with every user's row over the root of its sum."""
        many = np.maximum(np.asarray(self.had.sum(1)).ravel(), 1)
        return scipy.sparse.diags(many**-0.5) @ self.had

    def answer(self, content: Tensor | None, places: Tensor, targets: Tensor) -> Answer:
        told = torch.zeros(self.n_objects, 0, dtype=torch.float64)
        if content is not None and len(content):
            told = torch.from_numpy(self.scaled @ self._alike(content).numpy())[:, None]
        n = np.asarray(self.had.sum(0)).ravel()
        shrinkage = float(self.settings[0])
        first = self.had[places.numpy()] @ scipy.sparse.diags(
            ((len(places) + shrinkage) * (n + shrinkage)) ** -0.5
        )
        shares = torch.from_numpy((self.scaled @ first.T).toarray())
        return _ranked(shares, told, _counts(self.had.T))

    def _alike(self, content: Tensor) -> Tensor:
        """The cosine of the new item's content to every item's, [n_items]."""
        known, own = self.content * self.weights, content * self.weights
        length = known.norm(dim=1) * own.norm()
        return (known @ own) / length.clamp(min=1e-9)


def _counts(table) -> Tensor:
    return torch.from_numpy(np.asarray(table.sum(0), dtype=np.float64).ravel())


def _ranked(shares: Tensor, told: Tensor, counts: Tensor) -> Answer:
    """The sum of the parts, from 0; from the counts where there is no part."""
    knows = shares.shape[1] + told.shape[1] > 0
    start = torch.zeros_like(counts) if knows else counts
    return Answer(start + told.sum(1) + shares.sum(1), None, start, told, shares)
