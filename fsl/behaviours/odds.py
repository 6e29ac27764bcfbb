"""From scores to probabilities: a logistic curve in the score and in how popular a thing is. Knows no learner."""

from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fsl.episodes import Examples
from fsl.errors import InputError

_FEWEST_PAIRS = 50  # to fit a curve on


@dataclass
class Odds:
    """P(taken) = σ(a + b · score + c · log(1 + n_i)), one curve for each K. popularity: n_i, [n_objects]."""

    popularity: Tensor
    curves: dict[int, tuple[np.ndarray, np.ndarray, LogisticRegression]] = field(
        default_factory=dict
    )

    def fit(self, k: int, scores: Tensor, query: Examples) -> "Odds":
        """Fit the curve of K on the pairs of validation users; scores: [n_tasks, n_query]."""
        mask = query.mask
        x = self._columns(scores, query.inputs)[mask.numpy()]
        y = query.targets[mask].numpy()
        if len(y) < _FEWEST_PAIRS:
            raise InputError(
                f"{len(y)} pairs of validation users are too few to fit probabilities on: "
                f"at least {_FEWEST_PAIRS} are needed"
            )
        mean, spread = x.mean(0), np.maximum(x.std(0), 1e-9)
        self.curves[k] = mean, spread, LogisticRegression(C=100.0).fit((x - mean) / spread, y)
        return self

    def probability(self, k: int, scores: Tensor, query_inputs: Tensor) -> Tensor:
        """[n_tasks, n_query] probabilities of K known things."""
        mean, spread, curve = self.curves[k]
        x = (self._columns(scores, query_inputs) - mean) / spread
        flat = curve.predict_proba(x.reshape(-1, x.shape[-1]))[:, 1]
        return torch.from_numpy(flat).view(scores.shape)

    def _columns(self, scores: Tensor, inputs: Tensor) -> np.ndarray:
        known = self.popularity.log1p()[inputs[..., 1]]
        return torch.stack([scores, known], -1).double().numpy()
