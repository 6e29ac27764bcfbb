"""An answer as a person reads it: a table with names, intervals and reasons. Knows no learner and no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from torch import Tensor

from fsl.reading.sentences import inert
from fsl.recommending.attributes import Content
from fsl.recommending.side import Answer
from fsl.recommending.why import in_words, reasons

if TYPE_CHECKING:
    from fsl.recommending.model import Model


@dataclass(frozen=True, eq=False)
class Wording:
    """What a newcomer's behaviours and columns are called in reasons."""

    model: Model
    newcomer: str
    places: Tensor
    targets: Tensor
    content: Content

    @property
    def catalogue(self):
        """The objects that are ranked."""
        return self.model.objects["item" if self.newcomer == "user" else "user"]

    @property
    def near(self) -> bool:
        """Whether reasons are likenesses."""
        return self.model.sides[self.newcomer].by_nearness

    def behaviours(self) -> list[str]:
        """Each known behaviour: `you rated Lumo Z1 5`, or for a likeness `Lumo Z1, which you rated 5`."""
        did = {"rating": "rated", "label": "answered"}.get(self.model.about["target"], "")
        return [
            self._behaviour(self.catalogue.said(place), f"{target:g}", did)
            for place, target in zip(self.places.tolist(), self.targets.tolist(), strict=True)
        ]

    def _behaviour(self, name: str, target: str, did: str) -> str:
        if self.newcomer == "user":
            done = f"{did} {{}} {target}".strip() if did else "have {}"
            return (
                f"{name}, which you {done.replace(' {}', '')}"
                if self.near
                else f"you {done.format(name)}"
            )
        done = f"{did} it {target}" if did else "has it"
        return f"{name}, who {done}" if self.near else f"{name} {done}"

    @property
    def start(self) -> str:
        """How the start is said, with a place for its number."""
        if self.model.scale is None:
            return "{:.0f} users have it" if self.newcomer == "user" else "has {:.0f} items"
        return "{:.2f} to anyone" if self.newcomer == "user" else "{:.2f} for any item"

    def columns(self) -> dict[str, str]:
        """Each column: `your age 31`, `its price 199`; and the start."""
        whose = "your" if self.newcomer == "user" else "its"
        said = {column: f"{whose} {column} {value}" for column, value in self.content.said.items()}
        return said | {"attributes": f"{whose} columns", "start": self.start}

    @property
    def sources(self) -> list[str]:
        """The column behind each feature."""
        return self.model.encoders[self.newcomer].sources

    @property
    def heading(self) -> str:
        """What is answered, and from what."""
        n = len(self.places)
        what = "behaviour" if self.model.scale is None else self.model.about["target"]
        plural = "" if n == 1 else "s"
        return f"{self.model!r}. From {n} {what}{plural} of the new {self.newcomer}."


@dataclass(frozen=True, eq=False)
class Recommendations:
    """table: the best first; columns `item` or `user`, `name`, `expected`, `low`, `high` (or `score`), `why`.

    parts: the same rows, one column for every part of `expected`, which is their sum. heading: what was asked. notes.
    """

    table: pd.DataFrame
    parts: pd.DataFrame
    heading: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, answer: Answer, chosen: Tensor, wording: Wording, width: float, n_reasons: int
    ) -> Recommendations:
        """The chosen rows of an answer, with intervals of mean ± width × sd, cut to the scale."""
        scale, catalogue = wording.model.scale, wording.catalogue
        found = reasons(answer, chosen, wording.sources, wording.behaviours(), scale)
        n_columns = len(found.labels) - len(wording.places) - 2
        columns = {
            catalogue.key: [catalogue.ids[place] for place in chosen.tolist()],
            "name": [catalogue.names[place] for place in chosen.tolist()],
        }
        if scale is None:
            columns["score"] = found.clipped.numpy()
        else:
            half = width * answer.sd[chosen]
            ends = (answer.mean[chosen] + sign * half for sign in (-1, 1))
            columns["expected"] = found.clipped.numpy()
            columns |= zip(
                ("low", "high"), (end.clamp(*scale).numpy() for end in ends), strict=True
            )
        said = wording.columns()
        columns["why"] = [
            in_words(found, row, said, n_columns, n_reasons, wording.near)
            for row in range(len(chosen))
        ]
        table = pd.DataFrame(columns, index=range(1, len(chosen) + 1))
        parts = pd.DataFrame(found.parts.numpy(), index=table.index, columns=found.labels)
        return cls(table, parts, wording.heading, wording.content.notes)

    def __str__(self) -> str:
        """The heading and a line for each row."""
        shown = pd.DataFrame(index=self.table.index)
        for column in [c for c in ("item", "user", "name") if c in self.table]:
            shown[column] = self.table[column].map(inert)
        if "name" in shown and (shown.iloc[:, 0] == shown["name"]).all():
            shown = shown.drop(columns="name")
        if "score" in self.table:
            shown["score"] = self.table["score"].map("{:.3f}".format)
        else:
            shown["expected"] = self.table["expected"].map("{:.2f}".format)
            ends = zip(self.table["low"], self.table["high"], strict=True)
            shown["90 % interval"] = [f"{low:.2f} to {high:.2f}" for low, high in ends]
        shown["why"] = self.table["why"].map(inert)
        lines = _lines(shown) if len(shown) else "Nothing is left to show."
        return f"{inert(self.heading)}\n{lines}"


def _lines(shown: pd.DataFrame) -> str:
    """Columns side by side, the last one as long as it is."""
    cells = [["", *shown.columns], *([str(n), *row] for n, row in shown.T.items())]
    widths = [max(len(row[j]) for row in cells) for j in range(len(cells[0]))]
    rights = {0, *(j for j, name in enumerate(cells[0]) if name in ("score", "expected"))}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if j in rights else cell.ljust(width)
            for j, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )
