"""Folders of tables: every format, every bad input in its exact words."""

import contextlib
import gzip
import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl import InputError, read_shop
from fsl.reading.columns import as_feature, decimal_commas
from fsl.reading.money import prices

LOG = (
    "user,item,rating,timestamp\n"
    "u1,007,4,1000000000\nu1,i2,3.5,2001-09-09T01:46:41Z\nu2,007,5,1000000002\n"
)
USERS = "user,age\nu1,30\nu2,\n"
ITEMS = (
    'item,name,price,code,out\n007,"Alpha, the first",100,01,2020-01-31\ni2,Beta,NA,2,2021-02-01\n'
)


def folder(path: Path, **files) -> Path:
    for name, content in files.items():
        content = content.encode() if isinstance(content, str) else content
        (path / name.replace("__", ".")).write_bytes(content)
    return path


def refused(path: Path, **options) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_shop(path, **options)
    return list(caught.value.problems)


def parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def test_csv(tmp_path):
    shop = read_shop(folder(tmp_path, interactions__csv=LOG, users__csv=USERS, items__csv=ITEMS))
    assert shop.interactions["item"].tolist() == ["007", "i2", "007"]
    assert shop.interactions["rating"].tolist() == [4.0, 3.5, 5.0]
    assert shop.interactions["timestamp"].tolist() == [1e9, 1e9 + 1, 1e9 + 2]
    assert shop.users["age"].tolist()[0] == 30.0
    assert np.isnan(shop.users["age"][1])
    assert shop.items["price"].dtype == "float64"
    assert shop.items["code"].tolist() == ["01", "2"], "a code stays text"
    assert shop.items["out"].tolist() == ["2020-01-31", "2021-02-01"]
    assert shop.item_names()["007"] == "Alpha, the first"
    assert (shop.name, shop.simulated, shop.notes) == (tmp_path.name, False, ())


@pytest.mark.parametrize(
    "content",
    [
        LOG.encode("utf-8-sig"),
        LOG.replace("\n", "\r\n").encode(),
        LOG.replace("\n", "\r").encode(),
        LOG.replace("\n", "\n\n").encode(),
        LOG.rstrip().encode(),
        LOG.replace(",", ", ").encode(),
        LOG.replace(",", ";").encode(),
        LOG.replace(",", "\t").encode(),
        ('"' + LOG.strip().replace(",", '","').replace("\n", '"\n"') + '"').encode(),
    ],
)
def test_csv_as_others_write_it(tmp_path, content):
    shop = read_shop(folder(tmp_path, interactions__csv=content))
    assert shop.interactions["user"].tolist() == ["u1", "u1", "u2"]
    assert shop.interactions["item"].tolist() == ["007", "i2", "007"]
    assert shop.interactions["timestamp"].tolist() == [1e9, 1e9 + 1, 1e9 + 2]


def test_gzip_and_users_absent(tmp_path):
    shop = read_shop(folder(tmp_path, interactions__csv__gz=gzip.compress(LOG.encode())))
    assert len(shop.interactions) == 3
    assert shop.users is None
    assert shop.items is None


@pytest.mark.parametrize("user", [[1, 2, 2], [1.0, 2.0, 2.0]])
def test_parquet_ids_become_text(tmp_path, user):
    log = pd.DataFrame({"user": user, "item": pd.Categorical(["a", "b", "c"]), "rating": [1, 2, 3],
                        "timestamp": pd.to_datetime(["2020-01-01"] * 3)})  # fmt: skip
    users = pd.DataFrame(
        {"user": [1, 2], "vip": [True, False], "born": pd.to_datetime(["1990-05-01", None])}
    )
    shop = read_shop(
        folder(tmp_path, interactions__parquet=parquet(log), users__parquet=parquet(users))
    )
    assert shop.interactions["user"].tolist() == ["1", "2", "2"]
    assert shop.interactions["item"].tolist() == ["a", "b", "c"]
    assert shop.interactions["timestamp"].tolist() == [1577836800.0] * 3
    assert shop.users["vip"].tolist() == [1.0, 0.0]
    assert shop.users["born"][0] == "1990-05-01T00:00:00"


