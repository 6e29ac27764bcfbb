"""What a score of `fsl.texts.faq` is worth as a probability, on tasks like a shop's FAQ: few answers, few shots.

Knows embedded intents and texts out of scope; looks at no FAQ.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.optimize import minimize
from torch import Tensor

from fsl.texts.faq import Sureness, likelihoods, scores
from fsl.texts.intent_heads import Shots


class Asked(NamedTuple):
    """One task's questions as its head scores them: scores [m, n_way], labels [m]; n_way is none of the answers."""

    scores: Tensor
    labels: Tensor


def tasks_like_faqs(
    support: Tensor, support_labels: Tensor, asked: Tensor, asked_labels: Tensor, outside: Tensor,
    generator: torch.Generator, n_tasks: int = 50, n_way: int = 12, n_shots: int = 4,
) -> list[Asked]:  # fmt: skip
    """n_way intents at random, n_shots examples each; all of `asked` that is of these, and as many out of scope.

    Out of scope is, half and half, `outside` and what other intents ask: both are none of the answers.
    """
    found = []
    for _ in range(n_tasks):
        classes = torch.randperm(int(support_labels.max()) + 1, generator=generator)[:n_way]
        rows = torch.cat(
            [_some((support_labels == c).nonzero()[:, 0], n_shots, generator) for c in classes]
        )
        shots = Shots(
            support[rows], torch.arange(n_way).repeat_interleave(n_shots), support[:n_way]
        )
        place = torch.full((int(support_labels.max()) + 1,), n_way)
        place[classes] = torch.arange(n_way)
        labels = place[asked_labels]
        inside = (labels < n_way).nonzero()[:, 0]
        half = len(inside) // 2
        others = _some((labels == n_way).nonzero()[:, 0], half, generator)
        z = torch.cat(
            [
                asked[inside],
                asked[others],
                outside[_some(torch.arange(len(outside)), half, generator)],
            ]
        )
        none = torch.full((len(z) - len(inside),), n_way)
        found.append(Asked(scores(shots, z), torch.cat([labels[inside], none])))
    return found


def _some(rows: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)[:n]]


def surprise(tasks: Sequence[Asked], sureness: Sureness) -> float:
    """Mean −log p of what was right, in nats."""
    losses = [
        -likelihoods(one.scores, sureness).log().gather(1, one.labels[:, None])[:, 0].mean()
        for one in tasks
    ]
    return float(torch.stack(losses).mean())


def fit_sureness(tasks: Sequence[Asked], start: Sureness = Sureness(16.0, 0.5)) -> Sureness:  # noqa: B008
    """The slope and the score of none with the least mean −log p on these tasks (Nelder and Mead's search)."""
    found = minimize(
        lambda x: surprise(tasks, Sureness(abs(x[0]), x[1])), start, method="Nelder-Mead",
        options={"xatol": 1e-2, "fatol": 1e-4},
    )  # fmt: skip
    return Sureness(abs(float(found.x[0])), float(found.x[1]))
