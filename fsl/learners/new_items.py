"""To whom a new item will appeal, from its content and its first few users: a closed-form update, learned end to end.

Knows logs, vectors and moments; knows no table of a shop. The baselines to beat are in `new_item_baselines`.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from fsl.launches.histories import Log
from fsl.learners.item_vectors import ItemVectors, item_vectors
from fsl.learners.launching import LaunchLearner, Period, Shots
from fsl.learners.overlap import Overlap
from fsl.learners.posterior_score import Block, PosteriorScore, make_block

_NOT_A_CANDIDATE = -1e4


class Practice(NamedTuple):
    """Questions of one month to learn from: block, answers [P], candidates [P, n], and which of them, rows [≤ P]."""

    block: Block
    answers: Tensor
    candidates: Tensor
    rows: Tensor


class ItemPosterior(LaunchLearner):
    """Meta-learns how far to trust content, first users, a user's recent history and an item's age (`PosteriorScore`).

    Fitted by the softmax over the candidates of each question about pseudo-new items, with a number of shots drawn from
    0 … reserve for every batch. It practises twice: among ready items, and, from each item's second user on, among all
    that are out. With the first alone it ranks items of few users worse than the plain fold-in does. Vectors
    (`item_vectors`) and neighbours (`Overlap`) are computed anew for every month that is asked about, the learned
    numbers are not. d: length of the vectors. See `LaunchLearner` for the other settings; the defaults were chosen on
    the new items of June to December 2013 of amazon-phones.
    """

    asked_from = 1

    def __init__(
        self,
        content: csr_matrix | None = None,
        d: int = 64,
        n_epochs: int = 2,
        lr: float = 2e-2,
        batch: int = 256,
        seed: int = 0,
        **launch,
    ):
        super().__init__(content, **launch)
        self.d, self.n_epochs, self.lr, self.batch, self.seed = d, n_epochs, lr, batch, seed

    def _forget(self, log: Log) -> None:
        super()._forget(log)
        self.overlap = Overlap(log, self.words)

    def _score(self, month: float, shots: Shots, users: Tensor, when: Tensor) -> Tensor:
        with torch.no_grad():
            return self.net(self._block(month, self.old_until, shots, users, when))

    def _block(self, month: float, old_until: float, shots: Shots, users: Tensor, when: Tensor):
        """What the score needs to know: vectors of the month, histories, and what neighbours tell."""
        vectors = self._vectors(month, old_until)
        block = make_block(self.log, vectors, month, shots, users, when)
        return block._replace(
            votes=self.overlap.votes(month, old_until, shots, users, when),
            alike=self.overlap.alike(shots.items, users, when),
        )

    def _vectors(self, month: float, old_until: float) -> ItemVectors:
        if (month, old_until) not in self.kept:
            made = item_vectors(self.log, self.words, month, old_until, self.d)
            self.kept[month, old_until] = made
        return self.kept[month, old_until]

    def _learn(self, periods: list[Period]) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        self.net = PosteriorScore(generator)
        parts = [part for period in periods for part in self._parts_of(period)]
        n_batches = sum(-(-len(part.rows) // self.batch) for part in parts)
        optimizer = torch.optim.Adam(self.net.parameters(), self.lr)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.lr, max(self.n_epochs * n_batches, 2)
        )
        for _ in range(self.n_epochs):
            for part in _shuffled_batches(parts, self.batch, generator):
                n_shots = int(torch.randint(self.reserve + 1, (1,), generator=generator))
                self._step(part, n_shots, optimizer)
                schedule.step()

    def _parts_of(self, period: Period) -> list[Practice]:
        """A period's questions by month: those of ready items among ready ones, and all among what is out."""
        found = period.found
        shots = Shots(found.items, found.support[..., 1], found.support[..., 2].double())
        ready, out, made = found.is_ready, found.out, []
        for month in np.unique(period.month):
            asked = torch.from_numpy(np.flatnonzero(period.month == month))
            users, when = found.users[asked], found.when[asked]
            block = self._block(month, period.start, shots, users, when)
            answers, late = found.answers[asked], ready[asked].nonzero()[:, 0]
            made.append(Practice(block, answers, found.candidates[asked], late))
            made.append(Practice(block, answers, out[asked], torch.arange(len(asked))))
        return made

    def _step(self, part: Practice, n_shots: int, optimizer) -> None:
        """One step down the mean of −log softmax over the candidates."""
        scores = self.net(part.block.part(part.rows, n_shots)).T
        scores = scores.masked_fill(~part.candidates[part.rows], _NOT_A_CANDIDATE)
        loss = nn.functional.cross_entropy(scores, part.answers[part.rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _shuffled_batches(parts: list[Practice], size: int, generator: torch.Generator) -> list:
    """Each part's rows in batches, in random order; a batch is of one month and one kind of rivals."""
    batches = [
        part._replace(rows=part.rows[few])
        for part in parts
        for few in torch.randperm(len(part.rows), generator=generator).split(size)
        if len(few)
    ]
    return [batches[n] for n in torch.randperm(len(batches), generator=generator).tolist()]
