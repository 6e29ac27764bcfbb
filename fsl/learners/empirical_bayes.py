"""Empirical Bayes: a Gaussian prior of tastes fitted on training tasks, and its exact posterior for a new one.

Fitted, but without learned features: a baseline, and the one that a meta-learner has to beat.
"""

from copy import copy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import Learner, Predictive, mask_of
from fsl.learners.factor_analysis import FactorAnalysis, factor_analysis
from fsl.learners.own_tastes import OwnTastes, own_tastes
from fsl.tasks import Tasks


@dataclass(frozen=True)
class Prior:
    """What is expected before the support: mean of support and query rows, covariance of both, noise of support rows.

    mean: [n_tasks, K], asked_mean: [n_tasks, n_query], among: [n_tasks, K, K], across: [n_tasks, n_query, K],
    asked: [n_tasks, n_query], the query's own variance, noise and doubt included; noise: [n_tasks, K].
    """

    mean: Tensor
    asked_mean: Tensor
    among: Tensor
    across: Tensor
    asked: Tensor
    noise: Tensor


def prior_of(fits: list[FactorAnalysis], inputs: Tensor, query_inputs: Tensor) -> Prior:
    """The mean of the priors of several fits: they differ in where EM began, and the mean is better than each."""
    parts = [_prior_of_one(fit, inputs, query_inputs) for fit in fits]
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Prior(*(sum(column) / len(fits) for column in columns))


def _prior_of_one(fit: FactorAnalysis, inputs: Tensor, query_inputs: Tensor) -> Prior:
    known, asked = inputs[..., 1], query_inputs[..., 1]
    whose = query_inputs[:, :1, 0]
    phi, phi_q = fit.loadings[known], fit.loadings[asked]
    spread = phi_q @ fit.covariance
    return Prior(
        mean=fit.before_support(whose, known),
        asked_mean=fit.before_support(whose, asked),
        among=phi @ fit.covariance @ phi.mT,
        across=spread @ phi.mT,
        asked=(spread * phi_q).sum(-1) + fit.noise + fit.doubt[asked],
        noise=fit.noise + fit.doubt[known],
    )


def posterior(
    prior: Prior, support: Examples, noise_scale: float = 1.0
) -> tuple[Predictive, Tensor]:
    """The Gaussian posterior of the query given the support, and α = (K + Σ)⁻¹ (y − mean), [n_tasks, K].

    mean = m_q + K_q α, variance = k_qq − K_q (K + Σ)⁻¹ K_qᵀ (Rasmussen & Williams 2006, eq. 2.23 and 2.24); Σ is the
    noise times `noise_scale`. Each support row adds K_q α to the mean, row by row.
    """
    mask = mask_of(support).double()
    across = prior.across * mask[:, None]
    gram = prior.among * mask[:, :, None] * mask[:, None] + torch.diag_embed(
        torch.where(mask > 0, prior.noise * noise_scale, 1)
    )
    left = torch.where(mask > 0, support.targets - prior.mean, 0)
    solved = torch.linalg.solve(gram, torch.cat([left[..., None], across.mT], dim=-1))
    alpha, explained = solved[..., 0], (across * solved[..., 1:].mT).sum(-1)
    mean = prior.asked_mean + (across @ alpha[..., None])[..., 0]
    return Predictive(mean, (prior.asked - explained).clamp(min=1e-6)), alpha


@dataclass(eq=False)
class EmpiricalBayes(Learner):
    """r = μ + b_o + w·[1, v_o] + ε, w ~ N(m, P): prior by EM on training tasks, exact posterior on a new one's support.

    use_content: b, v and m have a prior from content (EB+), else from the training tasks alone (EB). n_fits: EM runs
    from as many starts, whose priors are averaged. noise_scale: how much less than σ² says support is trusted.
    subject_shrinkage, n_steps: of m in content, as `factor_analysis` has them. taste_shrinkage: λ of `own_tastes`: what
    these priors leave of the training ratings at K = 0 is fitted by slopes of each object's own in the subjects'
    content, which then shift the mean; None does without. It pays where subjects are new items: users differ in
    what they make of a genre or a brand in more ways than a few factors hold.
    Gives a variance. Fails where tastes are not linear in a few factors.
    """

    n_factors: int = 4
    n_fits: int = 1
    n_iterations: int = 20
    use_content: bool = True
    noise_scale: float = 1.0
    subject_shrinkage: float = 50.0
    n_steps: int = 0
    taste_shrinkage: float | None = None
    seed: int = 0
    tastes: OwnTastes | None = field(init=False, repr=False, default=None)
    fits: list[FactorAnalysis] = field(init=False, repr=False, default_factory=list)

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "EmpiricalBayes":
        self.fits = [
            factor_analysis(
                tasks,
                self.n_factors,
                self.n_iterations,
                subject_shrinkage=self.subject_shrinkage,
                use_content=self.use_content,
                n_steps=self.n_steps,
                seed=self.seed + i,
            )
            for i in range(self.n_fits)
        ]
        self.tastes = self._tastes(tasks, self.taste_shrinkage)
        return self

    def with_tastes(self, tasks: Tasks, shrinkage: float | None) -> "EmpiricalBayes":
        """The same fit of `tasks` with `taste_shrinkage` another, as fitting again would give it."""
        if shrinkage == self.taste_shrinkage:
            return self
        other = copy(self)
        other.taste_shrinkage, other.tastes = shrinkage, self._tastes(tasks, shrinkage)
        return other

    def _tastes(self, tasks: Tasks, shrinkage: float | None) -> OwnTastes | None:
        if shrinkage is None:
            return None
        return own_tastes(tasks, tasks.targets - self._before_support(tasks), shrinkage)

    def _before_support(self, tasks: Tasks) -> Tensor:
        """The prior's mean of every behaviour of `tasks`, [n_rows]."""
        whose = tasks.subjects[tasks.task_of_row]
        means = [fit.before_support(whose, tasks.objects) for fit in self.fits]
        return sum(means) / len(means)

    def prior(self, inputs: Tensor, query_inputs: Tensor) -> Prior:
        """The mean of the fits' priors (`prior_of`), shifted by the objects' own tastes if it has any."""
        prior = prior_of(self.fits, inputs, query_inputs)
        if self.tastes is None:
            return prior
        subject = query_inputs[:, :1, 0]
        return replace(
            prior,
            mean=prior.mean + self.tastes.of(subject, inputs[..., 1]),
            asked_mean=prior.asked_mean + self.tastes.of(subject, query_inputs[..., 1]),
        )

    def distribution(self, support: Examples, query_inputs: Tensor) -> Predictive:
        """Mean and variance of every query rating, [n_tasks, n_query] each."""
        prior = self.prior(support.inputs, query_inputs)
        found, _ = posterior(prior, support, self.noise_scale)
        return Predictive(found.mean.float(), found.variance.float())

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        return self.distribution(support, query_inputs).mean
