"""Telling classes of texts apart by their words. Knows texts by row number; reads no file."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize
from torch import Tensor

from fsl.episodes import Examples
from fsl.learners.base import mask_of


class TfidfPrototypes:
    """The nearest class by words: prototypes (Snell et al. 2017, eq. 1) of TF-IDF vectors, judged by the cosine.

    x = tf · idf / ‖tf · idf‖,  idf_w = 1 + ln((1 + n) / (1 + n_w)),  p_c = Σ_{support of c} x,  score = x · p_c / ‖p_c‖

    n_w of the n background sentences hold word w. What is known before a task is the background's counts alone, no
    label and no sentence of the task, as long as `fit` is given rows of classes that no task has: the few-shot
    protocol. (A count over all sentences would see the query; on FewRel that even harms, since it plays down the very
    words that a relation's 700 sentences share.) The vocabulary, every word of `texts` in lower case, only numbers
    the columns: a word that the background lacks has the highest idf.

    texts: what the row numbers in a task's inputs stand for.
    """

    def __init__(self, texts: Sequence[str]):
        self.counts = CountVectorizer(token_pattern=r"(?u)\b\w+\b").fit_transform(texts)

    def fit(self, rows: Tensor) -> "TfidfPrototypes":
        """Learn idf from the background: int64 [n], rows of texts, labels unseen. With none, every idf is 1: counts."""
        background = self.counts[rows.numpy()]
        n_w = np.bincount(background.indices, minlength=background.shape[1])
        idf = 1 + np.log((1 + len(rows)) / (1 + n_w))
        x = self.counts.astype(float)
        x.data *= idf[x.indices]
        self.x = normalize(x)
        return self

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """Scores of each task's classes, float32 [n_tasks, n_query, n_way], 0 … 1; the class is the highest.

        support: inputs int64 [n_tasks, K] of rows (or [n_tasks, K, 1]), targets [n_tasks, K] in 0 … n_way − 1, mask
        [n_tasks, K] or None. query_inputs: [n_tasks, n_query] (or [..., 1]). A task's scores depend on its own
        support alone, on its order not at all. Raises ValueError for a batch without support.
        """
        mask = mask_of(support)
        if not mask.any():
            raise ValueError("support must hold at least one sentence")
        n_way = int(support.targets[mask].max()) + 1
        tasks = zip(
            support.inputs.flatten(1), support.targets, mask, query_inputs.flatten(1), strict=True
        )
        return torch.stack([self._one(s[m], c[m], q, n_way) for s, c, m, q in tasks])

    def _one(self, support: Tensor, classes: Tensor, query: Tensor, n_way: int) -> Tensor:
        # Rows are counted, not listed, so that the order of adding up is the same for any order of support.
        of_class = csr_matrix(
            (np.ones(len(support)), (classes.numpy(), support.numpy())),
            shape=(n_way, self.x.shape[0]),
        )
        prototypes = normalize(of_class @ self.x)
        return torch.from_numpy((self.x[query.numpy()] @ prototypes.T).toarray()).float()
