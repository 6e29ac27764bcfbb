"""The trainer: its steps against Adam written out, what it keeps, when it stops, and what it leaves alone."""

import math

import numpy as np
import pytest
import torch
from made import seeded
from torch import nn

from fsl import Episode, Examples
from fsl.learners import Method
from fsl.training import EpisodicTrainer


class Points:
    """y = 2 x₁ − x₂ and some noise, four rows on each side; remembers how often it was asked."""

    def __init__(self, noise: float = 0.1):
        self.noise, self.asked = noise, 0

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episode:
        self.asked += 1
        x = torch.randn(n_tasks, 8, 2, generator=generator, dtype=torch.float64)
        noise = torch.randn(n_tasks, 8, generator=generator, dtype=torch.float64)
        y = 2 * x[..., 0] - x[..., 1] + self.noise * noise
        return Episode(Examples(x[:, :4], y[:, :4]), Examples(x[:, 4:], y[:, 4:]))


class Line(Method):
    """ŷ = w · x for all tasks alike. errors: those of `script`, one at each look, if there are any."""

    def __init__(self, trainer=None, script=(), dropout: float = 0.0):
        super().__init__(trainer)
        self.w = nn.Parameter(torch.tensor([0.5, 0.5], dtype=torch.float64))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.dropout = nn.Dropout(dropout)
        self.script, self.seen = list(script), []

    def losses(self, episode: Episode) -> torch.Tensor:
        assert self.training
        return (
            (self.dropout(episode.query.inputs) @ self.w - episode.query.targets).square().mean(1)
        )

    def predict(self, support, query_inputs):
        assert not self.training
        return query_inputs @ self.w.detach()

    def errors(self, episode: Episode) -> torch.Tensor:
        self.seen.append(self.w.detach().clone())
        found = super().errors(episode)
        return torch.full_like(found, self.script[len(self.seen) - 1]) if self.script else found


