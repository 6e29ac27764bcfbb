"""RL²: a recurrent policy, trained across visitors by policy gradient; within a visit its hidden state learns.

It may show a phone or ask a question. It practises on the simulator itself, where the priors only read a log. Knows
visits; simulated throughout.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fsl.bandits.play import as_records, play
from fsl.bandits.policies import Clairvoyant
from fsl.bandits.rounds import ShopRounds
from fsl.environment.draws import uniforms
from fsl.environment.rules import NOTHING, QUESTIONS, SHOW
from fsl.environment.visits import Turn, Visits
from fsl.seeds import seeded
from fsl.simulate import SCENE_NAMES

_CHOICE = 104  # what a random number is for


class Rollout(NamedTuple):
    """rewards, log_p, entropy, values, here: [n, n_turns] each; `here` is False once a visitor has left."""

    rewards: Tensor
    log_p: Tensor
    entropy: Tensor
    values: Tensor
    here: Tensor


class RecurrentGuide(nn.Module):
    """h' = GRU(h, what the last turn was and brought); logits of phones e_i·(W h) + b_i, of questions and value by h.

    content: columns of the phones, float [n_items, d], z-scored: e_i is linear in them, so what is learned of one phone
    holds for those like it. Duan et al. 2016 (RL²), Wang et al. 2016: adapting is what the hidden state does; no weight
    changes in a visit.
    """

    def __init__(
        self, content: Tensor, n_about: int, n_turns: int, n_hidden: int = 64, n_embedding: int = 16
    ):
        super().__init__()
        self.register_buffer("content", content.float())
        n_items, d = content.shape
        n_in = d + NOTHING + len(QUESTIONS) + 1 + len(SCENE_NAMES) + n_about + 1
        self.n_turns = n_turns
        self.cell = nn.GRUCell(n_in, n_hidden)
        self.embed = nn.Linear(d, n_embedding, bias=False)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.query = nn.Linear(n_hidden, n_embedding)
        self.ask, self.value = nn.Linear(n_hidden, len(QUESTIONS)), nn.Linear(n_hidden, 1)

    def scores(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of all phones, then all questions, [n, n_items + n_questions], and the value, [n]."""
        phones = self.query(h) @ self.embed(self.content).T + self.bias
        return torch.cat([phones, self.ask(h)], 1), self.value(h)[:, 0]


def rollout(
    guide: RecurrentGuide, visits: Visits, numbers: np.ndarray, seed: int = 0, greedy: bool = False
) -> Rollout:
    """One visit of each of `numbers`, with gradients. Nothing is shown or asked twice. Choices are drawn by name."""
    visits.arrive(numbers)
    n, n_items = len(numbers), visits.n_items
    h = torch.zeros(n, guide.cell.hidden_size)
    done = torch.zeros(n, n_items + len(QUESTIONS), dtype=torch.bool)
    seen, steps = first_seen(guide, visits), []
    for turn in range(guide.n_turns):
        here = torch.from_numpy(~visits.gone)
        h = guide.cell(seen, h)
        logits, value = guide.scores(h)
        log_p = logits.masked_fill(done, -1e9).log_softmax(1)
        action = log_p.argmax(1) if greedy else drawn(log_p.detach(), seed, numbers, turn)
        done = done.scatter(1, action[:, None], True)
        asked = action >= n_items
        kinds = torch.where(asked, action - n_items + 1, SHOW).numpy()
        phones = torch.where(asked, n_items, action).numpy()[:, None]
        brought = visits.step(kinds, phones)
        seen = after_turn(guide, visits, kinds, phones[:, 0], brought)
        entropy = -(log_p.exp() * log_p.clamp(min=-50)).sum(1)
        reward = torch.from_numpy(brought.reward).float()
        steps.append((reward, log_p.gather(1, action[:, None])[:, 0], entropy, value, here))
    return Rollout(*(torch.stack(side, 1) for side in zip(*steps, strict=True)))


def drawn(log_p: Tensor, seed: int, numbers: np.ndarray, turn: int) -> Tensor:
    """An action of each row's distribution, by a number of the visitor's own: int64 [n]."""
    luck = torch.from_numpy(uniforms(seed, _CHOICE, numbers, turn))
    total = log_p.double().exp().cumsum(1)
    return torch.searchsorted(total, (luck * total[:, -1])[:, None])[:, 0].clamp(
        max=log_p.shape[1] - 1
    )


def _context(visits: Visits) -> Tensor:
    scene = np.eye(len(SCENE_NAMES))[visits.visitors.scenes]
    about = visits.about[visits.visitors.users]
    return torch.from_numpy(np.hstack([scene, about])).float()


def first_seen(guide: RecurrentGuide, visits: Visits) -> Tensor:
    """What the guide sees before the first turn: who came, and where."""
    context = _context(visits)
    rest = torch.zeros(len(context), guide.cell.input_size - context.shape[1])
    return torch.cat([rest, context], 1)


def after_turn(
    guide: RecurrentGuide, visits: Visits, kinds: np.ndarray, phones: np.ndarray, turn: Turn
) -> Tensor:
    """The last phone's content, its reaction, the question and its answer, the turn, the scene and the visitor."""
    content = torch.cat([guide.content, torch.zeros(1, guide.content.shape[1])])[phones]
    reaction = np.eye(NOTHING + 1)[turn.reactions[:, 0]][:, :NOTHING]
    question = np.eye(1 + len(QUESTIONS))[kinds][:, 1:]
    left = [reaction, question, turn.answer[:, None], visits.turn[:, None] / guide.n_turns]
    return torch.cat([content, torch.from_numpy(np.hstack(left)).float(), _context(visits)], 1)


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
    """A trained guide and its learning curve, the mean reward of each update's visitors, stars per visit [n_updates].

    Each update meets the next `n_visitors` of the stream; the rate and the entropy bonus fall to 0 linearly. The same
    seed gives the same guide.
    """
    with seeded(seed):
        guide = RecurrentGuide(content, visits.about.shape[1], n_turns)
    optimizer = torch.optim.Adam(guide.parameters(), lr=lr)
    curve = np.empty(n_updates)
    for update in range(n_updates):
        left = 1 - update / n_updates
        optimizer.param_groups[0]["lr"] = lr * left
        numbers = update * n_visitors + np.arange(n_visitors)
        found = rollout(guide, visits, numbers, seed)
        loss = policy_gradient_loss(found, entropy_weight * left)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(guide.parameters(), 1.0)
        optimizer.step()
        curve[update] = found.rewards.sum(1).mean()
    return guide, curve


def practised(
    visits: Visits, content: Tensor, n_turns: int, n_updates: int, seeds: Sequence[int]
) -> tuple[list[RecurrentGuide], np.ndarray]:
    """One guide per seed, trained, and their curves [n_seeds, n_updates]; content [n_items, d] as the table has it."""
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
