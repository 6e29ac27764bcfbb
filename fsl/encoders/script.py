"""In which script texts are written, and so which encoder can read them. Knows characters; no model."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

FOREIGN = 0.05


def encoder_for(texts: Sequence[str]) -> str:
    """ "multilingual" where more than 5 % of the texts hold letters that are not Latin, else "minilm".

    A script is not a language: German or Spanish counts as Latin, and MiniLM is for English. Measured on Chinese:
    MiniLM puts unrelated sentences nearly as near as paraphrases, the multilingual one does not (data/README.md).
    """
    foreign = sum(any(map(_is_foreign, text)) for text in texts)
    return "multilingual" if foreign > FOREIGN * len(texts) else "minilm"


@lru_cache(maxsize=65536)
def _is_foreign(character: str) -> bool:
    """A letter of another script than Latin. Greek does not count: β and Ω stand in English texts."""
    name = unicodedata.name(character, "") if character.isalpha() else ""
    return bool(name) and not name.startswith(("LATIN", "GREEK", "FEMININE", "MASCULINE", "MICRO"))