def test_parquet_problems_name_rows(tmp_path):
    log = pd.DataFrame({"user": [1, None], "item": [1, 2], "rating": [1.0, np.nan]})
    assert refused(folder(tmp_path, interactions__parquet=parquet(log))) == [
        "interactions.parquet, row 2, column 'user': empty, expected an id.",
        "interactions.parquet, row 2, column 'rating': empty, expected a finite number.",
    ]


def test_recbole(tmp_path):
    (tmp_path / "x.inter").write_text("user_id:token\titem_id:token\trating:float\n01\t2\t3\n")
    (tmp_path / "x.item").write_text(
        'item_id:token\tname:token_seq\tyear:token\tp:float\n2\tA "B\t1995\t2\n'
    )
    (tmp_path / "other.user").write_text("not read\n")
    shop = read_shop(tmp_path)
    assert shop.interactions.to_dict("list") == {"user": ["01"], "item": ["2"], "rating": [3.0]}
    assert shop.items.to_dict("list") == {
        "item": ["2"],
        "name": ['A "B'],
        "year": ["1995"],
        "p": [2.0],
    }


def test_columns_are_mapped_where_they_are(tmp_path):
    log = LOG.replace("user", "id").replace("rating", "stars")
    path = folder(
        tmp_path, interactions__csv=log, users__csv=USERS, items__csv="item,stars\n007,1\ni2,2\n"
    )
    shop = read_shop(path, columns={"user": "id", "rating": "stars"})
    assert shop.interactions.columns.tolist() == ["user", "item", "rating", "timestamp"]
    assert shop.items.columns.tolist() == ["item", "stars"], "a feature of that name is a feature"
    assert shop.notes == (
        "interactions.csv: the column 'id' is read as user.",
        "interactions.csv: the column 'stars' is read as rating.",
    )


@pytest.mark.parametrize(
    ("log", "options", "sentence"),
    [
        (LOG, {"rating": "starz"}, "--column rating=starz: no table has the column 'starz', "
         "expected one of 'user', 'item', 'rating', 'timestamp'."),
        (LOG, {"ratng": "rating"}, "--column ratng=rating: expected one of item, label, name, "
         "rating, scene, timestamp, title, user before the =."),
        ("user,item,rating,stars\na,b,1,2\n", {"rating": "stars"}, "interactions.csv: the column "
         "'stars' is to be 'rating', but there is a column 'rating' already, expected one of the two."),
        ("user,item,item\na,b,c\n", {}, "interactions.csv: column 'item' is there twice, "
         "expected each name once."),
        ("userId,item\na,b\n", {}, "interactions.csv: there is no column 'user'; the columns are "
         "'userId', 'item'; name yours with --column user=userId."),
        ("Kundennr,item\na,b\n", {}, "interactions.csv: there is no column 'user'; the columns are "
         "'Kundennr', 'item'; name yours with --column user=Kundennr."),
        ("user,what\na,b\n", {}, "interactions.csv: there is no column 'item'; the columns are "
         "'user', 'what'; name yours with --column item=THEIRS."),
    ],
)  # fmt: skip
def test_bad_columns(tmp_path, log, options, sentence):
    assert refused(folder(tmp_path, interactions__csv=log), columns=options) == [sentence]


