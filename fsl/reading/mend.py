"""What --drop-unknown and --duplicates take away, and how that is said. Knows tables and no file."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fsl.errors import InputError
from fsl.reading import validate
from fsl.reading.sentences import Origin


def drop_unknown(
    tables: Mapping[str, pd.DataFrame | None], label: str
) -> tuple[pd.DataFrame, list[str]]:
    """The interactions whose user and item the given tables know, and a note. InputError if none is left."""
    interactions = tables["interactions"]
    unknown = np.zeros(len(interactions), bool)
    for key in ("user", "item"):
        unknown |= validate.unknown_rows(interactions, tables[key + "s"], key)
    if unknown.all() and len(unknown):
        raise InputError(f"{label}: no interaction is of a known user and item.")
    n, of = int(unknown.sum()), len(unknown)
    said = f"{n:,} of {of:,} interactions were dropped: user or item not known."
    return interactions[~unknown], [said] if n else []


def resolve_duplicates(
    interactions: pd.DataFrame, origin: Origin, how: str
) -> tuple[pd.DataFrame, list[str]]:
    """The last, or the mean, of interactions that nothing tells apart, and a note; sound tables only."""
    if how == "mean" and "label" in interactions and "rating" not in interactions:
        raise InputError(
            "--duplicates mean needs ratings; labels are 0 or 1, so use --duplicates last."
        )
    if validate.table_problems(interactions, "interactions", origin):
        return interactions, []
    early = validate.repeated_rows(interactions, keep="last")
    if how == "mean" and "rating" in interactions:
        interactions = interactions.assign(rating=_mean_rating(interactions))
    n = int(early.sum())
    kept = "their mean" if how == "mean" else "the last"
    said = f"{n:,} of {len(early):,} interactions repeat another: {kept} is kept."
    return interactions[~early], [said] if n else []


def _mean_rating(interactions: pd.DataFrame) -> pd.Series:
    keys = [c for c in ("user", "item", "timestamp", "scene") if c in interactions]
    again = validate.repeated_rows(interactions, keep=False)
    groups = interactions[again].groupby(keys, sort=False, dropna=False)
    means = groups["rating"].transform("mean")
    return interactions["rating"].where(~again, means.reindex(interactions.index))
