"""Which data go to which notebook: those asked for, else its own; each to its own kind."""

from collections.abc import Iterable, Mapping, Sequence

from fsl.errors import InputError
from fsl.reporting.inputs import Data, from_name, from_word, identity, kind_of
from fsl.reporting.parameters import Parameter
from fsl.reporting.presets import PRESETS, Preset


def kind_wanted(name: str, known: Mapping[str, Parameter]) -> str:
    """The kind of data a notebook is about ("shop", "images", …): its preset's, else its own default's."""
    return kind_of(_own(name, known)[0])


def _own(name: str, known: Mapping[str, Parameter]) -> tuple[str, ...]:
    return PRESETS.get(name, Preset()).data or (str(known["data"].default),)


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


def data_of(name: str, known: Mapping[str, Parameter], asked: Sequence[Data]) -> list[Data | None]:
    """One notebook's data: those asked for that are of its kind, else its own; None where it takes none."""
    if "data" not in known:
        return [] if asked else [None]
    kind = kind_wanted(name, known)
    own = [] if asked else [from_name(source) for source in _own(name, known)]
    chosen = [item for item in asked if item.kind == kind] or own
    needs_target = PRESETS.get(name, Preset()).needs_target
    lacking = [item.label for item in chosen if needs_target and not item.has_target]
    if lacking:
        raise InputError(
            *(f"{name} needs a column rating or label, and {label} has none" for label in lacking)
        )
    return chosen
