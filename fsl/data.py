"""The shop: three validated tables and what to say of them. Knows no file, no source and no task."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fsl.errors import InputError
from fsl.feasibility import N_QUERY, N_SHOTS, lacking, verdict
from fsl.features import features_of_columns
from fsl.ranking.sizes import Size
from fsl.reading.sentences import Origin, inert
from fsl.reading.validate import KEYS, NUMBERS, check, typed

FEW = 5
MANY = 50
ISO_DAY = r"\d{4}-\d{2}-\d{2}([T ]|$)"


@dataclass(frozen=True, eq=False)
class Shop:
    """Who met which product, when, where and how it went.

    interactions: columns `user`, `item`; optional `rating` (float64) or `label` (0/1, float64), `timestamp`
        (float64, Unix seconds), `scene`; further columns are kept. Rows are numbered from 0.
    users, items: keys `user` and `item`, each once; any further columns are features. An item's `name` or
        `title` is what people are shown. Ids are of any one type (text, when read from a file).
    truth: simulated shops only, the ground truth of the oracle row.

    Raises InputError, one sentence per problem.
    """

    interactions: pd.DataFrame
    users: pd.DataFrame | None = None
    items: pd.DataFrame | None = None
    name: str = "shop"
    simulated: bool = False
    notes: tuple[str, ...] = ()
    truth: object | None = None

    def __post_init__(self) -> None:
        tables = {role: _as_table(getattr(self, role), role) for role in KEYS}
        raw = _texts_that_are_no_numbers(self.interactions, tables["interactions"])
        check(tables, {role: Origin(role, raw=raw) for role in KEYS})
        for role, table in tables.items():
            object.__setattr__(self, role, table)

    @property
    def target(self) -> str | None:
        """What is to be predicted: "rating" before "label"; None if there are only interactions."""
        return next((c for c in ("rating", "label") if c in self.interactions), None)

    @property
    def scale(self) -> tuple[float, float] | None:
        """The lowest and highest observed rating; (0, 1) for labels; None without a target."""
        if self.target is None:
            return None
        if self.target == "label":
            return (0.0, 1.0)
        values = self.interactions["rating"]
        return (float(values.min()), float(values.max()))

    def item_names(self) -> pd.Series:
        """What people are shown, text, indexed by item id: `name`, else `title`, else the id itself."""
        items = self.items
        if items is None:
            items = pd.DataFrame({"item": self.interactions["item"].unique()})
        names = items["item"].astype(str)
        for column in [c for c in ("title", "name") if c in items]:
            texts = items[column].where(items[column].notna(), "").astype(str).str.strip()
            names = names.where(texts == "", texts)
        return pd.Series(names.to_numpy(), index=pd.Index(items["item"], name="item"), name="name")

    @cached_property
    def _behaviours(self) -> np.ndarray:
        """How many each user in the interactions has, [n_users]."""
        return np.bincount(pd.factorize(self.interactions["user"])[0])

    def summary(self) -> dict[str, str]:
        """What `describe` prints: a heading and its value, as text."""
        counts = self._behaviours
        users = len(counts) if self.users is None else len(self.users)
        n_items = self.interactions["item"].nunique() if self.items is None else len(self.items)
        density = len(self.interactions) / max(users * n_items, 1)
        few = (users - int((counts >= FEW).sum())) / max(users, 1)
        return {
            "data": f"{inert(self.name)} ({'simulated' if self.simulated else 'real'})",
            "users": f"{users:,}",
            "items": f"{n_items:,}",
            "interactions": f"{len(self.interactions):,}",
            "density": f"{density:.3%} interactions per user-item pair",
            "time span": _time_span(self.interactions),
            "target": _target_range(self),
            f"users with < {FEW} interactions": f"{few:.1%}",
        }

    @property
    def size(self) -> Size:
        """The counts that a verdict's cost depends on."""
        return Size.of(self._behaviours, self.interactions["item"].nunique())

    def verdict(self) -> str:
        """Whether a cold-start verdict on new users is possible, and for which K; one line."""
        is_timed = "timestamp" in self.interactions
        if self.target is None:
            said = verdict(self._behaviours, is_timed, N_SHOTS, 1)
            ranked = "can be judged, by rankings (neither rating nor label)"
            return said.replace("can be judged", ranked)
        return verdict(self._behaviours, is_timed)

    def lacking(self) -> str:
        """What a verdict on new users takes that these tables do not have; "" where it is possible."""
        return lacking(self._behaviours, N_SHOTS, 1 if self.target is None else N_QUERY)

    def features_of(self, role: str) -> dict[str, str]:
        """How each column of "users" or "items" becomes features, of those in the interactions; names are none."""
        table, key = getattr(self, role), role.removesuffix("s")
        if table is None or role == "interactions":
            return {}
        used = features_of_columns(table, pd.Index(self.interactions[key].unique()), key)
        return {column: said for column, said in used.items() if column not in ("name", "title")}

    def describe(self) -> None:
        """Print users, items, interactions, density, time span, rating range, how many users are cold; notes."""
        rows = self.summary()
        width = max(map(len, rows))
        print("\n".join(f"{heading:<{width}}  {value}" for heading, value in rows.items()))
        for note in self.notes:
            print(f"- {inert(note)}")


