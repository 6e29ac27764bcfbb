"""Every learner through one battery, and each baseline against its formula written another way."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from made import grid_tasks, seeded, shop_of, tasks_of

from fsl import (
    Episode,
    Examples,
    InputError,
    Shop,
    draw_shots,
    gather,
    learners,
    sample_episode,
    simulate_shop,
    split_tasks,
    user_tasks,
)  # fmt: skip
from fsl.episodes import Draw
from fsl.evaluation import RULERS
from fsl.learners import roster
from fsl.learners.baselines import ridge_weights
from fsl.learners.neighbours import NeighbourVotes

MAKERS = {
    "GlobalMean": learners.GlobalMean,
    "SupportMean": learners.SupportMean,
    "SupportMedian": learners.SupportMedian,
    "ItemEffect": learners.ItemEffect,
    "ShrunkBias": learners.ShrunkBias,
    "Popularity": learners.Popularity,
    "RidgeOnFeatures": learners.RidgeOnFeatures,
    "UserKNN": learners.UserKNN,
    "FoldIn": learners.FoldIn,
    "Siamese": lambda: learners.Siamese(n_embedding=4, n_hidden=16, n_steps=20),
    "MAML": lambda: learners.MAML(n_iterations=6, meta_batch=4, n_factors=4),
    "Selected": lambda: learners.Selected(
        [learners.ShrunkBias(user_shrinkage=s) for s in (1.0, 3.0)]
    ),
}
NO_USE_OF_SUPPORT = {"GlobalMean", "ItemEffect", "Popularity"}
everyone = pytest.mark.parametrize("name", MAKERS)


def whole(shop):
    return split_tasks(user_tasks(shop), seeded(0))


@pytest.fixture(scope="module")
def split():
    return whole(simulate_shop(160, 40, 1)[0])


@pytest.fixture(scope="module")
def fitted(split):
    """Learners by name, each fitted once, on first use."""
    made = {}

    def fit(name):
        if name not in made:
            made[name] = MAKERS[name]().fit(split.train, split.validation)
        return made[name]

    return fit


@pytest.fixture(scope="module")
def episode(split) -> Episode:
    return sample_episode(split.test, 4, 5, seeded(0))


def predicted(learner, support: Examples, query: Examples) -> torch.Tensor:
    return learner.predict(support, query.inputs)


def same(found, expected) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_battery_leaves_no_learner_out():
    assert set(MAKERS) == set(learners.__all__) - {"Learner"}


@everyone
def test_predictions_are_finite_numbers_one_per_query_row(name, fitted, episode):
    found = predicted(fitted(name), *episode)
    assert found.shape == episode.query.targets.shape
    assert found.is_floating_point()
    assert found.isfinite().all()
    assert not found.requires_grad


@everyone
def test_fitting_again_gives_the_same_and_leaves_the_global_generators(
    name, fitted, split, episode
):
    fitted(name)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    learner = MAKERS[name]()
    assert learner.fit(split.train, split.validation) is learner
    first = predicted(learner, *episode)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, predicted(fitted(name), *episode))
    assert torch.equal(first, predicted(learner, *episode)), "asking twice changes nothing"


@everyone
def test_the_order_of_support_and_of_query_makes_no_difference(name, fitted, episode):
    support, query = episode
    turned = Examples(*(side.flip(1) for side in support))
    expected = predicted(fitted(name), support, query)
    same(predicted(fitted(name), turned, query), expected)
    backwards = Examples(*(side.flip(1) for side in query))
    same(predicted(fitted(name), support, backwards), expected.flip(1))


@everyone
def test_a_task_is_served_alone_as_in_any_company(name, fitted, episode):
    together = predicted(fitted(name), *episode)
    for t in (5, 0, len(together) - 1, 5):
        support, query = (Examples(*(side[[t]] for side in part)) for part in episode)
        same(predicted(fitted(name), support, query)[0], together[t])
    turned = Episode(*(Examples(*(side.flip(0) for side in part)) for part in episode))
    same(predicted(fitted(name), *turned), together.flip(0))


@everyone
def test_a_query_row_is_judged_apart_from_the_others(name, fitted, episode):
    support, query = episode
    expected = predicted(fitted(name), *episode)
    same(fitted(name).predict(support, query.inputs[:, 1:3]), expected[:, 1:3])


def with_padding(support: Examples, garbage: float) -> Examples:
    """Two more rows per task, in front and behind, of an object and a target that mean nothing."""
    inputs = torch.nn.functional.pad(support.inputs, (0, 0, 1, 1))
    targets = torch.nn.functional.pad(support.targets, (1, 1), value=garbage)
    return Examples(inputs, targets, torch.nn.functional.pad(support.mask, (1, 1)))


@everyone
@pytest.mark.parametrize("garbage", [0.0, 1e3])
def test_padding_makes_no_difference(name, garbage, fitted, episode):
    support, query = episode
    expected = predicted(fitted(name), support, query)
    same(predicted(fitted(name), with_padding(support, garbage), query), expected)
    assert support.mask.all()
    same(predicted(fitted(name), support._replace(mask=None), query), expected)


@everyone
def test_tasks_of_different_size_share_an_episode(name, fitted, split):
    draw = draw_shots(split.test, 4, 3, seeded(0))
    fewer = draw.support.clone()
    fewer[::2, 1:] = -1
    mixed = gather(split.test, Draw(draw.tasks, fewer, draw.query))
    short = gather(split.test, Draw(draw.tasks, fewer[:, :1], draw.query))
    found = predicted(fitted(name), *mixed)
    same(found[::2], predicted(fitted(name), *short)[::2])


@everyone
def test_knowing_nothing_of_a_user_is_no_obstacle(name, fitted, split):
    bare = sample_episode(split.test, 0, 4, seeded(0))
    found = predicted(fitted(name), *bare)
    assert found.isfinite().all()
    all_padding = gather(split.test, Draw(
        torch.arange(len(bare.query.mask)), torch.full((len(bare.query.mask), 2), -1),
        torch.full((len(bare.query.mask), 1), 0),
    ))  # fmt: skip
    assert predicted(fitted(name), all_padding.support, bare.query).isfinite().all()


@everyone
def test_support_matters_to_those_who_look(name, fitted, episode):
    support, query = episode
    other = support._replace(targets=6 - support.targets)
    moved = (predicted(fitted(name), *episode) - predicted(fitted(name), other, query)).abs().max()
    assert (moved == 0) == (name in NO_USE_OF_SUPPORT)


@everyone
def test_what_a_learner_is_given_stays_as_it_was(name, fitted, episode):
    before = [side.clone() for part in episode for side in part]
    predicted(fitted(name), *episode)
    after = [side for part in episode for side in part]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


@everyone
def test_query_targets_have_no_way_in(name):
    assert list(inspect.signature(MAKERS[name]().predict).parameters) == ["support", "query_inputs"]


@everyone
def test_a_shop_without_features_is_served(name):
    shop, _ = simulate_shop(60, 20, 2)
    bare = whole(Shop(shop.interactions))
    learner = MAKERS[name]().fit(bare.train, bare.validation)
    assert predicted(learner, *sample_episode(bare.test, 2, 3, seeded(0))).isfinite().all()


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"Siamese"}))
def test_where_everything_is_rated_the_same_that_is_what_is_predicted(name):
    same_for_all = whole(shop_of(*((u, i, 4) for u in range(40) for i in range(12))))
    learner = MAKERS[name]().fit(same_for_all.train, same_for_all.validation)
    for n_shots in (0, 3):
        support, query = sample_episode(same_for_all.test, n_shots, 4, seeded(0))
        found = predicted(learner, support, query)
        assert found.isfinite().all()
        same(found, query.targets)


def test_a_siamese_network_has_nothing_to_learn_from_equal_ratings():
    equal = whole(shop_of(*((u, i, 4) for u in range(40) for i in range(12))))
    with pytest.raises(InputError, match="no pairs can be formed"):
        MAKERS["Siamese"]().fit(equal.train, equal.validation)


@everyone
def test_objects_that_training_never_met_are_served(name, split):
    known = split.train.objects % 2 == 0
    train = split.train.subset(torch.arange(len(split.train)), known)
    train = train.subset((train.sizes > 1).nonzero()[:, 0])
    learner = MAKERS[name]().fit(train, split.validation)
    assert predicted(learner, *sample_episode(split.test, 3, 5, seeded(0))).isfinite().all()


@everyone
def test_unseen_support_objects_do_not_frighten(name, fitted, split):
    lone = split.train.subset(torch.arange(20), split.train.objects != split.train.objects[0])
    learner = MAKERS[name]().fit(lone.subset((lone.sizes > 1).nonzero()[:, 0]), split.validation)
    inputs = torch.tensor([[[0, int(split.train.objects[0])]]])
    support = Examples(inputs, torch.tensor([[5.0]]))
    assert learner.predict(support, inputs).isfinite().all()


def world(personal: float, quality: float = 0.0, generosity: float = 0.0, n_users: int = 160):
    """Ratings 3.8 + quality_i + generosity_u + taste_u · x_i, two taste dimensions, which are the items' features."""
    rng = np.random.default_rng(0)
    x, taste = rng.normal(size=(30, 2)), rng.normal(size=(n_users, 2))
    ratings = 3.8 + quality * rng.normal(size=30) + generosity * rng.normal(size=(n_users, 1))
    ratings = ratings + personal * taste @ x.T + 0.1 * rng.normal(size=(n_users, 30))
    return split_tasks(grid_tasks(ratings, x), seeded(0))


