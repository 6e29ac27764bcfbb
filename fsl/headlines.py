"""The one number a notebook stands for, shown to its reader and kept for the report's index. Knows no notebook."""

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
        interval = f"{self.value:.3g} {self.unit} (95 % interval {self.low:.3g} to {self.high:.3g})"
        return f"{self.message} {interval}"


def headline(message: str, value: float, low: float, high: float, unit: str) -> Headline:
    """The last line of a notebook's key result: `headline("MAML's error at K = 5:", .8, .7, .9, "stars")`."""
    return Headline(message, float(value), float(low), float(high), unit)
