"""What MiniLM's middle layers say of parts of a text, such as the two names that a relation holds between."""

from collections.abc import Sequence

import numpy as np
import torch

from fsl.encoders import cache
from fsl.encoders.contents import as_texts, utf8
from fsl.encoders.frozen import LEAST_KEPT, unit_rows
from fsl.encoders.layers import DIM, TokenStates, token_states
from fsl.encoders.packages import MINILM
from fsl.errors import InputError

Span = tuple[int, int]


def minilm_layers(
    texts: Sequence[str],
    layer: int = 4,
    spans: Sequence[Sequence[Span]] = (),
    max_length: int = 256,
    keep: bool = True,
) -> np.ndarray:
    """Means of layer states over spans, and over the whole text: float32 [n, n_spans + 1, 384], unit rows, text last.

    spans: for each text the same number of (begin, end) in characters, end excluded; none gives the text alone. A word
    piece belongs to a span that it overlaps; the text's mean is over all pieces, [CLS] and [SEP] among them. For one
    vector a text, reshape to [n, -1]: the inner product is then the sum of the parts' cosines.
    Raises InputError for a span that holds no word piece of the first max_length, or other numbers of spans.
    """
    texts, spans = as_texts(texts), [list(map(tuple, one)) for one in spans] or [[]] * len(texts)
    _check(texts, spans)
    n_parts = len(spans[0]) + 1 if spans else 1
    shape = (len(texts) * n_parts, DIM)

    def encode() -> np.ndarray:
        return unit_rows(_means(token_states(texts, layer, max_length), spans))

    if not keep or len(texts) < LEAST_KEPT:
        vectors = encode()
    else:
        model = f"minilm {MINILM.sha256[:12]} layer {layer} of {max_length}"
        path = cache.file_of(
            model, [utf8(f"{s}{text}") for text, s in zip(texts, spans, strict=True)]
        )
        vectors = cache.kept(path, shape, encode)
    return vectors.reshape(len(texts), n_parts, DIM)


def _check(texts: list[str], spans: list[list[Span]]) -> None:
    if len(spans) != len(texts):
        raise InputError(f"spans of {len(spans)} texts, expected {len(texts)}.")
    for row, own in enumerate(spans):
        if len(own) != len(spans[0]):
            raise InputError(f"spans: row {row} has {len(own)}, expected {len(spans[0])} as row 0.")


def _means(tokens: TokenStates, spans: list[list[Span]]) -> np.ndarray:
    """[n * (n_spans + 1), 384]: of each text the means over its spans, then over all of it."""
    sizes = tokens.lengths.tolist()
    rows = []
    for row, (states, characters) in enumerate(
        zip(tokens.states.split(sizes), tokens.characters.split(sizes), strict=True)
    ):
        rows += [_mean(states, characters, span, row) for span in spans[row]]
        rows.append(states.mean(0))
    return torch.stack(rows).numpy() if rows else np.zeros((0, DIM), np.float32)


def _mean(states: torch.Tensor, characters: torch.Tensor, span: Span, row: int) -> torch.Tensor:
    begin, end = characters.T
    inside = (begin < span[1]) & (end > span[0])
    if not inside.any():
        raise InputError(
            f"texts: row {row}, characters {span[0]} to {span[1]} hold no word piece that is read."
        )
    return states[inside].mean(0)
