"""`fsl report` from the outside: what it refuses, what it leaves, and that it is all or nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html import escape
from pathlib import Path

import nbformat
import nbformat.v4 as v4
import pytest
from papermill.translators import PythonTranslator

from fsl.cli import main
from fsl.errors import InputError
from fsl.reporting import failure, inputs, matching, plan, presets, publish, report, told
from fsl.reporting.parameters import (
    Parameter,
    check_choice,
    check_range,
    fit_texts,
    read_parameters,
)
from fsl.reporting.presets import Preset
from fsl.reporting.unplaced import without
from fsl.sources import SOURCES

PARAMETERS = """data = "simulated"  # a source or a folder
read_options = {}  # how to read a folder
seed = 0  # of generators
lr = 0.1  # step size
shots = (1, 3)  # known ratings
name = "x"  # a word
fast = True  # or not
records_file = ""  # where records go"""
GOOD = [
    """from pathlib import Path
import os, sys
import matplotlib.pyplot as plt
import pandas as pd
from fsl.headlines import headline
print(sys.executable, os.environ["OMP_NUM_THREADS"], os.getcwd(), plt.get_backend())""",
    "if records_file:\n    pd.DataFrame({'value': [seed, lr]}).to_parquet(records_file)\nprint(records_file)",
    "headline('MAML is better by', lr, 0.05, 0.2, 'stars')",
]
FIGURE = "plt.plot([1, 2], [seed, 3]);"


