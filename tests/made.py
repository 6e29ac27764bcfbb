"""Small shops for tests: random ones for properties, hand-made ones for values. Knows only what a shop's tables are."""

import os

import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st

from fsl import Shop, user_tasks

SCENES = ("store", "web", "live")


def another_hash_seed() -> dict[str, str]:
    """The environment of a process that orders its sets otherwise than this one."""
    return {"PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def shops(draw, timed=None, scenes=None, min_rows: int = 1) -> Shop:
    """Shuffled rows of at most 6 users and 7 items; timestamps (with ties), scenes, users and items come and go."""
    timed = draw(st.booleans()) if timed is None else timed
    scenes = draw(st.booleans()) if scenes is None else scenes
    row = st.tuples(
        st.integers(0, 5), st.integers(0, 6), st.integers(0, 9), st.sampled_from(SCENES)
    )
    same = (lambda r: r[:3]) if timed else (lambda r: r[:2])
    rows = draw(st.lists(row, min_size=min_rows, max_size=30, unique_by=same))
    table = pd.DataFrame(rows, columns=["user", "item", "timestamp", "scene"])
    table["rating"] = draw(
        st.lists(st.integers(2, 10), min_size=len(rows), max_size=len(rows)).map(
            lambda halves: [half / 2 for half in halves]
        )
    )
    table["user"] = [f"u{9 - user}" for user in table["user"]]
    dropped = [*([] if timed else ["timestamp"]), *([] if scenes else ["scene"])]
    users = pd.DataFrame({"user": [f"u{9 - n}" for n in range(8)], "age": np.arange(8) ** 2})
    items = pd.DataFrame({"item": range(9), "os": list("ababababa")})
    return Shop(
        table.drop(columns=dropped),
        users if draw(st.booleans()) else None,
        items if draw(st.booleans()) else None,
    )


def shop_of(*rows: tuple, names: str = "user item rating", users=None, items=None) -> Shop:
    """A shop from rows written out; `names` are their columns."""
    return Shop(pd.DataFrame(rows, columns=names.split()), users, items)


def tasks_of(*rows: tuple, **options):
    return user_tasks(shop_of(*rows, **options))


def grid_tasks(ratings: np.ndarray, features: np.ndarray | None = None):
    """User-tasks of a full table: ratings [n_users, n_items], NaN where unknown; features [n_items, d]."""
    users, items = np.nonzero(np.isfinite(ratings))
    table = pd.DataFrame({"user": users, "item": items, "rating": ratings[users, items]})
    content = None
    if features is not None:
        columns = {f"f{n}": column for n, column in enumerate(features.T)}
        content = pd.DataFrame({"item": range(len(features)), **columns})
    return user_tasks(Shop(table, items=content))
