"""One file of a table: what it is, what its ending promises; Parquet. Knows not what a shop is."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from tqdm import tqdm

from fsl.errors import InputError
from fsl.reading.sentences import IN_EXCEL, inert

BATCH = 1 << 17
LARGE = 50 << 20
# What Arrow raises of bytes that are not what they should be.
DAMAGED = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
UTF_16 = "UTF-16 text"
SPREADSHEET = "a zip archive or a spreadsheet"
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PAR1": "Parquet",
    b"PK\x03\x04": SPREADSHEET,
    b"%PDF": "a PDF",
    b"SQLite": "an SQLite database",
    b"\xff\xfe": UTF_16,
    b"\xfe\xff": UTF_16,
}


@dataclass(frozen=True)
class TableFile:
    """A file to be read: how sentences call it, what its ending promises, and how to open it."""

    label: str
    kind: str  # "csv", "csv.gz", "recbole" or "parquet"
    open: Callable[[], BinaryIO]
    size: int = 0

    def text_stream(self) -> BinaryIO:
        """The bytes of the text inside, unpacked if the file is packed."""
        stream = self.open()
        return gzip.GzipFile(fileobj=stream) if self.kind == "csv.gz" else stream


def check_content(file: TableFile) -> None:
    """Raise InputError if the first bytes belong to another format than the ending promises, or if there are none."""
    with file.open() as stream:
        head = stream.read(512)
    if not head:
        raise InputError(f"{file.label}: the file is empty, expected a header and rows.")
    found = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
    if (
        head.lstrip(b"\xef\xbb\xbf \r\n\t")[:9]
        .lower()
        .startswith((b"<!doctype", b"<html", b"<?xml"))
    ):
        found = "a web page (HTML or XML)"
    if head.lstrip()[:1] in (b"{", b"["):
        found = "JSON"
    wanted = {"csv.gz": "gzip", "parquet": "Parquet"}.get(file.kind)
    if found == wanted is not None:
        return
    if found or wanted:
        said = f"the content is {found or 'not ' + wanted}"
        expected = f"{wanted or 'text'}{' in UTF-8' if found == UTF_16 else ''} as the ending says"
        hint = f" {IN_EXCEL}" if found in (UTF_16, SPREADSHEET) and not wanted else ""
        raise InputError(f"{file.label}: {said}, expected {expected}{hint}.")


def progress(file: TableFile, verb: str, total: int) -> tqdm:
    """A bar on stderr, in bytes, for a large file only."""
    total = None if verb == "checking" and file.kind == "csv.gz" else total
    hidden = max(file.size, total or 0) < LARGE
    return tqdm(total=total, desc=f"{verb} {file.label}", unit="B", unit_scale=True, disable=hidden)


def open_parquet(file: TableFile) -> pa.parquet.ParquetFile:
    """The Parquet file, or InputError if it is cut short or damaged."""
    try:
        parquet = pa.parquet.ParquetFile(file.open())
        "".join(parquet.schema_arrow.names).encode()  # names that are not UTF-8 fail here
        return parquet
    except DAMAGED as error:
        said = _first_line(error)
        raise InputError(
            f"{file.label}: the Parquet content is cut short or damaged ({said})."
        ) from None


def parquet_batches(file: TableFile, parquet: pa.parquet.ParquetFile) -> Iterator[list[pa.Array]]:
    """Columns, batch by batch: numbers, dates and texts as they are, anything else as text."""
    with progress(file, "reading", file.size) as bar:
        try:
            for batch in parquet.iter_batches(batch_size=BATCH):
                batch.validate(full=True)
                yield [_plain(column) for column in batch.columns]
                bar.update(file.size * batch.num_rows // max(parquet.metadata.num_rows, 1))
        except DAMAGED as error:
            said = _first_line(error)
            raise InputError(f"{file.label}: the Parquet content is damaged ({said}).") from None


def _first_line(error: BaseException) -> str:
    return inert((str(error).splitlines() or [type(error).__name__])[0])[:200]


def _plain(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_nested(kind):
        texts = [None if v is None else json.dumps(v, default=str) for v in column.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        return pc.cast(column, pa.float64())
    if pa.types.is_date(kind):
        return pc.cast(column, pa.timestamp("s"))
    return column if is_plain(kind) else pc.cast(column, pa.string())


def is_plain(kind: pa.DataType) -> bool:
    """Numbers and timestamps, which need no text."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)


def to_series(arrays: list[pa.Array], kind: pa.DataType) -> pd.Series:
    """The pieces of one column as one pandas Series."""
    return pa.chunked_array(arrays, type=kind).to_pandas()
