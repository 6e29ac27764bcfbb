"""A trained model: what to show a new user, and whom to show a new item. Knows sides, ids and features; no file format.

model = fsl.load_model("phones.fsl")
print(model.recommend({"Lumo Z1": 5, "p0003": 2}, top=10))
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fsl.encoder import Encoder
from fsl.errors import InputError
from fsl.reading.sentences import SHOWN, show
from fsl.recommending.attributes import Content, content_of
from fsl.recommending.catalogue import Catalogue
from fsl.recommending.intervals import Widths
from fsl.recommending.side import Answer, Side
from fsl.recommending.told import Recommendations, Wording

OTHER = {"user": "item", "item": "user"}


@dataclass(frozen=True, eq=False)
class Model:
    """Two sides of one shop: `recommend` for a new user, `audience` for a new item.

    about: learner, data, simulated, target ("rating", "label" or None), scale, settings, versions. sides, encoders and
    widths: by newcomer, "user" or "item". objects: by what is met, "item" or "user".
    """

    about: Mapping[str, Any]
    sides: Mapping[str, Side]
    objects: Mapping[str, Catalogue]
    encoders: Mapping[str, Encoder]
    widths: Mapping[str, Widths] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for newcomer, side in self.sides.items():
            if side.n_objects != len(self.objects[OTHER[newcomer]].ids):
                raise ValueError(f"its {OTHER[newcomer]}s and its numbers are of other sizes")
            if side.n_features not in (0, len(self.encoders[newcomer].names)):
                raise ValueError(f"its features of {newcomer}s and its numbers are of other sizes")

    @property
    def scale(self) -> tuple[float, float] | None:
        """The lowest and the highest target; None for a model that only ranks."""
        return tuple(self.about["scale"]) if self.about["target"] else None

    def recommend(
        self,
        known: Mapping[object, float] | Iterable[object] = (),
        top: int = 10,
        about: Mapping[str, object] | None = None,
        reasons: int = 2,
    ) -> Recommendations:
        """What to show a new user.

        known: item (id or name) -> rating or label; items alone for a model without ratings; nothing for a stranger.
        about: the user's own columns, such as {"age": 31}. reasons: how many are put in words.
        Items in `known` are left out. Raises InputError, one sentence for each problem.
        """
        return self._answered("user", known, top, about, reasons)

    def audience(
        self,
        attributes: Mapping[str, object] | None = None,
        reactions: Mapping[object, float] | Iterable[object] = (),
        top: int = 10,
        reasons: int = 2,
    ) -> Recommendations:
        """Whom to show a new item: attributes are its columns, reactions user -> rating; else as `recommend`."""
        return self._answered("item", reactions, top, attributes, reasons)

    def save(self, path: str | Path) -> None:
        """Write one file, whole or not at all."""
        from fsl.recommending.model_file import save_model

        save_model(self, path)

    def _answered(self, newcomer: str, known, top: int, given, n_reasons: int) -> Recommendations:
        if not isinstance(top, int) or top < 1:
            raise InputError(f"top is {show(top)}, expected a whole number above 0.")
        places, targets = self.places_of(newcomer, known)
        content = self._content(newcomer, given)
        answer, chosen = self.ranked(newcomer, places, targets, content, top)
        return Recommendations.of(
            answer,
            chosen,
            Wording(self, newcomer, places, targets, content),
            self.widths.get(newcomer, Widths()).at(len(places)),
            n_reasons,
        )

    def ranked(
        self, newcomer: str, places: Tensor, targets: Tensor, content: Content, top: int
    ) -> tuple[Answer, Tensor]:
        """The answer for all objects, and the places of the `top` best ones that are not known yet."""
        answer = self.sides[newcomer].answer(content.features, places, targets)
        mean = answer.mean.index_fill(0, places, -torch.inf)
        n = min(top, len(mean) - len(places.unique()))
        return answer, mean.argsort(descending=True, stable=True)[:n]

    def _content(self, newcomer: str, given: Mapping[str, object] | None) -> Content:
        if given and not self.sides[newcomer].n_features:
            said = f"{self.about['learner']} makes no use of a new {newcomer}'s own columns here."
            return Content(None, {}, (said,))
        return content_of(given, self.encoders[newcomer])

    def places_of(self, newcomer: str, known) -> tuple[Tensor, Tensor]:
        """Places and targets of what a newcomer met. Raises InputError: unknown, twice, out of the scale."""
        pairs = (
            list(known.items()) if isinstance(known, Mapping) else [(one, None) for one in known]
        )
        catalogue, places, problems = self.objects[OTHER[newcomer]], {}, []
        for given, target in pairs:
            try:
                place = catalogue.place(given)
                if place in places:
                    raise InputError(
                        f"{catalogue.key} {show(str(given))} is there twice, expected each once."
                    )
                places[place] = self.target_of(target)
            except InputError as error:
                problems += error.problems
            if len(problems) >= SHOWN and len(pairs) > SHOWN:
                problems.append(f"what follows {show(str(given))} was not looked at.")
                break
        if problems:
            raise InputError(*problems)
        found = torch.tensor(list(places.values()), dtype=torch.float64)
        return torch.tensor(list(places), dtype=torch.int64), found

    def target_of(self, given: object) -> float:
        """A rating or label as a number on the scale; 1 for a model that only ranks. Raises InputError."""
        if self.scale is None:
            return 1.0
        low, high = self.scale
        try:
            number = float(given)
        except (TypeError, ValueError):
            number = float("nan")
        if not low <= number <= high or (self.about["target"] == "label" and number not in (0, 1)):
            wanted = (
                "0 or 1"
                if self.about["target"] == "label"
                else f"a number from {low:g} to {high:g}"
            )
            raise InputError(f"{self.about['target']} {show(given)}, expected {wanted}.")
        return number

    def __repr__(self) -> str:
        made = " (simulated)" if self.about["simulated"] else ""
        users, items = (len(self.objects[key].ids) for key in ("user", "item"))
        return f"{self.about['learner']} of {self.about['data']}{made}: {users:,} users, {items:,} items"
