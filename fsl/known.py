"""The table of known data sets: origin, checksums, terms, size, reader of each. Fetches nothing, opens nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fsl.data import Shop
from fsl.reading.fetch import Remote
from fsl.reading.readers import WHEEL, read_amazon, read_movielens, read_phones


@dataclass(frozen=True)
class Source:
    """A data set by name. size: how many of what, as it is read. kind: "shop", "images", "photos", "texts" or "logs".

    read: a shop's files by name -> Shop; None of what is made on demand or is no shop.
    read_by: the module that reads, or makes, what is no shop.
    """

    name: str
    about: str
    terms: str
    size: Mapping[str, int]
    files: tuple[Remote, ...] = ()
    read: Callable[[Mapping[str, Path]], Shop] | None = None
    simulated: bool = False
    kind: str = "shop"
    read_by: str = ""


def _below(folder: str, sha256_of: Mapping[str, str]) -> tuple[Remote, ...]:
    """Files of one folder, owner/repository/commit/path, by their names there."""
    return tuple(Remote(name, sha256, f"{folder}/{name}") for name, sha256 in sha256_of.items())


PHONES = _below(
    "MeirNizri/Contrastive-Explanation-for-Recommender-Systems/3ddea2a3552acf7b108b3e5bbea980e0d77c897e/datasets",
    {
        "cellphones data.csv": "5484050c909b9e23e32862224b94d798a8c2ddf5376073dca4383e77ea6568d7",
        "cellphones ratings.csv": "569defd2bba5aa8a034f00ecc5a93840abd27e777b523523ecaf47e116ed1710",
        "cellphones users.csv": "1e2098181527bd27102d8f0e00d78897a860e9d44735ba485b5afa708e0c6b48",
    },
)
AMAZON = _below(
    "DyGRec/ASReP/01b5c2bc1ae98da48f01180d022ba1177a0b09ac/data/Cell_Phones_and_Accessories",
    {
        "train.txt": "9fd458b4fe448713bc7225b7f5ebda296603974b7d409e37fd113393e2fd35d7",
        "valid.txt": "2e8245769f746fa6b9b04a1854e9f3570381dc91d89b3695944731f10a768ebe",
        "test.txt": "906c9f3c9ac16ef57afff5d3291ee8dc3fff6d162054f95253908018461a08f9",
        "imap.json": "6cf6196f8b4dca74801f3be53958fc7bfc6ab5dde51f3307652ede6b3fdd9333",
    },
) + _below(
    "orcax/PGPR/df6aac19c3adfb056f42abb9e5af44fc3fdaa0d5/data/Amazon_Cellphones",
    {
        "product.txt.gz": "7e2344dd92c876ca1675d43c3cc230251067a490aaa09a46da1268cd328a69de",
        "brand.txt.gz": "9334b9ca05bc55cacc5184e1eeba36d770051ba9df965a0a6e3b491f09763cf6",
        "brand_p_b.txt.gz": "b475702076adf882dbe99f3d86f9448eac074151a80da77050bf5daff2c537fb",
        "category.txt.gz": "4a5f95aa0168dcbd375af908f35de6219f95cdecbc51f2bbb288fc5482a8a754",
        "category_p_c.txt.gz": "538be8daabb517a3ca8bfb6fa497c2f27bae5906d2537225c3ca44ff9d1c7760",
    },
)
MOVIELENS = (
    Remote(
        WHEEL,
        "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        requirement="recbole==1.2.1",
    ),
)
OMNIGLOT = _below(
    "brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc/python",
    {
        "images_background_small1.zip": "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
        "images_background_small2.zip": "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    },
) + _below(
    "brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc/python/one-shot-classification",
    {"all_runs.zip": "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325"},
)
PHOTOS = (
    Remote(
        "devicefarmer-stf-device-db-1.4.0.tgz",
        "69e91d2594802cd029ee7c7b4b253b9d0aa4797be3132a76ad3c0af8fd1bafef",
        npm="@devicefarmer/stf-device-db@1.4.0",
    ),
)
FEWREL = _below(
    "thunlp/FewRel/278a2315d2138810a379cd8d5718914dc56e2582/data",
    {
        "val_wiki.json": "76bb44c2485b6faed358a3ce040eadafcc8a8835245cd7e6afc1bef672d4a0bf",
        "pid2name.json": "eeedd25512a8e4c2bc06b78009836d27de81807bcba6ed929debd5cd713c07ea",
    },
)
BANKING = _below(
    "PolyAI-LDN/task-specific-datasets/57ec275d8078af65b7731c2a98be812d844a6d6b/banking_data",
    {
        "train.csv": "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
        "test.csv": "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
    },
)
CLINC = _below(
    "clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de/data",
    {
        "data_full.json": "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
        "domains.json": "b947b579d3b8e74b06f93b01083d8efaff2888b43a3e362533bd88a6e1211b3a",
    },
)
OPEN_BANDIT = (
    Remote(
        "obp-0.4.1-py3-none-any.whl",
        "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208",
        requirement="obp==0.4.1",
    ),
)

SOURCES = {
    source.name: source
    for source in (
        Source(
            "phones-99",
            "99 people rate the popular phones of 2022 (survey)",
            "no licence file; fetched from its authors, not passed on",
            {"users": 99, "items": 33, "interactions": 989},
            PHONES,
            read_phones,
        ),
        Source(
            "amazon-phones",
            "Amazon phones and accessories, 2001 to 2014 (implicit)",
            "no licence file; Amazon review data 2014, for research",
            {"users": 27_879, "items": 10_429, "interactions": 194_439},
            AMAZON,
            read_amazon,
        ),
        Source(
            "ml-100k",
            "MovieLens 100K: 943 people rate films, 1997 to 1998",
            "research use, no redistribution (GroupLens)",
            {"users": 943, "items": 1_682, "interactions": 100_000},
            MOVIELENS,
            read_movielens,
        ),
        Source(
            "simulated",
            "a phone shop that we wrote: four scenes, new phones, known truth",
            "MIT, as this project",
            {"users": 1_200, "items": 240},
            simulated=True,
        ),
        Source(
            "omniglot",
            "handwritten characters, for N-way K-shot tasks (the two small background sets)",
            "MIT",
            {"images": 4_840, "characters": 242, "alphabets": 8, "one-shot runs": 20},
            OMNIGLOT,
            kind="images",
            read_by="fsl.characters.omniglot",
        ),
        Source(
            "fewrel",
            "sentences of Wikipedia, each stating a relation (FewRel 1.0, validation set)",
            "MIT",
            {"sentences": 11_200, "relations": 16},
            FEWREL,
            kind="texts",
            read_by="fsl.texts.fewrel",
        ),
        Source(
            "banking77",
            "questions to a bank's customer service, each with its intent",
            "CC BY 4.0",
            {"texts": 13_083, "intents": 77},
            BANKING,
            kind="texts",
            read_by="fsl.texts.intents",
        ),
        Source(
            "clinc150",
            "requests to an assistant, each with its intent or out of scope",
            "CC BY 3.0",
            {"texts": 23_700, "intents": 150, "out of scope": 1_200},
            CLINC,
            kind="texts",
            read_by="fsl.texts.intents",
        ),
        Source(
            "phone-photos",
            "an icon and a photo of each of 497 phones and tablets (STF device database)",
            "CC BY-SA 4.0 (CyberAgent); fetched with npm, not passed on",
            {"phones": 497, "with an icon and a photo of their own": 360},
            PHOTOS,
            kind="photos",
            read_by="fsl.photos.phones",
        ),
        Source(
            "simulated-characters",
            "characters of alphabets that we wrote, a stand-in for omniglot without a network",
            "MIT, as this project",
            {"images": 2_800, "characters": 140, "alphabets": 10},
            simulated=True,
            kind="images",
            read_by="fsl.characters.simulated",
        ),
        Source(
            "simulated-intents",
            "questions to a phone shop that we wrote, a stand-in for banking77 without a network",
            "MIT, as this project",
            {"texts": 900, "intents": 20},
            simulated=True,
            kind="texts",
            read_by="fsl.texts.simulated_intents",
        ),
        Source(
            "open-bandit",
            "what two policies of a fashion shop showed in a week, and the clicks (Open Bandit sample)",
            "Apache 2.0, as the package that carries it",
            {"rounds": 60_000, "logs": 6, "campaigns": 3},
            OPEN_BANDIT,
            kind="logs",
            read_by="fsl.offpolicy.open_bandit",
        ),
        Source(
            "simulated-log",
            "two logs of an invented campaign, a stand-in for open-bandit without a network",
            "MIT, as this project",
            {"rounds": 20_000, "logs": 2, "campaigns": 1},
            simulated=True,
            kind="logs",
            read_by="fsl.offpolicy.open_bandit",
        ),
    )
}
