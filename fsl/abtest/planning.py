"""How many users, for how many days, to see an effect of a size. Knows the normal distribution, no data."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from fsl.abtest.sequential import half_width
from fsl.errors import InputError

Spread = float | tuple[float, float]
MOST = 1e12  # users, or days


@dataclass(frozen=True)
class Plan:
    """A test that sees `effect` (metric's unit) with `power`: `n` users in both arms together, one look at the end.

    n_peeking: users by which an always-valid interval, looked at daily, sees it with that power or more. days,
    days_peeking: the same in days at `per_day` users, None where that is not known. share: the treatment's.
    rho: correlation with the metric of the pre-period, 0 without; it takes ρ² off the variance.
    """

    baseline: float
    effect: float
    sd: tuple[float, float]
    power: float
    alpha: float
    share: float
    rho: float
    n: int
    n_peeking: int
    per_day: float | None

    @property
    def days(self) -> int | None:
        """Days to n, rounded up."""
        return None if self.per_day is None else math.ceil(self.n / self.per_day)

    @property
    def days_peeking(self) -> int | None:
        """Days to n_peeking, rounded up."""
        return None if self.per_day is None else math.ceil(self.n_peeking / self.per_day)


def standard_error(n: float, sd: Spread, share: float = 0.5, rho: float = 0.0) -> float:
    """sqrt( (1 − ρ²) (s_c²/(n (1 − q)) + s_t²/(n q)) ): of the difference, n users in both arms, share q treated."""
    control, treatment = sd if isinstance(sd, tuple) else (sd, sd)
    variance = control**2 / (1 - share) + treatment**2 / share
    return np.sqrt((1 - rho**2) * variance / n)


def power_of(
    n: float, effect: float, sd: Spread, alpha: float = 0.05, share: float = 0.5, rho: float = 0.0
) -> float:
    """Φ(|δ|/s − z) + Φ(−|δ|/s − z), z = z_{1−α/2}: the chance that the interval leaves 0 out."""
    z, shift = norm.ppf(1 - alpha / 2), abs(effect) / standard_error(n, sd, share, rho)
    return norm.cdf(shift - z) + norm.cdf(-shift - z)


def sample_size(
    effect: float, sd: Spread, power: float = 0.8, alpha: float = 0.05, share: float = 0.5,
    rho: float = 0.0,
) -> int:  # fmt: skip
    """n = (z_{1−α/2} + z_power)² (1 − ρ²) (s_c²/(1 − q) + s_t²/q) / δ², rounded up: users in both arms together.

    The chance of a significant difference of the wrong sign is left out, as usual; at 80 % power it is 1e-6.
    """
    wanted = norm.ppf(1 - alpha / 2) + norm.ppf(power)
    per_effect = wanted * standard_error(1, sd, share, rho) / abs(effect)
    if per_effect > MOST**0.5:
        raise InputError(f"an effect of {effect:g} would take more than {MOST:.0e} users to see.")
    return math.ceil(per_effect**2)


def sample_size_peeking(
    effect: float, sd: Spread, power: float = 0.8, alpha: float = 0.05, share: float = 0.5,
    rho: float = 0.0,
) -> int:  # fmt: skip
    """n at which w + z_power · s = δ, w the always-valid half width with tau = δ: by then it is seen so often."""

    def short_of(log_n: float) -> float:
        error = standard_error(math.exp(log_n), sd, share, rho)
        return half_width(error, abs(effect), alpha) + norm.ppf(power) * error - abs(effect)

    start = math.log(sample_size(effect, sd, power, alpha, share, rho))
    return math.ceil(math.exp(brentq(short_of, start - 1, start + 5)))


def plan(
    baseline: float,
    effect: float | None = None,
    sd: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    share: float = 0.5,
    rho: float = 0.0,
    per_day: float | None = None,
    days: int | None = None,
) -> Plan:
    """The `Plan` for an effect; or, with `days` and `per_day` in its place, for the smallest effect these days can see.

    baseline: the control's mean; without `sd` it is a share between 0 and 1, and the arms' standard deviations follow
    from it. effect: absolute, in the metric's unit. Raises InputError with one sentence for what cannot be.
    """
    _check(baseline, effect, sd, power, alpha, share, rho, per_day, days)
    if effect is None:
        effect = _detectable(baseline, sd, power, alpha, share, rho, per_day * days)
    spread = _spreads(baseline, effect, sd)
    told = (effect, spread, power, alpha, share, rho)
    n = sample_size(*told) if days is None else math.floor(per_day * days)
    peeking = sample_size_peeking(*told)
    return Plan(baseline, effect, spread, power, alpha, share, rho, n, peeking, per_day)


def _spreads(baseline: float, effect: float, sd: float | None) -> tuple[float, float]:
    if sd is not None:
        return sd, sd
    after = baseline + effect
    if not 0 < after < 1:
        raise InputError(
            f"the effect: {baseline:g} and {effect:+g} make {after:g}, expected a share between 0 and 1."
        )
    return math.sqrt(baseline * (1 - baseline)), math.sqrt(after * (1 - after))


def _detectable(baseline, sd, power, alpha, share, rho, n) -> float:
    """The effect at which `sample_size` is n: solved, since a share's spread depends on the effect."""

    def short_of(effect: float) -> float:
        spread = _spreads(baseline, effect, sd)
        wanted = norm.ppf(1 - alpha / 2) + norm.ppf(power)
        return wanted * standard_error(n, spread, share, rho) - effect

    largest = 1 - baseline - 1e-9 if sd is None else 100 * sd
    if short_of(largest) > 0:
        raise InputError(f"{n:,.0f} users are too few to see any effect that is possible.")
    return float(brentq(short_of, 1e-12, largest))


def _check(baseline, effect, sd, power, alpha, share, rho, per_day, days) -> None:
    """Each option in one sentence."""
    wrong = [
        (sd is None and not 0 < baseline < 1, f"baseline {baseline:g}: expected a share between 0 and 1, or an sd"),
        (not math.isfinite(baseline), f"baseline {baseline:g}: expected a number"),
        (sd is not None and not 0 < sd < 1e100, f"sd {sd}: expected a number above 0, below 1e100"),
        (not (effect is None or 0 < abs(effect) < math.inf), f"effect {effect}: expected a number, not 0"),
        (effect is None and None in (days, per_day), "no effect: expected one, or days and users per day"),
        (None not in (effect, days), "effect and days: expected one of them, the other follows"),
        (not 0.5 <= power < 1, f"power {power:g}: expected a number from 0.5 to below 1"),
        (not 0 < alpha < 0.5, f"alpha {alpha:g}: expected a number above 0 and below 0.5"),
        (not 0 < share < 1, f"share {share:g}: expected a number above 0 and below 1"),
        (not -1 < rho < 1, f"rho {rho:g}: expected a number above -1 and below 1"),
        (per_day is not None and not per_day >= 1e-3, f"users per day {per_day}: expected .001 or more"),
        (per_day is not None and per_day >= MOST, f"users per day {per_day}: expected fewer than {MOST:.0e}"),
        (days is not None and days < 1, f"days {days}: expected a whole number, 1 or more"),
        (None not in (days, per_day) and days * per_day >= MOST,
         f"days {days}: expected fewer than {MOST:.0e} users in all"),
    ]  # fmt: skip
    if problems := [f"{said}." for is_wrong, said in wrong if is_wrong]:
        raise InputError(problems[0])
