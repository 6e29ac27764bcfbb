"""Log-odds that a user takes a thing, from what tables say of user and thing: a logistic regression, and a set network.

Both read the numbers of `Tables` (popularity, co-occurrence, likeness to the support, content) and are trained on the
same cross-fitted episodes: the tables never hold the behaviours that are asked for. Negatives are drawn half by
popularity, half alike, and weighed back to the whole catalogue, so that both estimate the odds against any thing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.ranking_tables import Tables
from fsl.learners.set_ranker import SetRanker, spread_of
from fsl.tasks import Tasks


@dataclass(eq=False)
class TakeNet(SetRanker):
    """`SetRanker` trained by the logistic loss of each pair, −log σ(f) of what is taken, −w log σ(−f) of what is not.

    Negatives of a lesson: object i with chance π_i = min(1, n_columns (½/n + ½ c_i/Σc)), c how often it was met; each
    weighs w = 1/π_i, so that the expected loss is that of the whole catalogue (Horvitz & Thompson 1952) while the
    popular, which are hard to tell apart, are nearly all there.
    """

    objective: str = "each"
    n_columns: int = 300

    def _drawn(self, tables: Tables, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        met = tables.stats[:, 0].expm1()
        chance = 0.5 / tables.n_objects + 0.5 * met / met.sum().clamp(min=1)
        chance = (self.n_columns * chance).clamp(max=1)
        return torch.rand(len(chance), generator=generator) < chance, -chance.log()


@dataclass(eq=False)
class TakeLogistic(TakeNet):
    """Logistic regression on the same numbers, standardised, with the same weights: f = w·z + b, L2 on w."""

    penalty: float = 1.0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "TakeLogistic":
        """Weighted logistic regression on the pairs of all lessons."""
        self.anchor = None
        self.refresh(tasks)
        lessons = self._lessons(tasks)
        self.mean, self.spread = spread_of([lesson.pairs for lesson in lessons])
        rows, targets, weights = [], [], []
        for lesson in lessons:
            kept = lesson.wanted | lesson.offset.isfinite()
            rows.append(((lesson.pairs.float() - self.mean) / self.spread)[kept])
            targets.append(lesson.wanted[kept])
            weights.append(lesson.offset[kept].exp())
        x, y, w = (torch.cat(part).numpy() for part in (rows, targets, weights))
        model = LogisticRegression(C=1 / self.penalty, max_iter=200).fit(x, y, w)
        self.weight = torch.from_numpy(model.coef_[0].astype(np.float32))
        self.bias = float(model.intercept_[0])
        return self

    @torch.no_grad()
    def _scores(self, support: Examples) -> Tensor:
        return ((self.tables.pairs(support) - self.mean) / self.spread) @ self.weight + self.bias
