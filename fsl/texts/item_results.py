"""What an item's text is worth, told: differences to one-hot columns, a table, a sentence. Knows records alone."""

import numpy as np
import pandas as pd

from fsl.compare import against, lower_is_better, summarise
from fsl.data import Shop
from fsl.evaluation import RULERS

WITHOUT, ONE_HOT, TEXT, BOTH = "no content", "one-hot", "text", "both"
RIVALS = (WITHOUT, TEXT, BOTH)  # of one-hot
COLUMNS = [
    "shop",
    "metric",
    "n_shots",
    "content",
    "value",
    "low",
    "high",
    "minus one-hot",
    "p (Holm)",
]


def metric_of(shop: Shop) -> str:
    """What new items are judged by: "rmse" of ratings, "hr@10" of clicks."""
    return "hr@10" if shop.target is None else "rmse"


def content_gaps(records: pd.DataFrame, metric: str, n_shots: int) -> pd.DataFrame:
    """Each kind of content minus one-hot columns, paired over items: `compare.against`'s columns, by content."""
    return against(records, ONE_HOT, RIVALS, metric, n_shots).set_index("learner")


def in_words(gap: pd.Series, metric: str, n_shots: int, n_items: int) -> str:
    """One row of `content_gaps` as a sentence: is text better, worse, or cannot be told from one-hot columns?

    It is better or worse if 0 is outside its interval and Holm's p, which minds the other rivals, is below .05.
    """
    sign = -1 if lower_is_better(metric) else 1
    low, high = sorted((sign * gap.low, sign * gap.high))
    is_sure = gap.p_holm < 0.05 and not low <= 0 <= high
    verdict = ("beats" if low > 0 else "loses to") if is_sure else "cannot be told from"
    of = f"{n_shots} reactions known" if n_shots else "nothing known"
    told = f"{metric.upper()} {gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
    return f"With {of} of a new item, its text {verdict} one-hot columns: {told}, {n_items} items"


def item_text_table(shop: Shop, records: pd.DataFrame) -> pd.DataFrame:
    """Columns shop, metric, n_shots, content, value, low, high (95 %, over items), "minus one-hot", "p (Holm)".

    "minus one-hot": the paired difference with its interval, "" for the rulers.
    """
    metric, lines = metric_of(shop), []
    values = summarise(records, metric).set_index(["n_shots", "learner"])
    for k in sorted(records["n_shots"].unique()):
        gaps, there = content_gaps(records, metric, k), values.loc[k].index
        for name in [n for n in (WITHOUT, ONE_HOT, TEXT, BOTH, *RULERS) if n in there]:
            line = values.loc[(k, name)]
            told = [line.value, line.low, line.high, *_gap(gaps, name)]
            lines.append([shop.name, metric.upper(), k, name, *told])
    return pd.DataFrame(lines, columns=COLUMNS)


def _gap(gaps: pd.DataFrame, name: str) -> tuple[str, float]:
    if name not in gaps.index:
        return "", np.nan
    one = gaps.loc[name]
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]", one.p_holm
