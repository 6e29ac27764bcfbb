"""A Gaussian process over pairs of a subject and an object, conditioned on all training rows and on a task's support.

Exact, so cubic in the training rows: for shops of a few thousand. Knows tasks and tensors; knows no table.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.learners.base import Learner, Predictive, mask_of
from fsl.learners.preference_kernel import Points, PreferenceKernel
from fsl.tasks import Tasks

_POINTS_AT_ONCE = 1 << 12


@dataclass(eq=False)
class PreferenceGP(Learner):
    """Ratings as one Gaussian process over (subject, object), r = μ + f(u, i) + ε, f ~ GP(0, `PreferenceKernel`).

    Fitting maximises the log marginal likelihood of the training ratings plus a log-normal prior of `prior_width` on
    each parameter by L-BFGS, in float64; with few people the prior matters, so tune its width.
    A new task is conditioned on all training rows and on its own support, exactly (Rasmussen & Williams 2006,
    eq. 2.22 to 2.24): with L Lᵀ the training block, A = L⁻¹ k(train, ·) and C = k(·, ·) − AᵀA,

        mean_q = μ + A_qᵀ L⁻¹ (y − μ) + C_qs (C_ss + σ² I)⁻¹ (y_s − mean_s),   var_q = C_qq − C_qs (…)⁻¹ C_sq + σ²

    A task is always a new subject: it shares contents with the training subjects, never identity. Refuses (InputError)
    more than `max_rows` training rows, since time is cubic in them; 900 rows take four seconds, 4,000 some minutes.
    """

    prior_width: float = 1.0
    max_rows: int = 4_000
    n_iterations: int = 20

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "PreferenceGP":
        if tasks.n_rows > self.max_rows:
            raise InputError(
                f"a Gaussian process is exact and cubic in its rows: it takes at most {self.max_rows:,} "
                f"training rows (max_rows), these tasks have {tasks.n_rows:,}"
            )
        self.x, self.z = tasks.object_features.double(), tasks.subject_features.double()
        self.kernel = PreferenceKernel(tasks.object_feature_names, tasks.subject_feature_names)
        owner = tasks.task_of_row
        self.training = self.points(torch.stack([tasks.subjects[owner], tasks.objects], dim=-1))
        targets = tasks.targets.double()
        self.middle, self.scale = targets.mean(), targets.std(correction=0).clamp(min=1e-6)
        self._maximise((owner[:, None] == owner).double(), (targets - self.middle) / self.scale)
        return self

    def points(self, inputs: Tensor) -> Points:
        """Pairs [..., 2] of (subject, object) with their contents."""
        return Points(inputs[..., 1], self.x[inputs[..., 1]], self.z[inputs[..., 0]])

    def _maximise(self, same: Tensor, y: Tensor) -> None:
        """Fit the kernel's parameters by L-BFGS; keep L and the whitened training ratings w = L⁻¹ (y − μ)."""
        kernel, n = self.kernel, len(y)
        optimizer = torch.optim.LBFGS(
            kernel.parameters(), max_iter=self.n_iterations, line_search_fn="strong_wolfe"
        )

        def covariance() -> Tensor:
            return kernel(self.training, self.training, same) + kernel.noise * torch.eye(n)

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = -log_marginal_likelihood(covariance(), y - kernel.mean) - kernel.log_prior(
                self.prior_width
            )
            value.backward()
            return value.detach()

        with torch.enable_grad():
            optimizer.step(loss)
        kernel.requires_grad_(False)
        self.log_likelihood = log_marginal_likelihood(covariance(), y - kernel.mean)
        self.factor = torch.linalg.cholesky(covariance())
        self.white = _solve_lower(self.factor, (y - kernel.mean)[:, None])[:, 0]

    def distribution(self, support: Examples, query_inputs: Tensor) -> Predictive:
        """Mean and variance of each query's rating, float64 [n_tasks, n_query], in the targets' unit and its square."""
        n_points = support.targets.shape[1] + query_inputs.shape[1]
        step = max(_POINTS_AT_ONCE // max(n_points, 1), 1)
        support = support._replace(mask=mask_of(support))
        parts = [
            self._posterior(
                Examples(*(side[s : s + step] for side in support)), query_inputs[s : s + step]
            )
            for s in range(0, max(len(query_inputs), 1), step)
        ]
        return Predictive(*map(torch.cat, zip(*parts, strict=True)))

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        return self.distribution(support, query_inputs).mean.to(support.targets.dtype)

    def joint(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of a new subject's objects [n, m, 2] before any support: mean [n, m], covariance [n, m, m], noise."""
        points = self.points(inputs)
        a = self._whitened(points)
        mean = self.middle + self.scale * (self.kernel.mean + self.white @ a)
        covariance = self.scale.square() * (self.kernel(points, points, 1.0) - a.mT @ a)
        return mean, covariance, self.scale.square() * self.kernel.noise

    def _posterior(self, support: Examples, query_inputs: Tensor) -> Predictive:
        kernel, noise, mask = self.kernel, self.kernel.noise, support.mask
        known, asked = self.points(support.inputs), self.points(query_inputs)
        a, b = self._whitened(known), self._whitened(asked)
        y = (support.targets.double() - self.middle) / self.scale - kernel.mean - self.white @ a
        own = torch.where(mask, noise, 1)
        both = (mask[:, :, None] & mask[:, None]).double()
        c_ss = (kernel(known, known, 1.0) - a.mT @ a) * both + own.diag_embed()
        c_sq = (kernel(known, asked, 1.0) - a.mT @ b) * mask[..., None]
        gain = torch.linalg.solve(c_ss, c_sq).mT
        mean = kernel.mean + self.white @ b + (gain @ torch.where(mask, y, 0)[..., None])[..., 0]
        one = Points(asked.objects[..., None], asked.x[..., None, :], asked.z[..., None, :])
        prior = kernel(one, one, 1.0)[..., 0, 0] - b.square().sum(-2)
        variance = (prior - (gain.mT * c_sq).sum(-2)).clamp(min=0) + noise
        return Predictive(self.middle + self.scale * mean, self.scale.square() * variance)

    def _whitened(self, points: Points) -> Tensor:
        """L⁻¹ k(train, points): [n_tasks, n] points -> [n_tasks, n_train, n]."""
        flat = Points(*(part.flatten(0, 1) for part in points))
        white = _solve_lower(self.factor, self.kernel(self.training, flat, 0.0))
        return white.unflatten(1, points.objects.shape).transpose(0, 1)


def _solve_lower(factor: Tensor, right: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(factor, right, upper=False)


class _LogMarginalLikelihood(torch.autograd.Function):
    """log N(y; 0, K) with its gradient by formula: a third of the time of going back through the factorisation."""

    @staticmethod
    def forward(context, covariance: Tensor, y: Tensor) -> Tensor:
        factor = torch.linalg.cholesky(covariance)
        alpha = torch.cholesky_solve(y[:, None], factor)[:, 0]
        context.save_for_backward(factor, alpha)
        constant = len(y) / 2 * math.log(2 * math.pi)
        return -(y @ alpha) / 2 - factor.diagonal().log().sum() - constant

    @staticmethod
    def backward(context, weight: Tensor) -> tuple[Tensor, Tensor]:
        factor, alpha = context.saved_tensors
        slope = (alpha[:, None] * alpha - torch.cholesky_inverse(factor)) / 2
        return weight * slope, -weight * alpha


def log_marginal_likelihood(covariance: Tensor, y: Tensor) -> Tensor:
    """−½ yᵀ K⁻¹ y − ½ log |K| − ½ n log 2π (Rasmussen & Williams 2006, eq. 5.8).

    Its slope in K is ½ (α αᵀ − K⁻¹), α = K⁻¹ y (eq. 5.9). covariance K: [n, n], positive definite; y: [n], less its
    mean. Returns a scalar, differentiable once. Raises torch.linalg.LinAlgError where K is not positive definite.
    """
    return _LogMarginalLikelihood.apply(covariance, y)
