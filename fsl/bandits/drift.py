"""When the world changes mid-stream: tastes turn, or a new phone arrives. How many turns does each policy need?

A returning customer of the simulated shop, one phone per turn, phones may come again, nobody leaves. Simulated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.bandits.policies import UCB, Policy, Popular, Thompson
from fsl.bandits.priors import FlatPrior, MetaPrior
from fsl.bandits.rounds import Played, ShopRounds
from fsl.bandits.settings import Setting
from fsl.compare import N_BOOTSTRAP, Interval, mean_interval
from fsl.environment.draws import normals
from fsl.errors import InputError
from fsl.simulate import HIGHEST, LOWEST, SCENES

_NOISE = np.array([scene.noise for scene in SCENES.values()])
WINDOW = 5  # turns over which a regret is averaged
_FELT_NOW = 105  # what a random number is for


@dataclass(eq=False)
class Stream:
    """n customers for many turns; at turn `change_at` something changes. It is played as `Rounds` are.

    subjects, arms, numbers, groups, as `Rounds` have them. before, after: appeal of every arm to every customer, stars,
    [n, A]. new: bool [n, A], arms that open only with the change. noise: [n], stars. A customer's reaction is a rating,
    round(appeal + noise) clipped to 1…`highest`.
    """

    subjects: Tensor
    arms: Tensor
    numbers: np.ndarray
    groups: np.ndarray
    before: Tensor
    after: Tensor
    new: Tensor
    noise: np.ndarray
    change_at: int
    seed: int = 0
    highest: float = HIGHEST
    turn: int = 0

    def start(self) -> None:
        """Back to the first turn."""
        self.turn = 0

    def open(self) -> Tensor:
        """Every arm; before the change not the new ones. bool [n, A]."""
        return torch.ones_like(self.new) if self.turn >= self.change_at else ~self.new

    def appeal(self) -> Tensor:
        """Stars, [n, A], as they are in this turn; it is also what a clairvoyant goes by."""
        return self.after if self.turn >= self.change_at else self.before

    worth = appeal

    def play(self, places: Tensor) -> Played:
        """The signal is the rating, the reward the appeal without its noise."""
        appeal = self.appeal().gather(1, places[:, None])[:, 0]
        luck = normals(self.seed, _FELT_NOW, self.numbers, self.turn, places.numpy())
        felt = (appeal + torch.from_numpy(self.noise * luck)).round().clamp(LOWEST, self.highest)
        self.turn += 1
        return Played(felt, appeal, torch.ones(len(places), dtype=torch.bool))


def tastes_turn(rounds: ShopRounds, change_at: int = 30, seed: int = 0) -> Stream:
    """At `change_at` every customer wants what another of them wanted before: the next one in the list."""
    before = rounds.worth()
    return _stream(
        rounds,
        before,
        before.roll(1, 0),
        torch.zeros_like(before, dtype=torch.bool),
        change_at,
        seed,
    )


def phone_arrives(rounds: ShopRounds, new: Tensor, change_at: int = 30, seed: int = 0) -> Stream:
    """At `change_at` the phones `new` (bool [A]) come out: no prior may have seen a reaction to them."""
    appeal = rounds.worth()
    return _stream(rounds, appeal, appeal, new.expand_as(appeal), change_at, seed)


def _stream(rounds: ShopRounds, before, after, new, change_at, seed) -> Stream:
    rounds.start()
    scenes = rounds.visits.visitors.scenes
    named = (rounds.subjects, rounds.arms, rounds.numbers, rounds.groups)
    return Stream(*named, before, after, new, _NOISE[scenes], change_at, seed)


def movers(
    setting: Setting, rounds: ShopRounds, new: Tensor, kept: float = 0.95, seed: int = 0
) -> dict[str, Policy]:
    """Policies with and without forgetting, fitted on the setting's log without any reaction to the `new` arms [A]."""
    train = setting.train
    hidden = torch.zeros(len(train.object_ids), dtype=torch.bool)
    hidden[rounds.arms[0, new]] = True
    log = train.subset(torch.arange(len(train)), ~hidden[train.objects])
    meta = MetaPrior(setting.n_factors, n_fits=1, subject_shrinkage=10.0, seed=seed).fit(log)
    flat = FlatPrior().fit(log)
    found: dict[str, Policy] = {"best rated": Popular().fit(log)}
    for name, make in (("flat UCB", lambda k: UCB(flat, k, width=0.3)), ("meta UCB", lambda k: UCB(meta, k)),
                       ("meta Thompson", lambda k: Thompson(meta, k))):  # fmt: skip
        found |= {name: make(1.0), f"{name}, forgetting": make(kept)}
    found["meta UCB, forgetting, curious"] = UCB(meta, kept, width=2.0, curious=True)
    return found


