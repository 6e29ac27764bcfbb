"""Policies that choose one arm per visitor and turn: rulers, and linear bandits that differ in how they explore.

`begin` once per visit, then `choose` and `learn` turn by turn; all visitors at once, each on its own. Random numbers
come by name (seed, visitor, turn), so that a choice does not depend on who else is there. Knows beliefs; no visitor.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fsl.bandits.posterior import Belief
from fsl.bandits.priors import Prior
from fsl.bandits.rounds import Played, Rounds
from fsl.environment.draws import normals, uniforms
from fsl.tasks import Tasks

_ARM, _COIN, _WEIGHT = 101, 102, 103  # what a random number is for


def best_open(scores: Tensor, is_open: Tensor) -> Tensor:
    """The first of the best arms that are open, int64 [n]; scores, is_open: [n, A]."""
    return scores.masked_fill(~is_open, -torch.inf).argmax(1)


def arm_luck(seed: int, numbers: np.ndarray, turn: int, n_arms: int) -> Tensor:
    """A uniform number for every arm of every visitor in this turn, [n, n_arms]."""
    drawn = uniforms(seed, _ARM, numbers[:, None], turn, np.arange(n_arms))
    return torch.from_numpy(drawn)


class Policy:
    """Base: what `play` calls. A policy is fitted before and keeps, of a visit, only what `begin` made.

    draws: whether its choices hang on luck of its own, the seed of `begin`.
    """

    draws: ClassVar[bool] = False

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Policy":
        """Learn from other people's behaviour; the rulers need not."""
        return self

    def begin(self, rounds: Rounds, seed: int) -> None:
        """A new visit for everyone of `rounds`; `seed` names the policy's own luck."""
        self.numbers, self.seed, self.turn = rounds.numbers, seed, 0

    def choose(self, is_open: Tensor) -> Tensor:
        """Everyone's arm, by its place: int64 [n]."""
        raise TypeError(f"{type(self).__name__} does not say what it chooses")

    def learn(self, places: Tensor, played: Played) -> None:
        """Hear what the arms at `places`, int64 [n], brought; the base counts turns alone."""
        self.turn += 1


class Random(Policy):
    """Any open arm."""

    draws = True

    def choose(self, is_open: Tensor) -> Tensor:
        """The open arm with the largest uniform number."""
        luck = arm_luck(self.seed, self.numbers, self.turn, is_open.shape[1])
        return best_open(luck, is_open)


class Clairvoyant(Policy):
    """Knows the truth behind every arm (in the simulated shop tastes and budget, not the luck of the moment)."""

    def begin(self, rounds: Rounds, seed: int) -> None:
        """Looks up the truth, which nobody else is told."""
        super().begin(rounds, seed)
        self.worth = rounds.worth()

    def choose(self, is_open: Tensor) -> Tensor:
        """argmax of the true worth over what is open."""
        return best_open(self.worth, is_open)


@dataclass(eq=False)
class Popular(Policy):
    """The same order for everyone. by "count": most often met first; by "mean": highest mean first.

    The mean is shrunk towards all tasks' mean by `shrinkage` ratings of it: the harder one to beat where ratings count.
    """

    by: str = "mean"
    shrinkage: float = 5.0

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Popular":
        """order_o = n_o, or μ + Σ (r − μ) / (n_o + shrinkage) over the ratings of o: [n_objects]."""
        n = len(tasks.object_ids)
        counts = torch.bincount(tasks.objects, minlength=n).double()
        if self.by == "count":
            self.order = counts
            return self
        if self.by != "mean":
            raise ValueError(f'by must be "count" or "mean", got {self.by!r}')
        middle = tasks.targets.double().mean()
        sums = torch.zeros(n, dtype=torch.float64)
        sums.index_add_(0, tasks.objects, tasks.targets.double() - middle)
        self.order = middle + sums / (counts + self.shrinkage)
        return self

    def begin(self, rounds: Rounds, seed: int) -> None:
        """Each visitor's arms get their places in the one order: [n, A]."""
        super().begin(rounds, seed)
        self.scores = self.order[rounds.arms]

    def choose(self, is_open: Tensor) -> Tensor:
        """The first of that order that is open."""
        return best_open(self.scores, is_open)


