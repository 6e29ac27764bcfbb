"""A run's dictionary as text for a terminal and as Markdown for a page. Knows its schema only."""

from collections.abc import Sequence


def as_text(found: dict) -> str:
    """All rows, setting by setting, the machine above and the bars below."""
    parts = [headline(found["machine"])]
    for work in found["works"]:
        parts.append(f"\n{_title(work)}")
        rows = [row for row in found["rows"] if _of(row, work)]
        for n_tasks in _meta_batches(rows):
            parts.append(f"\n  meta-batch {n_tasks}")
            parts.append(
                f"    {'':<22}{'ms':>10}  {'quartiles':<19}{'x higher':>9}{'MiB':>8}{'peak':>7}"
            )
            parts += [_line(row) for row in rows if row["meta_batch"] == n_tasks]
    return "\n".join([*parts, "", *_bars(found["bars"])])


def as_markdown(found: dict) -> str:
    """One table per work: contenders down, meta-batches across, `ms (ratio to higher) MiB` in a cell."""
    parts = [headline(found["machine"])]
    for work in found["works"]:
        rows = [row for row in found["rows"] if _of(row, work)]
        sizes = _meta_batches(rows)
        parts += ["", f"**{_title(work)}**: ms (times as fast as `higher`), peak MiB", ""]
        parts.append("| meta-batch | " + " | ".join(map(str, sizes)) + " |")
        parts.append("|---" + "|---:" * len(sizes) + "|")
        cells = {(row["contender"], row["meta_batch"]): _cell(row) for row in rows}
        for name in dict.fromkeys(row["contender"] for row in rows):
            parts.append(
                f"| {name} | " + " | ".join(cells.get((name, n), "") for n in sizes) + " |"
            )
    return "\n".join([*parts, "", *(f"- {line}" for line in _bars(found["bars"])[1:])])


def headline(machine: dict) -> str:
    """What the numbers depend on, in one line."""
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    load = "" if machine["load"] is None else f", load {machine['load']:.1f}"
    return (
        f"{machine['cpu']}, {threads}, torch {machine['torch']}, higher {machine['higher']}, "
        f"Python {machine['python']}, {machine['date']}{load}; "
        f"{machine['clock']} time; matrix product {machine['matmul_gflops']:.0f} GFLOP/s"
    )


def _title(work: dict) -> str:
    steps = "1 step" if work["n_steps"] == 1 else f"{work['n_steps']} steps"
    return f"{work['name']}, {steps}: {work['about']}"


def _of(row: dict, work: dict) -> bool:
    return (row["work"], row["n_steps"]) == (work["name"], work["n_steps"])


def _meta_batches(rows: Sequence[dict]) -> list[int]:
    return list(dict.fromkeys(row["meta_batch"] for row in rows))


def _line(row: dict) -> str:
    name = f"    {row['contender']:<22}"
    if row["status"] != "timed":
        return f"{name}{row['status']:>10}: {row['note']}"
    low, high = row["quartiles_ms"]
    mib = "" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
    spread = f"{_ms(low)} to {_ms(high)}"
    first = row["first_call_seconds"]
    after = "" if first is None else f"   first call {first:.1f} s"
    return (
        f"{name}{_ms(row['ms']):>10}  {spread:<19}{row['ratio_to_higher']:>9.2f}{mib:>8}"
        f"{row['flop_share']:>7.1%}{after}"
    )


def _cell(row: dict) -> str:
    if row["status"] != "timed":
        return row["status"]
    mib = "" if row["peak_mib"] is None else f" {row['peak_mib']:.0f}"
    return f"{_ms(row['ms'])} ({_three(row['ratio_to_higher'])}){mib}"


def _ms(value: float) -> str:
    """Three digits, and whole milliseconds from 100 on."""
    return f"{value:.0f}" if value >= 100 else _three(value)


def _three(value: float) -> str:
    return f"{value:.{2 if value < 10 else 1}f}" if value >= 1 else f"{value:.3f}"


def _bars(bars: Sequence[dict]) -> list[str]:
    told = "bars (one thread, second order, ratio of medians; a few rounds or a busy machine say little)"
    return [told, *map(_bar, bars)]


def _bar(bar: dict) -> str:
    steps = "1 step" if bar["n_steps"] == 1 else f"{bar['n_steps']} steps"
    where = f"{bar['work']}, {steps}, meta-batch {bar['meta_batch']}"
    asked = f"{bar['contender']} at least {bar['at_least']:g} x {bar['against']}"
    if bar["met"] is None:
        return f"not measured  {where}: {asked}"
    return f"{'met' if bar['met'] else 'NOT MET':<12}  {where}: {asked}, measured {bar['measured']:.2f}"
