"""Each baseline against its formula written another way, and the choice among settings."""

import numpy as np
import pytest
import torch
from made import grid_tasks, seeded, tasks_of

from fsl import (
    Episode,
    Examples,
    learners,
    sample_episode,
    simulate_shop,
    split_tasks,
    user_tasks,
)  # fmt: skip
from fsl.evaluation import RULERS
from fsl.learners import roster
from fsl.learners.baselines import ridge_weights
from fsl.learners.neighbours import NeighbourVotes


@pytest.fixture(scope="module")
def split():
    return split_tasks(user_tasks(simulate_shop(160, 40, 1)[0]), seeded(0))


@pytest.fixture(scope="module")
def episode(split) -> Episode:
    return sample_episode(split.test, 4, 5, seeded(0))


def predicted(learner, support: Examples, query: Examples) -> torch.Tensor:
    return learner.predict(support, query.inputs)


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
        found = getattr(learners, learner)().fit(tasks).predict(support, asked(0, 2))
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
    found = predicted(stiff.fit(split.train), *episode)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


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


def test_the_roster_is_whole_and_every_choice_is_affordable():
    simple, meta = roster.simple_entries(3), roster.meta_entries(5, 3)
    expected = "global mean|popularity|item effect|support mean|support median|item + user bias"
    expected += (
        "|ridge on features|content neighbours|item kNN|user kNN|MF fold-in|EB|EB+|EB+ with tastes"
    )
    expected += "|ridge on statistics|boosted trees"
    assert [entry.name for entry in simple] == expected.split("|")
    expected = "Siamese|Matching|ridge head|ALPaCA|CNP|transfer|FOMAML|ANIL|Reptile|MAML"
    assert [entry.name for entry in meta] == [
        *expected.split("|"),
        "EB+ with set encoder",
        "EB+ with set encoder (MAE)",
        "set encoder on tastes",
    ]
    assert [entry.is_meta for entry in simple + meta] == [False] * len(simple) + [True] * len(meta)
    assert not {entry.name for entry in simple + meta} & set(RULERS)
    assert {e.name for e in roster.simple_entries(1, "short")} <= set(roster.SHORT)
    with pytest.raises(ValueError, match='must be "all" or "short"'):
        roster.simple_entries(1, "most")


@pytest.mark.parametrize("entry", roster.simple_entries(3) + roster.meta_entries(5, 3), ids=str)
def test_everyone_has_the_budget_and_no_setting_twice(entry):
    learner = entry.make(1)
    candidates = getattr(learner, "candidates", [learner])
    assert len(candidates) == entry.n_settings <= 3
    assert len({type(c) for c in candidates}) == 1
    made = [str({**vars(c), "make": settings_of(c)}) for c in candidates]
    assert len(set(made)) == len(made)


def settings_of(learner) -> str:
    """What a `Recommender`'s factory holds, which its own fields do not show."""
    make = getattr(learner, "make", None)
    cells = [c.cell_contents for c in make.__closure__] if make else []
    return str([c if isinstance(c, dict) else getattr(c, "lr", c) for c in cells])


def test_the_simple_methods_of_the_roster_run(split, episode):
    few = split.train.subset(torch.arange(40))
    for entry in roster.simple_entries(1):
        found = predicted(entry.make(0).fit(few, split.validation), *episode)
        assert found.isfinite().all(), entry.name
