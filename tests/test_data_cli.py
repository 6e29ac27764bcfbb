"""`fsl data` as a person types it: exit codes, sentences, nothing that reaches the terminal raw."""

import os
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
    for text in ("phones-99 (real shop)", "amazon-phones (real shop)", "ml-100k (real shop)",
                 "simulated (simulated shop)", "1,200 users, 240 items, or as many as you ask for\n",
                 "omniglot (real images)", "4,840 images, 242 characters, 8 alphabets, 20 one-shot runs\n",
                 "fewrel (real texts)", "11,200 sentences, 16 relations\n",
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
    for name in ("simulated", "simulated-characters", "simulated-intents"):
        assert run(capsys, "fetch", name)[:2] == (0, f"{name}: made on demand\n")
    code, _, err = run(capsys, "fetch", "simulated", "phones-98")
    assert code == 2
    assert err == (
        "fsl: no source is called 'phones-98', expected one of phones-99, amazon-phones, ml-100k, "
        "simulated, omniglot, fewrel, banking77, clinc150, phone-photos, simulated-characters, simulated-intents, "
        "open-bandit, simulated-log (is it 'phones-99'?).\n"
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
                 "name name, what people are shown", "price numeric, 10 to 12.5; 1 feature, a number",
                 "colour category, 1 different, 1 missing; left out: there is only one value",
                 "age numeric, 30 to 30; left out: there is only one value"):  # fmt: skip
        assert line in lines


def test_chinese_keys_are_named_with_the_option_that_uses_them(capsys, tmp_path):
    code, _, err = run(capsys, "check", shop_folder(tmp_path, log="顾客,商品\na,b\n"))
    assert code == 2
    assert "name yours with --column user=顾客." in err
    assert "name yours with --column item=商品." in err


def lines_of(out: str) -> list[str]:
    return [line[2:] for line in out.splitlines() if line.startswith("- ")]


def test_check_names_columns_that_could_be_used(capsys, tmp_path):
    log = "user,item,start_time,stars,bought_at,channel,note\n" + "".join(
        f"u{i % 9},i{i},{i},{i % 5},2024-06-0{1 + i % 9},{'web' if i % 2 else 'shop'},good\n"
        for i in range(30)
    )
    items = "item,brand_name,product_name\n" + "".join(f"i{i},B{i % 3},P {i}\n" for i in range(30))
    folder = shop_folder(tmp_path, log=log, items=items)
    code, out, _ = run(capsys, "check", folder)
    assert code == 0
    assert lines_of(out) == [
        "no column is used as rating; is 'stars' one? --column rating=stars",
        "no column is used as timestamp; is 'bought_at' one? --column timestamp=bought_at",
        "no column is used as scene; is 'channel' one? --column scene=channel",
        "people will be shown ids; --column name=product_name",
        "no cold-start verdict is possible: 9 users have the 2 behaviours that a judgement takes, at least 25 "
        "are needed",
    ]
    named = ("rating=stars", "timestamp=bought_at", "scene=channel", "name=product_name")
    options = [word for name in named for word in ("--column", name)]
    code, out, _ = run(capsys, "check", folder, *options)
    assert code == 0
    assert lines_of(out)[-1].startswith("no cold-start verdict is possible: 9 users have the 2")
    assert not [line for line in lines_of(out) if "no column" in line or "shown ids" in line]


@pytest.mark.parametrize(
    ("log", "items", "said"),
    [
        ("user,item,My Liked\na,b,yes\n", None,
         "no column is used as label; is 'My Liked' one? --column 'label=My Liked'"),
        ("user,item,rating,Kaufdatum\na,b,1,3.6.2024\n", None,
         "no column is used as timestamp; is 'Kaufdatum' one? --column timestamp=Kaufdatum"),
        ("user,item,评分,时间\na,b,1,2024-06-03\n", None,
         "no column is used as rating; is '评分' one? --column 'rating=评分'"),
        ("user,item,rating,下单时间\na,b,1,2024-06-03\n", None,
         "no column is used as timestamp; is '下单时间' one? --column 'timestamp=下单时间'"),
        ("user,item,rating,x\na,b,1,2024-06-03T23:03\n", None,
         "no column is used as timestamp; is 'x' one? --column timestamp=x"),
        ('user,item,score\na,b,"4,5"\n', None,
         "no column is used as rating; is 'score' one? --column rating=score"),
        ("user,item,rating\na,b,1\n", "item,brand\nb,x\n",
         "people will be shown ids; items has no column name"),
    ],
)  # fmt: skip
def test_a_hint_of_each_kind(capsys, tmp_path, log, items, said):
    folder = shop_folder(tmp_path, log=log, **({"items": items} if items else {}))
    code, out, _ = run(capsys, "check", folder)
    assert (code, lines_of(out)[0]) == (0, said)


@pytest.mark.parametrize(
    "column", ["note,good", "time,35", "star\x1b,4", "generated,x", "duration,3"]
)
def test_no_hint_without_cause(capsys, tmp_path, column):
    name, value = column.split(",")
    folder = shop_folder(tmp_path, log=f"user,item,{name}\na,b,{value}\n")
    code, out, _ = run(capsys, "check", folder)
    assert code == 0
    assert lines_of(out) == [
        "no cold-start verdict is possible with a median of 1 behaviour per user; 0 of 1 users have 4 or more"
    ]


def test_check_says_of_a_shop_without_ratings_what_rankings_can_judge(capsys, tmp_path):
    log = "user,item\n" + "".join(f"u{u},i{(u + i) % 9}\n" for u in range(30) for i in range(4))
    _, out, _ = run(capsys, "check", shop_folder(tmp_path, log=log))
    assert lines_of(out)[-1] == (
        "half of your users have 4 or fewer behaviours: K = 1, 3 can be judged, by rankings (neither rating nor label) "
        "(random support: no timestamps)"
    )


def test_check_closes_with_what_can_be_judged(capsys, tmp_path):
    log = "user,item,rating\n" + "".join(f"u{u},i{i},3\n" for u in range(9) for i in range(u + 1))
    _, out, _ = run(capsys, "check", shop_folder(tmp_path, log=log))
    assert lines_of(out) == [
        "no cold-start verdict is possible: 6 users have the 4 behaviours that a judgement takes, "
        "at least 25 are needed"
    ]
    log += "".join(f"v{u},i1,3\n" for u in range(30))
    _, out, _ = run(capsys, "check", shop_folder(tmp_path, log=log))
    assert lines_of(out) == [
        "no cold-start verdict is possible with a median of 1 behaviour per user; 6 of 39 users have 4 or more"
    ]


def test_check_calls_no_shop_sound_that_is_too_small_for_any_verdict(capsys, tmp_path):
    _, _, said = run(capsys, "check", shop_folder(tmp_path, log="user,item,rating\na,b,3\n"))
    assert said == (
        "The tables can be read, but are too small for a verdict: at least 25 users, and half of all users, "
        "must have 2 behaviours or more, and 0 of 1 have them.\n"
    )
    log = "user,item\n" + "".join(f"u{u},i{i}\n" for u in range(25) for i in range(2))
    _, _, said = run(capsys, "check", shop_folder(tmp_path, log=log))
    assert said == "The tables are sound.\n"


def test_numbers_agree_with_what_they_count(capsys, tmp_path):
    _, out, _ = run(capsys, "check", shop_folder(tmp_path, log="user,item,rating\na,b,3\n"))
    assert "interactions: 1 row\n" in out
    cli.main(["data"])
    assert "20,000 rounds, 2 logs, 1 campaign, or" in capsys.readouterr().out


def test_a_header_without_end_is_one_sentence(capsys, tmp_path):
    log = f"user,item,rating,{'n' * 200_000}\na,b,3,4\n"
    code, _, said = run(capsys, "check", shop_folder(tmp_path, log=log))
    assert (code, said) == (
        2,
        (
            "fsl: interactions.csv, line 1: a header of 200,017 characters, expected one of at most 131,072.\n"
        ),
    )


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


def test_check_of_a_known_shop(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "check", "simulated")
    assert code == 0
    assert "users: 1,200 rows" in out
    said = "fsl: simulated is a known source: --column, --drop-unknown and --duplicates are for folders.\n"
    assert run(capsys, "check", "simulated", "--drop-unknown") == (2, "", said)
    said = (
        "fsl: phones-9: no such folder, nor a source (phones-99, amazon-phones, ml-100k, simulated) "
        "(is it 'phones-99'?).\n"
    )
    assert run(capsys, "check", "phones-9") == (2, "", said)


@pytest.mark.parametrize(
    ("name", "kind", "room"),
    [("omniglot", "images", "characters.omniglot"), ("fewrel", "texts", "texts.fewrel")],
)
def test_what_is_no_shop(capsys, monkeypatch, tmp_path, name, kind, room):
    said = (
        f"fsl: {name} is {kind}, not a shop, expected one of phones-99, amazon-phones, ml-100k, simulated "
        f"(fsl.{room} reads {name}).\n"
    )
    assert run(capsys, "check", name) == (2, "", said)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "04", "--data", name]) == 2
    assert capsys.readouterr() == ("", said)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(fetch, "ORIGIN", "http://127.0.0.1:1")
    code, out, err = run(capsys, "fetch", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"fsl: {name} cannot be fetched: http://127.0.0.1:1/")
    assert err.endswith(" cannot be reached.\n")


def test_check_of_no_folder(capsys):
    said = "fsl: '' is no folder, expected the name of one ('.' is this one).\n"
    assert run(capsys, "check", "") == (2, "", said)


@pytest.mark.parametrize("place", ["_run", "import_module"])
def test_ctrl_c_is_130(capsys, monkeypatch, place):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, place, stop)
    assert run(capsys) == (130, "", "")


def test_ctrl_c_while_importing(tmp_path):
    (tmp_path / "pandas.py").write_text("raise KeyboardInterrupt")
    shop_folder(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from fsl.cli import main; "
    code += f"sys.exit(main(['data', 'check', {str(tmp_path)!r}]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("word", "code"), [("data", 141), ("--help", 0)])
def test_nobody_reads_on(word, code):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "fsl.cli", word]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is full")
def test_output_that_cannot_be_written():
    command = [sys.executable, "-m", "fsl.cli", "data"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "fsl: the output cannot be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, said)
