"""Every learner of a shop's tasks through one battery: baselines, neighbours, and the whole few-shot family."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from made import grid_tasks, seeded, shop_of

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
from fsl.learners import image_method, recommender, sine_method
from fsl.learners.family import CLOSED_FORM, GRADIENT, METRIC
from fsl.learners.people import RatingSampler, Residual
from fsl.learners.select import validation_episodes
from fsl.training import EpisodicTrainer

FAMILY = GRADIENT | CLOSED_FORM | METRIC
SIMPLE = {
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
    "ObjectKNN": learners.ObjectKNN,
    "EmpiricalBayes": lambda: learners.EmpiricalBayes(2, 2),
    "AttentiveBayes": lambda: learners.AttentiveBayes(2, 1, 2, 1, n_hidden=8, n_iterations=5),
    "RidgeOnStatistics": learners.RidgeOnStatistics,
    "TreesOnFeatures": lambda: learners.TreesOnFeatures(4, 10),
    "PreferenceGP": lambda: learners.PreferenceGP(n_iterations=2),
    "Selected": lambda: learners.Selected(
        [learners.ShrunkBias(user_shrinkage=s) for s in (1.0, 3.0)]
    ),
}
MAKERS = SIMPLE | {name: lambda name=name: recommender(name, n_iterations=6) for name in FAMILY}
NO_USE_OF_SUPPORT = {"GlobalMean", "ItemEffect", "Popularity"}
everyone = pytest.mark.parametrize("name", MAKERS)
family = pytest.mark.parametrize("name", FAMILY)


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
    known = {name for name in learners.__all__ if inspect.isclass(getattr(learners, name))}
    for_classes_alone = {"ProtoMAML", "SiameseNearest"}  # `test_methods` has them
    family = {kind.__name__ for kind in FAMILY.values()}
    interfaces = {"Learner", "Method", "Recommender"}
    for_ranking = {
        "EASE",
        "ItemKNN",
        "SetRanker",
        "ItemPosterior",
    }  # `test_ranking_learners`, `test_new_items`
    assert known == set(SIMPLE) | family | for_classes_alone | interfaces | for_ranking


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
@pytest.mark.parametrize("garbage", [0.0, 1e3, float("nan")])
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
    accepted = list(inspect.signature(MAKERS[name]().predict).parameters)
    assert accepted[:2] == ["support", "query_inputs"]
    assert set(accepted[2:]) <= {"options"}


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


def trained(name: str) -> learners.Recommender:
    return recommender(name, 60, meta_lr=1e-2)


BY_OWN_ROWS = ("SupportMean", "SupportMedian", "ShrunkBias", "Selected")


@pytest.mark.parametrize(
    ("maker", "share"),
    [
        *((MAKERS[name], 0.2) for name in BY_OWN_ROWS),
        # two prototypes say more of what is liked than of how much
        *((lambda n=n: trained(n), 0.4 if n == "Prototypical" else 0.1) for n in FAMILY),
    ],
    ids=[*BY_OWN_ROWS, *FAMILY],
)
def test_a_persons_level_is_learned_from_support(maker, share):
    split = world(0.0, generosity=1.0)
    assert squared_error(maker(), split) < share * squared_error(learners.GlobalMean(), split)


@pytest.mark.parametrize("name", ["ItemEffect", "ShrunkBias"])
def test_an_items_quality_is_learned_from_others(name):
    split = world(0.0, quality=1.0)
    found = squared_error(MAKERS[name](), split, n_shots=0)
    assert found < 0.1 * squared_error(learners.GlobalMean(), split, n_shots=0)


SHARES = dict.fromkeys(FAMILY, 0.4) | {"transfer": 0.6, "Matching": 0.75, "Relation": 0.5}
del SHARES["CNP"]  # a mean of pairs needs more than these 112 tasks to find a product in them


@pytest.mark.parametrize(
    ("maker", "share"),
    [
        (lambda: learners.RidgeOnFeatures(5.0), 0.4),
        (learners.UserKNN, 0.8),
        (learners.FoldIn, 0.3),
        (lambda: learners.Siamese(n_steps=100), 0.9),
        *((lambda name=name: trained(name), share) for name, share in SHARES.items()),
    ],
    ids=["RidgeOnFeatures", "UserKNN", "FoldIn", "Siamese", *SHARES],
)
def test_taste_is_learned_by_those_who_can(maker, share):
    split = world(1.0)
    assert squared_error(maker(), split) < share * squared_error(learners.ShrunkBias(), split)


def test_fold_in_recovers_a_low_rank_matrix():
    split = world(1.0)
    error = squared_error(learners.FoldIn(2, 1.0, 1.0), split)
    assert error < 0.06  # noise is 0.01; without taste the error is about 2
    assert squared_error(learners.ShrunkBias(), split) > 1


def test_item_tasks_are_served_too():
    from fsl import item_tasks

    shop, _ = simulate_shop(80, 30, 3)
    split = split_tasks(item_tasks(shop), seeded(0), (0.5, 0.25, 0.25))
    episode = sample_episode(split.test, 2, 3, seeded(0))
    for name in ("ShrunkBias", "RidgeOnFeatures", "UserKNN", "FoldIn", "Siamese", *FAMILY):
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


@family
def test_what_training_kept_is_what_did_best_on_validation(name, split):
    """At a step size that makes training go up and down; by an independent count of the error."""
    method = recommender(name, 60, meta_lr=0.1).fit(split.train, split.validation)
    errors = []
    for support, query in validation_episodes(split.validation, (1, 3, 5, 10), 10, seed=0):
        left = (predicted(method, support, query) - query.targets) / method.residual.scale
        errors.append(((left.square() * query.mask).sum(1) / query.mask.sum(1)).mean())
    found = torch.stack(errors).mean()
    assert found.item() == pytest.approx(method.history["validation"].min(), rel=1e-4)
    assert list(method.history) == ["iteration", "train", "validation", "lr", "seconds"]
    assert method.history["iteration"].tolist() == [50, 60]
    assert np.isfinite(method.history).all(axis=None)


@family
def test_predicting_leaves_a_method_as_it_was(name, fitted, episode):
    method = fitted(name).method
    before = {key: value.clone() for key, value in method.state_dict().items()}
    slopes = [p.grad for p in method.parameters()]
    for mode in (True, False):
        method.train(mode)
        predicted(fitted(name), *episode)
        assert all(module.training == mode for module in method.modules())
    after = method.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(p.grad is slope for p, slope in zip(method.parameters(), slopes, strict=True))


@pytest.mark.parametrize("name", GRADIENT)
def test_the_number_of_steps_may_be_chosen_when_predicting(name, fitted, episode):
    support, query = episode
    usual, none, many = (fitted(name).predict(support, query.inputs, n_steps=n) for n in (3, 0, 20))
    assert torch.equal(usual, predicted(fitted(name), support, query))
    bare = Examples(support.inputs[:, :0], support.targets[:, :0])
    same(none, fitted(name).predict(bare, query.inputs))
    assert (many - usual).abs().max() > (usual - none).abs().max() > 0


def test_a_name_that_nobody_knows_is_refused_with_the_known_ones():
    trainer = EpisodicTrainer(n_iterations=1)
    body = torch.nn.Linear(2, 2)
    with pytest.raises(
        ValueError, match="unknown method 'GPT', known: MAML, FOMAML, ANIL, Meta-SG"
    ):
        recommender("GPT")
    with pytest.raises(ValueError, match=r"unknown method 'Relation', known: .*, ALPaCA, CNP$"):
        sine_method("Relation", trainer)
    with pytest.raises(ValueError, match=r"unknown method 'CNP', known: .*Siamese, ProtoMAML$"):
        image_method("CNP", body, 5, trainer)


def test_the_ratings_sampler_draws_by_its_generator_and_gives_what_the_item_effect_leaves(split):
    bias = learners.ShrunkBias().fit(split.train)
    sampler = RatingSampler(split.train, Residual(bias, torch.tensor(2.0)), max_shots=3)
    shots = set()
    for seed in range(20):
        drawn = []
        for other in (1, 2):
            torch.manual_seed(other)
            drawn.append(sampler.sample(2, seeded(seed)))
        assert all(
            torch.equal(a, b)
            for one, two in zip(*drawn, strict=True)
            for a, b in zip(one, two, strict=True)
        )
        shots.add(drawn[0].support.targets.shape[1])
    assert shots == {1, 2, 3}
    columns = (split.train.subjects[split.train.task_of_row], split.train.objects)
    known = set(zip(*(c.tolist() for c in columns), split.train.targets.tolist(), strict=True))
    rows = sampler.joint(50, seeded(0))
    for (s, o), left in zip(rows.inputs.tolist(), rows.targets.tolist(), strict=True):
        rating = 2 * left + float(bias.mean + bias.effects[o])
        assert rating == pytest.approx(round(rating), abs=1e-5)
        assert (s, o, round(rating)) in known
