"""A catalogue in words: category paths as somebody would type them, and what is known of each item.

Knows a shop's table of items; knows no behaviour and no engine.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.data import Shop
from fsl.errors import InputError


def query_texts(shop: Shop, ids: pd.Index) -> tuple[list[str], Tensor]:
    """Every category path as somebody would type it, and the path of each item: texts, int64 [n_items].

    The root, which all have, is left out. An item without a path is −1: nobody asks for it by category. Raises
    InputError for a shop without categories.
    """
    if shop.items is None or "category" not in shop.items:
        raise InputError(
            f"{shop.name}: queries are category paths, and items has no column category."
        )
    paths = shop.items.set_index("item")["category"].reindex(ids)
    codes, names = pd.factorize(paths)
    root = names[0].split(" > ")[0]
    texts = [
        " ".join(part for part in name.split(" > ") if part != root).lower() or root
        for name in names
    ]
    return texts, torch.from_numpy(codes.astype(np.int64))


def item_texts(shop: Shop, ids: pd.Index) -> list[str]:
    """What is known of each item in words: its brand and its path of categories."""
    items = shop.items.set_index("item").reindex(ids)
    parts = [items[c].fillna("").astype(str) for c in ("brand", "category") if c in items]
    return [
        " ".join(" ".join(row).replace(" > ", " ").split()).lower()
        for row in zip(*parts, strict=True)
    ]
