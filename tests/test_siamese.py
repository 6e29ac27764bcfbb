"""The loss has the right sign, pairs say what tasks say, and training finds what features hide."""

import pytest
import torch
from hypothesis import given, reject
from hypothesis import strategies as st
from made import grid_tasks, seeded, shops, tasks_of

from fsl import InputError, SiameseNetwork, auc, contrastive_loss, user_tasks
from fsl.siamese import euclidean, mine_pairs, train_siamese


def one_loss(distance: float, is_different: bool, margin: float = 1.0) -> float:
    return contrastive_loss(
        torch.tensor([distance], dtype=torch.float64), torch.tensor([is_different]), margin
    ).item()


def test_the_loss_by_hand():
    distance = torch.tensor([0.5, 2.0, 0.4, 1.5], dtype=torch.float64)
    is_different = torch.tensor([False, False, True, True])
    # 0.5² and 2² for similar pairs; (1 − 0.4)² and 0, being apart enough, for different ones
    assert contrastive_loss(distance, is_different).item() == pytest.approx(
        (0.25 + 4 + 0.36 + 0) / 4, abs=1e-12
    )
    assert contrastive_loss(distance, is_different, margin=2.0).item() == pytest.approx(
        (0.25 + 4 + 2.56 + 0.25) / 4, abs=1e-12
    )


@given(st.floats(0, 3), st.floats(0.01, 3), st.floats(0.1, 3))
def test_the_loss_falls_when_similar_pairs_approach(near, step, margin):
    assert one_loss(near, False, margin) < one_loss(near + step, False, margin)


@given(st.floats(0, 1), st.floats(0.01, 3), st.floats(0.1, 3))
def test_the_loss_falls_when_different_pairs_part_until_they_are_a_margin_apart(
    share, step, margin
):
    near, far = share * margin, share * margin + step
    if near < margin - 1e-6:
        assert one_loss(near, True, margin) > one_loss(far, True, margin)
    assert one_loss(margin + step, True, margin) == 0


def test_gradients_pull_and_push():
    distance = torch.tensor([0.5, 0.5, 2.0], requires_grad=True)
    contrastive_loss(distance, torch.tensor([False, True, True])).backward()
    assert (3 * distance.grad).tolist() == [1, -1, 0]


@pytest.mark.parametrize("flags", [[0, 1], [0.0, 1.0]])
def test_flags_that_are_not_bool_are_refused(flags):
    with pytest.raises(TypeError, match=r"is_different must be bool .*got torch"):
        contrastive_loss(torch.ones(2), torch.tensor(flags))


def test_bad_shapes_and_margins_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) distances, \(2, 1\) flags"):
        contrastive_loss(torch.ones(2), torch.ones(2, 1) > 0)
    for margin in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=f"margin must be above 0, got {margin}"):
            contrastive_loss(torch.ones(2), torch.ones(2) > 0, margin)


@pytest.mark.parametrize("wrong", [[], [-0.1], [0.5, float("nan")], [-float("inf"), 1.0]])
@pytest.mark.parametrize("is_different", [False, True])
def test_distances_are_there_and_not_negative(wrong, is_different):
    with pytest.raises(ValueError, match="distances must be there, and each of them >= 0"):
        contrastive_loss(torch.tensor(wrong), torch.tensor([is_different] * len(wrong)).bool())


def test_a_different_pair_infinitely_far_apart_costs_nothing():
    distance = torch.tensor([0.5, torch.inf, 0.5], requires_grad=True)
    loss = contrastive_loss(distance, torch.tensor([False, True, True]))
    loss.backward()
    assert loss.item() == pytest.approx((0.25 + 0 + 0.25) / 3)
    assert distance.grad.tolist() == pytest.approx([1 / 3, 0, -1 / 3])


@pytest.mark.parametrize("is_different", [False, True])
def test_the_gradient_at_distance_zero_is_finite(is_different):
    z1 = torch.ones(2, 3, requires_grad=True)
    z2 = torch.tensor([[1.0, 1, 1], [4, 5, 1]])
    distance = euclidean(z1, z2)
    assert distance.tolist() == [0, 5]
    contrastive_loss(distance, torch.tensor([is_different] * 2)).backward()
    assert z1.grad.isfinite().all()


