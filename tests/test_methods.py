"""The few-shot family on sine waves and on class-tasks, through one battery; `test_learners` has it on shops."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from made import seeded
from torch import nn

from fsl import Episode, Examples
from fsl.characters.variable_sampler import VariableSampler
from fsl.class_tasks import ClassSampler, ClassTasks
from fsl.convnets import ConvNet
from fsl.learners import Method, image_method, sine_method
from fsl.learners.family import CLOSED_FORM, GRADIENT, METRIC
from fsl.sinusoid import SineTasks
from fsl.training import EpisodicTrainer

N_WAY, N_CLASSES = 4, 24


def clusters(n_classes: int = N_CLASSES, n_each: int = 12, seed: int = 0) -> ClassTasks:
    """Classes are clouds of spread ½ around means of spread 2 in three dimensions; three louder ones say nothing."""
    generator = seeded(seed)
    means = 2 * torch.randn(n_classes, 3, generator=generator)
    labels = torch.arange(n_classes).repeat_interleave(n_each)
    noise = torch.tensor([0.5] * 3 + [4.0] * 3) * torch.randn(len(labels), 6, generator=generator)
    inputs = nn.functional.pad(means[labels], (0, 3)) + noise
    names = [str(n) for n in range(n_classes)]
    return ClassTasks(inputs, labels, names, torch.zeros(n_classes, dtype=torch.long), ["all"])


def tower(seed: int = 0) -> nn.Sequential:
    """6 → 16, ReLU → 8."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8))
    body.n_features = 8
    return body


class Problem(NamedTuple):
    """make(name, n_iterations) gives an unfitted method; `floor` is the error of guessing, `worst` what is allowed."""

    make: Callable[..., Method]
    tasks: object
    test: object
    floor: Callable[[Episode], float]
    worst: dict[str, float]


