"""What all learners that are trained on episodes share. Knows episodes and the trainer; knows no method."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from fsl.engines.arguments import with_mask
from fsl.episodes import Episode, Examples
from fsl.learners.base import Learner, mask_of
from fsl.metrics import cross_entropy, masked_mean, mse
from fsl.training import EpisodicTrainer


class Sampler(Protocol):
    """What episodes are drawn from: `ClassSampler`, `SineTasks`, `RatingSampler`, or your own.

    One for validation may also have `checks(seed) -> list[Episode]`: the fixed episodes that the trainer is to look at,
    such as all tasks at several K. Without it the trainer draws `n_validation` tasks by `sample`, once.
    """

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episode:
        """Tasks to learn from or to be judged on."""

    def joint(self, n: int, generator: torch.Generator) -> Examples:
        """Rows of all tasks mixed, [n, ...], for learning without episodes; a class-task's targets are then global."""


class Method(nn.Module, Learner):
    """A learner trained on episodes, as one `nn.Module` with all that is trained.

    A subclass gives `losses(episode)` and `predict(support, query_inputs)`. Targets are class numbers, int64 [n_tasks,
    n], and predictions then scores [n_tasks, n_query, n_way], the highest the class; or numbers, and predictions are
    [n_tasks, n_query] in their unit.
    """

    def __init__(self, trainer: EpisodicTrainer | None = None):
        super().__init__()
        self.trainer = trainer or EpisodicTrainer()

    def fit(self, tasks: Sampler, validation: Sampler | None = None) -> Method:
        """Train on episodes of `tasks`; `validation` decides when to stop and which weights to keep.

        Sets `history`, the trainer's table. Returns the learner itself.
        """
        self.history = self.trainer.train(self, tasks, validation)
        return self

    def losses(self, episode: Episode) -> Tensor:
        """What training makes small, for each task: [n_tasks]."""
        raise TypeError(f"{type(self).__name__} does not say its losses")

    def draw(self, tasks: Sampler, n_tasks: int, generator: torch.Generator):
        """What one training step looks at."""
        return tasks.sample(n_tasks, generator)

    def backward(self, drawn) -> Tensor:
        """Put the gradient of one training step into `.grad`; the mean loss, detached."""
        loss = self.losses(drawn).mean()
        loss.backward()
        return loss.detach()

    @torch.no_grad()
    def errors(self, episode: Episode) -> Tensor:
        """1 − accuracy, or the mean squared error, of each task: [n_tasks]."""
        query = Examples(*episode.query)
        predictions = self.predict(Examples(*episode.support), query.inputs)
        if query.targets.is_floating_point():
            return mse(predictions, query.targets, query.mask)
        wrong = (predictions.argmax(-1) != query.targets).double()
        return masked_mean(torch.where(predictions.isnan().any(-1), torch.nan, wrong), query.mask)

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Without gradients and in eval mode, which is undone afterwards."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(training)


class Scoring(Method):
    """A method that adapts in one differentiable solve: `scores(support, query_inputs)` is all it needs.

    Trained by cross-entropy on class-tasks and by squared error on numbers. What stands in padding is put to 0.
    """

    def scores(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """[n_tasks, n_query, n_way] on class-tasks, [n_tasks, n_query] on numbers; every support has a mask."""
        raise TypeError(f"{type(self).__name__} does not say its scores")

    def losses(self, episode: Episode) -> Tensor:
        """Cross-entropy or squared error of each task's query, [n_tasks]."""
        support, query = (with_mask(side) for side in episode)
        scores = self.scores(support, query.inputs)
        if query.targets.is_floating_point():
            return mse(scores, query.targets, query.mask)
        return cross_entropy(scores, query.targets, query.mask)

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """The scores, without gradients and in eval mode."""
        with self.judging():
            return self.scores(with_mask(support), query_inputs)


def n_way_of(support: Examples) -> int:
    """The number of classes of the largest task: the highest target in a real row, plus 1."""
    if not bool(mask_of(support).any(-1).all()):
        raise ValueError("class-tasks need at least one support row each")
    return int(torch.where(mask_of(support), support.targets, 0).max()) + 1


def one_hot(support: Examples, like: Tensor) -> Tensor:
    """Which class each real support row is of: [n_tasks, K, n_way], 0 on padding, of `like`'s type."""
    flags = nn.functional.one_hot(support.targets, n_way_of(support)).to(like)
    return flags * mask_of(support)[..., None]
