"""The options of `fsl guide`. What does the work is imported then, so that --help is instant."""

import argparse

GUIDE = """Talk with a guide: a few questions, each the one whose answer is worth most to the final choice; then
three phones with reasons; then it learns from what you say to them."""


def add_parser(commands) -> None:
    """`fsl guide`."""
    from fsl.reading.cli import add_read_options

    about = "talk with a shopping guide"
    parser = commands.add_parser("guide", help=about, description=GUIDE)
    add = parser.add_argument
    about = "a known source, or your tables with ratings (phones-99)"
    add("--data", default="phones-99", metavar="NAME_OR_FOLDER", help=about)
    add("--language", default="en", metavar="en|zh", help="English or Chinese (en)")
    add(
        "--questions", default=3, type=int, metavar="N", help="at most so many before the three (3)"
    )
    add("--ask", default="rate,pair,wish", metavar="KINDS", help="what is asked (rate,pair,wish)")
    add("--seed", default=0, type=int, metavar="N", help="of where the prior's fit begins (0)")
    add_read_options(parser)
    parser.set_defaults(run=run_guide)


def run_guide(args: argparse.Namespace) -> int:
    """Fit the prior, talk. Returns 0, or 130 after Ctrl-C."""
    import torch

    from fsl.errors import InputError
    from fsl.guide.conversation import Guide
    from fsl.guide.shelf import Shelf
    from fsl.guide.terminal import talk
    from fsl.guide.words import LANGUAGES
    from fsl.reading.cli import read_options
    from fsl.reading.sentences import show
    from fsl.sources import open_shop

    torch.set_num_threads(1)
    if args.language not in LANGUAGES:
        expected = ", ".join(LANGUAGES)
        raise InputError(f"--language {show(args.language)}: expected one of {expected}.")
    if args.questions < 0 or not 0 <= args.seed < 2**32:
        seen = f"--questions {args.questions}, --seed {args.seed}"
        raise InputError(f"{seen}: expected whole numbers, 0 or above, a seed below {2**32}.")
    kinds = tuple(kind.strip() for kind in args.ask.split(","))
    shelf = Shelf.of_shop(open_shop(args.data, **read_options(args)), args.seed)
    return talk(Guide(shelf, args.language, args.questions, kinds))
