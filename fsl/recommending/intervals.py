"""How wide 90 % intervals must be, measured on newcomers that the measured fit has not seen. Knows sides and tasks."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fsl.episodes import sample_episode
from fsl.recommending.side import Side
from fsl.tasks import Tasks, split_tasks

SHARE = 0.9
GAUSSIAN = 1.6448536269514722
SHOTS = (0, 1, 3, 5, 10)
MOST_TASKS = 200
LEAST_RATINGS = 50
HELD_OUT = 0.2


@dataclass(frozen=True)
class Widths:
    """by_shots: K -> how many standard deviations to each side hold 90 % of ratings; without any, a Gaussian's 1.64."""

    by_shots: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for k, width in self.by_shots.items():
            if not (isinstance(k, int) and isinstance(width, float) and 0 <= width < 1e6):
                raise ValueError("its widths are none")

    def at(self, n_shots: int) -> float:
        """The width of the largest measured K that is at most n_shots."""
        known = [k for k in self.by_shots if k <= n_shots]
        return self.by_shots[max(known)] if known else GAUSSIAN


def measured(tasks: Tasks, fit: Callable[[Tasks], Side], seed: int, with_content: bool) -> Widths:
    """Split conformal widths: q_K is the ⌈0.9 (n + 1)⌉-th smallest |r − mean| / sd of n ratings of newcomers held out.

    A fifth of the newcomers is held out, at most 200 of them are asked, ten ratings each; `fit` sees the others (Lei et
    al. 2018, section 5.2, normalised). Ratings are drawn at random, so the promise is for items met at random: the
    very best of a list are a little too good to be true. Empty where fewer than 50 ratings can be asked.
    """
    generator = torch.Generator().manual_seed(seed)
    split = split_tasks(tasks, generator, (1 - HELD_OUT, 0, HELD_OUT))
    if len(split.train) < 2 or int(split.test.sizes.clamp(max=10).sum()) < LEAST_RATINGS:
        return Widths()
    side, found = fit(split.train), {}
    for k in SHOTS:
        errors = _errors(side, split.test, k, generator, with_content)
        rank = math.ceil(SHARE * (len(errors) + 1))
        if LEAST_RATINGS <= len(errors) >= rank:
            found[k] = float(errors.sort().values[rank - 1])
    return Widths(found)


def _errors(side: Side, tasks: Tasks, k: int, generator, with_content: bool) -> Tensor:
    """|r − mean| / sd of every rating that is asked after k known ones: [n]."""
    if not bool((tasks.sizes > k).any()):
        return torch.zeros(0)
    episode = sample_episode(tasks, k, 10, generator, n_tasks=MOST_TASKS)
    errors = []
    for t in range(len(episode.query.targets)):
        support, query = ([part[t] for part in side_of] for side_of in episode)
        content = None
        if with_content and side.n_features:
            content = tasks.subject_features[query[0][0, 0]].double()
        answer = side.answer(content, support[0][:, 1], support[1].double())
        asked, real = query[0][:, 1], query[2]
        errors.append(((query[1] - answer.mean[asked]).abs() / answer.sd[asked])[real])
    return torch.cat(errors)
