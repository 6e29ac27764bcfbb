"""Values as text and checksums that are the same in every process: what tells one training run from another."""

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor


def said(value: Any, within: tuple[int, ...] = ()) -> str:
    """A value as text that is the same in every process; of objects of unknown kinds, their type alone."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if id(value) in within:
        return "itself"
    say = partial(said, within=(*within, id(value)))
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return _said_array(value, say)
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{say(k)}: {say(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(say, value))) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(say, value)) + "]"
    if isinstance(value, CodeType):
        return hashed(say([value.co_code, value.co_consts, value.co_names, value.co_varnames]))
    if isinstance(value, FunctionType):
        return _said_function(value, say)
    if isinstance(value, MethodType):
        return f"{say(value.__func__)} of {say(value.__self__)}"
    if isinstance(value, partial):
        return f"partial {say([value.func, value.args, value.keywords])}"
    if hasattr(value, "__qualname__"):  # a class, or a function that is not Python's
        return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    name = type(value).__qualname__
    if is_dataclass(value):
        return f"{name} {say({f.name: getattr(value, f.name) for f in fields(value)})}"
    return f"{name} {say(vars(value))}" if callable(value) and hasattr(value, "__dict__") else name


def _said_array(value: Any, say: Callable[[Any], str]) -> str:
    kind, shape = str(value.dtype), list(value.shape)
    if not shape:
        return f"{kind} {value.item()!r}"
    if isinstance(value, Tensor):
        return f"{kind} {shape} {checksum(value)}"
    plain = say(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
    return f"{kind} {shape} {hashlib.sha256(plain).hexdigest()}"


def _said_function(value: FunctionType, say: Callable[[Any], str]) -> str:
    """Where it stands, and a checksum of what it does: two lambdas have one name."""
    cells = []
    for cell in value.__closure__ or ():
        with contextlib.suppress(ValueError):  # an empty one
            cells.append(cell.cell_contents)
    does = say([value.__code__, value.__defaults__, value.__kwdefaults__, cells])
    return f"{value.__module__}.{value.__qualname__} {hashed(does)[:12]}"


def hashed(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def checksum(drawn) -> str:
    """SHA-256 of every tensor in nested tuples and lists: type, shape and values."""
    digest = hashlib.sha256()
    for tensor in tensors_of(drawn):
        digest.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        flat = tensor.detach().cpu().flatten().clone(memory_format=torch.contiguous_format)
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def tensors_of(drawn) -> list[Tensor]:
    """All tensors in nested tuples and lists, in order."""
    if isinstance(drawn, Tensor):
        return [drawn]
    return [t for part in drawn if part is not None for t in tensors_of(part)]
