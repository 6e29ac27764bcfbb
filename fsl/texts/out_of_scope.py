"""Questions that no intent covers: a score of being in scope, a threshold from validation, what it keeps and finds.

Knows looks and scores; the threshold sees validation texts in scope, never a test text and nothing out of scope.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fsl.compare import Interval
from fsl.learners.metric import squared_distances
from fsl.metrics import auc
from fsl.texts.intent_heads import Shots, logistic, nearest, prototypes
from fsl.texts.intent_looks import Look, Service

KEPT = 0.95  # the share of what is in scope that a threshold is to keep
N_RESAMPLES = 300


def prototype_distance(shots: Shots, asked: Tensor) -> Tensor:
    """max_n −‖z_q − m_n‖², m_n the plain mean of class n's examples: near, and to a class whose examples agree."""
    of_class = one_hot(shots.labels, shots.n_way).to(shots.z)
    means = of_class.T @ shots.z / of_class.sum(0)[:, None]
    return -squared_distances(asked, means).amin(-1)


IN_SCOPE: dict[str, Callable[[Shots, Tensor], Tensor]] = {
    "prototype, cosine": lambda shots, asked: prototypes(shots, asked).amax(-1),
    "prototype, distance": prototype_distance,
    "prototype + name, distance": lambda s, asked: prototype_distance(s.with_names(), asked),
    "nearest example": lambda shots, asked: nearest(shots, asked).amax(-1),
    "logistic regression + name": lambda s, asked: logistic(s.with_names(), asked).amax(-1),
}


def threshold(in_scope: Tensor, kept: float = KEPT) -> float:
    """The score that a share `kept` of validation texts in scope reaches: what scores less is refused."""
    return float(in_scope.double().quantile(1 - kept))


def judge_scope(
    service: Service,
    looks: Callable[[int, int], Look],
    scores: Mapping[str, Callable[[Shots, Tensor], Tensor]] = IN_SCOPE,
    shots: Sequence[int] = (1, 5, 10),
) -> pd.DataFrame:
    """A row for every test text, draw, K and score: learner, n_shots, seed, text, outside, score, refused.

    text: its number, those out of scope after those in scope. score: minus the draw's own threshold, so 0 is where
    refusing begins.
    """
    frames = []
    for seed, k in product(service.seeds, shots):
        look = looks(seed, k)
        inside, outside = look.asked["test"], look.asked["oos_test"]
        both = torch.cat([inside, outside])
        for name, score in scores.items():
            least = threshold(score(look.shots, look.asked["val"]))
            found = (score(look.shots, both) - least).double().numpy()
            of = {"learner": name, "n_shots": k, "seed": seed, "text": np.arange(len(both))}
            of |= {"outside": np.arange(len(both)) >= len(inside), "score": found}
            frames.append(pd.DataFrame(of | {"refused": found < 0}))
    return pd.concat(frames, ignore_index=True)


def scope_table(judged: pd.DataFrame, n_shots: int) -> pd.DataFrame:
    """Per score at one K: AUROC, recall of what is out of scope, share of what is in scope that is kept; in per cent.

    Each "95.3 [94.6, 95.9]": the mean over draws, 95 % over texts.
    """
    lines = {}
    for name in judged["learner"].unique():
        rows = pick(judged, name, n_shots)
        lines[name] = {
            "AUROC": in_words(auroc(rows)),
            "recall at 95 % kept": in_words(share(rows, outside=True, refused=True)),
            "kept, test": in_words(share(rows, outside=False, refused=False)),
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def pick(judged: pd.DataFrame, name: str, n_shots: int) -> pd.DataFrame:
    """One score's rows at one K."""
    return judged[(judged["learner"] == name) & (judged["n_shots"] == n_shots)]


def auroc(rows: pd.DataFrame, reference: pd.DataFrame | None = None, seed: int = 0) -> Interval:
    """% AUROC of out of scope against in scope, mean over draws, 95 % over texts; with `reference`, the difference."""
    tables = [_by_text(rows, "score")] + (
        [] if reference is None else [_by_text(reference, "score")]
    )
    outside = torch.tensor(rows.groupby("text")["outside"].first().to_numpy())

    def value(weight: Tensor | None) -> float:
        means = [
            np.mean([float(auc(-draw, outside, weight)) for draw in table.T]) for table in tables
        ]
        return 100 * (means[0] - (means[1] if len(means) > 1 else 0))

    lots = np.random.default_rng(seed).multinomial(
        len(outside), np.full(len(outside), 1 / len(outside)), size=N_RESAMPLES
    )
    low, high = np.quantile([value(torch.from_numpy(lot)) for lot in lots], [0.025, 0.975])
    return Interval(value(None), float(low), float(high))


def share(
    rows: pd.DataFrame,
    outside: bool,
    refused: bool,
    reference: pd.DataFrame | None = None,
    seed: int = 0,
) -> Interval:
    """% of the texts in or out of scope that are refused or kept, 95 % over texts; with `reference`, the difference."""
    own, *other = [
        (_by_text(part[part["outside"] == outside], "refused").double() == refused).double().mean(1)
        for part in (rows, *([] if reference is None else [reference]))
    ]
    values = 100 * (own - (other[0] if other else 0)).numpy()
    lots = np.random.default_rng(seed).integers(0, len(values), (2_000, len(values)))
    low, high = np.quantile(values[lots].mean(1), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def _by_text(rows: pd.DataFrame, column: str) -> Tensor:
    """[n_texts, n_seeds], in the order of texts and of seeds."""
    return torch.tensor(rows.pivot(index="text", columns="seed", values=column).to_numpy())


def in_words(value: Interval, sign: str = "") -> str:
    """ "95.3 [94.6, 95.9]"; sign="+" for differences."""
    return f"{value.value:{sign}.1f} [{value.low:{sign}.1f}, {value.high:{sign}.1f}]"
