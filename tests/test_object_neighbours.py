"""Nearest objects: similarities and votes against loops written out, on a table of four by four and on random ones."""

import numpy as np
import pytest
import torch
from made import grid_tasks, seeded

from fsl.episodes import Examples, sample_episode
from fsl.learners import ShrunkBias
from fsl.learners.object_neighbours import ObjectKNN
from fsl.tasks import split_tasks

NAN = np.nan
FOUR = np.array([[5, 4, 1, NAN], [4, 5, NAN, 2], [1, NAN, 5, 4], [NAN, 1, 4, 5.0]])


def residual_table(tasks) -> np.ndarray:
    """e of every training rating, [n_tasks, n_objects], NaN where there is none."""
    bias = ShrunkBias(user_shrinkage=4.0).fit(tasks)
    table = np.full((len(tasks), len(tasks.object_ids)), NAN)
    table[tasks.task_of_row, tasks.objects] = bias.training_residuals
    return table


def similarity(table: np.ndarray, a: int, b: int, shrinkage: float) -> float:
    """The cosine of two columns over the rows that have both, times n / (n + shrinkage)."""
    common = [(x, y) for x, y in table[:, [a, b]].tolist() if x == x and y == y]
    if not common:
        return 0.0
    dot, own, other = (
        sum(f) for f in zip(*((x * y, x * x, y * y) for x, y in common), strict=True)
    )
    return dot / max(own * other, 1e-12) ** 0.5 * len(common) / (len(common) + shrinkage)


def expected(learner: ObjectKNN, near, support: Examples, query_inputs) -> np.ndarray:
    """μ + b_o + b_t + Σ s e / (Σ |s| + λ), task by task; near: (asked, known) -> s."""
    known, left = learner.bias.predict(support, query_inputs), learner.bias.residuals(support)
    found = known.double().numpy()
    for t, q in np.ndindex(found.shape):
        asked = int(query_inputs[t, q, 1])
        votes = [
            (near(asked, int(support.inputs[t, k, 1])), float(left[t, k]))
            for k in range(support.targets.shape[1])
            if support.mask is None or support.mask[t, k]
        ]
        weight = sum(abs(s) for s, _ in votes) + learner.vote_shrinkage
        found[t, q] += sum(s * e for s, e in votes) / weight
    return found


def test_four_by_four_by_hand():
    tasks = grid_tasks(FOUR)
    learner = ObjectKNN(similarity_shrinkage=2.0, vote_shrinkage=0.5).fit(tasks)
    table = residual_table(tasks)
    for a, b in np.ndindex(4, 4):
        assert learner.similarities[a, b] == pytest.approx(similarity(table, a, b, 2.0), abs=1e-6)
    assert learner.similarities[0, 1] > 0.2 > -0.2 > learner.similarities[0, 2]
    told = Examples(torch.tensor([[[0, 0], [0, 2]]]), torch.tensor([[5.0, 1.0]]))
    asked = torch.tensor([[[0, 1], [0, 3]]])
    found = learner.predict(told, asked)
    hand = expected(learner, lambda a, b: similarity(table, a, b, 2.0), told, asked)
    np.testing.assert_allclose(found.numpy(), hand, atol=1e-5)
    assert found[0, 0] > learner.bias.predict(told, asked)[0, 0], (
        "item 1 is like item 0, which is loved"
    )
    assert found[0, 1] < learner.bias.predict(told, asked)[0, 1], "item 3 is like item 2"


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    taste, kind = rng.normal(size=(60, 2)), rng.normal(size=(15, 2))
    ratings = 3 + taste @ kind.T + 0.5 * rng.normal(size=(60, 15))
    ratings[rng.random(ratings.shape) < 0.4] = NAN
    return split_tasks(grid_tasks(ratings, kind), seeded(0))


def test_ratings_neighbours_agree_with_loops(split):
    learner, table = ObjectKNN().fit(split.train), residual_table(split.train)
    support, query = sample_episode(split.test, 3, 4, seeded(1))
    hand = expected(learner, lambda a, b: similarity(table, a, b, 20.0), support, query.inputs)
    np.testing.assert_allclose(learner.predict(support, query.inputs).numpy(), hand, atol=1e-4)


def test_content_neighbours_agree_with_loops(split):
    learner = ObjectKNN("content", vote_shrinkage=2.0).fit(split.train)
    x = split.train.object_features.double().numpy()
    x = x - x.mean(0)

    def near(a: int, b: int) -> float:
        return max(0.0, x[a] @ x[b] / (np.linalg.norm(x[a]) * np.linalg.norm(x[b])))

    support, query = sample_episode(split.test, 3, 4, seeded(1))
    hand = expected(learner, near, support, query.inputs)
    np.testing.assert_allclose(learner.predict(support, query.inputs).numpy(), hand, atol=1e-4)


@pytest.mark.parametrize("by", ["ratings", "content"])
def test_alike_objects_tell_more_than_the_bias_alone(split, by):
    learner, bias = ObjectKNN(by).fit(split.train), ShrunkBias(user_shrinkage=4.0).fit(split.train)
    support, query = sample_episode(split.test, 5, 4, seeded(1))
    ours, theirs = (
        (x.predict(support, query.inputs) - query.targets)[query.mask].square().mean()
        for x in (learner, bias)
    )
    assert ours < 0.9 * theirs


@pytest.mark.parametrize("by", ["ratings", "content"])
def test_without_support_it_is_the_bias(split, by):
    learner = ObjectKNN(by).fit(split.train)
    support, query = sample_episode(split.test, 0, 4, seeded(1))
    prior = ShrunkBias(user_shrinkage=4.0).fit(split.train).predict(support, query.inputs)
    torch.testing.assert_close(learner.predict(support, query.inputs), prior)


@pytest.mark.parametrize("by", ["ratings", "content"])
def test_padding_of_the_support_says_nothing(split, by):
    learner = ObjectKNN(by).fit(split.train)
    support, query = sample_episode(split.test, 3, 4, seeded(1))
    hidden = support._replace(mask=support.mask & (torch.arange(3) < 2))
    fewer = Examples(*(side[:, :2] for side in support))
    torch.testing.assert_close(
        learner.predict(hidden, query.inputs), learner.predict(fewer, query.inputs)
    )


def test_an_object_that_nobody_met_gets_no_votes(split):
    seen = split.train.subset(torch.arange(len(split.train)), split.train.objects != 7)
    learner = ObjectKNN().fit(seen)
    assert abs(learner.similarities[[7]]).sum() == 0
    told = Examples(torch.tensor([[[0, 1], [0, 2]]]), torch.tensor([[5.0, 1.0]]))
    asked = torch.tensor([[[0, 7]]])
    torch.testing.assert_close(learner.predict(told, asked), learner.bias.predict(told, asked))


def test_an_unknown_kind_of_nearness_is_named(split):
    with pytest.raises(ValueError, match=r"by must be \"ratings\" or \"content\", got 'colour'"):
        ObjectKNN("colour").fit(split.train)
