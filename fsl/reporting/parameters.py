"""A notebook's `parameters` cell: what it takes and whether a given value fits. Runs nothing."""

import ast
import io
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fsl.errors import InputError

TAG = "parameters"
LARGEST_SEED = 2**32 - 1  # what NumPy takes
LISTS = {"shots": 0, "n_questions": 0, "rounds": 2}  # lists of counts, and the least of each


@dataclass(frozen=True)
class Parameter:
    """One literal of the cell: its default and the comment on its line.

    A comment that says `one of "a", "b"` (of a text) or `any of "a", "b"` (of a list) names all that may be given.
    """

    name: str
    default: object
    note: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        """What may be given, as the comment has it; () where it does not say so."""
        listed = re.search(r'\b(?:one|any) of ("[^;:]*")', self.note)
        return tuple(re.findall(r'"([^"]*)"', listed[1])) if listed else ()

    def __str__(self) -> str:
        return f"{self.name} ({type(self.default).__name__}, default {self.default!r})"


def read_parameters(notebook, name: str) -> dict[str, Parameter]:
    """The parameters of a notebook (nbformat), in order; none without a cell tagged `parameters`.

    Raises InputError when the cell holds anything but assignments of literals.
    """
    cells = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
    found = {}
    for cell in cells:
        try:
            statements, notes = ast.parse(cell.source).body, _comments(cell.source)
        except SyntaxError as error:
            raise InputError(f"{name}: the parameters cell is not Python ({error.msg})") from error
        for statement in statements:
            parameter = _literal(statement, notes)
            if parameter is None:
                line = ast.unparse(statement)
                raise InputError(
                    f"{name}: the parameters cell may only set names to literals, not {line!r}"
                )
            found[parameter.name] = parameter
    return found


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _literal(statement: ast.stmt, notes: Mapping[int, str]) -> Parameter | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return None
    try:
        value = ast.literal_eval(statement.value)
    except (ValueError, TypeError):
        return None
    note = notes.get(statement.end_lineno, "")
    return Parameter(target.id, value, note) if isinstance(target, ast.Name) else None


def split_assignments(pairs: Iterable[str]) -> dict[str, str]:
    """`name=value` texts of the command line, by name. Raises InputError for any other text."""
    values = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name.strip().isidentifier():
            raise InputError(f"-p wants name=value, not {pair!r}")
        if name.strip() in values:
            raise InputError(f"-p {name.strip()} is given twice")
        values[name.strip()] = text.strip()
    return values


def fit_texts(
    texts: Mapping[str, str], known: Mapping[str, Parameter], notebook: str
) -> dict[str, object]:
    """The texts as values of the parameters' types. Raises InputError, one sentence per misfit."""
    wrong = [name for name in texts if name not in known]
    problems = [_unknown(name, known, notebook) for name in wrong]
    values = {}
    for name in (name for name in texts if name in known):
        default = known[name].default
        try:
            values[name] = fit(_value(texts[name], default), default)
            check_range(name, values[name], known[name].note)
            check_choice(values[name], known[name])
        except ValueError as error:
            problems.append(f"{notebook}: parameter {name} {error}, not {texts[name]!r}")
    if problems:
        raise InputError(*problems)
    return values


def check_names(names: Iterable[str], known: Mapping[str, Parameter], notebook: str) -> None:
    """Raises InputError for every name that the notebook does not have."""
    problems = [_unknown(name, known, notebook) for name in names if name not in known]
    if problems:
        raise InputError(*problems)


def check_range(name: str, value: object, note: str = "") -> None:
    """Raises ValueError saying what a count, a seed or the list of shots must be, by its name.

    note: the comment on its line. A count may be 0 where that says what 0 means.
    """
    least = 0 if re.search(r"\b0\b", note) else 1
    if type(value) is int and name.startswith(("n_", "max_", "per_")) and value < least:
        raise ValueError(f"wants a whole number of at least {least}")
    if type(value) is int and name == "seed" and not 0 <= value <= LARGEST_SEED:
        raise ValueError(f"wants a whole number from 0 to {LARGEST_SEED} (2**32 - 1)")
    if name in LISTS and isinstance(value, (list, tuple)) and not _are_counts(value, LISTS[name]):
        least = f"each of them {LISTS[name]} or more and given once"
        raise ValueError(f"wants at least one whole number, {least}")


def check_choice(value: object, of: Parameter) -> None:
    """Raises ValueError for a value, or one of a list, that is none of the choices, and for a list made empty."""
    listed = isinstance(value, (list, tuple))
    if listed and of.default and not value:
        raise ValueError("wants at least one")
    if of.choices and not set(value if listed else [value]) <= set(of.choices):
        names = ", ".join(f'"{choice}"' for choice in of.choices)
        raise ValueError(f"wants {'some' if listed else 'one'} of {names}")


def _are_counts(value: list | tuple, least: int) -> bool:
    whole = all(type(k) is int and k >= least for k in value)
    return whole and 0 < len(value) == len(set(value))


def _unknown(name: str, known: Mapping[str, Parameter], notebook: str) -> str:
    listed = ", ".join(str(parameter) for parameter in known.values()) or "none"
    return f"{notebook} has no parameter {name!r}; it has: {listed}"


def _value(text: str, default: object) -> object:
    """What a person typed: a literal; for a text parameter the text as it stands, unless quoted."""
    if isinstance(default, bool) and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return text if isinstance(default, str) and not isinstance(value, str) else value


def fit(value: object, default: object) -> object:
    """`value` in the type of `default`: a whole number may stand for a float, a list for a tuple.

    Raises ValueError saying what was expected.
    """
    kind = type(default)
    if default is None or (type(value) is kind and kind not in {list, tuple, float}):
        return value
    if kind is float and type(value) in {int, float}:
        if not math.isfinite(value):
            raise ValueError("wants a finite float")
        return float(value)
    if kind in {list, tuple} and isinstance(value, (list, tuple)):
        kinds = {type(item) for item in default}
        same = default[0] if len(kinds) == 1 else None
        return kind(fit(item, same) for item in value)
    raise ValueError(f"wants {kind.__name__} (such as {default!r})")
