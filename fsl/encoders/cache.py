"""Vectors kept on disk, so that a list is encoded once: in the cache folder of fsl, whole or not at all.

Knows bytes and arrays; no text and no picture reaches a file: only vectors, and in the file's name a hash.
"""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fsl.reading import fetch
from fsl.reading.sentences import inert


def file_of(model: str, contents: Iterable[bytes]) -> Path:
    """Where the vectors of these contents, in this order, by this model and version, are kept."""
    digest = hashlib.sha256(model.encode())
    for content in contents:
        # The length goes first, so that ("ab", "c") and ("a", "bc") are two lists.
        digest.update(len(content).to_bytes(8, "big") + content)
    return fetch.cache_folder() / "encoded" / f"{digest.hexdigest()}.safetensors"


def kept(path: Path, shape: tuple[int, int], encode: Callable[[], np.ndarray]) -> np.ndarray:
    """The vectors in `path`, float32 of `shape`; encoded, and kept there, where it has none that are sound."""
    vectors = read(path, shape)
    if vectors is None:
        vectors = encode()
        write(path, vectors)
    return vectors


def read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The vectors as they were written; None where the file is missing, cut off, changed or of another shape."""
    try:
        with safe_open(path, "numpy") as file:
            vectors, seal = file.get_tensor("vectors"), (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    sound = vectors.dtype == np.float32 and vectors.shape == shape and seal == _seal(vectors)
    return vectors if sound else None


def write(path: Path, vectors: np.ndarray) -> None:
    """Keep float32 vectors, by an atomic rename. A folder that cannot be written costs time, so it is a warning."""
    content = save({"vectors": np.ascontiguousarray(vectors)}, {"sha256": _seal(vectors)})
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
            part = file.name
            file.write(content)
        os.replace(part, path)
    except OSError as error:
        if part is not None:
            Path(part).unlink(missing_ok=True)
        said = error.strerror or str(error)
        warnings.warn(
            f"vectors cannot be kept in {inert(path.parent)}: {said}; they are encoded again next time.",
            stacklevel=2,
        )


def _seal(vectors: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()
