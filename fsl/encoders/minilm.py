"""all-MiniLM-L6-v2 as sentence-transformers loads it, from the files of a package alone. The hub is never asked."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial

from fsl.encoders.contents import readable
from fsl.encoders.frozen import Embed
from fsl.encoders.packages import MINILM, require, weights_file


@lru_cache(maxsize=1)
def minilm():
    """The SentenceTransformer, on the CPU, in evaluation; one for the process, so do not change it."""
    require("minilm", "text", ("sentence-transformers", MINILM.distribution))
    folder = weights_file(MINILM).parent
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, without ipywidgets
        from sentence_transformers import SentenceTransformer

    with _without_bars():
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True).eval()


def load_minilm() -> Embed:
    """The function from a batch of texts to float32 [n, 384]."""
    encode = partial(minilm().encode, batch_size=1_000_000, show_progress_bar=False)
    return lambda texts: encode([readable(text) for text in texts])


@contextmanager
def _without_bars() -> Iterator[None]:
    """Reading 90 MB wants no progress bar in a notebook."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