BAD_FILES = {
    "": ": the file is empty, expected a header and rows.",
    "\n\n": ": there are only empty lines, expected a header and rows.",
    "user,item\n": ": there are no rows, expected one for each interaction.",
    b"\x1f\x8bxx": ": the content is gzip, expected text as the ending says.",
    b"PAR1xx": ": the content is Parquet, expected text as the ending says.",
    b"PK\x03\x04": ": the content is a zip archive or a spreadsheet, expected text as the ending "
        "says (in Excel: save as 'CSV UTF-8').",
    "<!DOCTYPE html>": ": the content is a web page (HTML or XML), expected text as the ending says.",
    LOG.encode("utf-16"): ": the content is UTF-16 text, expected text in UTF-8 as the ending says "
        "(in Excel: save as 'CSV UTF-8').",
    LOG.encode() + b"u2,\xe9,1,2\n": ", line 5: byte 0xe9 is not UTF-8, expected a file saved as UTF-8"
        " (in Excel: save as 'CSV UTF-8').",
    LOG.encode() + b"u2,\xc3": ", line 5: byte 0xc3 is not UTF-8, expected a file saved as UTF-8"
        " (in Excel: save as 'CSV UTF-8').",
    LOG + "u2,\0,1,2\n": ", line 5: a NUL byte, expected text in UTF-8.",
    LOG + "u2,i2\n\nu2,i2,3,4,5\n": ", line 5: 2 fields, expected 4 as in the header (2 such lines: 5, 7).",
    'user,item,why\na,b,"oops\na,c,x\n': ", line 2: a quote is opened and never closed, expected a closing quote.",
    LOG + "u2,i2,abc,5\nu2,i2,nan,6\nu2,i2,-inf,7\nu2,i2,,8\n":
        ", line 5, column 'rating': 'abc', expected a finite number (4 such lines: 5, 6, 7, 8).",
    LOG + 'u2,i2,"4,5",5\n': ", line 5, column 'rating': '4,5', expected a finite number with a decimal point.",
    LOG + "u2,i2,4,3.6.2024 23:03\n": ", line 5, column 'timestamp': '3.6.2024 23:03', expected Unix seconds or an "
        "ISO 8601 time such as 2024-05-31T18:00:00; write 2024-06-03T23:03.",
    'user,item,rating\na,b,"1,500"\na,c,"2,000"\n': ", line 2, column 'rating': '1,500', expected a finite number "
        "with a decimal point (2 such lines: 2, 3).",
    'user,item,rating\n' + "".join(f'u{i},b,"{i},5"\n' for i in range(30)) + 'u,b,n. a.\nu,c,\n':
        ", line 32, column 'rating': 'n. a.', expected a finite number (2 such lines: 32, 33).",
    LOG + "u2,i2,4,31/12/2020\n": ", line 5, column 'timestamp': '31/12/2020', expected Unix seconds or an "
        "ISO 8601 time such as 2024-05-31T18:00:00.",
    LOG + "u2,i2,4,\n": ", line 5, column 'timestamp': empty, expected Unix seconds or an "
        "ISO 8601 time such as 2024-05-31T18:00:00.",
    LOG + "u2,i2,4,1700000000000\n": ", line 5, column 'timestamp': 1700000000000, expected Unix seconds; "
        "after the year 3000, so divide by 1000 if these are milliseconds.",
    LOG + "\n ,i2,4,5\n": ", line 6, column 'user': empty, expected an id.",
    LOG + "NULL,i2,4,5\n": ", line 5, column 'user': 'NULL', expected an id.",
    LOG + "u1,007,2,1000000000\n": ", line 5, column 'item': user 'u1' has item '007' already, expected once or "
        "at another time; --duplicates last or --duplicates mean goes on.",
    "user,item,label\na,b,1\na,c,yes\n": ", line 3, column 'label': 'yes', expected 0 or 1.",
    'user,item,why,rating\na,b,"two\nlines",1\na,c,x,bad\n':
        ", line 4, column 'rating': 'bad', expected a finite number.",
    "user,item,rating\na,b,\x1b[31m\n": ", line 2, column 'rating': '\\x1b[31m', expected a finite number.",
}  # fmt: skip


@pytest.mark.parametrize("content", BAD_FILES, ids=range(len(BAD_FILES)))
def test_bad_file(tmp_path, content):
    path = folder(tmp_path, interactions__csv=content)
    assert refused(path) == ["interactions.csv" + BAD_FILES[content]]


