"""The score of a new item for a user at a moment: a closed-form update on its first users, and a curve of its age.

Knows a log's answers and vectors; knows no training. `ItemPosterior` in `new_items` learns its parameters.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from fsl.launches.histories import Log, weighted
from fsl.learners.item_vectors import ItemVectors
from fsl.learners.launching import Shots, ages, shots_past
from fsl.learners.overlap import log_votes

DECAYS = (np.inf, 30.0, 2.0)  # days: all that the user did, the last month, the last days


class Block(NamedTuple):
    """Questions of one month: n items with K shots each, P askers; d the length of vectors.

    profiles [n, K, d]: what each shot's user had, summed. prior [n, d]: from content. histories [P, 3, d]: what each
    asker had, one sum per decay. n_had [P]: how many items. shots, when [P]: moments. votes [n, K, P], alike [n, P]:
    what neighbours tell, see `Overlap`; None where that is not asked for.
    """

    profiles: Tensor
    prior: Tensor
    histories: Tensor
    n_had: Tensor
    shots: Shots
    when: Tensor
    votes: Tensor | None = None
    alike: Tensor | None = None

    def part(self, askers: Tensor, n_shots: int) -> "Block":
        """Some of the askers, and of each item the first `n_shots`."""
        shots = self.shots._replace(
            users=self.shots.users[:, :n_shots], times=self.shots.times[:, :n_shots]
        )
        return Block(
            self.profiles[:, :n_shots], self.prior, self.histories[askers], self.n_had[askers],
            shots, self.when[askers],
            None if self.votes is None else self.votes[:, :n_shots, askers],
            None if self.alike is None else self.alike[:, askers],
        )  # fmt: skip


def make_block(
    log: Log, vectors: ItemVectors, month: float, shots: Shots, users: Tensor, when: Tensor
) -> Block:
    """What was known: of a shot's user up to the shot or, if that is later, the month's start; of an asker all."""
    past = log.before(users, when)
    summed = [weighted(past, len(users), log.n_items, decay) @ vectors.full for decay in DECAYS]
    n_had = np.bincount(past.asker, minlength=len(users))
    return Block(
        _profiles(log, vectors, month, shots),
        torch.from_numpy(vectors.prior[shots.items.numpy()]).float(),
        torch.from_numpy(np.stack(summed, 1)).float(),
        torch.from_numpy(n_had).float(),
        shots,
        when,
    )


def _profiles(log: Log, vectors: ItemVectors, month: float, shots: Shots) -> Tensor:
    who, what = shots_past(log, month, shots)
    had = csr_matrix((np.ones(len(who)), (who, what)), (shots.times.numel(), log.n_items))
    return (
        torch.from_numpy(had @ vectors.full).float().view(*shots.times.shape, vectors.full.shape[1])
    )


class PosteriorScore(nn.Module):
    """e^s · h_u · v_i + γ_1 log(1 + 10 votes) + γ_2 alike + f(age of i, activity of u), v_i updated in closed form.

    m_i = κ p̂_i + Σ_{shots s before t} x̂_s,   v_i = m_i / (‖m_i‖ + ε),   h_u = Σ_decays a_τ ĥ_uτ,   ẑ = z / (‖z‖ + ε_z)

    p_i the content prior, x_s the profile of shot s's user, h_uτ the asker's history. m_i is, but for its scale, the
    posterior mean of a taste with prior N(p̂_i, I/κ) observed with unit noise at each x̂_s: ridge regression towards the
    prior. ε is what keeps an item small on which little, or nothing that agrees, is known. Learned: κ, a, s, γ, every
    ε, and f, a curve −α log(1 + age) plus a small net. No parameter knows an axis of the vectors, so that those may
    turn from one month's factorisation to the next.
    """

    def __init__(self, generator: torch.Generator, n_hidden: int = 16):
        super().__init__()
        self.log_kappa = nn.Parameter(torch.tensor(-0.7))
        self.log_scale = nn.Parameter(torch.tensor(1.5))
        self.log_decays = nn.Parameter(torch.zeros(len(DECAYS)))
        self.log_eps = nn.Parameter(torch.full((4,), -0.7))
        self.gamma = nn.Parameter(torch.tensor([0.1, 0.1]))
        self.alpha = nn.Parameter(torch.tensor(0.5))
        self.into = nn.Parameter(torch.randn(5, n_hidden, generator=generator) / 5**0.5)
        self.shift = nn.Parameter(torch.zeros(n_hidden))
        self.out = nn.Parameter(torch.zeros(n_hidden))

    def forward(self, block: Block) -> Tensor:
        """Scores [n, P] of a block's items for its askers."""
        visible = block.shots.visible(block.when)
        affinity = self.affinity(block, visible)
        scores = self.log_scale.exp() * affinity + self.launch_curve(block, visible)
        if block.votes is None:
            return scores
        told = log_votes(block.votes, block.shots, block.when)
        return scores + self.gamma[0] * told + self.gamma[1] * block.alike

    def affinity(self, block: Block, visible: Tensor) -> Tensor:
        """h_u · v_i after the shots that are visible at the question's moment, [n, P]."""
        by_shots = torch.einsum("nkd,pd->nkp", self.items(block), self.askers(block))
        return by_shots.gather(1, visible[:, None, :])[:, 0]

    def items(self, block: Block) -> Tensor:
        """v after 0, 1, … K shots: [n, K + 1, d]."""
        eps = self.log_eps.exp()
        prior = self.log_kappa.exp() * shrunk(block.prior, eps[0])
        steps = torch.cat([prior[:, None], shrunk(block.profiles, eps[1])], 1)
        return shrunk(steps.cumsum(1), eps[2])

    def askers(self, block: Block) -> Tensor:
        """h: [P, d]."""
        parts = shrunk(block.histories, self.log_eps[3].exp())
        return (self.log_decays.exp()[:, None] * parts).sum(1)

    def launch_curve(self, block: Block, visible: Tensor) -> Tensor:
        """f: how an item's appeal goes with its age, [n, P]."""
        first, last = (d.log1p() for d in ages(block.shots, block.when, visible))
        had = block.n_had.log1p().expand_as(first)
        seen = torch.stack(
            [first / 3 - 1, last / 3 - 1, (first - last) / 2 - 0.5, had / 2 - 0.5, visible / 5], -1
        )
        bend = torch.tanh(seen @ self.into + self.shift) @ self.out
        return bend - self.alpha * first


def shrunk(z: Tensor, eps: Tensor) -> Tensor:
    """z / (‖z‖ + ε): the direction of z, the shorter, the less there is of it."""
    return z / (z.norm(dim=-1, keepdim=True) + eps)
