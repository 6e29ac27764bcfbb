"""How well each document answers each query, by words or by meaning. Knows texts; knows no user and no shop."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fsl.encoders.packages import require
from fsl.learners.catalogue import z_scored


def bm25(
    documents: Sequence[str], queries: Sequence[str], k1: float = 1.5, b: float = 0.75
) -> Tensor:
    """Σ over words w of a query of idf_w tf / (tf + k1 (1 − b + b |d| / mean |d|)) (Robertson & Zaragoza 2009).

    float32 [n_queries, n_documents]; 0 where no word is shared. By the library bm25s: Lucene's variant, idf_w =
    ln(1 + (n − n_w + ½) / (n_w + ½)), English stop words left out, words as they stand (no stemming). Raises InputError
    where bm25s is not installed.
    """
    require("BM25", "text", ("bm25s",))
    import bm25s

    options = {"stopwords": "en", "show_progress": False, "return_ids": False}
    index = bm25s.BM25(method="lucene", k1=k1, b=b)
    index.index(bm25s.tokenize(list(documents), **options), show_progress=False)
    asked = bm25s.tokenize(list(queries), **options)
    nothing = np.zeros(len(documents), np.float32)
    known = [[w for w in words if w in index.vocab_dict] for words in asked]
    found = [index.get_scores(words) if words else nothing for words in known]
    return torch.from_numpy(np.stack(found))


def cosines(encoder, documents: Sequence[str], queries: Sequence[str]) -> Tensor:
    """Cosine of query and document by an encoder of `fsl.encoders`: float32 [n_queries, n_documents]."""
    different, place = np.unique(np.asarray(documents, dtype=object), return_inverse=True)
    d, q = encoder.encode(list(different)), encoder.encode(list(queries))
    return torch.from_numpy((q @ d.T)[:, place])


def blended(text: Tensor, *others: tuple[float, Tensor]) -> Tensor:
    """z(text) + Σ w z(other), each z-scored over the documents: [n, n_documents]. A constant other adds nothing."""
    total = z_scored(text)
    for weight, other in others:
        total = total + weight * z_scored(other)
    return total
