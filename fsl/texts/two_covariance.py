"""A Bayesian head whose prior is learned on other classes: Gaussian classes, in closed form."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fsl.texts.intent_heads import Shots


@dataclass(frozen=True)
class TwoCovariance:
    """Class means μ_n ~ N(m, B), texts z ~ N(μ_n, W): probabilistic LDA (Ioffe 2006, eq. 1 to 4).

        v = (B⁻¹ + K W⁻¹)⁻¹,   μ̂_n = m + v W⁻¹ Σ_k (z_k − m),   score_n = log N(z_q; μ̂_n, v + W)

    In the axes in which W = I and B = diag(b) this is one number per axis. m is the mean of the new task's own classes.
    axes: A float64 [d, d], between: b [d]. How far a mean of K examples is to be believed, axis by axis, is what is
    learned on the other classes; wrong where these differ in other directions than the new ones.
    """

    axes: Tensor
    between: Tensor

    @classmethod
    def fit(cls, z: Tensor, labels: Tensor, shrinkage: float = 1.0) -> "TwoCovariance":
        """W and B of labelled vectors [n, d]; W has `shrinkage` times its mean variance added on the diagonal."""
        z, labels = z.double(), labels.unique(return_inverse=True)[1]
        of_class = one_hot(labels).double()
        sizes = of_class.sum(0)
        means = of_class.T @ z / sizes[:, None]
        inside, across = z - means[labels], means - means.mean(0)
        within = inside.T @ inside / (len(z) - len(sizes))
        within += shrinkage * within.trace() / len(within) * torch.eye(len(within)).double()
        between = across.T @ across / (len(sizes) - 1) - within * (1 / sizes).mean()
        root = torch.linalg.inv(torch.linalg.cholesky(within))
        values, turned = torch.linalg.eigh(root @ between @ root.T)
        return cls(root.T @ turned, values.clamp(min=1e-6))

    def __call__(self, shots: Shots, asked: Tensor) -> Tensor:
        """log N(z_q; …) up to a constant, float32 [n_asked, n_way]. Classes may have different numbers of examples."""
        x, q = shots.z.double() @ self.axes, asked.double() @ self.axes
        of_class = one_hot(shots.labels, shots.n_way).double()
        counts = of_class.sum(0)[:, None]
        m = (of_class.T @ x / counts.clamp(min=1)).mean(0)
        v = 1 / (1 / self.between + counts)
        mean, variance = m + v * (of_class.T @ (x - m)), v + 1
        return gaussian(q, mean, variance).float()


def gaussian(q: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """log N(q; mean_n, diag variance_n) + d log(2π) / 2: [m, d], [n, d], [n, d] -> [m, n]."""
    weight = 1 / variance
    squares = q.square() @ weight.T - 2 * q @ (mean * weight).T + (mean.square() * weight).sum(-1)
    return -0.5 * (squares + variance.log().sum(-1))
