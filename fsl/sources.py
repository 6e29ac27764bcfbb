"""The known data sets, each described once: origin, checksums, terms, reader. Knows no task."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fsl.data import Shop
from fsl.errors import InputError
from fsl.reading import fetch, read
from fsl.reading.fetch import Remote
from fsl.reading.readers import WHEEL, read_amazon, read_movielens, read_phones
from fsl.reading.sentences import inert, show

PHONES = "MeirNizri/Contrastive-Explanation-for-Recommender-Systems/3ddea2a3552acf7b108b3e5bbea980e0d77c897e/datasets"
ASREP = "DyGRec/ASReP/01b5c2bc1ae98da48f01180d022ba1177a0b09ac/data/Cell_Phones_and_Accessories"
PGPR = "orcax/PGPR/df6aac19c3adfb056f42abb9e5af44fc3fdaa0d5/data/Amazon_Cellphones"


@dataclass(frozen=True)
class Source:
    """A data set by name. size: interactions, users, items. read: its files by name -> Shop."""

    name: str
    about: str
    terms: str
    size: tuple[int, int, int]
    files: tuple[Remote, ...] = ()
    read: Callable[[Mapping[str, Path]], Shop] | None = None
    simulated: bool = False


def load(name: str, *, timeout: float = fetch.SECONDS, **options) -> Shop:
    """A known source as a Shop: "phones-99", "amazon-phones", "ml-100k" or "simulated".

    Files are looked for in FSL_DATA, then in the cache, then fetched within `timeout` seconds.
    options: of "simulated" only: n_users, n_items, seed. Raises InputError if it cannot be had.
    """
    source = find_source(name)
    allowed = ("n_users", "n_items", "seed") if source.simulated else ()
    wrong = [option for option in options if option not in allowed]
    if wrong:
        raise InputError(
            f"{name} takes no option {wrong[0]!r}, expected {', '.join(allowed) or 'none'}."
        )
    if source.simulated:
        return _simulated(**options)
    return replace(source.read(fetch.fetch(name, source.files, timeout)), name=name)


def find_source(name: str) -> Source:
    """The source of that name, or InputError with the names there are."""
    if name in SOURCES:
        return SOURCES[name]
    near = difflib.get_close_matches(str(name), SOURCES, n=1, cutoff=0.5)
    hint = f" (is it {near[0]!r}?)" if near else ""
    raise InputError(
        f"no source is called {show(str(name))}, expected one of {', '.join(SOURCES)}{hint}."
    )


def open_shop(data: str | Path, **read_options) -> Shop:
    """A known source by its name, else the folder of that path (`read_shop` has the options)."""
    if str(data) in SOURCES:
        if any(read_options.values()):
            raise InputError(
                f"{data} is a known source: --column, --drop-unknown and --duplicates are for folders."
            )
        return load(str(data))
    if not Path(data).exists() and not {"/", "\\"} & set(str(data)):
        near = difflib.get_close_matches(str(data), SOURCES, n=1, cutoff=0.5)
        hint = f" (is it {near[0]!r}?)" if near else ""
        names = ", ".join(SOURCES)
        raise InputError(f"{inert(data)}: no such folder, nor a source ({names}){hint}.")
    return read.read_shop(data, **read_options)


def _simulated(n_users: int = 1200, n_items: int = 240, seed: int = 0) -> Shop:
    from fsl.simulate import simulate_shop

    shop, truth = simulate_shop(n_users, n_items, seed)
    return replace(shop, name="simulated", simulated=True, truth=truth)


SOURCES = {
    source.name: source
    for source in (
        Source(
            "phones-99",
            "99 people rate the popular phones of 2022 (survey)",
            "no licence file; fetched from its authors, not passed on",
            (989, 99, 33),
            (
                Remote(
                    "cellphones data.csv",
                    "5484050c909b9e23e32862224b94d798a8c2ddf5376073dca4383e77ea6568d7",
                    f"{PHONES}/cellphones data.csv",
                ),
                Remote(
                    "cellphones ratings.csv",
                    "569defd2bba5aa8a034f00ecc5a93840abd27e777b523523ecaf47e116ed1710",
                    f"{PHONES}/cellphones ratings.csv",
                ),
                Remote(
                    "cellphones users.csv",
                    "1e2098181527bd27102d8f0e00d78897a860e9d44735ba485b5afa708e0c6b48",
                    f"{PHONES}/cellphones users.csv",
                ),
            ),
            read_phones,
        ),
        Source(
            "amazon-phones",
            "Amazon phones and accessories, 2001 to 2014 (implicit)",
            "no licence file; Amazon review data 2014, for research",
            (194_439, 27_879, 10_429),
            (
                Remote(
                    "train.txt",
                    "9fd458b4fe448713bc7225b7f5ebda296603974b7d409e37fd113393e2fd35d7",
                    f"{ASREP}/train.txt",
                ),
                Remote(
                    "valid.txt",
                    "2e8245769f746fa6b9b04a1854e9f3570381dc91d89b3695944731f10a768ebe",
                    f"{ASREP}/valid.txt",
                ),
                Remote(
                    "test.txt",
                    "906c9f3c9ac16ef57afff5d3291ee8dc3fff6d162054f95253908018461a08f9",
                    f"{ASREP}/test.txt",
                ),
                Remote(
                    "imap.json",
                    "6cf6196f8b4dca74801f3be53958fc7bfc6ab5dde51f3307652ede6b3fdd9333",
                    f"{ASREP}/imap.json",
                ),
                Remote(
                    "product.txt.gz",
                    "7e2344dd92c876ca1675d43c3cc230251067a490aaa09a46da1268cd328a69de",
                    f"{PGPR}/product.txt.gz",
                ),
                Remote(
                    "brand.txt.gz",
                    "9334b9ca05bc55cacc5184e1eeba36d770051ba9df965a0a6e3b491f09763cf6",
                    f"{PGPR}/brand.txt.gz",
                ),
                Remote(
                    "brand_p_b.txt.gz",
                    "b475702076adf882dbe99f3d86f9448eac074151a80da77050bf5daff2c537fb",
                    f"{PGPR}/brand_p_b.txt.gz",
                ),
                Remote(
                    "category.txt.gz",
                    "4a5f95aa0168dcbd375af908f35de6219f95cdecbc51f2bbb288fc5482a8a754",
                    f"{PGPR}/category.txt.gz",
                ),
                Remote(
                    "category_p_c.txt.gz",
                    "538be8daabb517a3ca8bfb6fa497c2f27bae5906d2537225c3ca44ff9d1c7760",
                    f"{PGPR}/category_p_c.txt.gz",
                ),
            ),
            read_amazon,
        ),
        Source(
            "ml-100k",
            "MovieLens 100K: 943 people rate films, 1997 to 1998",
            "research use, no redistribution (GroupLens)",
            (100_000, 943, 1_682),
            (
                Remote(
                    WHEEL,
                    "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
                    requirement="recbole==1.2.1",
                ),
            ),
            read_movielens,
        ),
        Source(
            "simulated",
            "a phone shop that we wrote: four scenes, new phones, known truth",
            "MIT, as this project",
            (0, 1_200, 240),
            simulated=True,
        ),
    )
}
