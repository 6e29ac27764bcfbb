"""Learners that rank a catalogue: against formulas solved another way, limit cases, and proofs that nothing leaks."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from made import seeded, shop_of

import fsl
from fsl import Examples, InputError, Shop, item_tasks, user_tasks
from fsl.content import with_words
from fsl.learners.blend import Blend
from fsl.learners.catalogue import counts, met_matrix, z_scored
from fsl.learners.cooccurrence import EASE, ContentNeighbours, ItemKNN, co_occurrences
from fsl.learners.episodic_ridge import EpisodicRidge
from fsl.learners.implicit_mf import ImplicitALS
from fsl.learners.popularity import MostPopular
from fsl.learners.ranking_episodes import others_and_fold, past_and_next
from fsl.learners.ranking_net import Lesson, SetNet, each_loss, softmax_loss
from fsl.learners.ranking_tables import N_FACTORS, Tables, now_of
from fsl.learners.set_ranker import SetRanker
from fsl.ranking.choice import SelectedByRank
from fsl.ranking.rank import rank

DAY = 86_400.0
SMALL = dict(shots=(2,), n_moments=3, n_asked=60, n_epochs=2, n_columns=20)


def tastes_shop(n_users=60, n_items=30, n_each=8, seed=0, rated=False, timed=True):
    """Half of the users like the first half of the items, the others the second; days in rising order."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        weight = np.where((np.arange(n_items) < n_items / 2) == (user % 2 == 0), 8.0, 1.0)
        start = rng.integers(0, 200)
        for n, item in enumerate(rng.choice(n_items, n_each, False, weight / weight.sum())):
            rows.append(
                (
                    f"u{user:02d}",
                    f"i{item:02d}",
                    (start + n) * DAY,
                    5.0 if weight[item] > 1 else 2.0,
                )
            )
    table = pd.DataFrame(rows, columns=["user", "item", "timestamp", "rating"])
    dropped = [*([] if rated else ["rating"]), *([] if timed else ["timestamp"])]
    items = pd.DataFrame(
        {"item": [f"i{n:02d}" for n in range(n_items)], "kind": ["a"] * 15 + ["b"] * 15}
    )
    return Shop(table.drop(columns=dropped), items=items if n_items == 30 else None)


def tasks_of_tastes(**options):
    return user_tasks(tastes_shop(**options), implicit=not options.get("rated"))


def asked(objects, targets=None, mask=None):
    """A support of these objects, a row per task."""
    objects = torch.as_tensor(objects).reshape(len(objects), -1)
    inputs = torch.stack([torch.zeros_like(objects), objects], -1)
    targets = torch.ones(objects.shape) if targets is None else torch.as_tensor(targets).float()
    return Examples(inputs, targets, mask)


EVERYONE = {
    "popular": MostPopular(),
    "recent": MostPopular(30),
    "knn": ItemKNN(),
    "fading knn": ItemKNN(half_life=30),
    "ease": EASE(5.0),
    "ridge": EpisodicRidge(),
    "als": ImplicitALS(4),
    "content": ContentNeighbours(),
    "blend": Blend([ItemKNN(), MostPopular()], [1, 0.1]),
    "set": SetRanker(**SMALL),
}


@pytest.fixture(scope="module")
def fitted():
    tasks = tasks_of_tastes()
    return {name: learner.fit(tasks) for name, learner in EVERYONE.items()}


