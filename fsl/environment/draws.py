"""Random numbers by name: the same (seed, visitor, event) gives the same number, whoever asks and in whatever batch.

A generator would give a visitor other luck in a batch of one than in a batch of thousands. Knows integers only.
"""

import numpy as np
from scipy.special import ndtri

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def bits(seed: int, *names: np.ndarray | int) -> np.ndarray:
    """64 random bits for each combination of `names` (integers >= 0 that broadcast), uint64.

    One round of SplitMix64 (Steele, Lea & Flood 2014) per name: x <- mix(x + golden (name + 1)).
    """
    shape = np.broadcast_shapes(*(np.shape(name) for name in names))
    with np.errstate(over="ignore"):
        x = np.full(1, seed, dtype=np.uint64)
        for name in names:
            step = np.atleast_1d(np.asarray(name)).astype(np.uint64) + np.uint64(1)
            x = _mixed(_mixed(x) + _GOLDEN * step)
    return np.broadcast_to(x.reshape(x.shape if shape else ()), shape)


def _mixed(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def uniforms(seed: int, *names: np.ndarray | int) -> np.ndarray:
    """Numbers in the open interval (0, 1), float64, of the names' broadcast shape."""
    return ((bits(seed, *names) >> np.uint64(11)) + 0.5) * 2.0**-53


def normals(seed: int, *names: np.ndarray | int) -> np.ndarray:
    """Standard normal numbers, float64: Φ⁻¹ of `uniforms`."""
    return ndtri(uniforms(seed, *names))
