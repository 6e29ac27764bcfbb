"""Words of an items table as features: every brand, every category and each word of its path, however many there are.

`fsl.features` keeps at most 40 values of a column, which suits small shops; a catalogue of thousands of things is told
apart by more. Knows tables; knows no behaviour, so nothing can leak.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def word_features(
    table: pd.DataFrame,
    ids: pd.Index,
    key: str = "item",
    columns: Sequence[str] = ("brand", "category"),
    separator: str = " > ",
    least: int = 3,
) -> tuple[np.ndarray, list[str]]:
    """One 0/1 column for every whole value, and for every part of a path, that at least `least` of the ids have.

    table: users or items, `key` its column of ids. Case does not count; a part that is the whole value counts once.
    Returns float32 [n_ids, n_words] and the names, `column=word`. Raises KeyError for a column that is not there.
    """
    rows = table.set_index(key).reindex(ids)
    blocks, names = [], []
    for column in columns:
        texts = rows[column].astype("string").str.strip().str.casefold()
        words = texts.str.split(separator, regex=False).reset_index(drop=True).explode()
        both = pd.concat([words, texts.reset_index(drop=True)]).dropna()
        pairs = pd.DataFrame({"row": both.index, "word": both.to_numpy(str)}).drop_duplicates()
        often = pairs["word"].value_counts()
        kept = sorted(often.index[(often >= least) & (often < len(rows))])
        pairs = pairs[pairs["word"].isin(kept)]
        block = np.zeros((len(rows), len(kept)), np.float32)
        block[pairs["row"], pd.Index(kept).get_indexer(pairs["word"])] = 1
        blocks.append(block)
        names += [f"{column}={word}" for word in kept]
    return np.hstack([np.zeros((len(rows), 0), np.float32), *blocks]), names