@dataclass(eq=False)
class Linear(Policy):
    """Greedy on a linear Gaussian belief that begins at `prior`; the others below add to it how they explore.

    kept: ρ of `Belief.forgetting`, 1 for tastes that stay. Where several policies share one fitted prior, they share
    the object: `fit` fits it once.
    """

    prior: Prior
    kept: float = 1.0
    belief: Belief = field(init=False, repr=False, default=None)

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "Linear":
        """Fit the prior; the policy itself has nothing to learn beforehand."""
        self.prior.fit(tasks, validation)
        return self

    def begin(self, rounds: Rounds, seed: int) -> None:
        """The belief starts at the prior of these subjects and arms."""
        super().begin(rounds, seed)
        self.start = self.belief = self.prior.belief(rounds.subjects, rounds.arms)

    def choose(self, is_open: Tensor) -> Tensor:
        """argmax_a φ_a·m, the posterior mean, over what is open."""
        return best_open(self.belief.expected(), is_open)

    def learn(self, places: Tensor, played: Played) -> None:
        """One exact posterior step on the signal (`Belief.after`), then forgetting by ρ where tastes drift."""
        super().learn(places, played)
        belief = self.belief.after(places, played.signal, played.here)
        self.belief = belief if self.kept == 1 else belief.forgetting(self.kept, self.start)


class Greedy(Linear):
    """The highest expectation, always."""


@dataclass(eq=False)
class EpsilonGreedy(Linear):
    """The highest expectation; with probability `epsilon` any open arm (Sutton & Barto 2018, §2.2)."""

    draws: ClassVar[bool] = True
    epsilon: float = 0.1

    def choose(self, is_open: Tensor) -> Tensor:
        """By the coin of visitor and turn: an arm by luck, or the greedy one."""
        coin = torch.from_numpy(uniforms(self.seed, _COIN, self.numbers, self.turn))
        luck = arm_luck(self.seed, self.numbers, self.turn, is_open.shape[1])
        return torch.where(coin < self.epsilon, best_open(luck, is_open), super().choose(is_open))


@dataclass(eq=False)
class UCB(Linear):
    """expected + width · sd, optimism where little is known (LinUCB: Li et al. 2010, Algorithm 1).

    curious: until a visitor has met an arm, what nobody knows of it (the belief's `doubt`) counts in its sd, too.
    """

    width: float = 1.0
    curious: bool = False

    def begin(self, rounds: Rounds, seed: int) -> None:
        """Nobody has met any arm yet."""
        super().begin(rounds, seed)
        self.met = torch.zeros(rounds.arms.shape, dtype=torch.bool)

    def choose(self, is_open: Tensor) -> Tensor:
        """argmax_a φ_a·m + width · sqrt(φ_aᵀ P φ_a + doubt_a); the doubt only if curious, and before a is met."""
        sd = self.belief.sd()
        if self.curious and self.belief.doubt is not None:
            sd = (sd.square() + self.belief.doubt.masked_fill(self.met, 0)).sqrt()
        return best_open(self.belief.expected() + self.width * sd, is_open)

    def learn(self, places: Tensor, played: Played) -> None:
        """As `Linear`; the arm is met now, so its doubt no longer counts."""
        super().learn(places, played)
        self.met = self.met.scatter(1, places[:, None], True)


@dataclass(eq=False)
class Thompson(Linear):
    """The best arm of one draw from the belief (Thompson 1933; linear: Agrawal & Goyal 2013).

    scale multiplies the draw's standard deviation; 1 is Thompson's.
    """

    draws: ClassVar[bool] = True
    scale: float = 1.0

    def choose(self, is_open: Tensor) -> Tensor:
        """argmax_a φ_a·w of one w ~ N(m, scale² P) per visitor and turn."""
        p = np.arange(self.belief.mean.shape[1])
        z = normals(self.seed, _WEIGHT, self.numbers[:, None], self.turn, p)
        return best_open(self.belief.drawn(torch.from_numpy(z), self.scale), is_open)
