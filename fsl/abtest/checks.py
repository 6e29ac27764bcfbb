"""Before a difference is believed: did the split come out as planned, and is the effect the same everywhere?"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

SUSPICIOUS = 0.001  # Fabijan and others 2019: below it the split is broken, not unlucky


@dataclass(frozen=True)
class SampleRatio:
    """Users seen in control and treatment, the treatment's planned share, and how likely such a split is by chance."""

    control: int
    treatment: int
    share: float
    p: float

    @property
    def suspicious(self) -> bool:
        """Whether the split is not the planned one, so that nothing else should be read."""
        return self.p < SUSPICIOUS


def sample_ratio(control: int, treatment: int, share: float = 0.5) -> SampleRatio:
    """χ² = Σ (seen − planned)² / planned with one degree of freedom, planned n (1 − share) and n share.

    Source: Fabijan and others (2019), Diagnosing Sample Ratio Mismatch.
    """
    n = control + treatment
    planned = np.array([n * (1 - share), n * share])
    p = stats.chisquare([control, treatment], planned).pvalue
    return SampleRatio(int(control), int(treatment), share, float(p))


def heterogeneity(values: np.ndarray, errors: np.ndarray) -> float:
    """p of Cochran's Q = Σ (d_i − d̄)² / s_i², d̄ weighted by 1/s_i², against χ² with m − 1 degrees: do segments differ?

    values, errors: [m], one per segment. nan for fewer than two segments with an error (Cochran 1954).
    """
    usable = np.isfinite(errors)
    d, weight = values[usable], 1 / errors[usable] ** 2
    if len(d) < 2:
        return float("nan")
    q = (weight * (d - (weight * d).sum() / weight.sum()) ** 2).sum()
    return float(stats.chi2.sf(q, len(d) - 1))