def squared_error(learner, split, n_shots: int = 10) -> float:
    support, query = sample_episode(split.test, n_shots, 15, seeded(0))
    learner = learner.fit(split.train, split.validation)
    return (predicted(learner, support, query) - query.targets).square().mean().item()


def test_the_global_mean_beats_the_middle_of_the_scale():
    split = world(0.3)
    middle = (split.test.targets - sum(split.test.scale) / 2).square().mean().item()
    assert squared_error(learners.GlobalMean(), split) < middle
    assert learners.GlobalMean().fit(split.train).mean == pytest.approx(
        split.train.targets.mean().item()
    )


@pytest.mark.parametrize("name", ["SupportMean", "SupportMedian", "ShrunkBias", "Selected"])
def test_a_persons_level_is_learned_from_support(name):
    split = world(0.0, generosity=1.0)
    assert squared_error(MAKERS[name](), split) < 0.2 * squared_error(learners.GlobalMean(), split)


@pytest.mark.parametrize("name", ["ItemEffect", "ShrunkBias"])
def test_an_items_quality_is_learned_from_others(name):
    split = world(0.0, quality=1.0)
    found = squared_error(MAKERS[name](), split, n_shots=0)
    assert found < 0.1 * squared_error(learners.GlobalMean(), split, n_shots=0)


