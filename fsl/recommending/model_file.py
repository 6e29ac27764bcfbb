"""A model as one file: safetensors, with everything else as JSON in its metadata. Nothing in it is ever executed.

The checksum tells a damaged file from a whole one; it is no signature: who can write the file can write its checksum.
A file that was made up with a fitting checksum can give wrong advice, and nothing worse.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fsl.encoder import Encoder
from fsl.errors import InputError
from fsl.fingerprints import checksum, hashed
from fsl.reading.sentences import inert
from fsl.recommending.catalogue import Catalogue
from fsl.recommending.intervals import Widths
from fsl.recommending.linear import EmpiricalBayesSide
from fsl.recommending.model import OTHER, Model
from fsl.recommending.nearest import NearestSide
from fsl.recommending.nets import NetSide
from fsl.recommending.together import AudienceSide, TogetherSide

FORMAT, VERSION = "fsl model", 1
KINDS = {
    kind.__name__: kind
    for kind in (EmpiricalBayesSide, NetSide, NearestSide, TogetherSide, AudienceSide)
}
FOREIGN = (
    (b"\x80", "a pickle, which could run anything when it is read"),
    (
        b"PK\x03\x04",
        "a zip archive or a file of torch.save, which could run anything when it is read",
    ),
    (b"{", "JSON"),
    (b"\x1f\x8b", "gzip"),
)
WRONG = (LookupError, ValueError, TypeError, AttributeError, RecursionError, OverflowError)
WRONG += (SafetensorError,)


def save_model(model: Model, path: str | Path) -> None:
    """Write the model beside `path`, then rename: whole or not there. Raises InputError where that cannot be."""
    data, path = as_bytes(model), Path(path)
    if not may_be_written(path):
        raise InputError(f"{inert(path)}: expected a file in a folder that is there.")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise InputError(
            f"{inert(path)}: the model cannot be written there: {error.strerror}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def may_be_written(path: Path) -> bool:
    """Whether a file may be put there: in a folder, and in place of nothing but a file, lest a device be replaced."""
    try:
        return path.absolute().parent.is_dir() and (path.is_file() or not os.path.lexists(path))
    except (OSError, ValueError):  # a name that is too long, or none
        return False


def load_model(path: str | Path) -> Model:
    """The model of a file. Raises InputError for a file that is cut off, changed, or none of fsl's."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{inert(path)}: the model cannot be read: {error.strerror}.") from error
    try:
        return from_bytes(data)
    except WRONG as error:
        said = inert(_in_words(error))[:200].rstrip(".")
        raise InputError(
            f"{inert(path)}: no whole model of fsl train, nothing of it was used: {said}."
        ) from None


def _in_words(error: Exception) -> str:
    """What is wrong with the file, for somebody who does not know what it is made of."""
    if isinstance(error, SafetensorError):
        return "it is cut off, or longer than its header says"
    if isinstance(error, UnicodeDecodeError | json.JSONDecodeError):
        return "its header was damaged or changed"
    return f"there is no {error}" if isinstance(error, KeyError) else str(error).split("\n")[0]


def as_bytes(model: Model) -> bytes:
    """The file's content: the same model gives the same bytes."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "about": dict(model.about),
        "objects": {key: catalogue.state() for key, catalogue in model.objects.items()},
        "encoders": {key: encoder.state() for key, encoder in model.encoders.items()},
        "sides": {key: type(side).__name__ for key, side in model.sides.items()},
        "widths": {
            key: {str(k): width for k, width in widths.by_shots.items()}
            for key, widths in model.widths.items()
        },
    }
    tensors = {
        f"{key}.{name}": tensor.contiguous()
        for key, side in model.sides.items()
        for name, tensor in side.tensors().items()
    }
    signed = {"header": header, "sha256": _checksum(header, tensors)}
    return save(tensors, {"fsl": json.dumps(signed, sort_keys=True, allow_nan=False)})


def from_bytes(data: bytes) -> Model:
    """The model of a file's content. Raises one of WRONG, in words, for what is none."""
    header, sha256 = _header(data)
    tensors = load(data)
    if _checksum(header, tensors) != sha256:
        raise ValueError("its checksum is not that of its content, it was damaged or changed")
    sides = {}
    for key in OTHER:
        kind = KINDS[header["sides"][key]]
        own = {name: t for name, t in tensors.items() if name.startswith(f"{key}.")}
        sides[key] = kind.of({name.removeprefix(f"{key}."): t for name, t in own.items()})
    if len(tensors) != sum(len(side.tensors()) for side in sides.values()):
        raise ValueError("it has tensors that belong to nothing")
    return Model(
        about=_about(header["about"]),
        sides=sides,
        objects={key: Catalogue.from_state(key, header["objects"][key]) for key in OTHER},
        encoders={key: Encoder.from_state(header["encoders"][key]) for key in OTHER},
        widths={key: _widths(header["widths"][key]) for key in OTHER},
    )


def _header(data: bytes) -> tuple[dict, str]:
    """The JSON of our metadata and the checksum beside it; refuses what is of another format."""
    if not data:
        raise ValueError("it is empty")
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or data[8:9] != b"{" or size > len(data) - 8:
        foreign = next((what for magic, what in FOREIGN if data.startswith(magic)), None)
        raise ValueError(f"it is {foreign}" if foreign else "it is cut off, or no safetensors file")
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]
    if "fsl" not in metadata:
        raise ValueError("it is a safetensors file of something else")
    signed = json.loads(metadata["fsl"])
    header = signed["header"]
    if header["format"] != FORMAT:
        raise ValueError(f"it is no {FORMAT}")
    if header["version"] != VERSION:
        raise ValueError(
            f"it has version {header['version']!r} of the format, this fsl reads {VERSION}"
        )
    return header, signed["sha256"]


def _checksum(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the header and every tensor's name, type, shape and values."""
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    names = sorted(tensors)
    return hashed(text + json.dumps(names) + checksum([tensors[name] for name in names]))


def _about(about: Mapping[str, Any]) -> dict[str, Any]:
    low, high = about["scale"]
    texts = all(isinstance(about[key], str) for key in ("learner", "data"))
    known = about["target"] in ("rating", "label", None) and isinstance(about["simulated"], bool)
    if not (texts and known and -1e9 < low <= high < 1e9):
        raise ValueError("what it says about itself is not sound")
    return dict(about)


def _widths(state: Mapping[str, float]) -> Widths:
    return Widths({int(k): width for k, width in state.items()})
