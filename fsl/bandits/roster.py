"""Who plays: fitted priors, the policies that begin at them, and adapted few-shot learners. Candidates, not yet tuned.

Knows settings; meets no visitor.
"""

from collections.abc import Mapping, Sequence
from itertools import product

from fsl.bandits.adapted import Adapted
from fsl.bandits.policies import UCB, EpsilonGreedy, Greedy, Policy, Popular, Thompson
from fsl.bandits.priors import FlatPrior, MetaPrior, Prior, ProcessPrior
from fsl.bandits.settings import Setting
from fsl.learners import ShrunkBias, UserKNN
from fsl.learners.family import recommender


def priors(setting: Setting, seed: int = 0) -> dict[str, Sequence[Prior]]:
    """Name -> fitted priors to choose from. "meta": the Bayesian linear head's; "process": for shops of few ratings."""
    train = setting.train
    shrinkage = 10.0 if setting.n_factors > 4 else 50.0
    meta = MetaPrior(setting.n_factors, subject_shrinkage=shrinkage, seed=seed).fit(train)
    found = {
        "flat": [FlatPrior(width).fit(train) for width in (0.3, 1.0, 3.0)],
        "flat, learned features": [FlatPrior(width, meta).fit(train) for width in (0.3, 1.0)],
        "meta": [meta],
    }
    if setting.small:
        found["process"] = [ProcessPrior().fit(train)]
    return found


def roster(setting: Setting, fitted: Mapping[str, Sequence[Prior]]) -> dict[str, list[Policy]]:
    """Name -> candidates that differ in how much they explore (and a flat prior in how wide it is)."""
    found: dict[str, list[Policy]] = {
        "most rated": [Popular("count")],
        "best rated": [Popular(shrinkage=s) for s in (2.0, 5.0, 20.0)],
    }
    for name, some in fitted.items():
        if not name.startswith("flat"):
            found[f"{name} greedy"] = [Greedy(prior) for prior in some]
        if name == "flat":
            epsilons = (0.05, 0.2)
            found[f"{name} ε-greedy"] = [
                EpsilonGreedy(p, epsilon=e) for p, e in product(some, epsilons)
            ]
        found[f"{name} UCB"] = [UCB(p, width=w) for p, w in product(some, (0.3, 1.0, 1.5))]
        found[f"{name} Thompson"] = [Thompson(p, scale=s) for p, s in product(some, (0.3, 1.0))]
    for name in ("most rated", "best rated"):
        found[name] = [policy.fit(setting.train) for policy in found[name]]
    return found


def adapted(setting: Setting, n_iterations: int = 200, seed: int = 0) -> dict[str, list[Policy]]:
    """Few-shot learners of the other notebooks as greedy policies, fitted."""
    learners = {
        "bias, greedy": ShrunkBias(),
        "user kNN, greedy": UserKNN(),
        "MAML, greedy": recommender("MAML", n_iterations, seed),
    }
    return {name: [Adapted(one.fit(setting.train))] for name, one in learners.items()}
