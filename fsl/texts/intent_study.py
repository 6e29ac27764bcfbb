"""Few-shot intents judged: K drawn examples of every intent, the full test set, several draws, records to compare.

Knows looks (what a head sees) and heads; looks inside neither.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from fsl.compare import Interval, paired_difference, summarise
from fsl.evaluation import COLUMNS, RULERS
from fsl.texts.intent_heads import Head
from fsl.texts.intent_looks import Look, Service


def judge_heads(
    service: Service,
    looks: Callable[[int, int], Look],
    heads: Mapping[str, Head],
    shots: Sequence[int] = (1, 5, 10),
    part: str = "test",
) -> pd.DataFrame:
    """Every head on every draw at every K: records of metric "accuracy", one for each intent and seed.

    An intent is task and group: intervals resample whole intents, with all draws of one kept together. partition: the
    data set. Intents have equally many test texts, so the mean over intents is the accuracy. A column `seconds` says
    how long the head took, fit and answers.
    """
    labels = service.asked[part].labels
    frames = []
    for seed, k in product(service.seeds, shots):
        look = looks(seed, k)
        for name, head in heads.items():
            started = time.perf_counter()
            scores = head(look.shots, look.asked[part])
            took = time.perf_counter() - started
            right = by_intent(scores.argmax(1) == labels, labels)
            frames.append(_records(service, name, k, seed, right).assign(seconds=took))
    return pd.concat(frames, ignore_index=True)


def by_intent(right: Tensor, labels: Tensor) -> Tensor:
    """The share of each intent's texts that are right, [n_way]."""
    counts = torch.bincount(labels).double()
    return torch.bincount(labels, right.double()) / counts


def _records(service: Service, name: str, k: int, seed: int, values: Tensor) -> pd.DataFrame:
    source, intents = service.intents.source, service.intents.names
    rows = [
        (name, source, k, seed, intent, intent, "accuracy", value)
        for intent, value in zip(intents, values.tolist(), strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def rulers(service: Service, shots: Sequence[int]) -> pd.DataFrame:
    """`random`: 1 / n_way. `constant`: always the first intent. `oracle`: always right."""
    n_way = len(service.intents)
    values = {
        "random": torch.full((n_way,), 1 / n_way),
        "constant": (torch.arange(n_way) == 0).double(),
        "oracle": torch.ones(n_way),
    }
    return pd.concat(
        [_records(service, name, k, 0, v) for name, v in values.items() for k in shots],
        ignore_index=True,
    )


def accuracy_table(records: pd.DataFrame) -> pd.DataFrame:
    """Method × K of one data set, "82.5 [80.1, 84.7] ± 0.4": % right, 95 % over intents, and the draws' spread.

    The spread is the standard deviation over seeds of the accuracy on all intents. Best at the largest K on top, the
    rulers below.
    """
    table = summarise(records, "accuracy").set_index(["learner", "n_shots"])
    draws = records.groupby(["learner", "n_shots", "seed"])["value"].mean()
    spread = draws.groupby(["learner", "n_shots"]).std()
    cells = {
        key: f"{100 * row.value:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"
        + ("" if pd.isna(spread[key]) or key[0] in RULERS else f" ± {100 * spread[key]:.1f}")
        for key, row in table.iterrows()
    }
    words = pd.Series(cells).unstack()
    last = table["value"].unstack().iloc[:, -1].sort_values(ascending=False).index
    order = sorted(last, key=lambda name: name in RULERS)
    return words.loc[order].rename(columns="K = {}".format).fillna("–")


def points(records: pd.DataFrame, learner: str, reference: str, n_shots: int) -> Interval:
    """Accuracy of `learner` minus that of `reference`, in points of per cent, paired over intents."""
    gap = paired_difference(records, learner, reference, "accuracy", n_shots)
    return Interval(100 * gap.value, 100 * gap.low, 100 * gap.high)
