"""How much of a teacher's few-shot accuracy a student keeps: the same draws, the same test texts, paired.

Knows vectors, labels and heads; knows no encoder. Support is drawn from training texts; every test text is asked.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from fsl.compare import N_BOOTSTRAP, Interval
from fsl.errors import InputError
from fsl.evaluation import COLUMNS
from fsl.texts.intents import Texts

HEADS = ("prototypes", "logistic")
_C = 10.0  # the inverse strength of the logistic head's penalty, as in notebook 09's bar


class Split(NamedTuple):
    """Vectors of training and of test texts by one encoder: float32 [n, d] each."""

    train: np.ndarray
    test: np.ndarray


def drawn_rows(labels: np.ndarray, n_shots: int, n_draws: int, seed: int = 0) -> list[np.ndarray]:
    """n_draws times n_shots rows of each class, at random without replacement: int64 [n_classes * n_shots] each.

    Raises InputError for a class with fewer rows, and for fewer than one shot or draw.
    """
    if n_shots < 1 or n_draws < 1:
        asked = f"n_shots is {n_shots} and n_draws {n_draws}"
        raise InputError(f"{asked}, expected 1 or more of each.")
    rows_of = [np.flatnonzero(labels == c) for c in range(int(labels.max()) + 1)]
    if min(map(len, rows_of)) < n_shots:
        few = int(np.argmin([len(rows) for rows in rows_of]))
        raise InputError(f"class {few} has {len(rows_of[few])} training texts, {n_shots} wanted.")
    rng = np.random.default_rng(seed)
    draw = [[rng.choice(rows, n_shots, replace=False) for rows in rows_of] for _ in range(n_draws)]
    return [np.concatenate(one) for one in draw]


def head_scores(head: str, support: np.ndarray, y: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Scores [n_query, n_classes] of a head fitted on a support [n, d] with classes y, each class in it.

    "prototypes": cosine to each class's mean (Snell et al. 2017, section 2.2, with the cosine). "logistic": multinomial
    logistic regression, C = 10 (its log-odds). Raises ValueError for another name.
    """
    if head == "prototypes":
        centres = np.stack([support[y == c].mean(0) for c in range(int(y.max()) + 1)])
        return query @ (centres / np.linalg.norm(centres, axis=1, keepdims=True).clip(1e-9)).T
    if head == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=_C, max_iter=300).fit(support, y).decision_function(query)
    raise ValueError(f"head must be one of {', '.join(HEADS)}, got {head!r}")


def hits(
    split: Split, draws: Sequence[np.ndarray], y: np.ndarray, y_test: np.ndarray, head: str
) -> np.ndarray:
    """Whether each test text is named rightly after each draw: bool [n_draws, n_test]."""
    scores = (head_scores(head, split.train[rows], y[rows], split.test) for rows in draws)
    return np.stack([one.argmax(1) == y_test for one in scores])


def accuracy(found: np.ndarray, seed: int = 0) -> Interval:
    """Mean of `hits` with its 95 % interval over resamples of draws and of test texts, both at once."""
    resampled = _resampled(found, *_lots(found.shape, seed))
    return _interval(float(found.mean()), resampled)


def kept(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> Interval:
    """Our accuracy as a share of theirs, paired: both `hits` are of the same draws and texts, and resampled together.

    Whole draws and whole test texts are resampled, independently (the pigeonhole bootstrap, Owen 2007): it is a little
    too wide rather than too narrow. Raises ValueError for `hits` of other shapes.
    """
    if ours.shape != theirs.shape:
        raise ValueError(
            f"hits of the same draws and texts wanted, got {ours.shape}, {theirs.shape}"
        )
    lots = _lots(ours.shape, seed)
    share = _resampled(ours, *lots) / np.maximum(_resampled(theirs, *lots), 1e-9)
    return _interval(float(ours.mean() / theirs.mean()), share)


def in_percent(share: Interval) -> str:
    """A share with its interval, in per cent: "76.8 % [75.1, 78.4]"."""
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _lots(shape: tuple[int, int], seed: int) -> list[np.ndarray]:
    """How often each draw, and each text, comes in each resample, as shares: [N_BOOTSTRAP, n] each."""
    rng = np.random.default_rng(seed)
    return [rng.multinomial(n, np.full(n, 1 / n), N_BOOTSTRAP) / n for n in shape]


def _resampled(found: np.ndarray, of_draws: np.ndarray, of_texts: np.ndarray) -> np.ndarray:
    return ((of_draws @ found) * of_texts).sum(1)


def _interval(value: float, resampled: np.ndarray) -> Interval:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def records_of(found: Mapping[str, np.ndarray], n_shots: int, partition: str) -> pd.DataFrame:
    """`hits` by learner as records of `fsl.compare`: metric "accuracy", task and group the test text, seed the draw."""
    parts = []
    for name, one in found.items():
        draw, text = np.indices(one.shape).reshape(2, -1)
        same = {"learner": name, "partition": partition, "n_shots": n_shots, "metric": "accuracy"}
        own = {"seed": draw, "task": text, "group": text, "value": one.reshape(-1).astype(float)}
        parts.append(pd.DataFrame({**own, **same})[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True)


def speed_ratio(seconds: Mapping[str, Sequence[float]], name: str, reference: str) -> Interval:
    """How many times as fast as `reference` in the same rounds: the median ratio and its quartiles (not 95 %)."""
    ratio = np.array(seconds[reference]) / np.array(seconds[name])
    return Interval(float(np.median(ratio)), *map(float, np.quantile(ratio, [0.25, 0.75])))


def some_texts(part: Texts, n: int, seed: int = 0) -> Texts:
    """n of a part's texts, the classes as even as can be, in their order; all of them for 0, or where n is more."""
    if not 0 < n < len(part.texts):
        return part
    order = np.random.default_rng(seed).permutation(len(part.texts))
    labels = pd.Series(as_labels(part.labels)[order])
    turn = labels.groupby(labels).cumcount().to_numpy()
    return part.take(torch.from_numpy(np.sort(order[np.argsort(turn, kind="stable")[:n]])))


def as_labels(labels: torch.Tensor) -> np.ndarray:
    """Class numbers as an array, int64 [n]."""
    return labels.numpy().astype(np.int64)