@pytest.mark.parametrize(
    ("maker", "share"),
    [
        (lambda: learners.RidgeOnFeatures(5.0), 0.4),
        (learners.UserKNN, 0.8),
        (learners.FoldIn, 0.3),
        (lambda: learners.Siamese(n_steps=100), 0.9),
        (lambda: learners.MAML(n_iterations=60, meta_batch=8), 0.8),
    ],
    ids=["RidgeOnFeatures", "UserKNN", "FoldIn", "Siamese", "MAML"],
)
def test_taste_is_learned_by_those_who_can(maker, share):
    split = world(1.0)
    assert squared_error(maker(), split) < share * squared_error(learners.ShrunkBias(), split)


def test_popular_things_are_rated_higher_where_that_is_so():
    rows = [
        (u, i, 1 + 4 * (i < 2)) for u in range(24) for i in range(10) if i < 2 or i == 2 + u % 8
    ]
    tasks = tasks_of(*rows)
    found = (
        learners.Popularity()
        .fit(tasks)
        .predict(
            Examples(torch.zeros(1, 0, 2, dtype=torch.long), torch.zeros(1, 0)),
            torch.tensor([[[0, 0], [0, 5]]]),
        )
    )
    assert found[0].tolist() == pytest.approx([5, 1], abs=1e-4)


def test_popularity_is_the_least_squares_line(split):
    counts = torch.bincount(split.train.objects, minlength=40).double()
    x, y = counts.log1p()[split.train.objects].numpy(), split.train.targets.double().numpy()
    slope, offset = np.polyfit(x, y, 1)
    learner = learners.Popularity().fit(split.train)
    assert learner.slope.item() == pytest.approx(slope, abs=1e-3)
    assert learner.offset.item() == pytest.approx(offset, abs=1e-2)


HAND = (("a", 1, 5), ("a", 2, 3), ("b", 1, 4), ("c", 2, 1), ("c", 3, 2))  # mean 3


def support_of(*rows: tuple[int, float]) -> Examples:
    objects = torch.tensor([[[0, place] for place, _ in rows]])
    return Examples(objects, torch.tensor([[float(target) for _, target in rows]]))


def asked(*places: int) -> torch.Tensor:
    return torch.tensor([[[0, place] for place in places]])


