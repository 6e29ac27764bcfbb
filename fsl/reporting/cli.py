"""The options of `fsl report`. What runs a report is imported then, so that --help is instant."""

import argparse
import os
import sys
from pathlib import Path

from fsl.reporting.presets import DEFAULT_RUN, full_sizes

STOPPED = 130

DESCRIPTION = """Run notebooks and leave pages that anyone can read: NAME--DATA.html, .ipynb, .json
(and .parquet, the per-task records) and an index.html, in reports/ or DIR. Without NOTEBOOK
all are run, each on the first of its data that can be had; a NOTEBOOK that is named, or --all,
on every one of its data. Until the whole run is done the earlier report stays as it is."""


def add_parser(commands) -> None:
    """`fsl report [NOTEBOOK…]`: all its options, and `run` as what it does."""
    from fsl.reading.cli import add_read_options

    about = "run notebooks and leave pages to read"
    parser = commands.add_parser("report", help=about, description=DESCRIPTION, epilog=full_sizes())
    add = parser.add_argument
    default = ", ".join(name.split("_")[0] for name in DEFAULT_RUN)
    add(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help=f"{DEFAULT_RUN[-1]} or {DEFAULT_RUN[-1].split('_')[0]}; default: {default}",
    )
    add(
        "--data",
        action="append",
        default=[],
        metavar="NAME|FOLDER",
        help="a source's name or a folder of tables",
    )
    add(
        "-p",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="assignments",
        help="set a notebook's parameter",
    )
    add("--seed", type=int, metavar="N", help="the same as -p seed=N")
    add("--quick", action="store_true", help="small sizes, some minutes in all")
    add(
        "--full",
        action="store_true",
        help="full sizes of the notebooks that have one: many minutes, or hours",
    )
    add(
        "--jobs",
        type=_positive,
        metavar="N",
        help="notebooks run at once (numbers do not depend on it); default: 2 for the whole report, else 1",
    )
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the report goes; default: reports/ of the clone",
    )
    add("--no-input", action="store_true", help="pages for readers, without code")
    add(
        "--all",
        action="store_true",
        dest="every",
        help="every notebook in the folder, on all of its data",
    )
    add_read_options(parser)
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"wants a whole number above 0, not {text!r}")
    return number


def _usual_jobs(args: argparse.Namespace) -> int:
    """Two at once where everything is run, on two or more cores; chosen notebooks run one after another."""
    return 1 if args.notebooks else min(2, os.cpu_count() or 1)


def run(args: argparse.Namespace) -> int:
    """Run the report. Returns 0 done, 1 a notebook failed, 130 stopped by Ctrl-C."""
    from fsl.errors import InputError
    from fsl.reading.cli import read_options
    from fsl.reporting.plan import Request
    from fsl.reporting.report import run_report

    if args.every and args.notebooks:
        raise InputError("--all means every notebook: leave the names away")
    if args.quick and args.full:
        raise InputError("--quick and --full are two sizes: give one of them")
    options = {name: value for name, value in read_options(args).items() if value}
    request = Request(
        args.notebooks,
        args.data,
        args.assignments,
        args.seed,
        "quick" if args.quick else "full" if args.full else "report",
        args.every,
        options,
    )
    try:
        return run_report(request, args.out, args.jobs or _usual_jobs(args), not args.no_input)
    except KeyboardInterrupt:
        print("fsl: stopped; the earlier report is as it was", file=sys.stderr)
        return STOPPED
    except OSError as error:
        print(f"fsl: {error}; the earlier report is as it was", file=sys.stderr)
        return 1