def test_all_problems_of_all_files_at_once(tmp_path):
    path = folder(
        tmp_path,
        interactions__csv=LOG + "u2\n,i2,x,5\nu9,i2,1,9\n",
        users__csv=USERS + "u1,5\n",
        items__csv=ITEMS.replace("Beta,NA", "Beta,inf"),
    )
    assert refused(path) == [
        "interactions.csv, line 5: 1 field, expected 4 as in the header.",
        "interactions.csv, line 6, column 'user': empty, expected an id.",
        "interactions.csv, line 6, column 'rating': 'x', expected a finite number.",
        "interactions.csv, line 7, column 'user': 'u9' is not in users.csv, expected a known user; "
        "--drop-unknown goes on without them.",
        "users.csv, line 4, column 'user': 'u1' is there already, expected each user once.",
        "items.csv, line 3, column 'price': inf, expected a finite number or nothing.",
    ]


def test_only_the_first_ten_of_many_are_named(tmp_path):
    log = "user,item,rating\n" + "".join(f"u{i},i,x\n" for i in range(30))
    assert refused(folder(tmp_path, interactions__csv=log)) == [
        "interactions.csv, line 2, column 'rating': 'x', expected a finite number "
        "(30 such lines: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 20 more)."
    ]
    header = "user,item," + ",".join(f"c{i // 2}" for i in range(24))
    problems = refused(folder(tmp_path, interactions__csv=header + "\n"))
    assert problems[10:] == ["interactions.csv: and 2 more."]


def test_unknown_are_dropped_on_request_and_counted(tmp_path):
    path = folder(tmp_path, interactions__csv=LOG + "u9,007,1,9\n", users__csv=USERS)
    shop = read_shop(path, drop_unknown=True)
    assert len(shop.interactions) == 3
    assert shop.notes == ("1 of 4 interactions were dropped: user or item not known.",)
    folder(path, users__csv="user\nnobody\n")
    assert refused(path, drop_unknown=True) == [
        "interactions.csv: no interaction is of a known user and item."
    ]


def test_duplicates_on_request(tmp_path):
    path = folder(tmp_path, interactions__csv="user,item,rating\na,b,1\na,c,5\na,b,4\n")
    last, mean = (read_shop(path, duplicates=how) for how in ("last", "mean"))
    assert last.interactions["rating"].tolist() == [5.0, 4.0]
    assert mean.interactions["rating"].tolist() == [5.0, 2.5]
    assert mean.notes == ("1 of 3 interactions repeat another: their mean is kept.",)
    assert refused(path, duplicates="first") == [
        "duplicates is 'first', expected 'last' or 'mean'."
    ]
    folder(path, interactions__csv="user,item,label\na,b,1\na,b,0\n")
    assert refused(path, duplicates="mean") == [
        "--duplicates mean needs ratings; labels are 0 or 1, so use --duplicates last."
    ]


def test_bad_row_is_not_merged_away(tmp_path):
    path = folder(tmp_path, interactions__csv="user,item,rating\na,b,x\na,b,4\n")
    assert (
        "line 2, column 'rating': 'x', expected a finite number."
        in refused(path, duplicates="last")[0]
    )


def test_folders_that_are_none(tmp_path):
    wanted = "expected interactions.csv, .csv.gz, .parquet or NAME.inter"
    assert refused(tmp_path) == [f"{tmp_path}: no interactions table, {wanted}; there is nothing."]
    path = folder(tmp_path, interactions__xlsx=b"PK")
    assert refused(path) == [
        f"{path}: no interactions table, {wanted}; there is interactions.xlsx "
        "(in Excel: save as 'CSV UTF-8')."
    ]
    path = folder(tmp_path, interactions__csv=LOG, interactions__parquet=b"PAR1")
    assert refused(path) == [
        f"{path}: interactions.csv and interactions.parquet are both there, "
        "expected one interactions table."
    ]
    wanted = "expected a folder with interactions.csv, .csv.gz, .parquet or NAME.inter"
    assert refused(path / "no") == [f"{path}/no: no such folder, {wanted}."]
    assert refused(path / "interactions.csv") == [f"{path}/interactions.csv: a file, {wanted}."]


