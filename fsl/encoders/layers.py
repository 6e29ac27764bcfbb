"""Inside MiniLM: the states of a layer, and the layers above it as a module to train on states that are computed once.

Knows texts, tokens and layers; draws no task and sets no loss.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from fsl.encoders.contents import as_texts, readable
from fsl.encoders.minilm import minilm

N_LAYERS, DIM = 6, 384


@dataclass(frozen=True)
class TokenStates:
    """States of one layer for every word piece of n texts, packed: states float32 [n_tokens, 384], lengths int64 [n].

    characters: int64 [n_tokens, 2], where each word piece begins and ends in its text; (0, 0) for [CLS] and [SEP].
    """

    states: Tensor
    lengths: Tensor
    characters: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Tensor | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Padded states float32 [n_rows, longest, 384] and the mask bool [n_rows, longest] of these texts."""
        rows = torch.as_tensor(rows)
        starts = self.lengths.cumsum(0)[rows] - self.lengths[rows]
        places = torch.arange(int(self.lengths[rows].max()) if len(rows) else 0)
        mask = places < self.lengths[rows, None]
        index = (starts[:, None] + places).where(mask, torch.tensor(0))
        return self.states[index] * mask[..., None], mask


def lower_states(
    texts: Sequence[str], n_top: int = 2, max_length: int = 64, batch_size: int = 64
) -> TokenStates:
    """What MiniLM's layers below the top n_top make of texts: the frozen part, to be computed once.

    max_length: word pieces per text, [CLS] and [SEP] among them; the rest is cut. 13,000 short texts are some 300 MB.
    """
    return token_states(texts, N_LAYERS - n_top, max_length, batch_size)


@torch.no_grad()
def token_states(
    texts: Sequence[str], layer: int, max_length: int = 256, batch_size: int = 64
) -> TokenStates:
    """States after `layer` layers, 0 (the embeddings) … 6 (what the encoder pools), of every word piece.

    Raises InputError for what is no text, ValueError for a layer that MiniLM has not.
    """
    if not 0 <= layer <= N_LAYERS:
        raise ValueError(f"MiniLM has layers 0 to {N_LAYERS}, got {layer}")
    texts = [readable(text) for text in as_texts(texts)]
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    of_text: list[tuple[Tensor, Tensor]] = [None] * len(texts)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        for row, one in zip(rows, _batch([texts[r] for r in rows], layer, max_length), strict=True):
            of_text[row] = one
    states, characters = zip(*of_text, strict=True) if of_text else ((), ())
    lengths = torch.tensor([len(one) for one in states], dtype=torch.int64)
    none = torch.zeros(0, DIM), torch.zeros(0, 2, dtype=torch.int64)
    return TokenStates(torch.cat([none[0], *states]), lengths, torch.cat([none[1], *characters]))


def _batch(texts: list[str], layer: int, max_length: int) -> Iterator[tuple[Tensor, Tensor]]:
    model = minilm()
    tokens = model.tokenizer(
        texts,
        padding=True,
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
        return_offsets_mapping=True,
    )
    characters, mask = tokens.pop("offset_mapping"), tokens.pop("attention_mask").bool()
    embedded = _bert().embeddings(**tokens)
    hidden = _lower(layer)(embedded, attention_mask=_additive(mask, embedded.dtype))[0]
    for states, place, there in zip(hidden, characters, mask, strict=True):
        yield states[there].clone(), place[there].clone()


def _bert() -> nn.Module:
    return minilm()[0].auto_model


@lru_cache
def _lower(n_layers: int) -> nn.Module:
    """The lowest layers, a copy: nothing above them is computed."""
    encoder = deepcopy(_bert().encoder)
    encoder.layer = encoder.layer[:n_layers]
    return encoder.eval()


class TopLayers(nn.Module):
    """MiniLM's top layers, the mean over word pieces, and x / ‖x‖: the part to fine-tune, its own copy.

    With lower states from `lower_states(texts, n_top)`, untrained, it gives what the encoder "minilm" gives. Dropout is
    0: its masks would come from a global generator, and weight decay and few epochs do as well.
    """

    def __init__(self, n_top: int = 2):
        super().__init__()
        if not 1 <= n_top <= N_LAYERS:
            raise ValueError(f"n_top must be 1 to {N_LAYERS}, got {n_top}")
        self.encoder = deepcopy(_bert().encoder)
        self.encoder.layer = self.encoder.layer[-n_top:]
        for module in self.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        self.requires_grad_(True)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states: [n, length, 384], mask: bool [n, length] -> unit rows [n, 384]."""
        hidden = self.encoder(states, attention_mask=_additive(mask, states.dtype))[0]
        share = mask.to(states.dtype)[..., None]
        mean = (hidden * share).sum(1) / share.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=-1)

    @torch.no_grad()
    def encode(self, lower: TokenStates, batch_size: int = 256) -> Tensor:
        """Unit rows [n, 384] of all texts of `lower`, without gradients, texts of like length together."""
        order = lower.lengths.argsort(stable=True)
        out = torch.zeros(len(lower), DIM)
        for rows in order.split(batch_size):
            out[rows] = self(*lower.batch(rows))
        return out


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where there is a word piece and a very negative number where there is none, [n, 1, 1, length]."""
    return (~mask[:, None, None]).to(dtype) * torch.finfo(dtype).min
