"""The covariance of ratings: tastes of one's own, of people alike, of everybody. Knows contents and tensors only."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

_REACH = 5.0  # of a logarithm: a factor of 150 either way keeps K positive definite, whatever a line search tries


class Points(NamedTuple):
    """Pairs as the kernel sees them: objects int64 [..., n], contents x [..., n, d_o] and z [..., n, d_s], float64."""

    objects: Tensor
    x: Tensor
    z: Tensor


class PreferenceKernel(nn.Module):
    """Covariance of the ratings of (u, i) and (u', i'), in units of the training ratings' variance:

        k = all(i, i') + alike(u, u') group(i, i') + [u = u'] own(i, i')
        own = a₀ + a₁ e + Σ_b a_b x_b·x'_b,   group = g₀ + g₁ e + Σ_b g_b x_b·x'_b,
        all = c₁ e + Σ_b c_b x_b·x'_b + c₂ [i = i'],
        e = exp(−½ Σ_b |x_b − x'_b|² / l_b²),   alike = exp(−½ Σ_b |z_b − z'_b|² / m_b²)

    x is an object's content, z a subject's. A block b is a number, or all columns of one category: a brand has one
    weight and one length, not ten (Rasmussen & Williams 2006, ch. 4.2 and 5.1: sums and products of kernels, automatic
    relevance). `noise` is the variance of a rating about its expectation. All are learned, as logarithms; so is `mean`.
    """

    def __init__(self, object_names: list[str], subject_names: list[str]):
        super().__init__()
        self.object_blocks, n = blocks_of(object_names)
        self.subject_blocks, n_subject = blocks_of(subject_names)
        start = {
            "own constant": [0.25], "own smooth": [0.15], "own linear": [0.15 / n] * n,
            "group constant": [0.05], "group smooth": [0.05], "group linear": [0.03 / n] * n,
            "all smooth": [0.1], "all linear": [0.1 / n] * n, "all item": [0.05],
            "object length": [2 * n**0.5] * n, "subject length": [2.0] * n_subject, "noise": [0.5],
        }  # fmt: skip
        self.start = {
            key: torch.tensor(value, dtype=torch.float64).log() for key, value in start.items()
        }
        free = {key: torch.zeros_like(value) for key, value in self.start.items()}
        self.free = nn.ParameterDict(free)
        self.mean = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def logs(self) -> dict[str, Tensor]:
        """The logarithm of every parameter but the mean: where it started, at most `_REACH` moved."""
        return {
            key: self.start[key] + _REACH * torch.tanh(free / _REACH)
            for key, free in self.free.items()
        }

    @property
    def noise(self) -> Tensor:
        return self.logs()["noise"].exp()

    def forward(self, left: Points, right: Points, same: float | Tensor) -> Tensor:
        """k without noise: left [..., n], right [..., m], same = [u = u'], 0, 1 or [..., n, m]. Returns [..., n, m]."""
        value = {key: log.exp() for key, log in self.logs().items()}
        e = bell(left.x, right.x, value["object length"][self.object_blocks])
        alike = bell(left.z, right.z, value["subject length"][self.subject_blocks])

        def linear(whose: str) -> Tensor:
            return (left.x * value[f"{whose} linear"][self.object_blocks]) @ right.x.mT

        own = value["own constant"] + value["own smooth"] * e + linear("own")
        group = value["group constant"] + value["group smooth"] * e + linear("group")
        is_same_item = left.objects[..., :, None] == right.objects[..., None, :]
        everyone = value["all smooth"] * e + linear("all") + value["all item"] * is_same_item
        return everyone + alike * group + same * own

    def log_prior(self, width: float) -> Tensor:
        """Log-normal priors about the starting values, their standard deviation `width`, up to a constant.

        What the rows do not say stays where it began; a width of 1 allows a factor of e either way.
        """
        return -sum(
            ((log - self.start[key]) / width).square().sum() / 2 for key, log in self.logs().items()
        )


def blocks_of(names: list[str]) -> tuple[Tensor, int]:
    """The block of each feature column, [n_columns], and how many there are, at least 1: `brand=…` are one block."""
    heads = [name.partition("=")[0] for name in names]
    place = {head: n for n, head in enumerate(dict.fromkeys(heads))}
    return torch.tensor([place[head] for head in heads], dtype=torch.long), max(len(place), 1)


def bell(left: Tensor, right: Tensor, length: Tensor) -> Tensor:
    """exp(−½ Σ_f (x_f − x'_f)² / l_f²): [..., n, d], [..., m, d], [d] -> [..., n, m]."""
    left, right = left / length, right / length
    squares = left.square().sum(-1)[..., :, None] + right.square().sum(-1)[..., None, :]
    return ((left @ right.mT) - squares / 2).clamp(max=0).exp()
