"""A test read: each metric's difference, adjusted by its past, for many metrics, by scene and safe to look at early.

Knows a `Trial` and numbers; reads no file and draws no figure.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fsl.abtest.checks import SampleRatio, heterogeneity, sample_ratio
from fsl.abtest.cuped import adjusted
from fsl.abtest.means import Difference, difference, moments, welch
from fsl.abtest.sequential import FEWEST, always_valid
from fsl.abtest.trial import Trial
from fsl.compare import holm

SMALL_EFFECT = 0.1  # tau in standard deviations of the metric where no effect was planned


@dataclass(frozen=True, eq=False)
class Readout:
    """What a test says. Differences are treatment minus control, in each metric's unit.

    metrics: one line per metric: metric, control, value, low, high, p, p_holm, lift, lift_low, lift_high, plain_low,
    plain_high (without the past), rho, factor (of the variance), always_low, always_high (infinite below `FEWEST` users
    in an arm), tau. segments: metric,
    segment, n, value, low, high, p, p_holm, differ (p that segments differ at all). looks: metric, day, n, value, low,
    high, always_low, always_high, of all users up to each day. p_holm of `metrics` is over metrics, that of `segments`
    over all its lines.
    """

    trial: Trial
    ratio: SampleRatio
    alpha: float
    metrics: pd.DataFrame
    segments: pd.DataFrame
    looks: pd.DataFrame

    def __str__(self) -> str:
        from fsl.abtest.words import in_words

        return in_words(self)


def read(
    trial: Trial, alpha: float = 0.05, share: float = 0.5, effect: dict[str, float] | None = None
) -> Readout:
    """Read a `Trial`. share: the treatment's planned share of users. effect: metric -> the size planned for.

    A metric that has a past is adjusted by it (CUPED) always, whatever comes out. tau of the always-valid intervals
    is the planned effect, or a tenth of the metric's standard deviation.
    """
    n_treated = int(trial.treated.sum())
    ratio = sample_ratio(len(trial.treated) - n_treated, n_treated, share)
    lines, segments, looks = [], [], []
    for name, raw in trial.metrics.items():
        past = adjusted(raw, trial.before[name]) if name in trial.before else None
        values = raw if past is None else past.values
        tau = abs((effect or {}).get(name, 0.0)) or SMALL_EFFECT * float(raw.std()) or 1.0
        lines.append(_line(trial, name, raw, values, past, tau, alpha))
        segments += _segments(trial, name, values, alpha)
        looks += _looks(trial, name, values, tau, alpha)
    return Readout(trial, ratio, alpha, _held(lines), _held(segments), pd.DataFrame(looks))


def _held(lines: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(lines)
    return table.assign(p_holm=holm(table["p"].to_numpy())) if lines else table


def _line(trial: Trial, name: str, raw, values, past, tau: float, alpha: float) -> dict:
    plain = difference(*trial.arms(raw), alpha)
    ours = plain if past is None else difference(*trial.arms(values), alpha)
    always = always_valid(ours.value, ours.error, tau, alpha)
    if min(ours.control.n, ours.treatment.n) < FEWEST:
        always = -np.inf, np.inf
    told = {"rho": past.rho, "factor": past.factor} if past else {"rho": np.nan, "factor": 1.0}
    return {
        "metric": name, "control": float(plain.control.mean), **_ends(ours),
        "lift": ours.lift, "lift_low": ours.lift_low, "lift_high": ours.lift_high,
        "plain_low": plain.low, "plain_high": plain.high, **told,
        "always_low": float(always[0]), "always_high": float(always[1]), "tau": tau,
    }  # fmt: skip


def _ends(found: Difference) -> dict:
    return {"value": found.value, "low": found.low, "high": found.high, "p": found.p}


def _segments(trial: Trial, name: str, values: np.ndarray, alpha: float) -> list[dict]:
    """A line per segment that has 2 users or more in each arm."""
    if trial.segments is None:
        return []
    found = {}
    for segment in sorted(set(trial.segments)):
        arms = trial.arms(values, trial.segments == segment)
        if min(map(len, arms)) >= 2:
            found[segment] = difference(*arms, alpha)
    values_of, errors = np.array([(d.value, d.error) for d in found.values()]).reshape(-1, 2).T
    differ = heterogeneity(values_of, errors)
    about = {
        s: {"metric": name, "segment": s, "n": d.control.n + d.treatment.n}
        for s, d in found.items()
    }
    return [about[s] | _ends(d) | {"differ": differ} for s, d in found.items()]


def _looks(trial: Trial, name: str, values: np.ndarray, tau: float, alpha: float) -> list[dict]:
    """A line per day from the first on which both arms have FEWEST users, over all users so far."""
    lines = []
    for day in range(len(trial.day_names)):
        arms = trial.arms(values, trial.days <= day)
        if min(map(len, arms)) < FEWEST:
            continue
        found = welch(*map(moments, arms), alpha)
        low, high = always_valid(found.value, found.error, tau, alpha)
        line = {"metric": name, "day": day, "n": sum(map(len, arms)), **_ends(found)}
        lines.append(line | {"always_low": float(low), "always_high": float(high)})
    return lines
