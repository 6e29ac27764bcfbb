"""Metric learning: a new task's rows are judged by their place among the few that are known. No inner loop.

Each method embeds support and query by one `body`, inputs [..., n, *] -> z [..., n, d], and compares. On class-tasks
they are what their papers say; on a user's ratings (targets are numbers, as `Recommender` gives them: what the item
effect leaves) they weigh the liked against the disliked. They need classes or tastes that the body can tell apart, and
fail where a new task turns on what no training task turned on.
"""

import torch
from torch import Tensor, nn

from fsl.engines.arguments import with_mask
from fsl.episodes import Episode, Examples
from fsl.learners.base import mask_of
from fsl.learners.method import Method, Scoring, one_hot
from fsl.siamese import contrastive_loss
from fsl.training import EpisodicTrainer


def prototypes(z: Tensor, support: Examples) -> tuple[Tensor, Tensor]:
    """Each class's mean embedding c_n = mean of z_k with y_k = n, [n_tasks, n_way, d]; its rows, [n_tasks, n_way]."""
    flags = one_hot(support, z)
    counts = flags.sum(1)
    return flags.mT @ z / counts.clamp(min=1)[..., None], counts


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """‖a_i − b_j‖², [..., n, d] and [..., m, d] -> [..., n, m]."""
    inner = a @ b.mT
    return (a.square().sum(-1)[..., None] + b.square().sum(-1)[..., None, :] - 2 * inner).clamp(
        min=0
    )


