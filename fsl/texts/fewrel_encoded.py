"""FewRel's sentences as an encoder sees them: what it makes of the head, of the tail, and of the whole.

Knows sentences and vectors; how the vectors are compared is `fsl.learners.vectors`'.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from fsl.encoders import minilm_layers
from fsl.learners.vectors import CosinePrototypes, WithinPrototypes
from fsl.texts.fewrel import FewRel, Sentence

Span = tuple[int, int]


def spanned(sentence: Sentence) -> tuple[str, list[Span]]:
    """The sentence as `whole` writes it, and where in it the first mention of the head and of the tail stand.

    A span is (begin, end) in characters, end excluded.
    """
    words = [" ".join(token.split()) for token in sentence.tokens]
    begins = [0, *accumulate(len(word) + bool(word) for word in words)]
    text = " ".join(word for word in words if word)
    return text, [_span(first_run(role), words, begins) for role in (sentence.head, sentence.tail)]


def first_run(places: Sequence[int]) -> tuple[int, ...]:
    """The first mention among the places of all: up to the first gap."""
    n = next((i for i in range(1, len(places)) if places[i] != places[i - 1] + 1), len(places))
    return tuple(places[:n])


def _span(places: tuple[int, ...], words: list[str], begins: list[int]) -> Span:
    return begins[places[0]], begins[places[-1]] + len(words[places[-1]])


def encode_fewrel(fewrel: FewRel, layer: int = 4) -> Tensor:
    """Means of MiniLM's states of `layer` over head, tail and sentence, each of length 1: float32 [n, 3, 384]."""
    texts, spans = zip(*(spanned(sentence) for sentence in fewrel.sentences), strict=True)
    return torch.from_numpy(minilm_layers(texts, layer, spans))


def encoder_learners(fewrel: FewRel, layer: int = 4) -> dict[str, CosinePrototypes]:
    """Prototypes of the sentence alone, of head, tail and sentence, and the same in the background's metric."""
    parts = encode_fewrel(fewrel, layer)
    return {
        "MiniLM, sentence": CosinePrototypes(parts[:, 2]),
        "MiniLM, names and sentence": CosinePrototypes(parts.flatten(1)),
        "the same, whitened": WithinPrototypes(parts.flatten(1), fewrel.labels),
    }
