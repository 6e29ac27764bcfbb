"""How much a user's history overlaps with a new item's first users and with its content: what neighbours tell.

Knows a log and words of content; knows no fitting. Tables are those of the start of the month that is asked about.
"""

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from torch import Tensor

from fsl.launches.histories import Log, weighted
from fsl.learners.launching import Shots, shots_past

_RECENT = 30.0  # days after which an asker's behaviour counts 1/e in a vote
_SHRINK = 10.0


class Overlap:
    """Votes of first users, and likeness of content, for one log. words: CSR [n_items, n_words]."""

    def __init__(self, log: Log, words: csr_matrix):
        rarity = np.maximum(np.asarray(words.sum(0)).ravel(), 1) ** -0.5
        self.log, self.words, self.kept = log, words @ diags(rarity), {}

    def votes(
        self, month: float, old_until: float, shots: Shots, users: Tensor, when: Tensor
    ) -> Tensor:
        """Item-kNN by shot: Σ_h e^(−Δ_h / 30 days) |s|^(−1/2) Σ_{j had by s} S_hj, float32 [n, K, P].

        h: what asker p had, Δ_h before the moment; s: a shot's user, known up to the shot or, if later, the month's
        start, |s| how much that is. S_hj = n_hj / √((n_h + 10)(n_j + 10)), n from the users × items table, 1 on the
        diagonal; a new item is alike to itself alone.
        """
        past = self.log.before(users, when)
        recent = weighted(past, len(users), self.log.n_items, _RECENT)
        votes = self._profiles(month, shots) @ (recent @ self._cosine(month, old_until)).T
        return torch.from_numpy(votes.toarray()).float().view(*shots.times.shape, len(users))

    def alike(self, items: Tensor, users: Tensor, when: Tensor) -> Tensor:
        """cos(c_i, Σ_h c_h), c_i the words of item i, each over the root of how many items have it: float32 [n, P]."""
        had = weighted(self.log.before(users, when), len(users), self.log.n_items)
        cosine = _unit(self.words[items.numpy()]) @ _unit(had @ self.words).T
        return torch.from_numpy(cosine.toarray()).float()

    def _profiles(self, month: float, shots: Shots) -> csr_matrix:
        who, what = shots_past(self.log, month, shots)
        length = np.bincount(who, minlength=shots.times.numel())
        shape = (shots.times.numel(), self.log.n_items)
        return csr_matrix((length[who] ** -0.5, (who, what)), shape)

    def _cosine(self, month: float, old_until: float) -> csr_matrix:
        """S over the items first seen before `old_until`; of a new item only its diagonal is known."""
        if (month, old_until) not in self.kept:
            old = diags((self.log.first_seen() < min(old_until, month)).astype(float))
            table = self.log.table(month) @ old
            inverse = diags((np.asarray(table.sum(0)).ravel() + _SHRINK) ** -0.5)
            cosine = (inverse @ (table.T @ table) @ inverse).tocsr()
            self.kept[month, old_until] = cosine + diags(1 - cosine.diagonal())
        return self.kept[month, old_until]


def log_votes(votes: Tensor, shots: Shots, when: Tensor) -> Tensor:
    """log(1 + 10 Σ votes) over the shots visible at each moment: [n, K, P] -> [n, P]."""
    visible = shots.times[:, :, None] < when
    return (10 * (votes * visible).sum(1)).log1p()


def _unit(rows: csr_matrix) -> csr_matrix:
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    return diags(1 / np.maximum(length, 1e-12)) @ rows
