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
from fsl.learners.closed_form import CNP, ALPaCA, RidgeHead
from fsl.learners.family import image_method, recommender, sine_method
from fsl.learners.gradient import ANIL, FOMAML, MAML, MetaSGD, ProtoMAML
from fsl.learners.method import Method
from fsl.learners.metric import Matching, Prototypical, Relation, SiameseNearest
from fsl.learners.neighbours import FoldIn, UserKNN
from fsl.learners.outer import Reptile, Transfer
from fsl.learners.people import Recommender
from fsl.learners.select import Selected
from fsl.learners.tastes import Siamese

__all__ = [
    "ANIL",
    "CNP",
    "FOMAML",
    "MAML",
    "ALPaCA",
    "FoldIn",
    "GlobalMean",
    "ItemEffect",
    "Learner",
    "Matching",
    "MetaSGD",
    "Method",
    "Popularity",
    "ProtoMAML",
    "Prototypical",
    "Recommender",
    "Relation",
    "Reptile",
    "RidgeHead",
    "RidgeOnFeatures",
    "Selected",
    "ShrunkBias",
    "Siamese",
    "SiameseNearest",
    "SupportMean",
    "SupportMedian",
    "Transfer",
    "UserKNN",
    "image_method",
    "recommender",
    "sine_method",
]