def test_simple_means_by_hand():
    tasks, support = tasks_of(*HAND), support_of((0, 5), (1, 1), (2, 1), (1, 2))
    for learner, level in (("GlobalMean", 3), ("SupportMean", 2.25), ("SupportMedian", 1.5)):
        found = MAKERS[learner]().fit(tasks).predict(support, asked(0, 2))
        assert found.tolist() == [[level, level]]
    masked = support._replace(mask=torch.tensor([[True, True, True, False]]))
    assert learners.SupportMean().fit(tasks).predict(masked, asked(0)).item() == pytest.approx(
        7 / 3
    )
    assert learners.SupportMedian().fit(tasks).predict(masked, asked(0)).item() == 1
    nothing = masked._replace(mask=torch.zeros(1, 4, dtype=torch.bool))
    assert learners.SupportMean().fit(tasks).predict(nothing, asked(0)).item() == 3
    assert learners.SupportMedian().fit(tasks).predict(nothing, asked(0)).item() == 3


def test_the_item_effect_by_hand():
    learner = learners.ItemEffect(shrinkage=2.0).fit(tasks_of(*HAND))
    # user means 4, 4, 1.5: item 1 has +1 and 0, item 2 has −1 and −0.5, item 3 has +0.5
    expected = [3 + 1 / (2 + 2), 3 - 1.5 / (2 + 2), 3 + 0.5 / (1 + 2)]
    assert learner.predict(support_of((0, 5)), asked(0, 1, 2))[0].tolist() == pytest.approx(
        expected
    )


def test_shrunk_biases_after_one_sweep_by_hand():
    learner = learners.ShrunkBias(item_shrinkage=2.0, user_shrinkage=1.0, n_sweeps=1)
    learner.fit(tasks_of(*HAND))
    effects = [(2 + 1) / (2 + 2), (0 - 2) / (2 + 2), -1 / (1 + 2)]
    assert learner.effects.tolist() == pytest.approx(effects)
    support = support_of((0, 5), (2, 3))
    own = ((5 - 3 - effects[0]) + (3 - 3 - effects[2])) / (2 + 1)
    expected = [3 + effect + own for effect in effects]
    assert learner.predict(support, asked(0, 1, 2))[0].tolist() == pytest.approx(expected)
    left = [5 - 3 - effects[0] - own, 3 - 3 - effects[2] - own]
    assert learner.residuals(support)[0].tolist() == pytest.approx(left)


def test_shrunk_biases_settle_at_the_ridge_solution(split):
    train = split.train
    n, m = len(train), len(train.object_ids)
    design = np.zeros((train.n_rows, n + m))
    design[np.arange(train.n_rows), train.task_of_row] = 1
    design[np.arange(train.n_rows), n + train.objects.numpy()] = 1
    y = (train.targets - train.targets.mean()).double().numpy()
    penalty = np.diag([3.0] * n + [5.0] * m)
    expected = np.linalg.solve(design.T @ design + penalty, design.T @ y)
    learner = learners.ShrunkBias(5.0, 3.0, n_sweeps=200).fit(train)
    assert learner.effects.tolist() == pytest.approx(expected[n:].tolist(), abs=1e-3)
    left = y - design @ expected
    assert learner.training_residuals.tolist() == pytest.approx(left.tolist(), abs=2e-3)


def test_ridge_weights_are_penalised_least_squares():
    x, y = torch.randn(6, 4, 7, generator=seeded(0)), torch.randn(6, 4, generator=seeded(1))
    mask = torch.rand(6, 4, generator=seeded(2)) < 0.7
    mask[0] = False
    precision = torch.tensor([0.5, 1, 2, 3, 4, 5, 6])
    found = ridge_weights(x, y, mask, precision)
    assert (found[0] == 0).all()
    for t in range(6):
        rows = np.vstack([x[t][mask[t]].double().numpy(), np.diag(precision.double().sqrt())])
        expected = np.linalg.lstsq(rows, np.append(y[t][mask[t]].double().numpy(), np.zeros(7)))[0]
        assert found[t].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_ridge_on_features_is_the_prior_and_a_penalised_correction(split, episode):
    learner = learners.RidgeOnFeatures(shrinkage=4.0, user_shrinkage=2.0).fit(split.train)
    prior = learners.ShrunkBias(user_shrinkage=2.0).fit(split.train).prior
    found = predicted(learner, *episode)
    features = split.train.object_features.double().numpy()
    design = np.hstack([np.ones((len(features), 1)), features])
    root = np.diag(np.sqrt([2.0] + [4.0] * features.shape[1]))
    for t in (0, 3):
        inputs, targets, _ = (side[t] for side in episode.support)
        left = (targets - prior(inputs)).double().numpy()
        rows = np.vstack([design[inputs[:, 1]], root])
        weights = np.linalg.lstsq(rows, np.append(left, np.zeros(len(root))))[0]
        query = episode.query.inputs[t]
        expected = prior(query).double().numpy() + design[query[:, 1]] @ weights
        assert found[t].tolist() == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    "stiff", [learners.RidgeOnFeatures(1e9, 3.0), learners.FoldIn(4, fold_in_shrinkage=1e9)]
)
def test_a_stiff_correction_is_the_shrunk_bias(stiff, split, episode):
    expected = predicted(learners.ShrunkBias().fit(split.train), *episode)
    same(predicted(stiff.fit(split.train), *episode), expected)


