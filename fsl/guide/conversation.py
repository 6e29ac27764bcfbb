"""The conversation: a pure function from a state and a line to the next state and what is said. No terminal, no luck.

guide = Guide(Shelf.of_shop(fsl.load("phones-99")))
turn = guide.start()
turn = guide.hear(turn.state, "7")
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from fsl.errors import InputError
from fsl.guide import hearing
from fsl.guide.choosing import KINDS, askable, best_of_each_kind, ranked, top
from fsl.guide.questions import PAIR, RATE, WISH, Question, reaction
from fsl.guide.shelf import Shelf
from fsl.guide.speech import Speech
from fsl.guide.state import ASKING, OVER, REACTING, State, weighed
from fsl.guide.words import LANGUAGES
from fsl.reading.sentences import show

LEAST_WORTH = 0.0005  # in points: below it a question would be said to be worth 0.000


class Turn(NamedTuple):
    """Where the conversation stands, and what the guide says."""

    state: State
    text: str


@dataclass(frozen=True)
class Guide:
    """most: questions before three are shown. kinds: what may be asked.

    Raises InputError for an unknown language or kind.
    """

    shelf: Shelf
    language: str = "en"
    most: int = 3
    kinds: Collection[str] = KINDS

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            expected = ", ".join(LANGUAGES)
            raise InputError(f"language is {show(self.language)}, expected one of {expected}.")
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise InputError(
                f"question kind {show(unknown[0])}: expected some of {', '.join(KINDS)}."
            )

    @property
    def speech(self) -> Speech:
        """How things are said."""
        return Speech(self.shelf, self.language)

    def start(self) -> Turn:
        """The welcome, and the first question."""
        return self._asked(State(left=self.most), self.speech.welcome(self.most))

    def hear(self, state: State, line: str) -> Turn:
        """One line of the person; whatever it is, what was learned before is kept."""
        say = self.speech.say
        if state.phase == OVER:
            return Turn(state, say("over"))
        if len(line) > hearing.LONGEST:
            return self._again(state, say("long", n=len(line), most=hearing.LONGEST))
        text = hearing.plain(line)
        if not text:
            return self._again(state, say("empty"))
        command = hearing.command(text)
        if command is not None:
            return self._commanded(state, command)
        return (self._answered if state.phase == ASKING else self._reacted)(state, text, line)

    def farewell(self, state: State) -> str:
        """The last word, with what was learned so far: at done, at the end of input, at Ctrl-C."""
        return self.speech.bye(len(state.answers), self._best(state).tolist())

    def _commanded(self, state: State, command: str) -> Turn:
        say = self.speech.say
        if command == "back":
            return self._again(state.before or state, say("back" if state.before else "back_none"))
        if command == "done":
            return Turn(state.next(phase=OVER), self.farewell(state))
        if command == "show":
            return self._showing(state.next())
        if command == "more":
            return self._asked(state.next(phase=ASKING, left=max(1, state.left)), wanted=True)
        if command == "skip" and state.phase == ASKING:
            asked = state.asked.question
            later = state.next(done=(*state.done, (asked.kind, asked.about)), left=state.left - 1)
            return self._asked(later, say("skipped"))
        if command == "why":
            return self._again(state, self._why(state))
        return self._again(state, say("help"))

    def _why(self, state: State) -> str:
        if state.asked is None:
            return self.speech.say("why_none")
        others = best_of_each_kind(state.options)
        others.pop(state.asked.question.kind)
        return self.speech.why(state.asked.worth, {kind: one.worth for kind, one in others.items()})

    def _answered(self, state: State, text: str, line: str) -> Turn:
        asked, number = state.asked.question, hearing.number(text)
        answer = None if number is None else _answer(asked, number, self.shelf.scale)
        if answer is None:
            return self._again(state, self.speech.unclear_answer(asked, number, line))
        later = replace(state.with_answer(asked, answer), left=state.left - 1)
        return self._asked(later, self.speech.say("noted"))

    def _reacted(self, state: State, text: str, line: str) -> Turn:
        heard, scale, speech = hearing.reaction(text), self.shelf.scale, self.speech
        if heard is None:
            return self._again(state, speech.unclear_reaction(line))
        place, what, value = heard
        if place != int(place) or not 1 <= place <= len(state.shown):
            return self._again(state, speech.say("no_such", value=place))
        if what == "points" and not scale[0] <= value <= scale[1]:
            return self._again(state, speech.outside(value))
        item = state.shown[int(place) - 1]
        later = state.with_answer(self._about(item, what), value)
        return self._showing(later, speech.say("noted"))

    def _about(self, item: int, what: str) -> Question:
        asked = reaction(self.shelf.belief, item, self.shelf.cuts)
        return replace(asked, kind=RATE, cuts=()) if what == "points" else asked

    def _asked(self, state: State, said: str = "", wanted: bool = False) -> Turn:
        """The most valuable question; the three where enough was asked or, unless `wanted`, none is worth its while."""
        if state.left <= 0:
            return self._showing(state, said)
        belief, _ = weighed(self.shelf.belief, state.answers)
        left = self._candidates(state)
        asked = askable(self.shelf, belief, self.kinds, state.done) if len(left) else []
        options = ranked(belief, asked, left)
        if not options:
            return self._showing(replace(state, left=0), _lines(said, self.speech.say("no_more")))
        if options[0].worth < LEAST_WORTH and not wanted:
            return self._showing(state, _lines(said, self.speech.say("settled")))
        return self._again(replace(state, phase=ASKING, options=tuple(options)), said)

    def _showing(self, state: State, said: str = "") -> Turn:
        shown = tuple(self._best(state).tolist())
        return self._again(replace(state, phase=REACTING, shown=shown, left=0), said)

    def _again(self, state: State, said: str) -> Turn:
        """What was said, then the question or the choice that stands."""
        if state.asked is not None:
            return Turn(state, _lines(said, self.speech.question(*state.asked)))
        _, found = weighed(self.shelf.belief, state.answers)
        return Turn(state, _lines(said, self.speech.choice(state.answers, found, state.shown)))

    def _candidates(self, state: State) -> Tensor:
        gone = state.disliked
        left = [i for i in range(len(self.shelf.counts)) if i not in gone]
        return torch.tensor(left, dtype=torch.long)

    def _best(self, state: State) -> Tensor:
        left = self._candidates(state)
        belief, _ = weighed(self.shelf.belief, state.answers)
        return top(belief, left)


def _answer(asked: Question, number: float, scale: tuple[float, float]) -> float | None:
    """What the number means as an answer: points; the first (1) or the second (0) of two; a wish's third from 0."""
    if asked.kind == RATE:
        return number if scale[0] <= number <= scale[1] else None
    means = {PAIR: {1: 1.0, 2: 0.0}, WISH: {1: 0.0, 2: 1.0, 3: 2.0}}
    return means[asked.kind].get(number)


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def dialogue(guide: Guide, lines: Iterable[str]) -> list[tuple[str, str, float | None]]:
    """A scripted conversation: (who, what was said, the worth of the question that then stands or None)."""
    turn = guide.start()
    found = [("guide", turn.text, turn.state.asked and turn.state.asked.worth)]
    for line in lines:
        turn = guide.hear(turn.state, line)
        found.append(("you", line, None))
        found.append(("guide", turn.text, turn.state.asked and turn.state.asked.worth))
    return found
