"""Vectors of all items from what was known at one moment: who met what, and content. Knows a log; knows no task.

For an item that was new after `old_until`, nothing but its own users tells its vector, and it tells nobody else's.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import svds

from fsl.launches.histories import Log

_RARE = 3.0  # behaviours added to an item's count, so that rare items are not blown up
_RIDGE = 3.0
_PRIOR = 3.0  # how many behaviours the content counts for in an item's vector


class ItemVectors(NamedTuple):
    """full: float64 [n_items, d], behaviour and content together, length 1 (0 where nothing is known of an item).

    prior: [n_items, d], content alone: the shorter, the less its content says.
    """

    full: np.ndarray
    prior: np.ndarray


def item_vectors(
    log: Log, content: scipy.sparse.csr_matrix, upto: float, old_until: float, d: int = 64
) -> ItemVectors:
    """Vectors at the moment `upto`; nothing at or after it is used.

    R is the users × items table before `upto`, D its column sums:
      A = R (D + 3)^(−1/2),  A_old ≈ U S Vᵀ, rank d, over the items first seen before `old_until`,
      Y = Aᵀ U   (for old items V S; a new item is folded in: its users place it, it moves nobody),
      W = argmin Σ_j n_j / (n_j + 5) ‖y_j − c_j W‖² + 3 ‖W‖²  over the old items, n_j = D_jj,
      prior_j = c_j W,  full_j = (n_j y_j + 3 prior_j) / (n_j + 3), with each y and here each prior at length 1.
    content: CSR [n_items, n_words], from what is known of an item before anybody meets it. d is cut to what the
    table can carry. Sources: Sarwar et al. 2000 (folding in); Gantner et al. 2010 (content to factors).
    """
    table = log.table(upto)
    counts = np.asarray(table.sum(0)).ravel()
    old = (log.first_seen() < min(old_until, upto)).astype(float)
    scaled = table @ scipy.sparse.diags(1 / np.sqrt(counts + _RARE))
    rank = min(d, min(scaled.shape) - 1)
    if rank < 1 or not old.any():
        raise ValueError(f"item vectors need at least 2 users and 2 items, one met before {upto:g}")
    # A fixed start makes the Lanczos iteration give the same numbers every time.
    u = svds(scaled @ scipy.sparse.diags(old), k=rank, v0=np.ones(min(scaled.shape)))[0]
    y = unit(scaled.T @ u)
    weight = old * counts / (counts + 5)
    gram = (content.T @ scipy.sparse.diags(weight) @ content).toarray()
    words = np.linalg.solve(
        gram + _RIDGE * np.eye(content.shape[1]), content.T @ (weight[:, None] * y)
    )
    prior = content @ words
    share = (counts / (counts + _PRIOR))[:, None]
    return ItemVectors(unit(share * y + (1 - share) * unit(prior)), prior)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows at length 1; a row of nearly nothing stays as it is."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), 0.0)