def test_directory_and_unreadable_file(tmp_path, monkeypatch):
    (tmp_path / "interactions.csv").mkdir()
    assert refused(tmp_path) == ["interactions.csv: a directory, expected a file."]
    (tmp_path / "interactions.csv").rmdir()
    folder(tmp_path, interactions__csv=LOG)

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert refused(tmp_path) == ["interactions.csv: Permission denied, expected a readable file."]


def test_packed_files_that_are_not(tmp_path):
    path = folder(tmp_path, interactions__csv__gz=LOG)
    said = "interactions.csv.gz: the content is not gzip, expected gzip as the ending says."
    assert refused(path) == [said]
    folder(tmp_path, interactions__csv__gz=gzip.compress(LOG.encode() * 99)[:-20])
    assert refused(path)[0].startswith(
        "interactions.csv.gz: the gzip content is cut short or damaged ("
    )
    (path / "interactions.csv.gz").unlink()
    folder(tmp_path, interactions__parquet=LOG)
    said = "interactions.parquet: the content is not Parquet, expected Parquet as the ending says."
    assert refused(path) == [said]
    whole = parquet(pd.DataFrame({"user": [1], "item": [1]}))
    folder(tmp_path, interactions__parquet=whole[:-30])
    assert refused(path)[0].startswith(
        "interactions.parquet: the Parquet content is cut short or damaged ("
    )


def test_texts_are_kept_as_they_are(tmp_path):
    name = '<img src=x onerror=alert(1)>\x1b[31m 5" ☎'
    shop = read_shop(
        folder(tmp_path, interactions__csv=LOG, items__csv=f"item,name\n007,{name}\ni2,b\n")
    )
    assert shop.item_names()["007"] == name


def test_index_column_and_compact_dates(tmp_path):
    path = folder(
        tmp_path, interactions__csv=",user,item,timestamp\n0,a,b,20200131\n1,a,c,20200201\n"
    )
    shop = read_shop(path)
    assert shop.interactions.columns.tolist() == ["user", "item", "timestamp"]
    assert shop.interactions["timestamp"].tolist() == [1580428800.0, 1580515200.0]
    assert shop.notes == (
        "interactions.csv: column 1 has no name and is left out.",
        "interactions.csv: timestamps such as 20200131 are read as days.",
    )


def test_decimal_commas_are_read_and_said(tmp_path):
    path = folder(
        tmp_path,
        interactions__csv="user;item;rating\na;b;4,5\na;c;3\nb;b;1.000,25\n",
        items__csv="item;price;name\nb;109,99;1,5\nc;1.299,00;2,5\n",
    )
    shop = read_shop(path)
    assert shop.interactions["rating"].tolist() == [4.5, 3.0, 1000.25]
    assert shop.items["price"].tolist() == [109.99, 1299.0]
    assert shop.items["name"].tolist() == ["1,5", "2,5"], "a name is no number"
    for note in (
        "interactions.csv: the column 'rating' has decimal commas and is read as numbers.",
        "items.csv: the column 'price' has decimal commas and is read as numbers.",
    ):
        assert note in shop.notes


@pytest.mark.parametrize(
    ("cells", "numbers", "currency"),
    [
        (["¥1,299.00", "¥899.00", "-¥3"], None, None),
        (["¥1,299.00", "¥899.00", "¥ -3"], [1299.0, 899.0, -3.0], "¥"),
        (["1.299 €", "899,50 €", "7€"], [1299.0, 899.5, 7.0], "€"),
        (["$1,299", "$399.9", "12"], [1299.0, 399.9, 12.0], "$"),
        (["1999元", "2999元"], [1999.0, 2999.0], "元"),
        (["1.299 €"], [1299.0], "€"),
        (["$5", "5 €"], None, None),
        (["1,299.00 €", "1.299,00 €"], None, None),
        (["$5", "five"], None, None),
        (["5", "6"], None, None),
    ],
)
def test_prices_are_read_where_all_are_in_one_currency(cells, numbers, currency):
    found = prices(pd.Series(cells, dtype="str"))
    assert (found is None) == (numbers is None)
    if found is not None:
        assert (found[0].tolist(), found[1]) == (numbers, currency)


