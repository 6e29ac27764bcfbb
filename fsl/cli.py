"""The command line: `fsl data …` and `fsl report …`. Parses and dispatches; what runs imports what it needs."""

import argparse
import sys
from collections.abc import Sequence

from fsl.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 a run failed, 2 bad input or usage."""
    parser = argparse.ArgumentParser(
        prog="fsl", description="Few-shot and meta-learning for a phone shop."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_data(commands)
    _add_report(commands)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except InputError as error:
        for problem in error.problems:
            print(f"fsl: {problem}", file=sys.stderr)
        return 2


def _add_data(commands) -> None:
    """`fsl data`, `fsl data fetch NAME…`, `fsl data check FOLDER`."""
    from fsl.reading.cli import add_parser

    add_parser(commands)


def _add_report(commands) -> None:
    """`fsl report [NOTEBOOK…]`."""
    from fsl.reporting.cli import add_arguments

    add_arguments(commands.add_parser("report", help="run notebooks and leave pages to read"))


if __name__ == "__main__":
    sys.exit(main())
