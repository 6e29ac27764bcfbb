"""A test read, and a plan, as a paragraph of plain sentences. Knows the tables of `Readout` and `Plan`."""

import math

import numpy as np
import pandas as pd

from fsl.abtest.planning import Plan
from fsl.abtest.sequential import FEWEST
from fsl.headlines import rounded
from fsl.reading.sentences import inert

MANY = 6  # segments that are named in words


def number(x: float, sign: str = "") -> str:
    """Three significant digits, with a proper minus."""
    text = f"{x:{sign}.3g}" if abs(x) < 1_000 else f"{x:{sign},.0f}"
    return text.replace("-", "−")


def per_cent(x: float, sign: str = "") -> str:
    """A share as per cent, one decimal below ten."""
    text = f"{100 * x:{sign}.{0 if abs(x) >= 0.1 else 1}f}"
    return (text.removesuffix(".0") if x else "0").replace("-", "−") + " %"


def p_value(p: float) -> str:
    """ "p = .031", "p < .001"."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def with_ends(value: float, low: float, high: float) -> str:
    """ "+0.035 [+0.021, +0.049]": as many digits as the interval's width leaves meaning to."""
    value, low, high = rounded(value, low, high, "difference")
    return f"{value} [{low}, {high}]"


def in_words(readout) -> str:
    """What was compared, whether the split can be believed, each metric, the scenes, and what may be concluded."""
    trial, ratio = readout.trial, readout.ratio
    control, treatment = map(inert, trial.names)
    known = "" if control.casefold() == "control" else " (the control)"
    seen = f"{ratio.control:,} users saw {control}{known}, {ratio.treatment:,} {treatment}."
    told = [f"{seen} {_of_split(ratio)}"]
    told += [_of_metric(line, readout) for line in readout.metrics.itertuples()]
    told += [*_of_segments(readout.segments, readout.alpha), *_of_looks(readout)]
    told += [f"Note: {inert(note)}." for note in trial.notes]
    return "\n".join([*told, verdict(readout)])


def _of_split(ratio) -> str:
    planned = f"{per_cent(ratio.share)} treated were planned, {p_value(ratio.p)}"
    if ratio.suspicious:
        broken = f"The split is not as planned ({planned}): users were lost or counted in one arm"
        return f"{broken} only, and nothing below can be believed until that is mended."
    return f"The split is as planned ({planned})."


def _of_metric(line, readout) -> str:
    treatment = inert(readout.trial.names[1])
    text = f"{inert(line.metric)}: {treatment} minus {inert(readout.trial.names[0])} "
    if not math.isfinite(line.low):
        return f"{text}{_spread(line)}: nothing says how far chance reaches."
    text += f"{with_ends(line.value, line.low, line.high)}, {per_cent(1 - readout.alpha)} interval"
    if math.isfinite(line.lift_low) and math.isfinite(line.lift_high):
        lift = with_ends(100 * line.lift, 100 * line.lift_low, 100 * line.lift_high)
        text += f"; that is {lift} % of {number(line.control)}"
    text += f"; {p_value(line.p)}"
    if len(readout.metrics) > 1:
        text += f", after Holm for {len(readout.metrics)} metrics {p_value(line.p_holm)}"
    if math.isfinite(line.rho):
        past = f"correlation {number(line.rho)}, variance × {number(line.factor)}"
        text += f"; adjusted by its past ({past})"
    if not math.isfinite(line.always_low):
        return f"{text}. Not valid if you looked before the end: that wants {FEWEST} users in each arm."
    always = with_ends(line.value, line.always_low, line.always_high)
    return f"{text}. Valid also if you looked before the end: {always}."


