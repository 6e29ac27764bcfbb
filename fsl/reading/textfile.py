"""A text file of rows, in bounded memory: CSV, CSV.gz, RecBole. Knows not what a shop is."""

import codecs
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from fsl.errors import InputError
from fsl.reading.sentences import IN_EXCEL, SHOWN, show
from fsl.reading.tablefile import TableFile, progress

CHUNK = 1 << 20
BLOCK = 1 << 24
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Layout:
    """What a first pass over a text file found. types: RecBole's, by position, or None."""

    header: list[str]
    delimiter: str
    quoted: bool
    n_bytes: int
    ends_quoted: bool
    types: list[str] | None = None


def scan(file: TableFile) -> Layout:
    """Read a text file once: UTF-8, no NUL, not cut short; its header, delimiter and whether it quotes."""
    decoder, line, n_bytes = codecs.getincrementaldecoder("utf-8")(), 1, 0
    quoted, head, tail = False, b"", b""
    with file.text_stream() as stream, progress(file, "checking", file.size) as bar:
        for chunk in _chunks(stream, file):
            _check_text(chunk, decoder, line, file)
            line += chunk.count(b"\n")
            n_bytes += len(chunk)
            quoted = quoted or b'"' in chunk
            head = head if len(head) >= CHUNK else head + chunk
            tail = (tail + chunk)[-CHUNK:].rstrip()
            bar.update(len(chunk))
    _check_text(b"", decoder, line, file, final=True)
    return _layout(file, head.decode("utf-8-sig", "ignore"), quoted, n_bytes, tail.endswith(b'"'))


def _chunks(stream: BinaryIO, file: TableFile) -> Iterator[bytes]:
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{file.label}: the gzip content is cut short or damaged ({error})."
        ) from None


def _check_text(chunk: bytes, decoder, line: int, file: TableFile, final: bool = False) -> None:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].count(b"\n")
        byte = error.object[error.start]
        said = f"byte 0x{byte:02x} is not UTF-8, expected a file saved as UTF-8 {IN_EXCEL}"
        raise InputError(f"{file.label}, line {line}: {said}.") from None
    if b"\0" in chunk:
        line += chunk[: chunk.index(b"\0")].count(b"\n")
        raise InputError(f"{file.label}, line {line}: a NUL byte, expected text in UTF-8.")


def _layout(file: TableFile, head: str, quoted: bool, n_bytes: int, ends_quoted: bool) -> Layout:
    first = next((line for line in head.splitlines() if line), "")
    if not first.strip():
        raise InputError(f"{file.label}: there are only empty lines, expected a header and rows.")
    if file.kind == "recbole":
        return _typed_header(file, first, n_bytes)
    if len(first) > (most := csv.field_size_limit()):
        said = f"a header of {len(first):,} characters, expected one of at most {most:,}"
        raise InputError(f"{file.label}, line 1: {said}.")
    splits = {d: next(csv.reader([first], delimiter=d)) for d in DELIMITERS}
    counts = {d: 0 if '"' in "".join(fields) else len(fields) for d, fields in splits.items()}
    delimiter = max(DELIMITERS, key=counts.get)  # a tie goes to the comma, which is first
    header = next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter))
    return Layout([name.strip() for name in header], delimiter, quoted, n_bytes, ends_quoted)


def _typed_header(file: TableFile, first: str, n_bytes: int) -> Layout:
    fields = [field.strip().rpartition(":") for field in first.split("\t")]
    for name, _, kind in fields:
        if not name or kind not in ("token", "float", "token_seq", "float_seq"):
            said = f"header field {show(name + ':' + kind if name else kind)}"
            expected = "name:token, name:float, name:token_seq or name:float_seq, with tabs between"
            raise InputError(f"{file.label}, line 1: {said}, expected {expected}.")
    return Layout([f[0] for f in fields], "\t", False, n_bytes, True, [f[2] for f in fields])


def text_batches(file: TableFile, layout: Layout, malformed: list) -> Iterator[list[pa.Array]]:
    """Columns of texts, block by block, as `layout.header` orders them. Rows of a wrong width go to `malformed`."""
    # Numbered, since the texts of a header need not be unique.
    names = [f"f{i}" for i in range(len(layout.header))]
    options = dict(
        read_options=pa.csv.ReadOptions(autogenerate_column_names=True, block_size=BLOCK),
        parse_options=pa.csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if layout.quoted else False,
            newlines_in_values=layout.quoted,
            invalid_row_handler=lambda row: malformed.append(row.actual_columns) or "skip",
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[], check_utf8=False
        ),
    )
    last = None
    with file.text_stream() as stream, progress(file, "reading", layout.n_bytes) as bar:
        try:
            for i, batch in enumerate(pa.csv.open_csv(stream, **options)):
                yield batch.slice(1).columns if i == 0 else batch.columns
                last = batch.columns[-1][-1].as_py() if batch.num_rows else last
                bar.update(min(batch.nbytes, layout.n_bytes - bar.n))
        except pa.ArrowInvalid as error:
            raise InputError(_unreadable(file, layout, error)) from None
        bar.update(layout.n_bytes - bar.n)
    if layout.quoted and not layout.ends_quoted and "\n" in (last or "").rstrip():
        *_, (line, _) = records(file, layout)
        said = "a quote is opened and never closed, expected a closing quote"
        raise InputError(f"{file.label}, line {line}: {said}.")


def _unreadable(file: TableFile, layout: Layout, error: pa.ArrowInvalid) -> str:
    for line, record in records(file, layout):
        if sum(map(len, record)) > BLOCK // 4:
            said = f"a row of more than {BLOCK >> 22} MB begins here"
            return f"{file.label}, line {line}: {said}, expected its quote to be closed."
    return f"{file.label}: {show(str(error), 200)}, expected comma-separated values."


def records(file: TableFile, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Every record below the header with the line of the file it begins on. Slow: only for sentences."""
    text = io.TextIOWrapper(file.text_stream(), encoding="utf-8-sig", newline="")
    quoting = csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE
    limit = csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(text, delimiter=layout.delimiter, quoting=quoting)
        line, header = 1, True
        for record in reader:
            if record and not header:
                yield line, record
            header = header and not record
            line = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)
        text.close()


def lines_of(file: TableFile, layout: Layout, rows: Sequence[int]) -> list[int]:
    """The line, from 1 as in an editor, of each row; rows are counted from 0 and have the right width."""
    wanted, found, row = set(rows), {}, -1
    for line, record in records(file, layout):
        row += len(record) == len(layout.header)
        if row in wanted and row not in found:
            found[row] = line
            if len(found) == len(wanted):
                break
    return [found[row] for row in rows]


def width_problem(file: TableFile, layout: Layout, n_malformed: int) -> str:
    """The sentence for rows with too many or too few fields."""
    n = len(layout.header)
    wrong = ((line, r) for line, r in records(file, layout) if len(r) != n)
    first = [pair for pair, _ in zip(wrong, range(SHOWN), strict=False)]
    for line, record in first:
        if any("\n" in text for text in record):
            return f"{file.label}, line {line}: an opening quote is not closed, expected a closing quote."
    line, width = first[0][0], len(first[0][1])
    text = f"{file.label}, line {line}: {width} field{'s' * (width != 1)}, expected {n} as in the header"
    if n_malformed > 1:
        more = f" and {n_malformed - SHOWN:,} more" if n_malformed > SHOWN else ""
        text += f" ({n_malformed:,} such lines: {', '.join(str(p[0]) for p in first)}{more})"
    return text + "."