def sine(name: str, n_iterations: int = 4) -> Method:
    lr = 2e-3 if name == "Meta-SGD" else 5e-3
    trainer = EpisodicTrainer(n_iterations, 8, lr, check_every=max(3, n_iterations // 5))
    steps = {"inner_lr": 0.02, "n_steps": 3} if name in GRADIENT else {}
    return sine_method(name, trainer, **steps)


def classes(name: str, n_iterations: int = 4) -> Method:
    trainer = EpisodicTrainer(n_iterations, 8, 5e-3, check_every=max(3, n_iterations // 5))
    steps = {"inner_lr": 0.1, "n_steps": 3} if name in (*GRADIENT, "ProtoMAML") else {}
    if name == "transfer":
        steps["n_classes"] = N_CLASSES
    return image_method(name, tower(), N_WAY, trainer, **steps)


SINE = Problem(
    sine,
    SineTasks(),
    SineTasks(),
    lambda e: float(
        (e.query.targets - e.support.targets.mean(1, keepdim=True)).square().mean(),
    ),
    dict(zip(GRADIENT, (0.7, 0.8, 0.75, 0.75, 0.8, 0.85), strict=True))
    | {"ridge head": 0.2, "ALPaCA": 0.1, "CNP": 0.83},
)
CLASSES = Problem(
    classes,
    ClassSampler(clusters(), N_WAY, 3, 2),
    ClassSampler(clusters(seed=1), N_WAY, 3, 4),
    lambda e: 1 - 1 / N_WAY,
    dict(zip(GRADIENT, (0.6, 0.7, 0.65, 0.5, 0.8, 0.55), strict=True))
    | dict(zip(METRIC, (0.25, 0.2, 0.45), strict=True))
    | {"ridge head": 0.3, "Siamese": 0.3, "ProtoMAML": 0.25},
)
PROBLEMS = {"sine": SINE, "classes": CLASSES}
CASES = [(kind, name) for kind, p in PROBLEMS.items() for name in p.worst]
everywhere = pytest.mark.parametrize(("problem", "name"), CASES)


@pytest.fixture(scope="module")
def fitted():
    """Methods by problem and name, each fitted once, on first use."""
    made = {}

    def fit(problem: str, name: str) -> Method:
        if (problem, name) not in made:
            p = PROBLEMS[problem]
            made[problem, name] = p.make(name).fit(p.tasks, p.tasks)
        return made[problem, name]

    return fit


def episode_of(problem: str, n_tasks: int = 6, seed: int = 5) -> Episode:
    return PROBLEMS[problem].test.sample(n_tasks, seeded(seed))


def predicted(method: Method, support: Examples, query: Examples) -> torch.Tensor:
    return method.predict(support, query.inputs)


def same(found, expected) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_battery_leaves_no_method_out():
    assert set(SINE.worst) == set(GRADIENT | CLOSED_FORM)
    assert set(CLASSES.worst) == {*GRADIENT, *METRIC, "ridge head", "Siamese", "ProtoMAML"}


@everywhere
def test_predictions_are_finite_numbers_of_the_right_shape(problem, name, fitted):
    support, query = episode_of(problem)
    found = predicted(fitted(problem, name), support, query)
    n_way = (N_WAY,) if problem == "classes" else ()
    assert found.shape == (*query.targets.shape, *n_way)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert not found.requires_grad


@everywhere
def test_fitting_again_gives_the_same_bit_for_bit(problem, name, fitted):
    p, episode = PROBLEMS[problem], episode_of(problem)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    method = p.make(name)
    assert method.fit(p.tasks, p.tasks) is method
    found = predicted(method, *episode)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(found, predicted(fitted(problem, name), *episode))
    assert list(method.history) == ["iteration", "train", "validation", "lr", "seconds"]
    assert method.history["iteration"].tolist() == [3, 4]
    assert np.isfinite(method.history).all(axis=None)


@everywhere
def test_training_moves_the_weights(problem, name, fitted):
    before, after = PROBLEMS[problem].make(name).state_dict(), fitted(problem, name).state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)


@everywhere
def test_the_order_of_support_and_of_query_makes_no_difference(problem, name, fitted):
    support, query = episode_of(problem)
    method, lots = fitted(problem, name), torch.randperm(support.targets.shape[1])
    expected = predicted(method, support, query)
    turned = Examples(support.inputs[:, lots], support.targets[:, lots])
    same(predicted(method, turned, query), expected)
    same(method.predict(support, query.inputs.flip(1)), expected.flip(1))
    same(method.predict(support, query.inputs[:, 1:3]), expected[:, 1:3])


@everywhere
def test_a_task_is_served_alone_as_in_any_company(problem, name, fitted):
    support, query = episode_of(problem)
    method = fitted(problem, name)
    together = predicted(method, support, query)
    for t in (5, 0, 5):
        alone = Examples(support.inputs[[t]], support.targets[[t]])
        same(method.predict(alone, query.inputs[[t]])[0], together[t])


@everywhere
@pytest.mark.parametrize("garbage", [0, 9, float("nan")])
def test_padding_makes_no_difference(problem, name, garbage, fitted):
    support, query = episode_of(problem)
    method, pad = fitted(problem, name), nn.functional.pad
    target = garbage if problem == "sine" or garbage == garbage else -1
    padded = Examples(
        pad(support.inputs, (0, 0, 1, 2), value=garbage),
        pad(support.targets, (1, 2), value=target),
        pad(torch.ones_like(support.targets, dtype=torch.bool), (1, 2)),
    )
    kept = [side.clone() for side in padded]
    same(predicted(method, padded, query), predicted(method, support, query))
    assert all(
        torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(padded, kept, strict=True)
    )


@pytest.mark.parametrize(
    ("problem", "name"), [case for case in CASES if case[1] not in ("Reptile", "transfer")]
)
def test_padding_makes_no_difference_to_training_either(problem, name):
    p = PROBLEMS[problem]
    pad, slopes = nn.functional.pad, []
    for garbage in (None, float("nan")):
        sides = list(p.tasks.sample(3, seeded(0)))
        if garbage is not None:
            target = garbage if problem == "sine" else -1
            sides = [
                Examples(
                    pad(side.inputs, (0, 0, 1, 2), value=garbage),
                    pad(side.targets, (1, 2), value=target),
                    pad(torch.ones_like(side.targets, dtype=torch.bool), (1, 2)),
                )
                for side in sides
            ]
        method = p.make(name)
        losses = method.losses(Episode(*sides))
        assert losses.shape == (3,)
        losses.sum().backward()
        slopes.append([losses, *(p.grad for p in method.parameters() if p.grad is not None)])
    assert len(slopes[0]) > 2
    for found, expected in zip(*slopes, strict=True):
        same(found, expected)


@everywhere
def test_nothing_is_kept_from_one_task_to_the_next(problem, name, fitted):
    method = fitted(problem, name)
    one, other = episode_of(problem), episode_of(problem, seed=6)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    slopes = [p.grad for p in method.parameters()]
    first = predicted(method, *one)
    assert not torch.equal(predicted(method, *other), first)
    for mode in (True, False):
        method.train(mode)
        assert torch.equal(predicted(method, *one), first)
        assert all(module.training == mode for module in method.modules())
    after = method.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(p.grad is slope for p, slope in zip(method.parameters(), slopes, strict=True))


@everywhere
def test_what_has_to_be_learned_is_learned(problem, name):
    p = PROBLEMS[problem]
    episode, method = p.test.sample(200, seeded(9)), p.make(name, 120)
    assert method.errors(episode).mean() > p.worst[name] * p.floor(episode), "else this is no test"
    method.fit(p.tasks, p.tasks)
    assert method.errors(episode).mean() < p.worst[name] * p.floor(episode)


@pytest.mark.parametrize("name", SINE.worst)
def test_without_support_there_is_still_a_prediction(name, fitted):
    support, query = episode_of("sine")
    none = fitted("sine", name).predict(
        Examples(support.inputs[:, :0], support.targets[:, :0]), query.inputs
    )
    assert none.shape == query.targets.shape
    assert none.isfinite().all()
    hidden = support._replace(mask=torch.zeros_like(support.targets, dtype=torch.bool))
    same(predicted(fitted("sine", name), hidden, query), none)


@pytest.mark.parametrize("name", [*METRIC, "ridge head", "Siamese", "ProtoMAML"])
def test_classes_without_support_are_refused(name, fitted):
    support, query = episode_of("classes")
    mask = torch.ones_like(support.targets, dtype=torch.bool)
    mask[2] = False
    for bad in (
        support._replace(mask=mask),
        Examples(support.inputs[:, :0], support.targets[:, :0]),
    ):
        with pytest.raises(ValueError, match="class-tasks need at least one support row each"):
            predicted(fitted("classes", name), bad, query)


VARIABLE = [*METRIC, "ridge head", "Siamese", "ProtoMAML"]


@pytest.mark.parametrize("name", VARIABLE)
def test_tasks_of_any_way_are_served_in_one_batch(name):
    """Trained and judged on them; a class that a task lacks is never its answer, and no task is touched by another."""
    sampler = VariableSampler(clusters(), min_way=2, max_way=6, max_query=3, max_shots=5)
    method = classes(name).fit(sampler, sampler)
    assert np.isfinite(method.history).all(axis=None)
    support, query = sampler.sample(12, seeded(3))
    scores = predicted(method, support, query)
    ways = torch.where(support.mask, support.targets, 0).amax(1) + 1
    assert ways.min() < ways.max() == scores.shape[-1]
    lacking = torch.arange(scores.shape[-1]) >= ways[:, None, None]
    assert (scores[lacking.expand_as(scores)] == -torch.inf).all()
    assert scores[~lacking.expand_as(scores)].isfinite().all()
    for t in range(12):
        real, asked = support.mask[t], query.mask[t]
        alone = Examples(support.inputs[t, real][None], support.targets[t, real][None])
        found = method.predict(alone, query.inputs[t, asked][None])
        same(found[0], scores[t, asked, : ways[t]])


@pytest.mark.parametrize("name", VARIABLE)
def test_a_class_that_a_task_lacks_is_not_chosen_however_far_the_others_are(name, fitted):
    far = torch.tensor([[[1e3, 0, 0, 0, 0, 0], [2e3, 0, 0, 0, 0, 0]], [[1e3] * 6, [1e3] * 6]])
    support = Examples(far, torch.tensor([[0, 1], [0, 0]]))
    found = fitted("classes", name).predict(support, -5 * far)
    assert found[1].argmax(-1).tolist() == [0, 0]
    gap = Examples(far, torch.tensor([[0, 2], [2, 2]]))  # 1 is nobody's class
    found = fitted("classes", name).predict(gap, -5 * far)
    assert (found[0].argmax(-1) != 1).all()
    assert found[1].argmax(-1).tolist() == [2, 2]


WITHOUT_INNER_LOOP = (*METRIC, "ridge head", "Siamese")  # an inner loop keeps no running statistics


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        *((name, norm) for name in CLASSES.worst for norm in ("group", "task")),
        *((name, "batch") for name in WITHOUT_INNER_LOOP),
    ],
)
def test_small_pictures_are_served(name, norm):
    """8 x 8 pictures through two blocks of convolution, trained for two steps on one way of normalising or another."""
    inputs = torch.rand(40, 8, 8, generator=seeded(0))
    labels = torch.arange(8).repeat_interleave(5)
    names = [str(n) for n in range(8)]
    tasks = ClassTasks(inputs, labels, names, torch.zeros(8, dtype=torch.long), ["all"])
    sampler = ClassSampler(tasks, 3, 2, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = ConvNet((8, 8), n_pools=2, norm=norm, side=8)
    trainer = EpisodicTrainer(n_iterations=2, meta_batch=2, n_validation=2)
    settings = {"n_classes": 8} if name == "transfer" else {}
    method = image_method(name, body, 3, trainer, **settings).fit(sampler, sampler)
    support, query = sampler.sample(2, seeded(1))
    before = {key: value.clone() for key, value in method.state_dict().items()}
    found = predicted(method, support, query)
    assert found.shape == (2, 6, 3)
    assert found.isfinite().all()
    assert torch.equal(predicted(method, support, query), found)
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())
