"""Ridge regression with many targets, sparse inputs and a prior: the whole training of a static student."""

import numpy as np
from scipy.linalg import solve
from scipy.sparse import csr_matrix

FEW = 1500  # texts: up to here the matrix of all pairs of them is the cheaper one


def ridge(
    x: csr_matrix,
    y: np.ndarray,
    shrinkage: float,
    prior: np.ndarray | None = None,
    n_steps: int = 100,
    tolerance: float = 1e-3,
    few: int = FEW,
) -> np.ndarray:
    """E = argmin ‖X E − Y‖² + λ ‖E − E₀‖², that is E₀ + (XᵀX + λI)⁻¹ Xᵀ (Y − X E₀): float32 [n_rows, d].

    x: [n, n_rows], y: [n, d], prior E₀: [n_rows, d] or None for 0. Up to `few` texts by the equal Xᵀ (XXᵀ + λI)⁻¹, n
    equations (Saunders, Gammerman & Vovk 1998). More are solved by conjugate gradients with the diagonal as
    preconditioner (Shewchuk 1994, section B3), all d targets at once, until each residual has fallen to `tolerance` of
    what it began with. A row that no text has stays at its prior.
    """
    if shrinkage <= 0:
        raise ValueError(f"shrinkage must be above 0, got {shrinkage}")
    left = y if prior is None else y - x @ prior
    if x.shape[0] <= few:
        moved = _by_pairs_of_texts(x, left, shrinkage)
    else:
        moved = _conjugate_gradients(x, left.astype(np.float32), shrinkage, n_steps, tolerance)
    return moved if prior is None else prior.astype(np.float32) + moved


def _by_pairs_of_texts(x, y, shrinkage) -> np.ndarray:
    alike = (x @ x.T).toarray().astype(np.float64)
    alike[np.diag_indices_from(alike)] += shrinkage
    return np.asarray(x.T @ solve(alike, y, assume_a="pos"), np.float32)


def _conjugate_gradients(x, y, shrinkage, n_steps, tolerance) -> np.ndarray:
    x_t = x.T.tocsr()
    diagonal = np.asarray(x.multiply(x).sum(0), np.float32).reshape(-1, 1) + np.float32(shrinkage)
    residual = x_t @ y
    found = np.zeros_like(residual)
    direction = residual / diagonal
    size = first = (residual * direction).sum(0)
    for _ in range(n_steps):
        if (size <= tolerance**2 * first).all():
            break
        image = x_t @ (x @ direction) + np.float32(shrinkage) * direction
        step = size / np.maximum((direction * image).sum(0), 1e-30)
        found += step * direction
        residual -= step * image
        scaled = residual / diagonal
        before, size = size, (residual * scaled).sum(0)
        direction = scaled + size / np.maximum(before, 1e-30) * direction
    return found
