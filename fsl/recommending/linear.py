"""Linear heads with a Gaussian prior: one small solve adapts them, and each known behaviour's share is exact.

Knows tensors and fitted learners; knows no file and no name.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.recommending.side import Answer, Side
from fsl.tasks import Tasks


@dataclass(frozen=True, eq=False)
class LinearHead:
    """r_o = base_o + w·φ_o + ε_o, w ~ N(m, P), ε_o ~ N(0, noise_o). base, noise: [n]; features φ: [n, p]; m: [p]."""

    base: Tensor
    features: Tensor
    mean: Tensor
    covariance: Tensor
    noise: Tensor

    @property
    def start(self) -> Tensor:
        """base + φ·m, what is expected before any behaviour: [n]."""
        return self.base + self.features @ self.mean

    def adapted(self, places: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What each behaviour adds to every object's mean, [n, K], and the covariance of w that is left, [p, p].

        With Φ the K known rows: α = (Φ P Φᵀ + Σ)⁻¹ (r − start), the shares are φ P Φᵀ α, row by row, and P' = P −
        P Φᵀ (Φ P Φᵀ + Σ)⁻¹ Φ P (Rasmussen & Williams 2006, eq. 2.23 and 2.24, in weight space).
        """
        known = self.features[places]
        spread = self.covariance @ known.T
        gram = known @ spread + self.noise[places].diag()
        left = targets - (self.base[places] + known @ self.mean)
        solved = torch.linalg.solve(gram, torch.cat([left[:, None], spread.T], dim=1))
        shares = self.features @ (spread * solved[:, 0])
        return shares, self.covariance - spread @ solved[:, 1:]

    def sd(self, covariance: Tensor) -> Tensor:
        """The standard deviation of a rating, with w of that covariance: √(φ P' φᵀ + noise), [n]."""
        own = (self.features @ covariance).mul_(self.features).sum(1)
        return (own.clamp_(min=0) + self.noise).sqrt()


@dataclass(frozen=True, eq=False)
class EmpiricalBayesSide(Side):
    """`EmpiricalBayes` (EB+) as tensors: m = weights₀ + Σ_f x_f weights_f, linear in the newcomer's content x.

    Several fits become one, their features side by side: the mean of their priors is the prior of [φ₁ φ₂ …] with
    P₁ / F, P₂ / F, … along the diagonal. usual: the mean content of the training subjects, which stands for a
    newcomer without any.
    """

    SHAPES: ClassVar = {
        "base": "n",
        "noise": "n",
        "features": "n p",
        "covariance": "p p",
        "origin": "p",
        "weights": "f p",
        "usual": "f",
    }
    base: Tensor
    noise: Tensor
    features: Tensor
    covariance: Tensor
    origin: Tensor
    weights: Tensor
    usual: Tensor

    @classmethod
    def fitted(
        cls, tasks: Tasks, n_factors: int = 4, n_fits: int = 3, seed: int = 0
    ) -> "EmpiricalBayesSide":
        """Fit EB+ on those tasks."""
        fits = EmpiricalBayes(n_factors, n_fits, seed=seed).fit(tasks).fits
        content = torch.cat([fit.content for fit in fits], dim=1) / len(fits)
        return cls(
            base=torch.stack([fit.base for fit in fits]).mean(0),
            noise=torch.stack([fit.noise + fit.doubt for fit in fits]).mean(0),
            features=torch.cat([fit.loadings for fit in fits], dim=1),
            covariance=torch.block_diag(*(fit.covariance for fit in fits)) / len(fits),
            origin=content[0].contiguous(),
            weights=content[1:].contiguous(),
            usual=tasks.subject_features[tasks.subjects].double().mean(0),
        )

    def check(self) -> None:
        if not bool((self.noise > 0).all()):
            raise ValueError("its noise is no variance")

    def answer(self, content: Tensor | None, places: Tensor, targets: Tensor) -> Answer:
        beyond = torch.zeros_like(self.usual) if content is None else content - self.usual
        usual = self.origin + self.usual @ self.weights
        mean = usual + beyond @ self.weights
        head = LinearHead(self.base, self.features, mean, self.covariance, self.noise)
        shares, left = head.adapted(places, targets)
        start = self.base + self.features @ usual
        told = self.features @ (self.weights.T * beyond)
        return Answer(start + told.sum(1) + shares.sum(1), head.sd(left), start, told, shares)
