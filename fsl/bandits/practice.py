"""RL² practises: policy gradient across visitors, and its records on new ones as `compete` gives them.

It practises on the simulator itself, where the priors only read a log. The descent is `EpisodicTrainer`'s.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fsl.bandits.play import as_records, play
from fsl.bandits.policies import Clairvoyant
from fsl.bandits.recurrent import RecurrentGuide, Rollout, rollout
from fsl.bandits.rounds import ShopRounds
from fsl.data import Shop
from fsl.environment.visits import Visits
from fsl.features import encode
from fsl.seeds import seeded
from fsl.training import EpisodicTrainer


def policy_gradient_loss(found: Rollout, entropy_weight: float) -> Tensor:
    """REINFORCE with a learned baseline (Williams 1992; Sutton & Barto 2018, §13.4), mean over turns that took place.

    −Σ (G_t − v_t) log π(a_t) + ½ Σ (G_t − v_t)² − c Σ H_t,   G_t = Σ_{s ≥ t} reward_s
    """
    to_go = found.rewards.flip(1).cumsum(1).flip(1)
    gain = to_go - found.values
    spread = gain[found.here].detach().std().clamp(min=1e-3)
    parts = (
        -(gain.detach() / spread) * found.log_p
        + 0.5 * gain.square()
        - entropy_weight * found.entropy
    )
    return (parts * found.here).sum() / found.here.sum()


class Practice(nn.Module):
    """What `EpisodicTrainer` trains: each step meets the next visitors of the stream, with luck in every choice.

    The entropy bonus falls to 0 linearly over `n_updates`. curve: mean reward of each update's visitors, stars.
    """

    def __init__(self, guide: RecurrentGuide, n_updates: int, entropy_weight: float, seed: int):
        super().__init__()
        self.guide, self.n_updates = guide, n_updates
        self.entropy_weight, self.seed, self.curve = entropy_weight, seed, []

    def draw(self, visits: Visits, n_visitors: int, generator: torch.Generator) -> Rollout:
        """The next `n_visitors` visits. Their luck comes by name, so the generator is not asked."""
        numbers = len(self.curve) * n_visitors + np.arange(n_visitors)
        return rollout(self.guide, visits, numbers, self.seed)

    def backward(self, found: Rollout) -> Tensor:
        """One policy gradient into `.grad`; the loss, detached."""
        left = 1 - len(self.curve) / self.n_updates
        loss = policy_gradient_loss(found, self.entropy_weight * left)
        loss.backward()
        self.curve.append(float(found.rewards.sum(1).mean()))
        return loss.detach()


def train_guide(
    content: Tensor,
    visits: Visits,
    n_turns: int = 10,
    n_updates: int = 300,
    n_visitors: int = 256,
    lr: float = 3e-3,
    entropy_weight: float = 0.02,
    seed: int = 0,
) -> tuple[RecurrentGuide, np.ndarray]:
    """A trained guide and its learning curve, stars per visit [n_updates]. The same seed gives the same guide."""
    with seeded(seed):
        guide = RecurrentGuide(content, visits.about.shape[1], n_turns)
    practice = Practice(guide, n_updates, entropy_weight, seed)
    EpisodicTrainer(n_updates, n_visitors, lr, clip=1.0, seed=seed).train(practice, visits)
    return guide, np.array(practice.curve)


def practised(
    visits: Visits, shop: Shop, n_turns: int, n_updates: int, seeds: Sequence[int]
) -> tuple[list[RecurrentGuide], np.ndarray]:
    """One guide per seed, trained, and their curves [n_seeds, n_updates]. Of the shop its items' columns are read:
    of all of them, since visits may show what nobody has rated."""
    content = torch.from_numpy(encode(shop.items, pd.Index(shop.items["item"]), "item")[0])
    z = (content - content.mean(0)) / content.std(0).clamp(min=1e-6)
    guides, curves = zip(
        *(train_guide(z, visits, n_turns, n_updates, seed=s) for s in seeds), strict=True
    )
    return list(guides), np.stack(curves)


def guided_records(
    guides: Sequence[RecurrentGuide],
    groups: Mapping[str, ShopRounds],
    n_turns: int,
    name: str = "RL²",
) -> pd.DataFrame:
    """Records of new visitors, as `compete` gives them, for guides that do what they think best; seed: which guide."""
    frames = []
    for partition, rounds in groups.items():
        best = play(Clairvoyant(), rounds, n_turns).cumsum(1)
        for seed, guide in enumerate(guides):
            earned = guided_rewards(guide, rounds.visits, rounds.numbers).cumsum(1)
            for metric, values in (("reward", earned), ("regret", best - earned)):
                told = {"learner": name, "partition": partition, "seed": seed, "metric": metric}
                frames.append(as_records(values.numpy(), rounds).assign(**told))
    return pd.concat(frames, ignore_index=True)


@torch.no_grad()
def guided_rewards(guide: RecurrentGuide, visits: Visits, numbers: np.ndarray) -> Tensor:
    """Each visitor's reward in each turn when the guide does what it thinks best, float64 [n, n_turns]."""
    return rollout(guide, visits, numbers, greedy=True).rewards.double()