def test_both_sides_go_through_one_tower():
    net = SiameseNetwork(5, 7, 3)
    x1, x2 = torch.randn(2, 4, 5, generator=seeded(0))
    z1, z2 = net(x1, x2)
    assert z1.shape == z2.shape == (4, 3)
    assert not torch.allclose(z1, z2)
    assert torch.equal(torch.stack(net(x2, x1)), torch.stack([z2, z1]))
    assert torch.equal(net(x1, x1)[0], net(x1, x1)[1])
    assert sum(p.numel() for p in net.parameters()) == 5 * 7 + 7 + 7 * 3 + 3
    euclidean(z1, z2).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@given(shops(min_rows=6), st.integers(0, 40), st.integers(0, 99))
def test_pairs_are_two_objects_of_one_task_with_its_own_verdict(shop, n_pairs, seed):
    tasks = user_tasks(shop)
    try:
        pairs = mine_pairs(tasks, n_pairs, seeded(seed))
    except InputError:  # when that is right has a test of its own
        reject()
    n_different = int(pairs.is_different.sum())
    assert pairs.is_different.dtype == torch.bool
    assert n_different == len(pairs.task) - n_different <= n_pairs // 2
    table = shop.interactions.assign(
        liked=lambda t: t["rating"] > t.groupby("user")["rating"].transform("mean")
    )
    for first, second, is_different, task in zip(*(side.tolist() for side in pairs), strict=True):
        own = table[table["user"] == tasks.subject_ids[task]]
        a, b = (
            set(own.loc[own["item"] == tasks.object_ids[place], "liked"])
            for place in (first, second)
        )
        assert first != second
        assert a, "both objects are the task's own"
        assert b
        assert (True in a and False in b) or (False in a and True in b) or not is_different
        assert (True in a and True in b) or is_different


def pairs_there_are(shop) -> tuple[int, int]:
    """How many pairs of two objects of one user, both liked and just one liked, can be formed."""
    both = one = 0
    for _, own in shop.interactions.groupby("user"):
        liked = (own["rating"] > own["rating"].mean()).tolist()
        places = list(zip(own["item"], liked, strict=True))
        for n, (item, first) in enumerate(places):
            others = [second for other, second in places[n + 1 :] if other != item]
            both += sum(first and second for second in others)
            one += sum(first != second for second in others)
    return both, one


@given(shops(min_rows=4), st.integers(0, 99))
def test_pairs_are_refused_just_where_one_of_the_two_kinds_does_not_exist(shop, seed):
    tasks = user_tasks(shop)
    if all(pairs_there_are(shop)):
        assert len(mine_pairs(tasks, 4_000, seeded(seed)).task) > 0
    else:
        with pytest.raises(InputError, match="no pairs can be formed"):
            mine_pairs(tasks, 4_000, seeded(seed))


def no_rows():
    tasks = tasks_of(("a", 1, 5), ("a", 2, 5), ("a", 3, 1))
    return tasks.subset(torch.arange(1), torch.zeros(3, dtype=torch.bool))


NO_PAIRS = {
    "constant ratings": lambda: tasks_of(*((u, i, 4) for u in range(5) for i in range(5))),
    "one item": lambda: tasks_of(*((u, 1, u) for u in range(5))),
    "one behaviour each": lambda: tasks_of(*((u, u, u) for u in range(5))),
    "one liked": lambda: tasks_of(*((u, i, 1 + (i == 0)) for u in range(5) for i in range(5))),
    "one item again and again": lambda: tasks_of(
        ("a", 1, 5, 0), ("a", 1, 5, 1), ("a", 1, 1, 2), names="user item rating timestamp"
    ),
    "no rows": no_rows,
    "nobody": lambda: no_rows().subset(torch.tensor([], dtype=torch.long)),
}


