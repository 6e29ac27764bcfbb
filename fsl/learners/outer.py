"""Learners whose training does not go through the inner loop: Reptile, and the control of all meta-learning, transfer.

They adapt to a new task as MAML does, by the same steps.
"""

import torch
from torch import Tensor, nn

from fsl.adapt import adapted_parameters
from fsl.episodes import Episode, Examples
from fsl.learners.base import mask_of
from fsl.learners.gradient import MAML, usual_loss, with_head


class Reptile(MAML):
    """Reptile (Nichol, Achiam & Schulman 2018, algorithm 2, batched): move the start towards where tasks end.

        θ ← θ + ε (mean_t θ_n(t) − θ),   θ_n(t) after n steps on all rows that training shows of task t

    The difference is handed to the trainer's optimiser as if it were a gradient. No query set and no second order, so
    as cheap as training itself; with one step it is joint training, so it wants several. Adaptation is full-batch here.
    `outer_steps`: n in training; None is n_steps.
    """

    def __init__(self, net: nn.Module, *args, outer_steps: int | None = None, **options):
        super().__init__(net, *args, **options)
        self.outer_steps = outer_steps

    def backward(self, episode: Episode) -> Tensor:
        """Puts θ − mean_t θ_t,n where gradients go; returns its norm in place of a loss."""
        rows = _all_rows(episode)
        loss = self.loss or usual_loss(rows.targets)
        n_steps = self.n_steps if self.outer_steps is None else self.outer_steps
        ends = adapted_parameters(
            self.net, loss, rows, self.rates(), n_steps, fast=self.fast, chunk=self.chunk
        )
        for name, p in self.net.named_parameters():
            if name in ends:
                p.grad = p.detach() - ends[name].mean(0)
        distance = sum(p.grad.square().sum() for p in self.net.parameters() if p.grad is not None)
        return distance.sqrt()


def _all_rows(episode: Episode) -> Examples:
    """Support and query of each task together."""
    sides = [Examples(side[0], side[1], mask_of(Examples(*side))) for side in episode]
    return Examples(*(torch.cat(parts, dim=1) for parts in zip(*sides, strict=True)))


class Transfer(MAML):
    """Transfer, the control: the same network trained jointly on all training tasks, then fine-tuned by the same steps.

    minimise Σ_rows loss(net(x), y), then θ_{s+1} = θ_s − α ∇ loss(support; θ_s) on each new task. A meta-learner that
    does not beat it has learned nothing about learning. For class-tasks `n_classes` training classes are told apart by
    a head of their own, which is thrown away: a new task starts with a head of zeros.
    `n_rows`: rows in a training step.
    """

    def __init__(
        self, net: nn.Module, *args, n_classes: int | None = None, n_rows: int = 256, **options
    ):
        super().__init__(net, *args, **options)
        self.n_rows, self.joint, self.n_classes = n_rows, net, n_classes
        if n_classes is not None:
            nn.init.zeros_(net.head.weight)
            nn.init.zeros_(net.head.bias)
            self.joint = with_head(net.body, n_classes)

    def draw(self, tasks, n_tasks: int, generator: torch.Generator) -> Examples:
        """`n_rows` rows of all training tasks, mixed."""
        return tasks.joint(self.n_rows, generator)

    def losses(self, rows: Examples) -> Tensor:
        """The loss of one minibatch of all tasks' rows, [1]."""
        inputs, targets, mask = Examples(*rows)
        if not targets.is_floating_point() and self.n_classes is None:
            raise ValueError(
                "transfer on class-tasks wants n_classes, how many the training set has"
            )
        predictions = self.joint(inputs)
        real = mask_of(Examples(inputs, targets, mask))
        return usual_loss(targets)(predictions, targets, real)[None]