def write(
    folder: Path, name: str, *codes: str, parameters: str = PARAMETERS, figure: str = ""
) -> None:
    cells = [v4.new_markdown_cell(f"# Is {name} so?")]
    cells.append(v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += [v4.new_code_cell(code) for code in codes]
    cells += [v4.new_code_cell(figure, metadata={"tags": ["key-figure"]})] if figure else []
    folder.mkdir(exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


def write_shop(folder: Path, target: str = "rating") -> Path:
    folder.mkdir(parents=True)
    rows = "\n".join(f"u{n},i{n % 3},{n % 5 + 1}" for n in range(12))
    (folder / "interactions.csv").write_text(f"user,item,{target}\n{rows}\n")
    return folder


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repo") / "notebooks"
    write(folder, "11_good", *GOOD, figure=FIGURE)
    write(folder, "12_fails", "print('before')", "1 / 0", "print('after')")
    write(folder, "13_no_data", "print(n)", parameters="n = 3  # a number")
    write(folder, "14_dies", "import os", "os._exit(3)")
    write(folder, "15_waits", WAIT)
    sizes = "n_draws = 3  # draws\nmax_users = 9  # users\nn_texts = 5  # texts; 0 is all 10"
    write(folder, "18_sizes", "print(n_draws)", parameters=sizes)
    images = 'data = "simulated-characters"  # a source of images\nn_steps = 2  # steps'
    write(folder, "20_images", "print(data)", parameters=images)
    write(folder, "11_good--simulated", "1 / 0")
    return folder


WAIT = """import os, pathlib, time
pathlib.Path(name).write_text(str(os.getpid()))
time.sleep(600)"""  # longer than any wait of a test: it must be killed


@pytest.fixture
def run(notebooks, monkeypatch):
    monkeypatch.setattr(report, "notebooks_folder", lambda: notebooks)
    return lambda *words: main(["report", *map(str, words)])


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def sidecar(out: Path, stem: str) -> dict:
    return json.loads((out / f"{stem}.json").read_text())


@pytest.fixture(scope="module")
def made(notebooks, tmp_path_factory):
    """One run of four notebooks, two at once, beside a foreign kernel that is called python3 too."""
    out, jupyter = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("jupyter")
    spec = {"argv": ["false", "{connection_file}"], "display_name": "Foreign", "language": "python"}
    (jupyter / "kernels" / "python3").mkdir(parents=True)
    (jupyter / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    script = script_for(notebooks, ["11", "12", "13", "14", "--jobs", "3", "--out", str(out)])
    settings = os.environ | {
        "JUPYTER_PATH": str(jupyter),
        "OMP_NUM_THREADS": "7",
        "MPLBACKEND": "Agg",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=settings
    )
    return out, done


def script_for(notebooks: Path, words: list[str]) -> str:
    return (
        "import sys; from pathlib import Path; from fsl.reporting import report; from fsl.cli import main;"
        f"report.notebooks_folder = lambda: Path({str(notebooks)!r}); sys.exit(main(['report', *{words!r}]))"
    )


def test_every_notebook_has_its_files_and_the_worst_decides_the_exit_code(made):
    out, done = made
    assert done.returncode == 1, done.stderr
    for stem in ("11_good--simulated", "12_fails--simulated", "13_no_data", "14_dies--simulated"):
        for ending in (".html", ".ipynb", ".json"):
            assert (out / f"{stem}{ending}").exists(), stem + ending
    assert sorted(path.name for path in out.glob("*.parquet")) == ["11_good--simulated.parquet"]
    assert not (out / ".staging").exists()
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "failed", "ok", "failed", "Open"]
    assert lines[-1].endswith("index.html")
    assert lines[1].endswith("12_fails--simulated.html: ZeroDivisionError: division by zero")
    assert "Traceback" not in done.stderr, done.stderr
    assert "11_good--simulated: done, 6/6 cells" in done.stderr
    assert "\r" not in done.stderr, "no bar in a log"


def test_the_kernel_is_this_interpreter_with_one_thread_in_the_notebooks_folder(made, notebooks):
    text = (made[0] / "11_good--simulated.ipynb").read_text()
    assert f"{sys.executable} 1 {notebooks}" in text
    assert "inline" in text
    assert "image/png" in text


def test_the_sidecar_says_what_was_found_and_how(made):
    entry = sidecar(made[0], "11_good--simulated")
    assert entry["title"] == "Is 11_good so?"
    assert entry["headline"] == {
        "message": "MAML is better by",
        "unit": "stars",
        "value": 0.1,
        "low": 0.05,
        "high": 0.2,
    }
    assert (entry["data"], entry["simulated"], entry["status"]) == ("simulated", True, "ok")
    assert entry["stamp"].keys() >= {
        "commit",
        "changed",
        "fsl",
        "torch",
        "numpy",
        "pandas",
        "papermill",
        "python",
    }
    assert entry["stamp"]["threads"] == 1
    assert len(entry["stamp"]["checksum"]) == 64
    page = (made[0] / "11_good--simulated.html").read_text()
    assert f"sha256 {entry['stamp']['checksum']} of the data, which this commit makes" in page
    assert [row["name"] for row in entry["parameters"]][:3] == ["data", "read_options", "seed"]
    assert sidecar(made[0], "13_no_data")["data"] is None


def test_no_path_of_the_stage_is_left_in_what_is_published(made):
    for name, content in contents(made[0]).items():
        assert b".staging" not in content, name
    assert "11_good--simulated.parquet" in (made[0] / "11_good--simulated.ipynb").read_text()


def test_a_failing_cell_stands_on_top_of_its_page_and_in_the_index(made):
    html = (made[0] / "12_fails--simulated.html").read_text()
    assert html.index("This run failed") < html.index(">before")
    assert '<p class="sentence">ZeroDivisionError: division by zero</p>' in html
    assert "papermill-error" not in html
    assert "after</pre>" not in html
    assert sidecar(made[0], "12_fails--simulated")["error"]["cell"] == 4
    text = (made[0] / "index.html").read_text()
    assert "Failed in cell 4: ZeroDivisionError: division by zero" in text
    assert text.count("status: failed") == 2
    assert "2 reports, 2 failed" in text


def test_a_kernel_that_dies_is_a_failed_report(made):
    error = sidecar(made[0], "14_dies--simulated")["error"]
    assert error["message"].startswith("the kernel ended")


def test_the_index_shows_figure_headline_and_links_to_files_that_exist(made):
    out = made[0]
    text = (out / "index.html").read_text()
    assert text.count('<img src="data:image/png;base64,') == 1
    assert "MAML is better by" in text
    for name in text.split('href="')[1:]:
        assert (out / name.split('"')[0]).exists()


def test_a_second_run_replaces_its_own_and_leaves_the_rest(run, made, notebooks, capfd):
    out = made[0]
    before = contents(out)
    write(notebooks, "11_good", *GOOD[:1])
    assert run("11", "--out", out, "--no-input", "--seed", 5) == 0
    after = contents(out)
    assert "11_good--simulated.parquet" not in after, "this run kept no records"
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == {
        f"11_good--simulated{end}" for end in (".html", ".ipynb", ".json", ".parquet")
    } | {"index.html"}
    assert b"import matplotlib" not in after["11_good--simulated.html"]
    assert sidecar(out, "11_good--simulated")["stamp"]["seed"] == 5
    assert after["index.html"].index(b"11_good so") < after["index.html"].index(b"14_dies so")
    assert after["index.html"].index(b"14_dies so") < after["index.html"].index(b"12_fails so")
    write(notebooks, "11_good", *GOOD, figure=FIGURE)


def test_what_a_notebook_refuses_is_told_in_its_own_words(run, notebooks, tmp_path, capsys):
    words = "'half of the 300 users\\x1b[1m have one.', 'and no items.'"
    code = f"from fsl.errors import InputError\nraise InputError({words})"
    write(notebooks, "16_refuses", code)
    assert run("16", "--out", tmp_path) == 1
    (notebooks / "16_refuses.ipynb").unlink()
    said, words = capsys.readouterr().out, "half of the 300 users have one. and no items."
    assert f"16_refuses--simulated.html: {words}\n" in said
    page = (tmp_path / "16_refuses--simulated.html").read_text()
    assert "This notebook cannot use what it was given" in page
    assert "InputError" not in page[: page.index("<details>")].split("</style>")[1]
    assert page.count("<details><summary>Traceback") == 2, "on top and in its cell, both folded"
    assert f"Failed in cell 3: {words}" in (tmp_path / "index.html").read_text()


def test_a_page_names_no_folder_of_this_machine_but_its_notebook_does(run, notebooks, tmp_path):
    code = "import warnings\nprint(np.__file__)\nwarnings.warn_explicit('odd', UserWarning, np.__file__, 3)"
    write(notebooks, "17_warns", "import numpy as np", code, "np.zeros(3).reshape(2)")
    assert run("17", "--out", tmp_path) == 1
    (notebooks / "17_warns.ipynb").unlink()
    page = (tmp_path / "17_warns--simulated.html").read_text()
    assert "…/numpy/__init__.py:3: UserWarning: odd" in page
    published = page + (tmp_path / "index.html").read_text()
    published += (tmp_path / "17_warns--simulated.json").read_text()
    for path in (sys.prefix, str(Path.home()), "~/", "site-packages"):
        assert path not in published, path
    assert sys.prefix in (tmp_path / "17_warns--simulated.ipynb").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/al/v/lib/x.py and /home/al", "…/x.py and …"),
        ("File ~/v/lib/x.py:3", "File …/x.py:3"),
        ("file:///home/al/shop", "file://…/shop"),
        ("/home/alice/x /srv/home/al/x", "/home/alice/x /srv/home/al/x"),
    ],
)
def test_private_folders_are_hidden_and_no_others(text, shown):
    home = Path("/home/al")
    places = [home / "v", home / "v/lib", home, Path("/")]
    assert failure.pattern(places, home).sub("…", text) == shown


