"""The one number a notebook stands for, shown to its reader and kept for the report's index. Knows no notebook."""

import math
from dataclasses import asdict, dataclass

MIME = "application/vnd.fsl.headline+json"


@dataclass(frozen=True)
class Headline:
    """A message in one sentence and its number with a 95 % interval, in `unit`; shown as text in a notebook."""

    message: str
    value: float
    low: float
    high: float
    unit: str

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), MIME: asdict(self)}

    def __str__(self) -> str:
        value, low, high = rounded(self.value, self.low, self.high)
        return f"{self.message} {value} {self.unit} (95 % interval {low} to {high})"


def headline(message: str, value: float, low: float, high: float, unit: str) -> Headline:
    """The last line of a notebook's key result: `headline("MAML's error at K = 5:", .8, .7, .9, "stars")`."""
    return Headline(message, float(value), float(low), float(high), unit)


def rounded(value: float | None, low: float | None, high: float | None) -> tuple[str, str, str]:
    """The three as text, with the digits that their interval leaves meaning to: two of its width.

    One digit more where an end that is not 0 would read as 0. Without an interval three significant
    digits; a number that is None or not finite is a dash.
    """
    decimals = _decimals(low, high)
    return _written(value, decimals), _written(low, decimals), _written(high, decimals)


def _decimals(low: float | None, high: float | None) -> int | None:
    if not (_is_number(low) and _is_number(high) and high > low):
        return None
    decimals = max(0, 1 - math.floor(math.log10(high - low)))
    return decimals + any(end != 0 and round(end, decimals) == 0 for end in (low, high))


def _written(number: float | None, decimals: int | None) -> str:
    if not _is_number(number):
        return "–"
    text = f"{number:.3g}" if decimals is None else f"{round(number, decimals) + 0.0:,.{decimals}f}"
    return text.replace("-", "−")


def _is_number(number: float | None) -> bool:
    return number is not None and math.isfinite(number)
