"""Collaborative baselines: nearest users, and matrix factorisation with fold-in. Both correct `ShrunkBias`."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import Learner, mask_of
from fsl.learners.baselines import ShrunkBias, ridge_weights
from fsl.tasks import Tasks

_TASKS_AT_ONCE = 1_024
_ROWS_AT_ONCE = 1 << 18


class NeighbourVotes:
    """Training residuals as a sparse matrix R [n_train, n_objects], and the vote of some training tasks on a query.

    correction(t, i) = Σ_v s_tv R_vi / (Σ_v |s_tv| [v rated i] + λ), v over the `n_neighbours` most similar tasks.
    """

    def __init__(self, bias: ShrunkBias, tasks: Tasks):
        shape = (len(tasks), len(tasks.object_ids))
        self.residuals, self.rated = sparse_means(
            bias.training_residuals, tasks.task_of_row, tasks.objects, shape
        )

    def correction(
        self, similarity: Tensor, query_inputs: Tensor, n_neighbours: int, shrinkage: float
    ) -> Tensor:
        """similarity: [n_tasks, n_train], higher is nearer. Returns [n_tasks, n_query]."""
        n_neighbours = min(n_neighbours, similarity.shape[1])
        values, nearest = similarity.topk(n_neighbours, dim=1)
        owner = np.repeat(np.arange(len(similarity)), n_neighbours)
        votes = scipy.sparse.csr_matrix(
            (values.numpy().ravel(), (owner, nearest.numpy().ravel())),
            shape=tuple(similarity.shape),
        )
        objects = query_inputs[..., 1].numpy()
        who = np.arange(len(objects))[:, None]
        total = np.asarray((votes @ self.residuals).todense())[who, objects]
        weight = np.asarray((abs(votes) @ self.rated).todense())[who, objects]
        return torch.from_numpy((total / (weight + shrinkage)).astype(np.float32))


def sparse_means(values: Tensor, rows: Tensor, columns: Tensor, shape: tuple[int, int]):
    """The mean of the values at each (row, column), and 1 where there is one: two CSR matrices of one pattern."""
    where = (rows.numpy(), columns.numpy())
    sums = scipy.sparse.csr_matrix((values.numpy(), where), shape)
    counts = scipy.sparse.csr_matrix((np.ones(len(values), np.float32), where), shape)
    sums.data /= (
        counts.data
    )  # building from pairs adds up repeated ones, in the same order for both
    return sums, counts.sign()


def in_chunks(predict, support: Examples, query_inputs: Tensor) -> Tensor:
    """`predict` over a bounded number of tasks at a time, joined: memory does not grow with the tasks."""
    starts = range(0, len(query_inputs), _TASKS_AT_ONCE)
    support = support._replace(mask=mask_of(support))
    parts = [
        predict(
            Examples(*(x[s : s + _TASKS_AT_ONCE] for x in support)),
            query_inputs[s : s + _TASKS_AT_ONCE],
        )
        for s in starts
    ]
    return (
        torch.cat(parts)
        if parts
        else query_inputs.new_zeros(query_inputs.shape[:2], dtype=torch.float)
    )


class Voting(Learner):
    """What `ShrunkBias` predicts, corrected by the votes of similar training tasks.

    A subclass fits `bias` and `votes`, has `n_neighbours` and `vote_shrinkage`, and says who is similar.
    """

    bias: ShrunkBias
    votes: NeighbourVotes

    def similarity(self, support: Examples) -> Tensor:
        """[n_tasks, n_train], higher is nearer; below 0 does not vote."""
        raise TypeError(f"{type(self).__name__} does not say who is similar")

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """μ + b_i + b_u, corrected by the votes of those who are near; chunked, since near is [n_tasks, n_train]."""
        return in_chunks(self._predict, support, query_inputs)

    def _predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        known, near = (
            self.bias.predict(support, query_inputs),
            self.similarity(support).clamp(min=0),
        )
        return known + self.votes.correction(
            near, query_inputs, self.n_neighbours, self.vote_shrinkage
        )


@dataclass(eq=False)
class UserKNN(Voting):
    """Nearest training users by the cosine of residuals on what both rated, and their votes (Herlocker et al. 1999).

    s_tv = Σ_i e_ti R_vi / (‖e_t‖ ‖R_v on t's support‖ + λ_s), e the residuals of `ShrunkBias`. Only similar users vote.
    """

    n_neighbours: int = 60
    similarity_shrinkage: float = 3.0
    vote_shrinkage: float = 1.0
    user_shrinkage: float = 3.0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "UserKNN":
        self.bias = ShrunkBias(user_shrinkage=self.user_shrinkage).fit(tasks)
        self.votes = NeighbourVotes(self.bias, tasks)
        return self

    def similarity(self, support: Examples) -> Tensor:
        """s_tv, [n_tasks, n_train]; 0 with those who rated nothing of the support."""
        mask, residuals = mask_of(support), self.bias.residuals(support)
        owner = torch.arange(len(mask))[:, None].expand_as(mask)[mask]
        shape = (len(mask), self.votes.residuals.shape[1])
        own, met = sparse_means(residuals[mask], owner, support.inputs[..., 1][mask], shape)
        dot = torch.from_numpy(np.asarray((own @ self.votes.residuals.T).todense()))
        theirs = torch.from_numpy(
            np.asarray((met @ self.votes.residuals.power(2).T).todense())
        ).sqrt()
        ours = torch.from_numpy(np.asarray(own.power(2).sum(1))).sqrt()
        return dot / (ours * theirs + self.similarity_shrinkage)


@dataclass(eq=False)
class FoldIn(Learner):
    """Matrix factorisation by alternating least squares, and a new task folded in (Koren, Bell & Volinsky 2009).

    r = μ + b_i + b_u + p_u·q_i. Training alternates p (q fixed) and q (p fixed), each a ridge with λ. Then q is
    turned so that the training p have unit covariance, and a new task's [b_u, p_u] is one ridge solve on its support
    with penalty λ_p σ² ‖p‖², σ² the training noise: as a meta-learner, a linear head on features learned for all.
    """

    n_factors: int = 10
    shrinkage: float = 8.0
    fold_in_shrinkage: float = 1.0
    user_shrinkage: float = 3.0
    n_sweeps: int = 12
    seed: int = 0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "FoldIn":
        self.bias = ShrunkBias(user_shrinkage=self.user_shrinkage).fit(tasks)
        generator = torch.Generator().manual_seed(self.seed)
        residuals, owner = self.bias.training_residuals, tasks.task_of_row
        self.factors = 0.1 * torch.randn(len(tasks.object_ids), self.n_factors, generator=generator)
        for _ in range(self.n_sweeps):
            p = _ridge_by(owner, self.factors[tasks.objects], residuals, len(tasks), self.shrinkage)
            self.factors = _ridge_by(
                tasks.objects, p[owner], residuals, len(self.factors), self.shrinkage
            )
        left = residuals - (p[owner] * self.factors[tasks.objects]).sum(-1)
        covariance = torch.cov(p.T, correction=0).reshape(self.n_factors, self.n_factors)
        self.factors = self.factors @ torch.linalg.cholesky(
            covariance + 1e-6 * torch.eye(self.n_factors)
        )
        noise = float(left.square().mean().clamp(min=1e-6))
        self.precision = torch.full((self.n_factors + 1,), self.fold_in_shrinkage * noise)
        self.precision[0] = self.bias.user_shrinkage
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """μ + b_i + [1, q_i]·w, w the ridge solve on what the prior leaves of the support."""
        left = support.targets - self.bias.prior(support.inputs)
        weights = ridge_weights(
            self._design(support.inputs), left, mask_of(support), self.precision
        )
        return self.bias.prior(query_inputs) + torch.einsum(
            "tqf,tf->tq", self._design(query_inputs), weights
        )

    def _design(self, inputs: Tensor) -> Tensor:
        factors = self.factors[inputs[..., 1]]
        return torch.cat([torch.ones_like(factors[..., :1]), factors], dim=-1)


def described(tasks: Tasks, n_factors: int, seed: int) -> Tensor:
    """Every object's content beside its factors from the training tasks, each of unit spread: [n_objects, d]."""
    factors = FoldIn(n_factors, seed=seed).fit(tasks).factors
    return torch.cat([tasks.object_features, factors / factors.std().clamp(min=1e-6)], dim=1)


def _ridge_by(index: Tensor, x: Tensor, y: Tensor, n: int, shrinkage: float) -> Tensor:
    """One ridge per value of `index`: (Σ x xᵀ + λI)⁻¹ Σ x y, [n, n_factors]; rows in chunks, to bound memory."""
    gram = shrinkage * torch.eye(x.shape[1]).repeat(n, 1, 1)
    for part in torch.arange(len(x)).split(_ROWS_AT_ONCE):
        gram.index_add_(0, index[part], x[part, :, None] * x[part, None, :])
    moment = torch.zeros(n, x.shape[1]).index_add_(0, index, x * y[:, None])
    return torch.linalg.solve(gram, moment)
