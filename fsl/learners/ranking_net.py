"""The network of `SetRanker`, what it reads in training, and the losses that it is trained by. Knows tensors only."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Lesson(NamedTuple):
    """A few training tasks with everything that the network reads, on some columns of the catalogue.

    pairs: half [n_tasks, n_columns, d]. known: [n_tasks, K, d_v + 1] and its mask. vectors: [n_columns,
    d_v]. wanted: bool [n_tasks, n_columns]. offset: [n_tasks, n_columns], log of how many objects a column stands
    for; −∞ for what is no candidate.
    """

    pairs: Tensor
    known: Tensor
    mask: Tensor
    vectors: Tensor
    wanted: Tensor
    offset: Tensor


class SetNet(nn.Module):
    """score_ti = w·z_ti + MLP(z_ti) + u_t·M v_i, u_t = Σ_j a_tj v_j, a = softmax over the support of MLP(v_j, liked_j).

    z: what the tables say of task and object, standardised; v: the objects' factors. M begins at 0, so does the MLP:
    training starts from a linear model without attention.
    """

    def __init__(self, mean: Tensor, spread: Tensor, d_v: int, n_hidden: int, dropout: float):
        super().__init__()
        d = len(mean)
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.linear = nn.Linear(d, 1)
        self.deep = nn.Sequential(
            nn.Linear(d, n_hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(n_hidden, 1)
        )
        self.attention = nn.Sequential(nn.Linear(d_v + 1, 16), nn.Tanh(), nn.Linear(16, 1))
        self.metric = nn.Linear(d_v, d_v, bias=False)
        for last in (self.linear, self.deep[-1], self.metric):
            nn.init.zeros_(last.weight)

    def forward(self, pairs: Tensor, known: Tensor, mask: Tensor, vectors: Tensor) -> Tensor:
        """Scores [n_tasks, n_objects]: linear + deep in the pair's numbers, + uᵀ M v, u attention over the support."""
        z = (pairs.float() - self.mean) / self.spread
        score = (self.linear(z) + self.deep(z))[..., 0]
        if known.shape[1] == 0:
            return score
        weight = self.attention(known)[..., 0].masked_fill(~mask, -1e9).softmax(1) * mask
        u = torch.einsum("tk,tkd->td", weight, known[..., :-1])
        return score + self.metric(u) @ vectors.T


def softmax_loss(net: SetNet, lesson: Lesson) -> Tensor:
    """−(1/|y|) Σ_{i in y} log softmax(score + offset)_i, mean over the tasks: a scalar."""
    score = net(lesson.pairs, lesson.known, lesson.mask, lesson.vectors) + lesson.offset
    surprise = -torch.where(lesson.wanted, score.log_softmax(1), 0).sum(1)
    return (surprise / lesson.wanted.sum(1)).mean()


def each_loss(net: SetNet, lesson: Lesson) -> Tensor:
    """−Σ_i w_i (y_i log σ(score_i) + (1 − y_i) log σ(−score_i)), w_i = e^offset, per relevant object: a scalar."""
    score = net(lesson.pairs, lesson.known, lesson.mask, lesson.vectors)
    loss = nn.functional.binary_cross_entropy_with_logits(
        score, lesson.wanted.float(), reduction="none"
    )
    return (loss * lesson.offset.exp()).sum() / lesson.wanted.sum()


OBJECTIVES = {"softmax": softmax_loss, "each": each_loss}
