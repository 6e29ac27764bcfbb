"""The sine-wave comparison: every way of adapting, trained on the same waves, judged wave by wave on the same new ones.

Knows sine waves, methods and records; knows no figure.
"""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.adapt import masked_mse
from fsl.episodes import Episode, Examples
from fsl.evaluation import COLUMNS
from fsl.learners.base import mask_of
from fsl.learners.closed_form import Gaussian
from fsl.learners.family import CLOSED_FORM, GRADIENT, sine_method
from fsl.learners.gradient import MAML
from fsl.learners.method import Method
from fsl.sinusoid import SineTasks
from fsl.training import EpisodicTrainer

DIVERGED = 25.0  # the largest y² of any wave: predicting 0 everywhere never has a larger error
STEPS = (0, 1, 5, 10)
FINE_TUNED = ("Reptile", "transfer")  # no inner step is part of what they minimise
# Squared error after 0, 1, 5, 10 steps and half its 95 % interval: another implementation of the paper's protocol.
INDEPENDENT_RUN = {0: (3.06, 0.23), 1: (0.392, 0.032), 5: (0.207, 0.036), 10: (0.133, 0.017)}


def train_all(
    trainer: EpisodicTrainer,
    names: Sequence[str] = (*GRADIENT, *CLOSED_FORM),
    inner_lr: float = 0.01,
    compile: bool = False,
    seed: int = 0,
) -> dict[str, Method]:
    """Name -> fitted method, all from the same draws of waves; ten points to adapt on, ten (validation: 50) to judge.

    MAML and its kin train through 1 step, as in the paper; `FINE_TUNED` have 10 in training (Reptile) and on
    validation, which gives the control its best chance. compile: of the methods that can be.
    """
    methods = {}
    for name in names:
        settings = {"n_steps": 10 if name in FINE_TUNED else 1} if name in GRADIENT else {}
        if compile and name in GRADIENT and name not in FINE_TUNED:
            settings["compile"] = True
        method = sine_method(name, trainer, seed, inner_lr, **settings)
        methods[name] = method.fit(SineTasks(), SineTasks(n_query=50))
    return methods


def predictions(method: Method, support: Examples, inputs: Tensor, n_steps: int) -> Tensor:
    """After `n_steps`; a closed form has none, so it is shown no support before (n_steps = 0) and all of it after."""
    if isinstance(method, MAML):
        return method.predict(support, inputs, n_steps=n_steps)
    known = mask_of(support) & (n_steps > 0)
    return method.predict(Examples(support.inputs, support.targets, known), inputs)


def wave_errors(method: Method, episode: Episode, n_steps: int) -> Tensor:
    """Squared error of each wave's query, [n_tasks]; more than `DIVERGED`, or not a number, counts as `DIVERGED`."""
    query = Examples(*episode.query)
    found = predictions(method, Examples(*episode.support), query.inputs, n_steps)
    errors = masked_mse(found, query.targets, mask_of(query))
    return errors.nan_to_num(nan=DIVERGED).clamp(max=DIVERGED)


def chosen_steps(method: Method, validation: Episode, steps: Sequence[int] = STEPS) -> int:
    """The number of steps with the least error on validation waves; a closed form has one solve."""
    if not isinstance(method, MAML):
        return 1
    return min(steps, key=lambda k: float(wave_errors(method, validation, k).mean()))


def wave_records(
    methods: Mapping[str, Method],
    test: Episode,
    validation: Episode,
    steps: Sequence[int] = STEPS,
    seed: int = 0,
) -> pd.DataFrame:
    """Per-wave records: partition is "k steps", or "chosen steps" (on validation waves, for each method apart).

    Columns as `evaluate`'s. Metrics: mse (see `wave_errors`), diverged (0 or 1), and in the chosen steps coverage: the
    share of query points in the 95 % band, of methods that have one. seed: what to write in that column.
    """
    frames, k = [], test.support.inputs.shape[1]
    for name, method in methods.items():
        errors = {f"{s} step{'s' * (s != 1)}": wave_errors(method, test, s) for s in steps}
        errors["chosen steps"] = wave_errors(method, test, chosen_steps(method, validation, steps))
        for partition, mse in errors.items():
            values = {"mse": mse, "diverged": mse >= DIVERGED}
            if partition == "chosen steps" and isinstance(method, Gaussian):
                values["coverage"] = coverage(method, test)
            frames += [_frame(name, partition, k, metric, v) for metric, v in values.items()]
    return pd.concat(frames, ignore_index=True).assign(seed=seed)


def _frame(name: str, partition: str, n_shots: int, metric: str, values: Tensor) -> pd.DataFrame:
    columns = {"learner": name, "partition": partition, "n_shots": n_shots, "seed": None}
    waves = [f"wave {i}" for i in range(len(values))]
    columns |= {"group": waves, "task": waves, "metric": metric}
    return pd.DataFrame(columns | {"value": values.double().numpy()}, columns=COLUMNS)


@torch.no_grad()
def coverage(method: Gaussian, episode: Episode, width: float = 1.96) -> Tensor:
    """Share of each wave's query points within mean ± width · standard deviation, [n_tasks]."""
    query = Examples(*episode.query)
    mean, variance = method.distribution(Examples(*episode.support), query.inputs)
    inside = (query.targets - mean).abs() <= width * variance.sqrt()
    return (inside & mask_of(query)).sum(1) / mask_of(query).sum(1)


def first_points(episode: Episode, k: int) -> Episode:
    """The same tasks with the first k rows of their support."""
    return Episode(
        Examples(*(x if x is None else x[:, :k] for x in episode.support)), episode.query
    )


def milliseconds(method: Method, episode: Episode, n_steps: int, repeats: int = 15) -> float:
    """Adapting to the first task alone and predicting its query: the median of `repeats`, after one for warmth."""
    support = Examples(*(x if x is None else x[:1] for x in episode.support))
    taken = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        predictions(method, support, episode.query.inputs[:1], n_steps)
        taken.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(taken[1:]))


def best_within(histories: Mapping[str, pd.DataFrame], seconds: float) -> pd.Series:
    """Least validation error that each method reached within so many seconds of training; without a look, left out."""
    reached = {name: h.loc[h["seconds"] <= seconds, "validation"] for name, h in histories.items()}
    return pd.Series({name: e.min() for name, e in reached.items() if len(e)}, dtype=float)