@pytest.mark.parametrize("name", EVERYONE)
def test_every_learner_scores_any_support_and_each_task_by_itself(fitted, name):
    learner, objects = fitted[name], torch.tensor([[0, 3], [20, 25], [4, 4]])
    query = torch.stack([torch.zeros(3, 30).long(), torch.arange(30).expand(3, 30)], -1)
    mask = torch.tensor([[True, True], [True, False], [False, False]])
    whole = learner.predict(asked(objects, mask=mask), query)
    assert whole.shape == (3, 30)
    assert whole.isfinite().all()
    for row in range(3):
        alone = learner.predict(asked(objects[row : row + 1], mask=mask[row : row + 1]), query[:1])
        torch.testing.assert_close(alone[0], whole[row], atol=1e-4, rtol=1e-4)
    backwards = learner.predict(asked(objects, mask=mask), query.flip(1))
    torch.testing.assert_close(backwards, whole.flip(1))
    short = learner.predict(asked([[20]]), query[:1])  # padding is nothing
    torch.testing.assert_close(short[0], whole[1], atol=1e-4, rtol=1e-4)
    nothing = learner.predict(asked(torch.zeros(1, 0).long()), query[:1])
    torch.testing.assert_close(nothing[0], whole[2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["knn", "ease", "ridge", "als", "content", "set"])
def test_tastes_are_found(fitted, name):
    scores = fitted[name].scores(asked([[0, 3, 5], [20, 25, 28]]))
    first, second = scores[:, :15].mean(1), scores[:, 15:].mean(1)
    assert first[0] > second[0]
    assert second[1] > first[1]


def test_popularity_counts_and_what_is_recent_goes_before():
    shop = shop_of(
        ("a", 1, 0),
        ("b", 1, 0),
        ("c", 1, 0),
        ("a", 2, 90 * DAY),
        ("b", 3, 89 * DAY),
        names="user item timestamp",
    )
    tasks = user_tasks(shop, implicit=True)
    ever = MostPopular().fit(tasks).scores(asked([[0]]))
    torch.testing.assert_close(ever, torch.tensor([[4.0, 2.0, 2.0]]).log())
    recent = MostPopular(45).fit(tasks).scores(asked([[0]]))[0]
    assert recent.argsort(descending=True)[2] == 0
    with pytest.raises(InputError, match="timestamp"):
        MostPopular(45).fit(user_tasks(shop_of(("a", 1), names="user item"), implicit=True))


def test_only_liked_behaviours_count_where_likes_is_given():
    shop = shop_of(("a", 1, 5.0), ("a", 2, 2.0), ("b", 1, 4.0), ("b", 2, 1.0), ("b", 3, 4.0))
    tasks = user_tasks(shop)
    assert counts(tasks, 4.0).tolist() == [2.0, 0.0, 1.0]
    assert counts(tasks).tolist() == [2.0, 2.0, 1.0]
    knn = ItemKNN(0.0, likes=4.0).fit(tasks)
    torch.testing.assert_close(
        knn.scores(asked([[0], [1]], [[5.0], [5.0]])),
        torch.tensor([[0.0, 0.0, 0.5**0.5], [0.0, 0.0, 0.0]]),
    )
    assert knn.scores(asked([[0]], [[2.0]])).abs().sum() == 0  # not liked in the support


def test_item_knn_is_the_shrunk_cosine():
    tasks = tasks_of_tastes()
    x = met_matrix(tasks).toarray()
    together = x.T @ x
    n = np.diag(together).copy()
    np.fill_diagonal(together, 0)
    for a in (0.5, 1.0):
        expected = together / (n[:, None] + 7) ** a / (n[None] + 7) ** (1 - a)
        ours = ItemKNN(7.0, a).fit(tasks).scores(asked([[3, 9]]))[0]
        np.testing.assert_allclose(ours, expected[3] + expected[9], rtol=1e-5)


def test_repeated_behaviours_count_once():
    once = user_tasks(shop_of(("a", 1), ("a", 2), ("b", 1), names="user item"), implicit=True)
    twice = user_tasks(
        shop_of(("a", 1, 1), ("a", 2, 2), ("b", 1, 3), ("a", 1, 9), names="user item timestamp"),
        implicit=True,
    )
    assert (met_matrix(once) != met_matrix(twice)).nnz == 0
    a, b = (co_occurrences(met_matrix(tasks))[0].toarray() for tasks in (once, twice))
    np.testing.assert_array_equal(a, b)


def test_ease_is_the_ridge_of_each_object_on_the_others():
    tasks = tasks_of_tastes()
    x = met_matrix(tasks).toarray().astype(float)
    ours = EASE(3.0).fit(tasks).weights.numpy()
    for i in (0, 7):
        others = np.delete(np.arange(30), i)
        z = x[:, others]
        ridge = np.linalg.solve(z.T @ z + 3 * np.eye(29), z.T @ x[:, i])
        np.testing.assert_allclose(ours[others, i], ridge, atol=1e-5)
        assert ours[i, i] == 0


def test_of_a_large_catalogue_only_the_popular_take_part(monkeypatch):
    monkeypatch.setattr("fsl.learners.cooccurrence.MOST_OBJECTS", 10)
    monkeypatch.setattr("fsl.learners.episodic_ridge.MOST_OBJECTS", 10)
    tasks = tasks_of_tastes()
    for learner in (EASE(3.0), EpisodicRidge()):
        scores = learner.fit(tasks).scores(asked([[0, 5, 9, 20]]))
        rest = np.argsort(-counts(tasks).numpy(), kind="stable")[10:]
        assert scores[0, rest].abs().sum() == 0
        assert scores.abs().sum() > 0


def test_episodic_ridge_is_the_ridge_on_all_episodes_there_are():
    rng = np.random.default_rng(1)
    rows = [
        (u, int(i), float(rng.integers(1, 6)))
        for u in range(12)
        for i in rng.choice(7, 5, replace=False)
    ]
    tasks, k, shrinkage = user_tasks(shop_of(*rows)), 2, 0.7
    met, liked = met_matrix(tasks).toarray(), met_matrix(tasks, 4.0).toarray()
    shown, wanted = [], []
    for x, y in zip(met, liked, strict=True):
        for some in itertools.combinations(np.flatnonzero(x), k):
            s = np.isin(np.arange(7), some)
            shown.append(s)
            wanted.append(y * ~s)
    s, y = np.array(shown, float), np.array(wanted, float)
    mean, target = s.mean(0), y.mean(0)
    gram = (s - mean).T @ (s - mean) / len(s) + shrinkage / len(met) * np.eye(7)
    weights = np.linalg.solve(gram, (s - mean).T @ (y - target) / len(s))
    ours = EpisodicRidge(shrinkage, likes=4.0).fit(tasks).scores(asked([[1, 4]]))[0]
    own = np.isin(np.arange(7), [1, 4])
    np.testing.assert_allclose(ours, target + (own - mean) @ weights, atol=1e-5)


def test_als_is_a_fixed_point_of_its_loss_and_folds_in_what_it_was_fitted_on():
    tasks = tasks_of_tastes()
    als = ImplicitALS(3, confidence=4.0, shrinkage=1.0, n_sweeps=60).fit(tasks)
    x = torch.from_numpy(met_matrix(tasks).toarray())
    subjects = als._solved(met_matrix(tasks), als.factors)

    def loss(p, q):
        errors = (1 + 4.0 * x) * (x - p @ q.T).square()
        return errors.sum() + p.square().sum() + q.square().sum()

    least = loss(subjects, als.factors)
    for n in range(6):
        lots = seeded(n)
        p = subjects + 0.02 * torch.randn(subjects.shape, generator=lots)
        q = als.factors + 0.02 * torch.randn(als.factors.shape, generator=lots)
        assert loss(p, als.factors) > least
        assert loss(subjects, q) > least - 1e-3
    own = tasks.objects[: tasks.sizes[0]]
    torch.testing.assert_close(
        als.scores(asked([own.tolist()]))[0], subjects[0] @ als.factors.T, atol=1e-4, rtol=1e-4
    )


def test_content_neighbours_know_objects_that_nobody_met_and_want_content():
    items = pd.DataFrame({"item": range(6), "kind": list("ababab")})
    shop = shop_of(
        ("a", 0), ("a", 1), ("b", 2), ("b", 3), ("c", 4), ("c", 5), names="user item", items=items
    )
    tasks = user_tasks(shop, implicit=True)
    found = ContentNeighbours().fit(tasks.subset(torch.tensor([0])))
    torch.testing.assert_close(found.scores(asked([[0]])), torch.tensor([[1.0, 0, 1, 0, 1, 0]]))
    with pytest.raises(InputError, match="need features"):
        ContentNeighbours().fit(user_tasks(shop_of(("a", 1), names="user item"), implicit=True))


def test_words_of_paths_and_whole_values_are_features():
    items = pd.DataFrame(
        {
            "item": [1, 2, 3, 4],
            "brand": ["X", "x ", None, "Y"],
            "category": ["A > B", "A > C", "A > B", "B"],
        }
    )
    shop = shop_of(("a", 4), ("a", 1), ("b", 2), ("b", 3), names="user item", items=items)
    tasks = with_words(user_tasks(shop, implicit=True), shop, least=2)
    names = ["brand=x", "category=a", "category=a > b", "category=b"]  # "y", "c": one each
    assert tasks.object_feature_names == names
    found = [[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 1]]
    assert tasks.object_features.tolist() == found
    with pytest.raises(ValueError, match="objects of item-tasks are users"):
        with_words(item_tasks(shop, implicit=True), shop)


def test_z_scores_and_blends():
    scores = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    torch.testing.assert_close(
        z_scored(scores), torch.tensor([[-(1.5**0.5), 0, 1.5**0.5], [0, 0, 0]])
    )
    tasks = tasks_of_tastes()
    knn, popular = ItemKNN().fit(tasks), MostPopular().fit(tasks)
    both = Blend([knn, popular], [2.0, 0.5], fitted=True)
    support = asked([[0, 3]])
    expected = 2 * z_scored(knn.scores(support)) + 0.5 * z_scored(popular.scores(support))
    torch.testing.assert_close(both.scores(support), expected)


def test_a_setting_is_chosen_on_validation_tasks_only():
    split = fsl.split_tasks(tasks_of_tastes(n_users=90), seeded(0))
    choice = SelectedByRank([MostPopular(), ItemKNN(), ContentNeighbours()], dict(n_shots=(3,)))
    choice.fit(split.train, split.validation)
    assert choice.values[choice.candidates.index(choice.chosen)] == max(choice.values)
    for candidate, value in zip(choice.candidates, choice.values, strict=True):
        judged = rank({"it": candidate}, split.validation, (3,), metrics=("ndcg@10",)).records
        assert value == judged.query("learner == 'it'")["value"].mean()
    with pytest.raises(InputError, match="needs validation tasks"):
        choice.fit(split.train)
    with pytest.raises(ValueError, match="1 to 9 candidates"):
        SelectedByRank([MostPopular()] * 10).fit(split.train, split.validation)


# The set ranker


def test_tables_look_neither_ahead_nor_at_those_who_are_asked():
    tasks = tasks_of_tastes()
    moments = []
    for past, start, episodes in past_and_next(tasks, 3, 30.0, (2, 3), 20, seeded(0)):
        moments.append(start)
        assert (past.times < start).all()
        for episode in episodes:
            users = episode.support.inputs[:, 0, 0]
            assert not torch.isin(users, past.subjects).any()
            for user, known, wanted in zip(
                users, episode.support.inputs[..., 1], episode.query.inputs[:, 0, 1], strict=True
            ):
                place = int((tasks.subjects == user).nonzero())
                rows = slice(int(tasks.offsets[place]), int(tasks.offsets[place + 1]))
                order = tasks.objects[rows].tolist()  # all on different days
                assert order[: len(known)] == known.tolist()
                assert order[len(known)] == int(wanted)
                assert start <= tasks.times[rows][len(known)] < start + 30 * DAY
    assert moments == sorted(moments)
    assert len(moments) == 3


def test_folds_ask_those_whom_the_tables_do_not_know():
    tasks = tasks_of_tastes(timed=False)
    seen = []
    for others, now, episodes in others_and_fold(tasks, 4, (1, 3), 2, seeded(0)):
        assert now is None
        assert len(episodes) == 4
        for episode in episodes:
            users = episode.support.inputs[:, 0, 0]
            assert not torch.isin(users, others.subjects).any()
        seen += users.tolist()
    assert sorted(seen) == list(range(60))


def test_a_span_without_a_past_is_refused():
    shop = shop_of(
        *[("a", n, n) for n in range(4)],
        *[("b", n, n) for n in range(4)],
        names="user item timestamp",
    )
    with pytest.raises(InputError, match="no behaviours lie before"):
        SetRanker(shots=(1,), n_moments=2).fit(user_tasks(shop, implicit=True))
    assert SetRanker(shots=(1,), n_moments=2, timed=False, n_asked=1).fit(
        user_tasks(shop, implicit=True)
    )


def lesson_of(n_tasks=3, n_columns=5, d=4, seed=0):
    lots = seeded(seed)
    wanted = torch.zeros(n_tasks, n_columns, dtype=torch.bool)
    wanted[torch.arange(n_tasks), torch.arange(n_tasks)] = True
    wanted[0, 3] = True
    offset = torch.zeros(n_tasks, n_columns)
    offset[:, 4] = -torch.inf
    return Lesson(
        torch.randn(n_tasks, n_columns, d, generator=lots).half(),
        torch.randn(n_tasks, 2, 7, generator=lots),
        torch.tensor([[True, True], [True, False], [False, False]]),
        torch.randn(n_columns, 6, generator=lots),
        wanted,
        offset,
    )


def test_losses_are_what_they_say_at_the_start_where_every_score_is_the_same():
    lesson = lesson_of()
    net = SetNet(torch.zeros(4), torch.ones(4), 6, 8, 0.0)
    scores = net(lesson.pairs, lesson.known, lesson.mask, lesson.vectors)
    torch.testing.assert_close(scores, scores[:1, :1].expand_as(scores))
    assert softmax_loss(net, lesson).item() == pytest.approx(
        np.log(4)
    )  # four candidates, one left out
    score = scores[0, 0]
    expected = -4 * score.sigmoid().log() - 8 * (-score).sigmoid().log()
    torch.testing.assert_close(each_loss(net, lesson), expected / 4)


def first_two(lesson):
    """Without the third task, whose own object is the column that is copied."""
    return Lesson(*(x if name == "vectors" else x[:2] for name, x in lesson._asdict().items()))


def test_a_column_that_stands_for_many_weighs_as_many():
    lesson = lesson_of()
    wide = lesson._replace(offset=lesson.offset.clone())
    wide.offset[:, 2] = torch.where(lesson.wanted[:, 2], 0.0, float(np.log(3)))
    copied = [0, 1, 2, 2, 2, 3, 4]
    copies = lesson._replace(
        pairs=lesson.pairs[:, copied], vectors=lesson.vectors[copied],
        wanted=lesson.wanted[:, copied], offset=lesson.offset[:, copied],
    )  # fmt: skip
    net = SetNet(torch.zeros(4), torch.ones(4), 6, 8, 0.0)
    torch.nn.init.normal_(net.linear.weight, generator=seeded(0))
    for loss in (softmax_loss, each_loss):
        one, other = (loss(net, first_two(x)) for x in (wide, copies))
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("objective", ["softmax", "each"])
def test_training_finds_the_tastes_of_new_users_and_comes_again_with_the_seed(objective):
    split = fsl.split_tasks(tasks_of_tastes(n_users=150, rated=True, timed=False), seeded(0))
    options = dict(
        objective=objective, likes=4.0, shots=(3,), n_moments=3, n_asked=3, n_epochs=8, lr=0.01
    )
    ranker = SetRanker(**options).fit(split.train)
    judged = rank(
        {"set": ranker, "popular": MostPopular(likes=4.0).fit(split.train)},
        split.test, (3,), relevant_from=4.0, metrics=("ndcg@5",),
    ).records  # fmt: skip
    means = judged.groupby("learner")["value"].mean()
    assert means["set"] > means["popular"] + 0.1
    again = SetRanker(**options).fit(split.train)
    support = asked([[0, 3, 5]], [[5.0, 2.0, 5.0]])
    assert torch.equal(ranker.scores(support), again.scores(support))


def test_shuffled_behaviours_bring_the_set_ranker_down_to_the_ruler():
    shop = tastes_shop(n_users=200)
    lots = np.random.default_rng(0)
    table = shop.interactions.assign(
        item=[f"i{n:02d}" for n in lots.integers(0, 30, len(shop.interactions))]
    )
    split = fsl.split_tasks(
        user_tasks(Shop(table, items=shop.items), implicit=True), seeded(0), (0.5, 0, 0.5)
    )
    found = rank(
        {"set": SetRanker(**SMALL).fit(split.train)}, split.test, (2,), metrics=("ndcg@10",)
    ).records
    gap = found.pivot_table(index="task", columns="learner", values="value").eval("set - random")
    assert abs(gap.mean()) < 4 * gap.std() / len(gap) ** 0.5


def test_factors_of_other_moments_are_turned_towards_the_anchor():
    tasks = tasks_of_tastes()
    anchor = Tables(tasks, now_of(tasks)).factors
    assert anchor.shape == (30, N_FACTORS)
    half = tasks.subset(torch.arange(40))
    turned, plain = (Tables(half, now_of(tasks), anchor=x).factors for x in (anchor, None))
    torch.testing.assert_close(turned @ turned.T, plain @ plain.T, atol=1e-4, rtol=1e-4)
    assert (turned - anchor).norm() <= (plain - anchor).norm() + 1e-5


def test_content_of_numbers_of_either_sign_gives_tables_that_fit_into_half_precision():
    shop = tastes_shop(rated=True, timed=False)
    numbers = {f"n{k}": np.random.default_rng(k).normal(size=30) for k in range(6)}
    items = pd.DataFrame({"item": [f"i{n:02d}" for n in range(30)], **numbers})
    tasks = user_tasks(Shop(shop.interactions, items=items))
    assert (tasks.object_features < 0).any()
    tables = Tables(tasks, None, likes=4.0)
    most = float(counts(tasks).max().log1p())
    assert tables.stats[:, -2].min() >= 0, "the popularity of alike objects"
    assert tables.stats[:, -2].max() <= most
    assert tables.pairs(asked([[0, 3]])).abs().max() < 100


def test_refresh_takes_up_what_is_new_and_keeps_the_nets():
    tasks = tasks_of_tastes()
    ranker = SetRanker(**SMALL).fit(tasks.subset(torch.arange(40)))
    nets, before = ranker.nets, ranker.scores(asked([[0, 3]]))
    ranker.refresh(tasks)
    assert ranker.nets is nets
    assert not torch.equal(ranker.scores(asked([[0, 3]])), before)


def test_an_objective_of_another_name_is_refused():
    with pytest.raises(ValueError, match="objective must be one of"):
        SetRanker(objective="hinge")
