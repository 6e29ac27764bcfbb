"""Who foretells best whether a new user takes a thing: everybody fitted, calibrated and judged on the same pairs.

Scores become probabilities by one rule for everyone: a logistic curve in the score and in log(1 + n_i), fitted for
each K on validation users, whose pairs are drawn as the test's are. Knows contenders by `scores`; knows no method.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.behaviours.learners import TakeLogistic, TakeNet
from fsl.behaviours.odds import Odds
from fsl.behaviours.pairs import SAMPLINGS, pair_episode, sampling_weights
from fsl.cold_start.catalogue import FRACTIONS, CatalogueCompetition
from fsl.cold_start.clocked import Clocked
from fsl.episodes import Episode, Examples, draw_shots
from fsl.errors import InputError
from fsl.evaluation import feasible, records_of
from fsl.learners.catalogue import counts
from fsl.measures import GAPS, Judged, measure
from fsl.ranking.roster import Contender, contenders, is_timed, training_of
from fsl.tasks import Split, Tasks, join, split_by_time, split_tasks

METRICS = ("auc", "ap", "logloss", "mse", *GAPS)
N_NEGATIVES = 4
MOST_ASKED = 5  # things taken that a user is asked about
SIMPLE = ("most popular", "most popular recently", "content neighbours", "item kNN", "ALS")
_SHORT = ("most popular", "most popular recently", "item kNN")
MOST_CALIBRATED = 300  # validation users that curves are fitted on


def take_contenders(
    tasks: Tasks,
    roster: str = "all",
    effort: float = 1.0,
    shots: Sequence[int] = (1, 3, 5, 10),
    by: str = "auto",
) -> list[Contender]:
    """Simple ways, logistic regression, matrix factorisation folded in, and the set network; from cheap to costly.

    roster: "quick" has few of them. The others as in `contenders`.
    """
    kept = _SHORT if roster == "quick" else SIMPLE
    found = [one for one in contenders(tasks, shots=shots, by=by) if one.name in kept]
    found = [replace(one, name="MF fold-in") if one.name == "ALS" else one for one in found]
    training = training_of(is_timed(tasks, by), shots, effort)
    found.append(Contender("logistic regression", lambda s: [TakeLogistic(seed=s, **training)]))
    return [*found, Contender("set network", lambda s: [TakeNet(seed=s, **training)], True)]


def foretell(
    tasks: Tasks,
    entries: Sequence[Contender],
    n_shots: Sequence[int] = (0, 1, 3, 5, 10),
    by: str = "auto",
    seed: int = 0,
    fold: int = 0,
    seeds: Sequence[int] = (0,),
    max_tasks: int | None = 1000,
    samplings: Sequence[str] = SAMPLINGS,
    n_negatives: int = N_NEGATIVES,
    say: Callable[[str], None] = lambda line: None,
) -> CatalogueCompetition:
    """Records of auc, ap, logloss, mse (Brier) and the calibration gaps, for each sampling a partition of its own.

    tasks: implicit user-tasks of the whole shop. by: as in `rank_catalogue`. n_negatives: things never taken beside
    each thing taken; `samplings`: how they are drawn (`fsl.behaviours.pairs`); "as popular" goes by what the very users
    who are judged took, so that being popular says nothing. Up to MOST_ASKED things of each user, after the largest
    support.
    Everyone is fitted on training users, calibrated on validation users, fitted again on both and judged on test users.
    Rulers: `random` (uniform numbers), `constant` (1 / (1 + n_negatives)), `oracle` (what happened).
    """
    by = tasks.order if by == "auto" else by
    shots, asked = feasible(tasks, [k for k in n_shots if k > 0] or [1], MOST_ASKED)
    shots, most = [k for k in n_shots if k == 0 or k in shots], max(shots)
    split = _split(tasks, by, seed, fold)
    everyone = join(split.train, split.validation)
    frames, costs, out = [], [], {}
    for training_seed in seeds:
        told = dict(most=most, asked=asked, by=by, seed=training_seed, n=n_negatives)
        calm, test = (
            _asked(part, samplings, most_tasks, told)
            for part, most_tasks in ((split.validation, MOST_CALIBRATED), (split.test, max_tasks))
        )
        frames += _rulers(test, shots, training_seed, n_negatives)
        for entry in entries:
            say(f"will they take it: {entry.name}")
            watch = Clocked(entry.make(training_seed)[0]).fit(split.train)
            if watch.problem:
                out[entry.name] = watch.problem
                continue
            curves = _calibrated(watch, calm, shots, split.train)
            watch.refresh(everyone)
            frames += _judged(entry.name, training_seed, watch, curves, test, shots, everyone)
            costs.append({"learner": entry.name, "partition": "takes", "fit_s": watch.fit_s[0],
                          "adapt_us": np.nan})  # fmt: skip
    here = [entry for entry in entries if entry.name not in out]
    return CatalogueCompetition(
        pd.concat(frames, ignore_index=True),
        pd.DataFrame(costs),
        dict.fromkeys([entry.name for entry in here], 1),
        [entry.name for entry in here if entry.is_meta],
        [entry.name for entry in here if not entry.is_meta],
        left_out=out,
        n_shots=shots,
        order=by,
    )


def _split(tasks: Tasks, by: str, seed: int, fold: int) -> Split:
    if by == "temporal":
        return split_by_time(tasks, FRACTIONS)
    generator = torch.Generator().manual_seed(seed)
    return split_tasks(replace(tasks, times=None), generator, FRACTIONS, fold)


class _Asked(NamedTuple):
    """Users with their support, the pairs of every sampling by its name, and the users' ids: the same users in all."""

    support: Examples
    pairs: dict[str, Examples]
    ids: pd.Index

    def scores(self, watch: Clocked, k: int) -> dict[str, Tensor]:
        """What a learner makes of the pairs of each sampling, K things known: it is asked once for all of them."""
        support = Examples(*(side[:, :k].clone() for side in self.support))
        asked = torch.cat([query.inputs for query in self.pairs.values()], 1)
        with torch.no_grad():
            found = watch.predict(support, asked)
        widths = [query.inputs.shape[1] for query in self.pairs.values()]
        return dict(zip(self.pairs, found.split(widths, dim=1), strict=True))


