"""What a phone's columns mean to a buyer, and where a phone stands in the catalogue. Knows the items table alone."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Spec(NamedTuple):
    """How a column is told. better: 1 where more is better, -1 where less is, 0 where it is a matter of taste.

    than: how a high standing is said, "cheaper than"; aspect: what an explanation of it would be about.
    """

    label: str
    unit: str
    better: int
    than: str
    aspect: str


_SPECS = {
    "price price_usd": Spec("price", "USD", -1, "cheaper than", "price"),
    "performance": Spec("performance score", "", 1, "faster than", "performance"),
    "main_camera main_camera_mp": Spec("main camera", "MP", 1, "more than", "camera"),
    "selfie_camera": Spec("selfie camera", "MP", 1, "more than", "camera"),
    "battery_size battery_mah": Spec("battery", "mAh", 1, "more than", "battery"),
    "ram": Spec("RAM", "GB", 1, "more than", "memory"),
    "internal_memory memory_gb": Spec("internal memory", "GB", 1, "more than", "memory"),
    "screen_size screen_inch": Spec("screen", "inch", 0, "larger than", "screen"),
    "weight weight_g": Spec("weight", "g", -1, "lighter than", "size"),
    "release_date": Spec("released", "", 1, "newer than", "age"),
}
SPECS = {column: spec for columns, spec in _SPECS.items() for column in columns.split()}


class Standing(NamedTuple):
    """One spec of one phone. share: of the n_others with a value, how many it is better than, equal ones by half."""

    spec: Spec
    value: str
    share: float
    n_others: int


def standings(items: pd.DataFrame) -> dict[object, list[Standing]]:
    """Item id -> its known specs, in SPECS' order; what has no value is left out."""
    found: dict[object, list[Standing]] = {item: [] for item in items["item"]}
    for column, spec in SPECS.items():
        if column not in items:
            continue
        values, shown = _numbers(items[column]), items[column]
        shares, n_others = (
            beaten(values.to_numpy() * (spec.better or 1)),
            int(values.notna().sum() - 1),
        )
        for item, share, text in zip(items["item"], shares, shown, strict=True):
            if not np.isnan(share):
                found[item].append(Standing(spec, _written(text, spec.unit), share, n_others))
    return found


def beaten(values: np.ndarray) -> np.ndarray:
    """The share of the others that each is above: (n_below + n_equal / 2) / (n − 1); NaN is no value. [n] -> [n]."""
    values = np.asarray(values, float)
    known = values[~np.isnan(values)]
    below = (known < values[:, None]).sum(1)
    equal = (known == values[:, None]).sum(1) - 1
    shares = (below + equal / 2) / max(len(known) - 1, 1)
    return np.where(np.isnan(values) | (len(known) < 2), np.nan, shares)


def _numbers(column: pd.Series) -> pd.Series:
    """Numbers as they are; ISO dates as days."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    days = pd.to_datetime(column, errors="coerce", format="ISO8601")
    return (days - pd.Timestamp(0)) / pd.Timedelta(days=1)


def _written(value: object, unit: str) -> str:
    text = f"{value:,.10g}" if isinstance(value, int | float | np.number) else str(value)[:10]
    return f"{text} {unit}".strip()
