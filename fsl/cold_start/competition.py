"""A cold-start competition: everyone is fitted on the same training tasks and judged on the same test tasks.

Knows partitions, learners by their interface, and the evaluator; knows no method, and no verdict.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch

from fsl.cold_start.partitions import Partition
from fsl.episodes import draw_shots, gather
from fsl.errors import InputError
from fsl.evaluation import ALL, METRICS, evaluate, feasible
from fsl.feasibility import least_behaviours
from fsl.tasks import join

_TIMED_TASKS = 32


@dataclass(frozen=True)
class Entry:
    """A learner in a competition. make: seed -> an unfitted learner. is_meta: it learns from tasks how to learn.

    n_settings: how many settings it chooses among on validation tasks. is_seeded: its training has chance in it; one
    without is fitted once, with the first training seed, and judged on the draws of them all.
    """

    name: str
    make: Callable[[int], object]
    is_meta: bool = False
    n_settings: int = 1
    is_seeded: bool = True

    def __str__(self) -> str:
        return self.name


@dataclass
class Competition:
    """What came out. records: `evaluate`'s. costs: a line per learner, partition and fold: seconds to fit, microseconds
    to adapt to one task and predict ten rows, at the median. The records are the same for the same seed; costs are not.
    """

    records: pd.DataFrame
    costs: pd.DataFrame
    n_settings: Mapping[str, int] = field(default_factory=dict)
    meta: Sequence[str] = ()
    simple: Sequence[str] = ()

    def cost(self) -> pd.DataFrame:
        """Median fit seconds and adapt microseconds by learner."""
        return self.costs.groupby("learner", sort=False)[["fit_s", "adapt_us"]].median()


def compete(
    partitions: Iterable[Partition],
    entries: Sequence[Entry],
    n_shots: Sequence[int] = (0, 1, 3, 5, 10),
    n_query: int = 10,
    seeds: Sequence[int] = (0,),
    n_draws: int = 1,
    max_tasks: int | None = None,
    metrics: Sequence[str] = METRICS,
    with_warm: bool = True,
    expected=None,
    say: Callable[[str], None] = lambda line: None,
) -> Competition:
    """Fit and judge every entry on every partition (folds of one partition bear the same name), for every seed.

    seeds: of training; each is also the seed of its first draw, `n_draws` draws follow one another. with_warm: judge
    with everything else that a task did as support, too. say: told what is being fitted.
    A learner that cannot serve a partition (it raises InputError) stays out of it, and is said.
    """
    frames, costs = [], []
    for part in partitions:
        shots, asked, least = sizes(part, n_shots, n_query)
        fitted = {}
        for seed in seeds:
            fitted = {
                e.name: fitted[e.name] for e in entries if e.name in fitted and not e.is_seeded
            }
            for entry in entries:
                if entry.name in fitted or not (entry.is_seeded or seed == seeds[0]):
                    continue
                say(f"{part.name}, seed {seed}: {entry.name}")
                learner, seconds = _fitted(entry, part, seed, say)
                if learner is not None:
                    fitted[entry.name] = learner
                    costs.append(
                        {
                            "learner": entry.name,
                            "partition": part.name,
                            "fit_s": seconds,
                            "adapt_us": _microseconds(learner, part, shots),
                        }
                    )
            warm = [ALL] if with_warm and part.may_ask is None and part.order == "random" else []
            frames.append(
                evaluate(
                    fitted,
                    part.test,
                    [*shots, *warm],
                    asked,
                    [1000 * seed + draw for draw in range(n_draws)],
                    part.order,
                    part.name,
                    metrics,
                    least,
                    max_tasks,
                    expected,
                    part.may_ask,
                ).assign(seed=seed)
            )
    records = pd.concat(frames, ignore_index=True)
    return Competition(
        records,
        pd.DataFrame(costs),
        {entry.name: entry.n_settings for entry in entries},
        [entry.name for entry in entries if entry.is_meta],
        [entry.name for entry in entries if not entry.is_meta],
    )


def sizes(part: Partition, n_shots: Sequence[int], n_query: int) -> tuple[list[int], int, int]:
    """The shots and the query that half of the tasks can serve, and the least query that is judged."""
    if part.may_ask is not None:
        return list(n_shots), n_query, 1
    everyone = join(join(part.train, part.validation), part.test)
    some, asked = feasible(everyone, [k for k in n_shots if k > 0] or [0], n_query)
    least = least_behaviours(some, asked) - max(some)
    return [k for k in n_shots if k == 0 or k in some], asked, least


def _fitted(entry: Entry, part: Partition, seed: int, say) -> tuple[object | None, float]:
    begin = time.perf_counter()
    try:
        return entry.make(seed).fit(part.train, part.validation), time.perf_counter() - begin
    except InputError as error:
        say(f"{entry.name} stays out of {part.name}: {error}")
        return None, 0.0


def _microseconds(learner, part: Partition, shots: Sequence[int]) -> float:
    """The median time, over single tasks, to adapt to the largest support and predict ten rows."""
    k, test = max(shots), part.test
    draw = draw_shots(test, min(k, int(test.sizes.max()) - 1), 10, torch.Generator().manual_seed(0))
    episode = gather(test, draw)
    taken = []
    with torch.no_grad():
        for t in range(min(_TIMED_TASKS, len(draw.tasks))):
            support = type(episode.support)(*(side[t : t + 1] for side in episode.support))
            begin = time.perf_counter()
            learner.predict(support, episode.query.inputs[t : t + 1])
            taken.append(time.perf_counter() - begin)
    return 1e6 * sorted(taken)[len(taken) // 2]
