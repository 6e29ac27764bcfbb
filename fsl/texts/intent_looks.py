"""One few-shot problem as a head sees it: K drawn examples of every intent and all that is asked, embedded.

Knows intents, encoders and draws; judges nothing. Every part of a data set is encoded once for all draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from fsl.encoders import FrozenEncoder, TokenStates, lower_states
from fsl.errors import InputError
from fsl.texts.fine_tuning import FineTuning
from fsl.texts.intent_heads import Shots
from fsl.texts.intents import Intents, Texts

MOST = 10  # shots drawn for every intent; fewer shots are the first of these


class Look(NamedTuple):
    """shots: the support. asked: unit vectors of "test", "val" and, out of scope, "oos_val", "oos_test"."""

    shots: Shots
    asked: dict[str, Tensor]


def draw_support(labels: Tensor, n_way: int, seed: int, most: int = MOST) -> Tensor:
    """`most` different rows of every class, in random order: int64 [n_way, most]. Raises InputError for too few."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for c in range(n_way):
        own = (labels == c).nonzero()[:, 0]
        if len(own) < most:
            raise InputError(f"class {c} has {len(own)} training texts, {most} are to be drawn.")
        rows.append(own[torch.randperm(len(own), generator=generator)[:most]])
    return torch.stack(rows)


@dataclass(eq=False)
class Service:
    """A data set, the draws of its support by seed, and what is asked of it: the same for every method.

    drawn: int64 [n_seeds, n_way, MOST], rows of `support`, the training texts that some draw has.
    """

    intents: Intents
    seeds: Sequence[int]
    most: int = MOST

    def __post_init__(self):
        if not len(self.seeds):
            raise InputError("examples are to be drawn 0 times, expected 1 draw or more.")
        train = self.intents.train
        rows = [draw_support(train.labels, len(self.intents), s, self.most) for s in self.seeds]
        used, places = torch.stack(rows).unique(return_inverse=True)
        self.drawn, self.support = places, train.take(used)

    @property
    def asked(self) -> dict[str, Texts]:
        """Every part that is asked, by name; those that hold no text are left out."""
        parts = {"test": self.intents.test, "val": self.intents.validation}
        parts |= {f"oos_{p}": t for p, t in self.intents.out_of_scope.items() if p != "train"}
        return {name: texts for name, texts in parts.items() if texts.texts}

    def rows(self, seed: int, n_shots: int) -> Tensor:
        """The rows of `support` that one draw shows."""
        return self.drawn[list(self.seeds).index(seed), :, :n_shots].flatten()


@dataclass(eq=False)
class Frozen:
    """Looks through an encoder as it is. Called with (seed, n_shots)."""

    service: Service
    encoder: FrozenEncoder

    @cached_property
    def vectors(self) -> dict[str, Tensor]:
        """Unit vectors of the support, of the names and of every part that is asked: each text encoded once."""
        texts = {"support": self.service.support.texts, "names": self.service.intents.names}
        texts |= {part: own.texts for part, own in self.service.asked.items()}
        return {part: torch.from_numpy(self.encoder.encode(own)) for part, own in texts.items()}

    def __call__(self, seed: int, n_shots: int) -> Look:
        rows = self.service.rows(seed, n_shots)
        z, labels = self.vectors["support"][rows], self.service.support.labels[rows]
        asked = {part: self.vectors[part] for part in self.service.asked}
        return Look(Shots(z, labels, self.vectors["names"]), asked)


@dataclass(eq=False)
class Tuned:
    """Looks through top layers that were fine-tuned on the support and on the names. Called with (seed, n_shots)."""

    service: Service
    tuning: FineTuning

    @cached_property
    def lower(self) -> dict[str, TokenStates]:
        """What the frozen layers make of every text, computed once for all draws."""
        texts = {"shots": [*self.service.support.texts, *self.service.intents.names]}
        texts |= {part: own.texts for part, own in self.service.asked.items()}
        return {part: lower_states(own, self.tuning.n_top) for part, own in texts.items()}

    def __call__(self, seed: int, n_shots: int) -> Look:
        support, n_way = self.service.support, len(self.service.intents)
        rows = self.service.rows(seed, n_shots)
        shown = torch.cat([rows, len(support.texts) + torch.arange(n_way)])
        labels = torch.cat([support.labels[rows], torch.arange(n_way)])
        shown_states = chosen(self.lower["shots"], shown)
        top = self.tuning.fit(shown_states, labels, seed)
        z, names = top.encode(shown_states).split([len(rows), n_way])
        asked = {part: top.encode(self.lower[part]) for part in self.service.asked}
        return Look(Shots(z, labels[: len(rows)], names), asked)


def chosen(states: TokenStates, rows: Tensor) -> TokenStates:
    """The token states of these texts, in this order."""
    parts = [one.split(states.lengths.tolist()) for one in (states.states, states.characters)]
    packed = [torch.cat([part[row] for row in rows.tolist()]) for part in parts]
    return TokenStates(packed[0], states.lengths[rows], packed[1])
