"""Inner loops against the chain rule by hand and against `torch.func`; what they leave behind is nothing."""

import copy
import gc
import subprocess
import sys

import pytest
import torch
from made import seeded
from torch import Tensor, nn
from torch.func import functional_call, grad

from fsl import Episode, Examples, adapted_predictions, meta_loss
from fsl.adapt import masked_cross_entropy, masked_mse
from fsl.sinusoid import SineNet, sine_episode

ALPHA = 0.07


class Linear(nn.Module):
    """inputs [n, d] -> inputs θ: then the loss is a quadratic in θ with a full Hessian."""

    def __init__(self, theta: Tensor):
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.theta


def net_of(seed: int = 0, middle: nn.Module | None = None) -> nn.Module:
    """A small smooth network in float64; inputs [n, 3] -> [n]."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(3, 5), middle or nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 1)
        return nn.Sequential(*layers, nn.Flatten(0)).double()


def episode_of(n_tasks: int = 4, n_shots: int = 3, n_query: int = 6, seed: int = 0) -> Episode:
    generator = seeded(seed)

    def side(n: int) -> Examples:
        draw = torch.randn(n_tasks, n, 4, generator=generator, dtype=torch.float64)
        return Examples(draw[..., :3], draw[..., 3])

    return Episode(side(n_shots), side(n_query))


def task_loss(net: nn.Module, parameters: dict, x: Tensor, y: Tensor) -> Tensor:
    return (functional_call(net, parameters, (x,)) - y).pow(2).mean()


def adapted(net, start: dict, x: Tensor, y: Tensor, n_steps: int, alpha: float = ALPHA) -> dict:
    """θ_n by plain descent on the trainable parameters in `start`, written with torch.func alone."""
    theta = start
    for _ in range(n_steps):
        slope = grad(lambda p: task_loss(net, p, x, y))(theta)
        theta = {name: theta[name] - alpha * slope[name] for name in theta}
    return theta


def independent(net, episode: Episode, n_steps: int) -> tuple[list[float], dict]:
    """Query losses of all tasks and the meta-gradient of their sum, by torch.func."""
    start = {n: p.detach() for n, p in net.named_parameters() if p.requires_grad}
    tasks = list(zip(*episode.support[:2], *episode.query[:2], strict=True))

    def after(p, x, y, query_x, query_y):
        return task_loss(net, adapted(net, p, x, y, n_steps), query_x, query_y)

    slope = grad(lambda p: sum(after(p, *task) for task in tasks))(start)
    return [after(start, *task).item() for task in tasks], slope


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("first_order", [False, True])
def test_on_a_quadratic_the_meta_gradient_is_what_the_chain_rule_says(first_order):
    support, query = episode_of(n_tasks=1)
    theta = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    (x,), (y,), (z,), (w,) = support.inputs, support.targets, query.inputs, query.targets
    hessian = 2 * x.T @ x / len(x)
    assert (hessian - hessian.diag().diag()).abs().max() > 0.1, "not diagonal"
    theta_1 = theta - ALPHA * 2 * x.T @ (x @ theta - y) / len(x)
    g = 2 * z.T @ (z @ theta_1 - w) / len(z)
    net = Linear(theta.clone())
    losses = meta_loss(net, masked_mse, Episode(support, query), ALPHA, 1, first_order)
    losses.sum().backward()
    expected = g if first_order else (torch.eye(3, dtype=torch.float64) - ALPHA * hessian) @ g
    close(net.theta.grad, expected)
    close(losses, (z @ theta_1 - w).square().mean()[None])


@pytest.mark.parametrize("n_steps", [0, 1, 2, 5])
def test_losses_and_meta_gradient_agree_with_torch_func(n_steps):
    net, episode = net_of(), episode_of()
    losses, slope = independent(net, episode, n_steps)
    found = meta_loss(net, masked_mse, episode, ALPHA, n_steps)
    assert found.shape == (4,)
    assert found.tolist() == pytest.approx(losses, abs=1e-12)
    found.sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        close(parameter.grad, slope[name])


@pytest.mark.parametrize("n_steps", [1, 3])
def test_first_order_is_the_query_gradient_at_the_adapted_point(n_steps):
    net, episode = net_of(), episode_of()
    start = {name: p.detach() for name, p in net.named_parameters()}
    expected = {name: torch.zeros_like(p) for name, p in start.items()}
    for x, y, z, w in zip(*episode.support[:2], *episode.query[:2], strict=True):
        theta = adapted(net, start, x, y, n_steps)
        for name, g in grad(lambda p, z=z, w=w: task_loss(net, p, z, w))(theta).items():
            expected[name] += g
    found = meta_loss(net, masked_mse, episode, ALPHA, n_steps, first_order=True)
    assert found.tolist() == pytest.approx(independent(net, episode, n_steps)[0], abs=1e-12)
    found.sum().backward()
    exact = independent(net, episode, n_steps)[1]
    for name, parameter in net.named_parameters():
        close(parameter.grad, expected[name])
    assert (expected["0.weight"] - exact["0.weight"]).abs().max() > 1e-3, "the orders differ"


def test_after_zero_steps_the_network_is_itself():
    net, episode = net_of(), episode_of()
    expected = [masked_mse(net(x), y, y == y).item() for x, y in zip(*episode.query[:2])]  # noqa: B905
    assert meta_loss(net, masked_mse, episode, ALPHA, 0).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("middle", [nn.LayerNorm(5), nn.BatchNorm1d(5)])
@pytest.mark.parametrize("first_order", [False, True])
def test_parameters_and_buffers_stay(middle, first_order):
    net, episode = net_of(middle=middle), episode_of()
    before = copy.deepcopy(net.state_dict())
    meta_loss(net, masked_mse, episode, ALPHA, 3, first_order).sum().backward()
    adapted_predictions(net, masked_mse, episode.support, episode.query.inputs, ALPHA, 3)
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert net.training


def test_frozen_parameters_stay_and_the_others_move_without_them():
    net, episode = net_of(), episode_of()
    net[0].requires_grad_(False)
    losses, slope = independent(net, episode, 2)
    found = meta_loss(net, masked_mse, episode, ALPHA, 2)
    assert found.tolist() == pytest.approx(losses, abs=1e-12)
    found.sum().backward()
    assert net[0].weight.grad is None
    close(net[3].weight.grad, slope["3.weight"])


@pytest.mark.parametrize("first_order", [False, True])
def test_a_parameter_that_the_loss_does_not_reach_is_no_obstacle(first_order):
    net, episode = net_of(), episode_of()
    expected = meta_loss(net, masked_mse, episode, ALPHA, 2, first_order)
    close(meta_loss(Spare(net), masked_mse, episode, ALPHA, 2, first_order), expected)


class Spare(nn.Module):
    """A network with a layer that it never uses."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.unused = net, nn.Linear(2, 2).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def padded(side: Examples, rows: int, garbage: float) -> Examples:
    """`rows` more rows per task, half of them in front, of no meaning."""
    front, back = rows // 2, rows - rows // 2
    x = nn.functional.pad(side.inputs, (0, 0, front, back), value=garbage)
    y = nn.functional.pad(side.targets, (front, back), value=-garbage)
    mask = nn.functional.pad(torch.ones_like(side.targets, dtype=torch.bool), (front, back))
    return Examples(x, y, mask)


