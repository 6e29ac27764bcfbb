"""A meta-learner for rankings: a network that reads a support set and scores the catalogue, trained on episodes.

What it reads are `Tables`, which never hold the behaviours of the tasks at hand: a training task is asked with tables
made from other tasks (or from the time before it), as a new task will be. Else a network learns to trust too much.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fsl.episodes import Examples
from fsl.learners.base import mask_of
from fsl.learners.catalogue import RankingLearner
from fsl.learners.ranking_episodes import others_and_fold, past_and_next
from fsl.learners.ranking_net import OBJECTIVES, Lesson, SetNet
from fsl.learners.ranking_tables import N_FACTORS, Tables, now_of
from fsl.seeds import seeded
from fsl.tasks import Tasks

_TASKS_AT_ONCE = 48


@dataclass(eq=False)
class SetRanker(RankingLearner):
    """Ranks by a `SetNet`, trained to tell a task's relevant objects from the rest of the catalogue.

    objective: "softmax", −mean of log softmax_i over the relevant i (every task weighs the same), or "each", the
    logistic loss of every object by itself (tasks with much that is relevant weigh more).

    Episodes: where tasks have times, each of the `n_moments` spans of `span` days before the end has its own tables
    from the time before it, and asks training tasks for the next behaviour after their first K; the tasks asked are
    not in the tables. Without times (or timed=False) training tasks are parted in `n_moments` folds; each fold is
    asked with tables of the others, K random behaviours known, all other positive ones relevant.

    shots: the K of training. n_asked: tasks per moment and K in all (timed), or draws of each fold and K (untimed).
    n_columns: random objects that the softmax runs over besides the relevant ones, each standing for its share.
    n_nets: nets of different seeds whose scores are averaged. `refresh` makes the final tables anew and keeps the nets.
    """

    likes: float | None = None
    objective: str = "softmax"
    timed: bool = True
    shots: tuple[int, ...] = (1, 3, 5, 10)
    n_moments: int = 6
    span: float = 30.0
    n_asked: int = 600
    n_columns: int = 1_500
    n_epochs: int = 6
    n_hidden: int = 16
    dropout: float = 0.0
    lr: float = 0.003
    weight_decay: float = 0.01
    n_nets: int = 1
    seed: int = 0

    def __post_init__(self):
        if self.objective not in OBJECTIVES:
            raise ValueError(
                f"objective must be one of {tuple(OBJECTIVES)}, got {self.objective!r}"
            )

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "SetRanker":
        """The nets, each from its own seed, on lessons whose tables do not hold what is asked."""
        self.anchor = None
        self.refresh(tasks)
        self.anchor = self.tables.factors
        lessons = self._lessons(tasks)
        mean, spread = spread_of([lesson.pairs for lesson in lessons])
        self.nets = []
        for n in range(self.n_nets):
            with seeded(self.seed + n):
                net = SetNet(mean, spread, N_FACTORS, self.n_hidden, self.dropout)
                self._train(net, lessons, torch.Generator().manual_seed(self.seed + n))
            self.nets.append(net.eval())
        return self

    def refresh(self, tasks: Tasks) -> "SetRanker":
        """New tables, their factors turned towards those of the fit; the nets stay as they are."""
        self.tables = Tables(tasks, self._now(tasks), self.likes, self.anchor)
        return self

    def scores(self, support: Examples) -> Tensor:
        """Mean over the nets, a few tasks at a time."""
        support = support._replace(mask=mask_of(support))
        parts = [
            self._scores(Examples(*(x[s : s + _TASKS_AT_ONCE] for x in support)))
            for s in range(0, len(support.inputs), _TASKS_AT_ONCE)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, self.tables.n_objects)

    @torch.no_grad()
    def _scores(self, support: Examples) -> Tensor:
        pairs, vectors = self.tables.pairs(support), self.tables.vectors()
        known = _known(support, vectors, self.likes)
        return sum(net(pairs, known, support.mask, vectors) for net in self.nets) / len(self.nets)

    def _now(self, tasks: Tasks) -> float | None:
        return now_of(tasks) if self.timed else None

    def _lessons(self, tasks: Tasks) -> list[Lesson]:
        generator = torch.Generator().manual_seed(self.seed)
        if self._now(tasks) is None:
            asked = others_and_fold(tasks, self.n_moments, self.shots, self.n_asked, generator)
        else:
            asked = past_and_next(
                tasks, self.n_moments, self.span, self.shots, self.n_asked, generator
            )
        lessons = []
        for past, now, episodes in asked:
            tables = Tables(past, now, self.likes, self.anchor)
            for episode in episodes:
                for part in torch.arange(len(episode.query.targets)).split(_TASKS_AT_ONCE):
                    sides = (Examples(*(x[part] for x in side)) for side in episode)
                    lessons.append(self._lesson(tables, *sides, generator))
        return [lesson for lesson in lessons if lesson is not None]

    def _lesson(
        self, tables: Tables, support: Examples, query: Examples, generator
    ) -> Lesson | None:
        n = tables.n_objects
        liked = query.mask & ((query.targets >= self.likes) if self.likes is not None else True)
        wanted, known = _marked(query.inputs, liked, n), _marked(support.inputs, support.mask, n)
        wanted &= ~known
        some = wanted.any(1)
        if not some.any():
            return None
        support, wanted, known = Examples(*(x[some] for x in support)), wanted[some], known[some]
        drawn, stands_for = self._drawn(tables, generator)
        columns = (drawn | wanted.any(0)).nonzero()[:, 0]
        offset = torch.where(drawn, stands_for, -torch.inf).expand(wanted.shape)
        offset = offset.masked_fill(wanted, 0).masked_fill(known, -torch.inf)
        vectors = tables.vectors()
        return Lesson(
            tables.pairs(support)[:, columns].half(),
            _known(support, vectors, self.likes),
            support.mask,
            vectors[columns],
            wanted[:, columns],
            offset[:, columns],
        )

    def _drawn(self, tables: Tables, generator) -> tuple[Tensor, Tensor]:
        """A lesson's columns besides what is wanted, bool [n_objects], and log of how many objects each stands for."""
        n = tables.n_objects
        drawn = torch.zeros(n, dtype=torch.bool)
        drawn[torch.randperm(n, generator=generator)[: self.n_columns]] = True
        return drawn, torch.full((n,), math.log(n / int(drawn.sum())))

    def _train(self, net: SetNet, lessons: list[Lesson], generator: torch.Generator) -> None:
        optimizer = torch.optim.AdamW(net.parameters(), self.lr, weight_decay=self.weight_decay)
        n_steps = self.n_epochs * len(lessons)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(n_steps, 1))
        for _ in range(self.n_epochs):
            for place in torch.randperm(len(lessons), generator=generator).tolist():
                optimizer.zero_grad()
                OBJECTIVES[self.objective](net, lessons[place]).backward()
                nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                optimizer.step()
                rate.step()


def _known(support: Examples, vectors: Tensor, likes: float | None) -> Tensor:
    """The support's vectors, and whether each is liked: [n_tasks, K, N_FACTORS + 1]."""
    liked = (
        torch.ones_like(support.targets) if likes is None else (support.targets >= likes).float()
    )
    return torch.cat([vectors[support.inputs[..., 1]], liked[..., None]], -1)


def _marked(inputs: Tensor, mask: Tensor, n: int) -> Tensor:
    table = torch.zeros(len(inputs), n + 1, dtype=torch.bool)
    return table.scatter_(1, torch.where(mask, inputs[..., 1], n), True)[:, :n]


def spread_of(pairs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column, from every 17th row of every part."""
    rows = torch.cat([part.reshape(-1, part.shape[-1])[::17].float() for part in pairs])
    return rows.mean(0), rows.std(0, correction=0).clamp(min=1e-3)
