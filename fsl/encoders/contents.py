"""What a text is to an encoder: checked, and as bytes."""

from collections.abc import Sequence

from fsl.errors import InputError
from fsl.reading.sentences import show


def as_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list. Raises InputError for a single text, or a row that is none."""
    if isinstance(texts, str):
        raise InputError(f"an encoder takes a list of texts, got the text {show(texts)}.")
    texts = list(texts)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"texts: row {row} is {show(str(text))}, expected a text.")
    return texts


def utf8(text: str) -> bytes:
    """The bytes of a text; half a surrogate pair, which is no character, is kept, not refused."""
    return text.encode("utf-8", "surrogatepass")


def readable(text: str) -> str:
    """The text without halves of surrogate pairs, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
