"""Each method of the family against its equations, written out again task by task, row by row, in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made import seeded
from sklearn.linear_model import Ridge
from torch import nn

from fsl import Episode, Examples
from fsl.learners import (
    ANIL,
    CNP,
    FOMAML,
    MAML,
    ALPaCA,
    Matching,
    MetaSGD,
    ProtoMAML,
    Prototypical,
    Relation,
    Reptile,
    RidgeHead,
    SiameseNearest,
    Transfer,
)
from fsl.learners.gradient import with_head
from fsl.learners.people import ShrunkLoss

N_TASKS, K, N_QUERY, N_WAY = 3, 6, 5, 3


@pytest.fixture(autouse=True)
def _in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def body(seed: int = 0) -> nn.Sequential:
    """4 → 5, tanh → 3, all weights of some size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    net.n_features = 3
    return net


def weights(method: nn.Module) -> list[torch.Tensor]:
    """W₁, b₁, W₂, b₂ of the body, as leaves of their own."""
    found = {name: p for name, p in method.named_parameters() if "body" in name}
    return [p.detach().clone().requires_grad_() for p in found.values()]


def embed(theta: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    w1, b1, w2, b2 = theta[:4]
    return torch.tanh(x @ w1.T + b1) @ w2.T + b2


def disturbed(method: nn.Module) -> nn.Module:
    """With every parameter away from where it begins, so that none is 0 or 1 by chance."""
    generator = seeded(8)
    with torch.no_grad():
        for p in method.parameters():
            p += 0.3 * torch.randn(p.shape, generator=generator)
    return method


def class_tasks() -> Episode:
    """Three tasks of 3, 2 and 3 ways; the last rows of the second are padding."""
    generator, sides = seeded(1), []
    for n in (K, N_QUERY):
        targets = torch.arange(n).remainder(N_WAY).repeat(N_TASKS, 1)
        targets[1] %= 2
        mask = torch.ones(N_TASKS, n, dtype=torch.bool)
        mask[1, -1] = False
        sides.append(Examples(torch.randn(N_TASKS, n, 4, generator=generator), targets, mask))
    return Episode(*sides)


def number_tasks() -> Episode:
    classes = class_tasks()
    generator = seeded(2)
    return Episode(
        *(
            side._replace(targets=torch.randn(side.targets.shape, generator=generator))
            for side in classes
        )
    )


def each(episode: Episode):
    """The real rows of each task: x_s, y_s, x_q, y_q."""
    for t in range(N_TASKS):
        support, query = (side.mask[t] for side in episode)
        yield (
            episode.support.inputs[t, support],
            episode.support.targets[t, support],
            episode.query.inputs[t, query],
            episode.query.targets[t, query],
        )


def check_scores(method, episode: Episode, by_hand) -> None:
    """`predict`, and the training loss, against by_hand(x_s, y_s, x_q) -> scores of one task."""
    found = method.predict(episode.support, episode.query.inputs)
    losses = method.losses(episode)
    for t, (xs, ys, xq, yq) in enumerate(each(episode)):
        expected = by_hand(xs, ys, xq)
        where = (t, episode.query.mask[t])
        if yq.is_floating_point():
            np.testing.assert_allclose(found[where], expected, rtol=1e-9)
            loss = np.mean((expected - yq.numpy()) ** 2)
        else:
            np.testing.assert_allclose(found[where][:, : expected.shape[1]], expected, rtol=1e-9)
            p = np.exp(expected - expected.max(1, keepdims=True))
            loss = -np.mean(np.log(p / p.sum(1, keepdims=True))[np.arange(len(yq)), yq])
        assert losses[t].item() == pytest.approx(loss, rel=1e-9)


def test_prototypical_on_classes():
    method = Prototypical(body(), temperature=0.7)
    assert method.log_temperature.exp().item() == pytest.approx(0.7)
    tau = disturbed(method).log_temperature.exp().item()

    def by_hand(xs, ys, xq):
        z, zq = (method.body(x).detach().numpy() for x in (xs, xq))
        c = [z[ys.numpy() == n].mean(0) for n in range(int(ys.max()) + 1)]
        return np.array([[-np.sum((q - m) ** 2) / tau for m in c] for q in zq])

    check_scores(method, class_tasks(), by_hand)


def test_prototypical_on_ratings():
    method = disturbed(Prototypical(body()))
    gamma, lamda = (p.exp().item() for p in (method.log_gamma, method.log_lambda))

    def by_hand(xs, ys, xq):
        z, zq, y = method.body(xs).detach().numpy(), method.body(xq).detach().numpy(), ys.numpy()
        liked = sum(v * e for v, e in zip(y, z, strict=True) if v > 0) / (lamda + y[y > 0].sum())
        hated = sum(-v * e for v, e in zip(y, z, strict=True) if v < 0) / (lamda - y[y < 0].sum())
        return np.array([gamma * (np.sum((q - hated) ** 2) - np.sum((q - liked) ** 2)) for q in zq])

    check_scores(method, number_tasks(), by_hand)


def attention(method: Matching, xs, xq) -> np.ndarray:
    """exp(τ cos), unnormalised: [n_query, K]."""
    z, zq = (method.body(x).detach().numpy() for x in (xs, xq))
    cosines = [[q @ e / np.linalg.norm(q) / np.linalg.norm(e) for e in z] for q in zq]
    return np.exp(method.log_tau.exp().item() * np.array(cosines))


def test_matching_on_classes():
    method = disturbed(Matching(body(), tau=3.0))

    def by_hand(xs, ys, xq):
        a = attention(method, xs, xq)
        a /= a.sum(1, keepdims=True)
        return np.log(np.stack([a[:, ys == n].sum(1) for n in range(int(ys.max()) + 1)], 1))

    check_scores(method, class_tasks(), by_hand)


def test_matching_on_ratings():
    method = disturbed(Matching(body(), tau=3.0))

    def by_hand(xs, ys, xq):
        a = attention(method, xs, xq)
        return a @ ys.numpy() / (a.sum(1) + np.exp(method.nothing.item()))

    check_scores(method, number_tasks(), by_hand)
    assert Matching(body(), tau=3.0).log_tau.exp().item() == pytest.approx(3)


def relation(method: Relation, known, asked) -> float:
    """g([known; asked]) with g = W₂ relu(W₁ · + b₁) + b₂."""
    w1, b1, w2, b2 = (p.detach().numpy() for p in method.g.parameters())
    return (w2 @ np.maximum(w1 @ np.concatenate([known, asked]) + b1, 0) + b2).item()


def test_relation_on_classes():
    method = disturbed(Relation(body(), n_hidden=7))

    def by_hand(xs, ys, xq):
        z, zq = (method.body(x).detach().numpy() for x in (xs, xq))
        c = [z[ys.numpy() == n].mean(0) for n in range(int(ys.max()) + 1)]
        return np.array([[relation(method, m, q) for m in c] for q in zq])

    check_scores(method, class_tasks(), by_hand)


def test_relation_on_ratings():
    method = disturbed(Relation(body(), n_hidden=7))
    lamda = method.log_lambda.exp().item()

    def by_hand(xs, ys, xq):
        z, zq = (method.body(x).detach().numpy() for x in (xs, xq))
        votes = [[relation(method, e, q) for e in z] for q in zq]
        return np.array(votes) @ ys.numpy() / (len(ys) + lamda)

    check_scores(method, number_tasks(), by_hand)


def test_siamese_nearest_and_its_pairs():
    method, episode = disturbed(SiameseNearest(body(), margin=2.0)), class_tasks()
    found, losses = method.predict(episode.support, episode.query.inputs), method.losses(episode)
    for t, (xs, ys, xq, yq) in enumerate(each(episode)):
        z, zq = (method.body(x).detach().numpy() for x in (xs, xq))
        d = np.array([[np.linalg.norm(q - e) for e in z] for q in zq])
        nearest = np.stack([-d[:, ys == n].min(1) for n in range(int(ys.max()) + 1)], 1)
        scores = found[t, episode.query.mask[t]][:, : nearest.shape[1]]
        np.testing.assert_allclose(scores, nearest, atol=1e-6)
        alike = (yq[:, None] == ys[None]).numpy()
        loss = np.mean(d[alike] ** 2) + np.mean(np.maximum(0, 2 - d[~alike]) ** 2)
        assert losses[t].item() == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("episode", [class_tasks, number_tasks])
def test_the_ridge_head_is_scikit_learns_ridge_scaled(episode):
    method = disturbed(RidgeHead(body()))
    lamda, a, b = method.log_lambda.exp().item(), method.a.item(), method.b.item()

    def by_hand(xs, ys, xq):
        z, zq = (method.body(x).detach().numpy() for x in (xs, xq))
        y = ys.numpy() if ys.is_floating_point() else np.eye(int(ys.max()) + 1)[ys]
        return a * Ridge(lamda, fit_intercept=False).fit(z, y).predict(zq) + b

    check_scores(method, episode(), by_hand)


def gaussian_losses(mean, variance, y) -> float:
    return np.mean(0.5 * (np.log(variance) + (y - mean) ** 2 / variance))


def test_alpaca_is_bayesian_linear_regression():
    """The textbook's posterior (Bishop 2006, eq. 3.49 to 3.51 and 3.58) for w ~ N(k₀, σ² Λ₀⁻¹), by joint Gaussians."""
    method, episode = disturbed(ALPaCA(body())), number_tasks()
    noise, k0 = method.log_noise.exp().item(), method.prior_mean.detach().numpy()
    precision = method.prior_precision.detach().numpy()
    factor = np.tril(method.below.detach().numpy(), -1) + np.diag(
        np.exp(method.log_diagonal.detach().numpy())
    )
    np.testing.assert_allclose(precision, factor @ factor.T)
    covariance = noise * np.linalg.inv(precision)
    mean, variance = (
        x.detach() for x in method.distribution(episode.support, episode.query.inputs)
    )
    losses, found = method.losses(episode), method.predict(episode.support, episode.query.inputs)
    for t, (xs, ys, xq, yq) in enumerate(each(episode)):
        phi, asked = (method.body(x).detach().numpy() for x in (xs, xq))
        gain = asked @ covariance @ phi.T
        known = phi @ covariance @ phi.T + noise * np.eye(len(phi))
        m = asked @ k0 + gain @ np.linalg.solve(known, ys.numpy() - phi @ k0)
        v = asked @ covariance @ asked.T - gain @ np.linalg.solve(known, gain.T)
        v = np.diag(v) + noise
        real = episode.query.mask[t]
        np.testing.assert_allclose(mean[t, real], m, rtol=1e-9)
        np.testing.assert_allclose(variance[t, real], v, rtol=1e-9)
        np.testing.assert_allclose(found[t, real], m, rtol=1e-9)
        assert losses[t].item() == pytest.approx(gaussian_losses(m, v, yq.numpy()))
    nothing = Examples(episode.support.inputs[:, :0], episode.support.targets[:, :0])
    mean, variance = method.distribution(nothing, episode.query.inputs)
    asked = method.body(episode.query.inputs).detach().numpy()
    np.testing.assert_allclose(mean.detach(), asked @ k0)
    prior = np.einsum("tqi,ij,tqj->tq", asked, covariance, asked) + noise
    np.testing.assert_allclose(variance.detach(), prior)


def mlp(net: nn.Sequential, x: np.ndarray) -> np.ndarray:
    """Linear layers with ReLU between them."""
    layers = [m for m in net if isinstance(m, nn.Linear)]
    for i, layer in enumerate(layers):
        x = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        x = np.maximum(x, 0) if i < len(layers) - 1 else x
    return x


def test_cnp_takes_a_mean():
    method, episode = disturbed(CNP(body(), n_hidden=7)), number_tasks()
    mean, variance = (
        x.detach() for x in method.distribution(episode.support, episode.query.inputs)
    )
    losses = method.losses(episode)
    for t, (xs, ys, xq, yq) in enumerate(each(episode)):
        z, zq = (method.body(x).detach().numpy() for x in (xs, xq))
        r = mlp(method.h, np.hstack([z, ys.numpy()[:, None]])).mean(0)
        out = mlp(method.g, np.hstack([zq, np.tile(r, (len(zq), 1))]))
        v = (0.01 + np.log1p(np.exp(out[:, 1]))) ** 2
        real = episode.query.mask[t]
        np.testing.assert_allclose(mean[t, real], out[:, 0], rtol=1e-9)
        np.testing.assert_allclose(variance[t, real], v, rtol=1e-9)
        assert losses[t].item() == pytest.approx(gaussian_losses(out[:, 0], v, yq.numpy()))


ALPHA, STEPS = 0.3, 2


def head_of(method) -> list[torch.Tensor]:
    return [p.detach().clone().requires_grad_() for p in method.net.head.parameters()]


def by_steps(theta, fast, xs, ys, xq, yq, alphas, first_order: bool, loss=F.cross_entropy):
    """The query's scores and loss after the inner loop over the places `fast` of theta = (W₁, b₁, W₂, b₂, W, b)."""

    def scores(theta, x):
        return embed(theta, x) @ theta[4].T + theta[5]

    theta = list(theta)
    for _ in range(STEPS):
        moving = [theta[i] for i in fast]
        slopes = torch.autograd.grad(
            loss(scores(theta, xs), ys), moving, create_graph=not first_order, retain_graph=True
        )
        for i, slope, alpha in zip(fast, slopes, alphas, strict=True):
            theta[i] = theta[i] - alpha * slope
    return scores(theta, xq), loss(scores(theta, xq), yq)


EVERYTHING, HEAD = range(6), (4, 5)


@pytest.mark.parametrize("engine", ["batched", "loop"])
@pytest.mark.parametrize(
    ("kind", "fast", "first_order"),
    [
        (MAML, EVERYTHING, False),
        (FOMAML, EVERYTHING, True),
        (ANIL, HEAD, False),
        (MetaSGD, EVERYTHING, False),
    ],
)
def test_gradient_methods_by_plain_autograd(kind, fast, first_order, engine):
    method = kind(with_head(body(), N_WAY), inner_lr=ALPHA, n_steps=STEPS, engine=engine)
    alphas = [ALPHA] * len(fast)
    if kind is MetaSGD:
        disturbed(method.alpha)
        alphas = [p.detach().clone().requires_grad_() for p in method.alpha]
    episode = class_tasks()
    theta = weights(method) + head_of(method)
    losses = method.losses(episode)
    losses.sum().backward()
    total = 0
    found = method.predict(episode.support, episode.query.inputs)
    for t, task in enumerate(each(episode)):
        scores, loss = by_steps(theta, fast, *task, alphas, first_order)
        torch.testing.assert_close(found[t, episode.query.mask[t]], scores.detach())
        torch.testing.assert_close(losses[t], loss)
        total = total + loss
    learned = theta + [a for a in alphas if isinstance(a, torch.Tensor)]
    expected = torch.autograd.grad(total, learned)
    given = [*method.net.parameters(), *getattr(method, "alpha", [])]
    for p, slope in zip(given, expected, strict=True):
        torch.testing.assert_close(p.grad, slope)
        assert slope.abs().max() > 1e-4


def test_first_order_is_not_second_order():
    slopes = []
    for kind in (MAML, FOMAML):
        method = kind(with_head(body(), N_WAY), inner_lr=ALPHA, n_steps=STEPS)
        method.losses(class_tasks()).sum().backward()
        slopes.append(method.net.body[0].weight.grad)
    assert (slopes[0] - slopes[1]).abs().max() > 1e-3


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("engine", ["batched", "loop"])
def test_proto_maml_starts_at_the_prototypes_and_they_reach_the_body(engine, first_order):
    """θ₀'s head is a variable of its own for the steps, and a function of the body for the meta-gradient."""
    method = ProtoMAML(body(), ALPHA, STEPS, first_order, engine=engine)
    episode = class_tasks()
    theta = weights(method)
    losses = method.losses(episode)
    losses.sum().backward()
    total = 0
    for t, (xs, ys, xq, yq) in enumerate(each(episode)):
        z = embed(theta, xs)
        c = torch.stack([z[ys == n].mean(0) for n in range(int(ys.max()) + 1)])
        # as variables of their own: a step's slope does not run through c into the body
        own = [p * 1 for p in theta] + [2 * c, -(c**2).sum(1)]
        _, loss = by_steps(own, EVERYTHING, xs, ys, xq, yq, [ALPHA] * 6, first_order)
        torch.testing.assert_close(losses[t], loss)
        total = total + loss
    for p, slope in zip(
        method.net.body.parameters(), torch.autograd.grad(total, theta), strict=True
    ):
        torch.testing.assert_close(p.grad, slope)
    assert all(p.grad is None for p in method.net.head.parameters())


def test_proto_maml_before_any_step_is_a_prototypical_network():
    episode = class_tasks()
    proto, maml = Prototypical(body()), ProtoMAML(body(), ALPHA, n_steps=0)
    a, b = (m.predict(episode.support, episode.query.inputs) for m in (proto, maml))
    for t, n_way in enumerate((3, 2, 3)):
        apart = (a - b)[t, :, :n_way]
        torch.testing.assert_close(apart, apart[:, :1].expand_as(apart))
        norms = proto.body(episode.query.inputs[t]).square().sum(-1)
        torch.testing.assert_close(apart[:, 0].detach(), -norms.detach())
    slopes = []
    for method in (proto, maml):
        method.losses(episode).sum().backward()
        body_of = method.body if method is proto else method.net.body
        slopes.append([p.grad for p in body_of.parameters()])
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("outer_steps", [None, 4])
def test_reptile_moves_towards_where_tasks_end(outer_steps):
    method = Reptile(with_head(body(), N_WAY), ALPHA, STEPS, outer_steps=outer_steps, fast=["head"])
    episode = class_tasks()
    theta, ends = weights(method) + head_of(method), []
    for xs, ys, xq, yq in each(episode):
        w, b = theta[4:]
        z, y = embed(theta, torch.cat([xs, xq])).detach(), torch.cat([ys, yq])
        for _ in range(outer_steps or STEPS):
            slopes = torch.autograd.grad(F.cross_entropy(z @ w.T + b, y), [w, b])
            w, b = (p - ALPHA * slope for p, slope in zip((w, b), slopes, strict=True))
        ends.append((w, b))
    distance = method.backward(episode)
    moved = [torch.stack(part).mean(0) for part in zip(*ends, strict=True)]
    for p, start, end in zip(method.net.head.parameters(), theta[4:], moved, strict=True):
        torch.testing.assert_close(p.grad, (start - end).detach())
    length = sum((s - e).square().sum() for s, e in zip(theta[4:], moved, strict=True)).sqrt()
    torch.testing.assert_close(distance, length.detach())
    assert all(p.grad is None for p in method.net.body.parameters())


class Drawer:
    """Rows of four training classes, remembered."""

    def joint(self, n: int, generator: torch.Generator) -> Examples:
        self.rows = Examples(
            torch.randn(n, 4, generator=generator), torch.randint(4, (n,), generator=generator)
        )
        return self.rows


def test_transfer_learns_all_classes_jointly_and_forgets_that_head():
    method = Transfer(with_head(body(), N_WAY), ALPHA, STEPS, n_classes=4, n_rows=9)
    drawer, episode = Drawer(), class_tasks()
    loss = method.backward(method.draw(drawer, 2, seeded(0)))
    x, y = drawer.rows[:2]
    assert len(x) == 9
    theta = weights(Transfer(with_head(body(), N_WAY)))
    head = [p.detach().clone().requires_grad_() for p in method.joint.head.parameters()]
    expected = F.cross_entropy(embed(theta, x) @ head[0].T + head[1], y)
    torch.testing.assert_close(loss, expected.detach())
    slopes = torch.autograd.grad(expected, theta + head)
    given = [*method.net.body.parameters(), *method.joint.head.parameters()]
    for p, slope in zip(given, slopes, strict=True):
        torch.testing.assert_close(p.grad, slope)
    assert all(p.grad is None and not p.any() for p in method.net.head.parameters())
    before = method.predict(episode.support, episode.query.inputs)
    with torch.no_grad():
        for p in method.joint.head.parameters():
            p.fill_(torch.nan)
    assert torch.equal(method.predict(episode.support, episode.query.inputs), before)
    theta += [torch.zeros(N_WAY, 3, requires_grad=True), torch.zeros(N_WAY, requires_grad=True)]
    for t, task in enumerate(each(episode)):
        scores, _ = by_steps(theta, EVERYTHING, *task, [ALPHA] * 6, True)
        torch.testing.assert_close(before[t, episode.query.mask[t]], scores.detach())


def test_transfer_on_numbers_is_one_net():
    class Line(nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(torch.tensor([1.0, 2.0]))

        def forward(self, x):
            return x @ self.slope

    class Points:
        def joint(self, n, generator):
            x = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
            return Examples(x, torch.tensor([0.0, 0, 5]), torch.tensor([True, True, False]))

    method = Transfer(Line(), 0.1)
    loss = method.backward(method.draw(Points(), 1, seeded(0)))
    assert loss.item() == pytest.approx((1 + 4) / 2)
    assert method.net.slope.grad.tolist() == pytest.approx([1, 2])


def test_the_shrunk_loss_by_hand():
    p, t = torch.tensor([1.0, 3, 7]), torch.tensor([0.0, 1, 100])
    mask = torch.tensor([True, True, False])
    assert ShrunkLoss(3.0)(p, t, mask).item() == pytest.approx((1 + 4) / (2 + 3))
    assert ShrunkLoss()(p[:0], t[:0], mask[:0]).item() == 0


def test_errors_are_what_each_task_is_judged_by():
    method, episode = Prototypical(body()), class_tasks()
    scores = method.predict(episode.support, episode.query.inputs)
    for t, found in enumerate(method.errors(episode)):
        real = episode.query.mask[t]
        wrong = scores[t, real].argmax(-1) != episode.query.targets[t, real]
        assert found.item() == pytest.approx(wrong.double().mean().item())
    method, episode = RidgeHead(body()), number_tasks()
    predictions = method.predict(episode.support, episode.query.inputs)
    for t, found in enumerate(method.errors(episode)):
        left = (predictions[t] - episode.query.targets[t])[episode.query.mask[t]]
        assert found.item() == pytest.approx(left.square().mean().item())
