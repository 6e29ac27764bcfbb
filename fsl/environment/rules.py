"""What may happen between a guide and a visitor: questions, reactions, costs. Knows no shop and no visitor."""

from dataclasses import dataclass

from fsl.errors import InputError

REACTIONS = ("ignore", "look", "like", "buy")
IGNORED, LOOKED, LIKED, BOUGHT, NOTHING = range(5)  # NOTHING: no phone was shown in that place
STARS = (1.7, 3.0, 4.3, 5.0)  # what a reaction says in stars, to a model that learns from stars
QUESTIONS = ("budget", "camera", "battery", "games", "size", "brand")
SHOW = 0  # a turn's kind: SHOW, or 1 + a question's place in QUESTIONS


@dataclass(frozen=True)
class Rules:
    """How a visit goes. Stars are the unit of appeal and of reward.

    n_turns: the visit's longest length. n_slots: phones shown in one turn, at most.
    turn_cost, question_cost: stars; a question costs both. pocket: appeal of the phone that the visitor has, so that a
    purchase is worth its appeal less that. looks_from, likes_from, buys_from: felt appeal from which a visitor does so.
    answer_noise: standard deviation of an answer. patience, patience_spread: a visitor has `patience` and up to
    `patience_spread` more; a turn takes 1, one in which everything was ignored takes 2; at 0 the visitor leaves.
    """

    n_turns: int = 10
    n_slots: int = 1
    turn_cost: float = 0.05
    question_cost: float = 0.05
    pocket: float = 3.5
    looks_from: float = 2.5
    likes_from: float = 3.5
    buys_from: float = 5.5
    answer_noise: float = 0.2
    patience: int = 6
    patience_spread: int = 8

    def __post_init__(self) -> None:
        for name in ("n_turns", "n_slots", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected 1 or more.")
        for name in ("turn_cost", "question_cost", "answer_noise", "patience_spread"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}, expected 0 or more.")
        if not self.looks_from <= self.likes_from <= self.buys_from:
            raise InputError(
                f"looks_from, likes_from, buys_from are {self.looks_from}, {self.likes_from}, "
                f"{self.buys_from}, expected them in rising order."
            )
