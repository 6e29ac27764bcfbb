"""Visits to the simulated shop, thousands at once: a guide shows phones or asks, visitors react, buy or leave.

Everything is simulated. Knows a shop's `Truth` and the `Rules`; knows no policy, and nothing of Gymnasium.
"""

from copy import copy
from typing import NamedTuple

import numpy as np
import pandas as pd

from fsl.data import Shop
from fsl.environment.draws import bits, normals
from fsl.environment.rules import BOUGHT, IGNORED, NOTHING, SHOW, STARS, Rules
from fsl.errors import InputError
from fsl.features import encode
from fsl.simulate import ATTRIBUTES, SCENE_NAMES, SCENES, Truth

_EMPHASIS = np.array([scene.emphasis for scene in SCENES.values()])
_NOISE = np.array([scene.noise for scene in SCENES.values()])
_ASKED_OF = tuple(ATTRIBUTES.index(name) for name in ("camera", "battery", "performance", "screen"))
TYPICAL_BUDGET = 600.0  # USD; a budget's answer is the logarithm of its ratio to this one
_WHO, _PATIENCE, _FELT, _SAID = range(4)  # what a random number is for


class Visitors(NamedTuple):
    """numbers: who in the stream of visitors; users: rows of the shop's users; scenes: places in SCENE_NAMES. [n]."""

    numbers: np.ndarray
    users: np.ndarray
    scenes: np.ndarray


class Turn(NamedTuple):
    """What one turn brought, [n] each (reactions [n, n_slots]).

    reward: stars, see `Visits`. reactions: IGNORED, LOOKED, LIKED, BOUGHT, or NOTHING. answer: 0 where nothing was
    asked. bought: the item, or -1. left: gone, by purchase or impatience. late: the last turn is over.
    """

    reward: np.ndarray
    reactions: np.ndarray
    answer: np.ndarray
    bought: np.ndarray
    left: np.ndarray
    late: np.ndarray


def stars_of(reactions: np.ndarray) -> np.ndarray:
    """What reactions say in stars, to a model that learns from stars; 0 for NOTHING, which says none. Any shape."""
    return np.array([*STARS, 0.0])[reactions]


