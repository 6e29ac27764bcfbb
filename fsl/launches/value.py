"""What showing a new phone is worth: the mean rating of the few people that a learner would show it to.

Knows tasks, draws and scores; looks inside no learner. Errors of the ratings are `evaluation`'s matter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.data import Shop
from fsl.episodes import Draw, draw_shots, gather
from fsl.errors import InputError
from fsl.evaluation import records_of
from fsl.simulate import SCENE_NAMES
from fsl.tasks import Tasks

METRIC = "value"


class Audience(NamedTuple):
    """Whom each new item may be shown to: inputs int64 [n_tasks, n, 2] of (item, user), mask bool [n_tasks, n], and
    worth [n_tasks, n], each one's rating, which no learner sees."""

    inputs: Tensor
    worth: Tensor
    mask: Tensor


def later_reactors(tasks: Tasks, draw: Draw, expected: np.ndarray | None = None) -> Audience:
    """The query of each task: those who reacted later. Worth is their rating, or its noise-free `expected`."""
    query = gather(tasks, draw).query
    rows = tasks.rows[draw.query.clamp(min=0)]
    worth = query.targets if expected is None else torch.from_numpy(expected)[rows]
    return Audience(query.inputs, worth, query.mask)


def customers(tasks: Tasks, draw: Draw, users: Tensor, worth: Tensor) -> Audience:
    """The same users, places [n], for every task of the draw, less those of its largest support.

    worth: [n_subjects, n], what every one of them thinks of every item: only the inventor of a shop knows.
    """
    items = tasks.subjects[draw.tasks]
    everybody = users.expand(len(items), -1)
    inputs = torch.stack([items[:, None].expand_as(everybody), everybody], dim=-1)
    had = gather(tasks, draw).support.inputs[..., 1]
    return Audience(inputs, worth[items], ~(everybody[:, :, None] == had[:, None]).any(-1))


def true_ratings(shop: Shop, tasks: Tasks, users: Tensor) -> Tensor:
    """Of a simulated shop: E[rating] of every item by the users at these places, float64 [n_subjects, n_users].

    The mean over the scenes, as they are mixed in the log. Raises InputError for a shop that was not simulated.
    """
    if shop.truth is None:
        raise InputError(f"{shop.name}: nobody knows what people think who never said so")
    item = pd.Index(shop.items["item"]).get_indexer(tasks.subject_ids)
    user = pd.Index(shop.users["user"]).get_indexer(tasks.object_ids[users.numpy()])
    shares = shop.interactions["scene"].value_counts(normalize=True)
    parts = (
        shares.get(name, 0.0) * shop.truth.expected_rating(user[None], item[:, None], np.array(s))
        for s, name in enumerate(SCENE_NAMES)
    )
    return torch.from_numpy(sum(parts))


def value_of_shown(scores: Tensor, audience: Audience, n_shown: int) -> Tensor:
    """Mean worth of the `n_shown` of highest score, [n_tasks]; in expectation over the orders of equal scores.

    Raises ValueError where an audience is smaller than `n_shown`.
    """
    if int(audience.mask.sum(1).min()) < n_shown:
        raise ValueError(f"an audience of fewer than {n_shown} people has no {n_shown} to be shown")
    scores = scores.double().masked_fill(~audience.mask, -torch.inf)
    last = scores.topk(n_shown, dim=1).values[:, -1:]
    above, tied = (scores > last).double(), (scores == last).double()
    share = (n_shown - above.sum(1, keepdim=True)) / tied.sum(1, keepdim=True)
    return ((above + share * tied) * audience.worth.double()).sum(1) / n_shown


def judge_shown(
    learners: Mapping[str, object],
    tasks: Tasks,
    n_shots: Sequence[int],
    audience_of: Callable[[Draw], Audience],
    n_shown: int = 10,
    least: int = 20,
    support: str = "random",
    partition: str = "item-cold",
    seed: int = 0,
) -> pd.DataFrame:
    """Records (as `evaluate`'s, metric "value") of what the shown people are worth, for every learner and K.

    audience_of: gives the audience of the draw with the largest support, the same for every K. Only tasks with at
    least `least` reactions beyond that are judged, those that `evaluate` judges with the same seed and
    min_query = least. Rulers: `random` shows the phone to anybody, `oracle` to those of highest worth.
    """
    full = draw_shots(
        tasks,
        max(n_shots),
        int(tasks.sizes.max()),
        torch.Generator().manual_seed(seed),
        support,
        min_query=least,
    )
    first, audience, frames = gather(tasks, full).support, audience_of(full), []
    ids = tasks.subject_ids[tasks.subjects[full.tasks].numpy()]
    for k in n_shots:
        known = type(first)(*(side[:, :k] for side in first))
        scores = {"random": torch.zeros_like(audience.worth), "oracle": audience.worth}
        scores |= {name: x.predict(known, audience.inputs) for name, x in learners.items()}
        for name, own in scores.items():
            values = {METRIC: value_of_shown(own, audience, n_shown)}
            frames.append(records_of(name, partition, int(k), seed, ids, values))
    return pd.concat(frames, ignore_index=True)


def unmoved(records: pd.DataFrame, learner: str, name: str) -> pd.DataFrame:
    """The records, and besides a learner `name` that at every K says what `learner` says at K = 0.

    What `learner` gains on it, paired, is what the reactions added. Raises ValueError for records without K = 0.
    """
    still = records[(records["learner"] == learner) & (records["n_shots"] == 0)]
    if still.empty:
        raise ValueError(f"no records of {learner} at K = 0")
    shots = records["n_shots"].unique()
    return pd.concat(
        [records, *(still.assign(learner=name, n_shots=k) for k in shots)], ignore_index=True
    )
