"""From a text to a class: representations of texts, and heads that learn from a few vectors. Knows no file.

A representation is a function (background texts, texts) -> rows of length 1; the background is unlabelled.
A head is a function (support rows, their classes, query rows, n_classes) -> the class told for each query row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from fsl.reviews.codebook import ASPECTS, GENERAL, SENTIMENTS

Represent = Callable[[Sequence[str], Sequence[str]], np.ndarray | csr_matrix]
Head = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


class Method(NamedTuple):
    """A representation, a head, and whether the codebook's line of each class is one more example of it."""

    represent: Represent
    head: Head
    with_codebook: bool = False


def encoded(encoder, texts: Sequence[str]) -> Represent:
    """The rows of a frozen encoder (`fsl.encoders`), which needs no background.

    `texts`, all there are, and the codebook's lines are encoded at once.
    """
    different = sorted({*texts, *ASPECTS.values(), *SENTIMENTS.values()})
    row = dict(zip(different, encoder.encode(different), strict=True))
    return lambda _, some: np.stack([row[text] for text in some])


def less_aspects(represent: Represent) -> Represent:
    """x − Q Qᵀ x, scaled to length 1, Q an orthonormal basis of the codebook's lines of the aspects: what a text is
    about is taken out, how it feels is left. Uses no label."""

    def rest(background: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        lines = [line for name, line in ASPECTS.items() if name != GENERAL]
        q = np.linalg.qr(represent(background, lines).T)[0]
        x = represent(background, texts)
        return normalize(x - x @ q @ q.T)

    return rest


def words(background: Sequence[str], texts: Sequence[str]) -> csr_matrix:
    """TF-IDF of whole words, counted on the background."""
    return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit(background).transform(texts)


def letters(background: Sequence[str], texts: Sequence[str]) -> csr_matrix:
    """TF-IDF of the 2 to 5 letters in a row within words, so that "camara" is nearly "camera"."""
    count = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return count.fit(background).transform(texts)


def prototypes(support, classes: np.ndarray, query, n: int) -> np.ndarray:
    """The class with the highest cosine to p_c = Σ_{support of c} x (Snell et al. 2017, eq. 1, with the cosine)."""
    member = csr_matrix(
        (np.ones(len(classes)), (classes, np.arange(len(classes)))), (n, len(classes))
    )
    scores = query @ normalize(member @ support).T
    return np.asarray((scores.toarray() if issparse(scores) else scores).argmax(1))


def logistic(support, classes: np.ndarray, query, n: int) -> np.ndarray:
    """Multinomial logistic regression, ridge penalty with C = 10, classes weighted equally.

    C is that of an earlier prototype on other data (intents); nothing was tuned here.
    """
    head = LogisticRegression(C=10, class_weight="balanced", max_iter=1000)
    return head.fit(support, classes).predict(query)


FLOOR = {"words": words, "letters": letters}


def methods(encoders: Mapping[str, Represent], task: str) -> dict[str, Method]:
    """Each representation with each head: prototypes, logistic regression, and that with the codebook's lines.

    The floor, TF-IDF of words and of letters, is always there. For the task "sentiment" each encoder is there once more
    with the aspects taken out.
    """
    found = {}
    for name, represent in {**FLOOR, **encoders}.items():
        found[f"{name}, prototypes"] = Method(represent, prototypes)
        found[f"{name}, logistic"] = Method(represent, logistic)
        found[f"{name} + codebook"] = Method(represent, logistic, True)
    for name, represent in encoders.items() if task == "sentiment" else ():
        found[f"{name} − aspects + codebook"] = Method(less_aspects(represent), logistic, True)
    return found
