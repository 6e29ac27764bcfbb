"""Where a linear bandit's first belief comes from: learned on other people's behaviour (meta-learned), or flat.

Each prior is fitted on tasks (`fit`) and then gives the `Belief` about new subjects and their arms (`belief`). Knows
tasks and learners; knows no visitor, and never sees a new subject's reaction.
"""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from fsl.bandits.by_scene import Spread, by_scene, scene_of_subject
from fsl.bandits.posterior import Belief
from fsl.learners.closed_form import ALPaCA
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.learners.family import recommender
from fsl.learners.gaussian_process import PreferenceGP
from fsl.tasks import Tasks


class Prior(Protocol):
    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Prior":
        """Learn from other people's behaviour."""

    def belief(self, subjects: Tensor, arms: Tensor) -> Belief:
        """subjects: places in the tasks' subject_features, int64 [n]; arms: places of objects, int64 [n, A]."""


@dataclass(eq=False)
class MetaPrior:
    """The meta-learned prior of a Bayesian linear head: mean and covariance from the training tasks by empirical Bayes.

        r = base_o + φ_o·w + ε,   w ~ N(Mᵀ[1, x], P),   ε ~ N(0, σ² + doubt_o)

    x is the subject's content: demographics, and in scene-tasks the scene, so that the prior is conditional on both.
    base, φ (1 and the item's factors), M, P and σ² are `EmpiricalBayes`' (EB+). Of `n_fits` EM runs from different
    starts the features stand side by side, with mean m_f / n_fits and covariances P_f / n_fits along the diagonal: the
    ratings' mean and covariance are then the means of the runs'. scenes_differ: in scene-tasks P and the noise are each
    scene's own, see `by_scene`.
    """

    n_factors: int = 4
    n_fits: int = 3
    subject_shrinkage: float = 50.0
    use_content: bool = True
    scenes_differ: bool = True
    seed: int = 0
    learner: EmpiricalBayes = field(init=False, repr=False, default=None)

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "MetaPrior":
        """EM on the training tasks (`EmpiricalBayes`), then each scene's own spread where tasks have scenes."""
        self.learner = EmpiricalBayes(
            self.n_factors,
            self.n_fits,
            use_content=self.use_content,
            subject_shrinkage=self.subject_shrinkage,
            seed=self.seed,
        ).fit(tasks)
        self.scene = scene_of_subject(tasks)
        if not self.scenes_differ:
            self.scene = torch.zeros_like(self.scene)
        one = torch.ones(1, dtype=torch.float64)
        self.spreads = [
            by_scene(fit, tasks, self.scene)
            if self.scene.any()
            else Spread(fit.covariance[None], one)
            for fit in self.learner.fits
        ]
        return self

    @property
    def features(self) -> Tensor:
        """φ of all objects, the runs side by side: [n_objects, p]."""
        return torch.cat([fit.loadings for fit in self.learner.fits], dim=1)

    def belief(self, subjects: Tensor, arms: Tensor) -> Belief:
        """Base, φ, Mᵀ[1, x], P and σ² + doubt, each the mean of the runs; P and σ² of the subject's scene."""
        fits, scene = self.learner.fits, self.scene[subjects]
        n = len(fits)
        mean = torch.cat([fit.subject_means[subjects] for fit in fits], dim=1) / n
        covariance = torch.stack([
            torch.block_diag(*parts) / n
            for parts in zip(*(spread.covariance for spread in self.spreads), strict=True)
        ])  # fmt: skip
        base = torch.stack([fit.base for fit in fits]).mean(0)
        noises = [
            (f.noise + f.doubt) * s.noise[:, None] for f, s in zip(fits, self.spreads, strict=True)
        ]
        noise = torch.stack(noises).mean(0)[scene]
        return Belief(
            base[arms],
            _rows(self.features, arms),
            mean,
            covariance[scene],
            noise.gather(1, arms),
            torch.stack([fit.doubt for fit in fits]).mean(0)[arms],
        )


