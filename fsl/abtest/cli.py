"""`fsl abtest plan` and `fsl abtest read`. What does the work is imported then, so that --help is instant."""

import argparse
import sys
from pathlib import Path

ABOUT = "Plan an A/B test, or read one from a table of your own."
PLAN = """How many users a test needs, and how many days: once, at the end, and if you want to look every day."""
READ = """What a test says, from a CSV file with one row per user: columns variant, user, and one or more metrics; where
there are any, NAME_before (the metric NAME before the test), scene, and day. A paragraph in words, and a figure."""


def add_parser(commands) -> None:
    """`fsl abtest plan` and `fsl abtest read`."""
    actions = commands.add_parser("abtest", help=ABOUT, description=ABOUT).add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    _add_plan(actions.add_parser("plan", help="users and days for an effect", description=PLAN))
    _add_read(actions.add_parser("read", help="what a finished test says", description=READ))


def _add_plan(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    mean = "the control's mean; without --sd a share between 0 and 1, such as 0.08 or 8%%"
    add("--baseline", required=True, type=_number, metavar="X", help=mean)
    size = "the change to be seen: in the metric's unit, or with %% of the baseline (10%%)"
    add("--effect", metavar="X", help=size)
    add("--sd", type=float, metavar="X", help="standard deviation over users, for a mean")
    add("--per-day", type=float, metavar="N", help="new users a day, both arms together")
    days = "in place of --effect: the smallest effect that so many days can see"
    add("--days", type=int, metavar="N", help=days)
    add("--power", default=0.8, type=_number, metavar="X", help="chance of seeing it (0.8)")
    rho = "correlation of the metric with the same user's past, for CUPED (0: not used)"
    add("--rho", default=0.0, type=float, metavar="X", help=rho)
    _add_common(parser)
    parser.set_defaults(run=run_plan)


def _add_read(parser: argparse.ArgumentParser) -> None:
    from fsl.reading.cli import add_column_option

    add = parser.add_argument
    add("file", metavar="FILE.csv", help="one row per user")
    metric = "a column to judge (may be repeated; by default every further column of numbers)"
    add("--metric", action="append", default=[], metavar="COLUMN", help=metric)
    before = "where a metric's past stands, if not in METRIC_before (may be repeated)"
    add("--before", action="append", default=[], type=_pair, metavar="METRIC=COLUMN", help=before)
    add("--control", metavar="NAME", help="the variant to compare with, if its name does not say")
    effect = (
        "the change of a metric that was planned for; sets where always-valid intervals are tight"
    )
    add("--effect", action="append", default=[], type=_pair, metavar="METRIC=X", help=effect)
    add_column_option(parser)
    _add_common(parser)
    parser.set_defaults(run=run_read)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--share", default=0.5, type=_number, metavar="X", help="users in treatment, planned (0.5)")
    add("--alpha", default=0.05, type=_number, metavar="X", help="chance of a false alarm (0.05)")
    add("--figure", metavar="FILE.png", help="leave a figure there")


def _number(text: str) -> float:
    """0.08, or 8% for it."""
    try:
        text = text.replace("−", "-")  # as our own sentences write it
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number or per cent") from None


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = (part.strip() for part in text.partition("="))
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"{text!r}, expected METRIC=… such as bought=visits")
    return ours, theirs


def run_plan(args: argparse.Namespace) -> int:
    """Plan, print. Returns 0."""
    from fsl.abtest.planning import plan
    from fsl.abtest.words import plan_in_words

    out = _figure_path(args.figure)
    effect = None if args.effect is None else _effect(args.effect, args.baseline)
    about = (args.power, args.alpha, args.share, args.rho, args.per_day, args.days)
    found = plan(args.baseline, effect, args.sd, *about)
    _print(plan_in_words(found))
    if out:
        from fsl.abtest.plots import power_curve

        _save(lambda figure: power_curve(found, figure.subplots()), out)
    return 0


def run_read(args: argparse.Namespace) -> int:
    """Read, print. Returns 0."""
    from fsl.abtest.readouts import read
    from fsl.abtest.tablefile import read_trial
    from fsl.errors import InputError
    from fsl.reading.cli import column_options

    out = _figure_path(args.figure)
    if not (0 < args.alpha < 0.5 and 0 < args.share < 1):
        seen = f"--alpha {args.alpha:g}, --share {args.share:g}"
        raise InputError(f"{seen}: expected numbers above 0, alpha below 0.5 and share below 1.")
    columns = column_options(args)
    trial = read_trial(args.file, args.metric, dict(args.before), columns, args.control)
    effects = {name: _effect(text, 1.0) for name, text in args.effect}
    if wrong := [name for name in effects if name not in trial.metrics]:
        known = ", ".join(trial.metrics)
        raise InputError(f"--effect {wrong[0]!r}: no such metric, expected one of {known}.")
    if wrong := [name for name, value in effects.items() if not 0 < abs(value) < float("inf")]:
        raise InputError(f"--effect {wrong[0]}={effects[wrong[0]]:g}: expected a number, not 0.")
    found = read(trial, args.alpha, args.share, effects)
    _print(str(found))
    if out:
        from fsl.abtest.plots import readout

        _save(lambda figure: readout(found, figure), out)
    return 0


def _effect(text: str, baseline: float) -> float:
    """0.01, or 10% of the baseline."""
    from fsl.errors import InputError

    text = text.replace("−", "-")
    try:
        return float(text[:-1]) / 100 * baseline if text.endswith("%") else float(text)
    except ValueError:
        raise InputError(f"--effect {text!r}: expected a number, or per cent.") from None


def _print(text: str) -> None:
    """Wrapped, a number never parted from its sign of per cent."""
    import textwrap

    for line in text.split("\n"):
        tied = (
            line.replace(" %", "\xa0%").replace("p = ", "p\xa0=\xa0").replace("p < ", "p\xa0<\xa0")
        )
        print(textwrap.fill(tied, 110, subsequent_indent="  ").replace("\xa0", " "))


def _figure_path(text: str | None) -> Path | None:
    from fsl.errors import InputError

    if text is None:
        return None
    path = Path(text)
    if path.suffix.lower() != ".png" or path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"--figure {text!r}: expected a .png file in a folder that is there.")
    return path


def _save(draw, path: Path) -> None:
    """Beside the place, then renamed: the figure is there whole or not at all."""
    import os
    import tempfile

    from matplotlib.figure import Figure

    from fsl.errors import InputError
    from fsl.plots import set_style
    from fsl.reading.sentences import inert

    set_style()
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    draw(figure)
    try:
        with tempfile.TemporaryDirectory(prefix=".part-", dir=path.absolute().parent) as part:
            beside = Path(part) / "figure.png"
            figure.savefig(beside, dpi=130)
            os.replace(beside, path)
    except OSError as error:
        raise InputError(f"{inert(path)} cannot be written: {error.strerror}.") from None
    print(f"fsl: {inert(path)} is the figure", file=sys.stderr)
