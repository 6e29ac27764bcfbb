"""Peak memory of one step, in a process of its own: what it took beyond network, episode and imports.

Run as a program it reads {"name", "n_steps", "threads", "wanted": {n_tasks: [contender, …]}} from its input and prints
{n_tasks: {contender: MiB or null}}. It builds everything, runs nothing, and forks a child for each step; a child begins
with a peak of its own, which a process that is started anew would inherit from its parent. Compiled steps find the
compiler imported, and what the same cache folder knows compiled.
"""

import ctypes
import gc
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

MIB = 2**20
Wanted = Mapping[int, Sequence[str]]


def peaks(key: tuple[str, int], wanted: Wanted, threads: int) -> dict[int, dict[str, float]]:
    """MiB of each wanted contender at each n_tasks; {} where processes cannot fork. None is for a step that fell."""
    if not hasattr(os, "fork"):
        return {}
    asked = {"name": key[0], "n_steps": key[1], "threads": threads, "wanted": wanted}
    found = in_fresh_process("fsl.speed.memory", asked)
    return {int(n): peak for n, peak in found.items()}


def in_fresh_process(module: str, task: object) -> dict:
    """What the program `module` prints as JSON when it is given `task` as JSON; RuntimeError where it falls."""
    done = subprocess.run(
        [sys.executable, "-m", module], input=json.dumps(task), capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"the process that was to be measured fell: {done.stderr[-400:]}")
    return json.loads(done.stdout)


def peak_bytes() -> int:
    """The most this process ever had in memory."""
    try:
        with open("/proc/self/status") as lines:
            return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


def in_child(step: Callable[[], None]) -> int | None:
    """`peak_bytes` of a forked child that ran `step`; None if it fell."""
    _give_back()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_report, args=(step, there))
    child.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        return None
    finally:
        child.join()


def _give_back() -> None:
    """What is free but still held would make room for the step, unseen."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)


def _report(step: Callable[[], None], pipe) -> None:
    step()
    pipe.send(peak_bytes())


def main() -> None:
    """The program."""
    import torch

    from fsl.speed.contenders import contenders
    from fsl.speed.works import make_works

    asked = json.load(sys.stdin)
    torch.set_num_threads(1)  # what forks must not have threads yet
    work = next(w for w in make_works() if w.key == (asked["name"], asked["n_steps"]))
    known = {contender.name: contender for contender in contenders()}
    if any(known[name].compiles for names in asked["wanted"].values() for name in names):
        import torch._inductor.compile_fx

    def peak(step: Callable[[], None]) -> int | None:
        def run() -> None:
            torch.set_num_threads(asked["threads"])
            step()

        return in_child(run)

    found = {}
    for n_tasks, names in asked["wanted"].items():
        steps = {name: known[name].step(work, work.episode(int(n_tasks))) for name in names}
        base = peak(lambda: None)
        measured = {name: peak(step) for name, step in steps.items()}
        found[n_tasks] = {
            name: None if top is None else (top - base) / MIB for name, top in measured.items()
        }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
