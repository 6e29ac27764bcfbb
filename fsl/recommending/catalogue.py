"""Ids and names of a model's objects, and which one a person means. Knows no number."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fsl.errors import InputError
from fsl.reading.sentences import show


@dataclass(frozen=True)
class Catalogue:
    """key: "item" or "user". ids: text, each once; names: what people are shown, of the same number."""

    key: str
    ids: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        texts = all(isinstance(text, str) for text in (*self.ids, *self.names))
        if not texts or len(self.names) != len(self.ids) or len(set(self.ids)) != len(self.ids):
            raise ValueError(f"its {self.key}s are no list of ids and names")

    @cached_property
    def _by_id(self) -> Mapping[str, int]:
        return {id_: place for place, id_ in enumerate(self.ids)}

    @cached_property
    def _by_name(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            found.setdefault(_plain(name), []).append(place)
        return found

    def place(self, given: object) -> int:
        """The place of the object with that id, else of that name in any case. Raises InputError: none, or several."""
        text = str(given).strip()
        if text in self._by_id:
            return self._by_id[text]
        fits = self._by_name.get(_plain(text), [])
        if len(fits) == 1:
            return fits[0]
        if fits:
            ids = ", ".join(show(self.ids[place]) for place in fits[:5])
            raise InputError(
                f"{show(text)} is the name of {len(fits)} {self.key}s, expected an id ({ids})."
            )
        raise InputError(f"no {self.key} has the id or name {show(text)}{self._nearest(text)}.")

    def _nearest(self, text: str) -> str:
        for known in (self._by_name, self._by_id):
            near = difflib.get_close_matches(_plain(text), list(known)[:20_000], n=1, cutoff=0.6)
            if near:
                found = known[near[0]]
                place = found[0] if isinstance(found, list) else found
                return f" (is it {show(self.names[place])}?)"
        return ""

    def said(self, place: int) -> str:
        """The name, and the id where the name is that of several."""
        name = self.names[place]
        several = len(self._by_name[_plain(name)]) > 1 and name != self.ids[place]
        return f"{name} ({self.ids[place]})" if several else name

    def state(self) -> Mapping[str, Sequence[str]]:
        """All of it, as JSON can hold it."""
        same = self.ids == self.names
        return {"ids": list(self.ids)} | ({} if same else {"names": list(self.names)})

    @classmethod
    def from_state(cls, key: str, state: Mapping[str, Sequence[str]]) -> "Catalogue":
        """The catalogue of a `state`. Raises TypeError, ValueError or KeyError for what is none."""
        ids = tuple(state["ids"])
        return cls(key, ids, tuple(state.get("names", ids)))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
