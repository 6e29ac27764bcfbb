"""Which column of a person's own could be one that we know, by its name and a look at its values. Changes none."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from fsl.reading.columns import (
    FIRST_DAY,
    GERMAN_DATE,
    SHARE,
    as_numbers,
    as_seconds,
    decimal_commas,
)
from fsl.reading.sentences import Origin, inert, show

SEEN = 1000
KEY_WORDS = {
    "user": ("user", "customer", "client", "member", "buyer", "visitor", "account", "reviewer", "kunde", "nutzer",
             "用户", "顾客", "客户", "买家", "会员"),
    "item": ("item", "movie", "product", "phone", "article", "asin", "sku", "book", "good", "artikel", "produkt",
             "商品", "产品", "物品", "手机", "货号"),
}  # fmt: skip
WORDS = {
    "rating": "rating ratings rate rated star stars score scores grade note points punkte sterne bewertung wertung "
    "评分 打分 星级 分数",
    "label": "label like likes liked click clicks clicked bought purchase purchased target gekauft gefallen "
    "点击 购买 喜欢",
    "timestamp": "time timestamp ts date datetime day when created at datum zeit zeitpunkt wann 时间 日期",
    "scene": "scene channel context source kanal 场景 渠道",
    "name": "name title model titel bezeichnung 名称 商品名 型号",
}
FUTURE = {
    "rating",
    "ratings",
    "avg_rating",
    "average_rating",
    "mean_rating",
    "rating_count",
    "n_ratings",
}
FUTURE |= {"sales", "popularity"}
TWO_ANSWERS = {"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "ja", "nein"}
ISO_DATE = r"\d{4}-\d{2}-\d{2}([T ].*)?"


def missing_column(key: str, columns: Sequence[object], origin: Origin) -> str:
    """The sentence for a column that is not there, with the likely one if there is one."""
    seen = ", ".join(show(str(c)) for c in columns) or "none"
    likely = next((c for c in map(str, columns) if _is_key(key, c)), None)
    hint = ""
    if origin.by_option:
        hint = f"; name yours with --column {key}={inert(likely) if likely else 'THEIRS'}"
    elif likely:
        hint = f" (is it {show(likely)}?)"
    return f"{origin.label}: there is no column {key!r}; the columns are {seen}{hint}."


def _is_key(key: str, column: str) -> bool:
    name = column.lower()
    return _is_plain(name) and any(w in name for w in KEY_WORDS[key]) and "agent" not in name


def _is_plain(name: str) -> bool:
    return len(name) <= 30 and re.sub(r"[ -]", "_", name).isidentifier()


def likely_column(ours: str, columns: Sequence[str]) -> str | None:
    """The column of that very name, in any case, else the first that is called like one; None where none is."""
    same = [column for column in columns if column.strip().lower() == ours]
    fits = _is_key if ours in KEY_WORDS else _is_called
    return next(iter(same + [column for column in columns if fits(ours, column)]), None)


def hints(tables: Mapping[str, pd.DataFrame | None]) -> list[str]:
    """What is not used of a shop's tables though it could be, with the option that uses it."""
    log, items = tables["interactions"], tables["items"]
    found = []
    if not {"rating", "label"} & set(log.columns):
        rating, label = _find(log, "rating", _is_rating), _find(log, "label", _is_label)
        found += [_hint("rating", rating)] if rating else [_hint("label", label)] if label else []
    for ours, fits in (("timestamp", _is_time), ("scene", _is_scene)):
        theirs = None if ours in log else _find(log, ours, fits)
        found += [_hint(ours, theirs)] if theirs else []
    if items is not None and not {"name", "title"} & set(items.columns):
        name = _find(items, "name", _is_name)
        found.append(
            f"people will be shown ids; {_option('name', name) if name else 'items has no column name'}"
        )
    return found


def of_the_future(values: pd.Series, label: str) -> list[str]:
    """A note on a feature that is called like something computed from the ratings to be predicted."""
    if str(values.name).lower() not in FUTURE or values.nunique() < 2:
        return []
    said = "is used as a feature; leave it out if it was computed from these interactions"
    return [f"{label}: the column {show(values.name)} {said}."]


def _hint(ours: str, theirs: str) -> str:
    return f"no column is used as {ours}; is {show(theirs)} one? {_option(ours, theirs)}"


def _option(ours: str, theirs: str) -> str:
    return f"--column {shlex.quote(f'{ours}={theirs}')}"


def _find(table: pd.DataFrame, ours: str, fits: Callable[[pd.Series, bool], bool]) -> str | None:
    """The first column whose values fit: of those that are called so, else of all."""
    free = [
        c
        for c in table.columns
        if isinstance(c, str) and c not in ("user", "item", *WORDS) and _is_plain(c)
    ]
    for named in (True, False):
        for column in free:
            if _is_called(ours, column) is named and fits(_some(table[column]), named):
                return column
    return None


def _is_called(ours: str, column: str) -> bool:
    """bought_at, orderDate and Kaufdatum are called like times; start_time is not called like a star."""
    tokens = [t.lower() for t in re.findall(r"[A-ZÄÖÜ]?[a-zäöüß]+|[A-ZÄÖÜ]+|[一-鿿]+", column)]
    words = WORDS[ours].split()
    return any(
        t == w or ((len(w) > 3 or not w.isascii()) and t.endswith(w)) for t in tokens for w in words
    )


def _some(values: pd.Series) -> pd.Series:
    """The first values that are there, as text."""
    texts = values.head(10 * SEEN).dropna().head(SEEN).astype(str).str.strip()
    return texts[texts != ""]


def _is_rating(texts: pd.Series, named: bool) -> bool:
    commas = decimal_commas(texts)
    numbers = as_numbers(texts) if commas is None else commas
    return named and bool(numbers.notna().mean() >= SHARE)


def _is_label(texts: pd.Series, named: bool) -> bool:
    return named and len(texts) > 0 and set(texts.str.lower()) <= TWO_ANSWERS


def _is_time(texts: pd.Series, named: bool) -> bool:
    if not named:
        return bool(texts.str.fullmatch(ISO_DATE).mean() >= SHARE)
    late = (
        as_seconds(texts) >= FIRST_DAY
    )  # seconds of this century or days such as 20240603, no durations
    return bool((late | texts.str.fullmatch(GERMAN_DATE)).mean() >= SHARE)


def _is_scene(texts: pd.Series, named: bool) -> bool:
    return named and 2 <= texts.nunique() <= 20


def _is_name(texts: pd.Series, named: bool) -> bool:
    return named and bool(texts.nunique() > len(texts) / 2) and bool(as_numbers(texts).isna().any())
