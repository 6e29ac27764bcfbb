"""Siamese network and contrastive loss, and the pairs they learn from. Knows tasks; knows no learner and no plot."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fsl.errors import InputError
from fsl.seeds import seeded
from fsl.tasks import Tasks


def contrastive_loss(distance: Tensor, is_different: Tensor, margin: float = 1.0) -> Tensor:
    """Mean of (1 − y) d² + y max(0, m − d)², y = is_different (Hadsell et al. 2006, eq. 4 without its ½).

    Similar pairs (y = 0) are pulled together; different pairs (y = 1) are pushed apart until they are m apart.
    distance: [n_pairs], Euclidean, >= 0. is_different: [n_pairs], bool. margin: m > 0, in the unit of distance.

    Returns a scalar. Raises ValueError for distances that are negative or NaN, and TypeError where `is_different` is
    not bool: a bare 0/1 is how its sign gets lost.
    """
    if is_different.dtype != torch.bool:
        raise TypeError(
            f"is_different must be bool (True = a different pair), got {is_different.dtype}"
        )
    if distance.shape != is_different.shape:
        raise ValueError(f"{tuple(distance.shape)} distances, {tuple(is_different.shape)} flags")
    if not margin > 0:
        raise ValueError(f"margin must be above 0, got {margin}")
    if distance.numel() == 0 or not (distance >= 0).all():
        raise ValueError("distances must be there, and each of them >= 0")
    pull = torch.where(is_different, 0, distance)
    push = torch.where(is_different, margin - distance, 0).clamp(min=0)
    return (pull.square() + push.square()).mean()


def euclidean(z1: Tensor, z2: Tensor) -> Tensor:
    """‖z1 − z2‖ over the last axis; its gradient at 0 is 0, a subgradient, never NaN. [..., d] -> [...]."""
    return torch.linalg.vector_norm(z1 - z2, dim=-1)


class SiameseNetwork(nn.Module):
    """One tower that both inputs share (Bromley et al. 1993): n_features → n_hidden, ReLU → n_embedding.

    `n_embedding` wants room: in one dimension a metric can only sort, never cluster.
    """

    def __init__(self, n_features: int, n_hidden: int, n_embedding: int):
        super().__init__()
        self.tower = nn.Sequential(
            nn.Linear(n_features, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_embedding)
        )

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of both sides: [..., n_features] twice -> [..., n_embedding] twice."""
        return self.tower(x1), self.tower(x2)


_NO_PAIRS = (
    "no pairs can be formed: hardly anybody liked two different objects and a third one less"
)


class Pairs(NamedTuple):
    """Two objects that one subject met: objects `first`, `second` [n_pairs], `is_different` bool, `task` [n_pairs]."""

    first: Tensor
    second: Tensor
    is_different: Tensor
    task: Tensor


def mine_pairs(tasks: Tasks, n_pairs: int, generator: torch.Generator) -> Pairs:
    """Draw pairs of two behaviours of one task: both liked = similar, one liked and one not = different.

    Liked means above the task's own mean target, so that a generous rater's 4 and a strict one's 6 can mean the
    same. Pairs of two disliked objects say nothing and are left out. Similar and different come in equal number:
    n_pairs // 2 each where there are as many, drawn from tasks in proportion to their number of behaviours.
    Raises InputError where there are none: nobody liked two different objects and another one less.
    """
    if tasks.n_rows == 0:
        raise InputError(_NO_PAIRS)
    first = torch.randint(tasks.n_rows, (4 * n_pairs + 64,), generator=generator)
    task = tasks.task_of_row[first]
    jump = torch.rand(len(first), generator=generator, dtype=torch.float64)
    start, size = tasks.offsets[task], tasks.sizes[task]
    second = start + (first - start + 1 + (jump * (size - 1)).long()) % size
    liked = tasks.targets > tasks.task_means[tasks.task_of_row]
    apart = tasks.objects[first] != tasks.objects[second]
    both, one = liked[first] & liked[second] & apart, (liked[first] ^ liked[second]) & apart
    half = min(n_pairs // 2, int(both.sum()), int(one.sum()))
    if half == 0 and n_pairs > 1:
        raise InputError(_NO_PAIRS)
    kept = torch.cat([both.nonzero()[:half, 0], one.nonzero()[:half, 0]])
    return Pairs(tasks.objects[first[kept]], tasks.objects[second[kept]], one[kept], task[kept])


def train_siamese(
    tasks: Tasks,
    features: Tensor,
    n_hidden: int = 64,
    n_embedding: int = 8,
    n_steps: int = 400,
    n_pairs: int = 512,
    margin: float = 1.0,
    lr: float = 3e-3,
    seed: int = 0,
    flipped: bool = False,
) -> tuple[SiameseNetwork, list[float]]:
    """A network trained by Adam on freshly mined pairs, and the loss of each step.

    features: [n_objects, n_features], standardised. `flipped` swaps similar and different: the classic mistake, kept
    for showing what it costs. The same arguments give the same network on one machine.
    Raises InputError where no pair can be mined.
    """
    generator = torch.Generator().manual_seed(seed)
    with seeded(seed):
        net = SiameseNetwork(features.shape[1], n_hidden, n_embedding)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=1e-4)
    history = []
    for _ in range(n_steps):
        pairs = mine_pairs(tasks, n_pairs, generator)
        if len(pairs.task) == 0:
            raise InputError(
                "no pairs to learn from: hardly a user liked two objects and another one less"
            )
        distance = euclidean(*net(features[pairs.first], features[pairs.second]))
        loss = contrastive_loss(distance, pairs.is_different ^ flipped, margin)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return net, history
