"""All that is known at one moment of a catalogue: how popular each object is, and which objects go together.

From these tables come the inputs of `SetRanker`: for a support set and every object a row of numbers. Knows tasks and
tensors; knows no network. That the tables hold no behaviour of the tasks they are asked about is the caller's care.
"""

import numpy as np
import scipy.sparse
import torch
from scipy.sparse.linalg import svds
from torch import Tensor

from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.learners.base import mask_of
from fsl.learners.catalogue import DAY, dense, is_positive, met_matrix, support_matrix
from fsl.learners.cooccurrence import MOST_OBJECTS, co_occurrences, scaled, unit_content
from fsl.learners.episodic_ridge import EpisodicRidge
from fsl.tasks import Tasks

WINDOWS = (7, 15, 30, 45, 90, 180, 365, 100_000)  # days
N_FACTORS = 64


class Tables:
    """What the behaviours of `tasks` before `now` (Unix seconds; None: no times) say of every object.

    likes: the least target that is positive. stats: [n_objects, n_stats]. factors: [n_objects, N_FACTORS], spectral,
    turned towards those of `anchor` (Procrustes), so that tables of different moments speak one language.
    """

    def __init__(self, tasks: Tasks, now: float | None, likes=None, anchor: Tensor | None = None):
        self.likes, self.n_objects = likes, len(tasks.object_ids)
        met, liked = met_matrix(tasks), met_matrix(tasks, likes)
        self.content = unit_content(tasks) if tasks.object_features.shape[1] else None
        self.stats = _stats(tasks, now, likes, self.content)
        together, n = co_occurrences(liked)
        self.linked = [("liked", scaled(together, n, 10.0), 100.0)]
        self.linked += [("met", _met_to_liked(met, liked), 300.0)]
        if now is not None:
            self.linked += [("liked", table, 300.0) for table in _timed(tasks, now, likes)]
        self.lift = None if self.content is None else _lift(tasks.object_features, together)
        self.factors = _turned(_spectral(met), anchor)
        self.ridge = (
            EpisodicRidge(likes=likes).fit(tasks) if self.n_objects <= MOST_OBJECTS else None
        )

    def pairs(self, support: Examples) -> Tensor:
        """For each task and object: its stats, how it goes with the support, and K. [n_tasks, n_objects, d]."""
        known = {
            "liked": support_matrix(support, self.n_objects, self.likes),
            "met": support_matrix(support, self.n_objects),
        }
        shots = mask_of(support).sum(1, keepdim=True).float()
        columns = [self.stats.expand(len(shots), -1, -1)]
        links = [dense(known[side] @ table) for side, table, _ in self.linked]
        for link, (*_, gain) in zip(links, self.linked, strict=True):
            columns.append((gain * link).log1p()[..., None])
        columns.append(links[0][..., None])
        for alike in self._alike(known["met"], shots.clamp(min=1)):
            columns.append(alike[..., None])
        if self.ridge is not None:
            expected = self.ridge.scores(support)[..., None]
            columns += [expected, expected.clamp(min=2e-3).log()]
        columns.append(shots.log1p()[..., None].expand(-1, self.n_objects, 1))
        return torch.cat(columns, dim=-1)

    def _alike(self, met, shots: Tensor) -> list[Tensor]:
        """Mean likeness of the support to each object by factors and by content: [n_tasks, n_objects] each."""
        found = []
        for n_factors in (N_FACTORS // 4, N_FACTORS):
            unit = _unit(self.factors[:, :n_factors])
            found.append(dense(met @ unit.numpy()) @ unit.T / shots)
        if self.content is not None:
            found.append(dense(met @ self.content.numpy()) @ self.content.T / shots)
            left, right = self.lift
            found.append(dense(met @ left.numpy()) @ right.T / shots)
        return found

    def vectors(self) -> Tensor:
        """Each object's factors, of length about 1: [n_objects, N_FACTORS]."""
        return _unit(self.factors)


def _unit(x: Tensor) -> Tensor:
    return x / (x.norm(dim=1, keepdim=True) + 0.02)


def _stats(tasks: Tasks, now: float | None, likes: float | None, content: Tensor | None) -> Tensor:
    n, objects = len(tasks.object_ids), tasks.objects
    liked = is_positive(tasks.targets, likes)

    def counted(kept: Tensor) -> Tensor:
        return torch.bincount(objects[kept], minlength=n).float()

    ever = counted(torch.ones_like(liked))
    columns = [ever.log1p(), (ever == 0).float()]
    recent = ever
    if likes is not None:
        columns += [counted(liked).log1p(), (counted(liked) + 2) / (ever + 4)]
    if now is not None:
        age = ((now - tasks.times) / DAY).float()
        columns += [counted(age <= days).log1p() for days in WINDOWS[:-1]]
        recent = counted(age <= 90)
        columns += [_days(objects, age, n, "amax"), _days(objects, age, n, "amin")]
    if content is not None:
        of_kind = _mean_over(content, _mean_over(content.T, recent.log1p()))
        columns += [of_kind, recent.log1p() - of_kind]
    return torch.stack(columns, 1)


def _days(objects: Tensor, age: Tensor, n: int, which: str) -> Tensor:
    """log(1 + days) since the first ("amax") or last ("amin") behaviour; 0 where there was none: [n]."""
    found = torch.zeros(n).scatter_reduce_(0, objects, age, which, include_self=False)
    return found.clamp(min=0).log1p()


def _mean_over(weights: Tensor, values: Tensor) -> Tensor:
    """Mean by weights of either sign, as content of numbers has: it stays within the values. Without weights 0."""
    weights = weights.abs()
    return weights @ values / weights.sum(1).clamp(min=1e-9)


def _met_to_liked(met, liked):
    """P(liked i | met j), shrunk: CSR, row j."""
    together = (met.T @ liked).tocsr().astype(np.float32)
    together.setdiag(0)
    together.eliminate_zeros()
    of = np.asarray(met.sum(0)).ravel() + 3.0
    return (scipy.sparse.diags(1 / of) @ together).astype(np.float32).tocsr()


def _timed(tasks: Tasks, now: float, likes: float | None):
    """Two more tables: co-occurrence that fades (half of it in 180 days), and within the same moment (day)."""
    fading = (0.5 ** ((now - tasks.times) / DAY / 180)).float()
    together, n = co_occurrences(met_matrix(tasks, likes, fading))
    yield scaled(together, n, 2.0)
    day = tasks.task_of_row * 100_000 + (tasks.times / DAY).long()
    _, moment = day.unique(return_inverse=True)
    keep = is_positive(tasks.targets, likes)
    where = (moment[keep].numpy(), tasks.objects[keep].numpy())
    shape = (int(moment.max()) + 1 if len(moment) else 0, len(tasks.object_ids))
    at_once = scipy.sparse.coo_matrix((np.ones(len(where[0]), np.float32), where), shape).tocsr()
    together, n = co_occurrences(at_once.minimum(1))
    yield scaled(together, n, 3.0, asymmetry=1.0)


def _lift(features: Tensor, together) -> tuple[Tensor, Tensor]:
    """How much oftener than by chance two kinds of content go together, log, as a product of two thin matrices.

    A = XᵀCX over the features that are set, log((A + 2) / (expected + 2)); X rows sum to 1. -> x A [n, p], x [n, p].
    """
    x = (features != 0).float()
    x = x / x.sum(1, keepdim=True).clamp(min=1)
    a = x.T @ dense(together @ x.numpy())
    expected = a.sum(1)[:, None] * a.sum(0)[None] / a.sum().clamp(min=1e-9)
    return x @ ((a + 2) / (expected + 2)).log(), x


def _spectral(met) -> Tensor:
    """V S of the normalised matrix D_u^−½ X D_i^−½ (its largest singular values), padded to N_FACTORS columns."""
    rows, columns = np.asarray(met.sum(1)).ravel(), np.asarray(met.sum(0)).ravel()
    left, right = (scipy.sparse.diags(1 / np.sqrt(x)) for x in (np.maximum(rows, 1), columns + 5))
    table = (left @ met @ right).astype(np.float64)
    factors = np.zeros((met.shape[1], N_FACTORS), np.float32)
    k = min(N_FACTORS, min(table.shape) - 1)
    if k < 1 or table.nnz == 0:
        return torch.from_numpy(factors)
    _, s, v = svds(table, k=k, v0=np.ones(min(table.shape)))
    order = np.argsort(-s)
    v = v[order] * np.sign(v[order].sum(1, keepdims=True) + 1e-12)
    factors[:, :k] = (v * s[order][:, None]).T
    return torch.from_numpy(factors)


def _turned(factors: Tensor, anchor: Tensor | None) -> Tensor:
    """The rotation that brings the factors nearest to the anchor's (orthogonal Procrustes, Schönemann 1966)."""
    if anchor is None:
        return factors
    u, _, v = torch.linalg.svd(factors.T @ anchor)
    return factors @ (u @ v)


def now_of(tasks: Tasks) -> float | None:
    """The moment after the last behaviour, Unix seconds; None without times. Raises InputError without behaviours."""
    if tasks.n_rows == 0:
        raise InputError("there is no behaviour to learn from")
    return None if tasks.times is None else float(tasks.times.max()) + 1