def multiplying(predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """The same as `masked_mse`, but NaN · 0 is NaN."""
    return ((predictions - targets) * mask).square().sum() / mask.sum()


@pytest.mark.parametrize("loss", [masked_mse, multiplying])
@pytest.mark.parametrize("garbage", [0.0, 50.0, float("nan"), float("inf")])
def test_padding_gives_the_same_as_none(garbage, loss):
    net, plain = net_of(), episode_of()
    episode = Episode(padded(plain.support, 3, garbage), padded(plain.query, 2, garbage))
    results = []
    for each in (plain, episode):
        losses = meta_loss(net, loss, each, ALPHA, 3)
        slopes = torch.autograd.grad(losses.sum(), list(net.parameters()))
        results.append([losses, *slopes])
    for with_padding, without in zip(*results, strict=True):
        close(with_padding, without)
    query = plain.query.inputs
    found = [
        adapted_predictions(net, loss, each.support, query, ALPHA, 3) for each in (plain, episode)
    ]
    close(found[1], found[0])


def test_a_mask_of_none_reaches_the_loss_as_all_true():
    seen = []

    def spying(predictions, targets, mask):
        seen.append((mask.dtype, mask.shape, bool(mask.all()), predictions.shape))
        return masked_mse(predictions, targets, mask)

    episode = episode_of()
    x = episode.query.inputs
    meta_loss(net_of(), spying, episode, ALPHA, 1, engine="loop")
    adapted_predictions(net_of(), spying, episode.support, x, ALPHA, 1, engine="loop")
    support, query = [(torch.bool, torch.Size([n]), True, torch.Size([n])) for n in (3, 6)]
    assert seen == [support, query] * 4 + [support] * 4


def test_200_calls_leave_no_more_tensors_than_one():
    net, episode = Linear(torch.ones(3, dtype=torch.float64)), episode_of(n_tasks=1)

    def living(calls: int) -> int:
        for call in range(calls):
            first_order = call % 2 == 1
            meta_loss(net, masked_mse, episode, ALPHA, 1, first_order).sum().backward()
        adapted_predictions(net, masked_mse, episode.support, episode.query.inputs, ALPHA, 1)
        gc.collect()
        return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())

    once = living(1)
    assert living(200) <= once