def _of_segments(table: pd.DataFrame, alpha: float) -> list[str]:
    found = []
    for metric, lines in table.groupby("metric", sort=False) if len(table) else ():
        if not 2 <= len(lines) <= MANY:
            continue
        parts = [f"{inert(x.segment)} {_spread(x)}" for x in lines.itertuples()]
        p = lines["differ"].iloc[0]
        differ = "differ" if p < alpha else "cannot be told apart"
        said = f"; the segments {differ} ({p_value(p)})" if math.isfinite(p) else ""
        found.append(f"{inert(metric)} by segment: {', '.join(parts)}{said}.")
    return found


def _spread(line) -> str:
    """The difference with its interval, if there is one."""
    if math.isfinite(line.low):
        return with_ends(line.value, line.low, line.high)
    return f"{number(line.value, '+') if line.value else 0} (no two users of an arm differ)"


def _of_looks(readout) -> list[str]:
    """When the always-valid interval first left 0 out, per metric."""
    found, days = [], len(readout.trial.day_names)
    for metric, lines in readout.looks.groupby("metric", sort=False) if len(readout.looks) else ():
        out = lines[(lines["always_low"] > 0) | (lines["always_high"] < 0)]
        when = f"first left 0 out on day {int(out['day'].iloc[0]) + 1}" if len(out) else ""
        said = f"the always-valid interval {when or 'never left 0 out'}"
        found.append(f"{inert(metric)}, looked at daily for {days} days: {said}.")
    return found


def verdict(readout) -> str:
    """The last sentence: which metrics went up, which down, after Holm; or that nothing can be said."""
    if readout.ratio.suspicious:
        return "Verdict: none, mend the split first."
    sure = readout.metrics[readout.metrics["p_holm"] < readout.alpha]
    up = " and ".join(inert(name) for name in sure["metric"][sure["value"] > 0])
    down = " and ".join(inert(name) for name in sure["metric"][sure["value"] < 0])
    parts = [f"{up} went up"] * bool(up) + [f"{down} went down"] * bool(down)
    if parts:
        name = inert(readout.trial.names[1])
        return f"Verdict: with {name}, {', '.join(parts)}, if you looked once, at the planned end."
    first = readout.metrics.iloc[int(np.argmin(readout.metrics["p"]))]
    if not math.isfinite(first["low"]):
        return "Verdict: nothing can be said, since no two users of an arm differ."
    if first["p"] < readout.alpha:
        alone = f"{inert(first['metric'])} by itself would have one ({p_value(first['p'])})"
        among = f"among {len(readout.metrics)} metrics it has not ({p_value(first['p_holm'])})"
        return f"Verdict: no difference is established; {alone}, {among}."
    _, low, high = rounded(first["value"], first["low"], first["high"], "difference")
    left = f"for {inert(first['metric'])} anything from {low} to {high} remains possible"
    return f"Verdict: no difference is established; {left}."


def plan_in_words(found: Plan) -> str:
    """A plan as a paragraph: users, days, what the past saves, what peeking costs."""
    arms = f"{per_cent(1 - found.share)} control, {per_cent(found.share)} treatment"
    text = f"To see a change of {number(found.effect, '+')} from {number(found.baseline)} "
    text += f"({per_cent(found.effect / found.baseline, '+')}) " if found.baseline > 0 else ""
    text += f"with {per_cent(found.power)} power at the {per_cent(found.alpha)} level, "
    text += f"you need {found.n:,} users in all ({arms}){_of_days(found.days)}, "
    text += "and to look once, at the end."
    if found.rho:
        saved = per_cent(found.rho**2)
        text += f" The past (correlation {number(found.rho)}) saves {saved} of the users."
    text += " If you want to look every day, use always-valid intervals and plan for up to "
    text += (
        f"{found.n_peeking:,} users{_of_days(found.days_peeking)}; a larger effect ends it sooner."
    )
    return text


def _of_days(days: int | None) -> str:
    if days is None:
        return ""
    weeks = math.ceil(days / 7)
    whole = "" if days % 7 == 0 else f", better {7 * weeks} for whole weeks"
    return f": {days} day{'s' * (days != 1)}{whole}"
