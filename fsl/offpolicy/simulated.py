"""Worlds in which the judged policy's value is known, and how often intervals hold it. All of it is simulated."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from fsl.offpolicy.evaluation import ESTIMATORS, evaluate_policy
from fsl.offpolicy.intervals import lots
from fsl.offpolicy.log import Log

RESAMPLES = 500


@dataclass(frozen=True, eq=False)
class World:
    """shares: [n_contexts] of each context. rewards, logging, target: [n_contexts, n_actions], chances all of them."""

    shares: np.ndarray
    rewards: np.ndarray
    logging: np.ndarray
    target: np.ndarray

    @property
    def value(self) -> float:
        """The target's: Σ_x p(x) Σ_a π(a|x) r(x, a)."""
        return float((self.shares[:, None] * self.target * self.rewards).sum())

    @property
    def bound(self) -> float:
        """The largest weight there can be: max π(a|x) / μ(a|x)."""
        return float((self.target / self.logging).max())

    def log(self, n: int, rng: np.random.Generator) -> Log:
        """n rounds of the logging policy."""
        contexts = rng.choice(len(self.shares), n, p=self.shares)
        ladders = self.logging.cumsum(1)[contexts]
        actions = (rng.random(n)[:, None] > ladders[:, :-1]).sum(1)
        rewards = (rng.random(n) < self.rewards[contexts, actions]).astype(float)
        chances = self.logging[contexts, actions]
        return Log(contexts, actions, rewards, chances, self.logging.shape[1])


def make_world(
    rate: float, overlap: float, rng: np.random.Generator, n_contexts: int = 4, n_actions: int = 8
) -> World:
    """rate: mean reward. overlap: 1 logs what the target likes, 0 logs without regard to it, below 0 avoids it.

    Rewards go with exp(taste), the target with exp(1.5 taste), the logging policy with exp(1.5 overlap taste + noise).
    """
    taste = rng.normal(scale=0.7, size=(n_contexts, n_actions))
    rewards = np.clip(rate * np.exp(taste) / np.exp(taste).mean(), 0, 0.95)
    noise = 0.3 * rng.normal(size=taste.shape)
    shares = rng.dirichlet(np.full(n_contexts, 5.0))
    return World(shares, rewards, _softmax(1.5 * overlap * taste + noise), _softmax(1.5 * taste))


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def coverage(world: World, n: int, n_logs: int, rng: np.random.Generator) -> pd.DataFrame:
    """`n_logs` logs of n rounds each, judged: a line per estimator of how often its intervals hold the true value.

    The reward model knows no context: it is wrong on purpose. Columns: estimator, n, bias (of the mean estimate),
    error (standard deviation), boot, boot_low, boot_high (share held by the bootstrap's 95 % interval, with its exact
    interval), boot_width, the same for eb, warned (share of logs with too little to say), effective (mean).
    """
    resamples, found, warned, effective = lots(n, RESAMPLES, rng), [], [], []
    for _ in range(n_logs):
        log, groups = world.log(n, rng), np.zeros(n, int)
        judged = evaluate_policy(log, world.target, world.bound, rng, groups, resamples=resamples)
        found.append(judged.table.drop(columns="estimator").to_numpy())
        warned.append(bool(judged.warning))
        effective.append(judged.effective)
    told = {"warned": np.mean(warned), "effective": np.mean(effective)}
    every = np.array(found)  # [n_logs, n_estimators, 5]
    lines = [_held(every[:, i], world.value) for i in range(len(ESTIMATORS))]
    about = [{"estimator": name, "n": n} for name in ESTIMATORS]
    return pd.DataFrame([a | line | told for a, line in zip(about, lines, strict=True)])


def _held(lines: np.ndarray, truth: float) -> dict:
    value, low, high, eb_low, eb_high = lines.T
    return {
        "bias": value.mean() - truth, "error": value.std(),
        **_share("boot", low, high, truth), **_share("eb", eb_low, eb_high, truth),
    }  # fmt: skip


def _share(name: str, low: np.ndarray, high: np.ndarray, truth: float) -> dict:
    if np.isnan(low).all():
        return {f"{name}{end}": np.nan for end in ("", "_low", "_high", "_width")}
    k, n = int(((low <= truth) & (truth <= high)).sum()), len(low)
    ends = binomtest(k, n).proportion_ci(method="exact")
    ends = {f"{name}_low": ends.low, f"{name}_high": ends.high}
    return {name: k / n, **ends, f"{name}_width": np.mean(high - low)}
