"""From a study's counts to tables: each measure with its interval, and paired differences. Knows counts, no text."""

from collections.abc import Mapping, Sequence

import pandas as pd

from fsl.reviews.confusion import (
    Resampled,
    accuracy,
    balanced_accuracy,
    difference,
    f1,
    interval,
    macro_f1,
    resample,
)
from fsl.reviews.few_shot import RULERS, Study

MEASURES = {"accuracy": accuracy, "balanced accuracy": balanced_accuracy, "macro F1": macro_f1}
Key = tuple[str, int]


def resamples(study: Study, seed: int = 0) -> dict[Key, Resampled]:
    """(method, K) -> its counts resampled, all by the same draws and users."""
    return {key: resample(counts, seed) for key, counts in study.counts.items()}


def table(found: Mapping[Key, Resampled]) -> pd.DataFrame:
    """Columns learner, n_shots, metric, value, low, high: every measure of every method at every K."""
    rows = [
        {"learner": name, "n_shots": k, "metric": measure, **vars(interval(of, counts))}
        for (name, k), counts in found.items()
        for measure, of in MEASURES.items()
    ]
    return pd.DataFrame(rows)


def shown(summary: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Method × K, each cell "value [low, high]": the best at the largest K on top; rulers below, equal at every K."""
    some = summary[summary["metric"] == metric]
    cells = [_cell(r, ".2f") for r in some.itertuples()]
    wide = some.assign(cell=cells).pivot(index="learner", columns="n_shots", values="cell")
    last = some.sort_values("n_shots").groupby("learner")["value"].last()
    order = sorted(last.sort_values(ascending=False).index, key=lambda name: name in RULERS)
    wide = wide.loc[order].apply(
        lambda row: row.fillna(row[0]) if row.name in RULERS else row, axis=1
    )
    return wide.fillna("").rename(columns="K = {}".format).rename_axis(index=None, columns=None)


def best(summary: pd.DataFrame, names: Sequence[str], metric: str, k: int) -> str:
    """The method with the best value at K among the named that have one."""
    some = summary.query("metric == @metric and n_shots == @k and learner in @names")
    return some.set_index("learner")["value"].idxmax()


def against(
    found: Mapping[Key, Resampled], ours: str, theirs: Mapping[int, str], metric: str
) -> pd.DataFrame:
    """`ours` minus `theirs`, paired, at each K: columns n_shots, reference, value, low, high. theirs: K -> method."""
    rows = [
        {
            "n_shots": k,
            "reference": name,
            **vars(difference(MEASURES[metric], found[ours, k], found[name, k])),
        }
        for k, name in theirs.items()
    ]
    return pd.DataFrame(rows)


def gaps(
    found: Mapping[Key, Resampled],
    summary: pd.DataFrame,
    ours: Sequence[str],
    floor: Sequence[str],
    metric: str,
) -> pd.DataFrame:
    """Each of `ours` minus the best of `floor` at that K, paired: K × method, "+0.07 [+.02, +.12]", and who that is."""
    shots = sorted(set(summary.loc[summary["learner"].isin(ours), "n_shots"]))
    theirs = {k: best(summary, floor, metric, k) for k in shots}
    lines = {
        name: [_cell(r, "+.2f") for r in against(found, name, theirs, metric).itertuples()]
        for name in ours
    }
    lines["the best of TF-IDF"] = list(theirs.values())
    return pd.DataFrame(lines, index=[f"K = {k}" for k in shots])


def _cell(row, form: str) -> str:
    """ "0.72 [.65, .78]": inside the brackets no digit that says nothing."""
    low, high = (f"{x:{form}}".replace("0.", ".", 1) for x in (row.low, row.high))
    return f"{row.value:{form}} [{low}, {high}]"


def by_class(study: Study, found: Mapping[Key, Resampled], key: Key) -> pd.DataFrame:
    """F1, recall and precision of each class by one method at one K, F1 with its interval; index class."""
    counts, names = found[key], list(study.task.lines)
    each = [interval(lambda x, c=c: f1(x)[..., c], counts) for c in range(len(names))]
    total = counts.total
    return pd.DataFrame({
        "texts per draw": total.sum(1) / len(study.counts[key]),
        "recall": total.diagonal() / total.sum(1),
        "precision": total.diagonal() / total.sum(0),
        "F1": [i.value for i in each], "low": [i.low for i in each], "high": [i.high for i in each],
    }, index=names)  # fmt: skip


def mixed_up(study: Study, found: Mapping[Key, Resampled], key: Key, n: int = 5) -> pd.DataFrame:
    """The n commonest mistakes: index what it is, columns told, share (of all texts judged)."""
    total, names = found[key].total, list(study.task.lines)
    share = (
        pd.DataFrame(total / total.sum(), names, names)
        .rename_axis("it is")
        .rename_axis("told", axis=1)
    )
    rows = share.stack().rename("share").reset_index("told")
    wrong = rows[rows.index != rows["told"]]
    return wrong.sort_values("share", ascending=False, kind="stable").head(n)
