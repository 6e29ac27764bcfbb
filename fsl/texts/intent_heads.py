"""Last layers for a few embedded texts: each head makes scores of every class from K examples, by a formula or one fit.

Knows unit vectors and labels; knows no text and no encoder. A head is a function (shots, asked) -> scores.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from fsl.episodes import Examples
from fsl.learners.closed_form import RidgeHead
from fsl.learners.metric import Prototypical


class Shots(NamedTuple):
    """The support of one task: z float32 [n, d], unit rows; labels int64 [n], 0 … n_way − 1; names [n_way, d]."""

    z: Tensor
    labels: Tensor
    names: Tensor

    @property
    def n_way(self) -> int:
        """How many classes there are, whether or not each has an example."""
        return len(self.names)

    def with_names(self) -> "Shots":
        """The label-name prior: the embedded name of every class is one more example of it."""
        labels = torch.cat([self.labels, torch.arange(self.n_way)])
        return self._replace(z=torch.cat([self.z, self.names]), labels=labels)


Head = Callable[[Shots, Tensor], Tensor]


def centres(shots: Shots) -> Tensor:
    """Each class's mean direction, c_n = Σ_{y_k = n} z_k / ‖·‖, float32 [n_way, d]; zeros for one without examples."""
    return normalize(one_hot(shots.labels, shots.n_way).to(shots.z).T @ shots.z, dim=-1)


def prototypes(shots: Shots, asked: Tensor) -> Tensor:
    """cos(z_q, c_n), [n_asked, n_way]: prototypes (Snell et al. 2017, eq. 1) with the cosine for the distance."""
    return asked @ centres(shots).T


def nearest(shots: Shots, asked: Tensor) -> Tensor:
    """max_{y_k = n} cos(z_q, z_k): what a Siamese network does with its distances (Koch et al. 2015)."""
    worst = torch.full((len(asked), shots.n_way), -torch.inf)
    index = shots.labels.expand(len(asked), -1)
    return worst.scatter_reduce(1, index, asked @ shots.z.T, "amax")


def matching(shots: Shots, asked: Tensor, tau: float = 10.0) -> Tensor:
    """log Σ_{y_k = n} a(q, k), a = softmax over k of τ cos(z_q, z_k) (Vinyals et al. 2016, eq. 1; τ is 1 there)."""
    attention = (tau * asked @ shots.z.T).softmax(-1)
    return (attention @ one_hot(shots.labels, shots.n_way).to(attention)).log()


def logistic(shots: Shots, asked: Tensor, c: float = 10.0) -> Tensor:
    """log p(n | z_q), p = softmax(W z + b), W and b least in Σ_k −log p(y_k | z_k) + ‖W‖² / (2 c)."""
    # sklearn warns where classes are as many as half of the rows: with one shot they are.
    fitted = LogisticRegression(C=c, max_iter=300).fit(shots.z.numpy(), shots.labels)
    if len(fitted.classes_) < max(shots.n_way, 3):
        raise ValueError(f"{shots.n_way} classes, {len(fitted.classes_)} of them with examples")
    return torch.from_numpy(fitted.predict_log_proba(asked.numpy()).astype(np.float32))


def by_learner(learner) -> Head:
    """A learner of class-tasks on embedded texts as a head: the same call, a batch of one task."""

    def scores(shots: Shots, asked: Tensor) -> Tensor:
        return learner.predict(Examples(shots.z[None], shots.labels[None]), asked[None])[0]

    return scores


def named(head: Head) -> Head:
    """The head with the label-name prior."""
    return lambda shots, asked: head(shots.with_names(), asked)


def heads(ridge: float = 3.0) -> dict[str, Head]:
    """By name, all that need no training: those that see the examples, then those that see the names, too.

    Settings (τ, C, λ = `ridge`) are one for all K and data sets, chosen on texts that no test has.
    """
    solve = RidgeHead(nn.Identity())
    solve.log_lambda.data.fill_(float(np.log(ridge)))
    plain = {
        "Prototypical": by_learner(Prototypical(nn.Identity())),
        "prototypes, cosine": prototypes,
        "nearest": nearest,
        "Matching": matching,
        "ridge head": by_learner(solve),
        "logistic regression": logistic,
    }
    chosen = ("prototypes, cosine", "Matching", "ridge head", "logistic regression")
    return plain | {f"{name} + name": named(plain[name]) for name in chosen}