@dataclass(eq=False)
class FlatPrior:
    """The ruler that knows no people: r = μ + φ·w + ε with w ~ N(0, width² I), the same for everyone.

    φ = [1, the item's own columns], standardised. Of the training tasks only μ (their mean) and the noise (the variance
    within a task) are used. With `borrowed`, a fitted `MetaPrior`, φ = [1, its base, its factors]: then the features
    are learned, and only the prior's mean and covariance are flat.
    """

    width: float = 1.0
    borrowed: MetaPrior | None = None

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "FlatPrior":
        """μ: mean of the tasks' means; σ²: mean square within tasks; φ: standardised columns."""
        self.middle = tasks.task_means.double().mean()
        left = tasks.targets.double() - tasks.task_means[tasks.task_of_row].double()
        self.noise = left.square().mean().clamp(min=1e-6)
        columns = tasks.object_features.double()
        if self.borrowed is not None:
            first = self.borrowed.learner.fits[0]
            columns = torch.cat([first.base[:, None], first.loadings[:, 1:]], 1)
        self.phi = _standardised(columns)
        return self

    def belief(self, subjects: Tensor, arms: Tensor) -> Belief:
        """μ, φ, mean 0, width² I and σ², the same for everyone."""
        n, p = len(subjects), self.phi.shape[1]
        wide = self.width**2 * torch.eye(p, dtype=torch.float64)
        level = torch.zeros(arms.shape, dtype=torch.float64)
        return Belief(
            level + self.middle,
            _rows(self.phi, arms),
            torch.zeros(n, p, dtype=torch.float64),
            wide.expand(n, p, p),
            level + self.noise,
        )


@dataclass(eq=False)
class ALPaCAPrior:
    """The Bayesian linear head on features of a network, all of them meta-learned (`ALPaCA`): w ~ N(k₀, σ² Λ₀⁻¹)."""

    n_iterations: int = 400
    seed: int = 0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "ALPaCAPrior":
        """Train `ALPaCA` on episodes of the tasks."""
        self.learner = recommender("ALPaCA", n_iterations=self.n_iterations, seed=self.seed)
        self.learner.fit(tasks, validation)
        return self

    def belief(self, subjects: Tensor, arms: Tensor) -> Belief:
        """k₀, σ² Λ₀⁻¹ and the network's features, in the ratings' unit (times the residuals' scale)."""
        head: ALPaCA = self.learner.method
        inputs = torch.stack([subjects[:, None].expand_as(arms), arms], dim=-1)
        scale = self.learner.residual.scale.double()
        with head.judging():
            phi = head.body(inputs).double() * scale
            noise = head.log_noise.exp().double()
            covariance = noise * torch.linalg.inv(head.prior_precision.double())
            mean = head.prior_mean.double().expand(len(subjects), -1)
        base = self.learner.residual.bias.prior(inputs).double()
        own = (noise * scale**2).expand(arms.shape)
        return Belief(base, phi, mean, covariance.expand(len(subjects), -1, -1), own)


@dataclass(eq=False)
class ProcessPrior:
    """A Gaussian process as a prior: base is its mean, φ the Cholesky factor of the arms' covariance, w ~ N(0, I).

    For shops as small as phones-99: `PreferenceGP` is exact and conditions each subject on all training rows. O(n A³).
    """

    prior_width: float = 1.0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "ProcessPrior":
        """Fit `PreferenceGP` by marginal likelihood."""
        self.learner = PreferenceGP(prior_width=self.prior_width).fit(tasks)
        return self

    def belief(self, subjects: Tensor, arms: Tensor) -> Belief:
        """Mean and L of L Lᵀ = the arms' joint covariance, with an edge of 1e-9 of its mean diagonal."""
        inputs = torch.stack([subjects[:, None].expand_as(arms), arms], dim=-1)
        mean, covariance, noise = self.learner.joint(inputs)
        n, p = arms.shape
        one = torch.eye(p, dtype=torch.float64)
        edge = 1e-9 * covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None] * one
        features = torch.linalg.cholesky(covariance + edge)
        return Belief(mean, features, mean.new_zeros(n, p), one.expand(n, p, p), noise.expand(n, p))


def _rows(features: Tensor, arms: Tensor) -> Tensor:
    """φ of each visitor's arms; one copy for all where everyone has the same arms (a row that was expanded)."""
    shared = arms.stride(0) == 0 or len(arms) == 1
    return features[arms[:1] if shared else arms]


def _standardised(x: Tensor) -> Tensor:
    """[1, z-scores], [n, 1 + d]; a constant column becomes 0."""
    z = (x - x.mean(0)) / x.std(0, correction=0).clamp(min=1e-9)
    return torch.cat([torch.ones(len(x), 1, dtype=torch.float64), z], dim=1)
