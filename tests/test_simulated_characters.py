"""Invented characters: what they are, that they are the same again, and how hard they are to tell apart."""

import pytest
import torch

from fsl.characters.simulated import simulated_characters
from fsl.class_tasks import ClassSampler, ClassTasks
from fsl.errors import InputError
from fsl.known import SOURCES


@pytest.fixture(scope="module")
def tasks() -> ClassTasks:
    return simulated_characters()


def test_shapes_range_and_names(tasks):
    assert (tasks.inputs.shape, tasks.inputs.dtype) == ((2_800, 28, 28), torch.float32)
    assert (float(tasks.inputs.min()), float(tasks.inputs.max())) == (0.0, 1.0)
    assert torch.equal(tasks.labels, torch.arange(140).repeat_interleave(20))
    assert torch.equal(tasks.groups, torch.arange(10).repeat_interleave(14))
    assert tasks.group_names == [f"Alphabet {a}" for a in range(1, 11)]
    assert tasks.class_names[2 * 14 + 4] == "Alphabet 3/character05"
    of_class = [tasks.group_names[group] for group in tasks.groups.tolist()]
    assert [name.split("/")[0] for name in tasks.class_names] == of_class
    assert len(set(tasks.class_names)) == 140


def test_the_source_tells_its_size(tasks):
    size = {"images": len(tasks.inputs), "characters": len(tasks), "alphabets": 10}
    assert SOURCES["simulated-characters"].size == size


def test_every_drawing_has_ink_on_mostly_empty_paper_and_soft_edges(tasks):
    dark = (tasks.inputs > 0.5).float().mean((1, 2))
    assert 0.01 < float(dark.min()) < float(dark.max()) < 0.4
    grey = ((tasks.inputs > 0.05) & (tasks.inputs < 0.95)).float().mean()
    assert 0.03 < float(grey) < 0.3


def test_the_same_seed_draws_the_same_and_another_does_not():
    small = {"n_alphabets": 2, "n_characters": 3, "n_drawers": 4}
    state = torch.random.get_rng_state()
    first, again = (simulated_characters(**small, seed=5) for _ in range(2))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, simulated_characters(**small, seed=6).inputs)
    assert torch.equal(state, torch.random.get_rng_state()), "the global generator is left alone"


def test_at_another_size_it_is_the_same_drawing():
    small = {"n_alphabets": 2, "n_characters": 3, "n_drawers": 4}
    fine = simulated_characters(**small, size=112).inputs
    coarse = torch.nn.functional.avg_pool2d(fine, 4)
    assert float((coarse - simulated_characters(**small).inputs).abs().mean()) < 0.01


def test_no_two_drawings_of_a_character_are_alike_but_they_are_nearer_than_others(tasks):
    flat = tasks.inputs.flatten(1)[: 14 * 20]
    distances = torch.cdist(flat, flat)
    same = torch.eye(14).repeat_interleave(20, 0).repeat_interleave(20, 1).bool()
    apart = ~torch.eye(len(flat)).bool()
    assert float(distances[same & apart].min()) > 1
    assert float(distances[same & apart].mean()) < 0.95 * float(distances[~same].mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_nearest_pixels_are_wrong_about_half_the_time(seed):
    """20-way one-shot: far from chance (95 % errors), and far from solved."""
    sampler = ClassSampler(simulated_characters(seed=seed), n_way=20, n_shots=1, n_query=1)
    episode = sampler.sample(100, torch.Generator().manual_seed(0))
    distances = torch.cdist(episode.query.inputs.flatten(2), episode.support.inputs.flatten(2))
    guess = episode.support.targets.gather(1, distances.argmin(-1))
    assert 0.4 < float((guess != episode.query.targets).float().mean()) < 0.7


def test_alphabets_differ_in_their_hand():
    """A character's nearest other character, by mean drawing, is of its own alphabet more often than by chance."""
    tasks = simulated_characters(n_alphabets=6, n_drawers=10)
    means = tasks.inputs.unflatten(0, (len(tasks), 10)).mean(1).flatten(1)
    nearest = torch.cdist(means, means).fill_diagonal_(torch.inf).argmin(1)
    share = float((tasks.groups[nearest] == tasks.groups).float().mean())
    assert share > 13 / 83


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_alphabets": 0}, "n_alphabets must be at least 1, got 0"),
        ({"n_characters": -1}, "n_characters must be at least 1, got -1"),
        ({"n_drawers": 0}, "n_drawers must be at least 1, got 0"),
        ({"size": 4}, "size must be at least 8 pixels, got 4"),
    ],
)
def test_wrong_counts_are_refused(options, said):
    with pytest.raises(InputError) as caught:
        simulated_characters(**options)
    assert caught.value.problems == (said,)