def test_a_column_of_prices_is_a_number_and_that_is_said(tmp_path):
    items = "item;价格;note\n007;¥1,999.00;$5\ni2;¥ 899.00;blue\n"
    shop = read_shop(folder(tmp_path, interactions__csv=LOG, items__csv=items))
    assert shop.items["价格"].tolist() == [1999.0, 899.0]
    assert "items.csv: the column '价格' has prices in ¥ and is read as numbers." in shop.notes
    assert "note" not in str(shop.notes)


def test_a_few_values_that_are_no_price_are_missing_and_said():
    cells = [f"${i}" for i in range(30)] + ["on request"]
    values, said = as_feature(pd.Series(cells, dtype="str"))
    assert values.isna().tolist() == [False] * 30 + [True]
    assert said == (
        "has prices in $ and is read as numbers; 1 of 31 values are none, such as 'on request'"
    )


def test_parquet_ratings_with_decimal_commas(tmp_path):
    log = pd.DataFrame({"user": [1, 2], "item": [1, 2], "stars": ["4,5", "3,25"]})
    path = folder(tmp_path, interactions__parquet=parquet(log))
    shop = read_shop(path, columns={"rating": "stars"})
    assert shop.interactions["rating"].tolist() == [4.5, 3.25]
    assert shop.notes[1:] == (
        "interactions.parquet: the column 'stars' has decimal commas and is read as numbers.",
    )


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["1,299", "899", None], "stays text: '1,299' could have a decimal comma or thousands; "
         "write 1.299 or 1299"),
        (["3.6.2024", "12.11.2023"], "stays text: '3.6.2024' is no date to us; write 2024-06-03"),
        (["99.99.2024"], "stays text: '99.99.2024' is no date to us; write 2024-06-03"),
        (["1,5", "1,2,3"], ""),
        (["01067", "01069"], ""),
        (["1,5", "red"], ""),
        ([f"{i},5" for i in range(30)] + ["?"], "has decimal commas and is read as numbers; "
         "1 of 31 values are none, such as '?'"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_column_that_is_not_plain(cells, note):
    values, said = as_feature(pd.Series(cells, dtype="str"))
    assert said == note
    assert pd.api.types.is_numeric_dtype(values) == note.startswith("has")


@given(st.lists(st.decimals(-9999, 9999, places=2), min_size=1))
def test_decimal_commas_are_what_python_reads(numbers):
    texts = pd.Series([f"{n:.2f}".replace(".", ",") for n in numbers], dtype="str")
    assert decimal_commas(texts).tolist() == [float(n) for n in numbers]
    assert decimal_commas(texts + "0,1") is None


def test_other_tables_of_the_folder_are_named(tmp_path):
    shop = read_shop(folder(tmp_path, interactions__csv=LOG, products__csv="a\n", notes__txt=""))
    assert shop.notes == (
        "not read: products.csv; tables are called interactions, users and items.",
    )


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=9)
ids = texts.map(str.strip).filter(lambda t: t and t not in ("null", "NULL", "nan", "NaN", "None"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(ids, texts, st.floats(-9, 9)), min_size=1, max_size=8, unique_by=lambda r: r[0]
    )
)
def test_what_pandas_writes_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("shop")
    log = pd.DataFrame(rows, columns=["item", "why", "rating"]).assign(user="u")
    log.to_csv(path / "interactions.csv", index=False)
    shop = read_shop(path)
    for column in log:
        assert shop.interactions[column].tolist() == log[column].tolist()