def test_quick_pages_say_that_they_replace_larger_ones(run, tmp_path, capsys):
    assert run("13", "--out", tmp_path) == 0
    assert "quick sizes" not in capsys.readouterr().out
    assert run("13", "--quick", "--out", tmp_path) == 0
    assert "quick sizes: they replace the earlier report-size page;" in capsys.readouterr().out
    assert "quick size</span>" in (tmp_path / "index.html").read_text()
    assert run("13", "--quick", "--out", tmp_path) == 0
    assert "quick sizes" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rounds", [], "wants at least one whole number, each of them 2 or more and given once"),
        ("rounds", [250, -5], "wants at least one whole number, each of them 2 or more"),
        ("n_questions", [-1], "wants at least one whole number, each of them 0 or more"),
        ("n_questions", [], "wants at least one whole number, each of them 0 or more"),
        ("per_day", 0, "wants a whole number of at least 1"),
        ("n_users", -3, "wants a whole number of at least 1"),
    ],
)
def test_a_count_that_cannot_be_is_refused_by_its_name(name, value, said):
    with pytest.raises(ValueError, match=said):
        check_range(name, value)
    check_range(name, [2, 5] if isinstance(value, list) else 2)


SHOTS = "wants at least one whole number, each of them 0 or more and given once"
SEED = "wants a whole number from 0 to 4294967295 (2**32 - 1)"
REFUSED = [
    (["99"], "no notebook '99'; there are: 11_good, 12_fails"),
    (
        ["11", "-p", "sed=1"],
        "11_good has no parameter 'sed'; it has: data (str, default 'simulated')",
    ),
    (["11", "-p", "lr=fast"], "11_good: parameter lr wants float (such as 0.1), not 'fast'"),
    (["11", "-p", "seed=1.5"], "11_good: parameter seed wants int (such as 0), not '1.5'"),
    (["11", "-p", "seed=True"], "11_good: parameter seed wants int (such as 0), not 'True'"),
    (["11", "-p", "lr=1e999"], "11_good: parameter lr wants a finite float, not '1e999'"),
    (
        ["11", "-p", "shots=(1, 'a')"],
        "11_good: parameter shots wants int (such as 1), not \"(1, 'a')\"",
    ),
    (["11", "-p", "seed"], "-p wants name=value, not 'seed'"),
    (["11", "-p", "seed=1", "-p", "seed=2"], "-p seed is given twice"),
    (["11", "-p", "seed=1", "--seed", "2"], "the seed is given twice: --seed and -p seed"),
    (["11", "-p", "data=x"], "-p data is not yours to set: use --data"),
    (["13", "--seed", "1"], "13_no_data has no parameter 'seed'; it has: n (int, default 3)"),
    (["13", "--data", "simulated"], "13_no_data takes no data, so --data is refused for it"),
    (
        ["11", "--drop-unknown"],
        "--column, --drop-unknown and --duplicates are for folders: give --data FOLDER",
    ),
    (["13", "-p", "n_x=0"], "13_no_data has no parameter 'n_x'; it has: n (int, default 3)"),
    (
        ["18", "-p", "n_draws=0"],
        "18_sizes: parameter n_draws wants a whole number of at least 1, not '0'",
    ),
    (
        ["18", "-p", "max_users=-3"],
        "18_sizes: parameter max_users wants a whole number of at least 1, not '-3'",
    ),
    (
        ["18", "-p", "n_texts=-1"],
        "18_sizes: parameter n_texts wants a whole number of at least 0, not '-1'",
    ),
    (["11", "-p", "shots=[]"], f"11_good: parameter shots {SHOTS}, not '[]'"),
    (["11", "-p", "shots=[1,1]"], f"11_good: parameter shots {SHOTS}, not '[1,1]'"),
    (["11", "-p", "shots=[-1]"], f"11_good: parameter shots {SHOTS}, not '[-1]'"),
    (["11", "-p", "seed=-1"], f"11_good: parameter seed {SEED}, not '-1'"),
    (["11", "--seed", "4294967296"], f"11_good: parameter seed {SEED}, not '4294967296'"),
    (["11--simulated"], "no notebook '11--simulated'; there are: 11_good, 12_fails"),
    (["11", "--all"], "--all means every notebook: leave the names away"),
    (["11", "--quick", "--full"], "--quick and --full are two sizes: give one of them"),
    (["11", "--data", "omniglot"], "omniglot is images, not a shop, expected one of phones-99,"),
    (
        ["20", "--data", "ml-100k"],
        "20_images takes images: give --data omniglot or simulated-characters, not ml-100k",
    ),
    (
        ["20", "--data", "no/such/shop"],
        "20_images takes images: give --data omniglot or simulated-characters, not no/such/shop",
    ),
    (
        ["11", "20", "--data", "simulated"],
        "20_images takes images: give --data omniglot or simulated-characters, not simulated",
    ),
    (["20", "--data", "fewrel"], "20_images takes images: give --data omniglot or simulated-"),
    (["11", "20", "--data", "simulated-characters"], "simulated-characters is images, not a shop"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_a_wrong_call_is_refused_before_anything_runs(run, tmp_path, capsys, words, sentence):
    assert run(*words, "--out", tmp_path / "out") == 2
    assert f"fsl: {sentence}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_problem_is_told_at_once(run, capsys):
    assert run("11", "-p", "a=1", "-p", "lr=x", "-p", "b=1") == 2
    assert capsys.readouterr().err.count("fsl: 11_good") == 3


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_jobs_is_a_number_above_zero(run, capsys, jobs):
    with pytest.raises(SystemExit) as stop:
        run("11", f"--jobs={jobs}")
    assert stop.value.code == 2
    assert f"wants a whole number above 0, not '{jobs}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("lr", "1e-3", 0.001),
        ("lr", "2", 2.0),
        ("seed", "4", 4),
        ("seed", "4294967295", 4294967295),
        ("shots", "(0, 2)", (0, 2)),
        ("name", "5", "5"),
        ("name", "'5'", "5"),
        ("name", "two words", "two words"),
        ("fast", "false", False),
        ("shots", "[5]", (5,)),
        ("read_options", "{'a': 1}", {"a": 1}),
    ],
)
def test_values_take_the_type_of_their_parameter(name, text, value):
    known = read_parameters(_cell(PARAMETERS), "x")
    found = fit_texts({name: text}, known, "x")[name]
    assert (found, type(found)) == (value, type(value))


