"""The modified Hausdorff distance: against scipy's cdist, hand values, and the published error on Omniglot."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import seeded
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from fsl import InputError
from fsl.characters.hausdorff import hausdorff_distances, ink, modified_hausdorff
from fsl.characters.omniglot import read_runs

RUNS = Path(os.environ.get("FSL_DATA", ".")) / "omniglot" / "all_runs.zip"


def image_of(*places: tuple[int, int], side: int = 9):
    image = torch.zeros(side, side)
    for row, column in places:
        image[row, column] = 1
    return image


def distance(a, b) -> float:
    return hausdorff_distances(a[None], b[None]).item()


@given(st.integers(0, 99))
def test_it_is_what_cdist_gives(seed):
    query, support = torch.rand(2, 3, 12, 12, generator=seeded(seed)) > 0.8
    found = hausdorff_distances(query.float(), support.float())
    for row, a in zip(found, query, strict=True):
        for value, b in zip(row, support, strict=True):
            a_ink, b_ink = (np.stack(np.nonzero(x.numpy()), 1).astype(float) for x in (a, b))
            between = cdist(a_ink - a_ink.mean(0), b_ink - b_ink.mean(0))
            expected = max(between.min(0).mean(), between.min(1).mean())
            assert value.item() == pytest.approx(expected, abs=1e-12)


def test_the_larger_of_the_two_directed_means_by_hand():
    a, b = KDTree([[0.0, 0]]), KDTree([[0.0, 3], [4, 0], [0, 0]])
    assert modified_hausdorff(a, b) == modified_hausdorff(b, a) == pytest.approx((3 + 4 + 0) / 3)


def test_where_a_character_stands_does_not_matter_and_its_shape_does():
    corner = image_of((0, 0), (0, 1), (1, 0))
    assert distance(corner, corner) == 0
    assert distance(corner, corner.roll((4, 5), (0, 1))) == pytest.approx(0, abs=1e-12)
    assert distance(corner, corner.rot90()) > 0.3
    assert ink(corner).tolist() == (np.array([[0, 0], [0, 1], [1, 0]]) - 1 / 3).tolist()


def test_paper_is_no_ink():
    with pytest.raises(InputError, match=r"an image of \[9, 9\] has no ink"):
        hausdorff_distances(image_of((1, 1))[None], image_of()[None])


def test_nothing_has_no_distances():
    assert hausdorff_distances(torch.zeros(0, 9, 9), image_of((1, 1))[None]).shape == (0, 1)


@pytest.mark.skipif(not RUNS.is_file(), reason="FSL_DATA has no omniglot/all_runs.zip")
def test_the_published_error_of_the_20_runs():
    support, query = read_runs(RUNS, size=105)
    wrong = [
        (hausdorff_distances(asked, known).argmin(1) != targets).sum().item()
        for known, asked, targets in zip(support.inputs, query.inputs, query.targets, strict=True)
    ]
    assert sum(wrong) / 400 == 0.3875, "38.8 %, Lake et al. (2015)"
