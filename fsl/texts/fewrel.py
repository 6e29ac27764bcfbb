"""FewRel (Han et al. 2018): sentences, each stating one relation between a head and a tail, read as published.

Knows the two JSON files and text; knows no task and no model. Files are given as paths; nothing is fetched.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from fsl.errors import InputError
from fsl.reading.sentences import inert, show

HEAD, TAIL = "_head_", "_tail_"


class Sentence(NamedTuple):
    """Tokens, and the places among them, from 0, of every mention of the head and of the tail."""

    tokens: tuple[str, ...]
    head: tuple[int, ...]
    tail: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FewRel:
    """n sentences, relation after relation. labels: int64 [n], rows of `relations`.

    relations: columns relation (Wikidata's id, "P177"), name, description.
    """

    sentences: list[Sentence]
    labels: Tensor
    relations: pd.DataFrame

    def __len__(self) -> int:
        return len(self.sentences)

    def texts(self, form: Callable[[Sentence], str]) -> list[str]:
        """Every sentence in one form: `whole`, `masked` or `around`."""
        return [form(sentence) for sentence in self.sentences]


def whole(sentence: Sentence) -> str:
    """All tokens, spaces between. Which of them are head and tail is not said."""
    return _joined(sentence.tokens)


def masked(sentence: Sentence) -> str:
    """Every mention as the one word `_head_` or `_tail_`: what is said of the two, without their names."""
    return _joined(role or words for role, words in _parts(sentence))


def around(sentence: Sentence, width: int = 3) -> str:
    """The mentions and the tokens at most `width` places from one, in the sentence's order."""
    near = {
        place + step for place in sentence.head + sentence.tail for step in range(-width, width + 1)
    }
    return _joined(token for place, token in enumerate(sentence.tokens) if place in near)


def name_spans(sentence: Sentence) -> tuple[tuple[int, int], tuple[int, int]]:
    """Characters of `whole(sentence)`, (begin, end), of the first mention of the head, and of the tail.

    For `fsl.encoders.minilm_layers`. Raises ValueError for a mention without a character.
    """
    return _span(sentence, sentence.head), _span(sentence, sentence.tail)


def _span(sentence: Sentence, places: tuple[int, ...]) -> tuple[int, int]:
    run = [place for step, place in enumerate(places) if place == places[0] + step]
    name = _joined(sentence.tokens[place] for place in run)
    if not name:
        raise ValueError(f"a mention without a character: {sentence.tokens}")
    before = _joined(sentence.tokens[: run[0]])
    begin = len(before) + bool(before)
    return begin, begin + len(name)


def _parts(sentence: Sentence) -> list[tuple[str, str]]:
    """Runs of tokens with one role: (HEAD, TAIL or "", words). A token of both is the head's."""
    role_of = dict.fromkeys(sentence.tail, TAIL) | dict.fromkeys(sentence.head, HEAD)
    runs = groupby(enumerate(sentence.tokens), key=lambda numbered: role_of.get(numbered[0], ""))
    return [(role, _joined(token for _, token in run)) for role, run in runs]


def _joined(tokens) -> str:
    """With one space between; tokens that are line breaks or spaces leave no trace."""
    return " ".join(" ".join(tokens).split())


def read_fewrel(sentences: Path, names: Path) -> FewRel:
    """`val_wiki.json` (relation -> its instances) with `pid2name.json` (relation -> name and description).

    An instance has tokens, h and t, each of these [name, Wikidata's id, mentions], a mention being the places of its
    tokens. Raises InputError for the first thing in a file that is not so, and for an instance that is there twice.
    """
    instances, known = _object(sentences), _object(names)
    described = [(relation, *_name(known, relation, inert(names))) for relation in instances]
    found: dict[tuple, str] = {}
    labels = []
    for label, (relation, group) in enumerate(instances.items()):
        where = f"relation {show(relation)}"
        if not isinstance(group, list) or not group:
            raise InputError(f"{inert(sentences)}, {where}: expected a list of sentences.")
        for number, instance in enumerate(group, 1):
            _add(found, instance, inert(sentences), f"{where}, sentence {number}")
        labels += [label] * len(group)
    relations = pd.DataFrame(described, columns=["relation", "name", "description"])
    return FewRel([sentence for sentence, *_ in found], torch.tensor(labels), relations)


def _object(path: Path) -> dict:
    """The file's JSON object, not empty, no key twice."""
    try:
        value = json.loads(path.read_text("utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise InputError(f"{inert(path)}: {error.strerror}, expected a readable file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{inert(path)}: not UTF-8, expected JSON in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{inert(path)}, line {error.lineno}: expected JSON.") from None
    except KeyError as error:
        said = f"the key {show(error.args[0])} is there twice"
        raise InputError(f"{inert(path)}: {said}, expected each once.") from None
    except (ValueError, RecursionError):
        raise InputError(f"{inert(path)}: not JSON that can be read.") from None
    if not isinstance(value, dict) or not value:
        raise InputError(f"{inert(path)}: expected a JSON object of relations such as 'P177'.")
    return value


def _once(pairs: list[tuple[str, object]]) -> dict:
    value = {}
    for key, item in pairs:
        if key in value:
            raise KeyError(key)
        value[key] = item
    return value


def _name(known: dict, relation: str, where: str) -> list[str]:
    if relation not in known:
        raise InputError(f"{where}: relation {show(relation)} is missing.")
    entry = known[relation]
    if not (isinstance(entry, list) and len(entry) == 2 and all(map(_is_text, entry))):
        raise InputError(f"{where}, relation {show(relation)}: expected [name, description].")
    return entry


def _add(found: dict[tuple, str], instance: object, file: str, where: str) -> None:
    """A twin is refused: one question with two answers, or in support and in query at once, would be no test.

    Twins are of one wording, places and Wikidata ids: the published file has a mention linked to two things.
    """
    sentence = _sentence(instance, f"{file}, {where}")
    key = (sentence, instance["h"][1], instance["t"][1])
    if key in found:
        raise InputError(f"{file}, {where}: the same as {found[key]}, expected each once.")
    found[key] = where


def _sentence(instance: object, where: str) -> Sentence:
    keys = instance if isinstance(instance, dict) else ()
    for key in ("tokens", "h", "t"):
        if key not in keys:
            raise InputError(f"{where}: no {key!r}, expected an object with tokens, h and t.")
    tokens = instance["tokens"]
    if not (isinstance(tokens, list) and tokens and all(map(_is_text, tokens))):
        raise InputError(f"{where}, 'tokens': expected a list of texts.")
    places = [_places(instance[key], len(tokens), f"{where}, {key!r}") for key in ("h", "t")]
    return Sentence(tuple(tokens), *places)


def _is_text(value: object) -> bool:
    """Text that can be written as UTF-8: JSON's escapes can spell halves of characters."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _places(entity: object, n_tokens: int, where: str) -> tuple[int, ...]:
    """Places of all mentions of [name, id, mentions], in order."""
    named = isinstance(entity, list) and len(entity) == 3 and all(map(_is_text, entity[:2]))
    mentions = entity[2] if named and isinstance(entity[2], list) else []
    if not mentions or not all(isinstance(mention, list) and mention for mention in mentions):
        raise InputError(f"{where}: expected [name, id, mentions], a mention being token places.")
    for place in (place for mention in mentions for place in mention):
        if type(place) is not int or not 0 <= place < n_tokens:
            said = f"{show(place)} is no place of a token"
            raise InputError(f"{where}: {said}, expected 0 to {n_tokens - 1}.")
    return tuple(sorted({place for mention in mentions for place in mention}))
