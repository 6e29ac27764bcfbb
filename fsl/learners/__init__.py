"""Everything that can be asked to recommend: `fit(tasks)`, then `predict(support, query_inputs)`.

A learner sees tasks and features, never a table; query targets never reach it; it keeps no state from one test task
to the next. `fit` returns the learner itself.
"""

from fsl.learners.base import Learner
from fsl.learners.baselines import (
    GlobalMean,
    ItemEffect,
    Popularity,
    RidgeOnFeatures,
    ShrunkBias,
    SupportMean,
    SupportMedian,
)
from fsl.learners.gradient import MAML
from fsl.learners.metric import Siamese
from fsl.learners.neighbours import FoldIn, UserKNN
from fsl.learners.select import Selected

__all__ = [
    "MAML",
    "FoldIn",
    "GlobalMean",
    "ItemEffect",
    "Learner",
    "Popularity",
    "RidgeOnFeatures",
    "Selected",
    "ShrunkBias",
    "Siamese",
    "SupportMean",
    "SupportMedian",
    "UserKNN",
]
