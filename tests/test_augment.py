"""Augmentation: each image by itself, what each number does, and turned classes that stay apart."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import seeded

from fsl.characters.augment import Averaged, Overlay, Warp, centred, rotations
from fsl.class_tasks import ClassSampler, ClassTasks

STILL = Warp(rotation=0, shear=0, scale=0, shift=0, elastic=0)
COLUMNS = torch.arange(28).expand(28, 28) - 13.5  # pixels from the middle, to the right
ROWS = COLUMNS.T


def blob(n: int = 1, row: float = 0, column: float = 0, width: float = 2.0):
    """A round spot [n, 28, 28] at a place given in pixels from the middle."""
    return torch.exp(-((ROWS - row) ** 2 + (COLUMNS - column) ** 2) / width**2).expand(n, 28, 28)


def moments(images):
    """Where the ink is: mean row, mean column, variance of row, of column, and their covariance, each [n]."""
    share = images / images.sum((1, 2), keepdim=True)
    row, column = ((share * axis).sum((1, 2)) for axis in (ROWS, COLUMNS))
    r, c = ROWS - row[:, None, None], COLUMNS - column[:, None, None]
    return row, column, *((share * x).sum((1, 2)) for x in (r * r, c * c, r * c))


def test_without_any_amount_nothing_changes():
    images = torch.rand(3, 28, 28, generator=seeded(0))
    assert torch.allclose(STILL(images, seeded(1)), images, atol=1e-5)


def test_a_shift_is_so_many_pixels_at_most_each_way():
    moved = replace(STILL, shift=3)(blob(500), seeded(0))
    for place in moments(moved)[:2]:
        assert place.abs().max() <= 3 + 1e-2
        assert place.min() < -2.8
        assert place.max() > 2.8
        assert place.mean().abs() < 5 * 3 / 3**0.5 / 500**0.5


def test_a_rotation_keeps_the_distance_from_the_middle():
    row, column = moments(replace(STILL, rotation=30)(blob(500, column=8), seeded(0)))[:2]
    assert torch.allclose(torch.hypot(row, column), torch.tensor(8.0), atol=5e-2)
    angle = torch.rad2deg(torch.atan2(row, column))
    assert angle.abs().max() <= 30 + 0.5
    assert angle.min() < -28
    assert angle.max() > 28


def test_a_scale_is_of_each_axis_by_itself():
    *_, tall, broad, both = moments(replace(STILL, scale=0.3)(blob(500, width=3.5), seeded(0)))
    for variance in (tall, broad):
        ratio = variance.log() / 2 - moments(blob(width=3.5))[2].log() / 2
        assert ratio.abs().max() <= 0.3 + 0.02
        assert ratio.min() < -0.27
        assert ratio.max() > 0.27
    assert torch.corrcoef(torch.stack([tall, broad]))[0, 1].abs() < 0.2
    assert both.abs().max() < 1e-2


def test_a_shear_slants_and_leaves_rows_in_their_rows():
    row, _, tall, _, both = moments(replace(STILL, shear=20)(blob(500), seeded(0)))
    assert row.abs().max() < 1e-2
    assert torch.allclose(tall, moments(blob())[2], atol=1e-2)
    slant = torch.rad2deg(torch.atan(both / tall))
    assert slant.abs().max() <= 20 + 0.5
    assert slant.abs().max() > 18


def test_elastic_moves_places_smoothly_and_differently():
    warp = replace(STILL, elastic=1.0)
    moved = [torch.stack(moments(warp(blob(400, row, -6), seeded(0)))[:2]) for row in (-6, -5, 6)]
    steps = [place - torch.tensor([[row], [-6.0]]) for place, row in zip(moved, (-6, -5, 6), strict=True)]  # fmt: skip
    assert 0.4 < steps[0].std() < 1.2, "about as many pixels as asked for"
    near, far = ((steps[0] - other).square().mean().sqrt() for other in steps[1:])
    assert near < 0.5 * far, "neighbours move together"


@given(st.integers(0, 99))
def test_each_image_is_warped_by_itself_and_by_the_generator_alone(seed):
    images = torch.rand(4, 28, 28, generator=seeded(seed))
    torch.manual_seed(seed)
    before = torch.random.get_rng_state()
    warped = Warp()(images, seeded(seed))
    assert warped.shape == images.shape
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is left alone"
    assert torch.equal(Warp()(images, seeded(seed)), warped)
    changed = images.clone()
    changed[0] = 1
    assert torch.equal(Warp()(changed, seeded(seed))[1:], warped[1:])
    same = Warp()(images[:1].expand(4, 28, 28), seeded(seed))
    assert len({tuple(image.flatten().tolist()) for image in same}) == 4, "four draws"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(28, 28), r"float \[n, \.\.\., side, side\], got \[28, 28\] of torch\.float32"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), r"got \[2, 28, 28\] of torch\.uint8"),
        (torch.zeros(2, 28, 27), r"got \[2, 28, 27\]"),
    ],
)
def test_images_that_are_none_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        Warp()(images, seeded(0))


def test_what_shares_a_place_is_warped_alike():
    images = torch.rand(3, 28, 28, generator=seeded(0))
    stacked = Warp()(images[:, None, None].expand(3, 2, 4, 28, 28), seeded(1))
    assert stacked.shape == (3, 2, 4, 28, 28)
    assert torch.equal(stacked, Warp()(images, seeded(1))[:, None, None].expand_as(stacked))


def test_an_overlay_draws_another_class_over_some_and_the_same_for_all_its_drawings():
    images = torch.stack([blob(3, row) for row in range(-10, 10)])  # 20 classes of 3 drawings
    still = Overlay(share=0.5, place=STILL)(images, seeded(0))
    assert (still >= images - 1e-5).all(), "nothing is taken away"
    new = ((still - images).amax((1, 2, 3)) > 1e-3).sum().item()
    assert 4 <= new <= 16
    for drawings in still:
        assert torch.equal(drawings[0], drawings[1])
        others = (drawings[0] - images[:, 0]).amin((1, 2)) > -1e-4
        assert others.sum() in (1, 2), "it contains itself and at most one other"
    moved = Overlay(share=1.0)(images, seeded(0))
    assert torch.equal(moved[:, 0], moved[:, 2]), "one shift for all drawings of a class"
    assert torch.equal(Overlay(share=0.0)(images, seeded(0)), images)


def test_ink_is_centred_and_of_one_extent_unless_that_is_too_far():
    small, moved, broad = blob(1, -4, 5, 5.0), blob(1, 3, -1, 6.0), blob(1, 0, 0, 0.5)
    images = torch.cat([small, moved, broad])
    row, column, tall, wide, _ = moments(centred(images, spread=0.3))
    assert row.abs().max() < 0.1
    assert column.abs().max() < 0.1
    extent = ((tall + wide) / 2).sqrt() / 14  # in halves of the side
    assert torch.allclose(extent[:2], torch.tensor(0.3), atol=0.02)
    assert extent[2] < 0.3 * 0.5, "a dot is made larger by 1 / 0.6 at most"
    row, column, tall, *_ = moments(centred(images[:2], spread=None))
    assert torch.hypot(row, column).max() < 0.1
    assert torch.allclose(tall, moments(images[:2])[2], rtol=0.1), "the scale is left alone"


def test_centring_makes_large_images_small_and_leaves_paper_alone():
    images = torch.rand(300, 105, 105, generator=seeded(0))
    small = centred(images)
    assert small.shape == (300, 28, 28)
    assert torch.allclose(centred(images[280:]), small[280:], atol=1e-6), "each by itself"
    assert torch.equal(centred(torch.zeros(2, 105, 105)), torch.zeros(2, 28, 28))


class Flat(torch.nn.Module):
    def forward(self, images):
        return images.flatten(-2)


def test_averaged_features_are_the_mean_over_copies_in_eval_mode_only():
    images = torch.rand(2, 3, 28, 28, generator=seeded(0))
    net = Averaged(Flat(), Warp(), 4, seed=1)
    assert torch.equal(net(images), images.flatten(-2))
    copies = Warp()(images[0, 0].expand(4, 28, 28), seeded(1))
    expected = torch.cat([images[0, :1], copies]).mean(0).flatten()
    assert torch.allclose(net.eval()(images)[0, 0], expected, atol=1e-6)
    assert torch.allclose(net(images[1, 2]), net(images)[1, 2], atol=1e-6), "each image alone"
    assert torch.equal(Averaged(Flat(), Warp(), 0).eval()(images), images.flatten(-2))


def two_alphabets():
    inputs = torch.rand(10, 4, 4, generator=seeded(0))
    labels = torch.arange(5).repeat_interleave(2)
    groups = torch.tensor([0, 0, 0, 1, 1])
    return ClassTasks(inputs, labels, list("abcde"), groups, ["Greek", "Latin"])


def test_turned_classes_are_new_classes_in_groups_of_their_own():
    tasks = two_alphabets()
    turned = rotations(tasks)
    assert len(turned) == 20
    assert turned.class_names[:6] == ["a", "b", "c", "d", "e", "a 90°"]
    assert turned.group_names[1:4] == ["Latin", "Greek 90°", "Latin 90°"]
    assert [turned.group_names[g] for g in turned.groups[[0, 4, 5, 19]]] == [
        "Greek", "Latin", "Greek 90°", "Latin 270°",
    ]  # fmt: skip
    for turn in range(4):
        part = turned.subset(range(5 * turn, 5 * turn + 5))
        assert torch.equal(part.labels, tasks.labels)
        assert torch.equal(part.inputs, tasks.inputs.rot90(turn, (1, 2)))


def test_a_task_within_a_group_never_has_a_class_and_its_own_turn():
    turned = rotations(two_alphabets())
    marked = replace(turned, inputs=turned.labels[:, None])
    support, _ = ClassSampler(marked, 2, 1, 1, within_groups=True).sample(200, seeded(0))
    letters, turns = support.inputs[..., 0] % 5, support.inputs[..., 0] // 5
    assert (letters[:, 0] != letters[:, 1]).all()
    assert (turns[:, 0] == turns[:, 1]).all()
    assert turns.unique().tolist() == [0, 1, 2, 3]