class Prototypical(Scoring):
    """Prototypical networks (Snell, Swersky & Zemel 2017, eq. 1 and 2).

    Class-tasks: score_n = −‖z_q − c_n‖² / τ, c_n the mean of class n's support, τ learned from `temperature` on (1 in
    the paper).
    Ratings y: c₊ = Σ max(y, 0) z / (λ + Σ max(y, 0)) is what is liked, c₋ likewise what is disliked, and
    ŷ = γ (‖z_q − c₋‖² − ‖z_q − c₊‖²) with γ, λ > 0 learned: 0 where nothing is known.
    Needs classes that are each one cloud; fails where a class has several.
    """

    wants = "body"

    def __init__(
        self, body: nn.Module, temperature: float = 1.0, trainer: EpisodicTrainer | None = None
    ):
        super().__init__(trainer)
        self.body = body
        self.log_temperature = nn.Parameter(torch.tensor(float(temperature)).log())
        self.log_gamma = nn.Parameter(torch.zeros(()))
        self.log_lambda = nn.Parameter(torch.zeros(()))

    def scores(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """−‖z_q − c_n‖² / temperature, or ŷ for ratings; −∞ for a class without support."""
        z, asked = self.body(support.inputs), self.body(query_inputs)
        if support.targets.is_floating_point():
            return self._ratings(z, support, asked)
        centres, counts = prototypes(z, support)
        scores = -squared_distances(asked, centres) / self.log_temperature.exp()
        return scores.masked_fill(counts[:, None] == 0, -torch.inf)

    def _ratings(self, z: Tensor, support: Examples, asked: Tensor) -> Tensor:
        y = torch.where(mask_of(support), support.targets, 0)
        signed = torch.stack([y.clamp(min=0), (-y).clamp(min=0)], dim=1)
        centres = signed @ z / (self.log_lambda.exp() + signed.sum(-1, keepdim=True))
        liked, disliked = squared_distances(asked, centres).unbind(-1)
        return self.log_gamma.exp() * (disliked - liked)


class Matching(Scoring):
    """Matching networks (Vinyals et al. 2016, eq. 1 and 2), without full context embeddings.

    a(q, k) = softmax over support rows k of τ cos(z_q, z_k), τ > 0 learned from `tau` on (1 in the paper).
    Class-tasks: score_n = log Σ_{y_k = n} a(q, k). Ratings: ŷ = Σ a(q, k) y_k, with one more row of rating 0 and a
    learned logit of its own, so that a few rows count for less than many.
    A class's rows vote one by one, so a class may be many clouds; fails where one odd row is near by chance.
    """

    wants = "body"

    def __init__(self, body: nn.Module, tau: float = 10.0, trainer: EpisodicTrainer | None = None):
        super().__init__(trainer)
        self.body = body
        self.log_tau = nn.Parameter(torch.tensor(float(tau)).log())
        self.nothing = nn.Parameter(torch.tensor(2.0))

    def scores(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """log Σ of the attention on a class's rows, or ŷ for ratings; −∞ for a class without support."""
        z, asked = (
            nn.functional.normalize(self.body(x), dim=-1) for x in (support.inputs, query_inputs)
        )
        nearness = self.log_tau.exp() * asked @ z.mT
        nearness = nearness.masked_fill(~mask_of(support)[:, None], -torch.inf)
        if support.targets.is_floating_point():
            nothing = self.nothing.expand(*nearness.shape[:-1], 1)
            attention = torch.cat([nearness, nothing], dim=-1).softmax(-1)[..., :-1]
            return (attention @ support.targets[..., None])[..., 0]
        of_class = one_hot(support, z).bool()[:, None]  # [n_tasks, 1, K, n_way]
        apart = torch.where(of_class, nearness[..., None], -torch.inf)
        return apart.logsumexp(-2) - nearness.logsumexp(-1, keepdim=True)


class Relation(Scoring):
    """Relation networks (Sung et al. 2018, eq. 1): the comparison is learned, r = g([z_k; z_q]), g a small network.

    Class-tasks: score_n = g([c_n; z_q]), c_n the mean of class n's support (the paper sums), trained by cross-entropy
    (the paper: squared error to 0 and 1). Ratings: ŷ = Σ_k g([z_k; z_q]) y_k / (K + λ), λ > 0 learned.
    Needs more training tasks than a fixed distance does; g overfits where they are few.
    """

    wants = "body"

    def __init__(
        self,
        body: nn.Module,
        n_features: int | None = None,
        n_hidden: int = 64,
        trainer: EpisodicTrainer | None = None,
    ):
        super().__init__(trainer)
        self.body, n_features = body, n_features or body.n_features
        self.g = nn.Sequential(
            nn.Linear(2 * n_features, n_hidden), nn.ReLU(), nn.Linear(n_hidden, 1)
        )
        self.log_lambda = nn.Parameter(torch.zeros(()))

    def scores(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """g of the query beside each prototype, or the mean of g y over the support, shrunk by λ, for ratings."""
        z, asked = self.body(support.inputs), self.body(query_inputs)
        if support.targets.is_floating_point():
            y = torch.where(mask_of(support), support.targets, 0)
            many = mask_of(support).sum(-1, keepdim=True)
            return (self._relation(asked, z) @ y[..., None])[..., 0] / (
                many + self.log_lambda.exp()
            )
        centres, counts = prototypes(z, support)
        return self._relation(asked, centres).masked_fill(counts[:, None] == 0, -torch.inf)

    def _relation(self, asked: Tensor, known: Tensor) -> Tensor:
        """g of every pair, [n_tasks, n, d] and [n_tasks, m, d] -> [n_tasks, n, m]."""
        n, m = asked.shape[1], known.shape[1]
        pairs = [known[:, None].expand(-1, n, -1, -1), asked[:, :, None].expand(-1, -1, m, -1)]
        return self.g(torch.cat(pairs, dim=-1))[..., 0]


class SiameseNearest(Method):
    """A Siamese network trained by contrastive loss (Hadsell et al. 2006; one-shot use: Koch et al. 2015).

    Trained on pairs of one support and one query row of a class-task, d = ‖z_q − z_k‖: the mean over similar pairs of
    d² plus the mean over different pairs of max(0, m − d)². Predicts the class of the nearest support row:
    score_n = −min_{y_k = n} d. For class-tasks only; for a shop see `Siamese`.
    The oldest of the four here. It learns from pairs by themselves, where classes do not compete for a query.
    """

    wants = "body"

    def __init__(
        self, body: nn.Module, margin: float = 1.0, trainer: EpisodicTrainer | None = None
    ):
        super().__init__(trainer)
        self.body, self.margin = body, margin

    def distances(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """‖z_q − z_k‖, [n_tasks, n_query, K]; the gradient at 0 is finite."""
        squares = squared_distances(self.body(query_inputs), self.body(support.inputs))
        return (squares + 1e-12).sqrt()

    def losses(self, episode: Episode) -> Tensor:
        support, query = (with_mask(side) for side in episode)
        distances = self.distances(support, query.inputs)
        real = query.mask[..., None] & support.mask[:, None]
        different = query.targets[..., None] != support.targets[:, None]
        return torch.stack(
            [
                contrastive_loss(d[r & ~y], y[r & ~y], self.margin)
                + contrastive_loss(d[r & y], y[r & y], self.margin)
                for d, y, r in zip(distances, different, real, strict=True)
            ]
        )

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        support = with_mask(support)
        with self.judging():
            nearness = -self.distances(support, query_inputs)
            of_class = one_hot(support, nearness).bool()[:, None]
            return torch.where(of_class, nearness[..., None], -torch.inf).amax(-2)
