"""Invented phones, drawn: an icon and a photo of each, so that retrieval can be tried without a network.

Every phone has a maker's shape of buttons, a body and a screen of its own; its photo is larger, brighter and shows the
back beside the front, as shops' photos do. Easier and more uniform than real pictures.
"""

import colorsys

import torch
from PIL import Image, ImageDraw

from fsl.photos.phones import PhonePhotos

MAKERS = ("Aster", "Boreal", "Cobalt", "Dune")
KINDS = ("circle", "pill", "square", "none")  # of the button below the screen, by maker


def simulated_photos(n: int = 40, seed: int = 0) -> PhonePhotos:
    """n drawn phones of four makers; the same seed gives the same pictures."""
    generator = torch.Generator().manual_seed(seed)
    looks = torch.rand(n, 6, generator=generator).tolist()
    makers = [MAKERS[row % len(MAKERS)] for row in range(n)]
    icons = [_front(look, maker, 120, 0.85) for look, maker in zip(looks, makers, strict=True)]
    photos = [_beside(look, maker) for look, maker in zip(looks, makers, strict=True)]
    names = [f"{maker[0]}{row}" for row, maker in enumerate(makers)]
    return PhonePhotos(names, makers, names, icons, photos)


def _front(look: list[float], maker: str, height: int, light: float) -> Image.Image:
    """The front, `height` pixels high. look: shares of 1 for width, body, screen, its share, camera and corners."""
    width = int(height * (0.45 + 0.15 * look[0]))
    edge, corner = height // 24, int(height * (0.02 + 0.08 * look[5]))
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), corner, fill=_grey(look[1], light))
    bottom = int(height * (0.78 + 0.1 * look[3]))
    screen = _colour(look[2], light)
    pen.rectangle((edge, height // 10, width - 1 - edge, bottom), fill=screen)
    lens = edge + int(look[4] * (width - 4 * edge))
    pen.ellipse((lens, height // 30, lens + edge, height // 30 + edge), fill="black")
    _button(pen, KINDS[MAKERS.index(maker)], width // 2, (bottom + height) // 2, height // 30)
    return picture


def _button(pen: ImageDraw.ImageDraw, kind: str, x: int, y: int, r: int) -> None:
    style = {"outline": "white", "width": max(1, r // 4)}
    if kind == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), **style)
    elif kind == "pill":
        pen.rounded_rectangle((x - 2 * r, y - r // 2, x + 2 * r, y + r // 2), r // 2, **style)
    elif kind == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), **style)


def _beside(look: list[float], maker: str, height: int = 600, margin: int = 30) -> Image.Image:
    """The photo: the front, and to the right of it the back with its camera."""
    front = _front(look, maker, height, 1.0)
    width = front.width
    photo = Image.new("RGB", (2 * width + 3 * margin, height + 2 * margin), "white")
    photo.paste(front, (margin, margin))
    pen, left = ImageDraw.Draw(photo), width + 2 * margin
    pen.rounded_rectangle((left, margin, left + width, margin + height), 20, fill=_grey(look[1], 1))
    pen.ellipse((left + 20, margin + 20, left + 70, margin + 70), fill="black")
    return photo


def _grey(share: float, light: float) -> tuple[int, int, int]:
    return (int(light * (40 + 160 * share)),) * 3


def _colour(share: float, light: float) -> tuple[int, ...]:
    return tuple(int(255 * part) for part in colorsys.hsv_to_rgb(share, 0.55, light * 0.8))
