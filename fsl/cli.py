"""The commands, each a room's own: `fsl data`, `report`, `train`, `recommend`, `answer`, `abtest`, `guide`, `speed`."""

import argparse
import errno
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TextIO

from fsl.errors import InputError

ROOMS = ("reading", "reporting", "recommending", "texts", "abtest", "guide", "speed")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 a run failed, 2 bad input or usage, 130 Ctrl-C, 141 nobody reads on."""
    try:
        try:
            return _run(argv)
        finally:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _discard(sys.stdout, sys.stderr)
        return 141
    except OSError as error:
        if error.errno not in FULL:
            raise
        _discard(sys.stdout)
        print(f"fsl: the output cannot be written: {error.strerror}.", file=sys.stderr)
        return 1


def _discard(*streams: TextIO) -> None:
    """What is still to be written goes nowhere, so that Python does not complain of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _run(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="fsl", description="Few-shot and meta-learning for a phone shop."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for room in ROOMS:
        import_module(f"fsl.{room}.cli").add_parser(commands)
    args = parser.parse_args(_tied(sys.argv[1:] if argv is None else argv))
    try:
        return args.run(args)
    except InputError as error:
        from fsl.reading.sentences import inert

        for problem in error.problems:
            print(f"fsl: {inert(problem)}", file=sys.stderr)
        return 2


def _tied(argv: Sequence[str]) -> list[str]:
    """`--effect -10%` as `--effect=-10%`: on its own, argparse would take it for an option."""
    found: list[str] = []
    for text in argv:
        before = found[-1] if found else ""
        if re.match(r"-[.,]?\d", text) and re.fullmatch("--[a-z][a-z-]*", before):
            found[-1] = f"{before}={text}"
        else:
            found.append(text)
    return found


if __name__ == "__main__":
    sys.exit(main())