@pytest.mark.parametrize("make", NO_PAIRS.values(), ids=list(NO_PAIRS))
def test_where_no_pair_exists_that_is_said(make):
    tasks = make()
    with pytest.raises(InputError, match="no pairs can be formed: hardly anybody liked two"):
        mine_pairs(tasks, 100, seeded(0))
    features = torch.randn(len(tasks.object_ids), 3, generator=seeded(0))
    with pytest.raises(InputError, match="no pairs can be formed: hardly anybody liked two"):
        train_siamese(tasks, features, 4, 2, n_steps=2)


def test_training_on_less_than_two_pairs_is_refused():
    tasks, features = hidden_taste()
    with pytest.raises(InputError, match="no pairs to learn from"):
        train_siamese(tasks, features, 4, 2, n_steps=2, n_pairs=1)


def test_as_many_similar_as_different_pairs_as_asked_for_where_there_are_enough():
    tasks = tasks_of(*((u, i, 1 + (u + i) % 5) for u in range(20) for i in range(10)))
    pairs = mine_pairs(tasks, 101, seeded(0))
    assert len(pairs.task) == 100
    assert int(pairs.is_different.sum()) == 50
    again, other = mine_pairs(tasks, 101, seeded(0)), mine_pairs(tasks, 101, seeded(1))
    assert all(torch.equal(a, b) for a, b in zip(pairs, again, strict=True))
    assert not torch.equal(pairs.first, other.first)


def test_every_pair_that_says_something_is_reached_and_no_other():
    tasks = tasks_of(("a", 1, 5), ("a", 2, 5), ("a", 3, 1), ("a", 4, 1), ("b", 1, 3), ("c", 2, 4))
    pairs = mine_pairs(tasks, 400, seeded(0))
    first, second = (tasks.object_ids[side.numpy()] for side in pairs[:2])
    found = set(zip(first, second, pairs.is_different.tolist(), strict=True))
    similar = {(1, 2, False), (2, 1, False)}
    different = {p for x in (1, 2) for y in (3, 4) for p in ((x, y, True), (y, x, True))}
    assert found == similar | different


def hidden_taste():
    """Items that differ in one thing people care for and 15 that they do not: tasks of 80 users, and features."""
    features = torch.randn(60, 16, generator=seeded(0))
    taste = torch.randn(80, 1, generator=seeded(1)).sign()
    return grid_tasks((3 + 2 * taste * features[:, 0].sign()).numpy()), features


def separation(distance, pairs) -> float:
    return auc(distance, pairs.is_different).item()


@pytest.fixture(scope="module")
def trained():
    tasks, features = hidden_taste()
    train = tasks.subset(torch.arange(40))
    return train_siamese(train, features, n_hidden=32, n_embedding=4, n_steps=150, n_pairs=256)


def test_training_finds_the_taste_that_raw_features_hide(trained):
    tasks, features = hidden_taste()
    pairs = mine_pairs(tasks.subset(torch.arange(40, 80)), 2_000, seeded(5))
    sides = features[pairs.first], features[pairs.second]
    with torch.no_grad():
        learned = separation(euclidean(*trained[0](*sides)), pairs)
    raw = separation(euclidean(*sides), pairs)
    assert learned > 0.95 > 0.75 > raw
    assert trained[1][-1] < 0.3 * trained[1][0]
    assert len(trained[1]) == 150


def test_flipped_flags_learn_the_opposite():
    tasks, features = hidden_taste()
    net, _ = train_siamese(tasks, features, 32, 4, n_steps=100, flipped=True)
    pairs = mine_pairs(tasks, 1_000, seeded(5))
    with torch.no_grad():
        found = separation(euclidean(*net(features[pairs.first], features[pairs.second])), pairs)
    assert found < 0.5


def test_the_seed_decides_the_network_and_the_global_generator_is_left_alone():
    tasks, features = hidden_taste()

    def weights(seed):
        net, history = train_siamese(tasks, features, 8, 2, n_steps=3, n_pairs=32, seed=seed)
        return torch.cat([p.detach().flatten() for p in net.parameters()]), history

    before = torch.random.get_rng_state()
    first = weights(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    again, other = weights(0), weights(1)
    assert torch.equal(first[0], again[0])
    assert first[1] == again[1]
    assert not torch.equal(first[0], other[0])
