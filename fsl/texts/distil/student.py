"""A table instead of a network: a text's vector is the sum of its rows. And the table as one file."""

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn.functional import embedding_bag

from fsl.encoders.contents import as_texts
from fsl.encoders.frozen import unit_rows
from fsl.errors import InputError
from fsl.fingerprints import checksum, hashed
from fsl.reading.sentences import inert
from fsl.texts.distil.words import Words

FORMAT, VERSION = "fsl student", 1
TYPES = ("float32", "float16", "int8")
_WRONG = (LookupError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError)


@dataclass(frozen=True)
class StaticStudent:
    """s(t) = Σ_w x_tw e_w, x from `Words.matrix`, e the table's rows. Word order counts within pairs alone.

    table: float32 [n_rows, d]. stored: the type that a file keeps it in; the table here is already rounded to it.
    about: what it is a student of, for the file. There is no network: a text costs one look-up per word and pair.
    """

    words: Words
    table: Tensor
    stored: str = "float32"
    about: dict = field(default_factory=dict)

    def __post_init__(self):
        if len(self.table) != self.words.n_rows or self.table.ndim != 2:
            raise ValueError(
                f"a table of {self.words.n_rows} rows wanted, got {list(self.table.shape)}"
            )
        if self.stored not in TYPES:
            raise ValueError(f"stored must be one of {', '.join(TYPES)}, got {self.stored}")

    @property
    def dim(self) -> int:
        """Columns of the table, d."""
        return self.table.shape[1]

    @property
    def megabytes(self) -> float:
        """Size of its file, 10⁶ bytes."""
        return len(_as_bytes(self)) / 1e6

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """s, float32 [n, d]; zeros for a text without a known word. Raises InputError for what is no text."""
        words, pairs = self.words.bags(as_texts(texts))
        weight = self.words.pair_weight
        total = _sum(self.table, words) + weight * _sum(self.table, pairs)
        n_words, n_pairs = (np.diff(np.append(b.starts, len(b.rows))) for b in (words, pairs))
        size = np.maximum(n_words + weight * n_pairs, 1e-9)
        return (total / torch.from_numpy(np.sqrt(size))[:, None]).float().numpy()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """s / ‖s‖, float32 [n, d]: the interface of `fsl.encoders`."""
        return unit_rows(self.scores(texts))

    def rounded(self, stored: str) -> "StaticStudent":
        """The student as a file of that type gives it back. int8: e ≈ q · max|e| / 127, a scale for each row."""
        return replace(self, stored=stored, table=_unpacked(_packed(self.table, stored)))


def _sum(table: Tensor, bags) -> Tensor:
    rows, starts = torch.from_numpy(bags.rows), torch.from_numpy(bags.starts)
    if not len(rows):
        return torch.zeros(len(starts), table.shape[1])
    return embedding_bag(rows, table, starts, mode="sum")


def _packed(table: Tensor, stored: str) -> dict[str, Tensor]:
    if stored != "int8":
        return {"table": table.to(getattr(torch, stored)).contiguous()}
    scale = (table.abs().amax(1) / 127).clamp(min=2.0**-24).half()
    steps = (table / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return {"table": steps, "scale": scale}


def _unpacked(packed: dict[str, Tensor]) -> Tensor:
    table = packed["table"].float()
    return table * packed["scale"].float()[:, None] if "scale" in packed else table


def save_student(student: StaticStudent, path: str | Path) -> None:
    """One safetensors file with JSON in its metadata, whole or not at all. Raises InputError where that cannot be."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(_as_bytes(student))
        os.replace(beside, path)
    except OSError as error:
        said = f"the student cannot be written there: {error.strerror}"
        raise InputError(f"{inert(path)}: {said}.") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def load_student(path: str | Path) -> StaticStudent:
    """The student of a file; nothing in it is executed. Raises InputError for a damaged file, or another kind."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{inert(path)}: the student cannot be read: {error.strerror}.") from error
    try:
        return _from_bytes(data)
    except _WRONG as error:
        said = inert(str(error).split("\n")[0])[:200].rstrip(".")
        raise InputError(f"{inert(path)}: no whole student of fsl, expected one: {said}.") from None


def _as_bytes(student: StaticStudent) -> bytes:
    packed, words = _packed(student.table, student.stored), student.words
    header = {
        "format": FORMAT,
        "version": VERSION,
        "words": list(words.words),
        "n_buckets": words.n_buckets,
        "pair_weight": words.pair_weight,
        "stored": student.stored,
        "about": student.about,
    }
    signed = {"header": header, "sha256": _seal(header, packed)}
    return save(packed, {"fsl": json.dumps(signed, sort_keys=True, allow_nan=False)})


def _from_bytes(data: bytes) -> StaticStudent:
    packed = load(data)
    size = int.from_bytes(data[:8], "little")
    signed = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["fsl"])
    header = signed["header"]
    if (header["format"], header["version"]) != (FORMAT, VERSION):
        raise ValueError(f"it is no {FORMAT} of version {VERSION}")
    if _seal(header, packed) != signed["sha256"]:
        raise ValueError("its checksum is not that of its content")
    words = Words(tuple(header["words"]), int(header["n_buckets"]), float(header["pair_weight"]))
    return StaticStudent(words, _unpacked(packed), header["stored"], dict(header["about"]))


def _seal(header: dict, packed: dict[str, Tensor]) -> str:
    """SHA-256 of the header and of every tensor."""
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    return hashed(text + checksum([packed[name] for name in sorted(packed)]))