def test_fold_in_recovers_a_low_rank_matrix():
    split = world(1.0)
    error = squared_error(learners.FoldIn(2, 1.0, 1.0), split)
    assert error < 0.06  # noise is 0.01; without taste the error is about 2
    assert squared_error(learners.ShrunkBias(), split) > 1


def known_residuals(tasks, bias) -> list[dict]:
    """Per training task: object -> its residual."""
    known = [{} for _ in range(len(tasks))]
    places = tasks.task_of_row.tolist(), tasks.objects.tolist(), bias.training_residuals.tolist()
    for task, item, left in zip(*places, strict=True):
        known[task][item] = left
    return known


def similarity(own: dict, other: dict, shrinkage: float) -> float:
    both = [(e, other[i]) for i, e in own.items() if i in other]
    size, theirs = sum(e**2 for e in own.values()) ** 0.5, sum(r**2 for _, r in both) ** 0.5
    return sum(e * r for e, r in both) / (size * theirs + shrinkage)


@pytest.mark.parametrize("n_neighbours", [5, 1_000])
def test_nearest_users_by_hand(n_neighbours):
    """The docstring's two formulas as loops over dictionaries; each user rates half of the items, once."""
    rng = np.random.default_rng(0)
    ratings = np.where(rng.random((40, 12)) < 0.5, rng.integers(1, 6, (40, 12)), np.nan)
    split = split_tasks(grid_tasks(ratings), seeded(0))
    support, query = sample_episode(split.test, 3, 3, seeded(0))
    learner = learners.UserKNN(n_neighbours, 2.0, 0.5, 3.0).fit(split.train)
    bias, known = learner.bias, known_residuals(split.train, learner.bias)
    found, level = predicted(learner, support, query), bias.predict(support, query.inputs)
    for t, inputs in enumerate(support.inputs[..., 1].tolist()):
        own = dict(zip(inputs, bias.residuals(support)[t].tolist(), strict=True))
        votes = [max(0, similarity(own, other, 2.0)) for other in known]
        nearest = sorted(range(len(known)), key=lambda v: -votes[v])[:n_neighbours]
        for q, item in enumerate(query.inputs[t, :, 1].tolist()):
            who = [v for v in nearest if item in known[v]]
            vote = sum(votes[v] * known[v][item] for v in who)
            expected = level[t, q].item() + vote / (sum(votes[v] for v in who) + 0.5)
            assert found[t, q].item() == pytest.approx(expected, abs=1e-4)
    assert (found - level).abs().max() > 0.1


def test_a_neighbour_who_rated_something_twice_votes_once():
    tasks = tasks_of(
        ("a", 1, 4, 0), ("a", 1, 4, 1), ("b", 1, 2, 0), ("b", 2, 2, 0),
        names="user item rating timestamp",
    )  # fmt: skip

    class Bias:
        training_residuals = torch.tensor([1.0, 0.5, -1.0, -1.0])

    votes = NeighbourVotes(Bias(), tasks)
    found = votes.correction(torch.tensor([[1.0, 0.0]]), asked(0, 1), 1, 0.25)
    assert found[0].tolist() == pytest.approx([0.75 / 1.25, 0])


class Fixed:
    """Predicts one number, and remembers what it was fitted on."""

    def __init__(self, value: float):
        self.value = value

    def fit(self, tasks, validation=None):
        self.seen = [tasks, validation]
        return self

    def predict(self, support, query_inputs):
        return torch.full(query_inputs.shape[:2], self.value)


