"""The options of `fsl speed`. What measures is imported then, so that --help is instant."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DESCRIPTION = """Time a second-order meta-step, beside the library higher (and learn2learn and torchopt, where
they are installed), in one interleaved run: medians, ratios, peak memory. About five minutes; best on an
idle machine."""
WORKS = ("W1", "W2", "W3")
QUICK = {"W1": (25,), "W2": (32,), "W3": (4,)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options of `fsl speed`, and `run` as what it does."""
    parser.description = DESCRIPTION
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
    if args.json not in (None, "-"):
        path = Path(args.json).absolute()
        if not args.json or path.is_dir() or not path.parent.is_dir():
            raise InputError(f"--json {args.json!r}: expected a file in a folder that is there.")
    found = _measured(args, names, sizes, repeats, threads)
    _print(found, args)
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


def _print(found: dict, args: argparse.Namespace) -> None:
    import json

    from fsl.speed.table import as_markdown, as_text

    if args.json == "-":
        print(json.dumps(found, indent=1))
        return
    print(as_markdown(found) if args.markdown else as_text(found))
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1) + "\n", "utf-8")


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
