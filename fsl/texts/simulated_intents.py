"""Questions that we invented, each with its intent: a stand-in for banking77 and clinc150 without a network. Simulated.

A grammar: an opener, one of an intent's phrasings with its blanks filled in, an ending. Knows no encoder.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fsl.errors import InputError
from fsl.texts.intents import READERS, Intents, Texts, open_intents, same_words

SOURCE = "simulated-intents"

BLANKS = {
    "phone": [
        "Lumo Z3", "Kestrel X9", "Quillon V2", "Tarn N5", "Vireo R7", "Ombra S4",
        "phone", "new phone", "handset", "device",
    ],
    "days": ["two days", "three days", "a week", "ten days", "a fortnight", "a month"],
    "person": ["my son", "my mother", "my wife", "a friend", "my colleague", "my father"],
    "city": ["Lisbon", "Oslo", "Vienna", "Athens", "Dublin", "Prague", "Geneva", "Porto"],
}  # fmt: skip
OPENERS = ("", "", "", "hi, ", "hello, ", "please help: ", "excuse me, ", "quick question, ", "so ")
ENDINGS = ("", "", "?", "?", " please", " thanks", ", any idea?", "!")


def domains() -> dict[str, dict[str, list[str]]]:
    """Domain -> intent -> its phrasings, out of the table beside this file."""
    table = pd.read_csv(Path(__file__).with_suffix(".csv"))
    return {
        domain: part.groupby("intent")["phrasing"].agg(list).to_dict()
        for domain, part in table.groupby("domain", sort=False)
    }


def simulate_intents(
    domain: str = "phone shop", n_train: int = 30, n_test: int = 15, seed: int = 0
) -> Intents:
    """Invented questions of one domain, n_train and n_test of each intent, no two the same but for case and spaces.

    domain: "phone shop", 20 intents, or "travel desk", 8. The same arguments give the same texts. Raises InputError for
    another domain, or where the grammar has fewer different sentences than are asked for.
    """
    phrasings = domains()
    if domain not in phrasings:
        known = ", ".join(phrasings)
        raise InputError(f"no invented questions are of {domain!r}, expected one of {known}.")
    rng, names = np.random.default_rng(seed), sorted(phrasings[domain])
    train, test = Texts([], torch.zeros(0)), Texts([], torch.zeros(0))
    for name in names:
        made = _sentences(name, phrasings[domain][name], n_train + n_test, rng)
        train.texts.extend(made[:n_train])
        test.texts.extend(made[n_train:])
    labels = (torch.arange(len(names)).repeat_interleave(n) for n in (n_train, n_test))
    parts = [Texts(part.texts, y) for part, y in zip((train, test), labels, strict=True)]
    return Intents(
        f"simulated {domain}", names, parts[0], Texts([], torch.zeros(0).long()), parts[1]
    )


def open_questions(name: str, seed: int = 0) -> tuple[Intents, Intents]:
    """The intents of a source by name, and those of another trade, for what is learned without the shop's own texts.

    "simulated-intents": a phone shop's, and a travel desk's. "banking77" and "clinc150" are each the other's.
    """
    if name == SOURCE:
        return simulate_intents(seed=seed), simulate_intents("travel desk", 75, 5, seed)
    if name not in READERS:
        known = ", ".join((SOURCE, *READERS))
        raise InputError(f"no intents are called {name!r}, expected one of {known}.")
    other = next(one for one in READERS if one != name)
    return open_intents(name), open_intents(other)


def _most(phrasings: Sequence[str]) -> int:
    """How many ways there are to fill in the phrasings; of different questions there are no more."""
    filled = (
        math.prod(len(values) for blank, values in BLANKS.items() if f"{{{blank}}}" in phrasing)
        for phrasing in phrasings
    )
    return len(OPENERS) * len(ENDINGS) * sum(filled)


def _sentences(
    intent: str, phrasings: Sequence[str], n: int, rng: np.random.Generator
) -> list[str]:
    found: dict[str, str] = {}
    for _ in range(60 * n if n <= _most(phrasings) else 0):
        filled = {blank: rng.choice(values) for blank, values in BLANKS.items()}
        text = rng.choice(OPENERS) + rng.choice(phrasings).format(**filled) + rng.choice(ENDINGS)
        found.setdefault(same_words(text), text)
        if len(found) == n:
            return list(found.values())
    raise InputError(f"of {intent!r} there are fewer than {n} different invented questions.")
