"""A few examples a class bend the encoder: its top layers trained by contrast and by class, the layers below frozen.

After SetFit (Tunstall et al. 2022): pairs first, then a head on what comes out. Here both losses are summed over one
batch, and the frozen layers' states are computed once. Knows token states and labels; knows no text.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot

from fsl.encoders import TokenStates, TopLayers
from fsl.errors import InputError


@dataclass(frozen=True)
class FineTuning:
    """L = −log softmax(s z W)_y + w · SupCon(z; t), z the unit embedding, W one unit row for each class.

    AdamW; η rises over the first tenth of the steps, then falls to 0 along a line; W's is ten times as large, and W
    starts at the class means. epochs: how often each example is seen. scale: s. temperature: t. weight: w; 0 leaves
    contrast out. n_top: how many of the six layers are trained.
    """

    n_top: int = 2
    epochs: int = 10
    batch: int = 64
    lr: float = 2e-4
    scale: float = 20.0
    temperature: float = 0.1
    weight: float = 1.0
    weight_decay: float = 0.01
    clip: float = 1.0

    def fit(
        self, lower: TokenStates, labels: Tensor, seed: int = 0, start: TopLayers | None = None
    ) -> TopLayers:
        """The trained top layers. lower: states below them of the examples; labels: int64 [n], 0 … n_way − 1.

        start: layers to begin with, left as they are; None takes the encoder's own. The same seed, the same layers.
        """
        if self.epochs < 1:
            raise InputError(f"epochs is {self.epochs}, expected 1 or more.")
        top = TopLayers(self.n_top) if start is None else deepcopy(start)
        generator = torch.Generator().manual_seed(seed)
        w = nn.Parameter(one_hot(labels).float().T @ top.encode(lower))
        rates = [
            {"params": list(top.parameters()), "lr": self.lr},
            {"params": [w], "lr": 10 * self.lr},
        ]
        optimizer = torch.optim.AdamW(rates, weight_decay=self.weight_decay)
        n_steps = self.epochs * -(-len(labels) // self.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: _rate(i, n_steps))
        top.train()
        for _ in range(self.epochs):
            for rows in batches(labels, self.batch, generator):
                self._step(top, w, embed(top, lower, rows), labels[rows], optimizer)
                schedule.step()
        return top.eval()

    def _step(self, top: nn.Module, w: Tensor, z: Tensor, y: Tensor, optimizer) -> None:
        loss = cross_entropy(self.scale * z @ normalize(w, dim=-1).T, y)
        if self.weight:
            loss = loss + self.weight * supervised_contrast(z, y, self.temperature)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*top.parameters(), w], self.clip)
        optimizer.step()


def _rate(step: int, n_steps: int) -> float:
    return min((step + 1) / max(n_steps / 10, 1), 1 - step / n_steps)


def supervised_contrast(z: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean over rows i with a twin of −mean_{j ≠ i, y_j = y_i} log softmax_{j ≠ i}(z_i · z_j / t).

    Supervised contrastive learning (Khosla et al. 2020, L_out in eq. 2).

    z: [n, d], unit rows. labels: int64 [n]. Returns a scalar; 0 where no two rows are of one class.
    """
    itself = torch.eye(len(z), dtype=torch.bool)
    log_p = (z @ z.T / temperature).masked_fill(itself, -torch.inf).log_softmax(-1)
    same = (labels[:, None] == labels) & ~itself
    twins = same.sum(-1)
    pulled = torch.where(same, log_p, 0).sum(-1) / twins.clamp(min=1)
    return -pulled.sum() / (twins > 0).sum().clamp(min=1)


def batches(labels: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """All rows once, in random order but that two of one class stand side by side: rows int64 [size] at a time."""
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order].argsort(stable=True)]
    own = labels[order]
    first = torch.searchsorted(own, own)  # where the row's class begins
    pair = (torch.arange(len(own)) - first) // 2 + first
    lots = torch.rand(len(own), generator=generator)
    return iter(order[lots[pair].argsort(stable=True)].split(size))


def embed(top: nn.Module, lower: TokenStates, rows: Tensor, n_parts: int = 4) -> Tensor:
    """Unit embeddings of these rows, differentiable; texts of like length go through together, which spares padding."""
    order = lower.lengths[rows].argsort(stable=True)
    parts = [top(*lower.batch(rows[part])) for part in order.chunk(n_parts)]
    return torch.cat(parts)[order.argsort()]
