"""Plain regressions from what is known of a task to a rating: content, item effects and statistics of the support.

Baselines that need no idea of few-shot learning: a table of training episodes, one row per query rating, and any
regressor. Knows tasks and tensors; the regressors are scikit-learn's.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fsl.episodes import Draw, Examples, draw_shots, gather
from fsl.errors import InputError
from fsl.learners.base import Learner, mask_of
from fsl.learners.baselines import sums_by
from fsl.tasks import Tasks

_POINTS_AT_ONCE = 1 << 17
_SHRINKAGE = 3.0  # ratings that a mean residual must outweigh


class Known(NamedTuple):
    """What other people's ratings say of the objects on some rows: shrunken effect b_i and number of ratings n_i."""

    effect: Tensor
    count: Tensor

    def at(self, places: Tensor) -> "Known":
        return Known(self.effect[places], self.count[places])


class ObjectEffects:
    """b_i = Σ_u (r_ui − r̄_u) / (n_i + λ) over the training tasks, and the same for a task's own rows without the task.

    `everyone` is by object, what a new task is told. `others` is by training row and leaves out all ratings that the
    row's own task gave to the object: so a training row never sees its own target, as a test row does not.
    """

    def __init__(self, tasks: Tasks, shrinkage: float):
        n, centred = len(tasks.object_ids), tasks.targets - tasks.task_means[tasks.task_of_row]
        sums = sums_by(tasks.objects, centred, n)
        counts = torch.bincount(tasks.objects, minlength=n).to(centred.dtype)
        self.everyone = Known(sums / (counts + shrinkage), counts)
        _, pair = (tasks.task_of_row * n + tasks.objects).unique(return_inverse=True)
        own = sums_by(pair, centred, tasks.n_rows)[pair]
        own_count = torch.bincount(pair, minlength=tasks.n_rows)[pair]
        left = counts[tasks.objects] - own_count
        self.others = Known((sums[tasks.objects] - own) / (left + shrinkage), left)


