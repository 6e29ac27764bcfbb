"""Where a conversation stands. A state never changes; each answer makes a new one, so that "back" is the one before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fsl.bandits.posterior import Belief
from fsl.guide.choosing import Valued
from fsl.guide.questions import RATE, REACTION, Evidence, Question, evidence, learned

ASKING, REACTING, OVER = "asking", "reacting", "over"


def topic(asked: Question) -> tuple[str, tuple]:
    """What a question is about: a rating of a phone and a like of it are one topic."""
    return (RATE if asked.kind == REACTION else asked.kind, asked.about)


@dataclass(frozen=True, eq=False)
class State:
    """What was answered, (kind, about) of what was asked, what is asked now and with what worth, what is shown.

    left: questions left before the next three are shown. before: the state that "back" returns to.
    """

    answers: tuple[tuple[Question, float], ...] = ()
    done: tuple[tuple, ...] = ()
    phase: str = ASKING
    options: tuple[Valued, ...] = ()
    shown: tuple[int, ...] = ()
    left: int = 0
    before: State | None = None

    @property
    def asked(self) -> Valued | None:
        """The question that stands."""
        return self.options[0] if self.phase == ASKING and self.options else None

    def next(self, **changes) -> State:
        """A later state, from which "back" leads here."""
        return replace(self, before=self, **changes)

    def with_answer(self, asked: Question, answer: float) -> State:
        """That answer added; a second word on the same thing replaces the first."""
        key = topic(asked)
        kept = tuple(one for one in self.answers if topic(one[0]) != key)
        return self.next(answers=(*kept, (asked, answer)), done=(*self.done, key))

    @property
    def disliked(self) -> set[int]:
        """Places of what the person turned down: not shown again."""
        return {q.about[0] for q, answer in self.answers if q.kind == REACTION and answer == 0}


def weighed(
    start: Belief, answers: Iterable[tuple[Question, float]]
) -> tuple[Belief, list[Evidence]]:
    """The belief after the answers, in their order, and each one as a Gaussian observation."""
    belief, found = start, []
    for asked, answer in answers:
        found.append(evidence(belief, asked, answer))
        belief = learned(belief, found[-1])
    return belief, found