def test_the_setting_with_least_validation_error_is_chosen():
    train = tasks_of(*((u, i, 1) for u in range(4) for i in range(4)))
    validation = tasks_of(*((u, i, 4) for u in range(4) for i in range(4)))
    candidates = [Fixed(1.0), Fixed(3.5), Fixed(5.0)]
    chosen = learners.Selected(candidates).fit(train, validation)
    assert chosen.chosen is candidates[1]
    assert chosen.errors == pytest.approx([3, 0.5, 1])
    assert chosen.predict(None, torch.zeros(2, 3, 2)).tolist() == [[3.5] * 3] * 2
    assert all(c.seen == [train, validation] for c in candidates), "nothing else was there to see"


@pytest.mark.parametrize("place", [0, 1])
def test_a_setting_that_came_to_nothing_is_never_chosen(place):
    tasks = tasks_of(*((u, i, 4) for u in range(4) for i in range(4)))
    candidates = [Fixed(2.0)]
    candidates.insert(place, Fixed(float("nan")))
    assert learners.Selected(candidates).fit(tasks, tasks).chosen.value == 2


@pytest.mark.parametrize("rows", [None, [], [("a", 1, 3), ("b", 1, 3)]])
def test_choosing_without_usable_validation_tasks_is_refused(rows):
    tasks = tasks_of(("a", 1, 3), ("a", 2, 3))
    validation = tasks.subset(torch.tensor([], dtype=torch.long)) if rows == [] else rows
    validation = tasks_of(*rows) if rows else validation
    with pytest.raises(ValueError, match="validation tasks"):
        learners.Selected([Fixed(1.0)]).fit(tasks, validation)


def test_maml_keeps_the_weights_that_did_best_on_validation(split):
    learner = learners.MAML(n_iterations=120, meta_batch=4, n_factors=4, meta_lr=0.3)
    learner.fit(split.train, split.validation)
    least = min(row["validation"] for row in learner.history)
    episodes = learner._checks(split.validation)
    errors = [
        ((predicted(learner, *e) - e.query.targets).square() * e.query.mask).sum(1)
        / e.query.mask.sum(1)
        for e in episodes
    ]
    assert torch.stack([e.mean() for e in errors]).mean().item() == pytest.approx(least, rel=1e-4)
    assert len(learner.history) == 3


def test_the_roster_is_whole_and_every_choice_is_affordable():
    simple, meta = roster.baselines(0), roster.meta_learners(5, 0)
    assert set(meta) == {"Siamese", "MAML"}
    expected = "global mean|popularity|item effect|support mean|support median"
    expected += "|item + user bias|ridge on features|user kNN|MF fold-in"
    assert set(simple) == set(expected.split("|"))
    assert not (set(simple) | set(meta)) & set(RULERS)
    for learner in (simple | meta).values():
        candidates = getattr(learner, "candidates", [learner])
        assert 1 <= len(candidates) <= 9
        assert len({type(c) for c in candidates}) == 1
        assert len({str(vars(c)) for c in candidates}) == len(candidates), "no setting twice"


def test_the_roster_runs(split, episode):
    few = split.train.subset(torch.arange(40))
    for name, learner in roster.baselines(0).items():
        found = predicted(learner.fit(few, split.validation), *episode)
        assert found.isfinite().all(), name


def test_item_tasks_are_served_too():
    from fsl import item_tasks

    shop, _ = simulate_shop(80, 30, 3)
    split = split_tasks(item_tasks(shop), seeded(0), (0.5, 0.25, 0.25))
    episode = sample_episode(split.test, 2, 3, seeded(0))
    for name in ("ShrunkBias", "RidgeOnFeatures", "UserKNN", "FoldIn", "Siamese", "MAML"):
        learner = MAKERS[name]().fit(split.train, split.validation)
        assert predicted(learner, *episode).isfinite().all(), name


def test_the_world_of_these_tests_is_what_it_says():
    flat = world(0.0)
    assert flat.train.targets.std() < 0.2
    assert isinstance(flat.train.subject_ids, pd.Index)


def test_the_interface_says_what_a_half_made_learner_lacks(split):
    class Half(learners.Learner):
        pass

    with pytest.raises(TypeError, match="Half does not say how it fits"):
        Half().fit(split.train)
    with pytest.raises(TypeError, match="Half does not say how it predicts"):
        Half().predict(None, None)
