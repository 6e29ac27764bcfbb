"""`fsl data`: what sources there are, fetching them, checking a person's own tables. Pandas comes when it is needed."""

import argparse
import sys


def add_read_options(parser: argparse.ArgumentParser) -> None:
    """How to read a person's own tables: the options that `data check`, `report` and `train` share."""
    add_column_option(parser)
    parser.add_argument(
        "--drop-unknown",
        action="store_true",
        help="go on without interactions of users or items that the given tables do not know",
    )
    parser.add_argument(
        "--duplicates",
        choices=("last", "mean"),
        help="keep the last, or the mean, of interactions that nothing tells apart",
    )


def add_column_option(parser: argparse.ArgumentParser) -> None:
    """--column alone."""
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        type=_mapping,
        metavar="OURS=THEIRS",
        help="what your tables call a column, such as rating=stars (may be repeated)",
    )


def _mapping(text: str) -> tuple[str, str]:
    ours, equals, theirs = (part.strip() for part in text.partition("="))
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"{text!r}, expected OURS=THEIRS such as rating=stars")
    return ours, theirs


def read_options(args: argparse.Namespace) -> dict:
    """The keyword arguments of `read_shop` from parsed options. Raises InputError if a name is mapped twice."""
    return {
        "columns": column_options(args),
        "drop_unknown": args.drop_unknown,
        "duplicates": args.duplicates,
    }


def column_options(args: argparse.Namespace) -> dict[str, str]:
    """Our name -> theirs, from --column. Raises InputError if a name is mapped twice."""
    from fsl.errors import InputError

    columns = dict(args.column)
    if len(columns) < len(args.column):
        names = [ours for ours, _ in args.column]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"--column {twice!r} is given twice, expected each name once.")
    return columns


def add_parser(commands) -> None:
    """`fsl data`, `fsl data fetch NAME…` and `fsl data check FOLDER`."""
    about = "List the known data sets, fetch them, or check your own tables."
    parser = commands.add_parser("data", help=about, description=about)
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION")
    fetch = actions.add_parser("fetch", help="fetch known data sets into the cache")
    fetch.add_argument("names", nargs="+", metavar="NAME")
    fetch.set_defaults(run=_fetch)
    check = actions.add_parser("check", help="check your own tables and say what was understood")
    check.add_argument("folder", metavar="FOLDER")
    add_read_options(check)
    check.set_defaults(run=_check)


def _list(args: argparse.Namespace) -> int:
    from fsl.reading.sentences import counted
    from fsl.sources import SOURCES

    for source in SOURCES.values():
        made = "simulated" if source.simulated else "real"
        print(f"{source.name} ({made} {source.kind}): {source.about}")
        size = ", ".join(counted(n, what) for what, n in source.size.items())
        size += ", or as many as you ask for" if source.simulated else ""
        print(f"    size   {size}")
        print(f"    terms  {source.terms}")
        print(f"    where  {_where(source)}")
    return 0


def _where(source) -> str:
    from fsl.errors import InputError
    from fsl.reading.fetch import locate
    from fsl.reading.sentences import inert

    if source.simulated:
        return "made on demand"
    try:
        places = locate(source.name, source.files).values()
    except InputError as error:
        return f"damaged: {error}"
    if None in places:
        return f"not here: fsl data fetch {source.name}"
    return " and ".join(sorted({inert(path.parent) for path in places}))


def _fetch(args: argparse.Namespace) -> int:
    from fsl.reading.fetch import fetch
    from fsl.sources import find_source

    # A wrong name stops it before anything is fetched.
    sources = [find_source(name) for name in args.names]
    for source in sources:
        fetch(source.name, source.files)
        print(f"{source.name}: {_where(source)}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from fsl.reading.likely import hints
    from fsl.reading.sentences import inert
    from fsl.reading.validate import KEYS
    from fsl.sources import open_shop

    shop = open_shop(args.folder, **read_options(args))
    shop.describe()
    for role in ("interactions", "users", "items"):
        _print_columns(role, shop)
    print()
    for line in (*hints({role: getattr(shop, role) for role in KEYS}), shop.verdict()):
        print(f"- {inert(line)}")
    lacking = shop.lacking()
    said = f"The tables can be read, but are too small for a verdict: {inert(lacking)}."
    print(said if lacking else "The tables are sound.", file=sys.stderr)
    return 0


def _print_columns(role: str, shop) -> None:
    from fsl.data import column_kind
    from fsl.reading.sentences import counted, inert

    table = getattr(shop, role)
    if table is None:
        print(f"\n{role}: no table")
        return
    print(f"\n{role}: {counted(len(table), 'rows')}")
    width = max(len(inert(column)) for column in table.columns)
    features = shop.features_of(role)
    for column in table.columns:
        kind = column_kind(table[column], role)
        kind += f"; {features[column]}" if column in features else ""
        print(f"    {inert(column):<{width}}  {inert(kind)}")
