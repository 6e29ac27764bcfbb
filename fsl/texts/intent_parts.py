"""Parts of a data set of intents: some of them for a quick run, with what a full data set has and a part may lack.

Knows intents; embeds nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fsl.errors import InputError
from fsl.evaluation import whole_numbers
from fsl.texts.intents import Intents, Texts

HELD_BACK, MOST_OUTSIDE = 10, 100  # validation texts of an intent; texts out of scope of a part


def whole_shots(shots: Sequence[int], most: int | None = None) -> list[int]:
    """The numbers of examples asked for, rising; above `most` they are left out.

    Raises InputError unless they are different whole numbers from 1 on, of which one stays.
    """
    whole_numbers("shots", shots)
    kept = sorted(k for k in shots if most is None or k <= most)
    if min(shots) < 1 or not kept:
        upto = "" if most is None else f" to {most}"
        raise InputError(
            f"shots are {list(shots)}, expected examples of each intent, from 1{upto}."
        )
    return kept


def some_intents(intents: Intents, n: int, n_asked: int = 0, seed: int = 0) -> Intents:
    """n of the intents at random, relabelled 0 … n − 1, with n_asked texts each to test and to validate; 0 takes all.

    Where the data set has no validation part, HELD_BACK training texts of each intent become it. Where nothing is out
    of scope, texts of the intents left out are: half of these intents for "val", half for "test". Raises InputError
    for other n.
    """
    if n_asked < 0:
        raise InputError(f"n_asked is {n_asked}, expected 1 or more, or 0 for all.")
    generator = torch.Generator().manual_seed(seed)
    return _fewer(_chosen(intents, n, generator), n_asked, generator)


def _chosen(intents: Intents, n: int, generator: torch.Generator) -> Intents:
    if not n:
        return intents
    if not 3 <= n <= len(intents):
        have = f"{intents.source} has {len(intents)} intents"
        raise InputError(f"{have}, expected 3 to as many, or 0 for all, got {n}.")
    order = torch.randperm(len(intents), generator=generator)
    chosen, rest = order[:n].sort().values, order[n:]
    parts = {name: _of(getattr(intents, name), chosen) for name in ("train", "validation", "test")}
    if not parts["validation"].texts:
        parts["train"], parts["validation"] = _held_back(parts["train"], generator)
    outside = dict(intents.out_of_scope)
    if not outside and len(rest) > 1:
        pools = {"val": intents.train, "test": intents.test}
        halves = zip(pools, rest.chunk(2), strict=True)
        outside = {part: _outside(_of(pools[part], half), generator) for part, half in halves}
    names = [intents.names[c] for c in chosen.tolist()]
    return replace(intents, names=names, out_of_scope=outside, **parts)


def _fewer(intents: Intents, n: int, generator: torch.Generator) -> Intents:
    """At most n texts of each intent to test and to validate, and as many times as there are intents out of scope."""
    if not n:
        return intents
    asked = {name: _most(getattr(intents, name), n, generator) for name in ("validation", "test")}
    most = n * len(intents)
    outside = {
        part: texts if part == "train" else _most(texts, most, generator)
        for part, texts in intents.out_of_scope.items()
    }
    return replace(intents, out_of_scope=outside, **asked)


def _most(texts: Texts, n: int, generator: torch.Generator) -> Texts:
    """At most n texts of each label, at random, in their order."""
    lots = torch.randperm(len(texts.texts), generator=generator)
    kept = [lots[texts.labels[lots] == c][:n] for c in texts.labels.unique()]
    return texts.take(torch.cat(kept).sort().values) if kept else texts


def _of(texts: Texts, classes: Tensor) -> Texts:
    """The texts of these classes, relabelled by their places here."""
    found = texts.labels[:, None] == classes
    rows = found.any(1).nonzero()[:, 0]
    return texts.take(rows)._replace(labels=found[rows].long().argmax(1))


def _held_back(train: Texts, generator: torch.Generator) -> tuple[Texts, Texts]:
    """What stays, and HELD_BACK texts of each intent, at random."""
    lots = torch.randperm(len(train.texts), generator=generator)
    back = [lots[train.labels[lots] == c][:HELD_BACK] for c in train.labels.unique()]
    is_back = torch.zeros(len(lots), dtype=torch.bool)
    is_back[torch.cat(back)] = True
    return train.take((~is_back).nonzero()[:, 0]), train.take(is_back.nonzero()[:, 0])


def _outside(texts: Texts, generator: torch.Generator) -> Texts:
    rows = torch.randperm(len(texts.texts), generator=generator)[:MOST_OUTSIDE]
    return Texts([texts.texts[row] for row in rows.tolist()], torch.full((len(rows),), -1))