def _asked(tasks: Tasks, samplings: Sequence[str], max_tasks, told: Mapping) -> _Asked:
    """The same users and supports for every learner, sampling and K. Raises InputError where nobody can be asked."""
    draw = draw_shots(tasks, told["most"], told["asked"], _generator(told), told["by"], max_tasks)
    made = {
        name: pair_episode(tasks, draw, told["n"], sampling_weights(name, tasks), _generator(told))
        for name in samplings
    }
    able = torch.ones(len(draw.tasks), dtype=torch.bool)
    for _, kept in made.values():
        able &= torch.zeros_like(able).index_fill_(0, kept, True)
    if not able.any():
        raise InputError("no user takes anything new that could be asked about")
    parts = {
        name: Episode(*(Examples(*(x[able[kept]] for x in side)) for side in episode))
        for name, (episode, kept) in made.items()
    }
    support = next(iter(parts.values())).support
    ids = tasks.subject_ids[tasks.subjects[draw.tasks[able]].numpy()]
    return _Asked(support, {name: part.query for name, part in parts.items()}, ids)


def _generator(told: Mapping) -> torch.Generator:
    return torch.Generator().manual_seed(told["seed"])


def _calibrated(watch: Clocked, calm: _Asked, shots, train: Tasks) -> dict[str, Odds]:
    """The curves of every sampling, fitted on validation users."""
    curves = {name: Odds(counts(train)) for name in calm.pairs}
    for k in shots:
        for name, scores in calm.scores(watch, k).items():
            curves[name].fit(k, scores, calm.pairs[name])
    return curves


def _judged(name: str, seed: int, watch, curves: Mapping[str, Odds], test: _Asked, shots, known):
    for odds in curves.values():
        odds.popularity = counts(known)
    for k in shots:
        for sampling, scores in test.scores(watch, k).items():
            query = test.pairs[sampling]
            p = curves[sampling].probability(k, scores, query.inputs)
            yield _records(name, p, query, test.ids, k, sampling, seed)


def _rulers(test: _Asked, shots, seed: int, n_negatives: int):
    for sampling, query in test.pairs.items():
        lots = torch.rand(query.targets.shape, generator=torch.Generator().manual_seed(seed))
        constant = torch.full_like(lots, 1 / (1 + n_negatives))
        for k in shots:
            for name, p in (("random", lots), ("constant", constant), ("oracle", query.targets)):
                yield _records(name, p, query, test.ids, k, sampling, seed)


def _records(name: str, p: Tensor, query: Examples, ids, k: int, sampling: str, seed: int):
    judged = Judged(p, query, (0.0, 1.0), None)
    values = {metric: measure(metric, judged) for metric in METRICS}
    return records_of(name, f"takes, others {sampling}", k, seed, ids, values)
