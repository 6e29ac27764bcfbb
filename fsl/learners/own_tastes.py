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
    nobody has slopes of 0. Ridge regression (Hoerl & Kennard 1970), one per object: O(rows d² + objects d³).
    """
    content = with_one(standardised(tasks.subject_features, tasks.subjects))
    whose = tasks.subjects[tasks.task_of_row]
    n_objects, width = len(tasks.object_ids), content.shape[1]
    penalty = shrinkage * torch.eye(width, dtype=content.dtype)
    slopes = torch.zeros(n_objects, width, dtype=content.dtype)
    counts = torch.bincount(tasks.objects, minlength=n_objects).tolist()
    for o, rows in enumerate(tasks.objects.argsort(stable=True).split(counts)):
        if len(rows):
            x = content[whose[rows]]
            slopes[o] = torch.linalg.solve(x.T @ x + penalty, x.T @ left[rows])
    return OwnTastes(content, slopes)


def standardised(x: Tensor, rows: Tensor | None = None) -> Tensor:
    """Columns of zero mean and unit spread over `rows`; a column that is constant there says nothing: 0 everywhere.

    A spread below .05 is taken as .05: a flag that one row in a thousand has would else stand for thirty spreads.
    """
    seen = x if rows is None else x[rows]
    if not seen.numel():
        return x
    mean, spread = seen.mean(0), seen.std(0, correction=0)
    return torch.where(spread > 1e-6, (x - mean) / spread.clamp(min=0.05), 0)
