"""Texts by their words alone: TF-IDF, then SVD (latent semantic analysis). The floor that weights must beat."""

import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fsl.encoders.contents import as_texts, utf8
from fsl.encoders.frozen import Embed, FrozenEncoder
from fsl.errors import InputError

# Scripts written without spaces, Chinese and Japanese: their words are characters and pairs of neighbours.
_UNSPACED = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_WORD = re.compile(rf"{_UNSPACED}+|(?:(?!{_UNSPACED})\w)+")


def tfidf_encoder(texts: Sequence[str], dim: int = 256, seed: int = 0, **options) -> FrozenEncoder:
    """x = V' tfidf(text) / ‖·‖, V the first d right singular vectors of the texts' TF-IDF (Deerwester et al. 1990).

    texts: training texts, on which counts and V are fitted; d is at most one less than texts and words. tf is
    1 + ln(count), idf is ln((1 + n) / (1 + n_w)) + 1. A text without a known word is a row of zeros. Fast, and so
    never kept on disk. Raises InputError for fewer than two texts with words.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    counts = TfidfVectorizer(analyzer=words, sublinear_tf=True)
    given = [text for text in as_texts(texts) if words(text)]
    if len(set(given)) < 2:
        raise InputError(f"tfidf is fitted on texts, got {len(set(given))}, expected two or more.")
    x = counts.fit_transform(given)
    svd = TruncatedSVD(max(1, min(dim, *(side - 1 for side in x.shape))), random_state=seed).fit(x)

    def embed(batch: list[str]) -> np.ndarray:
        return svd.transform(counts.transform(batch))

    def load() -> Embed:
        return embed

    digest = hashlib.sha256(b"\0".join(map(utf8, given))).hexdigest()[:12]
    options = {"batch_size": 1024, "keep": False} | options
    return FrozenEncoder(
        "tfidf", f"{dim} {seed} {digest}", len(svd.components_), load, as_texts, utf8, **options
    )


def words(text: str) -> list[str]:
    """The words in lower case; of a script without spaces every character, and every pair of neighbours."""
    found = []
    for word in _WORD.findall(text.lower()):
        if re.match(_UNSPACED, word):
            found += [*word, *map("".join, pairwise(word))]
        else:
            found.append(word)
    return found
