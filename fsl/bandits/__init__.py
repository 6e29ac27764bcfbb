"""Bandits whose first belief was meta-learned: what to show in the first ten turns, and what a good prior is worth."""

from fsl.bandits.policies import UCB, Clairvoyant, EpsilonGreedy, Greedy, Popular, Random, Thompson
from fsl.bandits.posterior import Belief
from fsl.bandits.priors import ALPaCAPrior, FlatPrior, MetaPrior, ProcessPrior

__all__ = [
    "UCB",
    "ALPaCAPrior",
    "Belief",
    "Clairvoyant",
    "EpsilonGreedy",
    "FlatPrior",
    "Greedy",
    "MetaPrior",
    "Popular",
    "ProcessPrior",
    "Random",
    "Thompson",
]
