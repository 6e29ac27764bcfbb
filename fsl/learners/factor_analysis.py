"""Factor analysis of ratings by EM: what objects are like, and how subjects differ, both with a prior from content.

Knows tasks and linear algebra; knows no support and no query. Everything is float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.tasks import Tasks

_LEAST = 1e-6


@dataclass(frozen=True)
class FactorAnalysis:
    """r = μ + b_o + w·φ_o + ε with φ_o = [1, v_o], w ~ N(Mᵀ[1, x], P) for a subject of content x, ε ~ N(0, σ²).

    base: μ + b_o, [n_objects]. loadings: φ, [n_objects, 1 + d]. subject_means: Mᵀ[1, x] of every subject,
    [n_subjects, 1 + d]. covariance: P. noise: σ². doubt: what is not known of b_o and v_o, as a variance of a
    rating, [n_objects]. content: M, [1 + d_s, 1 + d] (with steps more rows), for a subject that is not among them.
    """

    base: Tensor
    loadings: Tensor
    subject_means: Tensor
    covariance: Tensor
    noise: Tensor
    doubt: Tensor
    content: Tensor

    def before_support(self, subjects: Tensor, objects: Tensor) -> Tensor:
        """The mean of a rating by content alone, b_o + φ_o · Mᵀ[1, x]; subjects and objects broadcast to one shape."""
        return self.base[objects] + (self.loadings[objects] * self.subject_means[subjects]).sum(-1)


def factor_analysis(
    tasks: Tasks,
    n_factors: int = 4,
    n_iterations: int = 20,
    object_shrinkage: float = 10.0,
    subject_shrinkage: float = 50.0,
    use_content: bool = True,
    n_steps: int = 0,
    seed: int = 0,
) -> FactorAnalysis:
    """Fit by EM on all behaviours of `tasks`; the starting v are drawn with `seed`, and end in a local optimum.

        [b_o, v_o] ~ N(Bᵀ[1, g_o], diag(s))   for an object of content g

    An E-step gives each subject's posterior of w; an M-step each object's posterior of [b, v], and from the moments of
    both P, s and σ². M and B are ridge regressions with the penalties `subject_shrinkage` and `object_shrinkage` (in
    rows); without content they are means. n_steps: content of many values (a year, an age) also enters as that many
    steps, see `stepped`; 0 is straight lines alone. A form of probabilistic matrix factorisation (Salakhutdinov & Mnih
    2008) with covariates (Agarwal & Chen 2009). O(rows d²) per iteration.
    """
    shrinkages = (object_shrinkage, subject_shrinkage)
    fit = _Fit(tasks, n_factors, shrinkages, use_content, n_steps, seed)
    for _ in range(n_iterations):
        fit.subjects_step()
        fit.objects_step()
        fit.rescale()
        fit.noise_step()
    return fit.result()


def with_one(x: Tensor, use: bool = True) -> Tensor:
    """[1, x] for every row, or [1] alone."""
    one = torch.ones(len(x), 1, dtype=torch.float64)
    return torch.cat([one, x.double()], dim=1) if use else one


def stepped(x: Tensor, rows: Tensor, n_steps: int) -> Tensor:
    """x and, for each column of more than `n_steps` values over `rows`, whether it is above each inner quantile.

    The quantiles, at 1/n, 2/n, … (n − 1)/n, are those of `rows`, the training ones. [n, d] -> [n, d + steps].
    """
    blocks = [x]
    for column in x.T if n_steps else ():
        seen = column[rows]
        if len(seen.unique()) > n_steps:
            cuts = seen.quantile(torch.arange(1, n_steps, dtype=x.dtype) / n_steps).unique()
            blocks.append((column[:, None] > cuts).to(x))
    return torch.cat(blocks, dim=1)


def _ridge(x: Tensor, y: Tensor, shrinkage: float) -> Tensor:
    """(XᵀX + λI)⁻¹ Xᵀ Y; the first column, of ones, is not shrunk."""
    penalty = torch.full((x.shape[1],), float(shrinkage), dtype=x.dtype)
    penalty[0] = _LEAST
    return torch.linalg.solve(x.T @ x + penalty.diag(), x.T @ y)


def _outer(a: Tensor) -> Tensor:
    return a[:, :, None] * a[:, None, :]


def _sums(index: Tensor, values: Tensor, n: int) -> Tensor:
    return torch.zeros(n, *values.shape[1:], dtype=values.dtype).index_add_(0, index, values)


class _Fit:
    """The state between steps. m, S: posterior mean and covariance of each task's w. L, C: likewise of each [b, v]."""

    def __init__(self, tasks: Tasks, d: int, shrinkages, content: bool, n_steps: int, seed: int):
        self.owner, self.objects = tasks.task_of_row, tasks.objects
        self.n_tasks, self.n_objects, self.d = len(tasks), len(tasks.object_ids), d
        self.mean = tasks.task_means.double().mean()
        self.y = tasks.targets.double() - self.mean
        self.seen = torch.bincount(self.objects, minlength=self.n_objects) > 0
        self.x = with_one(stepped(tasks.subject_features, tasks.subjects, n_steps), content)
        self.own_x = self.x[tasks.subjects]
        self.g = with_one(stepped(tasks.object_features, self.seen, n_steps), content)
        self.shrinkages = shrinkages
        generator = torch.Generator().manual_seed(seed)
        start = 0.3 * torch.randn(self.n_objects, d, generator=generator, dtype=torch.float64)
        self.L = torch.cat([torch.zeros(self.n_objects, 1, dtype=torch.float64), start], dim=1)
        self.M = torch.zeros(self.x.shape[1], d + 1, dtype=torch.float64)
        self.B = torch.zeros(self.g.shape[1], d + 1, dtype=torch.float64)
        self.P = 0.3 * torch.eye(d + 1, dtype=torch.float64)
        self.spread = torch.full((d + 1,), 0.2, dtype=torch.float64)
        self.noise = self.y.var().clamp(min=_LEAST)

    @property
    def phi(self) -> Tensor:
        return torch.cat([torch.ones_like(self.L[:, :1]), self.L[:, 1:]], dim=1)

    def subjects_step(self) -> None:
        phi = self.phi[self.objects]
        left = (self.y - self.L[self.objects, 0])[:, None]
        gram = _sums(self.owner, _outer(phi), self.n_tasks) / self.noise
        moment = _sums(self.owner, phi * left, self.n_tasks) / self.noise
        precision = torch.linalg.inv(self.P)
        self.S = torch.linalg.inv(gram + precision)
        self.m = (self.S @ (moment + self.own_x @ self.M @ precision)[..., None])[..., 0]
        self.M = _ridge(self.own_x, self.m, self.shrinkages[1])
        self.P = (self.S + _outer(self.m - self.own_x @ self.M)).mean(0)
        self.P += _LEAST * torch.eye(self.d + 1)

    def objects_step(self) -> None:
        z = torch.cat([torch.ones_like(self.m[:, :1]), self.m[:, 1:]], dim=1)
        second = _outer(z)
        second[:, 1:, 1:] += self.S[:, 1:, 1:]
        offset = z * self.m[:, :1]  # E[z w₀], to be taken off the moment
        offset[:, 1:] += self.S[:, 1:, 0]
        gram = _sums(self.objects, second[self.owner], self.n_objects) / self.noise
        rows = z[self.owner] * self.y[:, None] - offset[self.owner]
        moment = _sums(self.objects, rows, self.n_objects) / self.noise
        self.C = torch.linalg.inv(gram + (1 / self.spread).diag())
        self.L = (self.C @ (moment + self.g @ self.B / self.spread)[..., None])[..., 0]
        self.B = _ridge(self.g[self.seen], self.L[self.seen], self.shrinkages[0])
        if self.B.shape[0] == 1:
            self.B[:, 1:] = 0
        beyond = (self.L - self.g @ self.B)[self.seen].square()
        self.spread = (
            (beyond + self.C[self.seen].diagonal(dim1=1, dim2=2)).mean(0).clamp(min=_LEAST)
        )

    def rescale(self) -> None:
        """Only v·w is known: give w's entries unit variance, and v the scale."""
        scale = torch.cat([torch.ones(1, dtype=torch.float64), self.P.diagonal()[1:].sqrt()])
        self.L, self.B, self.spread = self.L * scale, self.B * scale, self.spread * scale.square()
        self.C = self.C * scale[:, None] * scale
        self.M, self.m = self.M / scale, self.m / scale
        self.P, self.S = (x / scale[:, None] / scale for x in (self.P, self.S))

    def noise_step(self) -> None:
        phi, m = self.phi[self.objects], self.m[self.owner]
        errors = self.y - self.L[self.objects, 0] - (phi * m).sum(1)
        z = torch.cat([torch.ones_like(m[:, :1]), m[:, 1:]], dim=1)
        doubt = _quadratic(phi, self.S[self.owner]) + _quadratic(z, self.C[self.objects])
        self.noise = (errors.square() + doubt).mean().clamp(min=_LEAST)

    def result(self) -> FactorAnalysis:
        of_weights = torch.zeros_like(self.P)
        of_weights[0, 0], of_weights[1:, 1:] = 1, self.P[1:, 1:]
        doubt = (self.C * of_weights).sum((1, 2))
        means = self.x @ self.M
        base = self.mean + self.L[:, 0]
        return FactorAnalysis(base, self.phi, means, self.P, self.noise, doubt, self.M)


def _quadratic(x: Tensor, matrix: Tensor) -> Tensor:
    """xᵀ A x of every row: [n, d], [n, d, d] -> [n]."""
    return torch.einsum("ni,nij,nj->n", x, matrix, x)