def _cell(source: str):
    return v4.new_notebook(cells=[v4.new_code_cell(source, metadata={"tags": ["parameters"]})])


def test_parameters_are_literals_with_their_comments():
    assert read_parameters(_cell("a: int = -1  # why"), "x") == {"a": Parameter("a", -1, "why")}
    with pytest.raises(
        InputError, match=r"x: the parameters cell may only set names to literals, not 'a = f\(\)'"
    ):
        read_parameters(_cell("a = f()"), "x")


CHOOSING = """by = "auto"  # how: one of "auto", "random"; as "always" is not
parts = ["a"]  # any of "a", "b c" and nothing else
free = ["x"]  # such as "y"
word = "x"  # or "y\""""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("by=tomorrow", """parameter by wants one of "auto", "random", not 'tomorrow'"""),
        ("by=always", """parameter by wants one of "auto", "random", not 'always'"""),
        ('parts=["a", "c"]', """parameter parts wants some of "a", "b c", not '["a", "c"]'"""),
        ("parts=[]", "parameter parts wants at least one, not '[]'"),
        ("free=[]", "parameter free wants at least one, not '[]'"),
    ],
)
def test_what_is_none_of_the_choices_in_a_parameters_comment_is_refused(given, said):
    name, _, text = given.partition("=")
    with pytest.raises(InputError, match=re.escape(f"x: {said}")):
        fit_texts({name: text}, read_parameters(_cell(CHOOSING), "x"), "x")


def test_choices_of_a_comment_may_be_given_and_other_comments_bind_nobody():
    given = {"by": "random", "parts": '["b c", "a"]', "free": '["z"]', "word": "z"}
    found = fit_texts(given, read_parameters(_cell(CHOOSING), "x"), "x")
    assert found == {"by": "random", "parts": ["b c", "a"], "free": ["z"], "word": "z"}


