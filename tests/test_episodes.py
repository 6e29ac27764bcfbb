"""Episodes: disjoint, the right size, masked where padded, never looking ahead, decided by their generator alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from made import seeded, shops, tasks_of

from fsl import InputError, Shop, class_episode, draw_shots, everything_else, gather, user_tasks
from fsl.episodes import sample_episode

SIZES = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 4), st.integers(1, 2))


def row_sets(table) -> list[set]:
    return [{row for row in rows if row >= 0} for rows in table.tolist()]


def own_rows(tasks, place: int) -> set:
    return set(range(tasks.offsets[place], tasks.offsets[place + 1]))


def drawn(shop, sizes, seed=0, **options):
    """Tasks, a draw from them, and its arguments; examples without an eligible task are left out."""
    tasks, (n_shots, more, n_query, min_query) = user_tasks(shop), sizes
    assume(int(tasks.sizes.max()) >= n_shots + more + min_query)
    options = {"reserve": n_shots + more, "min_query": min_query, **options}
    return tasks, draw_shots(tasks, n_shots, n_query, seeded(seed), **options)


@given(shops(timed=True), SIZES, st.sampled_from(["random", "temporal"]), st.integers(0, 99))
def test_support_and_query_are_disjoint_rows_of_the_subject(shop, sizes, order, seed):
    tasks, draw = drawn(shop, sizes, seed, support=order)
    n_shots, more, n_query, _ = sizes
    assert draw.support.shape == (len(draw.tasks), n_shots)
    assert draw.query.shape == (len(draw.tasks), n_query)
    for place, support, query in zip(
        draw.tasks.tolist(), row_sets(draw.support), row_sets(draw.query), strict=True
    ):
        assert not support & query
        assert support | query <= own_rows(tasks, place)
        assert len(support) == n_shots
        assert len(query) == min(n_query, int(tasks.sizes[place]) - n_shots - more)


@given(shops(), SIZES)
def test_just_the_tasks_that_are_large_enough_take_part(shop, sizes):
    tasks, draw = drawn(shop, sizes)
    needed = sizes[0] + sizes[1] + sizes[3]
    assert draw.tasks.tolist() == [t for t, n in enumerate(tasks.sizes.tolist()) if n >= needed]


@given(shops(), SIZES, st.integers(0, 99))
def test_an_episode_shows_the_rows_drawn_and_masks_the_rest(shop, sizes, seed):
    tasks, draw = drawn(shop, sizes, seed)
    for rows, side in zip((draw.support, draw.query), gather(tasks, draw), strict=True):
        real = rows >= 0
        assert side.mask.dtype == torch.bool
        assert torch.equal(side.mask, real)
        assert side.inputs.shape == (*rows.shape, 2)
        assert (side.targets[~real] == 0).all()
        assert torch.equal(side.targets[real], tasks.targets[rows[real]])
        assert torch.equal(side.inputs[..., 1][real], tasks.objects[rows[real]])
        owners = tasks.subjects[draw.tasks][:, None].expand_as(rows)
        assert torch.equal(side.inputs[..., 0][real], owners[real])
        assert (side.inputs >= 0).all(), "padding can be looked up in the tables of features"
        assert (side.inputs[..., 1] < len(tasks.object_ids)).all()


@given(shops(timed=True), SIZES)
def test_a_temporal_draw_never_looks_ahead(shop, sizes):
    tasks, draw = drawn(shop, sizes, support="temporal")
    for place, support, query in zip(
        draw.tasks.tolist(), row_sets(draw.support), row_sets(draw.query), strict=True
    ):
        times = {row: tasks.times[row].item() for row in own_rows(tasks, place)}
        left = [times[row] for row in times if row not in support]
        assert max((times[row] for row in support), default=-np.inf) <= min(left)
        between = set(times) - support - query
        later = max(times[row] for row in query)
        assert sum(times[row] < later for row in between) <= sizes[1]


@given(shops(), SIZES, st.integers(0, 99), st.booleans())
def test_the_query_is_the_same_for_every_support_and_supports_are_nested(
    shop, sizes, seed, by_time
):
    order = "temporal" if by_time and "timestamp" in shop.interactions else "random"
    tasks, draw = drawn(shop, sizes, seed, support=order)
    for fewer in range(sizes[0]):
        options = {"reserve": sizes[0] + sizes[1], "min_query": sizes[3], "support": order}
        other = draw_shots(tasks, fewer, sizes[2], seeded(seed), **options)
        assert torch.equal(other.query, draw.query)
        assert torch.equal(other.support, draw.support[:, :fewer])


@given(shops(), SIZES, st.integers(0, 99), st.integers(1, 6))
def test_the_generator_decides_everything(shop, sizes, seed, n_tasks):
    torch.manual_seed(0)
    _, first = drawn(shop, sizes, seed, n_tasks=n_tasks)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    _, second = drawn(shop, sizes, seed, n_tasks=n_tasks)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is left alone"


def many_tasks(n_users: int, n_rows: int):
    users = np.repeat(np.arange(n_users), n_rows)
    table = pd.DataFrame({"user": users, "item": np.arange(len(users)) % n_rows, "rating": 3.0})
    return user_tasks(Shop(table))


def test_other_seeds_draw_other_tasks_support_and_query():
    tasks = many_tasks(10, 8)
    draws = [draw_shots(tasks, 2, 3, seeded(seed), n_tasks=4) for seed in range(6)]
    for tables in zip(*draws, strict=True):
        assert len({tuple(table.flatten().tolist()) for table in tables}) == 6


def test_every_eligible_user_is_reached_and_no_other():
    sizes = [1, 2, 3, 4, 5, 2, 4]
    tasks = tasks_of(*((u, i, 3) for u, n in enumerate(sizes) for i in range(n)))
    seen = set()
    for seed in range(60):
        draw = draw_shots(tasks, 2, 2, seeded(seed), n_tasks=2)
        assert len(set(draw.tasks.tolist())) == 2, "drawn without replacement"
        seen |= set(draw.tasks.tolist())
    assert seen == {2, 3, 4, 6}
    assert len(draw_shots(tasks, 2, 2, seeded(0), n_tasks=99).tasks) == 4


def test_every_row_comes_equally_often_into_support_and_query():
    n_users, n_rows = 20_000, 5
    draw = draw_shots(many_tasks(n_users, n_rows), 1, 4, seeded(0))
    sd = (n_users * 0.2 * 0.8) ** 0.5
    for column in torch.cat([draw.support, draw.query], dim=1).T:
        counts = torch.bincount(column % n_rows, minlength=n_rows)
        assert (counts - n_users / n_rows).abs().max() < 5 * sd


def timed(n_users: int, ratings: list, times: list):
    """Every user has the same ratings at the same times, in this order in the file."""
    users = np.repeat(np.arange(n_users), len(ratings))
    table = pd.DataFrame({"user": users, "item": np.arange(len(users)) % len(ratings)})
    table["rating"], table["timestamp"] = np.tile(ratings, n_users), np.tile(times, n_users)
    return user_tasks(Shop(table))


@pytest.mark.parametrize("ratings", [[1.0, 2, 3, 4, 5], [5.0, 4, 3, 2, 1]])
def test_a_file_sorted_by_rating_gives_nothing_away_where_times_are_equal(ratings):
    n_users = 20_000
    tasks = timed(n_users, ratings, [7.0] * 5)
    support, query = sample_episode(tasks, 2, 2, seeded(0), support="temporal")
    sd = (2 / n_users) ** 0.5  # of a column's mean; 2 is the variance of 1 … 5
    for column in torch.cat([support.targets, query.targets], dim=1).T:
        assert abs(column.mean().item() - 3) < 5 * sd
    orders = torch.cat([support.targets, query.targets], dim=1).unique(dim=0)
    assert len(orders) == 5 * 4 * 3 * 2, "every order comes up"


def test_only_ties_are_broken_by_the_generator():
    tasks = timed(2_000, [1.0, 2, 3, 4, 5], [20.0, 10, 20, 10, 30])
    draw = draw_shots(tasks, 3, 2, seeded(0), support="temporal")
    times = tasks.times[torch.cat([draw.support, draw.query], dim=1)]
    assert (times == torch.tensor([10.0, 10, 20, 20, 30])).all()
    support, query = gather(tasks, draw)
    seen = torch.cat([support.targets, query.targets], dim=1).unique(dim=0).tolist()
    assert seen == [[2, 4, 1, 3, 5], [2, 4, 3, 1, 5], [4, 2, 1, 3, 5], [4, 2, 3, 1, 5]]
    assert (support.targets[:, 0] == 2).float().mean().item() == pytest.approx(0.5, abs=0.06)
    apart = timed(50, [1.0, 2, 3, 4], [40.0, 30, 20, 10])
    draws = [draw_shots(apart, 2, 2, seeded(seed), support="temporal") for seed in range(3)]
    assert all(torch.equal(d.support, draws[0].support) for d in draws)
    assert gather(apart, draws[0]).support.targets.unique(dim=0).tolist() == [[4, 3]]


def test_users_are_shuffled_apart_from_each_other():
    draw = draw_shots(many_tasks(2_000, 4), 2, 2, seeded(0))
    assert len({tuple(rows) for rows in (draw.support % 4).tolist()}) == 12, "all ordered pairs"


def test_without_shots_the_support_is_empty_and_the_query_is_not():
    tasks = tasks_of(("a", 1, 4), ("b", 1, 5), ("b", 2, 3))
    support, query = sample_episode(tasks, 0, 3, seeded(0))
    assert support.inputs.shape == (2, 0, 2)
    assert support.targets.shape == support.mask.shape == (2, 0)
    assert query.mask.sum(1).tolist() == [1, 2]


def test_200_000_users_are_drawn():
    tasks = many_tasks(200_000, 3)
    draw = draw_shots(tasks, 1, 2, seeded(0))
    assert draw.support.shape == (200_000, 1)
    owner = torch.cat([draw.support, draw.query], dim=1) // 3
    assert torch.equal(owner, torch.arange(200_000)[:, None].expand(-1, 3))


@given(shops(), SIZES, st.integers(0, 99))
def test_everything_else_is_all_but_the_query(shop, sizes, seed):
    tasks, draw = drawn(shop, sizes, seed)
    warm = everything_else(tasks, draw)
    assert torch.equal(warm.query, draw.query)
    assert torch.equal(warm.tasks, draw.tasks)
    for place, support, query in zip(
        warm.tasks.tolist(), row_sets(warm.support), row_sets(warm.query), strict=True
    ):
        assert support == own_rows(tasks, place) - query


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"support": "newest"}, 'support must be "random" or "temporal", got \'newest\''),
        ({"n_shots": -1}, r"need 0 <= n_shots <= reserve.*got n_shots=-1"),
        ({"n_shots": 2, "reserve": 1}, "n_shots=2 reserve=1"),
        ({"n_query": 0}, "n_query=0"),
        ({"min_query": 0}, "min_query=0"),
        ({"n_tasks": -1}, "n_tasks"),
    ],
)
def test_bad_sizes_are_refused(options, message):
    arguments = {"n_shots": 0, "n_query": 1, "generator": seeded(0), **options}
    with pytest.raises(ValueError, match=message):
        draw_shots(tasks_of(("a", 1, 4), ("b", 1, 4)), **arguments)


def test_what_the_data_cannot_serve_is_said():
    tasks = tasks_of(("a", 1, 4), ("a", 2, 4), ("b", 1, 4))
    with pytest.raises(InputError, match=r"no task has 3 behaviours.*the largest has 2"):
        draw_shots(tasks, 2, 1, seeded(0))
    with pytest.raises(InputError, match="temporal support needs a column timestamp"):
        draw_shots(tasks, 1, 1, seeded(0), support="temporal")


class Apart:
    """Four users of 3 to 9 rows at times of their own, some of which may be asked; sizes, and a draw from them."""

    def __init__(self, seed: int, order: str):
        rng = np.random.default_rng(seed)
        user = np.repeat(np.arange(4), rng.integers(3, 10, 4))
        table = pd.DataFrame({"user": user, "item": np.arange(len(user)), "rating": 3.0})
        table["timestamp"] = rng.integers(0, 12, len(user))
        self.tasks = user_tasks(Shop(table))
        self.may_ask = torch.from_numpy(rng.random(len(user)) < 0.5)
        self.n_shots, self.more, self.n_query, self.min_query = rng.integers(
            0, [3, 2, 4, 2]
        ).tolist()
        self.n_query, self.min_query = self.n_query + 1, self.min_query + 1
        self.order, self.seed = order, seed

    def draw(self, n_shots: int):
        """Examples without an eligible task are left out."""
        try:
            return draw_shots(
                self.tasks, n_shots, self.n_query, seeded(self.seed), self.order,
                reserve=self.n_shots + self.more, min_query=self.min_query, may_ask=self.may_ask,
            )  # fmt: skip
        except InputError:
            assume(False)

    def sides(self):
        """Of every task drawn: its rows, its support, its query, as sets."""
        draw = self.draw(self.n_shots)
        owns = (own_rows(self.tasks, place) for place in draw.tasks.tolist())
        yield from zip(owns, row_sets(draw.support), row_sets(draw.query), strict=True)


@st.composite
def aparts(draw, *orders: str) -> Apart:
    return Apart(
        draw(st.integers(0, 9_999)), draw(st.sampled_from(orders or ["random", "temporal"]))
    )


@given(aparts())
def test_the_query_is_of_rows_that_may_be_asked_and_the_support_of_the_others(apart):
    for own, support, query in apart.sides():
        assert support | query <= own
        assert len(support) == apart.n_shots
        assert all(apart.may_ask[row] for row in query)
        assert not any(apart.may_ask[row] for row in support)
        assert min(apart.min_query, apart.n_query) <= len(query) <= apart.n_query
        able = sum(apart.may_ask[row].item() for row in own)
        if apart.order == "random":
            assert len(query) == min(apart.n_query, able)
        assert len(own) - able >= apart.n_shots + apart.more


@given(aparts("random"))
def test_drawn_apart_just_the_tasks_with_enough_of_both_take_part(apart):
    chosen = set(apart.draw(apart.n_shots).tasks.tolist())
    for place in range(4):
        asked = [apart.may_ask[row].item() for row in own_rows(apart.tasks, place)]
        known = len(asked) - sum(asked)
        able = known >= apart.n_shots + apart.more
        able = able and sum(asked) >= min(apart.min_query, apart.n_query)
        assert (place in chosen) == able


@given(aparts("temporal"))
def test_rows_that_may_be_asked_are_never_older_than_the_support(apart):
    for own, support, query in apart.sides():
        times = {row: apart.tasks.times[row].item() for row in own}
        last = max((times[row] for row in support), default=-np.inf)
        assert all(times[row] >= last for row in query)
        left = [times[row] for row in own if not apart.may_ask[row] and row not in support]
        assert last <= min(left, default=np.inf), "the oldest of them are the support"


@given(aparts())
def test_drawn_apart_the_query_is_the_same_for_every_support_too(apart):
    draw = apart.draw(apart.n_shots)
    for fewer in range(apart.n_shots):
        other = apart.draw(fewer)
        assert torch.equal(other.tasks, draw.tasks)
        assert torch.equal(other.query, draw.query)
        assert torch.equal(other.support, draw.support[:, :fewer])


def test_drawn_apart_by_hand():
    tasks = timed(1, [1.0, 2, 3, 4, 5, 1], [10.0, 20, 30, 40, 50, 60])
    may_ask = torch.tensor([True, False, False, True, False, True])
    draw = draw_shots(tasks, 2, 5, seeded(0), support="temporal", may_ask=may_ask)
    assert draw.support.tolist() == [[1, 2]]
    assert draw.query.tolist() == [[3, 5, -1, -1, -1]], "row 0 came before the support"
    draw = draw_shots(tasks, 0, 5, seeded(0), support="temporal", may_ask=may_ask)
    assert draw.query.tolist() == [[0, 3, 5, -1, -1]]
    shuffled = draw_shots(tasks, 2, 5, seeded(0), may_ask=may_ask)
    assert sorted(shuffled.query[0].tolist()) == [-1, -1, 0, 3, 5]


def test_nothing_to_ask_is_said():
    tasks, none = many_tasks(3, 4), torch.zeros(12, dtype=torch.bool)
    for may_ask in (none, ~none):
        with pytest.raises(
            InputError, match="no task has 2 behaviours for support and 1 more that"
        ):
            draw_shots(tasks, 2, 2, seeded(0), may_ask=may_ask)


CLASSES = st.lists(st.sampled_from([2, 5, 7, 11]), min_size=1, max_size=30)


@given(CLASSES, st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(0, 99))
def test_a_class_task_has_n_ways_k_shots_and_the_rest_as_query(labels, n_way, k, n_query, seed):
    labels = torch.tensor(labels)
    assume(sum(labels.bincount() >= k + n_query) >= n_way)
    inputs = torch.arange(len(labels))[:, None]  # an input is its own row's number
    support, query = class_episode(inputs, labels, n_way, k, n_query, 4, seeded(seed))
    assert support.inputs.shape == (4, n_way * k, 1)
    assert query.inputs.shape == (4, n_way * n_query, 1)
    for task in range(4):
        rows = support.inputs[task, :, 0], query.inputs[task, :, 0]
        assert len(set(torch.cat(rows).tolist())) == n_way * (k + n_query), "no row twice"
        names = {}
        for side, targets in zip(rows, (support.targets[task], query.targets[task]), strict=True):
            for row, target in zip(side.tolist(), targets.tolist(), strict=True):
                names.setdefault(target, set()).add(labels[row].item())
        assert sorted(names) == list(range(n_way))
        assert all(len(classes) == 1 for classes in names.values())
        assert len(set.union(*names.values())) == n_way, "classes of one task are different"


def test_a_class_gets_another_name_in_another_task_and_all_rows_are_reached():
    labels = torch.arange(4).repeat_interleave(5)
    inputs = torch.arange(20)[:, None]
    support, query = class_episode(inputs, labels, 3, 1, 2, 200, seeded(0))
    named = {(labels[row].item(), t) for row, t in zip(
        support.inputs.flatten().tolist(), support.targets.flatten().tolist(), strict=True
    )}  # fmt: skip
    assert len(named) == 12
    assert set(support.inputs.flatten().tolist()) == set(range(20))
    assert set(query.inputs.flatten().tolist()) == set(range(20))
    again = class_episode(inputs, labels, 3, 1, 2, 200, seeded(0))
    assert torch.equal(again.query.inputs, query.inputs)
    assert not torch.equal(
        class_episode(inputs, labels, 3, 1, 2, 200, seeded(1)).query.inputs, query.inputs
    )


def test_too_few_classes_are_counted():
    labels = torch.tensor([0, 0, 0, 1, 1])
    with pytest.raises(InputError, match="2-way tasks need 2 classes with 3 rows each; 1 have"):
        class_episode(labels[:, None], labels, 2, 2, 1, 1, seeded(0))