def adam(trainer: EpisodicTrainer, w: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Kingma & Ba 2015, algorithm 1, after clipping and L2; the weights and the losses before each step."""
    generator, sampler = torch.Generator().manual_seed(trainer.seed), Points()
    m, v, losses = np.zeros(2), np.zeros(2), []
    for i in range(trainer.n_iterations):
        x, y = (t.numpy() for t in sampler.sample(trainer.meta_batch, generator).query[:2])
        left = x @ w - y
        losses.append((left**2).mean())
        g = 2 * (left[..., None] * x).mean((0, 1))
        if trainer.clip is not None:
            g = g * min(1, trainer.clip / (np.linalg.norm(g) + 1e-6))
        g = g + trainer.weight_decay * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        rate = trainer.lr
        if trainer.schedule == "cosine":
            rate *= (1 + math.cos(math.pi * i / trainer.n_iterations)) / 2
        m_hat, v_hat = m / (1 - 0.9 ** (i + 1)), v / (1 - 0.999 ** (i + 1))
        w = w - rate * m_hat / (np.sqrt(v_hat) + 1e-8)
    return w, losses


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize(("clip", "decay"), [(None, 0.0), (0.5, 0.0), (5.0, 0.1)])
def test_the_steps_are_adams(schedule, clip, decay):
    trainer = EpisodicTrainer(12, 3, 0.1, schedule, clip, decay, check_every=5, seed=4)
    method = Line(trainer)
    assert method.fit(Points()) is method
    expected, losses = adam(trainer, np.array([0.5, 0.5]))
    np.testing.assert_allclose(method.w.detach(), expected, rtol=1e-9)
    history = method.history
    assert history["iteration"].tolist() == [5, 10, 12]
    means = [np.mean(losses[:5]), np.mean(losses[5:10]), np.mean(losses[10:])]
    np.testing.assert_allclose(history["train"], means, rtol=1e-9)
    rates = [
        0.1 if schedule == "constant" else 0.05 * (1 + math.cos(math.pi * i / 12))
        for i in (4, 9, 11)
    ]
    np.testing.assert_allclose(history["lr"], rates)
    assert history["validation"].isna().all()
    assert (history["seconds"].diff()[1:] >= 0).all()
    assert not torch.equal(method.w, torch.tensor([0.5, 0.5]))
    assert method.frozen.tolist() == [1, 1]


def test_the_rate_falls_from_lr_to_nothing():
    trainer = EpisodicTrainer(n_iterations=10, lr=0.4)
    assert trainer.rate(0) == 0.4
    assert trainer.rate(5) == pytest.approx(0.2)
    assert trainer.rate(10) == pytest.approx(0)
    assert EpisodicTrainer(n_iterations=10, lr=0.4, schedule="constant").rate(9) == 0.4


def fit(script, n_iterations=10, **options) -> Line:
    trainer = EpisodicTrainer(n_iterations, 2, 0.1, check_every=2, n_validation=3, **options)
    return Line(trainer, script).fit(Points(), Points())


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("script", "best"),
    [
        ((5, 4, 3, 2, 1), 4),
        ((5, 1, 3, 2, 4), 1),
        ((1, 2, 3, 4, 5), 0),
        ((2, 1, 1, 1, 1), 1),
        ((NAN, 3, NAN, 2, NAN), 3),
        ((2, NAN, 3, INF, NAN), 0),
        ((INF, INF, 7, 8, 9), 2),
        ((NAN,) * 5, 4),
    ],
)
def test_the_weights_with_the_least_error_are_kept(script, best):
    """The first of equals; what is not a number is never better, and with nothing better the last stay."""
    method = fit(script)
    assert len(method.seen) == 5
    assert torch.equal(method.w, method.seen[best])
    assert sum(torch.equal(method.w, w) for w in method.seen) == 1
    np.testing.assert_array_equal(method.history["validation"], script)


@pytest.mark.parametrize(
    ("script", "patience", "looks"),
    [
        ((1, 2, 3, 4, 5), 1, 2),
        ((1, 2, 3, 4, 5), 2, 3),
        ((3, 4, 2, 2, 2), 2, 5),
        ((3, NAN, 2, NAN, NAN), 2, 5),
        ((3, NAN, NAN, 2, 1), 2, 3),
        ((5, 4, 3, 2, 1), 1, 5),
        ((1, 2, 3, 4, 5), None, 5),
    ],
)
def test_looks_in_vain_end_the_training(script, patience, looks):
    method = fit(script, patience=patience)
    assert len(method.history) == len(method.seen) == looks
    assert method.history["iteration"].iloc[-1] == 2 * looks


def test_patience_says_nothing_without_validation_tasks():
    method = Line(EpisodicTrainer(6, 2, check_every=1, patience=1)).fit(Points())
    assert len(method.history) == 6


def test_looking_at_validation_tasks_changes_nothing_in_training():
    """Neither the draws of tasks nor those of dropout: every look better than the last, the last weights are kept."""
    results = []
    for validation, check_every in ((None, 3), (Points(), 3), (Points(noise=2), 1), (Points(), 9)):
        trainer = EpisodicTrainer(9, 2, 0.1, check_every=check_every, n_validation=5)
        method = Line(trainer, script=range(9, 0, -1), dropout=0.5)
        method.fit(Points(), validation)
        results.append(method.w)
        assert validation is None or validation.asked == 1
    assert all(torch.equal(results[0], w) for w in results)


def test_validation_tasks_are_fixed_and_of_the_seed():
    class Watched(Line):
        def errors(self, episode):
            episodes.append(episode.query.inputs)
            return super().errors(episode)

    looks = []
    for seed in (0, 0, 1):
        episodes = []
        trainer = EpisodicTrainer(4, 2, check_every=2, n_validation=7, seed=seed)
        Watched(trainer).fit(Points(), Points())
        assert torch.equal(episodes[0], episodes[1])
        assert len(episodes[0]) == 7
        looks.append(episodes[0])
    assert torch.equal(looks[0], looks[1])
    assert not torch.equal(looks[0], looks[2])


def test_a_samplers_own_checks_are_taken_and_weigh_the_same():
    class Own(Points):
        def checks(self, seed):
            assert seed == 3
            return [self.sample(1, seeded(0)), self.sample(5, seeded(1))]

    method = Line(EpisodicTrainer(2, 2, seed=3)).fit(Points(), Own())
    errors = [method.errors(episode).mean().item() for episode in Own().checks(3)]
    assert method.history["validation"].tolist() == pytest.approx([sum(errors) / 2])


def test_the_seed_decides_and_the_global_generator_does_not():
    found = []
    for seed, other in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(other)
        before = torch.get_rng_state()
        found.append(Line(EpisodicTrainer(5, 2, 0.1, seed=seed), dropout=0.5).fit(Points()).w)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_afterwards_the_method_is_in_eval_mode():
    assert not any(module.training for module in fit((1, 2, 3, 4, 5)).modules())


@pytest.mark.parametrize("loss", [NAN, INF])
def test_a_loss_that_is_no_number_is_said_at_once(loss):
    class Bursting(Line):
        def losses(self, episode):
            calls.append(1)
            return super().losses(episode) * (loss if len(calls) == 3 else 1)

    calls = []
    method = Bursting(EpisodicTrainer(9, 2))
    sentence = rf"^the loss is {loss} at iteration 3: smaller steps \(inner_lr, lr\) may help$"
    with pytest.raises(ValueError, match=sentence):
        method.fit(Points())
    assert method.w.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"schedule": "linear"}, r"schedule must be one of \('constant', 'cosine'\), got 'linear'"),
        *(
            ({name: 0}, f"{name} must be at least 1, got 0")
            for name in ("n_iterations", "meta_batch", "check_every", "save_every", "n_validation")
        ),
        *(
            ({name: value}, f"{name} must be a whole number, got {value}")
            for name in ("n_iterations", "check_every", "patience", "save_every")
            for value in (1.5, 2.0, True)
        ),
        *(({"lr": lr}, f"lr must be a number above 0, got {lr}") for lr in (0, -1, NAN, INF)),
        *(
            ({"weight_decay": x}, f"weight_decay must be a number of at least 0, got {x}")
            for x in (-1, NAN)
        ),
        ({"patience": 0}, "patience must be at least 1, or None for never, got 0"),
        ({"clip": 0.0}, "clip must be above 0, or None for never, got 0.0"),
        ({"clip": NAN}, "clip must be above 0, or None for never, got nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        EpisodicTrainer(**settings)


def test_a_method_says_what_it_lacks():
    with pytest.raises(TypeError, match="Method does not say its losses"):
        Method().losses(None)
    with pytest.raises(TypeError, match="Method does not say how it predicts"):
        Method().predict(None, None)