def stream_regret(
    policy: Policy, stream: Stream, n_turns: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Per turn [n, n_turns]: the best open phone's appeal less the shown one's, stars; whether a new one was shown."""
    stream.start()
    policy.begin(stream, seed)
    regrets, news = [], []
    for _ in range(n_turns):
        is_open, appeal = stream.open(), stream.appeal()
        places = policy.choose(is_open)
        best = appeal.masked_fill(~is_open, -torch.inf).amax(1)
        regrets.append(best - appeal.gather(1, places[:, None])[:, 0])
        news.append(stream.new.gather(1, places[:, None])[:, 0])
        policy.learn(places, stream.play(places))
    return torch.stack(regrets, 1).numpy(), torch.stack(news, 1).numpy()


def turns_to_recover(
    regret: np.ndarray, change_at: int, window: int = WINDOW, slack: float = 0.1
) -> int:
    """Turns after the change until the mean regret of `window` turns is back within `slack` stars of that before.

    regret: mean over customers, [n_turns]; before: the `window` turns that end at the change. The turns that remain,
    n_turns − change_at − window + 1, if it never is.
    """
    level = regret[change_at - window : change_at].mean() + slack
    later = np.lib.stride_tricks.sliding_window_view(regret[change_at:], window).mean(1)
    back = np.flatnonzero(later <= level)
    return int(back[0]) if len(back) else len(later)


def recovery(
    regret: np.ndarray, change_at: int, seed: int = 0, times: int = N_BOOTSTRAP // 4
) -> Interval:
    """`turns_to_recover` of the mean over customers, 95 % interval by resampling them; regret: [n, n_turns]."""
    n = len(regret)
    lots = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=times) / n
    found = [turns_to_recover(curve, change_at) for curve in lots @ regret]
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(float(turns_to_recover(regret.mean(0), change_at)), float(low), float(high))


def first_shown(news: np.ndarray, change_at: int) -> np.ndarray:
    """Turns after its arrival until a new phone was first shown, [n]; those that remain for who was never shown one."""
    later = news[:, change_at:]
    return np.where(later.any(1), later.argmax(1), later.shape[1])


def drift_table(
    policies: Mapping[str, Policy], turning: Stream, arriving: Stream, n_turns: int, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """One row per policy: turns to recover when tastes turn, turns until the new phone is shown, regret late in both.

    The second value is each policy's mean regret per turn when tastes turn, [n_turns]. Of an arrival only customers
    count for whom a new phone is the best there is. Raises InputError where there are too few turns to see it.
    """
    for change in (turning.change_at, arriving.change_at):
        if not WINDOW <= change <= n_turns - WINDOW:
            said = f"a stream of {n_turns} turns that changes after {change}"
            raise InputError(f"{said}: expected {WINDOW} turns or more before and after.")
    best_is_new = arriving.new.gather(1, arriving.after.argmax(1, keepdim=True))[:, 0].numpy()
    rows, curves = {}, {}
    for name, policy in policies.items():
        turned, _ = stream_regret(policy, turning, n_turns, seed)
        _, news = stream_regret(policy, arriving, n_turns, seed)
        waits = first_shown(news, arriving.change_at)[best_is_new]
        curves[name] = turned.mean(0)
        rows[name] = {
            "turns until tastes are followed": recovery(turned, turning.change_at, seed),
            "turns until the new phone is shown": mean_of(waits, seed),
            "regret before": mean_of(
                turned[:, turning.change_at - 5 : turning.change_at].mean(1), seed
            ),
            "regret at the end": mean_of(turned[:, -5:].mean(1), seed),
        }
    return pd.DataFrame(rows).T, curves


def mean_of(values: np.ndarray, seed: int) -> Interval:
    """The mean with its 95 % interval, values [n] of one customer each."""
    return mean_interval(torch.from_numpy(np.asarray(values, dtype=float)), seed)