class OnStatistics(Learner):
    """r = μ + b_i + g(features), g any regressor fitted to the query rows of episodes of the training tasks.

    The features of a query row, beside the contents of object and subject: b_i and log(1 + n_i); of the support K, the
    mean and median rating less μ, their standard deviation, Σ e / (K + 3) with e = r − μ − b, and Σ s e / (Σ s + 1)
    with s = exp(−3/2 |x − x_q|² / v), v the objects' total variance. Those of the support are 0 at K = 0. Episodes are
    drawn at 0, 1, 3, 5 and 10 shots as far as the tasks reach, at most about `max_rows` rows. A subclass names the
    regressor.
    """

    max_rows: int = 60_000
    max_draws: int = 10
    n_query: int = 10
    shots: tuple[int, ...] = (0, 1, 3, 5, 10)
    item_shrinkage: float = 5.0
    seed: int = 0

    def regressor(self):
        """An unfitted scikit-learn regressor."""
        raise TypeError(f"{type(self).__name__} does not name its regressor")

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "OnStatistics":
        self.x, self.z = tasks.object_features, tasks.subject_features
        self.spread = (
            float(self.x.var(0, correction=0).sum().clamp(min=1e-9)) if self.x.numel() else 1
        )
        self.mean = tasks.targets.mean()
        self.effects = ObjectEffects(tasks, self.item_shrinkage)
        features, residuals = self.training_table(tasks)
        self.model = self.regressor().fit(features, residuals)
        return self

    def training_table(self, tasks: Tasks) -> tuple[np.ndarray, np.ndarray]:
        """Features [n_rows, n_features] and residuals r − μ − b_i [n_rows] of the query rows of the drawn episodes."""
        shots = [k for k in self.shots if bool((tasks.sizes > k).any())]
        if not shots:
            raise InputError("a regression needs at least one training rating, and there is none")
        generator = torch.Generator().manual_seed(self.seed)
        per_shot = self.max_rows // (self.n_query * len(shots))
        n_draws = min(max(per_shot // max(len(tasks), 1), 1), self.max_draws)
        tables = [
            self._rows_of(tasks, self._draw(tasks, k, per_shot, generator))
            for _ in range(n_draws)
            for k in shots
        ]
        return tuple(np.concatenate(side) for side in zip(*tables, strict=True))

    def _draw(self, tasks: Tasks, k: int, most: int, generator: torch.Generator) -> Draw:
        able = int((tasks.sizes > k).sum())
        return draw_shots(tasks, k, self.n_query, generator, n_tasks=min(able, max(most, 1)))

    def _rows_of(self, tasks: Tasks, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        support, query = gather(tasks, draw)
        known, asked = (self.effects.others.at(rows.clamp(min=0)) for rows in draw[1:])
        features = self.features(support, known, query.inputs, asked)
        residuals = query.targets - self.mean - asked.effect
        return features[query.mask].numpy(), residuals[query.mask].numpy()

    def features(self, support: Examples, known: Known, query_inputs: Tensor, asked: Known):
        """One line per query row, [n_tasks, n_query, n_features]; `known` and `asked` go with support and query."""
        subjects, objects = query_inputs[..., 0], query_inputs[..., 1]
        mask = mask_of(support)
        left = torch.where(mask, support.targets - self.mean - known.effect, 0)
        own = support_statistics(support.targets - self.mean, left, mask)
        near = self._near(support.inputs[..., 1], objects) * mask[:, None]
        like_it = (near * left[:, None]).sum(-1) / (near.sum(-1) + 1)
        told = [asked.effect, asked.count.log1p(), like_it]
        return torch.cat(
            [
                self.x[objects],
                self.z[subjects],
                torch.stack(told, dim=-1),
                own[:, None].expand(-1, objects.shape[1], -1),
            ],
            dim=-1,
        )

    def _near(self, known: Tensor, asked: Tensor) -> Tensor:
        """s of every query object and every support object, [n_tasks, n_query, K]."""
        squares = torch.cdist(self.x[asked], self.x[known]).square()
        return torch.exp(-1.5 * squares / self.spread)

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        step = max(_POINTS_AT_ONCE // max(query_inputs.shape[1], 1), 1)
        support = support._replace(mask=mask_of(support))
        parts = [
            self._predict(
                Examples(*(side[s : s + step] for side in support)), query_inputs[s : s + step]
            )
            for s in range(0, len(query_inputs), step)
        ]
        return torch.cat(parts) if parts else self.mean.new_zeros(query_inputs.shape[:2])

    def _predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        known, asked = (
            self.effects.everyone.at(inputs[..., 1]) for inputs in (support.inputs, query_inputs)
        )
        features = self.features(support, known, query_inputs, asked)
        found = self.model.predict(features.flatten(0, 1).numpy())
        found = torch.from_numpy(found).to(self.mean.dtype).view(query_inputs.shape[:2])
        return self.mean + asked.effect + found


def support_statistics(deviations: Tensor, residuals: Tensor, mask: Tensor) -> Tensor:
    """K, mean, median, standard deviation and shrunken mean residual of each support, 0 where K = 0: [n_tasks, 5]."""
    k = mask.sum(-1).to(deviations.dtype)
    real = torch.where(mask, deviations, 0)
    mean = real.sum(-1) / k.clamp(min=1)
    spread = torch.where(mask, (deviations - mean[:, None]).square(), 0).sum(-1) / k.clamp(min=1)
    blank = torch.where(mask, deviations, torch.nan)
    median = blank.nanquantile(0.5, dim=-1).nan_to_num() if mask.shape[1] else torch.zeros_like(k)
    return torch.stack(
        [k, mean, median, spread.sqrt(), residuals.sum(-1) / (k + _SHRINKAGE)], dim=-1
    )


@dataclass(eq=False)
class RidgeOnStatistics(OnStatistics):
    """`OnStatistics` by one linear model for everybody: standardised features, w = argmin Σ (r − …)² + α |w|².

    One slope serves every K, so it is best where the shrunken statistics already say what K means.
    """

    alpha: float = 100.0
    item_shrinkage: float = 5.0
    seed: int = 0

    def regressor(self):
        from sklearn.linear_model import Ridge  # scikit-learn takes a second to import
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), Ridge(alpha=self.alpha))
