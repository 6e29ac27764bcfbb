"""What every encoder here is: contents in, unit vectors out, the same ones each time. Knows no model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from tqdm import tqdm

from fsl.encoders import cache

Embed = Callable[[list], np.ndarray]
LEAST_KEPT = 32


@dataclass
class FrozenEncoder:
    """A pretrained map from contents (texts, or pictures) to the unit sphere. Nothing is trained.

    name, version: what the vectors depend on, a part of the cache's key. dim: d.
    load: gives the function from a list of at most batch_size contents to float [n, d]; called at the first content
    that the cache has not, so that where all is kept no library is imported.
    prepare: checks a list and gives what `embed` takes; raises InputError. content: the bytes of one, for the key.
    size: its length, since contents of like length share a batch. keep: use the cache on disk.
    """

    name: str
    version: str
    dim: int
    load: Callable[[], Embed] = field(repr=False)
    prepare: Callable[[Sequence], list] = field(repr=False)
    content: Callable[[object], bytes] = field(repr=False)
    size: Callable[[object], int] = field(default=len, repr=False)
    batch_size: int = 64
    keep: bool = True

    @cached_property
    def embed(self) -> Embed:
        """The loaded model."""
        return self.load()

    def encode(self, inputs: Sequence, show_progress: bool = False) -> np.ndarray:
        """float32 [n, d], rows of length 1; a row of zeros where the model finds nothing that it knows.

        Equal contents get equal rows. The same list gives the same bytes, kept or not; the same content in another
        list may differ by rounding, some 1e-7. Lists under 32 contents are never kept on disk: questions of a day
        leave no trace there, and are quick. Raises InputError for what is no content.
        """
        items = self.prepare(inputs)
        contents = [self.content(item) for item in items]
        item_of = dict(zip(contents, items, strict=True))
        vectors = self._unique(list(item_of), list(item_of.values()), show_progress)
        place = {content: row for row, content in enumerate(item_of)}
        return vectors[[place[content] for content in contents]]

    def _unique(self, contents: list[bytes], items: list, show_progress: bool) -> np.ndarray:
        if not self.keep or len(items) < LEAST_KEPT:
            return self._encode(items, show_progress)
        path = cache.file_of(f"{self.name} {self.version}", contents)
        shape = (len(items), self.dim)
        return cache.kept(path, shape, lambda: self._encode(items, show_progress))

    def _encode(self, items: list, show_progress: bool) -> np.ndarray:
        order = sorted(range(len(items)), key=lambda row: -self.size(items[row]))
        vectors = np.zeros((len(items), self.dim), np.float32)
        starts = range(0, len(order), self.batch_size)
        for start in tqdm(starts, desc=self.name, disable=not show_progress, leave=False):
            rows = order[start : start + self.batch_size]
            vectors[rows] = unit_rows(self.embed([items[row] for row in rows]))
        return vectors


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """x / ‖x‖ for each row (the last axis), float32; a row of zeros stays one."""
    x = np.asarray(vectors, np.float64)
    norm = np.linalg.norm(x, axis=-1, keepdims=True)
    return (x / np.where(norm > 0, norm, 1)).astype(np.float32)
