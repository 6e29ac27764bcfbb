"""Class-tasks: the table of classes, and that every draw is disjoint, the right size and by its generator alone."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from made import seeded

from fsl import InputError
from fsl.characters.variable_sampler import VariableSampler
from fsl.class_tasks import ClassSampler, ClassTasks


def tasks_of(sizes: list[int], groups: list[int] | None = None, seed: int = 0) -> ClassTasks:
    """Classes of these sizes, their rows in random order; an input is its own row's number."""
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes, dtype=torch.long))
    labels = labels[torch.randperm(len(labels), generator=seeded(seed))]
    groups = torch.tensor(groups or [0] * len(sizes))
    names = [f"g{g}" for g in range(int(groups.max()) + 1)]
    rows = torch.arange(len(labels))[:, None]
    return ClassTasks(rows, labels, [f"c{c}" for c in range(len(sizes))], groups, names)


@st.composite
def classes(draw, max_size: int = 12) -> ClassTasks:
    many = draw(st.integers(1, 12))
    sizes = draw(st.lists(st.integers(0, max_size), min_size=many, max_size=many))
    groups = draw(st.lists(st.integers(0, 2), min_size=many, max_size=many))
    return tasks_of(sizes, groups, draw(st.integers(0, 9)))


def able(tasks: ClassTasks, n: int, within: bool) -> int:
    """The most classes with n rows that one task can be drawn from."""
    groups = tasks.groups if within else torch.zeros_like(tasks.groups)
    return int(torch.bincount(groups[tasks.sizes >= n], minlength=1).max())


def check_task(tasks, support, query, within: bool) -> dict[int, int]:
    """Rows and targets of one task's two sides; gives the class of each target."""
    rows = torch.cat([support[0], query[0]])
    assert len(rows.unique()) == len(rows), "no row twice, nor on both sides"
    named = set(zip(torch.cat([support[1], query[1]]).tolist(), tasks.labels[rows].tolist(), strict=True))  # fmt: skip
    names = dict(named)
    assert len(named) == len(names) == len(set(names.values())), "one class each"
    assert sorted(names) == list(range(len(names)))
    assert set(support[1].tolist()) == set(query[1].tolist()) == set(names)
    if within:
        assert len(tasks.groups[list(names.values())].unique()) == 1
    return names


@given(classes())
def test_rows_are_found_by_class(tasks):
    assert tasks.sizes.tolist() == [(tasks.labels == c).sum().item() for c in range(len(tasks))]
    for c, (start, size) in enumerate(
        zip(tasks.starts.tolist(), tasks.sizes.tolist(), strict=True)
    ):
        assert (tasks.labels[tasks.order[start : start + size]] == c).all()