@pytest.mark.parametrize("path", sorted(Path("notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_every_default_and_preset_is_among_its_choices(path):
    known = read_parameters(nbformat.read(path, as_version=4), path.stem)
    row = presets.PRESETS[path.stem]
    for size in ("quick", "report", "full"):
        values = {n: p.default for n, p in known.items()} | row.parameters(size)
        for name, value in values.items():
            check_choice(value, known[name])


def test_a_folder_is_read_once_named_by_its_last_part_and_its_path_stays_private(
    run, tmp_path, capfd
):
    shop, out = write_shop(tmp_path / "my secret place" / "Corner Shop"), tmp_path / "out"
    assert run("11", "--data", shop, "--out", out) == 0
    entry = sidecar(out, "11_good--Corner-Shop")
    assert (entry["data"], entry["simulated"]) == ("Corner-Shop", False)
    assert len(entry["stamp"]["checksum"]) == 64
    page = (out / "11_good--Corner-Shop.html").read_text()
    assert "secret place" not in page
    assert "real data" in page
    for path in out.iterdir():
        assert b"secret place" not in path.read_bytes(), path.name
    cells = nbformat.read(out / "11_good--Corner-Shop.ipynb", as_version=4).cells
    (injected,) = [c.source for c in cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert injected.startswith("# your folder's path is not published: set `data` to it to run")
    assert 'data = "Corner-Shop"' in injected


def test_bad_tables_are_refused_and_nothing_is_written(run, tmp_path, capsys):
    shop = write_shop(tmp_path / "shop", target="stars")
    (shop / "interactions.csv").write_text("who,what\na,b\n")
    assert run("11", "--data", shop, "--out", tmp_path / "out") == 2
    assert "interactions.csv" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_shop_without_target_is_refused_by_a_notebook_that_needs_one(
    run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(plan.PRESETS, "11_good", Preset(needs_target=True))
    shop = write_shop(tmp_path / "shop", target="colour")
    assert run("11", "--data", shop, "--out", tmp_path / "out") == 2
    assert "11_good needs a column rating or label, and shop has none" in capsys.readouterr().err


def test_two_folders_of_one_name_are_refused(run, tmp_path, capsys):
    shops = [write_shop(tmp_path / part / "shop") for part in "ab"]
    assert run("11", "--data", shops[0], "--data", shops[1]) == 2
    assert "two data sets would both be called shop; rename a folder" in capsys.readouterr().err


def test_a_folder_option_reaches_the_notebook(notebooks, tmp_path):
    shop = write_shop(tmp_path / "shop", target="stars")
    request = plan.Request(["11"], [str(shop)], read_options={"columns": {"rating": "stars"}})
    (job,) = plan.plan(request, notebooks)
    assert job.given == {"data": str(shop), "read_options": {"columns": {"rating": "stars"}}}


def test_without_names_data_goes_to_the_default_notebooks_that_take_it(notebooks, monkeypatch):
    monkeypatch.setattr(plan, "DEFAULT_RUN", ("11_good", "12_fails", "13_no_data"))
    jobs = plan.plan(plan.Request(data=["simulated", "simulated"]), notebooks)
    assert [job.stem for job in jobs] == ["11_good--simulated", "12_fails--simulated"]


def test_presets_make_the_size_and_the_command_line_wins(notebooks, monkeypatch):
    monkeypatch.setitem(
        plan.PRESETS, "11_good", Preset(report={"seed": 8, "lr": 0.2}, quick={"seed": 9})
    )
    request = plan.Request(["11"], assignments=["lr=0.3"])
    assert plan.plan(request, notebooks)[0].given == {"seed": 8, "lr": 0.3, "data": "simulated"}
    assert plan.plan(replace(request, size="quick", seed=1), notebooks)[0].given["seed"] == 1
    monkeypatch.setitem(plan.PRESETS, "11_good", Preset(report={"no_such": 8}))
    with pytest.raises(InputError, match="11_good has no parameter 'no_such'"):
        plan.plan(request, notebooks)


@pytest.mark.parametrize("name", [n for n, source in SOURCES.items() if source.simulated])
def test_every_simulated_source_can_be_given_and_has_a_checksum(name):
    found = inputs.from_word(name, {})
    assert (found.simulated, len(found.checksum)) == (True, 64)


def test_a_count_may_be_none_where_its_comment_says_what_that_means(notebooks):
    (job,) = plan.plan(plan.Request(["18"], assignments=["n_texts=0"]), notebooks)
    assert job.given == {"n_texts": 0}


def test_full_comes_on_top_of_report_and_falls_back_to_it(notebooks, monkeypatch):
    row = Preset(report={"seed": 8, "lr": 0.2}, quick={"seed": 9}, full={"lr": 0.5}, full_minutes=7)
    monkeypatch.setitem(plan.PRESETS, "11_good", row)
    monkeypatch.setitem(plan.PRESETS, "18_sizes", Preset(report={"n_draws": 5}))
    full, other = plan.plan(plan.Request(["11", "18"], size="full"), notebooks)
    assert (full.given, full.size) == ({"seed": 8, "lr": 0.5, "data": "simulated"}, "full")
    assert (other.given, other.size) == ({"n_draws": 5}, "report")
    (report_size,) = plan.plan(plan.Request(["11"]), notebooks)
    assert (report_size.given["lr"], report_size.size) == (0.2, "report")
    (won,) = plan.plan(plan.Request(["11"], assignments=["lr=0.7"], size="full"), notebooks)
    assert (won.given["lr"], won.size) == (0.7, "full")
    monkeypatch.setitem(plan.PRESETS, "11_good", Preset(full={"no_such": 8}))
    with pytest.raises(InputError, match="11_good has no parameter 'no_such'"):
        plan.plan(plan.Request(["11"], size="full"), notebooks)
    assert plan.plan(plan.Request(["11"]), notebooks)[0].given == {"data": "simulated"}


def test_a_full_run_tells_how_long_before_and_its_size_after(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(plan.PRESETS, "18_sizes", Preset(full={"n_draws": 30}, full_minutes=40))
    assert run("18", "13", "--full", "--out", tmp_path) == 0
    said = capsys.readouterr()
    assert said.err.startswith("full size, on one core: 18_sizes about 40 minutes\n")
    assert sidecar(tmp_path, "18_sizes")["size"] == "full"
    assert sidecar(tmp_path, "13_no_data")["size"] == "report"
    page = (tmp_path / "18_sizes.html").read_text()
    assert '<span class="badge full">full size</span>' in page
    assert " s, full size" in page
    assert '<span class="badge full">full size</span>' in (tmp_path / "index.html").read_text()
    assert run("18", "13", "--out", tmp_path) == 0
    said = capsys.readouterr().out
    assert "report sizes: they replace the earlier full-size page; fsl report --full renews" in said
    assert "quick sizes" not in said


@pytest.mark.parametrize(
    ("earlier", "new", "said"),
    [
        ("full", "quick", {("quick", "full"): 1}),
        ("full", "report", {("report", "full"): 1}),
        ("report", "quick", {("quick", "report"): 1}),
        ("report", "full", {}),
        ("quick", "quick", {}),
        ("elsewhere", "quick", {}),
    ],
)
def test_only_larger_pages_are_said_to_be_replaced(monkeypatch, tmp_path, earlier, new, said):
    monkeypatch.setattr(told.index, "sidecars", lambda _: {"x": {"size": earlier}})
    entries = [
        {"stem": "x", "size": new, "status": "ok"},
        {"stem": "y", "size": new, "status": "ok"},
    ]
    assert told.replaced_by_smaller(entries, tmp_path) == said
    assert told.replaced_by_smaller([{**entries[0], "status": "not run"}], tmp_path) == {}


def test_what_runs_long_is_told_of_what_will_run(monkeypatch, notebooks, capsys):
    def warned(*names: str) -> str:
        told.warn_of_full(plan.plan(plan.Request(names, size="full"), notebooks))
        return capsys.readouterr().err

    assert warned("18") == (
        "full size: none of these notebooks has one, so all run at report size\n"
    )
    monkeypatch.setitem(plan.PRESETS, "18_sizes", Preset(full={"n_draws": 9}))
    monkeypatch.setitem(plan.PRESETS, "20_images", Preset(full={"n_steps": 9}, full_minutes=240))
    assert warned("18", "20") == (
        "full size, on one core: 18_sizes for longer than at report size; "
        "20_images--simulated-characters about 4 hours\n"
    )
    missing = inputs.Data("omniglot", "omniglot", False, missing="no network", kind="images")
    monkeypatch.setattr(matching, "from_name", lambda _: missing)
    assert warned("20") == "", "what cannot be had does not run, and does have a full size"


def test_help_follows_the_default_run_and_tells_of_full_sizes(monkeypatch, capsys):
    from fsl.reporting import cli

    monkeypatch.setattr(cli, "DEFAULT_RUN", ("01_a", "02_b", "07_c"))
    monkeypatch.setattr(
        presets,
        "PRESETS",
        {"01_a": Preset(), "07_c": Preset(full={"n": 1}, full_minutes=25)},
    )
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "07_c or 07; default: 01, 02, 07" in said
    assert said.endswith("At full size, on one core and per data set: 07_c about 25 minutes.")
    monkeypatch.setattr(presets, "PRESETS", {"01_a": Preset()})
    assert presets.full_sizes() == ""


def test_every_preset_is_about_one_kind_of_data_and_says_how_long_its_full_size_runs():
    for name, row in presets.PRESETS.items():
        assert len({inputs.kind_of(source) for source in row.data}) <= 1, name
        assert bool(row.full) == (row.full_minutes is not None), name


def test_images_go_to_notebooks_about_images_and_shops_to_the_others(notebooks, monkeypatch):
    monkeypatch.setattr(plan, "DEFAULT_RUN", ("11_good", "13_no_data", "20_images"))
    monkeypatch.setattr(matching, "from_word", lambda word, _: inputs.from_name(word))

    def stems(names=(), data=()) -> list[str]:
        return [job.stem for job in plan.plan(plan.Request(names, data), notebooks)]

    shop, images = "11_good--simulated", "20_images--simulated-characters"
    assert stems() == [shop, "13_no_data", images]
    assert stems(data=["simulated"]) == [shop]
    assert stems(data=["simulated-characters"]) == [images]
    both = ["simulated", "simulated-characters"]
    assert stems(data=both) == [shop, images]
    assert stems(["11", "20"], both) == [shop, images]
    assert stems(["20"], ["simulated-characters"]) == [images]
    with pytest.raises(InputError, match=r"^fewrel is texts, not a shop, expected one of"):
        stems(data=["fewrel"])
    with pytest.raises(InputError, match=r"^omniglot is images, not a shop, expected one of"):
        stems(["11"], ["simulated", "omniglot"])
    monkeypatch.setattr(plan, "DEFAULT_RUN", ("13_no_data",))
    with pytest.raises(InputError, match=r"^none of the chosen notebooks takes data"):
        stems(data=["simulated"])


@pytest.mark.parametrize(
    ("missing", "brief"), [((), ["phones-99"]), (("phones-99",), ["phones-99", "simulated"])]
)
def test_a_report_of_everything_takes_the_first_data_that_can_be_had(
    notebooks, monkeypatch, missing, brief
):
    monkeypatch.setattr(plan, "DEFAULT_RUN", ("11_good",))
    monkeypatch.setitem(plan.PRESETS, "11_good", Preset(data=("phones-99", "simulated")))

    def data(name):
        return inputs.Data(name, name, False, missing="no network" if name in missing else None)

    monkeypatch.setattr(matching, "from_name", data)

    def labels(*names, every=False) -> list[str]:
        jobs = plan.plan(plan.Request(names, every=every), notebooks)
        return [job.data.label for job in jobs if job.notebook.stem == "11_good"]

    assert labels() == brief, "what cannot be had stays, as a row that says so"
    assert labels("11") == labels(every=True) == ["phones-99", "simulated"]


def test_a_preset_makes_a_notebook_one_about_images(notebooks, monkeypatch):
    """Its own default may be a shop: the preset's data decide, as they decide what it is run on."""
    monkeypatch.setitem(plan.PRESETS, "11_good", Preset(data=("simulated-characters",)))
    (job,) = plan.plan(plan.Request(["11"]), notebooks)
    assert (job.stem, job.given["data"]) == (
        "11_good--simulated-characters",
        "simulated-characters",
    )
    with pytest.raises(InputError, match=r"^11_good takes images: give --data omniglot or"):
        plan.plan(plan.Request(["11"], ["simulated"]), notebooks)


def test_a_report_on_invented_images_is_labelled_so(run, tmp_path):
    assert run("20", "--out", tmp_path) == 0
    entry = sidecar(tmp_path, "20_images--simulated-characters")
    assert (entry["data"], entry["simulated"]) == ("simulated-characters", True)
    assert len(entry["stamp"]["checksum"]) == 64
    page = (tmp_path / "20_images--simulated-characters.html").read_text()
    assert "simulated data</span>" in page
    assert f"sha256 {entry['stamp']['checksum']} of the data, which this commit makes" in page


@pytest.fixture
def omniglot(monkeypatch):
    """Sources whose files are fetched by a stand-in: what it is asked for, and what it refuses."""
    inputs.from_name.cache_clear()
    asked = []

    def files_of(name, *, timeout):
        asked.append((name, timeout))
        if len(asked) > 1:
            raise InputError(f"{name} cannot be fetched: no network.")
        return {}

    monkeypatch.setattr("fsl.sources.files_of", files_of)
    yield asked
    inputs.from_name.cache_clear()


def test_images_are_fetched_whole_but_not_opened(omniglot):
    data = inputs.from_name("omniglot")
    assert omniglot == [("omniglot", inputs.PATIENCE)]
    assert (data.kind, data.simulated, data.has_target, data.missing) == (
        "images",
        False,
        False,
        None,
    )
    assert len(data.checksum) == 64
    texts = inputs.from_name("fewrel")
    assert (texts.kind, texts.missing) == ("texts", "fewrel cannot be fetched: no network.")


def test_images_that_cannot_be_had_are_a_row_or_refused(
    run, omniglot, monkeypatch, tmp_path, capsys
):
    omniglot.append("the first")
    monkeypatch.setitem(plan.PRESETS, "20_images", Preset(data=("omniglot",)))
    assert run("20", "--out", tmp_path) == 0
    assert (
        "not run  20_images--omniglot: omniglot cannot be fetched: no network. "
        "`fsl data fetch omniglot` with a network, or set FSL_DATA."
    ) in capsys.readouterr().out
    assert "Not run: omniglot cannot be fetched" in (tmp_path / "index.html").read_text()
    assert run("20", "--data", "omniglot", "--out", tmp_path / "out") == 2
    assert "fsl: omniglot cannot be fetched: no network." in capsys.readouterr().err
    assert omniglot[1:] == [("omniglot", inputs.PATIENCE), ("omniglot", inputs.SECONDS)]


def test_what_fits_no_notebook_is_refused_before_it_is_fetched(run, omniglot, tmp_path, capsys):
    assert run("11", "--data", "omniglot") == 2
    assert omniglot == []
    assert capsys.readouterr().err.count("fsl: ") == 1


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """phones-99 is in no cache and there is no network."""

    def refuse(name, **options):
        raise InputError(f"{name} cannot be fetched: no network.")

    inputs.from_name.cache_clear()
    monkeypatch.setattr("fsl.sources.load", refuse)
    yield
    inputs.from_name.cache_clear()


def test_a_default_source_that_cannot_be_had_is_a_row_and_no_failure(
    run, offline, monkeypatch, tmp_path, capsys
):
    monkeypatch.setitem(plan.PRESETS, "13_no_data", Preset())
    monkeypatch.setitem(plan.PRESETS, "11_good", Preset(data=("phones-99",), needs_target=True))
    assert run("11", "--out", tmp_path) == 0
    said = capsys.readouterr().out
    assert (
        "not run  11_good--phones-99: phones-99 cannot be fetched: no network. "
        "`fsl data fetch phones-99` with a network, or set FSL_DATA."
    ) in said
    shown = (tmp_path / "index.html").read_text()
    assert "Not run: phones-99 cannot be fetched: no network." in shown
    assert "<code>fsl data fetch phones-99</code> with a network" in shown
    assert "0 reports, 1 not run" in shown
    assert {path.name for path in tmp_path.iterdir()} == {"11_good--phones-99.json", "index.html"}


def test_an_earlier_report_outlives_a_source_that_cannot_be_had(
    run, offline, monkeypatch, tmp_path, capsys
):
    monkeypatch.setitem(plan.PRESETS, "11_good", Preset(data=("phones-99",)))
    earlier = {
        "kind": "fsl report 1",
        "notebook": "11_good",
        "title": "Earlier?",
        "data": "phones-99",
    }
    earlier |= {
        "simulated": False,
        "status": "ok",
        "run": "2025-01-01T00:00:00Z",
        "size": "report",
        "seconds": 1,
    }
    earlier |= {"started": "2025-01-01T00:00:00Z", "stem": "11_good--phones-99", "headline": None}
    (tmp_path / "11_good--phones-99.json").write_text(json.dumps(earlier))
    (tmp_path / "11_good--phones-99.html").write_text("the earlier page")
    assert run("11", "--out", tmp_path) == 0
    assert (tmp_path / "11_good--phones-99.html").read_text() == "the earlier page"
    index = (tmp_path / "index.html").read_text()
    assert 'href="11_good--phones-99.html"' in index
    assert "set FSL_DATA. This is the earlier report." in index


def test_a_source_asked_for_by_name_must_be_had(run, offline, tmp_path, capsys):
    assert run("11", "--data", "phones-99", "--out", tmp_path / "out") == 2
    assert "phones-99 cannot be fetched: no network." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def staged(out: Path) -> None:
    stage = out / publish.STAGE
    stage.mkdir()
    for name in ("a.html", "a.json", "index.html"):
        (out / name).write_text("old")
        (stage / name).write_text("new")
    (out / "a.parquet").write_text("old")


def state(out: Path) -> set[str]:
    return {path.read_text() for path in out.glob("a.*")} | {(out / "index.html").read_text()}


@pytest.mark.parametrize("dies_at", range(1, 6))
def test_killed_anywhere_in_publishing_it_is_all_old_or_all_new(tmp_path, monkeypatch, dies_at):
    staged(tmp_path)
    replace_, calls = os.replace, []

    def replace_until(source, target):
        calls.append(target)
        if len(calls) == dies_at:
            raise KeyboardInterrupt
        replace_(source, target)

    monkeypatch.setattr(os, "replace", replace_until)
    names = ["a.html", "a.json", "index.html"]
    if dies_at <= 4:
        with pytest.raises(KeyboardInterrupt):
            publish.commit(tmp_path, names, ["a.parquet"])
    else:
        publish.commit(tmp_path, names, ["a.parquet"])
    monkeypatch.undo()
    publish.recover(tmp_path)
    assert state(tmp_path) == ({"old"} if dies_at == 1 else {"new"})
    assert (tmp_path / "a.parquet").exists() == (dies_at == 1)
    assert not (tmp_path / publish.STAGE).exists()


def test_two_reports_into_one_folder_are_refused(run, tmp_path, capsys):
    with publish.opened(tmp_path):
        assert run("13", "--out", tmp_path) == 2
    assert f"another report is being made in {tmp_path}; wait for it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_cannot_be_is_one_sentence(run, tmp_path, capsys):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for out, why in ((tmp_path / "loop", "links"), (tmp_path / ("n" * 300), "name too long")):
        assert run("13", "--out", out) == 2
        said = capsys.readouterr().err
        assert said.startswith("fsl: cannot write to '")
        assert why in said.lower()
        assert said.count("\n") == 1


def test_out_that_is_a_file_is_refused(run, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert run("13", "--out", tmp_path / "file") == 2
    assert "cannot write to" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("stop", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130), (signal.SIGKILL, -9)],
)
def test_stopped_or_killed_the_earlier_report_is_whole_and_no_kernel_stays(
    notebooks, tmp_path, stop, code
):
    out, sign = tmp_path / "out", tmp_path / "kernel"
    out.mkdir()
    earlier = {
        "index.html": b"old",
        "15_waits--simulated.html": b"old",
        "11_good--simulated.html": b"old",
    }
    for name, content in earlier.items():
        (out / name).write_bytes(content)
    words = ["11", "15", "--out", str(out), "-p", f"name={sign}"]
    script = script_for(notebooks, words)
    command, quiet = [sys.executable, "-c", script], subprocess.PIPE
    process = subprocess.Popen(command, stderr=quiet, text=True, preexec_fn=as_in_a_terminal)
    until(lambda: sign.exists() and sign.read_text())
    process.send_signal(stop)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == code
    assert "Traceback" not in said
    assert ("the earlier report is as it was" in said) == (stop != signal.SIGKILL)
    assert {name: (out / name).read_bytes() for name in earlier} == earlier
    assert (out / publish.STAGE).exists() == (stop == signal.SIGKILL)
    until(lambda: not alive(int(sign.read_text())))
    with publish.opened(out) as stage:
        assert list(stage.iterdir()) == [], "what the killed run left is cleared"


def as_in_a_terminal() -> None:
    """Under nohup, or behind a shell's &, these would be ignored, and by whoever is started as well."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def until(condition, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
            if Path("/proc").exists()
            else not os.kill(pid, 0)
        )
    except OSError:
        return False


def test_help_needs_nothing_heavy():
    script = (
        "import sys; from fsl.cli import main\n"
        "try: main(['report', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('pandas', 'torch', 'papermill', 'nbformat', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--quick" in done.stdout


@pytest.mark.parametrize("name", ["simulated", "phones-99", "phones 99", "Simulated"])
def test_a_folder_named_like_a_source_does_not_pass_for_it(notebooks, tmp_path, name):
    shop = write_shop(tmp_path / name)
    both = plan.Request(["11"], [str(shop), "simulated"])
    folder, source = plan.plan(both, notebooks)
    assert folder.stem == f"11_good--{name.replace(' ', '-')}-folder"
    assert (folder.data.simulated, source.data.simulated) == (False, True)
    assert source.stem == "11_good--simulated"


def test_one_folder_written_in_two_ways_and_a_notebook_named_twice_run_once(notebooks, tmp_path):
    shop = write_shop(tmp_path / "s" / "x")
    ways = [str(shop), "simulated", str(tmp_path / "s" / ".." / "s" / "x"), f"{shop}/", "simulated"]
    jobs = plan.plan(plan.Request(["11", "11_good", "11_good.ipynb"], ways), notebooks)
    assert [job.stem for job in jobs] == ["11_good--x", "11_good--simulated"]


@pytest.mark.parametrize("name", ["x" * 240, "ж" * 120, "电" * 80])
def test_a_long_folder_name_is_cut_to_fit_a_file_name(tmp_path, name):
    labels = []
    for last in "ab":
        shop = write_shop(tmp_path / (name + last))
        labels.append(inputs.from_word(str(shop), {}).label)
    assert labels[0] != labels[1]
    for label in labels:
        assert len(label) <= 60 + 9
        assert len(f".11_good--{label}.parquet".encode()) <= 255
    assert inputs.from_word(str(write_shop(tmp_path / ("y" * 60))), {}).label == "y" * 60


def test_a_report_on_a_folder_with_a_long_name_is_made(run, tmp_path):
    shop = write_shop(tmp_path / ("x" * 240))
    assert run("11", "--data", shop, "--out", tmp_path / "out") == 0
    (page,) = (tmp_path / "out").glob("11_good--x*.html")
    assert page.stem.startswith("11_good--" + "x" * 60 + "-")


def test_a_report_is_not_made_in_the_projects_own_places(run, notebooks, tmp_path, capsys):
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "pyproject.toml").write_text("")
    package = Path(report.__file__).parents[1]
    for out in (notebooks, notebooks / "in", package, package / "in", tmp_path / "clone"):
        before = sorted(out.iterdir()) if out.exists() else None
        assert run("13", "--out", out) == 2
        sentence = f"fsl: --out {out} is the project's own place: give a folder for reports alone"
        assert sentence in capsys.readouterr().err
        assert (sorted(out.iterdir()) if out.exists() else None) == before


def test_a_report_that_stands_among_the_notebooks_is_none_of_them(notebooks):
    assert (notebooks / "11_good--simulated.ipynb").exists()
    names = [path.stem for path in plan.choose([], True, notebooks)]
    assert "11_good" in names
    assert "11_good--simulated" not in names


def test_a_sidecar_holds_no_absolute_path(run, notebooks, tmp_path):
    shop, out = write_shop(tmp_path / "secret" / "shop"), tmp_path / "out"
    write(notebooks, "19_opens", "open(data + '/no.csv')", "1")
    code = run("19", "--data", shop, "--out", out, "-p", f"name={tmp_path}/file.txt")
    (notebooks / "19_opens.ipynb").unlink()
    assert code == 1
    entry = sidecar(out, "19_opens--shop")
    assert entry["error"]["message"] == "[Errno 2] No such file or directory: 'shop/no.csv'"
    (name,) = [row["value"] for row in entry["parameters"] if row["name"] == "name"]
    assert name == "…/file.txt"
    assert str(tmp_path) not in (out / "19_opens--shop.json").read_text()
    assert str(shop) not in (out / "19_opens--shop.ipynb").read_text()


def test_the_place_of_a_folder_is_found_however_it_is_written():
    folder = """/srv/a "b" & é/shop"""
    written = [
        folder,
        json.dumps(folder),
        repr(folder),
        escape(folder),
        PythonTranslator.translate(folder),
    ]
    found = without({"all": written, "image/png": folder, "else": folder + "2"}, folder, "shop")
    assert [text.strip("\"'") for text in found["all"]] == ["shop"] * 5
    assert (found["image/png"], found["else"]) == (folder, folder + "2")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here")
def test_under_nohup_a_closed_terminal_stops_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with publish.stoppable():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_headline_without_a_number_is_a_failed_cell_with_its_sentence(run, notebooks, tmp_path):
    code = "from fsl.headlines import headline\nheadline('A', float('nan'), 0, 1, 'stars')"
    write(notebooks, "19_nan", code)
    assert run("19", "--out", tmp_path) == 1
    (notebooks / "19_nan.ipynb").unlink()
    error = sidecar(tmp_path, "19_nan--simulated")["error"]
    assert error["message"] == "a headline wants finite numbers, not value nan (A)"
