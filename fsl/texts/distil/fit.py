"""From a teacher's vectors, or scores, of unlabelled texts to a student. Knows no label and no task."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from fsl.errors import InputError
from fsl.texts.distil.ridge import ridge
from fsl.texts.distil.student import StaticStudent
from fsl.texts.distil.words import Words, words_of

SHRINKAGES = (0.03, 0.1, 0.3, 1.0)
FEWEST_TEXTS = 50
_HELD_OUT, _MOST_HELD_OUT = 0.1, 1_000


class Distilled(NamedTuple):
    """A student, and how its shrinkage was chosen: shrinkage -> likeness to the teacher, held out; {} for one alone."""

    student: StaticStudent
    likeness: Mapping[float, float]


def principal_axes(z: np.ndarray, dim: int) -> np.ndarray:
    """The `dim` leading eigenvectors of ZᵀZ, [d, dim]: of all projections of Z the one that keeps most of ZZᵀ."""
    return np.linalg.eigh(z.T.astype(np.float64) @ z)[1][:, ::-1][:, :dim].astype(np.float32)


def geometry(a: np.ndarray, b: np.ndarray) -> float:
    """How alike two encoders place the same texts: the correlation of their cosines over all pairs of texts.

    a: [n, d_a], b: [n, d_b], unit rows. 1 where one is a turned copy of the other, about 0 where they share nothing.
    Raises InputError for fewer than three texts.
    """
    if len(a) < 3:
        raise InputError(f"the cosines of {len(a)} texts cannot be compared, expected 3 or more.")
    upper = np.triu_indices(len(a), 1)
    return float(np.corrcoef((a @ a.T)[upper], (b @ b.T)[upper])[0, 1])


def distil(
    texts: Sequence[str],
    vectors: np.ndarray,
    dim: int = 256,
    n_buckets: int = 0,
    pair_weight: float = 0.5,
    extra: Mapping[str, np.ndarray] | None = None,
    shrinkages: Sequence[float] = SHRINKAGES,
    seed: int = 0,
) -> Distilled:
    """A static student of an encoder, from what the encoder says of unlabelled texts.

    vectors: float32 [n, d], the teacher's, unit rows. Targets are their coordinates on the teacher's leading `dim`
    axes; E is a ridge regression of these on the words. The shrinkage is that of `shrinkages` whose `geometry` is most
    like the teacher's on a tenth of the texts held out; then E is fitted on all. No label is seen.
    extra: word -> the teacher's vector of that word alone. Where it is given, such words have rows, too, and every row
    starts from its word's vector, scaled to fit the texts: what the texts do not tell stays what the teacher said.
    Raises InputError for fewer than 50 different texts.
    """
    _check(texts, vectors)
    axes = principal_axes(vectors, dim)
    words = Words(_vocabulary(texts, extra), n_buckets, pair_weight)
    x, y = words.matrix(texts), vectors @ axes
    prior = None if extra is None else _prior(words, texts, x, y, extra, axes)
    kept, held = _parts(len(texts), seed)

    def like(shrinkage: float) -> float:
        return geometry(_unit(x[held] @ ridge(x[kept], y[kept], shrinkage, prior)), vectors[held])

    best, likeness = _best(shrinkages, like)
    table = torch.from_numpy(ridge(x, y, best, prior))
    return Distilled(StaticStudent(words, table), likeness)


def distil_scores(
    texts: Sequence[str],
    scores: np.ndarray,
    n_buckets: int = 0,
    pair_weight: float = 0.5,
    shrinkages: Sequence[float] = SHRINKAGES,
    seed: int = 0,
) -> Distilled:
    """A static student of an adapted learner: its scores (logits) of unlabelled texts are the targets.

    scores: [n, n_classes]; each row's mean is taken off, which no softmax sees. Matching logits by squares is
    distillation at high temperature (Ba & Caruana 2014; Hinton, Vinyals & Dean 2015, section 2.1). The shrinkage is the
    one whose scores agree best with the teacher's on held-out texts, by the share of equal decisions.
    """
    _check(texts, scores)
    words = Words(words_of(texts), n_buckets, pair_weight)
    x, y = words.matrix(texts), (scores - scores.mean(1, keepdims=True)).astype(np.float32)
    kept, held = _parts(len(texts), seed)

    def agrees(shrinkage: float) -> float:
        said = x[held] @ ridge(x[kept], y[kept], shrinkage)
        return float((said.argmax(1) == y[held].argmax(1)).mean())

    best, agreement = _best(shrinkages, agrees)
    return Distilled(StaticStudent(words, torch.from_numpy(ridge(x, y, best))), agreement)


def _best(shrinkages: Sequence[float], value: Callable[[float], float]):
    """The shrinkage of the highest value, and all values; a single one is taken as it is, and none is worked out."""
    if len(shrinkages) == 1:
        return shrinkages[0], {}
    values = {shrinkage: value(shrinkage) for shrinkage in shrinkages}
    return max(values, key=values.get), values


def _check(texts: Sequence[str], values: np.ndarray) -> None:
    if len(values) != len(texts):
        raise InputError(
            f"{len(values)} rows of the teacher for {len(texts)} texts, expected as many."
        )
    if len(set(texts)) < FEWEST_TEXTS:
        seen = f"{len(set(texts))} different texts"
        raise InputError(
            f"a student learns from texts, got {seen}, expected {FEWEST_TEXTS} or more."
        )


def _vocabulary(texts: Sequence[str], extra: Mapping[str, np.ndarray] | None) -> tuple[str, ...]:
    own = words_of(texts)
    return own if extra is None else (*own, *(word for word in extra if word not in set(own)))


def _prior(words: Words, texts, x, y, extra: Mapping[str, np.ndarray], axes) -> np.ndarray:
    """E₀: row w is α g_w times the teacher's vector of word w, g_w = a / (a + p_w), p_w the share of texts with w.

    Smooth inverse frequency (Arora, Liang & Ma 2017, section 3): what is in every text tells little. a, of 0.001 to ∞,
    and α are those of the least squared error on the texts. Pairs, and words that `extra` lacks, start from 0.
    """
    rows = np.zeros((words.n_rows, axes.shape[1]), np.float32)
    for row, word in enumerate(words.words):
        if word in extra:
            rows[row] = extra[word] @ axes
    share = np.asarray((x > 0).sum(0), np.float32).reshape(-1, 1) / len(texts)
    best, least = rows, np.inf
    for a in (1e-3, 1e-2, 1e-1, np.inf):
        weighed = rows / (1 + share / a)
        said = x @ weighed
        weighed *= (said * y).sum() / max((said * said).sum(), 1e-9)
        error = float(np.square(x @ weighed - y).sum())
        if error < least:
            best, least = weighed, error
    return best


def _parts(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit on and rows held out."""
    order = np.random.default_rng(seed).permutation(n)
    n_held = min(max(int(_HELD_OUT * n), 2), _MOST_HELD_OUT)
    return np.sort(order[n_held:]), np.sort(order[:n_held])


def _unit(s: np.ndarray) -> np.ndarray:
    return s / np.maximum(np.linalg.norm(s, axis=1, keepdims=True), 1e-9)
