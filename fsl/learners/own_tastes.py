"""What each object adds for subjects of a content: every user's own taste for what a new item is. A ridge per object.

Knows tasks and linear algebra; knows no support and no query. The slopes are float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.learners.factor_analysis import with_one
from fsl.tasks import Tasks


@dataclass(frozen=True)
class OwnTastes:
    """t_so = T_o · [1, x_s]. content: [1, x] of every subject, [n_subjects, 1 + d]; slopes: T, [n_objects, 1 + d]."""

    content: Tensor
    slopes: Tensor

    def of(self, subjects: Tensor, objects: Tensor) -> Tensor:
        """t of subjects and objects, both of one shape or broadcast to one."""
        return (self.content[subjects] * self.slopes[objects]).sum(-1)


def own_tastes(tasks: Tasks, left: Tensor, shrinkage: float) -> OwnTastes:
    """Fit the slopes to `left`, what a first guess left of every behaviour of `tasks`, [n_rows].

        T_o = (X_oᵀ X_o + λI)⁻¹ X_oᵀ left_o        λ = `shrinkage`, in rows; the first slope, of 1, is shrunk as well

    X_o: [1, x] of the subjects that object o has met, x standardised over the training subjects. An object that met
    nobody has slopes of 0. Ridge regression (Hoerl & Kennard 1970), one per object of n rows: O(n d min(n, d)).
    """
    content = with_one(standardised(tasks.subject_features, tasks.subjects))
    whose = tasks.subjects[tasks.task_of_row]
    n_objects = len(tasks.object_ids)
    slopes = torch.zeros(n_objects, content.shape[1], dtype=content.dtype)
    counts = torch.bincount(tasks.objects, minlength=n_objects).tolist()
    for o, rows in enumerate(tasks.objects.argsort(stable=True).split(counts)):
        if len(rows):
            slopes[o] = _ridge(content[whose[rows]], left[rows], shrinkage)
    return OwnTastes(content, slopes)


def _ridge(x: Tensor, y: Tensor, shrinkage: float) -> Tensor:
    """(XᵀX + λI)⁻¹ Xᵀ y, or its equal Xᵀ (XXᵀ + λI)⁻¹ y where that system is the smaller one: [n, d], [n] -> [d]."""
    if len(x) < x.shape[1]:
        return x.T @ torch.linalg.solve(x @ x.T + shrinkage * _one(len(x), x), y)
    return torch.linalg.solve(x.T @ x + shrinkage * _one(x.shape[1], x), x.T @ y)


def _one(n: int, like: Tensor) -> Tensor:
    return torch.eye(n, dtype=like.dtype)


def standardised(x: Tensor, rows: Tensor | None = None) -> Tensor:
    """Columns of zero mean and unit spread over `rows`; a column that is constant there says nothing: 0 everywhere.

    A spread below .05 is taken as .05: a flag that one row in a thousand has would else stand for thirty spreads.
    """
    seen = x if rows is None else x[rows]
    if not seen.numel():
        return x
    mean, spread = seen.mean(0), seen.std(0, correction=0)
    return torch.where(spread > 1e-6, (x - mean) / spread.clamp(min=0.05), 0)
