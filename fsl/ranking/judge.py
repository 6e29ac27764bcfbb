"""What one learner's lists come to: every measure of each task, and how much of the catalogue is shown at all.

Knows scores and questions; knows no learner.
"""

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fsl.ranking import metrics as ranking_metrics
from fsl.ranking.metrics import against_sample, in_top, places
from fsl.ranking.questions import Question

_MEASURES: dict[str, Callable] = {
    "ndcg": ranking_metrics.ranking_ndcg,
    "recall": ranking_metrics.recall,
    "hr": ranking_metrics.hit_rate,
    "precision": ranking_metrics.precision,
    "mrr": ranking_metrics.mrr,
}
METRICS = (
    *(f"{name}@{k}" for name in _MEASURES for k in (5, 10, 20)),
    *("hr@10/99", "ndcg@10/99", "mrr@10/99"),
)
SAMPLED = ("hr", "ndcg", "mrr")
_TOP = 10  # coverage and novelty are those of the first ten


class Judge:
    """Takes a learner's scores part by part; `values` has each task's measures, `use` coverage and novelty."""

    def __init__(self, metrics: Sequence[str], catalogue: Tensor, popularity: Tensor | None):
        self.metrics = [parsed(metric) for metric in metrics]
        self.seen = {metric: [] for metric in metrics}
        self.missed, self.bits, self.n_lists = torch.ones(len(catalogue)).double(), 0.0, 0
        self.surprise = None
        if popularity is not None:
            counts = popularity[catalogue].double() + 1
            self.surprise = -(counts / counts.sum()).log2().float()

    def see(self, scores: Tensor, question: Question) -> None:
        """Take in the scores [n_tasks, n_catalogue] of some tasks."""
        relevant, mask = question.relevant, question.mask
        full = places(scores, relevant, mask, question.candidates)
        sampled = None
        for (name, k, n_negatives), values in zip(self.metrics, self.seen.values(), strict=True):
            if not n_negatives:
                values.append(_MEASURES[name](full, k))
                continue
            sampled = sampled or places(scores, relevant, mask, question.never_met)
            n_pool = question.never_met.sum(1)
            values.append(against_sample(name, sampled, n_pool, k, n_negatives))
        top = in_top(scores, question.candidates, _TOP)
        self.missed *= (1 - top).prod(0)
        self.n_lists += len(top)
        if self.surprise is not None:
            self.bits += float((top @ self.surprise / top.sum(1)).sum())

    def values(self) -> dict[str, Tensor]:
        """Each metric's value for every task seen, in their order."""
        return {metric: torch.cat(values) for metric, values in self.seen.items()}

    def use(self) -> dict[str, float]:
        """Coverage, the share of all that is expected in somebody's first ten, and novelty in bits (NaN: no counts)."""
        novelty = float("nan") if self.surprise is None else self.bits / self.n_lists
        return {f"coverage@{_TOP}": float(1 - self.missed.mean()), f"novelty@{_TOP}": novelty}


def parsed(metric: str) -> tuple[str, int, int]:
    """Name, cutoff and number of negatives (0: the full catalogue) of "ndcg@10" or "hr@10/99"."""
    found = re.fullmatch(r"(\w+)@([1-9]\d*)(?:/([1-9]\d*))?", metric)
    if not found or found[1] not in (SAMPLED if found[3] else _MEASURES):
        known = f"{', '.join(_MEASURES)} @k and {', '.join(SAMPLED)} @k/n"
        raise ValueError(f"unknown metric {metric}; known: {known}")
    return found[1], int(found[2]), int(found[3] or 0)
