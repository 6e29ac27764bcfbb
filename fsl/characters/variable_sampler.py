"""Class-tasks of varying way and shots, as Meta-Dataset draws them: large and small, even and lopsided.

Knows `ClassTasks` and episodes; knows no file and no model. Every draw takes its generator as an argument.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fsl.class_tasks import ClassTasks, Transform, look_up
from fsl.episodes import Episode, Examples
from fsl.errors import InputError


@dataclass(frozen=True)
class VariableSampler:
    """Tasks of variable way and shots (Triantafillou et al. 2020, "Meta-Dataset", section 3.2 and its appendix).

    The classes C of a task: a group is drawn uniformly (all classes are one group unless within_groups, which is how
    the paper draws Omniglot's alphabets), then the way N ~ U{min_way … min(max_way, classes)}, then N classes of it.
    Its query and support, with I_c the inputs of class c, α_c ~ U[log ½, log 2) and β ~ U(0, 1]:

        q   = min(max_query, ⌊½ min_c I_c⌋)                                  query inputs of every class
        |S| = min(max_support, Σ_c ⌈β min(max_shots, I_c − q)⌉)              support inputs at most
        R_c = exp(α_c) I_c / Σ_c' exp(α_c') I_c'
        k_c = min(⌊R_c (|S| − N)⌋ + 1, I_c − q)                              support inputs of class c

    Classes of fewer than two inputs and groups of fewer than min_way such classes are left out.
    transform: augmentation of inputs [n, ...], each by itself.
    """

    tasks: ClassTasks
    within_groups: bool = False
    min_way: int = 5
    max_way: int = 50
    max_query: int = 10
    max_shots: int = 100
    max_support: int = 500
    transform: Transform | None = None

    def __post_init__(self):
        if not 1 <= self.min_way <= self.max_way <= self.max_support:
            seen = f"{self.min_way=} {self.max_way=} {self.max_support=}".replace("self.", "")
            raise ValueError(f"need 1 <= min_way <= max_way <= max_support, got {seen}")
        if min(self.max_query, self.max_shots) < 1:
            seen = f"{self.max_query=} {self.max_shots=}".replace("self.", "")
            raise ValueError(f"need max_query >= 1 and max_shots >= 1, got {seen}")

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episode:
        """Inputs [n_tasks, n, ...], targets 0 … N − 1 of each task, mask [n_tasks, n]: n is the largest task's.

        Padding has input 0 and target 0. Raises InputError where no group has min_way classes of two inputs.
        """
        pools = self._pools()
        drawn = [self._task(pools, generator) for _ in range(n_tasks)]
        return Episode(*(self._examples(side, generator) for side in zip(*drawn, strict=True)))

    def _pools(self) -> list[Tensor]:
        """The able classes of each group that has enough."""
        able = self.tasks.sizes >= 2
        groups = self.tasks.groups if self.within_groups else torch.zeros_like(self.tasks.groups)
        pools = [(able & (groups == group)).nonzero()[:, 0] for group in groups.unique()]
        large = [pool for pool in pools if len(pool) >= self.min_way]
        if not large:
            most = max(map(len, pools), default=0)
            of_one = " of one group" if self.within_groups else ""
            raise InputError(
                f"tasks of {self.min_way} ways or more need as many classes{of_one} with 2 rows each; {most} have them"
            )
        return large

    def _task(self, pools: list[Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Support and query of one task: [n, 2] of (row, target)."""
        pool = pools[_whole(0, len(pools) - 1, generator)]
        n_way = _whole(self.min_way, min(self.max_way, len(pool)), generator)
        classes = pool[torch.randperm(len(pool), generator=generator)[:n_way]]
        n_query, shots = self.sizes_of(self.tasks.sizes[classes], generator)
        sides = ([], [])
        for target, (c, k) in enumerate(zip(classes.tolist(), shots.tolist(), strict=True)):
            own = torch.randperm(int(self.tasks.sizes[c]), generator=generator)
            rows = self.tasks.order[self.tasks.starts[c] + own[: k + n_query]]
            pairs = torch.stack([rows, torch.full_like(rows, target)], dim=1)
            sides[0].append(pairs[:k])
            sides[1].append(pairs[k:])
        return torch.cat(sides[0]), torch.cat(sides[1])

    def sizes_of(self, available: Tensor, generator: torch.Generator) -> tuple[int, Tensor]:
        """q, and k_c [N], for classes of I_c = available [N] inputs; the symbols are those above."""
        n_query = min(self.max_query, int(available.min()) // 2)
        beta = 1 - float(torch.rand((), dtype=torch.double, generator=generator))  # (0, 1]
        most = beta * (available - n_query).clamp(max=self.max_shots)
        n_support = min(self.max_support, int(most.ceil().sum()))
        lots = torch.rand(len(available), dtype=torch.double, generator=generator)
        parts = torch.exp(math.log(0.5) + lots * math.log(4)) * available
        shots = (parts / parts.sum() * (n_support - len(available))).floor().long() + 1
        return n_query, shots.minimum(available - n_query)

    def _examples(self, side: tuple[Tensor, ...], generator: torch.Generator) -> Examples:
        sizes = torch.tensor([len(pairs) for pairs in side])
        padded = pad_sequence(side, batch_first=True)
        mask = torch.arange(padded.shape[1]) < sizes[:, None]
        rows, targets = padded.unbind(-1)
        inputs = look_up(self.tasks, rows, self.transform, generator)
        inputs = inputs.masked_fill(~mask.view(*mask.shape, *[1] * (inputs.ndim - 2)), 0)
        return Examples(inputs, targets, mask)


def _whole(low: int, high: int, generator: torch.Generator) -> int:
    """A whole number, low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))
