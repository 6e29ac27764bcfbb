"""The figures of an A/B test. Functions take tables and an Axes, and return the Axes. Know no file."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fsl.abtest.planning import Plan, power_of
from fsl.abtest.repeated import Looks, shares
from fsl.abtest.words import number, per_cent, verdict
from fsl.plots import COLOURS, curves, headed, message, plain

KINDS = {  # which interval: columns, colour, marker
    "usual": ("plain_low", "plain_high", "grey", "s"),
    "adjusted by the past": ("low", "high", "blue", "o"),
    "always valid": ("always_low", "always_high", "orange", "D"),
}


def alarms(looks: Looks, ax: Axes) -> Axes:
    """False alarms of A/A tests up to each day: looked at daily by the usual and by the always-valid interval."""
    lines = {
        "usual interval, looked at daily": shares(looks.ever("half")),
        "usual interval, one look, that day": shares(looks.alarms("half")),
        "always-valid interval, looked at daily": shares(looks.ever("always")),
    }
    seen = {name: table.assign(**_hundred(table)) for name, table in lines.items()}
    curves(seen, ax, "day of the test", "A/A tests with a false alarm, %")
    ax.axhline(5, color=COLOURS["black"], lw=1.2, ls="--", zorder=0, label="5 %, as promised")
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper left")
    return ax


def _hundred(table: pd.DataFrame) -> dict:
    return {column: 100 * table[column] for column in ("value", "low", "high")}


def differences(table: pd.DataFrame, ax: Axes) -> Axes:
    """Each metric's difference as per cent of the control's mean, three intervals each; `Readout.metrics`' table.

    A metric whose control's mean is not above 0 stands at its own size, divided by tau, and says so.
    """
    names = []
    for y, line in enumerate(table.itertuples()):
        positive = line.control > 0
        unit = line.control / 100 if positive else line.tau
        for i, (kind, about) in enumerate(KINDS.items()):
            if kind.startswith("adjusted") and not np.isfinite(line.rho):
                continue
            _bar(ax, line, y + 0.22 * (i - 1), unit, kind, about)
        names.append(plain(line.metric) + ("" if positive else "\n(in planned effects)"))
    ax.axvline(0, color=COLOURS["black"], lw=1, ls="--", zorder=0)
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel="difference, % of the control's mean")
    ax.grid(axis="y", visible=False)
    _legend_once(ax)
    return ax


def _bar(ax: Axes, line, y: float, unit: float, kind: str, about: tuple) -> None:
    low, high, colour, marker = about
    ends = [getattr(line, low) / unit, getattr(line, high) / unit]
    if not np.isfinite(ends).all():
        return
    ax.plot(ends, [y, y], color=COLOURS[colour], lw=2.5)
    ax.plot(np.mean(ends), y, marker, color=COLOURS[colour], ms=6, label=kind)


def _legend_once(ax: Axes) -> None:
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if not handles:
        return
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 3, "fontsize": 9}
    ax.legend(handles.values(), handles, **below)


def by_day(looks: pd.DataFrame, ax: Axes, label: str) -> Axes:
    """One metric's difference over all users so far, day by day, in the usual and the always-valid interval."""
    day = looks["day"] + 1
    bands = {"always valid": ("always_low", "always_high", "orange", 0.2)}
    bands |= {"usual, for one look": ("low", "high", "blue", 0.3)}
    for name, (low, high, colour, alpha) in bands.items():
        style = {"color": COLOURS[colour], "alpha": alpha, "lw": 0, "label": name}
        ax.fill_between(day, looks[low], looks[high], **style)
    ax.plot(day, looks["value"], color=COLOURS["black"], lw=1.8, marker="o", ms=3.5)
    ax.axhline(0, color=COLOURS["black"], lw=1, ls="--", zorder=0)
    ax.set(xlabel="day of the test", ylabel=label)
    ax.legend(fontsize=9)
    return ax


def segments(table: pd.DataFrame, ax: Axes, label: str) -> Axes:
    """One metric's difference in each segment, with its interval and the number of users."""
    for y, line in enumerate(table.itertuples()):
        ax.plot([line.low, line.high], [y, y], color=COLOURS["green"], lw=2.5)
        ax.plot(line.value, y, "^", color=COLOURS["green"], ms=7)
    ax.axvline(0, color=COLOURS["black"], lw=1, ls="--", zorder=0)
    names = [f"{plain(x.segment)}\n{x.n:,} users" for x in table.itertuples()]
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel=label)
    ax.grid(axis="y", visible=False)
    return ax


def power_curve(plan: Plan, ax: Axes, simulated: bool = False) -> Axes:
    """Power against users, with and without the past, and where the plan stands."""
    most = 2.2 * plan.n
    users = np.linspace(most / 100, most, 100)
    about = (plan.effect, plan.sd, plan.alpha, plan.share)
    planned, without = power_of(users, *about, plan.rho), power_of(users, *about)
    ax.plot(users, 100 * planned, color=COLOURS["blue"], lw=2, label="as planned")
    if plan.rho:
        style = {"color": COLOURS["grey"], "lw": 2, "ls": "--", "label": "without the past"}
        ax.plot(users, 100 * without, **style)
    ax.plot(plan.n, 100 * plan.power, "o", color=COLOURS["orange"], ms=8, label=f"{plan.n:,} users")
    ax.set(xlabel="users in both arms", ylabel="tests that see the effect, %", ylim=(0, 102))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.legend(loc="lower right")
    said = f"{plan.n:,} users see a change of {number(plan.effect, '+')} in {per_cent(plan.power)} of tests"
    return message(ax, said, simulated)


def readout(found, figure: Figure, simulated: bool = False) -> Figure:
    """All of a `Readout`: differences; the first metric by day and by segment where the table has them."""
    first = found.metrics["metric"].iloc[0]
    days, parts = (t[t["metric"] == first] if len(t) else t for t in (found.looks, found.segments))
    panels = 1 + bool(len(days)) + bool(len(parts))
    figure.set_size_inches(5.2 * panels + 1, 4 + 0.3 * max(0, len(found.metrics) - 3))
    axes = list(np.atleast_1d(figure.subplots(1, panels)))
    differences(found.metrics, axes.pop(0))
    label = f"{plain(first)}, treatment minus control"
    if len(days):
        by_day(days, axes.pop(0), label)
    if len(parts):
        segments(parts, axes.pop(0), label)
    said = verdict(found).removeprefix("Verdict: ").rstrip(".")
    headed(figure, said[0].upper() + said[1:], simulated, 48 * panels + 10)
    return figure