def test_many_rows_and_the_line_of_a_late_problem(tmp_path):
    n = 200_000
    log = pd.DataFrame({"user": np.arange(n) % 5000, "item": np.arange(n) // 5000, "rating": 3})
    log.to_csv(tmp_path / "interactions.csv", index=False)
    tracemalloc.start()
    shop = read_shop(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(shop.interactions) == n
    assert peak < 300 * n, "bytes per row that Python and NumPy hold"
    with (tmp_path / "interactions.csv").open("a") as stream:
        stream.write("1,2,x\n")
    assert refused(tmp_path)[0].startswith(f"interactions.csv, line {n + 2}, column 'rating': 'x'")


def test_scenes_json_pipes_and_quoted_headers(tmp_path):
    path = folder(tmp_path, interactions__csv='user,item,scene,"a;b;c;d;e"\na,b,,x\na,c,web,y\n')
    shop = read_shop(path)
    assert shop.interactions["scene"].isna().tolist() == [True, False]
    assert shop.interactions["a;b;c;d;e"].tolist() == ["x", "y"]
    folder(path, interactions__csv='[{"user": 1}]')
    said = "interactions.csv: the content is JSON, expected text as the ending says."
    assert refused(path) == [said]
    (path / "interactions.csv").unlink()
    os.mkfifo(path / "interactions.csv")
    assert refused(path) == ["interactions.csv: no regular file, expected a file."]
    (path / "interactions.csv").unlink()
    binary = pd.DataFrame({"user": ["a"], "item": ["b"], "x": [b"\xff\xfe"]})
    folder(path, interactions__parquet=parquet(binary))
    assert refused(path)[0].startswith("interactions.parquet: the Parquet content is damaged (")


def test_parquet_without_rows(tmp_path):
    log = pd.DataFrame({"user": ["a"], "item": ["b"], "timestamp": [1e9]}).iloc[:0]
    path = folder(tmp_path, interactions__parquet=parquet(log))
    said = "interactions.parquet: there are no rows, expected one for each interaction."
    for options in ({}, {"drop_unknown": True}, {"duplicates": "last"}):
        assert refused(path, **options) == [said]


def test_parquet_with_wrong_bytes(tmp_path):
    log = pd.DataFrame({"user": ["anna", "bert"], "item": ["x", "y"], "colourful": ["q", "r"]})
    whole = parquet(log)
    said = "interactions.parquet: the Parquet content is "
    path = folder(tmp_path, interactions__parquet=whole.replace(b"colourful", b"colo\xffrful"))
    assert refused(path)[0].startswith(said + "cut short or damaged ('utf-8' codec can't decode")
    folder(path, interactions__parquet=whole.replace(b"anna", b"an\xffa"))
    assert refused(path)[0].startswith(said)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_parquet_with_flipped_bytes_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("shop")
    times = pd.to_datetime(["2020-01-01"] * 2)
    log = pd.DataFrame({"user": ["a", "b"], "item": [1, 2], "timestamp": times})
    content = bytearray(parquet(log))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[place] ^= data.draw(st.integers(1, 255))
    folder(path, interactions__parquet=bytes(content))
    with contextlib.suppress(InputError):
        read_shop(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("u2,i2,1e7,5", "column 'rating': 10000000, expected a rating between -1000000 and 1000000."),
        ("u2,i2,-1e300,5", "column 'rating': -1e+300, expected a rating between -1000000 and 1000000."),
        ("u2,i2,4,-1e14", "column 'timestamp': -100000000000000, expected Unix seconds; before the year 1."),
        ("u2,i2,4,1e300", "column 'timestamp': 1e+300, expected Unix seconds; after the year 3000, so "
         "divide by 1000 if these are milliseconds."),
    ],
)  # fmt: skip
def test_huge_numbers(tmp_path, line, said):
    path = folder(tmp_path, interactions__csv=LOG + line + "\n")
    assert refused(path) == ["interactions.csv, line 5, " + said]


def test_huge_features_are_missing_values(tmp_path):
    items = "item,price,cost\n007,1e300,1\ni2,-5,1e15\n"
    shop = read_shop(folder(tmp_path, interactions__csv=LOG, items__csv=items))
    assert np.isnan(shop.items["price"][0])
    assert shop.items["price"][1] == -5
    assert shop.items["cost"].tolist() == [1, 1e15]
    assert shop.notes == (
        "items.csv: the column 'price' has numbers beyond 1e15 in size (1), which become missing values.",
    )


@pytest.mark.parametrize("name", ["", " "])
def test_no_folder_is_not_this_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(folder(tmp_path, interactions__csv=LOG))
    said = f"{name!r} is no folder, expected the name of one ('.' is this one)."
    assert refused(name) == [said]
    assert len(read_shop(".").interactions) == 3


@pytest.mark.parametrize("kind", ["int64", "int32", "float64", "str"])
def test_parquet_days_are_days(tmp_path, kind):
    log = pd.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "timestamp": [20240531, 20240601]})
    path = folder(tmp_path, interactions__parquet=parquet(log.astype({"timestamp": kind})))
    shop = read_shop(path)
    assert shop.interactions["timestamp"].tolist() == [1717113600.0, 1717200000.0]
    assert shop.notes == ("interactions.parquet: timestamps such as 20240531 are read as days.",)
    times = pd.to_datetime(log["timestamp"], unit="s")
    folder(path, interactions__parquet=parquet(log.assign(timestamp=times)))
    assert read_shop(path).interactions["timestamp"].tolist() == [20240531.0, 20240601.0]


