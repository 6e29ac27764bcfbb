"""The options of `fsl train` and `fsl recommend`. What does the work is imported then, so that --help is instant."""

import argparse
import sys
from pathlib import Path

TRAIN = (
    """Fit a learner on all behaviours of a shop and leave one model file, for `fsl recommend`."""
)
RECOMMEND = """What to show one new user, from a few ratings; or whom to show one new item, from its columns and first
reactions. Each line has what is expected, an interval that holds nine of ten ratings, and why."""


def add_parser(commands) -> None:
    """`fsl train` and `fsl recommend`."""
    _add_train(
        commands.add_parser("train", help="make a model file from a shop", description=TRAIN)
    )
    about = "ask a model file for one user or one new item"
    _add_recommend(commands.add_parser("recommend", help=about, description=RECOMMEND))


def _add_train(parser: argparse.ArgumentParser) -> None:
    from fsl.reading.cli import add_read_options

    add = parser.add_argument
    add("--data", required=True, metavar="NAME_OR_FOLDER", help="a known source, or your tables")
    about = "EB+ (default), ALPaCA, ridge head, or item kNN (default without ratings)"
    add("--learner", metavar="NAME", help=about)
    add("--out", required=True, metavar="MODEL", help="the file to write, such as phones.fsl")
    add("--seed", default=0, type=int, metavar="N", help="of what is drawn in training (0)")
    add_read_options(parser)
    parser.set_defaults(run=run_train)


def _add_recommend(parser: argparse.ArgumentParser) -> None:
    from fsl.reading.cli import add_column_option

    add = parser.add_argument
    add("--model", required=True, metavar="MODEL", help="a file of `fsl train`")
    add("--user", metavar="FILE.csv", help="columns item and rating; without it: a stranger")
    add("--about", metavar="FILE.csv", help="one row: the user's own columns, such as age")
    add("--new-item", metavar="FILE.csv", help="one row: the new item's columns, such as price")
    add("--reactions", metavar="FILE.csv", help="columns user and rating: its first reactions")
    add("--top", default=10, type=int, metavar="N", help="how many lines (10)")
    add("--reasons", default=2, type=int, metavar="N", help="how many reasons are named (2)")
    add_column_option(parser)
    parser.set_defaults(run=run_recommend)


def run_train(args: argparse.Namespace) -> int:
    """Read, fit, write. Returns 0."""
    from fsl.errors import InputError
    from fsl.reading.cli import read_options
    from fsl.reading.sentences import inert
    from fsl.recommending.model_file import may_be_written
    from fsl.recommending.train import LEARNERS, train
    from fsl.sources import open_shop

    out = Path(args.out)
    if args.learner is not None and args.learner not in LEARNERS:
        raise InputError(f"--learner {args.learner!r}: expected one of {', '.join(LEARNERS)}.")
    if not args.out or not may_be_written(out):
        raise InputError(f"--out {args.out!r}: expected a file in a folder that is there.")
    if not 0 <= args.seed < 2**32:
        raise InputError(f"--seed {args.seed}: expected a whole number from 0 to {2**32 - 1}.")
    model = train(open_shop(args.data, **read_options(args)), args.learner, args.seed, _tell)
    model.save(out)
    print(f"{inert(args.out)}: {inert(repr(model))}, {out.stat().st_size / 1e6:.1f} MB")
    return 0


def run_recommend(args: argparse.Namespace) -> int:
    """Load, ask, print. Returns 0."""
    from fsl.errors import InputError
    from fsl.reading.cli import column_options
    from fsl.recommending.intake import check_columns
    from fsl.recommending.model_file import load_model

    of_item = args.new_item is not None or args.reactions is not None
    if of_item and (args.user is not None or args.about is not None):
        both = "--new-item and --reactions are of a new item, --user and --about of a user"
        raise InputError(f"{both}: ask for one of them.")
    if args.top < 1 or args.reasons < 0:
        seen = f"--top {args.top}, --reasons {args.reasons}"
        raise InputError(f"{seen}: expected whole numbers, --top above 0.")
    model, columns = load_model(args.model), column_options(args)
    check_columns(columns, model)
    options = {"top": args.top, "reasons": args.reasons}
    if of_item:
        known = _known(args.reactions, model, "item", columns)
        found = model.audience(_attributes(args.new_item, columns), known, **options)
    else:
        known = _known(args.user, model, "user", columns)
        found = model.recommend(known, about=_attributes(args.about, columns), **options)
    for note in found.notes:
        _tell(note)
    print(found)
    return 0


def _known(path: str | None, model, newcomer: str, columns: dict[str, str]):
    from fsl.recommending.intake import known_of, read_rows

    if path is None:
        return ()
    known, notes = known_of(read_rows(path), model, newcomer, columns)
    for note in notes:
        _tell(note)
    return known


def _attributes(path: str | None, columns: dict[str, str]) -> dict[str, str] | None:
    from fsl.recommending.intake import attributes_of, read_rows

    return None if path is None else attributes_of(read_rows(path), columns)


def _tell(line: str) -> None:
    from fsl.reading.sentences import inert

    print(f"fsl: {inert(line)}", file=sys.stderr, flush=True)
