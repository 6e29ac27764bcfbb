"""Words of an items table as content: every brand, every category and each part of its path, however many there are.

`fsl.features` keeps at most 40 values of a column, which suits small shops; a catalogue of thousands of things is told
apart by more. Knows tables; knows no behaviour, so nothing can leak.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix

from fsl.data import Shop
from fsl.errors import InputError
from fsl.tasks import Tasks


def content_words(shop: Shop, ids: pd.Index, least: int = 3) -> csr_matrix:
    """The text columns of a shop's items as words: CSR of 0 and 1, [n_ids, n_words].

    A value "Cases > Basic Cases" is three words, itself and its two parts; no value is a word too. Words of fewer than
    `least` items are left out. `fsl.features.encode` stops at 40 columns for each, which is 40 of 206 categories in
    amazon-phones. Names are no words, and nothing of the behaviour is looked at. Raises InputError without items.
    """
    return _words(shop, ids, least)[0]


def with_words(tasks: Tasks, shop: Shop, least: int = 3) -> Tasks:
    """User-tasks whose object features are the items' words, float32 [n_objects, n_words], named `column=word`."""
    if tasks.kind == "item":
        raise ValueError("the objects of item-tasks are users: words are of items")
    words, names = _words(shop, tasks.object_ids, least)
    features = torch.from_numpy(words.toarray().astype(np.float32))
    return replace(tasks, object_features=features, object_feature_names=names)


def _words(shop: Shop, ids: pd.Index, least: int) -> tuple[csr_matrix, list[str]]:
    if shop.items is None:
        raise InputError(f"{shop.name}: content needs a table of items, and there is none")
    items = shop.items.set_index("item").reindex(ids)
    words = [_words_of(items[c]) for c in items.columns if c not in ("name", "title")]
    if not words:
        return csr_matrix((len(ids), 0)), []
    pairs = pd.concat(words, ignore_index=True).drop_duplicates()
    pairs = pairs[pairs.groupby("word")["row"].transform("size") >= least]
    columns, found = pd.factorize(pairs["word"], sort=True)
    shape = (len(ids), len(found))
    return csr_matrix((np.ones(len(pairs)), (pairs["row"], columns)), shape), list(found)


def _words_of(column: pd.Series) -> pd.DataFrame:
    text = column.astype("string").str.strip().str.casefold().fillna("").reset_index(drop=True)
    parts = pd.concat([text, text.str.split(" > ", regex=False).explode()])
    return pd.DataFrame({"row": parts.index, "word": f"{column.name}=" + parts.astype(str)})
