"""How well each document answers each query, by words or by meaning. Knows texts; knows no user and no shop."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from fsl.encoders.packages import require


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


class Odds(NamedTuple):
    """How a text score tells that a document is what the query means: P(match) = σ(slope · score + offset)."""

    slope: float
    offset: float


def fit_odds(text: Tensor, matches: Tensor) -> Odds:
    """Logistic regression of whether a document matches, bool [n_queries, n_documents], on its text score.

    For queries whose intent is known: those of validation, never those that are judged. Raises ValueError where
    nothing, or everything, matches.
    """
    from sklearn.linear_model import LogisticRegression

    if matches.all() or not matches.any():
        raise ValueError("odds are fitted on queries that some documents match and some do not")
    fit = LogisticRegression(C=1e3).fit(text.flatten()[:, None].numpy(), matches.flatten().numpy())
    return Odds(float(fit.coef_[0, 0]), float(fit.intercept_[0]))


def log_match(text: Tensor, odds: Odds) -> Tensor:
    """log P(match) of every document, [n, n_documents]: above some score it hardly rises, the rest is other reasons."""
    return logsigmoid(odds.slope * text + odds.offset)
