"""The options of `fsl speed`. What measures is imported then, so that --help is instant."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DESCRIPTION = """Time a second-order meta-step, beside the library higher (and learn2learn and torchopt, where
they are installed), in one interleaved run: medians, ratios, peak memory. About five minutes; best on an
idle machine."""
WORKS = ("W1", "W2", "W3")
LEAST_ROWS, MOST_ROWS = 10_000, 1_000_000_000  # below, nobody has enough; above, no disk has
MOST_ITEMS = 1_000_000
QUICK = {"W1": (25,), "W2": (32,), "W3": (4,)}


def add_parser(commands) -> None:
    """`fsl speed`: all its options, and `run` as what it does."""
    about = "time a meta-step beside other libraries"
    parser = commands.add_parser("speed", help=about, description=DESCRIPTION)
    add = parser.add_argument
    add("--works", metavar="W1,W2,W3", help="sine waves, a recommender, images; default: all")
    add("--meta-batches", metavar="N,N,…", help="tasks per step; default: each work's own")
    add("--repeats", metavar="N", default="9", help="rounds, of which the median is taken")
    add("--threads", metavar="N", default="1", help="threads of torch (the bars are for one)")
    add("--quick", action="store_true", help="few sizes, three rounds, nothing compiled")
    add("--no-memory", action="store_true", help="leave out peak memory")
    add("--markdown", action="store_true", help="tables for a page")
    about = "all numbers as JSON, to FILE or in place of the table"
    add("--json", nargs="?", const="-", metavar="FILE", help=about)
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(metavar="ACTION")
    about = "time adapting to one new user and ranking a catalogue"
    _add_recommend(actions.add_parser("recommend", help=about, description=about.capitalize()))
    about = "time reading, splitting and making tasks of up to 20 million behaviours"
    _add_tasks(actions.add_parser("tasks", help=about, description=about.capitalize()))
    about = "time and memory of a verdict's page, from which reports tell what they will cost"
    _add_verdict(actions.add_parser("verdict", help=about, description=about.capitalize()))


def _add_recommend(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--items", metavar="N", default="10000", help="items to rank (10000)")
    add("--calls", metavar="N", default="200", help="users, of which the median is taken (200)")
    add("--json", nargs="?", const="-", metavar="FILE", help="all numbers as JSON")
    parser.set_defaults(run=run_recommend)


def _add_tasks(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rows", metavar="N,N,…", default="", help="sizes (100000 to 20000000)")
    add("--json", nargs="?", const="-", metavar="FILE", help="all numbers as JSON")
    parser.set_defaults(run=run_tasks)


def _add_verdict(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--json", nargs="?", const="-", metavar="FILE", help="all numbers as JSON")
    parser.set_defaults(run=run_verdict)


def run_verdict(args: argparse.Namespace) -> int:
    """Measure and print. Returns 0."""
    from fsl.speed.verdict import as_text
    from fsl.speed.verdict import run as measure

    _check_json(args.json)
    _write(measure(tell=_tell), args.json, as_text)
    return 0


def run_tasks(args: argparse.Namespace) -> int:
    """Measure and print. Returns 0."""
    from fsl.errors import InputError
    from fsl.speed.tasks import SIZES, as_text
    from fsl.speed.tasks import run as measure

    sizes = _numbers("--rows", args.rows) if args.rows else SIZES
    if not LEAST_ROWS <= min(sizes) <= max(sizes) <= MOST_ROWS:
        raise InputError(f"--rows {args.rows!r}: expected {LEAST_ROWS:,} to {MOST_ROWS:,}.")
    _check_json(args.json)
    _write(measure(sizes, _tell), args.json, as_text)
    return 0


def run_recommend(args: argparse.Namespace) -> int:
    """Measure and print. Returns 0."""
    from fsl.errors import InputError
    from fsl.speed.recommend import N_SHOTS, as_text
    from fsl.speed.recommend import run as measure

    (n_items,), (calls,) = (
        _numbers(f"--{word}", getattr(args, word), most=1) for word in ("items", "calls")
    )
    if n_items <= N_SHOTS or calls < 2:
        raise InputError(f"--items and --calls: expected more than {N_SHOTS} items and 2 calls.")
    if n_items > MOST_ITEMS:
        raise InputError(f"--items {n_items:,}: expected at most {MOST_ITEMS:,}.")
    _check_json(args.json)
    with _threads(1):
        found = measure(n_items, calls, _tell)
    _write(found, args.json, as_text)
    return 0


def run(args: argparse.Namespace) -> int:
    """Measure and print. Returns 0, or 1 if a contender fell or has another meta-gradient."""
    from fsl.errors import InputError

    names = _names(args.works)
    sizes = _numbers("--meta-batches", args.meta_batches) if args.meta_batches is not None else None
    (repeats,), (threads,) = (
        _numbers(f"--{word}", getattr(args, word), most=1) for word in ("repeats", "threads")
    )
    if args.json == "-" and args.markdown:
        raise InputError("--json and --markdown both print: give --json a file, or leave one away.")
    _check_json(args.json)
    found = _measured(args, names, sizes, repeats, threads)
    from fsl.speed.table import as_markdown, as_text

    _write(found, args.json, as_markdown if args.markdown else as_text)
    return int(any(row["status"] == "error" for row in found["rows"]))


def _measured(
    args: argparse.Namespace, names: list[str], sizes, repeats: int, threads: int
) -> dict:
    from fsl.speed.contenders import contenders
    from fsl.speed.run import run as run_all
    from fsl.speed.works import make_works

    works = [work for work in make_works() if work.name in names]
    quick = QUICK if args.quick else {}
    plan = [(work, sizes or quick.get(work.name, work.meta_batches)) for work in works]
    chosen = [one for one in contenders() if not (args.quick and one.compiles)]
    rounds = min(repeats, 3) if args.quick else repeats
    with _threads(threads), _compiler(threads):
        return run_all(plan, chosen, rounds, memory=not args.no_memory, tell=_tell)


def _tell(line: str) -> None:
    print(f"fsl: {line} …", file=sys.stderr, flush=True)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _compiler(threads: int) -> Iterator[None]:
    """Compiled code goes to a folder of its own, lest an earlier run shorten the first call."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        new = {
            "TORCHINDUCTOR_CACHE_DIR": folder,
            "TORCHINDUCTOR_COMPILE_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
        }
        before = {name: os.environ.get(name) for name in new}
        os.environ.update(new)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _check_json(path: str | None) -> None:
    from fsl.errors import InputError

    if path not in (None, "-"):
        whole = Path(path).absolute()
        if not path or whole.is_dir() or not whole.parent.is_dir():
            raise InputError(f"--json {path!r}: expected a file in a folder that is there.")


def _write(found: dict, path: str | None, as_text: Callable[[dict], str]) -> None:
    """The table; or JSON in its place, or beside it in a file."""
    import json

    if path == "-":
        print(json.dumps(found, indent=1))
        return
    print(as_text(found))
    if path:
        Path(path).write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _names(text: str | None) -> list[str]:
    from fsl.errors import InputError

    names = [name.strip() for name in text.split(",")] if text is not None else list(WORKS)
    for name in names:
        if name not in WORKS:
            raise InputError(f"--works: no work is called {name!r}, expected some of W1, W2, W3.")
    return names


def _numbers(option: str, text: str, most: int | None = None) -> list[int]:
    from fsl.errors import InputError

    words = [word.strip() for word in text.split(",")]
    bad = [word for word in words if not (word.isascii() and word.isdecimal() and int(word) > 0)]
    if bad or len(words) > (most or len(words)):
        expected = "a whole number above 0" if most else "whole numbers above 0, such as 1,8,32"
        raise InputError(f"{option}: {text!r}, expected {expected}.")
    return list(dict.fromkeys(map(int, words)))
