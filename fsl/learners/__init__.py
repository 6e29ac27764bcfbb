"""Everything that can be asked to recommend: `fit(tasks)`, then `predict(support, query_inputs)`.

A learner sees tasks and features, never a table; query targets never reach it; it keeps no state from one test task
to the next. `fit` returns the learner itself.
"""

from fsl.learners.attentive import AttentiveBayes
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
from fsl.learners.cooccurrence import EASE, ItemKNN
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.learners.family import image_method, recommender, sine_method
from fsl.learners.gaussian_process import PreferenceGP
from fsl.learners.gradient import ANIL, FOMAML, MAML, MetaSGD, ProtoMAML
from fsl.learners.method import Method
from fsl.learners.metric import Matching, Prototypical, Relation, SiameseNearest
from fsl.learners.neighbours import FoldIn, UserKNN
from fsl.learners.new_items import ItemPosterior
from fsl.learners.object_neighbours import ObjectKNN
from fsl.learners.outer import Reptile, Transfer
from fsl.learners.people import Recommender
from fsl.learners.regressions import RidgeOnStatistics
from fsl.learners.select import Selected
from fsl.learners.set_ranker import SetRanker
from fsl.learners.tastes import Siamese
from fsl.learners.trees import TreesOnFeatures

__all__ = [
    "ANIL",
    "CNP",
    "EASE",
    "FOMAML",
    "MAML",
    "ALPaCA",
    "AttentiveBayes",
    "EmpiricalBayes",
    "FoldIn",
    "GlobalMean",
    "ItemEffect",
    "ItemKNN",
    "ItemPosterior",
    "Learner",
    "Matching",
    "MetaSGD",
    "Method",
    "ObjectKNN",
    "Popularity",
    "PreferenceGP",
    "ProtoMAML",
    "Prototypical",
    "Recommender",
    "Relation",
    "Reptile",
    "RidgeHead",
    "RidgeOnFeatures",
    "RidgeOnStatistics",
    "Selected",
    "SetRanker",
    "ShrunkBias",
    "Siamese",
    "SiameseNearest",
    "SupportMean",
    "SupportMedian",
    "Transfer",
    "TreesOnFeatures",
    "UserKNN",
    "image_method",
    "recommender",
    "sine_method",
]