@given(classes(), st.integers(0, 99))
def test_a_subset_has_its_classes_relabelled_and_nothing_else(tasks, seed):
    chosen = torch.randperm(len(tasks), generator=seeded(seed))[: (len(tasks) + 1) // 2]
    part = tasks.subset(chosen)
    assert part.class_names == [tasks.class_names[c] for c in chosen]
    assert torch.equal(part.groups, tasks.groups[chosen])
    assert part.group_names == tasks.group_names
    for place, c in enumerate(chosen):
        rows = part.inputs[part.labels == place, 0]
        assert torch.equal(rows, (tasks.labels == c).nonzero()[:, 0])


@given(classes())
def test_groups_are_taken_by_name_and_part_the_classes(tasks):
    parts = [tasks.in_groups([name]) for name in tasks.group_names]
    assert sorted(c for part in parts for c in part.class_names) == sorted(tasks.class_names)
    for place, part in enumerate(parts):
        assert (part.groups == place).all()
    assert tasks.in_groups(tasks.group_names[::-1]).class_names == tasks.class_names


@given(classes(), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_a_sampled_task_has_n_ways_k_shots_and_its_query(tasks, n_way, k, n_query, within):
    assume(able(tasks, k + n_query, within) >= n_way)
    sampler = ClassSampler(tasks, n_way, k, n_query, within)
    support, query = sampler.sample(5, seeded(0))
    assert support.inputs.shape == (5, n_way * k, 1)
    assert query.inputs.shape == (5, n_way * n_query, 1)
    assert support.mask is query.mask is None
    for task in range(5):
        sides = [(side.inputs[task, :, 0], side.targets[task]) for side in (support, query)]
        check_task(tasks, *sides, within)
        assert sides[0][1].bincount().tolist() == [k] * n_way
        assert sides[1][1].bincount().tolist() == [n_query] * n_way


@given(classes(), st.integers(1, 4), st.booleans())
def test_what_too_few_classes_can_serve_is_said(tasks, n_way, within):
    assume(able(tasks, 5, within) < n_way)
    message = f"{n_way}-way tasks need .* with 5 rows each; {able(tasks, 5, within)} have as many"
    with pytest.raises(InputError, match=message):
        ClassSampler(tasks, n_way, 2, 3, within).sample(1, seeded(0))


def test_every_class_of_an_able_group_is_seen_equally_often_and_no_other():
    tasks = tasks_of([2] * 11, [0] * 3 + [1] * 6 + [2] * 2)
    n_tasks = 6_000
    support, _ = ClassSampler(tasks, 3, 1, 1, within_groups=True).sample(n_tasks, seeded(0))
    seen = torch.bincount(tasks.labels[support.inputs.flatten()], minlength=11)
    assert seen[9:].tolist() == [0, 0], "a group of two has no three-way task"
    expected = n_tasks * 3 / 9
    assert (seen[:9] - expected).abs().max() < 5 * expected**0.5


def test_a_joint_minibatch_has_rows_with_their_own_classes():
    tasks = tasks_of([1, 3, 4])
    inputs, targets, mask = ClassSampler(tasks, 2, 1, 1).joint(4_000, seeded(0))
    assert mask is None
    assert inputs.shape == (4_000, 1)
    assert torch.equal(targets, tasks.labels[inputs[:, 0]])
    assert (inputs.flatten().bincount() - 500).abs().max() < 5 * 500**0.5


def add_noise(inputs, generator):
    return inputs + torch.rand(len(inputs), 1, generator=generator, dtype=torch.double) / 2


@pytest.mark.parametrize("kind", [ClassSampler, VariableSampler])
def test_the_generator_decides_everything_and_augmentation_keeps_its_place(kind):
    tasks = tasks_of([6] * 9)
    sizes = (3, 1, 2) if kind is ClassSampler else (False, 3)
    sampler = kind(tasks, *sizes, transform=add_noise)
    before = torch.random.get_rng_state()
    first, again, other = (sampler.sample(4, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is left alone"
    assert torch.equal(first.query.inputs, again.query.inputs)
    assert first.query.inputs.shape != other.query.inputs.shape or not torch.equal(
        first.query.inputs, other.query.inputs
    )
    plain = kind(tasks, *sizes).sample(4, seeded(0))
    for side, bare in zip(first, plain, strict=True):
        assert torch.equal(side.inputs.floor().long(), bare.inputs)
        assert torch.equal(side.targets, bare.targets)
        real = torch.ones_like(side.targets, dtype=torch.bool) if side.mask is None else side.mask
        noise = (side.inputs - bare.inputs)[real]
        assert len(noise.unique()) == len(noise), "each image has its own draw"
        assert (side.inputs[~real] == 0).all()
    if kind is ClassSampler:
        joint = sampler.joint(5, seeded(0)), kind(tasks, *sizes).joint(5, seeded(0))
        assert torch.equal(joint[0].inputs.floor().long(), joint[1].inputs)


def test_a_class_transform_draws_once_for_all_inputs_of_a_class():
    tasks = tasks_of([5] * 6)

    def add_class_noise(inputs, generator):
        assert inputs.shape == (4 * 3, 5, 1)
        return inputs + torch.rand(len(inputs), 1, 1, generator=generator, dtype=torch.double) / 2

    support, query = ClassSampler(tasks, 3, 2, 3, class_transform=add_class_noise).sample(4, seeded(0))  # fmt: skip
    for task in range(4):
        inputs = torch.cat([support.inputs[task, :, 0], query.inputs[task, :, 0]])
        targets = torch.cat([support.targets[task], query.targets[task]])
        noise = [(inputs % 1)[targets == t] for t in range(3)]
        assert all(torch.allclose(own, own[:1].expand(5)) for own in noise)
        assert len({round(own[0].item(), 6) for own in noise}) == 3
        owners = tasks.labels[inputs.long()]
        assert all(len(owners[targets == t].unique()) == 1 for t in range(3))


@given(classes(40), st.integers(0, 99), st.booleans(), st.integers(5, 60))
def test_a_variable_task_is_what_meta_dataset_says(tasks, seed, within, max_support):
    assume(able(tasks, 2, within) >= 5)
    options = {"max_way": 8, "max_support": max(8, max_support)}
    sampler = VariableSampler(tasks, within, **options)
    episode = sampler.sample(6, seeded(seed))
    for side in episode:
        assert side.mask.dtype == torch.bool
        assert side.mask.any(1).all()
        assert side.mask.any(0).all(), "no more padding than the largest task needs"
        assert (side.mask.int().diff(dim=1) <= 0).all(), "padding comes last"
        assert (side.inputs[~side.mask] == 0).all()
        assert (side.targets[~side.mask] == 0).all()
    for task in range(6):
        sides = [
            (side.inputs[task, side.mask[task], 0], side.targets[task, side.mask[task]])
            for side in episode
        ]
        names = check_task(tasks, *sides, within)
        sizes = tasks.sizes[[names[t] for t in range(len(names))]]
        q = min(10, int(sizes.min()) // 2)
        assert 5 <= len(names) <= min(8, able(tasks, 2, within))
        assert sides[1][1].bincount().tolist() == [q] * len(names)
        shots = sides[0][1].bincount()
        assert (shots >= 1).all()
        assert (shots <= sizes - q).all()
        assert len(sides[0][1]) <= options["max_support"]


@given(st.lists(st.integers(2, 2_000), min_size=5, max_size=50), st.integers(0, 999))
def test_the_sizes_of_large_classes_keep_the_papers_limits(available, seed):
    sampler = VariableSampler(tasks_of([2] * 5))
    n_query, shots = sampler.sizes_of(torch.tensor(available), seeded(seed))
    assert n_query == min(10, min(available) // 2)
    assert (shots >= 1).all()
    assert (shots <= torch.tensor(available) - n_query).all()
    assert shots.sum() <= min(500, sum(math.ceil(min(100, n - n_query)) for n in available))


def test_shots_follow_the_papers_distribution():
    """Of two equal large classes, R = exp(α)/Σ: at |S| fixed by the limit, k is ⌊R (|S| − N)⌋ + 1."""
    sampler = VariableSampler(tasks_of([2] * 5), min_way=2, max_support=102, max_shots=10**6)
    draws = [sampler.sizes_of(torch.tensor([10**7] * 2), seeded(seed))[1] for seed in range(2_000)]
    shots = torch.stack(draws).double()
    assert shots.min() >= 1 + 100 // 5, "exp(α) is ½ to 2, so R is 1/5 to 4/5"
    assert shots.max() <= 1 + 80
    alpha = math.log(0.5) + torch.rand(2, 10**5, generator=seeded(0)) * math.log(4)
    expected = torch.softmax(alpha, 0)[0] * 100
    assert shots.mean().item() == pytest.approx(expected.mean().item() + 0.5, abs=1)
    assert shots.std().item() == pytest.approx(expected.std().item(), rel=0.05)


def test_ways_and_groups_are_drawn_uniformly():
    tasks = tasks_of([2] * 15, [0] * 8 + [1] * 5 + [2] * 2)
    episode = VariableSampler(tasks, within_groups=True, max_way=7).sample(3_000, seeded(0))
    ways = episode.query.targets.amax(1) + 1
    first = tasks.labels[episode.query.inputs[:, 0, 0]]
    groups = torch.bincount(tasks.groups[first], minlength=3)
    assert groups[2] == 0, "of two classes no task of five ways"
    assert abs(groups[0].item() - 1_500) < 5 * 750**0.5, "groups, not classes, are equally likely"
    large = torch.bincount(ways[tasks.groups[first] == 0], minlength=8)[5:]
    assert (large - groups[0] / 3).abs().max() < 5 * (groups[0] / 3) ** 0.5
    assert (ways[tasks.groups[first] == 1] == 5).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.tensor([0, 1])}, "3 inputs but 2 labels"),
        ({"labels": torch.tensor([0, 1, 2])}, "labels must be 0 to 1, got 0 to 2"),
        ({"labels": torch.tensor([0, -1, 1])}, "labels must be 0 to 1, got -1 to 1"),
        ({"labels": torch.tensor([0, 1, 1.0])}, "label numbers must be a row of int64, got"),
        ({"groups": torch.tensor([0])}, "2 classes but 1 groups"),
        ({"groups": torch.tensor([0, 1])}, "groups must be 0 to 0, got 0 to 1"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(change, message):
    parts = {
        "inputs": torch.zeros(3, 2),
        "labels": torch.tensor([0, 1, 1]),
        "class_names": ["a", "b"],
        "groups": torch.tensor([0, 0]),
        "group_names": ["g"],
    }
    ClassTasks(**parts)
    with pytest.raises(InputError, match=message):
        ClassTasks(**{**parts, **change})


def test_other_bad_arguments_are_refused():
    tasks = tasks_of([2] * 8, [0] * 4 + [1] * 4)
    with pytest.raises(InputError, match="no group is called 'g9', expected one of g0, g1"):
        tasks.in_groups(["g0", "g9"])
    with pytest.raises(InputError, match=r"5 ways or more need as many classes of one group .*; 4"):
        VariableSampler(tasks, within_groups=True).sample(1, seeded(0))
    with pytest.raises(ValueError, match="got min_way=5 max_way=4 max_support=500"):
        VariableSampler(tasks, max_way=4)
    with pytest.raises(ValueError, match="got max_query=0 max_shots=100"):
        VariableSampler(tasks, max_query=0)
