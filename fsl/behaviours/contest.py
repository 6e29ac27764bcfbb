"""Who foretells best whether a new user takes a thing: everybody fitted, calibrated and judged on the same pairs.

Scores become probabilities by one rule for everyone: a logistic curve in the score and in log(1 + n_i), fitted for
each K on validation users, whose pairs are drawn as the test's are. Knows contenders by `scores`; knows no method.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fsl.behaviours.learners import TakeLogistic, TakeNet
from fsl.behaviours.pairs import SAMPLINGS, pair_episode, sampling_weights
from fsl.cold_start.catalogue import FRACTIONS, CatalogueCompetition, Clocked
from fsl.episodes import Episode, draw_shots
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
_FEWEST_PAIRS = 50  # to fit a curve on


@dataclass
class Odds:
    """P(taken) = σ(a + b · score + c · log(1 + n_i)), one curve for each K. popularity: n_i, [n_objects]."""

    popularity: Tensor
    curves: dict[int, tuple[np.ndarray, np.ndarray, LogisticRegression]] = field(
        default_factory=dict
    )

    def fit(self, k: int, scores: Tensor, episode: Episode) -> "Odds":
        """Fit the curve of K on an episode of validation users; scores: [n_tasks, n_query]."""
        mask, query = episode.query.mask, episode.query
        x = self._columns(scores, query.inputs)[mask.numpy()]
        y = query.targets[mask].numpy()
        if len(y) < _FEWEST_PAIRS:
            raise InputError(
                f"{len(y)} pairs of validation users are too few to fit probabilities on: "
                f"at least {_FEWEST_PAIRS} are needed"
            )
        mean, spread = x.mean(0), np.maximum(x.std(0), 1e-9)
        self.curves[k] = mean, spread, LogisticRegression(C=100.0).fit((x - mean) / spread, y)
        return self

    def probability(self, k: int, scores: Tensor, query_inputs: Tensor) -> Tensor:
        """[n_tasks, n_query] probabilities of K known things."""
        mean, spread, curve = self.curves[k]
        x = (self._columns(scores, query_inputs) - mean) / spread
        flat = curve.predict_proba(x.reshape(-1, x.shape[-1]))[:, 1]
        return torch.from_numpy(flat).view(scores.shape)

    def _columns(self, scores: Tensor, inputs: Tensor) -> np.ndarray:
        known = self.popularity.log1p()[inputs[..., 1]]
        return torch.stack([scores, known], -1).double().numpy()


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
        drawn = {
            (side, sampling): _episode(part, sampling, max_tasks, told)
            for side, part in (("validation", split.validation), ("test", split.test))
            for sampling in samplings
        }
        for sampling in samplings:
            episode, ids = drawn["test", sampling]
            frames += _rulers(episode, ids, shots, sampling, training_seed, n_negatives)
        for entry in entries:
            say(f"will they take it: {entry.name}")
            watch = Clocked(entry.make(training_seed)[0]).fit(split.train)
            if watch.problem:
                out[entry.name] = watch.problem
                continue
            curves = {
                sampling: _calibrated(watch, drawn["validation", sampling][0], shots, split.train)
                for sampling in samplings
            }
            watch.refresh(everyone)
            for sampling, odds in curves.items():
                odds.popularity = counts(everyone)
                asked_of = (watch, odds, *drawn["test", sampling], shots, sampling)
                frames += _judged(entry.name, training_seed, *asked_of)
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


def _episode(tasks: Tasks, sampling: str, max_tasks, told: Mapping) -> tuple[Episode, pd.Index]:
    """Users, their support and their pairs: the same for every learner and K; and the users' ids."""
    generator = torch.Generator().manual_seed(told["seed"])
    most, asked = told["most"], told["asked"]
    draw = draw_shots(tasks, most, asked, generator, told["by"], max_tasks)
    weights = sampling_weights(sampling, tasks)
    episode, kept = pair_episode(tasks, draw, told["n"], weights, generator)
    if not len(kept):
        raise InputError("no user takes anything new that could be asked about")
    return episode, tasks.subject_ids[tasks.subjects[draw.tasks[kept]].numpy()]


def _scores(watch: Clocked, episode: Episode, k: int) -> Tensor:
    support = type(episode.support)(*(side[:, :k].clone() for side in episode.support))
    with torch.no_grad():
        return watch.predict(support, episode.query.inputs)


def _calibrated(watch: Clocked, episode: Episode, shots: Sequence[int], train: Tasks) -> Odds:
    odds = Odds(counts(train))
    for k in shots:
        odds.fit(k, _scores(watch, episode, k), episode)
    return odds


def _judged(name: str, seed: int, watch, odds: Odds, episode: Episode, ids, shots, sampling: str):
    for k in shots:
        p = odds.probability(k, _scores(watch, episode, k), episode.query.inputs)
        yield _records(name, p, episode, ids, k, sampling, seed)


def _rulers(episode: Episode, ids, shots, sampling: str, seed: int, n_negatives: int):
    lots = torch.rand(episode.query.targets.shape, generator=torch.Generator().manual_seed(seed))
    constant = torch.full_like(lots, 1 / (1 + n_negatives))
    rulers = {"random": lots, "constant": constant, "oracle": episode.query.targets}
    for k in shots:
        for name, p in rulers.items():
            yield _records(name, p, episode, ids, k, sampling, seed)


def _records(name: str, p: Tensor, episode: Episode, ids, k: int, sampling: str, seed: int):
    judged = Judged(p, episode.query, (0.0, 1.0), None)
    values = {metric: measure(metric, judged) for metric in METRICS}
    return records_of(name, f"takes, others {sampling}", k, seed, ids, values)
