"""Training on episodes: one loop for all methods, to be stopped and taken up again. Knows no method and no data."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from fsl.checkpoints import Checkpoint, Progress, probe

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class EpisodicTrainer:
    """Adam on episodes: θ ← θ − η_i m̂ / (√v̂ + ε), the gradient clipped to norm `clip`.

    schedule: η_i is `lr`, or falls to 0 as lr (1 + cos(π i / n_iterations)) / 2. meta_batch: tasks per iteration.
    check_every: iterations between looks at `n_validation` fixed validation tasks (a sampler's own `checks(seed)`, if
    it has them); the weights with the least error there are kept, and `patience` looks in a row without a better one
    end the training (None: never). Without validation tasks the last weights are kept.
    seed: of the draws of tasks, of dropout and of the validation tasks.
    checkpoint: a folder for safetensors and JSON, written every `save_every` iterations and at the end; if it holds a
    run of the same settings, network, tasks and validation tasks, training goes on from there and ends at the same
    weights. One training at a time uses a folder. An interrupt (Ctrl-C) waits until the iteration at hand is done and
    saved; a second one does not wait. None or "": nothing is written.
    """

    n_iterations: int = 1_000
    meta_batch: int = 16
    lr: float = 1e-3
    schedule: str = "cosine"
    clip: float | None = 5.0
    weight_decay: float = 0.0
    check_every: int = 50
    n_validation: int = 100
    patience: int | None = None
    seed: int = 0
    checkpoint: str | Path | None = None
    save_every: int = 100
    progress: bool = False

    def __post_init__(self):
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {SCHEDULES}, got {self.schedule!r}")
        for name in ("n_iterations", "meta_batch", "check_every", "save_every", "n_validation"):
            _check_whole(name, getattr(self, name))
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.patience is not None:
            _check_whole("patience", self.patience)
            if self.patience < 1:
                raise ValueError(
                    f"patience must be at least 1, or None for never, got {self.patience}"
                )
        if not isinstance(self.lr, Real) or not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be a number above 0, got {self.lr}")
        if not isinstance(self.weight_decay, Real) or not 0 <= self.weight_decay < math.inf:
            raise ValueError(
                f"weight_decay must be a number of at least 0, got {self.weight_decay}"
            )
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be above 0, or None for never, got {self.clip}")

    def train(self, method: nn.Module, tasks, validation=None) -> pd.DataFrame:
        """Train `method` (a `Method`) in place, on episodes of the samplers `tasks` and `validation`.

        Returns a line per look: iteration, train (mean loss since the last look), validation (mean error, or NaN),
        lr, seconds. Raises InputError for a checkpoint of another run or a folder that cannot be used, ValueError for
        a loss that is not finite.
        """
        with torch.random.fork_rng(devices=[]):
            run = _Run(self, method, tasks, validation)
            with run.folder_held():
                run.begin()
                method.train()
                run.go_on()
        method.eval()
        return pd.DataFrame(
            run.state.history, columns=["iteration", "train", "validation", "lr", "seconds"]
        )

    def rate(self, iteration: int) -> float:
        """η of an iteration, counted from 0."""
        if self.schedule == "constant":
            return float(self.lr)
        return self.lr * (1 + math.cos(math.pi * iteration / self.n_iterations)) / 2


def _check_whole(name: str, value) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, got {value!r}")


class _Run:
    """One training: what changes while it goes on, and how it is saved."""

    def __init__(self, trainer: EpisodicTrainer, method: nn.Module, tasks, validation):
        self.trainer, self.method, self.tasks = trainer, method, tasks
        free = [p for p in method.parameters() if p.requires_grad]
        decay = trainer.weight_decay
        self.optimizer = torch.optim.Adam(free, lr=trainer.lr, weight_decay=decay)
        self.generator = torch.Generator().manual_seed(trainer.seed)
        self.checks = self._checks(validation)
        self.state, self.kept = Progress(), None
        self.saved, self.interrupted = None, False
        if trainer.checkpoint is not None and trainer.checkpoint != "":
            mark = probe(trainer, method, tasks, self.checks)
            self.saved = Checkpoint(Path(trainer.checkpoint), mark)

    def folder_held(self):
        return self.saved.held() if self.saved else nullcontext()

    def _checks(self, validation) -> list:
        if validation is None:
            return []
        if hasattr(validation, "checks"):
            return validation.checks(self.trainer.seed)
        generator = torch.Generator().manual_seed(self.trainer.seed)
        return [validation.sample(self.trainer.n_validation, generator)]

    def begin(self) -> None:
        """From the start, or from the checkpoint."""
        torch.manual_seed(self.trainer.seed)
        if self.saved:
            found = self.saved.load(self.trainer, self.method, self.optimizer, self.generator)
            if found is not None:
                self.state, self.kept = found
        self.began = time.perf_counter() - self.state.seconds

    def go_on(self) -> None:
        finished = self.state.done
        with self._interrupts_wait():
            self._iterate()
            if not finished:
                self.state.done = self._ended()
                self._save()
        if self.kept is not None:
            self.method.load_state_dict(self.kept)

    def _ended(self) -> bool:
        return self.state.done or self.state.iteration == self.trainer.n_iterations

    def _iterate(self) -> None:
        trainer, state = self.trainer, self.state
        bar = tqdm(
            total=trainer.n_iterations,
            initial=state.iteration,
            disable=not trainer.progress,
            leave=False,
        )
        with bar:
            while not self._ended() and not self.interrupted:
                state.losses.append(self._step(trainer.rate(state.iteration)))
                state.iteration += 1
                if (
                    state.iteration % trainer.check_every == 0
                    or state.iteration == trainer.n_iterations
                ):
                    self._look()
                if state.iteration % trainer.save_every == 0:
                    self._save()
                bar.update()

    @contextmanager
    def _interrupts_wait(self) -> Iterator[None]:
        """With a checkpoint, an interrupt comes when all is saved; a second one at once."""
        usual = signal.getsignal(signal.SIGINT)
        in_main = threading.current_thread() is threading.main_thread()
        if not (self.saved and in_main and callable(usual)):
            yield
            return

        def noted(*_) -> None:
            self.interrupted = True
            signal.signal(signal.SIGINT, usual)

        signal.signal(signal.SIGINT, noted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)
            if self.interrupted:
                signal.raise_signal(signal.SIGINT)

    def _step(self, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        drawn = self.method.draw(self.tasks, self.trainer.meta_batch, self.generator)
        loss = float(self.method.backward(drawn))
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} at iteration {self.state.iteration + 1}: smaller steps (inner_lr, lr) may help"
            )
        if self.trainer.clip is not None:
            nn.utils.clip_grad_norm_(self.method.parameters(), self.trainer.clip)
        self.optimizer.step()
        return loss

    def _look(self) -> None:
        """A line for the history; the best weights so far are kept."""
        state = self.state
        error = self._error()
        if self.checks and error < state.least:  # a NaN is never better
            state.least, state.looks_in_vain = error, 0
            self.kept = deepcopy(self.method.state_dict())
        else:
            state.looks_in_vain += 1
        patience = self.trainer.patience
        state.done = bool(self.checks) and patience is not None and state.looks_in_vain >= patience
        train = sum(state.losses) / len(state.losses)
        state.seconds, state.losses = time.perf_counter() - self.began, []
        rate = self.trainer.rate(state.iteration - 1)
        state.history.append([state.iteration, train, error, rate, state.seconds])

    def _error(self) -> float:
        self.method.eval()
        errors = [self.method.errors(episode).mean() for episode in self.checks]
        self.method.train()
        return float(torch.stack(errors).mean()) if errors else float("nan")

    def _save(self) -> None:
        if self.saved:
            self.state.seconds = time.perf_counter() - self.began
            self.saved.save(self.method, self.optimizer, self.generator, self.state, self.kept)
