"""From a table of behaviours to an episode: how seconds and memory grow with the rows, each size in a fresh process.

    {"schema": 1, "machine": as in `fsl.speed.run`,
     "rows": [{"n_rows", "n_users", "read_s", "tasks_s", "split_s", "episode_s", "peak_mib"}],
     "bars": [{"n_rows", "at_most_gib", "measured", "met"}]}

The table is invented: a hundred behaviours per user, ratings, a moment each, as Parquet. Run as a program it reads the
folder's name from its input and prints one row; peak memory is of that whole process, imports included.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fsl.speed.machine import about_machine
from fsl.speed.memory import MIB, in_fresh_process, peak_bytes
from fsl.speed.table import headline

SIZES = (100_000, 1_000_000, 5_000_000, 20_000_000)
AT_MOST_GIB = 8.0
ROWS_PER_USER, N_ITEMS = 100, 5_000
N_TASKS, N_SHOTS, N_QUERY = 1_000, 10, 10
_ROWS_AT_ONCE = 1_000_000
PARTS = ("read_s", "tasks_s", "split_s", "episode_s")


def run(sizes: Sequence[int] = SIZES, tell: Callable[[str], None] = lambda line: None) -> dict:
    """Measure every size; see the module for what is returned."""
    rows = []
    for n_rows in sizes:
        tell(f"{n_rows:,} rows")
        with tempfile.TemporaryDirectory() as folder:
            invent(Path(folder), n_rows)
            rows.append(in_fresh_process("fsl.speed.tasks", folder))
    peaks = {row["n_rows"]: row["peak_mib"] / 1024 for row in rows}
    bars = [
        {"n_rows": n, "at_most_gib": AT_MOST_GIB, "measured": gib, "met": gib <= AT_MOST_GIB}
        for n, gib in peaks.items()
    ]
    return {"schema": 1, "machine": about_machine(), "rows": rows, "bars": bars[-1:]}


def invent(folder: Path, n_rows: int, seed: int = 0) -> None:
    """`interactions.parquet` of `n_rows` invented behaviours, written in parts, so that memory stays small."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, writer = np.random.default_rng(seed), None
    for begin in range(0, n_rows, _ROWS_AT_ONCE):
        rows = np.arange(begin, min(begin + _ROWS_AT_ONCE, n_rows))
        users, place = np.divmod(rows, ROWS_PER_USER)
        joined = (
            users * 7_919 % 99_991 * 1_000
        )  # users come over three years, each for an hour or two
        table = pa.table({
            "user": users.astype(np.int32),
            "item": rng.integers(N_ITEMS, size=len(rows), dtype=np.int32),
            "rating": rng.integers(1, 6, size=len(rows)).astype(np.int8),
            "timestamp": 1.6e9 + joined + 60.0 * place,
        })  # fmt: skip
        writer = writer or pq.ParquetWriter(folder / "interactions.parquet", table.schema)
        writer.write_table(table)
    writer.close()


def main() -> None:
    """The program: read, make tasks, split by time, draw one episode of a thousand tasks."""
    import torch

    from fsl.episodes import sample_episode
    from fsl.reading.read import read_shop
    from fsl.tasks import split_by_time, user_tasks

    torch.set_num_threads(1)
    folder, took = json.load(sys.stdin), {}

    def timed(name: str, step: Callable):
        begin = time.perf_counter()
        made = step()
        took[name] = time.perf_counter() - begin
        return made

    shop = timed("read_s", lambda: read_shop(folder, duplicates="last"))
    tasks = timed("tasks_s", lambda: user_tasks(shop))
    split = timed("split_s", lambda: split_by_time(tasks))
    drawn = torch.Generator().manual_seed(0)
    timed(
        "episode_s",
        lambda: sample_episode(split.train, N_SHOTS, N_QUERY, drawn, n_tasks=N_TASKS),
    )
    sizes = {"n_rows": len(shop.interactions), "n_users": len(tasks)}
    json.dump({**sizes, **took, "peak_mib": peak_bytes() / MIB}, sys.stdout)


def as_text(found: dict) -> str:
    """A line per size, and whether the largest stays inside its memory."""
    lines = [headline(found["machine"]), ""]
    lines.append(
        f"{'rows':>12} {'users':>9} {'read':>8} {'tasks':>8} {'split':>8} {'episode':>8} {'peak':>9}"
    )
    for row in found["rows"]:
        seconds = " ".join(f"{row[part]:6.2f} s" for part in PARTS)
        lines.append(
            f"{row['n_rows']:12,} {row['n_users']:9,} {seconds} {row['peak_mib']:5,.0f} MiB"
        )
    for bar in found["bars"]:
        met = "met" if bar["met"] else "not met"
        lines.append(
            f"\n{bar['n_rows']:,} rows in {bar['measured']:.1f} GiB; at most {bar['at_most_gib']:g}: {met}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
