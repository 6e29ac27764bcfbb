"""New items: what was known at a moment, the launch protocol, the closed form, and that nothing looks ahead."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import seeded, shop_of
from scipy.sparse import csr_matrix

from fsl import Examples, InputError, Shop, item_tasks
from fsl.content import content_words
from fsl.launches.histories import DAY, Log, month_start, ordered_within_days, weighted
from fsl.launches.protocol import launches
from fsl.launches.study import (
    before,
    judge_launches,
    new_items_of,
    paired,
    timed_item_tasks,
)
from fsl.learners.item_vectors import item_vectors
from fsl.learners.launching import LaunchLearner, Shots
from fsl.learners.new_item_baselines import FoldInNewItems, NewItemNeighbours, Youngest
from fsl.learners.new_items import ItemPosterior
from fsl.learners.overlap import Overlap, log_votes
from fsl.learners.posterior_score import Block, PosteriorScore, make_block

JANUARY = pd.Timestamp("2014-01-01").timestamp()
N_TASTES, N_OLD, N_NEW = 4, 40, 60


def log_of(*rows: tuple) -> Log:
    """Rows of (user, item, days)."""
    return Log(timed_tasks(*rows))


def timed_tasks(*rows: tuple):
    seconds = [(user, item, int(day * DAY)) for user, item, day in rows]
    return item_tasks(shop_of(*seconds, names="user item timestamp"), implicit=True)


@cache
def made_shop(seed: int = 0, shuffled: bool = False) -> Shop:
    """Users of four tastes meet items of four brands, mostly their own; new items come out all the time, and fade."""
    lots = np.random.default_rng(seed)
    out = np.r_[np.zeros(N_OLD), np.sort(lots.uniform(20, 440, N_NEW))]
    brand = lots.integers(N_TASTES, size=len(out))
    rows = set()
    for user in range(400):
        start = lots.uniform(0, 450)
        for day in start + lots.exponential(20, size=lots.integers(4, 10)):
            age = day - out
            likes = np.where(brand == user % N_TASTES, 8.0, 1.0) if not shuffled else 1.0
            chance = likes * np.exp(-np.abs(age) / 60) * (age >= 0)
            if chance.sum() > 0:
                item = lots.choice(len(out), p=chance / chance.sum())
                rows.add((user, int(item), int(JANUARY + (int(day) - 365) * DAY)))
    table = pd.DataFrame(sorted(rows), columns=["user", "item", "timestamp"])
    table = table.drop_duplicates(["user", "item"])
    items = pd.DataFrame({"item": range(len(out)), "brand": [f"b{b}" for b in brand]})
    return Shop(table, items=items)


def learners_for(content) -> dict[str, LaunchLearner]:
    options = {"days": 180, "n_periods": 1, "reserve": 3}
    return {
        "youngest": Youngest(content, **options),
        "neighbours": NewItemNeighbours(content, **options),
        "fold-in": FoldInNewItems(content, d=8, **options),
        "posterior": ItemPosterior(content, d=8, n_epochs=3, batch=64, **options),
    }


@pytest.fixture(scope="module")
def world():
    """Tasks of the made shop, its new items of 2014, and the learners fitted on what came before."""
    shop = made_shop()
    tasks = timed_item_tasks(shop)
    learners = learners_for(content_words(shop, tasks.subject_ids))
    for learner in learners.values():
        learner.fit(before(tasks, JANUARY)).follow(tasks)
    return tasks, new_items_of(tasks, "2014-01-01", reserve=3), learners


# What was known at a moment


@settings(max_examples=15)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=25, unique=True))
def test_the_past_is_what_lies_strictly_before(rows):
    log = log_of(*rows)
    users = torch.tensor(sorted({row[0] for row in rows}))
    places = torch.arange(len(users)).repeat_interleave(6)
    when = torch.arange(6).repeat(len(users)) * int(DAY)
    past = log.before(places, when)
    names = sorted({row[1] for row in rows})
    for asker in range(len(places)):
        mine = past.asker == asker
        seen = sorted(zip(past.items[mine], past.days[mine], strict=True))
        now = asker % 6
        user = users[places[asker]]
        assert seen == sorted(
            (names.index(i), now - d) for u, i, d in rows if u == user and d < now
        )


def test_the_table_and_first_seen_stop_at_their_moment():
    log = log_of(("u", "a", 1), ("v", "a", 2), ("v", "b", 3), ("v", "b", 5))
    assert log.table(3 * DAY).toarray().tolist() == [[1, 0], [1, 0]]
    assert log.table(9 * DAY).toarray().tolist() == [[1, 0], [1, 1]]
    assert (log.first_seen() / DAY).tolist() == [1, 3]
    assert log.end == 5 * DAY + 1


def test_a_decay_weighs_by_days_before_the_moment():
    past = log_of(("u", "a", 0), ("u", "b", 2)).before(torch.tensor([0]), torch.tensor([4 * DAY]))
    assert weighted(past, 1, 2).toarray().tolist() == [[1, 1]]
    np.testing.assert_allclose(weighted(past, 1, 2, 2.0).toarray(), [[np.exp(-2), np.exp(-1)]])


def test_a_log_is_of_timed_item_tasks():
    with pytest.raises(ValueError, match="item-tasks with times"):
        Log(item_tasks(shop_of(("u", "a", 3), ("v", "a", 4))))


def test_months_start_at_their_first_second():
    moments = torch.tensor([int(JANUARY), int(JANUARY) - 1, int(JANUARY) + 40 * int(DAY)])
    starts = pd.to_datetime(month_start(moments), unit="s")
    assert list(starts.strftime("%Y-%m-%d")) == ["2014-01-01", "2013-12-01", "2014-02-01"]


def test_an_order_within_days_keeps_the_days_and_is_drawn_from_its_seed():
    tasks = item_tasks(made_shop(), implicit=True)
    drawn, again, other = (ordered_within_days(tasks, seed) for seed in (0, 0, 1))
    assert torch.equal(drawn.times, again.times)
    assert torch.equal(drawn.objects, again.objects)
    assert not torch.equal(drawn.times, other.times)
    by_row = torch.empty_like(tasks.times)
    by_row[drawn.rows] = drawn.times - drawn.times % DAY
    assert torch.equal(by_row[tasks.rows], tasks.times)
    same_task = drawn.task_of_row.diff() == 0
    assert (drawn.times.diff()[same_task] >= 0).all()
    with pytest.raises(ValueError, match="whole days"):
        ordered_within_days(drawn, 0)


# The launch protocol


@pytest.mark.parametrize("same_day", [True, False])
@pytest.mark.parametrize("asked_from", [3, 1])
def test_launches_are_those_counted_by_hand(asked_from, same_day):
    tasks = timed_item_tasks(made_shop(), seed=3)
    early = {} if asked_from == 3 else {"asked_from": 1}
    found = launches(tasks, JANUARY, reserve=3, same_day=same_day, **early)
    log = Log(tasks)
    first = log.first_seen()
    events = sorted(zip(log.items, log.times, log.users, strict=True))
    of_item = {i: [e for e in events if e[0] == i] for i in range(log.n_items)}
    new = [i for i, own in of_item.items() if first[i] >= JANUARY and len(own) > 3]
    assert found.items.tolist() == new
    assert len(new) >= 10
    assert [[u for _, _, u in of_item[i][:3]] for i in new] == found.support[..., 1].tolist()
    asked = sorted((t, n, u) for n, i in enumerate(new) for _, t, u in of_item[i][asked_from:])
    floor = (lambda t: t) if same_day else (lambda t: t - t % DAY)
    assert found.answers.tolist() == [n for _, n, _ in asked]
    assert found.users.tolist() == [u for _, _, u in asked]
    assert found.when.tolist() == [floor(t) for t, _, _ in asked]
    for q, (t, answer, user) in enumerate(asked):
        had = {i for i, s, u in events if u == user and s < floor(t)}
        open_ = [i not in had for i in new]
        ready = [o and of_item[i][2][1] < floor(t) for o, i in zip(open_, new, strict=True)]
        ready[answer] = True
        assert found.unknown[q].tolist() == open_
        assert found.candidates[q].tolist() == ready
        out = [of_item[i][0][1] < floor(t) for i in new]
        out[answer] = True
        assert found.out[q].tolist() == [a and b for a, b in zip(open_, out, strict=True)]
        assert found.is_ready[q] == (of_item[new[answer]][2][1] < floor(t))


def test_a_user_who_meets_an_item_again_is_no_query():
    rows = [("u", "a", 1), ("v", "a", 2), ("u", "a", 3), ("w", "a", 4)]
    found = launches(timed_tasks(*rows), 0.0, reserve=1)
    assert found.users.tolist() == [1, 2]


def test_a_period_without_new_items_is_said():
    tasks = timed_tasks(("u", "a", 1), ("v", "a", 2))
    with pytest.raises(InputError, match="met more than 5 times"):
        launches(tasks, 0.0)
    with pytest.raises(InputError, match="no item is first seen in the period"):
        launches(tasks, 1.5 * DAY, reserve=0)


def test_practice_is_among_ready_items_and_from_the_second_user_on_among_all_that_are_out(
    world, monkeypatch
):
    past, steps = before(world[0], JANUARY), []
    monkeypatch.setattr(
        ItemPosterior, "_step", lambda self, part, k, opt: steps.append(part) or opt.step()
    )
    options = {"days": 180, "n_periods": 1, "reserve": 3, "d": 8, "n_epochs": 1, "batch": 10_000}
    ItemPosterior(content_words(made_shop(), past.subject_ids), **options).fit(past)
    met = {"ready": [], "out": []}
    for part in steps:
        visible = part.block.shots.visible(part.block.when).T[part.rows]
        answers, rivals = part.answers[part.rows, None], part.candidates[part.rows]
        told = visible.gather(1, answers)
        met["ready" if (told == 3).all() else "out"] += told[:, 0].tolist()
        least = 3 if (told == 3).all() else 1
        assert (visible[rivals.scatter(1, answers, False)] >= least).all()
        assert rivals.gather(1, answers).all()
    end = Log(past).end
    judged, every = (launches(past, end - 180 * DAY, end, 3, asked_from=n) for n in (None, 1))
    assert len(met["ready"]) == len(judged.when) > 20
    assert len(met["out"]) == len(every.when) > len(judged.when)
    assert set(met["out"]) == {1, 2, 3}


# Content and vectors


def test_content_words_are_values_and_their_parts():
    items = pd.DataFrame({
        "item": list("abcd"), "name": list("wxyz"),
        "category": ["Cases > Basic", "Cases > Basic", "Cases", None],
    })  # fmt: skip
    shop = shop_of(("u", "a", 1), names="user item timestamp", items=items)
    words = content_words(shop, pd.Index(list("dcba")), least=2)
    assert words.toarray().tolist() == [[0, 0, 0], [0, 1, 0], [1, 1, 1], [1, 1, 1]]
    with pytest.raises(InputError, match="table of items"):
        content_words(shop_of(("u", "a", 1), names="user item timestamp"), pd.Index(["a"]))


def test_new_items_are_placed_by_their_users_and_move_nobody(world):
    tasks, _, learners = world
    words, moment = learners["posterior"].words, JANUARY + 100 * DAY
    log = Log(tasks)
    vectors = item_vectors(log, words, moment, JANUARY, 8)
    again = item_vectors(log, words, moment, JANUARY, 8)
    assert np.array_equal(vectors.full, again.full)
    old = log.first_seen() < JANUARY
    without = Log(tasks.subset(torch.from_numpy(np.flatnonzero(old))))
    places = np.arange(log.n_items)[old]
    assert without.table(moment).nnz < log.table(moment).nnz
    kept = item_vectors(without, words, moment, JANUARY, 8)
    # The factors' signs are free: what counts are the products.
    gram, kept = (v.full[places] @ v.full[places].T for v in (vectors, kept))
    np.testing.assert_allclose(gram, kept, atol=1e-8)
    lengths = np.linalg.norm(vectors.full[places], axis=1)
    np.testing.assert_allclose(lengths, 1)


def test_a_table_of_nothing_has_no_vectors():
    log = log_of(("u", "a", 1), ("v", "a", 2))
    with pytest.raises(ValueError, match="at least 2 users and 2 items"):
        item_vectors(log, csr_matrix((1, 1)), DAY, DAY)


# The closed form


def made_block(n=3, k=4, p=5, d=6) -> Block:
    times = torch.arange(k).double().expand(n, k) * DAY
    shots = Shots(torch.arange(n), torch.zeros(n, k, dtype=torch.long), times)
    draw = seeded(1)
    return Block(
        torch.randn(n, k, d, generator=draw), torch.randn(n, d, generator=draw),
        torch.randn(p, 3, d, generator=draw), torch.ones(p), shots, torch.arange(p) * int(DAY),
        torch.rand(n, k, p, generator=draw), torch.rand(n, p, generator=draw),
    )  # fmt: skip


def test_the_update_is_ridge_regression_towards_the_prior():
    block, net = made_block(), PosteriorScore(seeded(0)).double()
    block = block._replace(profiles=block.profiles.double(), prior=block.prior.double())
    kappa, eps = net.log_kappa.exp(), net.log_eps.exp()
    prior = block.prior / (block.prior.norm(dim=-1, keepdim=True) + eps[0])
    seen = block.profiles / (block.profiles.norm(dim=-1, keepdim=True) + eps[1])
    for k in (0, 1, 4):
        # min over m of Σ_s ‖x_s − m‖² + κ ‖p − m‖² as one least-squares problem with an identity design
        rows = [kappa.sqrt() * torch.ones(1, 1), torch.ones(k, 1)]
        design = torch.cat(rows).double()
        targets = torch.cat([kappa.sqrt() * prior[:, None], seen[:, :k]], 1)
        mean = torch.linalg.lstsq(design.expand(3, -1, -1), targets).solution[:, 0] * (kappa + k)
        expected = mean / (mean.norm(dim=-1, keepdim=True) + eps[2])
        torch.testing.assert_close(net.items(block)[:, k], expected)


def test_a_score_uses_the_shots_before_its_moment_alone():
    block, net = made_block(), PosteriorScore(seeded(0))
    scores = net(block)
    for asker in range(5):
        shown = block.part(torch.tensor([asker]), asker)  # shot s comes at day s
        torch.testing.assert_close(net(shown)[:, 0], scores[:, asker])


def test_scores_do_not_depend_on_the_axes_of_the_vectors():
    block, net = made_block(), PosteriorScore(seeded(0))
    turn = torch.linalg.qr(torch.randn(6, 6, generator=seeded(2)))[0]
    parts = ("profiles", "prior", "histories")
    turned = block._replace(**{part: getattr(block, part) @ turn for part in parts})
    torch.testing.assert_close(net(turned), net(block), atol=1e-5, rtol=1e-5)


def test_votes_are_those_counted_by_hand():
    log = log_of(("u", "a", 1), ("v", "a", 2), ("v", "b", 3), ("v", "new", 4), ("w", "b", 5))
    shots = Shots(torch.tensor([2]), torch.tensor([[1]]), torch.tensor([[4.0 * DAY]]))
    ask = (torch.tensor([0]), torch.tensor([int(6 * DAY)]))
    overlap = Overlap(log, csr_matrix(np.array([[1, 0], [0, 2], [1, 2]])))
    weight = np.exp(-5 / 30) / 2**0.5  # u had a five days ago; v had two items
    expected = weight * (1 + 1 / (12 * 12) ** 0.5)  # a itself, and b, which v had too
    votes = overlap.votes(6 * DAY, 6 * DAY, shots, *ask)
    np.testing.assert_allclose(votes.numpy(), [[[expected]]], rtol=1e-6)
    told = log_votes(votes, shots, torch.tensor([5 * DAY, 3 * DAY])[:1])
    np.testing.assert_allclose(told.numpy(), [[np.log1p(10 * expected)]], rtol=1e-6)
    assert log_votes(votes, shots, torch.tensor([3 * DAY])).item() == 0
    words = np.array([[1, 0], [0, 2], [1, 2]]) / np.sqrt([2, 4])
    cosine = words[2] @ words[0] / np.linalg.norm(words[2]) / np.linalg.norm(words[0])
    alike = overlap.alike(torch.tensor([2]), *ask)
    np.testing.assert_allclose(alike.numpy(), [[cosine]], rtol=1e-6)


def test_profiles_leave_out_the_new_item_and_stop_at_the_shot():
    log = log_of(("u", "a", 1), ("u", "new", 5), ("u", "b", 7), ("v", "b", 0))
    vectors = item_vectors(log, csr_matrix(np.eye(3)), 9 * DAY, 9 * DAY, 2)
    shots = Shots(torch.tensor([2]), torch.tensor([[0]]), torch.tensor([[5.0 * DAY]]))
    ask = (torch.tensor([1]), torch.tensor([int(8 * DAY)]))
    early = make_block(log, vectors, 0.0, shots, *ask)
    late = make_block(log, vectors, 8 * DAY, shots, *ask)
    a, b = torch.from_numpy(vectors.full[:2]).float()
    torch.testing.assert_close(early.profiles[0, 0], a)
    torch.testing.assert_close(late.profiles[0, 0], a + b)


# The learners


def scores_of(learner, found, k=3, chosen=slice(None)):
    return learner.predict(found.shots(k), found.query_inputs(chosen))


def untouched_by_the_future(learner, tasks, found) -> bool:
    """Whether a log that ends at the middle query's moment, and goes on wrongly, changes any score up to then."""
    middle = int(found.when[len(found.when) // 2])
    asked = slice(0, int((found.when <= middle).sum()))
    whole = scores_of(learner, found, chosen=asked)
    later = tasks.times >= middle
    wrong = tasks.objects.clone()
    wrong[later] = wrong[later].flip(0)
    try:
        learner.follow(replace(tasks, objects=wrong))
        changed = scores_of(learner, found, chosen=asked)
    finally:
        learner.follow(tasks)
    return torch.equal(whole, changed)


NAMES = ("youngest", "neighbours", "fold-in", "posterior")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_at_or_after_a_moment_changes_its_scores(world, name):
    tasks, found, learners = world
    assert untouched_by_the_future(learners[name], tasks, found)


def test_a_learner_that_looks_ahead_is_caught(world):
    class LooksAhead(Youngest):
        def _score(self, month, shots, users, when):
            had = self.log.table(np.inf)[users.numpy()][:, shots.items.numpy()]
            return torch.from_numpy(had.T.toarray()).float()

    tasks, found, learners = world
    leak = LooksAhead(learners["youngest"].words, days=150, reserve=3)
    leak.fit(before(tasks, JANUARY)).follow(tasks)
    assert not untouched_by_the_future(leak, tasks, found)


@pytest.mark.parametrize("name", NAMES)
def test_fitting_sees_the_training_tasks_alone_and_repeats_itself(world, name):
    tasks, found, learners = world
    past = before(tasks, JANUARY)
    again = learners_for(learners[name].words)[name].fit(past).follow(tasks)
    assert torch.equal(scores_of(again, found), scores_of(learners[name], found))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [0, 3])
def test_a_task_is_scored_by_its_own_support(world, name, k):
    _, found, learners = world
    whole = scores_of(learners[name], found, k)
    assert whole.isfinite().all()
    support, asked = found.shots(k), found.query_inputs(slice(None))
    order = torch.randperm(len(asked), generator=seeded(0))
    turned = Examples(support.inputs[order], support.targets[order])
    mixed = learners[name].predict(turned, asked[order])
    torch.testing.assert_close(mixed, whole[order], atol=1e-5, rtol=1e-5)
    one = learners[name].predict(Examples(*(x[:1] for x in support[:2])), asked[:1])
    torch.testing.assert_close(one, whole[:1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_other_users_of_a_new_item_do_not_tell_its_score(world, name):
    """K shots are K: of an item's later users only their own histories know, in which they have it."""
    tasks, found, learners = world
    learner, item = learners[name], int(found.items[0])
    in_support = int(found.support[0, :, 2].max())
    gone = (tasks.subjects[tasks.task_of_row] == item) & (tasks.times > in_support)
    users = tasks.objects[gone]
    assert len(users)
    # Those who have the item hold it in their history; it is not offered to them.
    others = ~torch.isin(found.users, torch.cat([users, found.support[0, :, 1]]))
    whole = scores_of(learner, found)
    try:
        learner.follow(tasks.subset(torch.arange(len(tasks)), ~gone))
        without = scores_of(learner, found)
    finally:
        learner.follow(tasks)
    torch.testing.assert_close(whole[0, others], without[0, others], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_masked_shot_is_no_shot_and_their_order_is_by_time(world, name):
    _, found, learners = world
    learner, asked = learners[name], found.query_inputs(slice(0, 40))
    shots = found.shots(3)
    mask = torch.ones_like(shots.targets, dtype=torch.bool)
    mask[:, 1:] = False
    masked = learner.predict(shots._replace(mask=mask), asked)
    torch.testing.assert_close(masked, learner.predict(found.shots(1), asked))
    flipped = Examples(shots.inputs.flip(1), shots.targets)
    torch.testing.assert_close(learner.predict(flipped, asked), learner.predict(shots, asked))


def test_no_support_may_come_without_moments(world):
    _, found, learners = world
    asked = found.query_inputs(slice(0, 40))
    empty = Examples(torch.zeros(len(asked), 0, 2, dtype=torch.long), torch.zeros(len(asked), 0))
    scores = learners["posterior"].predict(empty, asked)
    assert torch.equal(scores, scores_of(learners["posterior"], found, 0, slice(0, 40)))
    with pytest.raises(ValueError, match="item, user, when"):
        learners["posterior"].predict(empty, asked[..., :2])


def test_without_words_the_tasks_features_are_the_content(world):
    tasks = world[0]
    learner = Youngest(days=150, reserve=3).fit(before(tasks, JANUARY))
    assert learner.words.shape == tuple(tasks.subject_features.shape)
    assert learner.words.shape[1] == N_TASTES


def test_a_past_without_launches_is_said(world):
    tasks = world[0]
    with pytest.raises(InputError, match="no item is first seen"):
        Youngest(days=1e-3).fit(before(tasks, JANUARY))


# The study


def means(records, metric="hr@10"):
    chosen = records[records["metric"] == metric]
    return chosen.groupby(["learner", "n_shots"])["value"].mean()


def test_learners_beat_chance_where_there_is_taste(world):
    tasks, found, learners = world
    records = judge_launches(learners, tasks, found, (0, 3), metrics=("hr@3", "hr@3/99"))
    hits = means(records, "hr@3")
    for name in NAMES[1:]:
        gain = paired(records, name, "random", "hr@3", 3, by="user")
        assert gain.low > 0, (name, hits)
    assert hits["posterior", 3] > hits["youngest", 3]
    assert (hits["oracle"] == 1).all()
    expected = (3 / found.candidates.sum(1).double()).clamp(max=1).mean()
    np.testing.assert_allclose(hits["random", 3], expected)
    assert found.candidates.sum(1).max() <= 100
    np.testing.assert_allclose(means(records, "hr@3/99")["random", 3], expected)


def test_answers_at_random_bring_every_learner_down_to_chance(world):
    tasks, found, learners = world
    lots = torch.rand(found.candidates.shape, generator=seeded(0)) * found.candidates
    shuffled = found._replace(answers=lots.argmax(1))
    records = judge_launches(learners, tasks, shuffled, (3,), metrics=("hr@3",))
    for name in NAMES:
        gain = paired(records, name, "random", "hr@3", 3, by="user")
        assert gain.low < 0.02, name
        assert gain.value < 0.06, name


def test_pools_differ_in_whom_the_answer_is_ranked_among(world):
    tasks, found, learners = world
    chosen = {name: learners[name] for name in ("youngest", "posterior")}
    records = judge_launches(chosen, tasks, found, (3,), ("ready", "all", "out"))
    pools = {name.removeprefix("new items, "): part for name, part in records.groupby("partition")}
    hits = {pool: means(part) for pool, part in pools.items()}
    for name in chosen:
        assert np.isclose(hits["ready"][name, 3], hits["all"][name, 3])
        assert hits["out"][name, 3] <= hits["ready"][name, 3]
    assert hits["all"]["random", 3] >= hits["ready"]["random", 3]
    record = pools["all"].iloc[0]
    assert record["partition"] == "new items, all"
    assert record["group"] == tasks.subject_ids[int(found.items[found.answers[0]])]
    assert record["user"] == tasks.object_ids[int(found.users[0])]


def test_what_cannot_be_judged_is_refused(world):
    tasks, found, learners = world
    with pytest.raises(ValueError, match="pools must be some of"):
        judge_launches({}, tasks, found, pools=("ready", "late"))
    with pytest.raises(ValueError, match="records of one partition"):
        paired(judge_launches({}, tasks, found, (0,), ("all", "out")), "oracle", "", "hr@10", 0)
    with pytest.raises(ValueError, match="unknown metric rmse"):
        judge_launches({}, tasks, found, (0,), metrics=("rmse",))
    with pytest.raises(ValueError, match="rename random"):
        judge_launches({"random": learners["youngest"]}, tasks, found)


def test_a_paired_difference_resamples_whole_items():
    rows = [("a", "x", 1.0, 0), ("b", "x", 0.5, 0), ("a", "y", 0.0, 1), ("b", "y", 0.5, 1)]
    rows += [("a", "y", 0.0, 2), ("b", "y", 0.5, 2)]
    records = pd.DataFrame(rows, columns=["learner", "group", "value", "task"])
    records = records.assign(metric="hr@10", n_shots=5, seed=0, partition="new items, ready")
    found = paired(records, "a", "b", "hr@10", 5)
    assert np.isclose(found.value, -1 / 6)
    # Two items: every resample is x twice, y twice, or both.
    np.testing.assert_allclose([found.low, found.high], [-0.5, 0.5])
    assert np.isclose(paired(records, "a", "", "hr@10", 5).value, 1 / 3)
