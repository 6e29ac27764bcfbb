"""Matrix factorisation of implicit feedback, and a new task folded in. Alternating least squares, no training loop."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.catalogue import RankingLearner, met_matrix, support_matrix
from fsl.tasks import Tasks

_ROWS_AT_ONCE = 1 << 15


@dataclass(eq=False)
class ImplicitALS(RankingLearner):
    """min Σ_ui c_ui (x_ui − p_u·q_i)² + λ (Σ‖p‖² + Σ‖q‖²), x = 1 where met, c = 1 + α there, else 1 (Hu et al. 2008).

    Both sides alternate in closed form; a new task's p is the same solve on its support, q fixed:
    p = (QᵀQ + α Σ_support q qᵀ + λI)⁻¹ (1 + α) Σ_support q.
    """

    n_factors: int = 32
    confidence: float = 10.0
    shrinkage: float = 10.0
    n_sweeps: int = 8
    likes: float | None = None
    seed: int = 0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "ImplicitALS":
        """`n_sweeps` times p with q fixed, then q with p fixed, each exact."""
        met = met_matrix(tasks, self.likes)
        generator = torch.Generator().manual_seed(self.seed)
        self.factors = 0.1 * torch.randn(met.shape[1], self.n_factors, generator=generator)
        by_object = met.T.tocsr()
        for _ in range(self.n_sweeps):
            subjects = self._solved(met, self.factors)
            self.factors = self._solved(by_object, subjects)
        return self

    def scores(self, support: Examples) -> Tensor:
        """p·q of all objects, p the solve on the support."""
        met = support_matrix(support, len(self.factors), self.likes)
        return self._solved(met, self.factors) @ self.factors.T

    def _solved(self, met, factors: Tensor) -> Tensor:
        """One side's factors, the other fixed: [n_rows, n_factors] of a CSR matrix [n_rows, n_others]."""
        d = factors.shape[1]
        base = factors.T @ factors + self.shrinkage * torch.eye(d)
        gram, moment = base.repeat(met.shape[0], 1, 1), torch.zeros(met.shape[0], d)
        owner = torch.from_numpy(np.repeat(np.arange(met.shape[0]), np.diff(met.indptr)))
        other = torch.from_numpy(met.indices.astype(np.int64))
        for part in torch.arange(len(owner)).split(_ROWS_AT_ONCE):
            q = factors[other[part]]
            gram.index_add_(0, owner[part], self.confidence * q[:, :, None] * q[:, None, :])
            moment.index_add_(0, owner[part], (1 + self.confidence) * q)
        return torch.linalg.solve(gram, moment)
