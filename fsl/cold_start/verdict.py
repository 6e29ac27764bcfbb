"""The verdict of a competition, computed and put in words: who wins at which K, how sure that is, and what to use.

Knows records and names; knows no learner and no table. The same records give the same words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fsl.compare import against, best, cheapest_as_good, lower_is_better, summarise
from fsl.errors import InputError
from fsl.evaluation import ALL

SURE = 0.05
FEW = 50
NEWCOMERS = {
    "user-cold": "new users",
    "item-cold": "new items",
    "both-cold": "new users with new items",
    "scene-cold": "new users in a new scene",
    "takes, others alike": "what a new user takes, held against anything else",
    "takes, others as popular": "what a new user takes, held against what is as popular",
}


@dataclass(frozen=True)
class Line:
    """One K of a partition: the best simple method, the best meta-learner, and the latter minus the former.

    p_holm: adjusted for all meta-learners that were looked at. baseline_value, value: what each reaches.
    """

    n_shots: int
    baseline: str
    contender: str
    baseline_value: float
    value: float
    difference: float
    low: float
    high: float
    p_holm: float
    win_share: float
    n_tasks: int
    lower_is_better: bool

    @property
    def outcome(self) -> str:
        """ "beats", "loses to" or "cannot be told from": the interval and Holm's p must both say so.

        "adds nothing to": the contender predicts exactly what the baseline does.
        """
        if self.difference == self.low == self.high == 0:
            return "adds nothing to"
        gain = -self.difference if self.lower_is_better else self.difference
        sure = self.low * self.high > 0 and self.p_holm < SURE
        return "cannot be told from" if not sure else "beats" if gain > 0 else "loses to"


@dataclass(frozen=True)
class Verdict:
    """What a competition says of one partition by one metric. enough: the cheapest method that nothing surely beats at
    the largest K, enough_value: what it reaches there. seeds_agree: each training seed alone has the outcome of
    the last line: a meta-learner beats the best simple method, loses to it, or cannot be told from it."""

    partition: str
    metric: str
    unit: str
    lines: tuple[Line, ...]
    enough: str
    enough_value: float
    n_seeds: int
    seeds_agree: bool

    @property
    def pays_from(self) -> int | None:
        """The least K from which on, up to the largest, a meta-learner beats every simple method; None for none."""
        beaten = [line.outcome == "beats" for line in self.lines]
        from_here = [line.n_shots for i, line in enumerate(self.lines) if all(beaten[i:])]
        return from_here[0] if from_here else None

    def table(self) -> pd.DataFrame:
        """A line per K, as a reader wants it."""
        return pd.DataFrame([
            {
                "K": shots_in_words(line.n_shots),
                "best simple": f"{line.baseline} {line.baseline_value:.3f}",
                "best meta-learner": f"{line.contender} {line.value:.3f}",
                "outcome": line.outcome,
                "difference [95 %]": f"{line.difference:+.3f} [{line.low:+.3f}, {line.high:+.3f}]",
                "p": f"{line.p_holm:.3f}",
                "wins": f"{line.win_share:.0%}",
            }
            for line in self.lines
        ])  # fmt: skip

    def __str__(self) -> str:
        last, measure = self.lines[-1], in_capitals(self.metric)
        unit = f" {self.unit}" if self.unit else ""
        use = (
            f"{self._where()}: use {self.enough}, the cheapest method that nothing surely beats "
            f"({measure} {self.enough_value:.3f}{unit} at K = {last.n_shots}). "
        )
        gap = (
            f"({measure} {last.value:.3f} against {last.baseline_value:.3f}{unit} at K = {last.n_shots}, "
            f"difference {last.difference:+.4f}, 95 % interval {last.low:+.4f} to {last.high:+.4f})"
        ).replace("-", "−")
        if self.pays_from is not None:
            said = f"From K = {self.pays_from} on {self._winners()} {gap}."
        else:
            some = [f"{line.n_shots}" for line in self.lines if line.outcome == "beats"]
            here = f"At K = {last.n_shots}" if some else "Here"
            but = f" (one does at K = {', '.join(some)})" if some else ""
            said = (
                f"{here} no meta-learner beats {last.baseline}, the best simple method{but}: "
                f"the best, {last.contender}, {last.outcome} it {gap}."
            )
        return use + said + self._doubts()

    def _where(self) -> str:
        """Who is new, in words and as tables call it, and how many were judged."""
        words = newcomers(self.partition)
        called = "" if words == self.partition else f" ({self.partition})"
        return f"{words}{called}, {self.lines[-1].n_tasks:,} test tasks"

    def _doubts(self) -> str:
        """What keeps the verdict from being final."""
        few, doubts = self.lines[-1].n_tasks, ""
        if few < FEW:
            doubts += f" {few} test tasks are few: even a large difference may not show; judge more, by folds."
        if not self.seeds_agree:
            doubts += (
                f" The {self.n_seeds} training seeds do not all say so by themselves: undecided."
            )
        return doubts

    def _winners(self) -> str:
        """Who beats whom from `pays_from` on: by name where it is always the same two."""
        last = self.lines[-1]
        pairs = {(x.contender, x.baseline) for x in self.lines if x.n_shots >= self.pays_from}
        if len(pairs) == 1:
            return f"{last.contender} beats {last.baseline}, the best simple method"
        return (
            "a meta-learner beats the best simple method; "
            f"at K = {last.n_shots} {last.contender} beats {last.baseline}"
        )


def newcomers(partition: str) -> str:
    """Who is new in a partition, for somebody who does not know its name; others keep theirs."""
    return NEWCOMERS.get(partition.removesuffix(", first known"), partition)


def in_capitals(metric: str) -> str:
    """How a metric is written: RMSE, AUC, nDCG@10, HR@10, recall@10, "HR@10 of 99" for the sampled variant."""
    name, at, rest = metric.partition("@")
    known = {"ndcg": "nDCG", "recall": "recall", "precision": "precision", "logloss": "log-loss"}
    return known.get(name, name.upper()) + at + rest.replace("/", " of ")


def shots_in_words(n_shots: int) -> str:
    """K as a number, or "all" for the warm reference."""
    return "all" if n_shots == ALL else str(n_shots)


def verdict(
    records: pd.DataFrame,
    simple: Sequence[str],
    meta: Sequence[str],
    metric: str = "rmse",
    unit: str = "",
) -> Verdict:
    """The verdict on the records of one partition. simple and meta: names, each from cheap to costly.

    At each K the best of either kind on these tasks; choosing the best baseline on them favours the baselines, choosing
    the best meta-learner is paid for by Holm's adjustment over all of them. Raises InputError where nobody of a kind
    has records.
    """
    here = records[records["n_shots"] != ALL]
    names = set(here["learner"])
    simple, meta = [n for n in simple if n in names], [n for n in meta if n in names]
    if not simple or not meta:
        raise InputError(
            "a verdict needs records of a simple method and of a meta-learner, "
            f"got {len(simple)} and {len(meta)} of them"
        )
    shots = sorted(here["n_shots"].unique())
    lines = tuple(line_at(here, simple, meta, metric, k) for k in shots)
    seeds = sorted(here["seed"].unique())
    outcomes = {
        line_at(here[here["seed"] == s], simple, meta, metric, shots[-1]).outcome for s in seeds
    }
    enough = cheapest_as_good(here, [*simple, *meta], metric, shots[-1])
    at_last = summarise(here[here["n_shots"] == shots[-1]], metric).set_index("learner")["value"]
    partition, agree = str(here["partition"].iloc[0]), outcomes == {lines[-1].outcome}
    return Verdict(
        partition, metric, unit, lines, enough, float(at_last[enough]), len(seeds), agree
    )


def line_at(records, simple: Sequence[str], meta: Sequence[str], metric: str, n_shots: int) -> Line:
    """The contest at one K."""
    baseline = best(records, simple, metric, n_shots)
    table = against(records, baseline, meta, metric, n_shots).set_index("learner")
    contender = best(records, meta, metric, n_shots)
    at_k = records[records["n_shots"] == n_shots]
    values = summarise(at_k, metric).set_index("learner")["value"]
    row = table.loc[contender]
    return Line(
        int(n_shots),
        baseline,
        contender,
        float(values[baseline]),
        float(values[contender]),
        float(row["value"]),
        float(row["low"]),
        float(row["high"]),
        float(row["p_holm"]),
        float(row["win_share"]),
        int(row["n_tasks"]),
        lower_is_better(metric),
    )
