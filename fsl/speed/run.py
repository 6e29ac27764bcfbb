"""One interleaved run over works, meta-batches and contenders, as a dictionary that JSON can hold.

    {"schema": 1,
     "machine": {"cpu", "threads", "torch", "higher", "python", "date", "load", "clock", "matmul_gflops"},
     "works":   [{"name", "n_steps", "about"}],
     "rows":    [{"work", "n_steps", "meta_batch", "contender", "status", "note", "ms", "quartiles_ms", "rounds",
                  "ratio_to_higher", "peak_mib", "flop_share", "first_call_seconds", "gradient_error"}],
     "bars":    [{"work", "n_steps", "meta_batch", "contender", "against", "at_least", "measured", "met"}]}

ms: median over rounds of the time of one meta-step, quartiles_ms [Q1, Q3]. ratio_to_higher: median of `higher`, best
use, over ms; above 1 is faster than it. peak_mib: what one step took beyond network, episode and imports, in a process
of its own. flop_share: floating-point operations of the plain algorithm, per second, over those of a 1024 x 1024
float32 product timed in the same rounds; machine.matmul_gflops is that product's before the run, at its fastest.
first_call_seconds: of compiled steps, tracing and compilation included, unless a smaller meta-batch had chunks of the
same shapes. status: "timed", "not run" or "error", which `note` explains; what was not measured is null. load: the
machine's load average when the run began, or null. clock: "CPU", the time the process had a core, for one thread;
"wall" for more.
"""

from collections.abc import Callable, Sequence

import torch

from fsl.episodes import Episode, Examples
from fsl.speed.bars import judge
from fsl.speed.contenders import REFERENCE, Contender, Step
from fsl.speed.machine import about_machine, clock
from fsl.speed.measure import (
    PRODUCT_FLOPS,
    cleared,
    flops_of,
    gradient_error,
    interleaved,
    large_product,
    quartiles,
    seconds_of,
)
from fsl.speed.memory import peaks
from fsl.speed.works import Work

TOLERANCE = 1e-3  # of the meta-gradient, in float32; second order, five steps and a ReLU's kink leave some 1e-5
TOO_LONG = 2.0  # seconds per call, from which on a contender is not run: but `higher` is
PATIENCE = 9.0  # seconds that the rounds of one meta-batch may take, if there are three
YARDSTICK = "large product"
N_COUNTED = 32  # tasks whose operations are counted; more are proportional

Plan = Sequence[tuple[Work, Sequence[int]]]


def run(
    plan: Plan,
    chosen: Sequence[Contender],
    repeats: int = 9,
    memory: bool = True,
    tell: Callable[[str], None] = lambda line: None,
) -> dict:
    """Time `chosen`, which `higher` leads, at each work's meta-batches; see the module for what is returned."""
    machine, rows = about_machine(), []
    for work, meta_batches in plan:
        for n_tasks in meta_batches:
            tell(f"{work.name}, {work.n_steps} inner, meta-batch {n_tasks}")
            rows += _setting(work, n_tasks, chosen, repeats)
        if memory:
            tell(f"{work.name}, {work.n_steps} inner, memory")
            _add_peaks([row for row in rows if (row["work"], row["n_steps"]) == work.key])
    works = [{"name": w.name, "n_steps": w.n_steps, "about": w.about} for w, _ in plan]
    return {
        "schema": 1,
        "machine": machine,
        "works": works,
        "rows": rows,
        "bars": judge(rows),
    }


def _setting(work: Work, n_tasks: int, chosen: Sequence[Contender], repeats: int) -> list[dict]:
    """The rows of one work at one meta-batch: each contender checked, then all timed together."""
    episode = work.episode(n_tasks)
    rows, steps, expected = [], {}, None
    for contender in chosen:
        if not contender.differs(work, n_tasks):
            continue
        row = _empty_row(work, n_tasks, contender)
        rows.append(row)
        step = _checked(row, work, contender, episode, expected)
        if step is not None:
            steps[contender.name] = step
        if contender.name == REFERENCE:
            expected = [p.grad for p in work.parameters]
        if not steps:  # without `higher` there is nothing to compare with
            return rows
    _fill(rows, steps, repeats, _flops(work, chosen[0], episode))
    return rows


def _empty_row(work: Work, n_tasks: int, contender: Contender) -> dict:
    names = "status note ms quartiles_ms rounds ratio_to_higher peak_mib flop_share first_call_seconds gradient_error"
    place = {"work": work.name, "n_steps": work.n_steps, "meta_batch": n_tasks}
    return place | {"contender": contender.name} | dict.fromkeys(names.split())


def _checked(
    row: dict, work: Work, contender: Contender, episode: Episode, expected
) -> Step | None:
    """The contender's step, if its meta-gradient is that of `higher` and it is not too slow; else `row` says why."""
    try:
        step = cleared(contender.step(work, episode), work.parameters)
        first = seconds_of(step) if contender.compiles else seconds_of(step, clock()[1])
    except Exception as error:  # of any library, and said in the table
        said = (str(error).splitlines() or [""])[0]
        row |= {"status": "error", "note": f"fell with {type(error).__name__}: {said}"}
        return None
    row["first_call_seconds"] = first if contender.compiles else None
    found = [p.grad for p in work.parameters]
    row["gradient_error"] = error = gradient_error(found, expected or found)
    if not error <= TOLERANCE:
        far = f"its meta-gradient is {error:.1e} from that of {REFERENCE}, relative"
        row |= {"status": "error", "note": far, "gradient_error": min(error, 1e9)}
        return None
    if first > TOO_LONG and contender.name != REFERENCE and not contender.compiles:
        row |= {"status": "not run", "note": f"takes {first:.1f} s per call"}
        return None
    return step


def _flops(work: Work, reference: Contender, episode: Episode) -> float:
    n_tasks = len(episode.query.inputs)
    some = Episode(
        *(Examples(*(t if t is None else t[:N_COUNTED] for t in side)) for side in episode)
    )
    counted = flops_of(cleared(reference.step(work, some), work.parameters))
    return counted * n_tasks / min(n_tasks, N_COUNTED)


def _fill(rows: list[dict], steps: dict[str, Step], repeats: int, flops: float) -> None:
    """Time `steps`, which do `flops` operations each, and write down what came of it."""
    warm = sum(max(0.03, seconds_of(step, clock()[1])) for step in steps.values())
    rounds = min(repeats, max(3, int(PATIENCE / warm)))
    seconds = interleaved({**steps, YARDSTICK: large_product()}, rounds, clock()[1])
    spread = {name: quartiles(found) for name, found in seconds.items()}
    at_peak = flops / PRODUCT_FLOPS * spread[YARDSTICK][1]
    for row in rows:
        if row["contender"] in steps:
            low, median, high = spread[row["contender"]]
            row |= {
                "status": "timed",
                "ms": median,
                "quartiles_ms": [low, high],
                "rounds": rounds,
                "ratio_to_higher": spread[REFERENCE][1] / median,
                "flop_share": at_peak / median,
            }


def _add_peaks(rows: list[dict]) -> None:
    """Peak memory of what was timed in these rows, all of one work."""
    wanted: dict[int, list[str]] = {}
    for row in rows:
        if row["status"] == "timed":
            wanted.setdefault(row["meta_batch"], []).append(row["contender"])
    if not wanted:
        return
    found = peaks((rows[0]["work"], rows[0]["n_steps"]), wanted, torch.get_num_threads())
    for row in rows:
        row["peak_mib"] = found.get(row["meta_batch"], {}).get(row["contender"])
