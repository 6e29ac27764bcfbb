"""A text as rows of a table: its words, and its pairs of neighbouring words hashed to buckets. Knows no vector."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
import scipy.sparse

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+|[^\w\s]")
_END = "\0"  # between texts, and at both ends: a pair may begin or end there
_UNKNOWN, _EDGE = -1, -2
_MOST_KEPT = 200_000


class Bags(NamedTuple):
    """rows: int64 [n], the table's rows of all texts, text after text; starts: int64 [n_texts], where each begins."""

    rows: np.ndarray
    starts: np.ndarray


@dataclass(frozen=True)
class Words:
    """Which row a word has: its place in `words`; a pair of neighbours has one of `n_buckets` rows behind them.

    Words are in lower case. A word that is not there is read as the longest beginnings that are, first a word and then
    pieces written "##ing" (WordPiece: Wu et al. 2016, section 4.1), else it counts for nothing. Pairs are hashed:
    two pairs may share a bucket. pair_weight: how much a pair counts beside a word.
    """

    words: tuple[str, ...]
    n_buckets: int = 0
    pair_weight: float = 0.5

    @property
    def n_rows(self) -> int:
        """Rows of the table: words, then buckets of pairs."""
        return len(self.words) + self.n_buckets

    @cached_property
    def _rows_of(self) -> "_RowsOf":
        return _RowsOf(self.words)

    def bags(self, texts: Sequence[str]) -> tuple[Bags, Bags]:
        """The rows of each text's words, and those of its pairs."""
        joined = _END.join(["", *(text.replace(_END, " ") for text in texts), ""]).lower()
        found = chain.from_iterable(map(self._rows_of.__getitem__, WORD.findall(joined)))
        ids = np.fromiter(found, np.int64)
        text_of = np.cumsum(ids == _EDGE) - 1
        single = ids >= 0
        words = _bags(ids[single], text_of[single], len(texts))
        if not self.n_buckets:
            return words, _bags(ids[:0], ids[:0], len(texts))
        left, right = ids[:-1], ids[1:]
        pair = (left != _UNKNOWN) & (right != _UNKNOWN) & ~((left == _EDGE) & (right == _EDGE))
        buckets = len(self.words) + _hashed(left[pair], right[pair], self.n_buckets)
        return words, _bags(buckets, text_of[:-1][pair], len(texts))

    def matrix(self, texts: Sequence[str]) -> scipy.sparse.csr_matrix:
        """x = (1 for each word, pair_weight for each pair) / √(their sum), CSR float32 [n_texts, n_rows]."""
        parts = []
        for bags, weight in zip(self.bags(texts), (1.0, self.pair_weight), strict=True):
            starts = np.append(bags.starts, len(bags.rows))
            values = np.full(len(bags.rows), weight, np.float32)
            shape = (len(texts), self.n_rows)
            parts.append(scipy.sparse.csr_matrix((values, bags.rows, starts), shape))
        x = parts[0] + parts[1]
        size = np.maximum(np.asarray(x.sum(1), np.float32), 1e-9)
        return x.multiply(1 / np.sqrt(size)).tocsr().astype(np.float32)


class _RowsOf(dict):
    """Word -> its rows, found once."""

    def __init__(self, words: Sequence[str]):
        super().__init__({word: (row,) for row, word in enumerate(words)})
        self.row = {word: row for row, word in enumerate(words)}
        self[_END] = (_EDGE,)

    def __missing__(self, word: str) -> tuple[int, ...]:
        rows = pieces(word, self.row) or (_UNKNOWN,)
        if len(self) < _MOST_KEPT:
            self[word] = rows
        return rows


def pieces(word: str, row: dict[str, int]) -> tuple[int, ...]:
    """Rows of the longest beginnings, greedily: "phones" -> "phone", "##s". None of them if an end is left over."""
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in row:
                found.append(row[piece])
                start = end
                break
        else:
            return ()
    return tuple(found)


def _bags(rows: np.ndarray, text_of: np.ndarray, n_texts: int) -> Bags:
    sizes = np.bincount(text_of, minlength=n_texts)
    return Bags(rows, np.cumsum(sizes) - sizes)


def _hashed(left: np.ndarray, right: np.ndarray, n_buckets: int) -> np.ndarray:
    """A bucket for every pair of ids, the same in every process."""
    mixed = left.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) + right.astype(np.uint64)
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    return ((mixed ^ (mixed >> np.uint64(32))) % np.uint64(n_buckets)).astype(np.int64)


def words_of(texts: Sequence[str], least: int = 1) -> tuple[str, ...]:
    """The words of texts that come at least `least` times, the most frequent first, equals in the order of letters."""
    counts = Counter(word for text in texts for word in WORD.findall(text.lower()))
    often = [(-n, word) for word, n in counts.items() if n >= least and word != _END]
    return tuple(word for _, word in sorted(often))
