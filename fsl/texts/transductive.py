"""Heads that look at all questions together before they answer one: transductive, and never called anything else.

They gain where the questions of a day are many and arrive at once, and pay for what they assume about them.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from fsl.texts.intent_heads import Head, Shots, centres, prototypes


def soft_k_means(shots: Shots, asked: Tensor, tau: float = 20.0, steps: int = 5) -> Tensor:
    """c_n ← Σ_{y_k = n} z_k + Σ_q p(n | q) z_q, p = softmax_n τ cos(z_q, c_n), `steps` times.

    After Ren et al. (2018), eq. 3 and 4. Nothing is assumed of how many questions a class has. Returns the cosines with
    the last centres, [n_asked, n_way].
    """
    sums, c = _sums(shots), centres(shots)
    for _ in range(steps):
        p = (tau * asked @ c.T).softmax(-1)
        c = normalize(sums + p.T @ asked, dim=-1)
    return asked @ c.T


def with_shares(shots: Shots, asked: Tensor, tau: float = 20.0, steps: int = 5) -> Tensor:
    """The same, with p(n | q) ∝ π_n exp(τ cos) and the shares π_n learned: π_n ← (K_n + Σ_q p(n | q)) / Σ_m the same.

    Expectation maximisation of a mixture on the sphere (Banerjee et al. 2005). Returns log π_n + τ cos.
    """
    sums, c, counts = (
        _sums(shots),
        centres(shots),
        torch.bincount(shots.labels, minlength=shots.n_way),
    )
    log_share = torch.zeros(shots.n_way)
    for _ in range(steps):
        p = (log_share + tau * asked @ c.T).softmax(-1)
        c = normalize(sums + p.T @ asked, dim=-1)
        log_share = (counts + p.sum(0)).log()
    return log_share + tau * asked @ c.T


def optimal_transport(
    shots: Shots, asked: Tensor, tau: float = 20.0, steps: int = 5, rate: float = 0.5
) -> Tensor:
    """Questions shared out to classes, as many to each: P = argmax Σ P cos + H(P) / τ with equal column sums.

    Sinkhorn's iteration, then c_n moves a share `rate` of the way to the mean of what it was given, `steps` times (Hu,
    Gripon & Pateux 2021, section 3.3). Assumes **balanced** questions. Returns log P, [n_asked, n_way].
    """
    sums, c = _sums(shots), centres(shots)
    for _ in range(steps):
        p = sinkhorn(tau * asked @ c.T).exp()
        c = normalize((1 - rate) * c + rate * normalize(sums + p.T @ asked, dim=-1), dim=-1)
    return sinkhorn(tau * asked @ c.T)


def sinkhorn(scores: Tensor, n_iterations: int = 30) -> Tensor:
    """log P with rows that sum to 1 and columns to n / n_way, P ∝ a_q exp(scores) b_n (Cuturi 2013)."""
    log_p = scores.double()
    share = torch.tensor(len(scores) / scores.shape[1], dtype=torch.double).log()
    for _ in range(n_iterations):
        log_p = log_p - log_p.logsumexp(0) + share
        log_p = log_p.log_softmax(-1)
    return log_p.float()


def _sums(shots: Shots) -> Tensor:
    return one_hot(shots.labels, shots.n_way).to(shots.z).T @ shots.z


TRANSDUCTIVE: dict[str, Head] = {
    "prototypes (one by one)": prototypes,
    "soft k-means (transductive)": soft_k_means,
    "k-means with shares (transductive)": with_shares,
    "optimal transport (transductive)": optimal_transport,
}


def skewed_rows(labels: Tensor, generator: torch.Generator, exponent: float = 0.5) -> Tensor:
    """Rows of questions as customers ask: of the class of rank r, drawn at random, a share r^(−exponent) is kept.

    labels: int64 [n]. At least one row of every class. exponent 0 keeps all, 1 is Zipf's law.
    """
    n_way = int(labels.max()) + 1
    rank = torch.randperm(n_way, generator=generator) + 1
    kept = []
    for c in range(n_way):
        own = (labels == c).nonzero()[:, 0]
        n = max(1, round(len(own) * float(rank[c]) ** -exponent))
        kept.append(own[torch.randperm(len(own), generator=generator)[:n]])
    return torch.cat(kept).sort().values
