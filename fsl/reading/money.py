"""Prices with a currency sign, as numbers: ¥1,299.00, 1.299 €, $ 399. Knows no file and no other column."""

import pandas as pd

from fsl.reading.sentences import show

SIGN = "US\\$|[$€£¥￥₹₩₽元円]|USD|EUR|GBP|CNY|RMB|JPY"
PRICE = rf"^({SIGN})?\s*(-?\d[\d.,]*)\s*({SIGN})?$"
POINT = r"-?(\d+|\d{1,3}(,\d{3})+)(\.\d{1,2})?"
COMMA = r"-?(\d+|\d{1,3}(\.\d{3})+)(,\d{1,2})?"


def prices(texts: pd.Series, share: float = 0.95) -> tuple[pd.Series, str] | None:
    """Float64, NaN for the few that are no price, and the currency; None where it is no column of prices.

    At least `share` of the texts are numbers, one has a currency before or after it, and all have the same. Three
    digits after a point or a comma are thousands: 1.299 € is not one euro and thirty cents.
    """
    found = texts.str.strip().str.extract(PRICE)
    signs, amounts = found[0].fillna(found[2]), found[1]
    if signs.nunique() != 1 or amounts.notna().sum() < share * len(texts):
        return None
    there = amounts.dropna()
    for form, thousands in ((POINT, ","), (COMMA, ".")):
        if there.str.fullmatch(form).all():
            plain = there.str.replace(thousands, "", regex=False).str.replace(",", ".", regex=False)
            return plain.astype("float64").reindex(texts.index), str(signs.dropna().iloc[0])
    return None


def said_of_prices(texts: pd.Series, numbers: pd.Series, currency: str) -> str:
    """What is to be said of a column that was read so."""
    others, said = texts[numbers.isna()], f"has prices in {currency} and is read as numbers"
    if others.empty:
        return said
    return (
        f"{said}; {len(others):,} of {len(texts):,} values are none, such as {show(others.iloc[0])}"
    )
