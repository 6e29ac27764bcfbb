"""What all people together say of all phones, and whether the labels agree with what nobody labelled: the ratings."""

import numpy as np
import pandas as pd
import torch

from fsl.compare import FEWEST, Interval, auc_interval
from fsl.reviews.codebook import ASPECTS, SENTIMENTS
from fsl.reviews.confusion import accuracy, confusion, interval, resample
from fsl.reviews.labels import Opinions


def said_of_aspects(opinions: Opinions, seed: int = 0) -> pd.DataFrame:
    """Per aspect, the most spoken of first: columns praise, blame, neither (texts), value, low, high.

    value: the share of praise among praise and blame, its 95 % interval over resampled people, NaN where fewer than
    FEWEST people judge the aspect.
    """
    lines = {}
    for a, name in enumerate(ASPECTS):
        there = opinions.first.mentioned[:, a]
        signs, user = opinions.first.polarity[there, a], opinions.user[there]
        counts = {
            "praise": (signs > 0).sum(),
            "blame": (signs < 0).sum(),
            "neither": (signs == 0).sum(),
        }
        lines[name] = counts | vars(_share_of_praise(signs, user, seed))
    table = pd.DataFrame.from_dict(lines, orient="index")
    spoken = table[["praise", "blame", "neither"]].sum(axis=1)
    return table.loc[spoken.sort_values(ascending=False, kind="stable").index]


def _share_of_praise(signs: np.ndarray, user: np.ndarray, seed: int) -> Interval:
    user, signs = user[signs != 0], signs[signs != 0]
    if len(np.unique(user)) < FEWEST:
        return Interval(*[float("nan")] * 3)
    praised = (signs > 0).astype(int)
    counts = confusion(np.ones_like(praised), praised, user, 2, int(user.max()) + 1)
    return interval(accuracy, resample(counts[None], seed))


def rating_by_sentiment(opinions: Opinions) -> pd.DataFrame:
    """Texts, and mean and quartiles of the rating that came with them, by sentiment."""
    name = np.array(list(SENTIMENTS))[opinions.first.sentiment]
    by = opinions.table["rating"].groupby(name)
    table = by.describe()[["count", "mean", "25%", "50%", "75%"]].loc[list(SENTIMENTS)]
    return table.rename(columns={"count": "texts"}).astype({"texts": int})


def ratings_tell(opinions: Opinions, seed: int = 0) -> Interval:
    """AUC: how often a positive text came with a higher rating than a negative one (equal: half), people resampled.

    The readers saw no rating, so this is a check of their labels from outside.
    """
    positive, negative = (list(SENTIMENTS).index(s) for s in ("positive", "negative"))
    feeling = opinions.first.sentiment
    told = (feeling == positive) | (feeling == negative)
    rating = torch.from_numpy(opinions.table["rating"].to_numpy(float)[told])
    is_positive = torch.from_numpy(feeling[told] == positive)
    return auc_interval(rating, is_positive, torch.from_numpy(opinions.user[told]), seed=seed)