def test_timestamps_of_the_first_month(tmp_path):
    log = "user,item,timestamp\na,b,0\na,c,2678399\n"
    path = folder(tmp_path, interactions__csv=log)
    assert read_shop(path).notes == (
        "interactions.csv: all timestamps lie in January 1970: are they seconds?",
    )
    folder(path, interactions__csv=log + "a,d,2678400\n")
    assert read_shop(path).notes == ()


@pytest.mark.parametrize("rows", [1, 3])
def test_an_opening_quote_in_a_middle_column(tmp_path, rows):
    log = 'user,item,rating\na,"b,1\n' + "".join(f"a,c{i},3\n" for i in range(rows))
    said = "interactions.csv, line 2: an opening quote is not closed, expected a closing quote."
    assert refused(folder(tmp_path, interactions__csv=log)) == [said]
    folder(tmp_path, interactions__csv="user,item,rating\nz,y,1\n" + log.partition("\n")[2])
    assert refused(tmp_path) == [said.replace("line 2", "line 3")]


def test_malformed_rows_are_not_missing_rows(tmp_path):
    path = folder(tmp_path, interactions__csv="user,item\na\n")
    assert refused(path) == ["interactions.csv, line 2: 1 field, expected 2 as in the header."]


def test_labels_of_true_and_false(tmp_path):
    log = "user,item,liked\na,b,true\na,c,FALSE\na,d, True\na,e,0\n"
    shop = read_shop(folder(tmp_path, interactions__csv=log), columns={"label": "liked"})
    assert shop.interactions["label"].tolist() == [1.0, 0.0, 1.0, 0.0]
    folder(tmp_path, interactions__csv=log + "a,f,maybe\n")
    assert refused(tmp_path, columns={"label": "liked"}) == [
        "interactions.csv, line 6, column 'label': 'maybe', expected 0 or 1."
    ]


def test_features_that_may_hold_the_future(tmp_path):
    items = "item,Avg_Rating,sales,price\n007,4.5,1,2\ni2,3,1,3\n"
    shop = read_shop(folder(tmp_path, interactions__csv=LOG, items__csv=items))
    assert shop.notes == (
        "items.csv: the column 'Avg_Rating' is used as a feature; leave it out if it was computed "
        "from these interactions.",
    ), "one value only is no feature"
