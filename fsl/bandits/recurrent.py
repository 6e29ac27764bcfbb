"""RL²: a recurrent policy; within a visit its hidden state learns. It may show a phone or ask a question.

Knows visits; how it is trained is in `practice`. Simulated throughout.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fsl.environment.draws import uniforms
from fsl.environment.rules import NOTHING, QUESTIONS, SHOW
from fsl.environment.visits import Turn, Visits
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
