"""An icon and a photo of each phone (STF device database), read from npm's archive as published.

Knows the archive's layout and pictures; knows no model. The file is given as a path; nothing is unpacked or fetched.
"""

import io
import json
import struct
import tarfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fsl.errors import InputError
from fsl.reading.sentences import inert, show

TABLE = "package/dist/devices-latest.json"
ICON, PHOTO = "package/dist/icon/x120/{}.jpg", "package/dist/photo/x800/{}.jpg"
MOST_BYTES = 5_000_000  # of a member; those published have below 400,000
BROKEN = (tarfile.TarError, zlib.error, EOFError, OSError)
UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)


@dataclass(frozen=True, eq=False)
class PhonePhotos:
    """n phones, by model code. icons, photos: RGB, 120 and about 800 pixels high; a photo often shows the back beside
    the front. makers, names: as published, "" where not said.
    """

    codes: list[str]
    makers: list[str]
    names: list[str]
    icons: list[Image.Image]
    photos: list[Image.Image]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: list[int]) -> "PhonePhotos":
        """Some of the phones, in this order."""
        columns = (self.codes, self.makers, self.names, self.icons, self.photos)
        return PhonePhotos(*([column[row] for row in rows] for column in columns))

    @property
    def groups(self) -> list[str]:
        """Maker and name: carriers' versions of one phone, which a split must not tear apart."""
        named = zip(self.makers, self.names, self.codes, strict=True)
        return [f"{maker} {name or code}".casefold() for maker, name, code in named]


def read_photos(path: Path, placeholders: bool = False) -> PhonePhotos:
    """The phones of the archive, by code.

    118 of the 497 share one drawing of a nameless phone as their photo, and some more share an icon or a photo with
    another: nobody can tell these apart. They are left out (360 stay) unless `placeholders`.
    Raises InputError for a file that is no such archive, or a picture that is missing or cannot be read.
    """
    members = _members(path)
    table = _table(members, path)
    raw = {
        code: tuple(_member(members, form.format(code), path) for form in (ICON, PHOTO))
        for code in sorted(table)
    }
    shared = [Counter(pair[side] for pair in raw.values()) for side in (0, 1)]
    kept = [
        code
        for code, pair in raw.items()
        if placeholders or all(shared[side][pair[side]] == 1 for side in (0, 1))
    ]
    icons, photos = ([_picture(raw[code][side], code, path) for code in kept] for side in (0, 1))
    return PhonePhotos(kept, *zip(*(table[code] for code in kept), strict=True), icons, photos)


def _members(path: Path) -> dict[str, bytes]:
    wanted = tuple(form.split("{")[0] for form in (TABLE, ICON, PHOTO))
    try:
        with tarfile.open(path, "r:gz") as archive:
            return {
                member.name: archive.extractfile(member).read()
                for member in archive
                if member.isfile() and member.size <= MOST_BYTES and member.name.startswith(wanted)
            }
    except BROKEN as error:
        said = getattr(error, "strerror", None) or "not a .tgz archive that can be read"
        raise InputError(f"{inert(path)}: {said}, expected npm's archive.") from None


def _member(members: dict[str, bytes], name: str, path: Path) -> bytes:
    if name not in members:
        raise InputError(f"{inert(path)}: no {show(name)}.")
    return members[name]


def _table(members: dict[str, bytes], path: Path) -> dict[str, tuple[str, str]]:
    """Code -> (maker, name)."""
    try:
        devices = json.loads(_member(members, TABLE, path))
        return {
            code: (str(one["maker"].get("name") or ""), str(one["name"].get("id") or ""))
            for code, one in devices.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{inert(path)}, {TABLE}: expected an object of devices with maker and name."
        ) from None


def _picture(content: bytes, code: str, path: Path) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            return image.convert("RGB")
    except UNREADABLE:
        raise InputError(f"{inert(path)}: a picture of {show(code)} cannot be read.") from None
