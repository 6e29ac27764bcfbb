"""The belief of a linear bandit about many visitors at once: Gaussian, updated in closed form, one reaction at a time.

Knows tensors only (float64): no prior is learned here, no visitor simulated.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Belief:
    """r_a = base_a + φ_a·w + ε_a, w ~ N(mean, covariance), ε_a ~ N(0, noise_a), for each of n visitors on their own.

    base, noise: [n, A], A arms; features φ: [n, A, p], or [1, A, p] where all visitors have the same arms; mean:
    [n, p]; covariance: [n, p, p]. All in the unit of the reactions. doubt: [n, A], the part of the noise that is what
    nobody knows of the arm, as a variance; None: nothing is. Updates give a new belief and leave the old.
    """

    base: Tensor
    features: Tensor
    mean: Tensor
    covariance: Tensor
    noise: Tensor
    doubt: Tensor | None = None

    def expected(self) -> Tensor:
        """base + φ·mean, what each arm is expected to bring: [n, A]."""
        return self.base + (self.features @ self.mean[..., None])[..., 0]

    def sd(self) -> Tensor:
        """√(φ C φᵀ), how far the expectation may be off (without the noise of one reaction): [n, A]."""
        return (self.features @ self.covariance * self.features).sum(-1).clamp(min=0).sqrt()

    def drawn(self, normals: Tensor, scale: float = 1.0) -> Tensor:
        """One draw of all arms' expectations: base + φ·(mean + scale · L z), L Lᵀ = covariance, z = `normals` [n, p].

        The draws of a visitor's arms belong together, as Thompson sampling wants them: [n, A].
        """
        return replace(self, mean=self.mean + scale * self.deviation(normals)).expected()

    def deviation(self, normals: Tensor) -> Tensor:
        """L z with L Lᵀ = covariance, [n, p]; a covariance that rounding left on the edge gets 1e-9 of its trace."""
        p = self.mean.shape[-1]
        trace = self.covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
        edge = (1e-9 * trace + 1e-12)[:, None, None] * torch.eye(p, dtype=self.mean.dtype)
        lower = torch.linalg.cholesky(self.covariance + edge)
        return (lower @ normals[..., None])[..., 0]

    def after(self, arms: Tensor, reactions: Tensor, here: Tensor | None = None) -> "Belief":
        """The posterior when visitor n met arm arms[n] and gave reactions[n]; where `here` is False nothing was seen.

            g = C φ / (φᵀ C φ + noise),   mean' = mean + g (r − base − φ·mean),   C' = C − g (C φ)ᵀ

        The Kalman filter's step (Bishop 2006, §13.3); a sequence of them equals the batch posterior of Rasmussen &
        Williams 2006, eq. 2.11, whatever the order. arms: int64 [n]; reactions: [n]. O(n p²).
        """
        phi, base, noise = self._of(arms)
        spread = (self.covariance @ phi[..., None])[..., 0]
        gain = spread / ((spread * phi).sum(-1) + noise)[:, None]
        if here is not None:
            gain = gain * here[:, None]
        surprise = reactions.double() - base - (phi * self.mean).sum(-1)
        mean = self.mean + gain * torch.where(gain.any(-1), surprise, 0)[:, None]
        covariance = self.covariance - gain[:, :, None] * spread[:, None, :]
        return replace(self, mean=mean, covariance=(covariance + covariance.mT) / 2)

    def told(self, direction: Tensor, answer: Tensor, noise: Tensor | float) -> "Belief":
        """The posterior after the answer u·w + ε to a question, direction u [n, p], answer [n], noise its variance."""
        one = torch.zeros(len(self.mean), 1, dtype=self.mean.dtype)
        asked = Belief(one, direction[:, None], self.mean, self.covariance, one + noise)
        found = asked.after(torch.zeros(len(one), dtype=torch.long), answer)
        return replace(self, mean=found.mean, covariance=found.covariance)

    def forgetting(self, kept: float, prior: "Belief") -> "Belief":
        """What is known a turn later when tastes drift: w' = m₀ + ρ (w − m₀) + ξ, ξ ~ N(0, (1 − ρ²) C₀), ρ = `kept`.

        The prior N(m₀, C₀) is where an undisturbed belief returns to, so nothing is ever known worse than at the start.
        """
        if not 0 <= kept <= 1:
            raise ValueError(f"kept must be from 0 to 1, got {kept}")
        mean = prior.mean + kept * (self.mean - prior.mean)
        covariance = kept**2 * self.covariance + (1 - kept**2) * prior.covariance
        return replace(self, mean=mean, covariance=covariance)

    def _of(self, arms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = torch.arange(len(arms))
        own = rows if len(self.features) == len(arms) else torch.zeros_like(rows)
        return self.features[own, arms], self.base[rows, arms], self.noise[rows, arms]
