"""What a verdict's page costs: seconds and memory over invented shops of growing size, each in a fresh process.

    {"schema": 1, "machine": as in `fsl.speed.run`,
     "rows": [{"page", "size": [rows, subjects, objects, pairs], "seconds", "gib", "told_seconds", "told_gib"}],
     "constants": {page: {"seconds": [...], "gib": [...]}}}

The competitions of the pages run as at report size, CPU seconds on one thread; drawing figures is left out. From the
rows the constants of `fsl.cold_start.estimates` are fitted anew (non-negative least squares), and shown beside what
those that are written there would have told. Run as a program it reads its task from its input and prints one row.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence

from fsl.cold_start.estimates import GIB, PAGES, SECONDS
from fsl.ranking.sizes import Size, linear
from fsl.speed.machine import about_machine
from fsl.speed.memory import in_fresh_process, peak_bytes
from fsl.speed.table import headline

SHOPS = (
    (10_000, 1_000, 400),
    (40_000, 5_000, 3_000),
    (80_000, 3_000, 1_200),
    (150_000, 15_000, 8_000),
)
"""Rows, users and items."""


def run(
    shops: Sequence[tuple[int, int, int]] = SHOPS,
    pages: Sequence[str] = PAGES,
    tell: Callable[[str], None] = lambda line: None,
) -> dict:
    """Measure every shop with every page; see the module for what is returned."""
    rows = []
    for page in pages:
        for n_rows, n_users, n_items in shops:
            tell(f"{page}: {n_rows:,} rows, {n_users:,} users, {n_items:,} items")
            row = in_fresh_process(
                "fsl.speed.verdict", {"page": page, "shop": [n_rows, n_users, n_items]}
            )
            size = Size(*row["size"])
            told = {
                "told_seconds": linear(SECONDS[page], size),
                "told_gib": linear(GIB[page], size),
            }
            rows.append({"page": page, **row, **told})
    constants = {page: fitted([row for row in rows if row["page"] == page]) for page in pages}
    return {"schema": 1, "machine": about_machine(), "rows": rows, "constants": constants}


def fitted(rows: Sequence[dict]) -> dict[str, list[float]]:
    """Weights >= 0 of `Size.terms` that miss the rows least, relative to their values."""
    import numpy as np
    from scipy.optimize import nnls

    terms = np.array([Size(*row["size"]).terms() for row in rows])
    found = {}
    for part in ("seconds", "gib"):
        values = np.array([row[part] for row in rows])
        found[part] = nnls(terms / values[:, None], np.ones(len(rows)))[0].tolist()
    return found


def invented(n_rows: int, n_users: int, n_items: int, rated: bool, seed: int = 0):
    """A shop of three years: things of unequal popularity and of ten kinds, users who prefer one kind."""
    import numpy as np
    import pandas as pd

    from fsl.data import Shop

    rng = np.random.default_rng(seed)
    popularity = 1 / (np.arange(n_items) + 20.0)
    sizes = 5 + rng.poisson(max(n_rows / n_users - 5, 0), n_users)
    users = np.repeat(np.arange(n_users), sizes)
    items = rng.choice(n_items, len(users), p=popularity / popularity.sum())
    own = (rng.random(len(users)) < 0.5) & (n_items > 20)
    items = np.where(own, items - items % 10 + users % 10, items).clip(0, n_items - 1)
    begin = rng.random(n_users) * 3 * 365
    days = begin[users] + rng.exponential(20, len(users))
    table = pd.DataFrame(
        {
            "user": users,
            "item": items,
            "timestamp": 86_400.0 * np.floor(days) + np.arange(len(users)) % 86_400,
        }
    )
    if rated:
        table["rating"] = 1.0 + rng.integers(5, size=len(users))
    table = table.drop_duplicates(["user", "item"], ignore_index=True)
    kinds = pd.DataFrame(
        {"item": np.arange(n_items), "kind": [f"k{n % 10}" for n in range(n_items)]}
    )
    return Shop(table, items=kinds)


def main() -> None:
    """The program: invent the shop, run the page's competitions as at report size."""
    import torch

    torch.set_num_threads(1)
    task = json.load(sys.stdin)
    rated = task["page"] == PAGES[0]
    shop = invented(*task["shop"], rated=rated)
    begin = time.process_time()
    (_rated if rated else _without_ratings)(shop)
    size = shop.size
    row = {
        "size": [size.n_rows, size.n_subjects, size.n_objects, size.n_pairs],
        "seconds": time.process_time() - begin,
        "gib": peak_bytes() / 2**30,
    }
    json.dump(row, sys.stdout)


def _rated(shop) -> None:
    from fsl.cold_start.competition import compete
    from fsl.cold_start.partitions import partition
    from fsl.learners.roster import meta_entries, simple_entries

    entries = simple_entries(1, "short") + meta_entries(100, 1, "short")
    splits = [partition(shop, name) for name in ("user-cold", "item-cold")]
    compete(splits, entries, max_tasks=1000)
    _catalogue(shop, implicit=False)


def _without_ratings(shop) -> None:
    from fsl.behaviours.contest import foretell, take_contenders
    from fsl.errors import InputError
    from fsl.launches.new_items import judge_new_items

    tasks = _catalogue(shop, implicit=True)
    foretell(tasks, take_contenders(tasks, "short"), max_tasks=600)
    with contextlib.suppress(InputError):  # too few new items: the page says so and costs less
        judge_new_items(shop, max_questions=1000)


def _catalogue(shop, implicit: bool):
    from fsl.cold_start.catalogue import rank_catalogue
    from fsl.ranking.roster import affordable, contenders, liked_from
    from fsl.tasks import user_tasks

    tasks = user_tasks(shop, implicit=implicit)
    likes = liked_from(tasks)
    kept, _ = affordable(contenders(tasks, likes, roster="short"), tasks)
    rank_catalogue(tasks, kept, likes=likes, max_tasks=600 if implicit else 1000)
    return tasks


def as_text(found: dict) -> str:
    """A line per page and shop, told beside measured; then the constants as they stand in the code."""
    lines = [headline(found["machine"]), ""]
    lines.append(f"{'page':20} {'rows':>9} {'users':>8} {'items':>8} {'minutes':>15} {'GiB':>15}")
    for row in found["rows"]:
        rows, users, items, _ = row["size"]
        minutes = f"{row['seconds'] / 60:.1f} (told {row['told_seconds'] / 60:.1f})"
        gib = f"{row['gib']:.1f} (told {row['told_gib']:.1f})"
        lines.append(f"{row['page']:20} {rows:9,} {users:8,} {items:8,} {minutes:>15} {gib:>15}")
    for page, parts in found["constants"].items():
        for part, weights in parts.items():
            told = ", ".join(f"{weight:.2f}" for weight in weights)
            lines.append(f"{page} {part}: ({told})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
