"""Baselines that fit in a line of algebra. What a meta-learner must beat to be worth its training time.

Symbols: r a target, μ the mean training target, b_i the effect of an object, b_u the effect of a subject, K the
support size. Errors of use (predicting before fitting) are AttributeErrors, as in any Python object.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import Learner, mask_of
from fsl.metrics import masked_mean
from fsl.tasks import Tasks


def sums_by(index: Tensor, values: Tensor, n: int) -> Tensor:
    """Σ of `values` over equal `index`, [n]; an index that is absent has 0."""
    return torch.zeros(n, dtype=values.dtype).index_add_(0, index, values)


class GlobalMean(Learner):
    """Predicts μ for everything."""

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "GlobalMean":
        self.mean = tasks.targets.mean()
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        return self.mean.expand(query_inputs.shape[:2]).clone()


class SupportMean(Learner):
    """The mean of the task's own support targets, Σ r / K; μ at K = 0."""

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "SupportMean":
        self.mean = tasks.targets.mean()
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        mask = mask_of(support)
        own = torch.where(mask.any(-1), masked_mean(support.targets, mask), self.mean)
        return own[:, None].expand(query_inputs.shape[:2]).clone()


class SupportMedian(Learner):
    """The median of the task's own support targets (mean of the middle two for even K); μ at K = 0."""

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "SupportMedian":
        self.mean = tasks.targets.mean()
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        targets = torch.where(mask_of(support), support.targets, torch.nan)
        if targets.shape[1] == 0:
            return self.mean.expand(query_inputs.shape[:2]).clone()
        own = targets.nanquantile(0.5, dim=-1).nan_to_num(nan=float(self.mean))
        return own[:, None].expand(query_inputs.shape[:2]).clone()


@dataclass(eq=False)
class ItemEffect(Learner):
    """μ + b_i with b_i = Σ_u (r_ui − r̄_u) / (n_i + λ): user-centred and shrunk, so that a phone is not praised for
    its generous raters and two ratings do not make a verdict. Ignores the support."""

    shrinkage: float = 5.0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "ItemEffect":
        centred = tasks.targets - tasks.task_means[tasks.task_of_row]
        n = len(tasks.object_ids)
        counts = torch.bincount(tasks.objects, minlength=n)
        self.mean = tasks.targets.mean()
        self.effects = sums_by(tasks.objects, centred, n) / (counts + self.shrinkage).clamp(
            min=1e-9
        )
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """μ + b_i, whatever the support."""
        return self.mean + self.effects[query_inputs[..., 1]]


@dataclass(eq=False)
class ShrunkBias(Learner):
    """μ + b_i + b_u, both shrunk (Koren, Bell & Volinsky 2009, eq. 3): b_u = Σ_support (r − μ − b_i) / (K + λ_u).

    b_i is fitted with the training subjects' b_u in `n_sweeps` alternating sweeps: b_i = Σ (r − μ − b_u) / (n_i + λ_i).
    """

    item_shrinkage: float = 5.0
    user_shrinkage: float = 3.0
    n_sweeps: int = 8

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "ShrunkBias":
        """b_i and b_u in turn, `n_sweeps` times; keeps what they leave of the training rows."""
        self.mean = tasks.targets.mean()
        deviations, n = tasks.targets - self.mean, len(tasks.object_ids)
        counts = torch.bincount(tasks.objects, minlength=n)
        owner, subject_effects = tasks.task_of_row, torch.zeros(len(tasks))
        for _ in range(self.n_sweeps):
            left = deviations - subject_effects[owner]
            self.effects = sums_by(tasks.objects, left, n) / (counts + self.item_shrinkage).clamp(
                min=1e-9
            )
            left = deviations - self.effects[tasks.objects]
            subject_effects = sums_by(owner, left, len(tasks)) / (
                tasks.sizes + self.user_shrinkage
            ).clamp(min=1e-9)
        self.training_residuals = left - subject_effects[owner]
        return self

    def prior(self, inputs: Tensor) -> Tensor:
        """μ + b_i, what is known before the task's own support: [..., 2] -> [...]."""
        return self.mean + self.effects[inputs[..., 1]]

    def subject_effect(self, support: Examples) -> Tensor:
        """b_u of each task, [n_tasks]."""
        mask = mask_of(support)
        left = torch.where(mask, support.targets - self.prior(support.inputs), 0)
        return left.sum(-1) / (mask.sum(-1) + self.user_shrinkage).clamp(min=1e-9)

    def residuals(self, support: Examples) -> Tensor:
        """r − μ − b_i − b_u on the support, 0 on padding: [n_tasks, K]."""
        left = support.targets - self.prior(support.inputs) - self.subject_effect(support)[:, None]
        return torch.where(mask_of(support), left, 0)

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """μ + b_i + b_u, b_u of the support."""
        return self.prior(query_inputs) + self.subject_effect(support)[:, None]


class Popularity(Learner):
    """a + c log(1 + n_i), least squares on the training rows: how often a phone was met, put on the targets' scale."""

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Popularity":
        self.log_counts = (
            torch.bincount(tasks.objects, minlength=len(tasks.object_ids)).float().log1p()
        )
        x = self.log_counts[tasks.objects]
        self.slope = ((x - x.mean()) * tasks.targets).mean() / x.var(correction=0).clamp(min=1e-9)
        self.offset = tasks.targets.mean() - self.slope * x.mean()
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """a + c log(1 + n_i), whatever the support."""
        return self.offset + self.slope * self.log_counts[query_inputs[..., 1]]


@dataclass(eq=False)
class RidgeOnFeatures(Learner):
    """A ridge regression per task on the objects' features, from a prior that all training tasks share.

    r = μ + b_i + [1, x_i]·w, w = argmin Σ_support (…)² + λ_u w₀² + λ Σ_f w_f²: a handful of ratings moves a person's
    weights on price or camera only as far as they must. λ large gives `ShrunkBias` back.
    """

    shrinkage: float = 20.0
    user_shrinkage: float = 3.0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "RidgeOnFeatures":
        self.bias = ShrunkBias(user_shrinkage=self.user_shrinkage).fit(tasks)
        x = tasks.object_features
        self.design = torch.cat([torch.ones(len(x), 1), x], dim=1)
        self.precision = torch.full((self.design.shape[1],), float(self.shrinkage))
        self.precision[0] = self.user_shrinkage
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        left = support.targets - self.bias.prior(support.inputs)
        x = self.design[support.inputs[..., 1]]
        weights = ridge_weights(x, left, mask_of(support), self.precision)
        correction = torch.einsum("tqf,tf->tq", self.design[query_inputs[..., 1]], weights)
        return self.bias.prior(query_inputs) + correction


def ridge_weights(x: Tensor, y: Tensor, mask: Tensor, precision: Tensor) -> Tensor:
    """argmin_w Σ_rows (y − x·w)² + Σ_f λ_f w_f² for every task at once, solved in the K rows, not the features.

    w = Λ⁻¹Xᵀ (X Λ⁻¹ Xᵀ + I)⁻¹ y. x: [n_tasks, K, n_features], y, mask: [n_tasks, K], precision λ > 0: [n_features].
    Returns [n_tasks, n_features]; zeros for a task without rows.
    """
    x = torch.where(mask[..., None], x, 0)
    scaled = x / precision
    gram = scaled @ x.mT + torch.eye(x.shape[1])
    dual = torch.linalg.solve(gram, torch.where(mask, y, 0)[..., None])
    return (scaled.mT @ dual)[..., 0]