@pytest.mark.parametrize("n_steps", [0, 1, 4])
def test_adapted_predictions_are_those_that_meta_loss_judges(n_steps):
    net, episode = net_of(), episode_of()
    with torch.no_grad():
        found = adapted_predictions(
            net, masked_mse, episode.support, episode.query.inputs, ALPHA, n_steps
        )
    assert found.shape == (4, 6)
    assert not found.requires_grad
    judged = meta_loss(net, masked_mse, episode, ALPHA, n_steps)
    close((found - episode.query.targets).square().mean(1), judged.detach())


def test_a_task_does_not_see_the_others():
    net, episode = net_of(), episode_of()
    support, query = episode.support, episode.query.inputs
    together = adapted_predictions(net, masked_mse, support, query, ALPHA, 2)
    losses = meta_loss(net, masked_mse, episode, ALPHA, 2)
    for t in (3, 0, 2):
        one = Examples(support.inputs[[t]], support.targets[[t]])
        alone = adapted_predictions(net, masked_mse, one, query[[t]], ALPHA, 2)
        assert torch.equal(alone[0], together[t])
        judged = Episode(one, Examples(query[[t]], episode.query.targets[[t]]))
        assert torch.equal(meta_loss(net, masked_mse, judged, ALPHA, 2)[0], losses[t])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "fast"}, "unknown engine 'fast', known: auto, batched, higher, loop"),
        ({"n_steps": -1}, "n_steps must be a whole number, 0 or more, got -1"),
        ({"n_steps": 1.5}, "n_steps must be a whole number, 0 or more, got 1.5"),
        ({"inner_lr": float("nan")}, "inner_lr must be finite, got nan"),
        ({"inner_lr": float("inf")}, "inner_lr must be finite, got inf"),
        ({"inner_lr": torch.tensor(float("nan"))}, r"inner_lr must be finite, got \[nan\]"),
        ({"episode": Episode(episode_of(3).support, episode_of(2).query)}, "3 support tasks but 2"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    arguments = {"episode": episode_of(), "inner_lr": ALPHA, "n_steps": 1, **change}
    with pytest.raises(ValueError, match=message):
        meta_loss(net_of(), masked_mse, **arguments)


@pytest.mark.parametrize(
    ("inner_lr", "n_steps", "message"),
    [
        (ALPHA, -1, "n_steps must be a whole number, 0 or more, got -1"),
        (float("nan"), 1, "inner_lr must be finite, got nan"),
        (-float("inf"), 1, "inner_lr must be finite, got -inf"),
        (torch.tensor([0.1, 0.2]), 1, r"inner_lr is a tensor \[2\]"),
    ],
)
def test_bad_steps_are_refused_in_predictions_as_well(inner_lr, n_steps, message):
    support, query = episode_of()
    with pytest.raises(ValueError, match=message):
        adapted_predictions(net_of(), masked_mse, support, query.inputs, inner_lr, n_steps)


def both(net, loss, episode: Episode, n_steps: int = 1):
    """The two entries to an inner loop, as calls without arguments."""
    support, query = episode
    yield lambda: meta_loss(net, loss, episode, ALPHA, n_steps)
    yield lambda: adapted_predictions(net, loss, support, query.inputs, ALPHA, n_steps)


@pytest.mark.parametrize("n_rows", [1, 3])
def test_a_net_that_predicts_columns_is_refused(n_rows):
    columns = nn.Linear(3, 1).double()
    told = rf"net gives predictions \[{n_rows}, 1\], expected \[{n_rows}\]"
    for call in both(columns, masked_mse, episode_of(n_shots=n_rows)):
        with pytest.raises(ValueError, match=told):
            call()


@pytest.mark.parametrize(
    "loss",
    [
        lambda p, t, mask: (p - t).square(),
        lambda p, t, mask: 0.5,
        lambda p, t, mask: None,
    ],
    ids=["per row", "a float", "None"],
)
def test_a_loss_that_is_no_scalar_tensor_is_refused(loss):
    for call in both(net_of(), loss, episode_of()):
        with pytest.raises(ValueError, match="loss must give a scalar tensor for one task, got"):
            call()


def test_a_loss_of_one_element_is_as_good_as_a_scalar():
    episode, net = episode_of(), net_of()
    kept = meta_loss(net, lambda p, t, m: masked_mse(p, t, m)[None], episode, ALPHA, 2)
    assert torch.equal(kept, meta_loss(net, masked_mse, episode, ALPHA, 2))


def frozen(net: nn.Module) -> nn.Module:
    return net.requires_grad_(False)


@pytest.mark.parametrize("n_steps", [0, 3])
def test_a_net_with_nothing_to_adapt_is_judged_as_it_is(n_steps):
    net, episode = frozen(net_of()), episode_of()
    x, y = episode.query.inputs, episode.query.targets
    expected = torch.stack([net(task) for task in x])
    losses = meta_loss(net, masked_mse, episode, ALPHA, n_steps)
    close(losses, (expected - y).square().mean(1))
    assert not losses.requires_grad
    support = episode.support
    close(adapted_predictions(net, masked_mse, support, x, ALPHA, n_steps), expected)


def test_a_frozen_net_in_training_keeps_its_running_statistics():
    net, episode = frozen(net_of(middle=nn.BatchNorm1d(5))), episode_of()
    before = copy.deepcopy(net.state_dict())
    for call in both(net, masked_mse, episode, n_steps=3):
        call()
    assert net.training
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    net(episode.query.inputs[0])
    assert not torch.equal(net[1].running_mean, before["1.running_mean"]), "it can change"


@pytest.mark.parametrize("first_order", [False, True])
def test_an_inner_loop_runs_where_gradients_are_off(first_order):
    net, episode = net_of(), episode_of()
    expected = meta_loss(net, masked_mse, episode, ALPHA, 2, first_order)
    with torch.no_grad():
        found = meta_loss(net, masked_mse, episode, ALPHA, 2, first_order)
        assert not torch.is_grad_enabled()
    close(found, expected)


def test_a_whole_number_of_steps_may_be_a_float():
    net, (support, query) = net_of(), episode_of()
    found, expected = (
        meta_loss(net, masked_mse, Episode(support, query), ALPHA, n) for n in (1.0, 1)
    )
    assert torch.equal(found, expected)
    found, expected = (
        adapted_predictions(net, masked_mse, support, query.inputs, ALPHA, n) for n in (1.0, 1)
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize("with_mask", [False, True])
def test_sides_and_episodes_may_be_plain_tuples(with_mask):
    net, episode = net_of(), episode_of()
    sides = [padded(side, 2, float("nan")) if with_mask else side for side in episode]
    plain = tuple(tuple(side) if with_mask else tuple(side)[:2] for side in sides)
    expected = meta_loss(net, masked_mse, Episode(*sides), ALPHA, 2)
    assert torch.equal(meta_loss(net, masked_mse, plain, ALPHA, 2), expected)
    x = episode.query.inputs
    expected = adapted_predictions(net, masked_mse, sides[0], x, ALPHA, 2)
    assert torch.equal(adapted_predictions(net, masked_mse, plain[0], x, ALPHA, 2), expected)


def test_without_tasks_there_are_no_losses_and_no_predictions():
    net, episode = net_of(), episode_of(n_tasks=0)
    assert meta_loss(net, masked_mse, episode, ALPHA, 1).shape == (0,)
    found = adapted_predictions(net, masked_mse, episode.support, episode.query.inputs, ALPHA, 1)
    assert found.shape == (0, 6)


def test_steps_in_sinusoid_tasks_help_and_the_waves_are_those_of_the_paper():
    episode = sine_episode(400, 10, 200, seeded(0))
    assert episode.support.inputs.shape == (400, 10, 1)
    assert episode.query.targets.shape == (400, 200)
    x, y = episode.query.inputs[..., 0], episode.query.targets
    assert x.abs().max() <= 5
    assert 4.9 < y.abs().max() <= 5
    basis = torch.stack([x.sin(), x.cos()], dim=-1)
    a, b = torch.linalg.lstsq(basis, y[..., None]).solution[..., 0].T
    torch.testing.assert_close(
        (basis @ torch.stack([a, b], -1)[..., None])[..., 0], y, atol=1e-3, rtol=0
    )
    amplitude, phase = (a**2 + b**2).sqrt(), torch.atan2(-b, a)
    assert (amplitude > 0.099).all()
    assert amplitude.mean().item() == pytest.approx(2.55, abs=0.3)
    assert (phase > -1e-3).all()
    assert phase.mean().item() == pytest.approx(torch.pi / 2, abs=0.2)
    some = Episode(*(Examples(side.inputs[:50], side.targets[:50]) for side in episode))
    before, after = (meta_loss(SineNet(0), masked_mse, some, 0.01, n).mean() for n in (0, 5))
    assert after < before
    assert torch.equal(
        sine_episode(2, 1, 1, seeded(3))[0][0], sine_episode(2, 1, 1, seeded(3))[0][0]
    )


@pytest.mark.parametrize("side", ["support", "query"])
def test_targets_and_masks_that_would_broadcast_are_refused(side):
    episode = episode_of()
    part = getattr(episode, side)
    for wrong in (
        part._replace(targets=part.targets[:, :1]),
        part._replace(mask=torch.ones(4, 1, dtype=torch.bool)),
        part._replace(mask=torch.ones(part.targets.shape)),
    ):
        with pytest.raises(ValueError, match=r"(targets are|mask is) \[4, .*expected \[4, "):
            meta_loss(net_of(), masked_mse, episode._replace(**{side: wrong}), ALPHA, 1)


class Weighed(nn.Module):
    """A loss with parameters: its own, and one that it shares with the net; and so has its method `halved`."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.3, dtype=torch.float64))
        self.shift = nn.Parameter(torch.tensor(0.2, dtype=torch.float64))
        self.fixed = nn.Parameter(torch.tensor(0.7, dtype=torch.float64), requires_grad=False)
        self.last = net[3]

    def forward(self, p: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        own = self.fixed * self.last.weight.square().sum()
        return self.w * masked_mse(p + self.shift, t, mask) + self.w.square() * own

    def halved(self, p: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        return self(p, t, mask) / 2


def gradients_of_weighed(loss, weights: Tensor, **options) -> list[Tensor]:
    """The losses, and their weighted sum's gradient to the net, a step size and the loss; `loss(owner)` is the loss."""
    net = net_of()
    owner, alpha = Weighed(net), torch.tensor(ALPHA, dtype=torch.float64, requires_grad=True)
    found = meta_loss(net, loss(owner), episode_of(), alpha, 2, **options)
    (weights * found).sum().backward()
    assert owner.fixed.grad is None
    return [found.detach(), *(p.grad for p in (*net.parameters(), alpha, owner.w, owner.shift))]


LOSSES = {"module": lambda owner: owner, "method": lambda owner: owner.halved}


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [1, 2, 3, 4]])
@pytest.mark.parametrize("engine", ["batched", "loop", "higher"])
@pytest.mark.parametrize("loss", LOSSES)
def test_chunks_give_a_loss_with_parameters_their_gradient(loss, engine, weights, first_order):
    options = {"engine": engine, "first_order": first_order}
    weights = torch.tensor(weights, dtype=torch.float64)
    whole = gradients_of_weighed(LOSSES[loss], weights, **options, chunk=None)
    assert all(gradient is not None and gradient.abs().max() > 1e-3 for gradient in whole)
    for chunk in (1, 2, 3):
        found = gradients_of_weighed(LOSSES[loss], weights, **options, chunk=chunk)
        for a, b in zip(found, whole, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_cross_entropy_ignores_no_target():
    predictions, mask = torch.randn(3, 4), torch.ones(3, dtype=torch.bool)
    with pytest.raises(IndexError):
        masked_cross_entropy(predictions, torch.tensor([0, -100, 1]), mask)


def test_importing_the_learners_leaves_the_compiler_alone():
    """It takes longer to import than all learners; with compile=True it comes when it is asked for."""
    seen = "print('torch._inductor' in sys.modules)"
    code = f"import sys, torch; {seen}; import fsl.learners, fsl.adapt; {seen}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    by_torch, by_fsl = done.stdout.split()
    if by_torch == "True":
        pytest.skip("torch itself brings it")
    assert by_fsl == "False"
