"""`fsl data` as a person types it: exit codes, sentences, nothing that reaches the terminal raw."""

import subprocess
import sys

import pytest

from fsl import cli
from fsl.reading import fetch

LOG = "user,item,stars\na,b,1\na,c,5\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("FSL_DATA", raising=False)


def run(capsys, *words) -> tuple[int, str, str]:
    try:
        code = cli.main(["data", *map(str, words)])
    except SystemExit as stop:
        code = stop.code
    return (code, *capsys.readouterr())


def shop_folder(tmp_path, log=LOG, **files):
    for name, text in {"interactions": log, **files}.items():
        (tmp_path / f"{name}.csv").write_text(text, "utf-8")
    return tmp_path


def test_list(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    for text in ("phones-99 (real)", "amazon-phones (real)", "ml-100k (real)", "simulated (simulated)",
                 "27,879 users, 10,429 items, 194,439 interactions",
                 "not here: fsl data fetch phones-99", "made on demand", "no redistribution"):  # fmt: skip
        assert text in out


def test_list_says_where(capsys, tmp_path, monkeypatch):
    source = tmp_path / "given" / "phones-99"
    source.mkdir(parents=True)
    (source / "cellphones data.csv").write_text("other")
    monkeypatch.setenv("FSL_DATA", str(source.parent))
    code, out, _ = run(capsys)
    assert code == 0
    assert f"damaged: {source}/cellphones data.csv: sha256 does not begin 5484050c909b" in out


def test_fetch(capsys, monkeypatch):
    assert run(capsys, "fetch", "simulated")[:2] == (0, "simulated: made on demand\n")
    code, _, err = run(capsys, "fetch", "simulated", "phones-98")
    assert code == 2
    assert err == (
        "fsl: no source is called 'phones-98', expected one of phones-99, amazon-phones, ml-100k, "
        "simulated (is it 'phones-99'?).\n"
    )
    monkeypatch.setattr(fetch, "ORIGIN", "http://127.0.0.1:1")
    code, _, err = run(capsys, "fetch", "phones-99")
    assert code == 2
    assert err.startswith("fsl: phones-99 cannot be fetched: http://127.0.0.1:1/MeirNizri/")
    assert err.endswith("cellphones%20data.csv cannot be reached.\n")


def test_check_says_what_it_understood(capsys, tmp_path):
    items = "item,name,price,colour\nb,Beta,10,red\nc,Gamma,12.5,\n"
    folder = shop_folder(tmp_path, items=items, users="user,age\na,30\n")
    code, out, _ = run(capsys, "check", folder, "--column", "rating=stars")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in ("users 1", "items 2", "interactions 2", "target rating, 1 to 5, mean 3.00",
                 "- interactions.csv: the column 'stars' is read as rating.",
                 "interactions: 2 rows", "rating target", "item key, 2 different",
                 "name name, what people are shown", "price numeric, 10 to 12.5",
                 "colour category, 1 different, 1 missing", "age numeric, 30 to 30"):  # fmt: skip
        assert line in lines


def test_check_is_inert(capsys, tmp_path):
    folder = shop_folder(tmp_path, items="item,name,\x1b[2J\nb,\x1b[31mred,\x07\nc,<b>,x\n")
    code, out, err = run(capsys, "check", folder, "--column", "rating=stars")
    assert code == 0
    assert "\\x1b[2J" in out
    assert not {"\x1b", "\x07"} & set(out + err)
    folder = shop_folder(tmp_path, log="user,item,rating\n\x1b[31m,b,\x1b[2J\n")
    code, out, err = run(capsys, "check", folder)
    assert code == 2
    assert not {"\x1b"} & set(out + err)


def test_check_goes_on_when_asked_to(capsys, tmp_path):
    log = "user,item,rating\na,b,1\na,b,3\nz,b,2\n"
    folder = shop_folder(tmp_path, log=log, users="user\na\n")
    code, out, err = run(capsys, "check", folder)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2
    code, out, _ = run(capsys, "check", folder, "--drop-unknown", "--duplicates", "mean")
    assert code == 0
    assert "1 of 3 interactions were dropped: user or item not known." in out
    assert "1 of 2 interactions repeat another: their mean is kept." in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--column", "rating"], "argument --column: 'rating', expected OURS=THEIRS such as rating=stars"),
        (["--column", "rating=a", "--column", "rating=b"],
         "fsl: --column 'rating' is given twice, expected each name once."),
        (["--column", "rating=starz"], "fsl: --column rating=starz: no table has the column 'starz'"),
        (["--duplicates", "first"], "argument --duplicates: invalid choice: 'first'"),
        ([], "fsl: interactions.csv, line 2, column 'item': empty, expected an id."),
    ],
)  # fmt: skip
def test_bad_usage_is_two(capsys, tmp_path, options, said):
    code, out, err = run(capsys, "check", shop_folder(tmp_path, log="user,item\na,\n"), *options)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_help_imports_nothing_heavy():
    code = "import sys, fsl.reading.cli; print({'pandas', 'torch', 'numpy', 'pooch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
