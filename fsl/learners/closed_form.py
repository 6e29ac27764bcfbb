"""Adapting in one solve: the best last layer for a few rows has a formula, and training goes through the formula.

No inner loop and no step size: `predict` costs one small linear solve per task (CNP: one mean).
"""

import torch
from torch import Tensor, nn

from fsl.engines.arguments import with_mask
from fsl.episodes import Episode, Examples
from fsl.learners.base import Predictive, mask_of
from fsl.learners.method import Scoring, one_hot
from fsl.metrics import masked_mean
from fsl.training import EpisodicTrainer


class RidgeHead(Scoring):
    """R2-D2 (Bertinetto et al. 2019, eq. 4 to 6): a differentiable ridge regression on learned features Z.

        W = Zᵀ (Z Zᵀ + λ I)⁻¹ Y,   score = a z_q W + b

    λ > 0, a and b are meta-learned. Y is one-hot on class-tasks, the ratings themselves otherwise. The solve is in the
    K rows of support (Woodbury), so it is cheap for few shots. Needs features in which new tasks are nearly linear.
    """

    wants = "body"

    def __init__(self, body: nn.Module, trainer: EpisodicTrainer | None = None):
        super().__init__(trainer)
        self.body = body
        self.log_lambda = nn.Parameter(torch.zeros(()))
        self.a, self.b = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))

    def scores(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """a z_q Zᵀ (Z Zᵀ + λI)⁻¹ Y + b by one solve in the K rows; −∞ for a class without support."""
        mask = mask_of(support)[..., None]
        z, asked = self.body(support.inputs) * mask, self.body(query_inputs)
        rating = support.targets.is_floating_point()
        y = support.targets[..., None] * mask if rating else one_hot(support, z)
        gram = z @ z.mT + self.log_lambda.exp() * torch.eye(z.shape[1], dtype=z.dtype)
        scores = self.a * asked @ (z.mT @ torch.linalg.solve(gram, y)) + self.b
        return scores[..., 0] if rating else scores.masked_fill(~y.any(1, keepdim=True), -torch.inf)


class Gaussian(Scoring):
    """A method whose predictions are Gaussians: trained by their negative log-likelihood, judged by their mean."""

    def _wants_numbers(self, support: Examples) -> None:
        if not support.targets.is_floating_point():
            seen = support.targets.dtype
            raise ValueError(f"{type(self).__name__} is for numbers, these targets are {seen}")

    def distribution(self, support: Examples, query_inputs: Tensor) -> Predictive:
        """The predictive distribution, differentiable."""
        raise TypeError(f"{type(self).__name__} does not say its distribution")

    def scores(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """The mean of the predictive distribution."""
        self._wants_numbers(support)
        return self.distribution(support, query_inputs).mean

    def losses(self, episode: Episode) -> Tensor:
        """½ (log σ² + (y − μ)² / σ²), mean over a task's query rows: [n_tasks]."""
        support, query = (with_mask(side) for side in episode)
        self._wants_numbers(support)
        mean, variance = self.distribution(support, query.inputs)
        nll = 0.5 * (variance.log() + (query.targets - mean).square() / variance)
        return masked_mean(nll, query.mask)


class ALPaCA(Gaussian):
    """Bayesian linear regression on learned features φ (Harrison, Sharma & Pavone 2018, eq. 4 to 6).

        Λ = Λ₀ + Φᵀ Φ,   k = Λ⁻¹ (Φᵀ y + Λ₀ k₀),   y_q ~ N(φ_q k, (1 + φ_qᵀ Λ⁻¹ φ_q) σ²)

    The prior mean k₀, the prior precision Λ₀ = L Lᵀ (positive definite by its Cholesky factor), φ and σ² are
    meta-learned. For numbers only. Says how sure it is; too sure where a new task is unlike the training tasks.
    """

    wants = "body"

    def __init__(
        self, body: nn.Module, n_features: int | None = None, trainer: EpisodicTrainer | None = None
    ):
        super().__init__(trainer)
        self.body, n_features = body, n_features or body.n_features
        self.prior_mean = nn.Parameter(torch.zeros(n_features))
        self.below = nn.Parameter(torch.zeros(n_features, n_features))
        self.log_diagonal = nn.Parameter(torch.zeros(n_features))
        self.log_noise = nn.Parameter(torch.zeros(()))

    @property
    def prior_precision(self) -> Tensor:
        """Λ₀, [n_features, n_features]."""
        factor = self.below.tril(-1) + self.log_diagonal.exp().diag()
        return factor @ factor.T

    def distribution(self, support: Examples, query_inputs: Tensor) -> Predictive:
        """N(φ_q k, (1 + φ_qᵀ Λ⁻¹ φ_q) σ²), by the Cholesky factor of Λ."""
        mask = mask_of(support)[..., None]
        phi, asked = self.body(support.inputs) * mask, self.body(query_inputs)
        y = support.targets[..., None] * mask
        start = self.prior_precision
        factor = torch.linalg.cholesky(start + phi.mT @ phi)
        k = torch.cholesky_solve(phi.mT @ y + (start @ self.prior_mean)[:, None], factor)
        spread = torch.linalg.solve_triangular(factor, asked.mT, upper=False).square().sum(-2)
        return Predictive((asked @ k)[..., 0], (1 + spread) * self.log_noise.exp())


class CNP(Gaussian):
    """Conditional neural process (Garnelo et al. 2018, eq. 1 to 3): adapting is taking a mean.

        r = mean_k h([z_k, y_k]),   y_q ~ N(μ, σ²),   (μ, σ) = g([z_q, r])

    h and g are small networks; σ is at least 0.01 (in the targets' unit). For numbers only. O(K + n_query) and no
    solve; underfits: even at its support points the mean need not pass through the targets.
    """

    wants = "body"

    def __init__(
        self,
        body: nn.Module,
        n_features: int | None = None,
        n_hidden: int = 64,
        trainer: EpisodicTrainer | None = None,
    ):
        super().__init__(trainer)
        self.body, n_features = body, n_features or body.n_features
        self.h = nn.Sequential(
            nn.Linear(n_features + 1, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_hidden)
        )
        self.g = nn.Sequential(
            nn.Linear(n_features + n_hidden, n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, 2),
        )

    def distribution(self, support: Examples, query_inputs: Tensor) -> Predictive:
        """N(μ, σ²) of g([z_q, r]); r = 0 without support."""
        z, asked, mask = self.body(support.inputs), self.body(query_inputs), mask_of(support)
        told = self.h(torch.cat([z, support.targets[..., None]], dim=-1))
        r = torch.where(mask[..., None], told, 0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        known = r[:, None].expand(-1, asked.shape[1], -1)
        mean, width = self.g(torch.cat([asked, known], dim=-1)).unbind(-1)
        return Predictive(mean, (0.01 + nn.functional.softplus(width)).square())
