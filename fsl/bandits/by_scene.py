"""A fitted prior scene by scene: its covariance and its noise, estimated anew with the features held fixed.

Knows one `FactorAnalysis` and tasks; knows no policy. Everything is float64.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from fsl.learners.factor_analysis import FactorAnalysis
from fsl.tasks import Tasks


class Spread(NamedTuple):
    """covariance: P_s of tastes, [n_scenes, p, p]; noise: κ_s, the factor on each rating's noise, [n_scenes]."""

    covariance: Tensor
    noise: Tensor


def scene_of_subject(tasks: Tasks) -> Tensor:
    """Each subject's scene as a number from 0, int64 [n_subjects]; all 0 where the subjects' features know no scene."""
    columns = [i for i, n in enumerate(tasks.subject_feature_names) if n.startswith("scene=")]
    if tasks.kind != "scene" or not columns:
        return torch.zeros(len(tasks.subject_ids), dtype=torch.long)
    return tasks.subject_features[:, columns].argmax(1)


def by_scene(
    fit: FactorAnalysis, tasks: Tasks, scene: Tensor, n_iterations: int = 15, trust: float = 50.0
) -> Spread:
    """EM for P_s, κ_s: w ~ N(m_x, P_s), r = base + φ·w + ε, ε ~ N(0, κ_s (σ² + doubt_o)); base, φ, m_x are `fit`'s.

        P_s <- (trust · P + Σ_{tasks of s} [S + (w̄ − m)(w̄ − m)ᵀ]) / (trust + n_s)

    scene: [n_subjects], see `scene_of_subject`. P, the prior of all scenes, counts as much as `trust` tasks, so a scene
    with few tasks keeps it. The means are already the scene's own: the scene is among the contents x.
    """
    owner, objects = tasks.task_of_row, tasks.objects
    n_scenes, own = int(scene.max()) + 1, scene[tasks.subjects]
    phi, noise = fit.loadings[objects], (fit.noise + fit.doubt)[objects]
    prior_mean = fit.subject_means[tasks.subjects]
    left = tasks.targets.double() - fit.base[objects] - (phi * prior_mean[owner]).sum(1)
    gram = _sum(owner, phi[:, :, None] * phi[:, None] / noise[:, None, None], len(tasks))
    moment = _sum(owner, phi * (left / noise)[:, None], len(tasks))
    counts = torch.bincount(own, minlength=n_scenes).double()
    rows = torch.bincount(own[owner], minlength=n_scenes).double()
    covariance = fit.covariance.expand(n_scenes, -1, -1)
    kappa = torch.ones(n_scenes, dtype=torch.float64)
    for _ in range(n_iterations):
        precision = torch.linalg.inv(covariance)[own]
        left_over = torch.linalg.inv(gram / kappa[own, None, None] + precision)
        shift = (left_over @ (moment / kappa[own, None])[..., None])[..., 0]
        second = left_over + shift[:, :, None] * shift[:, None]
        sums = trust * fit.covariance + _sum(own, second, n_scenes)
        covariance = sums / (trust + counts)[:, None, None]
        misses = (left - (phi * shift[owner]).sum(1)).square()
        misses = misses + torch.einsum("ri,rij,rj->r", phi, left_over[owner], phi)
        kappa = (trust + _sum(own[owner], misses / noise, n_scenes)) / (trust + rows)
    return Spread(covariance, kappa)


def _sum(index: Tensor, values: Tensor, n: int) -> Tensor:
    return torch.zeros(n, *values.shape[1:], dtype=values.dtype).index_add_(0, index, values)