class Visits:
    """n visits at once. Visitor number v is the same person with the same luck in every batch and for every guide.

        felt(v, i) = appeal(v, i) + scene noise · ε(v, i),   reward = [bought i] (appeal(v, i) − pocket) − costs

    ε depends on seed, visitor and phone alone: what a visitor feels for a phone does not depend on when or after what
    it is shown, so that two guides can be compared pair by pair. Who feels at least `buys_from` for a shown phone buys
    the best of them. A phone shown again is ignored. A question is answered with
    log(budget / 600 USD), or with the taste in this scene in stars per standard deviation (camera, battery, games:
    performance, size: screen), or the liking of Aster OS in stars (brand), each + `answer_noise`.

    pairs: int [m, 2] of (user, scene), who may come; visitor v is pair v mod m of an order shuffled by `seed`.
    about: [n_users, d], what a guide may know of a user.
    """

    def __init__(
        self, truth: Truth, pairs: np.ndarray, about: np.ndarray, rules: Rules, seed: int = 0
    ):
        self.truth, self.rules, self.seed = truth, rules, seed
        self.n_items, self.about = len(truth.quality), np.asarray(about, dtype=np.float32)
        self.pairs = np.asarray(pairs)[np.argsort(bits(seed, _WHO, np.arange(len(pairs))))]

    @classmethod
    def of_shop(
        cls,
        shop: Shop,
        users: np.ndarray | None = None,
        scene: str | None = None,
        rules: Rules | None = None,
        seed: int = 0,
    ) -> "Visits":
        """Visits to a simulated shop by those `users` (rows of its table; None: all), in one scene or those they visit.

        Raises InputError for a shop that is not simulated, or an unknown scene.
        """
        if shop.truth is None:
            raise InputError(
                f"{shop.name} is no simulated shop, so nobody knows how its visitors would react: use Replay."
            )
        if scene is not None and scene not in SCENE_NAMES:
            raise InputError(f"scene is {scene!r}, expected one of {', '.join(SCENE_NAMES)}.")
        pairs = visiting_pairs(shop)
        if users is not None:
            pairs = pairs[np.isin(pairs[:, 0], users)]
        if scene is not None:
            pairs = pairs[pairs[:, 1] == SCENE_NAMES.index(scene)]
        about, _ = encode(shop.users, pd.Index(shop.users["user"]), "user")
        return cls(shop.truth, pairs, about, rules or Rules(), seed)

    def expecting(self, pairs: np.ndarray) -> "Visits":
        """The same shop for these (user, scene) pairs, int64 [m, 2], in this order: visitor v is pair v mod m."""
        found = copy(self)
        found.pairs = np.asarray(pairs)
        return found

    def arrive(self, numbers: np.ndarray) -> Visitors:
        """Begin with these visitors (numbers >= 0, [n]); whoever was there before is forgotten."""
        self.visitors = self._who(np.asarray(numbers, dtype=np.int64))
        n = len(numbers)
        self.turn = np.zeros(n, dtype=np.int64)
        self.patience = self._patience(self.visitors.numbers)
        self.shown = np.zeros((n, self.n_items), dtype=bool)
        self.gone = np.zeros(n, dtype=bool)
        return self.visitors

    def next_ones(self, who: np.ndarray) -> None:
        """In the places `who` (bool [n]) the next visitors arrive, numbered n further on."""
        numbers = self.visitors.numbers[who] + len(who)
        for own, new in zip(self.visitors, self._who(numbers), strict=True):
            own[who] = new
        self.turn[who], self.gone[who] = 0, False
        self.patience[who] = self._patience(numbers)
        self.shown[who] = False

    def _who(self, numbers: np.ndarray) -> Visitors:
        users, scenes = self.pairs[numbers % len(self.pairs)].T
        return Visitors(numbers.copy(), users.copy(), scenes.copy())

    def _patience(self, numbers: np.ndarray) -> np.ndarray:
        more = bits(self.seed, _PATIENCE, numbers) % np.uint64(self.rules.patience_spread + 1)
        return self.rules.patience + more.astype(np.int64)

    def step(self, kinds: np.ndarray, phones: np.ndarray) -> Turn:
        """One turn of all. kinds [n]: SHOW, or 1 + the place of a question in QUESTIONS. phones [n, n_slots]: items
        to show, `n_items` for an empty place; of no account where something is asked. Who is gone stays gone: 0.
        """
        rules = self.rules
        here, asking = ~self.gone, kinds != SHOW
        phones = np.where(asking[:, None], self.n_items, phones)
        appeal, felt = self._felt(phones)
        reactions = self._reactions(phones, felt)
        self._remember(phones)
        best = np.where(reactions == BOUGHT, felt, -np.inf).argmax(1)
        rows = np.arange(len(kinds))
        buys = here & (reactions == BOUGHT).any(1)
        shown = reactions != NOTHING
        ignored = shown.any(1) & ((reactions == IGNORED) | ~shown).all(1)
        self.patience -= here * (1 + ignored)
        self.turn += here
        left = buys | (here & (self.patience <= 0))
        late = here & (self.turn >= rules.n_turns)
        self.gone |= left | late
        cost = rules.turn_cost + rules.question_cost * asking
        gain = np.where(buys, appeal[rows, best] - rules.pocket, 0)
        return Turn(
            reward=np.where(here, gain - cost, 0.0),
            reactions=np.where(here[:, None], reactions, NOTHING),
            answer=self._answer(kinds - 1, here & asking),
            bought=np.where(buys, phones[rows, best], -1),
            left=left,
            late=late & ~left,
        )

    def _felt(self, phones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Appeal and felt appeal of the shown, [n, n_slots]; of an empty place anything."""
        numbers, users, scenes = (side[:, None] for side in self.visitors)
        items = np.minimum(phones, self.n_items - 1)
        appeal = self.truth.appeal(users, items, scenes)
        return appeal, appeal + _NOISE[scenes] * normals(self.seed, _FELT, numbers, items)

    def _reactions(self, phones: np.ndarray, felt: np.ndarray) -> np.ndarray:
        rules = self.rules
        steps = (rules.looks_from, rules.likes_from, rules.buys_from)
        reactions = np.searchsorted(steps, felt, side="right")
        again = np.take_along_axis(self.shown, np.minimum(phones, self.n_items - 1), 1)
        return np.where(phones == self.n_items, NOTHING, np.where(again, IGNORED, reactions))

    def _remember(self, phones: np.ndarray) -> None:
        rows, places = np.nonzero(phones < self.n_items)
        self.shown[rows, phones[rows, places]] = True

    def _answer(self, questions: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """The noisy answers to questions (places in QUESTIONS) of who was `asked`, 0 of the others, [n]."""
        if not asked.any():
            return np.zeros(len(questions))
        numbers = self.visitors.numbers
        luck = normals(self.seed, _SAID, numbers, np.maximum(questions, 0))
        truth = self._true_answers()[np.arange(len(numbers)), questions]
        return np.where(asked, truth + self.rules.answer_noise * luck, 0.0)

    def _true_answers(self) -> np.ndarray:
        """[n, n_questions]."""
        _, users, scenes = self.visitors
        truth = self.truth
        taste = _EMPHASIS[scenes] * (truth.tastes[users] + truth.scene_tastes[users, scenes])
        budget = np.log(truth.budgets[users] / TYPICAL_BUDGET)
        return np.column_stack([budget, taste[:, _ASKED_OF], truth.os_match[users]])

    def appeal(self) -> np.ndarray:
        """The truth that no guide knows: appeal of every phone to every visitor, stars, [n, n_items]."""
        _, users, scenes = (side[:, None] for side in self.visitors)
        return self.truth.appeal(users, np.arange(self.n_items), scenes)


def visiting_pairs(shop: Shop) -> np.ndarray:
    """Who visits which scene, from the log: rows of (user, scene), sorted, int [m, 2]."""
    log = shop.interactions
    users = pd.Index(shop.users["user"]).get_indexer(log["user"])
    scenes = pd.Index(SCENE_NAMES).get_indexer(log["scene"])
    return np.unique(np.column_stack([users, scenes]), axis=0)
