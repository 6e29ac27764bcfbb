"""How the guide says things: questions, choices with their reasons, and what it did not understand. One language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from fsl.guide.questions import PAIR, RATE, REACTION, WISH, Evidence, Question
from fsl.guide.reasons import reasons_of
from fsl.guide.shelf import Shelf
from fsl.guide.words import WORDS, column_word
from fsl.reading.sentences import inert, show
from fsl.recommending.why import LEAST

N_FACTS, LEFT_OUT = 4, ("name", "model", "brand")


@dataclass(frozen=True)
class Speech:
    """The sentences of one language, about one shelf."""

    shelf: Shelf
    language: str

    def say(self, key: str, **values) -> str:
        """One sentence of the table."""
        return WORDS[self.language][key].format(**values)

    @property
    def ends(self) -> dict[str, float]:
        """The scale, as sentences want it."""
        return dict(zip(("low", "high"), self.shelf.scale, strict=True))

    def welcome(self, most: int) -> str:
        """Who speaks, and from what it knows."""
        simulated = self.say("simulated") if self.shelf.simulated else ""
        told = {"n": len(self.shelf.counts), "people": self.shelf.n_people, "most": most}
        return self.say("welcome", name=inert(self.shelf.name), simulated=simulated, **told)

    def item(self, place: int) -> str:
        """A phone's name."""
        return inert(self.shelf.catalogue.said(place))

    def facts(self, place: int) -> str:
        """A few of its columns, in brackets."""
        if self.shelf.table is None:
            return ""
        row = self.shelf.table.iloc[place]
        told = [c for c in row.index if c not in LEFT_OUT and pd.api.types.is_number(row[c])]
        told = sorted((c for c in told if pd.notna(row[c])), key=lambda c: c != "price")[:N_FACTS]
        facts = self.say("and").join(f"{self.column(c)} {row[c]:g}" for c in told)
        return f" ({facts})" if facts else ""

    def column(self, name: str) -> str:
        """A column's name."""
        return inert(column_word(str(name), self.language))

    def question(self, asked: Question, worth: float) -> str:
        """The question and what it is worth."""
        return self._question(asked) + self.say("worth", worth=worth)

    def _question(self, asked: Question) -> str:
        about = asked.about
        if asked.kind == RATE:
            told = {"item": self.item(about[0]), "about": self.facts(about[0])}
            return self.say("rate", **told, **self.ends)
        if asked.kind == PAIR:
            names = {"first": self.item(about[0]), "second": self.item(about[1])}
            facts = {"first_about": self.facts(about[0]), "second_about": self.facts(about[1])}
            return self.say("pair", **names, **facts)
        column = self.column(about[0])
        if about[1] is None:
            return self.say("wish", column=column)
        return self.say("wish_value", column=column, value=inert(about[1]))

    def why(self, worth: float, others: Mapping[str, float]) -> str:
        """What the question is worth, and the best of the other kinds."""
        told = [self.say(f"kind_{kind}", worth=one) for kind, one in others.items()]
        return self.say(
            "why", worth=worth, others=self.say("and").join(told) or self.say("no_other")
        )

    def answer(self, asked: Question, answer: float) -> str:
        """An answer, as a reason names it."""
        if asked.kind == RATE:
            return self.say("said_rate", item=self.item(asked.about[0]), answer=answer)
        if asked.kind == PAIR:
            first, second = asked.about if answer == 1 else asked.about[::-1]
            return self.say("said_pair", first=self.item(first), second=self.item(second))
        if asked.kind == REACTION:
            return self.say(f"said_reaction_{int(answer)}", item=self.item(asked.about[0]))
        column, value = asked.about
        wished = self.column(column) + ("" if value is None else f" {inert(value)}")
        return self.say(f"said_wish_{int(answer)}", wish=wished)

    def choice(
        self,
        answers: Sequence[tuple[Question, float]],
        found: Sequence[Evidence],
        shown: Sequence[int],
    ) -> str:
        """The chosen ones, each with its parts, and how to react."""
        if not shown:
            return self.say("choice_none")
        parts = reasons_of(self.shelf.belief, found, torch.tensor(shown), self.shelf.scale)
        said = [self.answer(*one) for one in answers]
        lines = [self.say("choice", heard=self.heard(len(answers)))]
        for row, place in enumerate(shown):
            told = {"place": row + 1, "item": self.item(place)}
            told["expected"] = float(parts.clipped[row])
            lines.append(
                self.say("line", **told, reasons=self._sum(parts.parts[row].tolist(), said))
            )
        return "\n".join([*lines, self.say("react", **self.ends)])

    def _sum(self, parts: list[float], said: Sequence[str], most: int = 3) -> str:
        """To anyone, the strongest answers, all else: the numbers add up to what is expected."""
        start, *shares, end = parts
        order = sorted(range(len(shares)), key=lambda k: -abs(shares[k]))
        named = [k for k in order[:most] if abs(shares[k]) >= LEAST]
        words = [self.say("start", value=start)]
        words += [self.say("because", why=said[k], value=shares[k]) for k in named]
        rest = sum(shares[k] for k in range(len(shares)) if k not in named)
        words += [self.say("all_else", value=rest)] if abs(rest) >= LEAST else []
        words += [self.say("ends", value=end)] if abs(end) >= LEAST else []
        return "; ".join(words)

    def unclear(self, line: str) -> str:
        """The line, harmless, was not understood."""
        return self.say("unclear", text=show(inert(line)))

    def outside(self, value: float) -> str:
        """The number is outside the scale."""
        return self.say("outside", value=value, **self.ends)

    def unclear_answer(self, asked: Question, number: float | None, line: str) -> str:
        """Why this was no answer, and what would be one."""
        if asked.kind == WISH or asked.kind == PAIR:
            answers = "1, 2" if asked.kind == PAIR else "1, 2, 3"
            return f"{self.unclear(line)} {self.say('unclear_choice', answers=answers)}"
        first = self.unclear(line) if number is None else self.outside(number)
        return f"{first} {self.say('unclear_rate', **self.ends)}"

    def unclear_reaction(self, line: str) -> str:
        """Likewise for a reaction."""
        return f"{self.unclear(line)} {self.say('unclear_react', **self.ends)}"

    def bye(self, n: int, items: Sequence[int]) -> str:
        """Thanks, and the names of the best so far."""
        names = self.say("and").join(self.item(place) for place in items)
        return self.say("bye", heard=self.heard(n), items=names)

    def heard(self, n: int) -> str:
        """From how many answers: none, one or more."""
        return self.say(f"heard_{n}" if n < 2 else "heard", n=n)
