"""The commands: `fsl data`, `report`, `train`, `recommend`, `speed`, `guide`. Dispatches; what runs imports its own."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from fsl.errors import InputError

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
    _add_data(commands)
    _add_report(commands)
    _add_recommending(commands)
    _add_speed(commands)
    _add_guide(commands)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except InputError as error:
        from fsl.reading.sentences import inert

        for problem in error.problems:
            print(f"fsl: {inert(problem)}", file=sys.stderr)
        return 2


def _add_data(commands) -> None:
    """`fsl data`, `fsl data fetch NAME…`, `fsl data check FOLDER`."""
    from fsl.reading.cli import add_parser

    add_parser(commands)


def _add_report(commands) -> None:
    """`fsl report [NOTEBOOK…]`."""
    from fsl.reporting.cli import add_arguments

    add_arguments(commands.add_parser("report", help="run notebooks and leave pages to read"))


def _add_recommending(commands) -> None:
    """`fsl train` and `fsl recommend`."""
    from fsl.recommending.cli import add_parsers

    add_parsers(commands)


def _add_speed(commands) -> None:
    """`fsl speed`."""
    from fsl.speed.cli import add_arguments

    add_arguments(commands.add_parser("speed", help="time a meta-step beside other libraries"))


def _add_guide(commands) -> None:
    """`fsl guide`."""
    from fsl.guide.cli import add_arguments

    add_arguments(commands.add_parser("guide", help="talk with a shopping guide"))


if __name__ == "__main__":
    sys.exit(main())
