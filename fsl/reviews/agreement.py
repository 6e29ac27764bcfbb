"""How far two readers agree: Cohen's kappa for every aspect, for polarity and for sentiment, over people resampled."""

import numpy as np
import pandas as pd

from fsl.compare import Interval
from fsl.errors import InputError
from fsl.reviews.codebook import ASPECTS, SENTIMENTS
from fsl.reviews.confusion import accuracy, confusion, interval, kappa, resample
from fsl.reviews.labels import Opinions


def both_counts(first: np.ndarray, second: np.ndarray, user: np.ndarray, n: int) -> np.ndarray:
    """How often the first reader says c and the second t, by user: int [m] each -> [1, n_users, n, n]."""
    return confusion(first, second, user, n, int(user.max()) + 1)[None]


def agreement(opinions: Opinions, seed: int = 0) -> pd.DataFrame:
    """Kappa with its 95 % interval for each label: index what; columns n_first, n_second, agree, kappa, low, high.

    An aspect is named or not; "sentiment" has three classes; "polarity" has three, over the aspects that both readers
    name, each by itself. n_first, n_second: how many texts a reader gives it to; agree: the share of equal labels.
    Raises InputError for opinions that were read once only.
    """
    if opinions.second is None:
        raise InputError("these labels were read once, so there is no agreement to tell.")
    first, second = opinions.first.rows(opinions.reread), opinions.second
    user = opinions.user[opinions.reread]
    lines = {}
    for a, name in enumerate(ASPECTS):
        pair = first.mentioned[:, a].astype(int), second.mentioned[:, a].astype(int)
        lines[name] = _line(*pair, user, 2, seed) | {
            "n_first": pair[0].sum(),
            "n_second": pair[1].sum(),
        }
    row, a = np.nonzero(first.mentioned & second.mentioned)
    signs = (reading.polarity[row, a] + 1 for reading in (first, second))
    lines["polarity"] = _line(*signs, user[row], 3, seed) | {
        "n_first": len(row),
        "n_second": len(row),
    }
    n = {"n_first": len(first), "n_second": len(second)}
    pair = first.sentiment, second.sentiment
    lines["sentiment"] = _line(*pair, user, len(SENTIMENTS), seed) | n
    table = pd.DataFrame.from_dict(lines, orient="index")
    return table[["n_first", "n_second", "agree", "kappa", "low", "high"]]


def _line(first: np.ndarray, second: np.ndarray, user: np.ndarray, n: int, seed: int) -> dict:
    counts = resample(both_counts(first, second, user, n), seed)
    found: Interval = interval(kappa, counts)
    return {
        "agree": float(accuracy(counts.total)),
        "kappa": found.value,
        "low": found.low,
        "high": found.high,
    }
