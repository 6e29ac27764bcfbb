"""The verdict on new items of any shop with times: which of the things that have just come out will a user take next?

The protocol of `fsl.launches.study`, cut down to what a page has time for. Knows the study and its learners.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
import torch

from fsl.cold_start.competition import Competition
from fsl.data import Shop
from fsl.errors import InputError
from fsl.launches.histories import DAY
from fsl.launches.protocol import Launches, launches
from fsl.launches.study import before, judge_launches, timed_item_tasks
from fsl.learners.new_item_baselines import FoldInNewItems, NewItemNeighbours, Youngest
from fsl.learners.new_items import ItemPosterior
from fsl.tasks import Tasks, item_tasks, split_by_time, user_tasks

RESERVE = 5
FEWEST_ITEMS = 25
CONTENDERS: dict[str, Callable] = {
    "youngest first": Youngest,
    "neighbours, content and age": NewItemNeighbours,
    "fold-in and age": FoldInNewItems,
    "item posterior": ItemPosterior,
}
META = ("item posterior",)
_LONGEST = 213.0  # days of a period of pseudo-new items


def judge_new_items(
    shop: Shop,
    cut: float | None = None,
    n_shots: Sequence[int] = (0, 1, 3, 5),
    max_questions: int = 1500,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> Competition:
    """Fit everyone on what lies before `cut`, ask about the items first seen from then on.

    cut: Unix seconds; None: the moment from which on the last fifth of the users first appear.

    A question: this user at this moment; ranked are the new items whose first RESERVE users are known. Of more than
    `max_questions` a random lot is asked. Records' groups are the new items. Raises InputError, saying why, where there
    are no times, no content to begin with or fewer than FEWEST_ITEMS new items.
    """
    if "timestamp" not in shop.interactions:
        raise InputError(
            "new items are not judged: which item is new needs a column timestamp in interactions"
        )
    tasks = _timed(shop, seed)
    cut = cut_of(user_tasks(shop, implicit=True)) if cut is None else cut
    if not tasks.subject_features.shape[1]:
        raise InputError(
            "new items are not judged: nothing is known of them before their first user (a table items)"
        )
    found = _some(launches(tasks, cut, reserve=RESERVE), max_questions, seed)
    if (n := len(found.answers.unique())) < FEWEST_ITEMS:
        raise InputError(
            f"new items are not judged: {n} of them have more than {RESERVE} users after the cut, "
            f"at least {FEWEST_ITEMS} are needed"
        )
    past, learners, costs = before(tasks, cut), {}, []
    days = min(_LONGEST, (cut - float(tasks.times.min())) / DAY / 3)
    for name, make in CONTENDERS.items():
        say(f"new items: {name}")
        begin = time.process_time()
        learners[name] = make(days=days).fit(past)
        costs.append(
            {"learner": name, "partition": "new items", "fit_s": time.process_time() - begin}
        )
        learners[name].follow(tasks)
    shots = [k for k in n_shots if k <= RESERVE]
    records = judge_launches(learners, tasks, found, shots, seed=seed).assign(partition="new items")
    simple = [name for name in CONTENDERS if name not in META]
    costs = pd.DataFrame(costs).assign(adapt_us=float("nan"))
    return Competition(records, costs, dict.fromkeys(CONTENDERS, 1), list(META), simple)


def _timed(shop: Shop, seed: int) -> Tasks:
    """Item-tasks in whole seconds; where only days are known, in an order within days that `seed` draws."""
    tasks = item_tasks(shop, implicit=True)
    if bool((tasks.times % DAY == 0).all()):
        return timed_item_tasks(shop, seed)
    return replace(tasks, times=tasks.times.floor())


def _some(found: Launches, most: int, seed: int) -> Launches:
    """A random lot of the questions, in the order of their moments."""
    n = len(found.answers)
    if n <= most:
        return found
    lot = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:most].sort().values
    asked = {
        name: getattr(found, name)[lot]
        for name in found._fields
        if name not in ("items", "support")
    }
    return found._replace(**asked)


def cut_of(tasks: Tasks, share: float = 0.2) -> float:
    """The moment from which on the last `share` of the tasks' subjects first appear, Unix seconds."""
    return float(split_by_time(tasks, (1 - share - 0.1, 0.1, share)).test.times.min())
