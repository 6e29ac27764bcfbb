"""Baselines for new items: the youngest first, item-kNN with content and age, folded-in vectors without learning.

Each has at most nine settings; the one with the best HR@10 on the latest period of pseudo-new items is kept.
"""

import math
from itertools import product

import numpy as np
import torch
from torch import Tensor

from fsl.launches.histories import Log
from fsl.learners.launching import LaunchLearner, Period, Shots, ages
from fsl.learners.new_items import ItemPosterior
from fsl.learners.overlap import Overlap, log_votes
from fsl.learners.posterior_score import PosteriorScore, make_block
from fsl.ranking.metrics import hit_rate, places


class Youngest(LaunchLearner):
    """score = −days since the item's first shot: what came out last stands first."""

    def _learn(self, periods: list[Period]) -> None:
        pass

    def _score(self, month: float, shots: Shots, users: Tensor, when: Tensor) -> Tensor:
        return -ages(shots, when, shots.visible(when))[0]


class _Tuned(LaunchLearner):
    """Chooses `setting` among `settings`, by HR@10 with `reserve` shots; `_parts` is what all of them share."""

    settings: tuple[tuple[float, ...], ...]
    asked_from = None  # not as `ItemPosterior`: chosen on questions as they are judged

    def _learn(self, periods: list[Period]) -> None:
        latest = periods[0]
        found, hits = latest.found, np.zeros(len(self.settings))
        shots = Shots(found.items, found.support[..., 1], found.support[..., 2].double())
        for month in np.unique(latest.month):
            asked = torch.from_numpy(np.flatnonzero(latest.month == month))
            parts = self._parts(month, latest.start, shots, found.users[asked], found.when[asked])
            answers = found.answers[asked][:, None]
            for n, setting in enumerate(self.settings):
                scores = self._together(parts, setting).T.contiguous()
                place = places(scores, answers, answers >= 0, found.candidates[asked])
                hits[n] += hit_rate(place, 10).sum()
        self.setting = self.settings[int(hits.argmax())]

    def _score(self, month: float, shots: Shots, users: Tensor, when: Tensor) -> Tensor:
        parts = self._parts(month, self.old_until, shots, users, when)
        return self._together(parts, self.setting)


class NewItemNeighbours(_Tuned):
    """Item-kNN between the asker's history and the first users' profiles, blended with content and item age.

    score = log(1 + 10 Σ_s votes_s) + β alike − α log(1 + age), age in days; votes and alike are those of `Overlap`,
    over the first users visible at the moment. α, β: `settings`.
    """

    settings = tuple(product((0.05, 0.1, 0.2), (0.5, 1.0, 2.0)))

    def _forget(self, log: Log) -> None:
        super()._forget(log)
        self.overlap = Overlap(log, self.words)

    def _parts(self, month: float, old_until: float, shots: Shots, users: Tensor, when: Tensor):
        votes = self.overlap.votes(month, old_until, shots, users, when)
        return (
            log_votes(votes, shots, when),
            self.overlap.alike(shots.items, users, when),
            ages(shots, when, shots.visible(when))[0].log1p(),
        )

    def _together(self, parts, setting: tuple[float, float]) -> Tensor:
        votes, alike, age = parts
        return votes + setting[1] * alike - setting[0] * age


class FoldInNewItems(_Tuned, ItemPosterior):
    """The vectors and the closed form of `ItemPosterior` with nothing learned: h · v − α log(1 + age), κ and α tuned.

    What it lacks to `ItemPosterior` is what learning over pseudo-new items is worth. All decays weigh alike, ε = 1/2.
    """

    settings = tuple(product((0.05, 0.1, 0.2), (1.0, 3.0, 10.0)))

    def _parts(self, month: float, old_until: float, shots: Shots, users: Tensor, when: Tensor):
        vectors = self._vectors(month, old_until)
        return make_block(self.log, vectors, month, shots, users, when)

    def _together(self, block, setting: tuple[float, float]) -> Tensor:
        alpha, kappa = setting
        visible = block.shots.visible(block.when)
        age = ages(block.shots, block.when, visible)[0].log1p()
        net = PosteriorScore(torch.Generator())
        with torch.no_grad():
            net.log_kappa.fill_(math.log(kappa))
            net.log_eps.fill_(math.log(0.5))
            return net.affinity(block, visible) - alpha * age
