"""The one number a notebook stands for, shown to its reader and kept for the report's index. Knows no notebook."""

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

MIME = "application/vnd.fsl.headline+json"


@dataclass(frozen=True)
class Headline:
    """A message in one sentence and its number with a 95 % interval, in `unit`; shown as text in a notebook.

    words: what more is to be read at the top of the report's page, a paragraph each.
    """

    message: str
    value: float
    low: float
    high: float
    unit: str
    words: tuple[str, ...] = ()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        record = asdict(self)
        if not self.words:
            del record["words"]
        return {"text/plain": str(self), MIME: record}

    def __str__(self) -> str:
        value, low, high = rounded(self.value, self.low, self.high, self.message)
        return f"{self.message} {value} {self.unit} (95 % interval {low} to {high})"


def headline(
    message: str, value: float, low: float, high: float, unit: str, words: Iterable[object] = ()
) -> Headline:
    """The last line of a notebook's key result: `headline("MAML's error at K = 5:", .8, .7, .9, "stars")`.

    words: paragraphs that a page shows below the number, in their `str` form.

    Raises ValueError when a number is not finite, so that the cell fails where its reader sees it.
    """
    numbers = {"value": float(value), "low": float(low), "high": float(high)}
    wrong = [f"{name} {number}" for name, number in numbers.items() if not math.isfinite(number)]
    if wrong:
        raise ValueError(f"a headline wants finite numbers, not {', '.join(wrong)} ({message})")
    return Headline(message, **numbers, unit=unit, words=tuple(map(str, words)))


def rounded(
    value: float | None, low: float | None, high: float | None, message: str = ""
) -> tuple[str, str, str]:
    """The three as text, with the digits that their interval leaves meaning to: two of its width.

    One digit more where an end that is not 0 would read as 0. Without an interval three significant
    digits; a number that is None or not finite is a dash. A difference shows its sign: where the
    interval has 0 inside or the message says so.
    """
    decimals, sign = _decimals(low, high), "+" if _is_difference(low, high, message) else "-"
    value, low, high = (_written(number, decimals, sign) for number in (value, low, high))
    return value, low, high


def _is_difference(low: float | None, high: float | None, message: str) -> bool:
    spans_zero = _is_number(low) and _is_number(high) and low < 0 < high
    return spans_zero or bool(re.search(r"\bdifference\b", message, re.I))


def _decimals(low: float | None, high: float | None) -> int | None:
    if not (_is_number(low) and _is_number(high) and high > low):
        return None
    decimals = max(0, 1 - math.floor(math.log10(high - low)))
    return decimals + any(end != 0 and round(end, decimals) == 0 for end in (low, high))


def _written(number: float | None, decimals: int | None, sign: str) -> str:
    if not _is_number(number):
        return "–"
    shown = number if decimals is None else round(number, decimals) + 0.0
    kind = ".3g" if decimals is None else f",.{decimals}f"
    text = f"{shown:{sign if shown else '-'}{kind}}"
    return text.replace("-", "−")


def _is_number(number: float | None) -> bool:
    return number is not None and math.isfinite(number)