def column_kind(values: pd.Series, role: str) -> str:
    """How a column is understood, with a word on its content: `numeric, 129 to 1998, 2 missing`.

    One of key, target, time, scene, name, numeric, date, category, text, or not used (of interactions).
    """
    missing = int(values.isna().sum())
    tail = f", {missing:,} missing" if missing else ""
    there = values.dropna()
    if values.name in KEYS[role]:
        return f"key, {values.nunique():,} different"
    if role == "interactions":
        known = {"rating": "target", "label": "target", "timestamp": "time", "scene": "scene"}
        kind = known.get(values.name, "not used")
        return f"{kind}, {there.nunique():,} different{tail}" if kind == "scene" else kind + tail
    if values.name in ("name", "title"):
        return "name, what people are shown" + tail
    if there.empty:
        return "empty, not used"
    if pd.api.types.is_numeric_dtype(there):
        return f"numeric, {_plain(there.min())} to {_plain(there.max())}{tail}"
    texts = there.astype(str)
    if pd.api.types.is_datetime64_any_dtype(there) or texts.str.match(ISO_DAY).all():
        return f"date, {texts.min()[:10]} to {texts.max()[:10]}{tail}"
    n = texts.nunique()
    kind = "category" if n <= max(MANY, len(texts) / 2) else "text"
    return f"{kind}, {n:,} different{tail}"


def _plain(number: float) -> str:
    return f"{number:.0f}" if float(number).is_integer() and abs(number) < 2**53 else f"{number:g}"


def _as_table(table: pd.DataFrame | None, role: str) -> pd.DataFrame | None:
    if table is None and role != "interactions":
        return None
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"{role}: {type(table).__name__}, expected a pandas DataFrame.")
    if table.columns.nlevels > 1:
        raise InputError(f"{role}: columns of several levels, expected one name each.")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InputError(f"{role}: column {twice[0]!r} is there twice, expected each name once.")
    return typed(table, role)


def _texts_that_are_no_numbers(given: pd.DataFrame, read: pd.DataFrame) -> dict[str, dict]:
    raw = {}
    for column in read.columns.intersection(NUMBERS):
        rows = np.flatnonzero(~np.isfinite(read[column].to_numpy()))[:1]
        raw[column] = {row: given[column].iloc[row] for row in rows}
    return raw


def _time_span(interactions: pd.DataFrame) -> str:
    if "timestamp" not in interactions:
        return "no timestamps"
    ends = np.array([interactions["timestamp"].min(), interactions["timestamp"].max()])
    first, last = np.floor(ends).astype("int64").astype("datetime64[s]").astype("datetime64[D]")
    return f"{first} to {last}"


def _target_range(shop: Shop) -> str:
    if shop.target is None:
        return "none: interactions only (implicit)"
    if shop.target == "label":
        return f"label, 0 or 1, {shop.interactions['label'].mean():.1%} are 1"
    low, high = shop.scale
    return f"rating, {low:g} to {high:g}, mean {shop.interactions['rating'].mean():.2f}"
