"""Names of a package that are imported on first use, so that importing the package is quick. Knows no package."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def names_of(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """A package's `__getattr__`, `__dir__` and `__all__` (PEP 562). home: public name -> module below the package."""
    public = sorted(home)

    def get(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{home[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: public, public
