"""The rules every notebook keeps. Nothing is run here: nbval does that."""

import ast
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from fsl.reporting.presets import DEFAULT_RUN, PRESETS
from fsl.sources import SOURCES

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
MOST_CELLS, MOST_LINES = 30, 20
FORBIDDEN = ("%%time", ".cuda(", "!pip", "%pip", "!conda", "%conda", "!wget", "!curl", "!apt")
MACHINE_PATH = re.compile(
    r"(?<![\w./:-])(/(home|root|tmp|work|Users|mnt|usr|var|opt|data)/|[A-Z]:\\)"
)
every_notebook = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


def read(path: Path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_cells(path: Path) -> list:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def text(path: Path) -> str:
    return "\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")


def tagged(path: Path, tag: str) -> list:
    return [cell for cell in read(path).cells if tag in cell.metadata.get("tags", [])]


def parsed(source: str) -> ast.Module:
    return ast.parse(
        "\n".join("" if x.lstrip()[:1] in "%!" and x.strip() else x for x in source.splitlines())
    )


def lines_of_code(source: str) -> int:
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") for line in source.splitlines()
    )


def parameters(path: Path) -> dict:
    """Name -> default of the parameters cell."""
    (cell,) = tagged(path, "parameters")
    return {s.targets[0].id: ast.literal_eval(s.value) for s in parsed(cell.source).body}


def test_the_notebooks_of_the_default_run_are_there():
    stems = [path.stem for path in PATHS]
    assert set(DEFAULT_RUN) <= set(stems)
    assert set(PRESETS) == set(stems), "each notebook has its row of presets, and no row is without"


@every_notebook
def test_it_is_a_valid_notebook_whose_cells_have_ids(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@every_notebook
def test_it_is_committed_without_outputs(path):
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None


@every_notebook
def test_it_is_short_and_so_are_its_cells(path):
    assert len(read(path).cells) <= MOST_CELLS
    long = {c.id: n for c in code_cells(path) if (n := lines_of_code(c.source)) > MOST_LINES}
    assert long == {}, f"cells of more than {MOST_LINES} lines of code"


@every_notebook
def test_its_title_is_a_question_then_come_minutes_and_data(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    title, *rest = first.source.splitlines()
    assert re.fullmatch(r"# \S.*\?", title)
    below = "\n".join(rest)
    assert re.search(r"\d+ (seconds?|minutes?)", below), "says how long it runs"
    assert re.search(r"\bData: .*(real|simulated)", below), "says which data"
    assert re.search(r"you can", below), "says what the reader will be able to do"


@every_notebook
def test_its_parameters_are_one_cell_of_commented_literals(path):
    (cell,) = tagged(path, "parameters")
    assert cell.cell_type == "code"
    comments = {
        token.start[0]: token.string
        for token in tokenize.generate_tokens(io.StringIO(cell.source).readline)
        if token.type == tokenize.COMMENT
    }
    body = parsed(cell.source).body
    assert body
    for statement in body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        assert len(statement.targets) == 1
        assert isinstance(statement.targets[0], ast.Name)
        ast.literal_eval(statement.value)
        assert len(comments.get(statement.end_lineno, "").strip("# ")) > 3, ast.unparse(statement)
    assert len({s.targets[0].id for s in body}) == len(body)


@every_notebook
def test_it_holds_nothing_of_one_machine_and_no_installs(path):
    raw = path.read_text(encoding="utf-8")
    for cell in code_cells(path):
        assert not [word for word in FORBIDDEN if word in cell.source]
        assert not MACHINE_PATH.search(cell.source)
    assert not re.search(r"(/home/|/root/|/work/|/Users/)", raw)


def test_the_pattern_of_machine_paths_finds_them():
    found = ['open("/home/me/x")', "cd /tmp/v", r"C:\data", "'/data/x'"]
    fine = ["https://a.b/home/x", "a/data/x", "x / y", "../data/x", "r'\\d'"]
    assert all(MACHINE_PATH.search(line) for line in found)
    assert not any(MACHINE_PATH.search(line) for line in fine)


@every_notebook
def test_it_ends_with_summary_exercises_with_solutions_and_references(path):
    headings = re.findall(r"^#{1,4} +(.+?) *$", text(path), flags=re.MULTILINE)
    places = [headings.index(name) for name in ("Summary", "Exercises", "References")]
    assert places == sorted(places)
    assert headings[-1] == "References"
    assert "<details>" in text(path)
    assert text(path).count("<details>") == text(path).count("</details>")


@every_notebook
def test_it_has_one_key_figure_and_one_headline(path):
    (cell,) = tagged(path, "key-figure")
    assert cell.cell_type == "code"
    assert cell.metadata.get("alt") or "plots." in cell.source
    calls = [
        node
        for c in code_cells(path)
        for node in ast.walk(parsed(c.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("headline")
    ]
    assert len(calls) == 1


@every_notebook
def test_it_asks_for_a_guess_before_the_answer(path):
    assert re.search(r"[Gg]uess", text(path))


@every_notebook
def test_code_is_python_and_knows_no_other_notebook(path):
    stems = [other.stem for other in PATHS]
    for cell in code_cells(path):
        for node in ast.walk(parsed(cell.source)):
            names = [getattr(node, "module", None)] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            assert not set(names) & set(stems)


def test_no_function_is_defined_in_two_notebooks():
    homes = Counter(
        name
        for path in PATHS
        for name in {
            node.name
            for cell in code_cells(path)
            for node in ast.walk(parsed(cell.source))
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
    )
    assert [name for name, n in homes.items() if n > 1] == []


@every_notebook
def test_presets_name_only_parameters_of_the_notebook_in_their_types(path):
    preset, own = PRESETS[path.stem], parameters(path)
    for values in (preset.report, preset.quick, preset.full):
        assert set(values) <= set(own)
        for name, value in values.items():
            kinds = {type(own[name]), *({int, float} if type(own[name]) is float else ())}
            kinds |= {list, tuple} & kinds and {list, tuple}
            assert type(value) in kinds, name
    assert ("data" in own) == bool(preset.data)
    assert set(preset.data) <= set(SOURCES)


@every_notebook
def test_as_committed_it_needs_no_network(path):
    falls_back = {"09_customer_service": "banking77"}  # to an FAQ of ours, where it cannot be had
    data = parameters(path).get("data", "simulated")
    invented = ("simulated", "simulated-characters", "simulated-intents", "simulated-log")
    assert data in (*invented, falls_back.get(path.stem))
