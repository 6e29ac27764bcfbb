"""Which data go to which notebook: those asked for, else its own; each to its own kind."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fsl.cold_start.estimates import PAGES
from fsl.errors import InputError
from fsl.reporting.inputs import Data, from_name, from_word, identity, kind_of
from fsl.reporting.parameters import Parameter
from fsl.reporting.presets import PRESETS, Preset


def kind_wanted(name: str, known: Mapping[str, Parameter]) -> str:
    """The kind of data a notebook is about ("shop", "images", …): its preset's, else its own default's."""
    return kind_of(_own(name, known)[0])


def _own(name: str, known: Mapping[str, Parameter]) -> tuple[str, ...]:
    return PRESETS.get(name, Preset()).data or (str(known["data"].default),)


def _own_data(sources: Iterable[str], brief: bool) -> Iterator[Data]:
    """A notebook's own data, looked for one after another; `brief` stops at the first that can be had."""
    for source in sources:
        found = from_name(source)
        yield found
        if brief and not found.missing:
            return


def data_asked(
    words: Iterable[str],
    read_options: Mapping[str, object],
    notebooks: Mapping[str, Mapping[str, Parameter]],
    named: bool,
) -> list[Data]:
    """What `--data` names, read and checked; nothing is read or fetched before all of it fits a notebook.

    notebooks: the parameters of each chosen one; named: whether it was chosen by name, and not as one of all.
    Raises InputError for data that no notebook takes, and for a named notebook that takes none of them.
    """
    first: dict[str, str] = {}
    for word in words:
        first.setdefault(identity(word), word)
    once = list(first.values())
    wanted = {
        name: kind_wanted(name, known) for name, known in notebooks.items() if "data" in known
    }
    without = [name for name in notebooks if named and name not in wanted]
    problems = [f"{name} takes no data, so --data is refused for it" for name in without]
    problems = problems or _misfits(once, wanted, named)
    if once and problems:
        raise InputError(*problems)
    data = [from_word(word, read_options) for word in once]
    if read_options and not any(item.is_folder for item in data):
        raise InputError(
            "--column, --drop-unknown and --duplicates are for folders: give --data FOLDER"
        )
    return data


def _misfits(words: Sequence[str], wanted: Mapping[str, str], named: bool) -> list[str]:
    """A sentence for every word that fits no notebook, and every named notebook that no word fits."""
    if not (words and wanted):
        return []
    given = {word: kind_of(word) for word in words}
    pairs = [(next(iter(wanted)), word) for word in words if given[word] not in wanted.values()]
    idle = [name for name, kind in wanted.items() if named and kind not in given.values()]
    pairs += [(name, words[0]) for name in idle]
    return list(dict.fromkeys(_misfit(name, wanted[name], word) for name, word in pairs))


def _misfit(name: str, kind: str, word: str) -> str:
    from fsl.sources import SOURCES, no_shop

    if kind == "shop":
        return no_shop(SOURCES[word])
    fitting = " or ".join(source.name for source in SOURCES.values() if source.kind == kind)
    return f"{name} takes {kind}: give --data {fitting}, not {word}"


def serves(name: str, item: Data) -> bool:
    """Whether a notebook can do with the target that a shop has or lacks."""
    return item.has_target or not PRESETS.get(name, Preset()).needs_target


def stand_in(name: str) -> str | None:
    """The notebook that is run in the place of `name` for a shop without rating or label; None for none."""
    found = [other for other, row in PRESETS.items() if row.stands_in_for == name]
    return found[0] if found else None


def with_stand_ins(
    names: Sequence[str], asked: Sequence[Data], explicit: Sequence[str]
) -> list[str]:
    """The notebooks to run for the data asked for: one that cannot do without a target makes room for its stand-in.

    explicit: those chosen by name. A stand-in that was not is run only in the place of another.
    """
    found = []
    for name in names:
        other = stand_in(name)
        lacking = [item for item in asked if not serves(name, item)]
        if other and lacking:
            found += [other] if len(lacking) == len(asked) else [name, other]
        elif not (asked and _waits(name, explicit)):
            found.append(name)
    return list(dict.fromkeys(found))


def _waits(name: str, explicit: Sequence[str]) -> bool:
    return bool(PRESETS.get(name, Preset()).stands_in_for) and name not in explicit


def data_of(
    name: str,
    known: Mapping[str, Parameter],
    asked: Sequence[Data],
    explicit: Sequence[str] | None = None,
    *,
    brief: bool = False,
) -> list[Data | None]:
    """One notebook's data: those asked for that are of its kind, else its own; None where it takes none.

    brief: of its own, the first that can be had, and those before it that cannot, so that a report says so.
    explicit: the notebooks chosen by name (None: all). One of them that cannot do without a target, and that nothing
    stands in for, is refused by an InputError for a shop that has none; others leave such a shop out.
    """
    if "data" not in known:
        return [] if asked else [None]
    kind = kind_wanted(name, known)
    own = [] if asked else list(_own_data(_own(name, known), brief))
    chosen = [item for item in asked if item.kind == kind] or own
    if asked and explicit is not None and _waits(name, explicit):
        first = PRESETS[name].stands_in_for
        chosen = [item for item in chosen if not serves(first, item)]
    elif asked and explicit is not None and (stand_in(name) or name not in explicit):
        chosen = [item for item in chosen if serves(name, item)]
    lacking = [item.label for item in chosen if not serves(name, item)]
    if lacking:
        raise InputError(
            *(f"{name} needs a column rating or label, and {label} has none" for label in lacking)
        )
    if name in PAGES and (hopeless := [item for item in chosen if item and item.impossible]):
        raise InputError(*(f"{item.label}: {item.impossible}" for item in hopeless))
    return chosen
