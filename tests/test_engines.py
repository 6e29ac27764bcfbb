"""Every way to run an inner loop against one written here by hand, in float64; and what each must refuse."""

import copy
import gc
import weakref

import pytest
import torch
from made import seeded
from torch import Tensor, nn
from torch.func import functional_call

import fsl.engines.compiled as compiled
from fsl import Episode, Examples, adapted_predictions, meta_loss
from fsl.adapt import adapted_parameters, choose_engine, masked_cross_entropy, masked_mse
from fsl.engines.asked import loop_of
from fsl.engines.first_layers import first_layers

ALPHA = 0.07
ENGINES = ["batched", "loop", "higher", "auto"]
WAYS = [{"engine": e, "chunk": None} for e in ENGINES] + [
    {"engine": "batched", "chunk": 1},
    {"engine": "batched", "chunk": 3},
    {"engine": "loop", "chunk": 3},
    {"engine": "batched", "chunk": 7},
]


@pytest.fixture(autouse=True)
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_default_dtype(before)


# The oracle and the comparison


def by_hand(net, loss, episode, rates, n_steps, first_order=False, fast=None, starts=None):
    """Query losses of all tasks by a plain loop; rates: a number, or one per fast name."""
    return torch.stack(
        [
            loss
            for loss, _ in tasks_by_hand(
                net, loss, episode, rates, n_steps, first_order, fast, starts
            )
        ]
    )


def tasks_by_hand(net, loss, episode, rates, n_steps, first_order=False, fast=None, starts=None):
    """Query loss and θ_n of each task."""
    own = dict(net.named_parameters())
    names = [n for n in own if own[n].requires_grad] if fast is None else fast
    alpha = rates if isinstance(rates, dict) else dict.fromkeys(names, rates)
    tasks = zip(*episode.support[:2], *episode.query[:2], strict=True)
    for t, (x, y, z, w) in enumerate(tasks):
        theta = own | {n: start[t] for n, start in (starts or {}).items()}
        buffers = {n: b.clone() for n, b in net.named_buffers()}
        for _ in range(n_steps):
            value = loss(functional_call(net, theta | buffers, (x,)), y, y == y)
            moving = [theta[n] for n in names]
            slopes = torch.autograd.grad(value, moving, create_graph=True, allow_unused=True)
            for name, slope in zip(names, slopes, strict=True):
                if slope is not None:
                    slope = slope.detach() if first_order else slope
                    theta[name] = theta[name] - alpha[name] * slope
        yield loss(functional_call(net, theta | buffers, (z,)), w, w == w), theta


def close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def gradients(losses: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Of a mean, and of a sum with a weight for each task."""
    weights = torch.linspace(-1, 2, len(losses))
    options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    totals = losses.mean(), (weights * losses).sum()
    return [g for total in totals for g in torch.autograd.grad(total, leaves, **options)]


def same(found: Tensor, expected: Tensor, leaves) -> None:
    leaves = list(leaves)
    close(found, expected)
    ours, theirs = gradients(found, leaves), gradients(expected, leaves)
    assert any(g.abs().max() > 1e-3 for g in theirs), "a test of zeros would test nothing"
    for a, b in zip(ours, theirs, strict=True):
        close(a, b)


# Nets and episodes


class Tied(nn.Module):
    """One matrix under two names."""

    def __init__(self):
        super().__init__()
        self.up, self.down, self.head = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)
        self.down.weight = self.up.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.down(self.up(x).tanh()).tanh())[:, 0]


class Words(nn.Module):
    """int64 inputs [n, 2] -> [n], by an embedding and a head."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(6, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding(x).mean(1))[:, 0]


class Counting(nn.Module):
    """Gives something else at each call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return x * self.calls


class Pictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(3, 1)
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.convolution(x)).tanh().mean((2, 3)))[:, 0]


def mlp(middle: nn.Module | None = None, n_out: int | None = None) -> nn.Sequential:
    last = [nn.Linear(5, n_out)] if n_out else [nn.Linear(5, 1), nn.Flatten(0)]
    return nn.Sequential(nn.Linear(3, 5), middle or nn.Identity(), nn.Tanh(), *last)


def with_statistics(training: bool) -> nn.Module:
    norm = nn.BatchNorm1d(5)
    norm.running_mean.normal_(generator=seeded(0))
    norm.running_var.uniform_(0.5, 2, generator=seeded(0))
    return mlp(norm).train(training)


def frozen_words() -> nn.Module:
    net = Words()
    net.embedding.requires_grad_(False)
    return net


def episode_of(shape=(3,), n_tasks=7, n_shots=4, n_query=6, kind="numbers") -> Episode:
    generator = seeded(1)

    def side(n: int) -> Examples:
        inputs = torch.randn(n_tasks, n, *shape, generator=generator)
        if kind == "words":
            inputs = torch.randint(6, (n_tasks, n, 2), generator=generator)
        targets = torch.randn(n_tasks, n, generator=generator)
        if kind == "classes":
            targets = torch.randint(3, (n_tasks, n), generator=generator)
        return Examples(inputs, targets)

    return Episode(side(n_shots), side(n_query))


NETS = {
    "mlp": mlp,
    "layer norm": lambda: mlp(nn.LayerNorm(5)),
    "batch norm without statistics": lambda: mlp(nn.BatchNorm1d(5, track_running_stats=False)),
    "batch norm in training": lambda: with_statistics(True),
    "batch norm in evaluation": lambda: with_statistics(False),
    "counting": lambda: nn.Sequential(Counting(), *mlp(nn.LayerNorm(5))),
    "tied": Tied,
    "words held fixed": frozen_words,
    "words": Words,
    "pictures": Pictures,
    "classes": lambda: mlp(nn.LayerNorm(5), n_out=3),
}


def case(name: str):
    """Net, loss and episode."""
    shape = (1, 4, 4) if name == "pictures" else (3,)
    kind = {"words held fixed": "words", "words": "words", "classes": "classes"}.get(name)
    loss = masked_cross_entropy if kind == "classes" else masked_mse
    return NETS[name](), loss, episode_of(shape, n_tasks=4, kind=kind)


# All engines, all nets


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_every_engine_is_the_loop_by_hand(n_steps, first_order, way):
    net, episode = mlp(nn.LayerNorm(5)), episode_of()
    found = meta_loss(net, masked_mse, episode, ALPHA, n_steps, first_order, **way)
    expected = by_hand(net, masked_mse, episode, ALPHA, n_steps, first_order)
    same(found, expected, net.parameters())


@pytest.mark.parametrize("way", WAYS[:6], ids=str)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_every_net_is_adapted_as_by_hand_and_left_as_it_was(name, first_order, way):
    net, loss, episode = case(name)
    before = copy.deepcopy(net.state_dict())
    found = meta_loss(net, loss, episode, 0.3, 2, first_order, **way)
    expected = by_hand(net, loss, episode, 0.3, 2, first_order)
    same(found, expected, [p for p in net.parameters() if p.requires_grad])
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[n], before[n]) for n in before)


@pytest.mark.parametrize("way", WAYS[:6], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_predictions_are_those_that_are_judged(name, way):
    net, loss, episode = case(name)
    support, query = episode
    found = adapted_predictions(net, loss, support, query.inputs, 0.3, 2, **way)
    assert not found.requires_grad
    real = torch.ones_like(query.targets[0], dtype=torch.bool)
    judged = [loss(p, t, real) for p, t in zip(found, query.targets, strict=True)]
    close(torch.stack(judged), by_hand(net, loss, episode, 0.3, 2).detach())
    with torch.no_grad():
        close(meta_loss(net, loss, episode, 0.3, 2, **way), torch.stack(judged))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("chunk", [None, 3])
def test_adapted_parameters_are_where_the_steps_lead(name, chunk):
    net, loss, episode = case(name)
    found = adapted_parameters(net, loss, episode.support, 0.3, 2, chunk=chunk)
    ends = [theta for _, theta in tasks_by_hand(net, loss, episode, 0.3, 2)]
    assert list(found) == [n for n, p in net.named_parameters() if p.requires_grad]
    for n, stacked in found.items():
        assert not stacked.requires_grad
        close(stacked, torch.stack([theta[n] for theta in ends]).detach())


def test_the_meta_gradient_is_the_difference_quotient():
    net, episode = mlp(), episode_of()
    alpha = torch.tensor(0.2, requires_grad=True)
    leaves = [*net.parameters(), alpha]
    directions = [torch.randn(p.shape, generator=seeded(3)) for p in leaves]

    def value() -> Tensor:
        losses = meta_loss(net, masked_mse, episode, alpha, 3, chunk=3)
        return (losses * torch.arange(1.0, 8)).sum()

    def at(distance: float) -> float:
        with torch.no_grad():
            for p, d in zip(leaves, directions, strict=True):
                p.add_(distance * d)
            there = value().item()
            for p, d in zip(leaves, directions, strict=True):
                p.sub_(distance * d)
        return there

    slopes = torch.autograd.grad(value(), leaves)
    along = sum((g * d).sum() for g, d in zip(slopes, directions, strict=True)).item()
    assert (at(1e-5) - at(-1e-5)) / 2e-5 == pytest.approx(along, rel=1e-6)


def test_auto_is_a_loop_for_convolutions_and_for_one_task():
    assert choose_engine(mlp(), 2) == "batched"
    assert choose_engine(mlp(), 1) == choose_engine(Pictures(), 2) == "loop"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_tasks", [0, 1])
@pytest.mark.parametrize("n_steps", [0, 2])
def test_few_tasks_and_no_steps(n_tasks, n_steps, engine):
    net, episode = mlp(), episode_of(n_tasks=n_tasks)
    found = meta_loss(net, masked_mse, episode, ALPHA, n_steps, engine=engine)
    assert found.shape == (n_tasks,)
    predictions = adapted_predictions(
        net, masked_mse, episode.support, episode.query.inputs, ALPHA, n_steps, engine=engine
    )
    assert predictions.shape == (n_tasks, 6)
    ends = adapted_parameters(net, masked_mse, episode.support, ALPHA, n_steps)
    assert ends["0.weight"].shape == (n_tasks, 5, 3)
    if n_tasks:
        same(found, by_hand(net, masked_mse, episode, ALPHA, n_steps), net.parameters())


# Which parameters adapt


@pytest.mark.parametrize("way", WAYS[:6], ids=str)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize(
    ("fast", "expected"),
    [
        ("head", ["head.1.weight", "head.1.bias"]),
        (["head.1.bias"], ["head.1.bias"]),
        (("embedding", "head.1.bias"), ["embedding.weight", "head.1.bias"]),
    ],
)
def test_only_what_is_named_adapts_and_all_of_it_learns(fast, expected, first_order, way):
    net, loss, episode = case("words")
    found = meta_loss(net, loss, episode, 0.3, 3, first_order, fast=fast, **way)
    same(found, by_hand(net, loss, episode, 0.3, 3, first_order, expected), net.parameters())
    assert list(adapted_parameters(net, loss, episode.support, 0.3, 1, fast)) == expected


@pytest.mark.parametrize("fast", ["hea", "head.2", ["head", "tail"], "", "head.1.weigh"])
def test_a_name_of_nothing_that_can_adapt_is_refused(fast):
    net, loss, episode = case("words")
    known = r"the parameters of net with a gradient are: embedding.weight, head.1.weight"
    with pytest.raises(ValueError, match=rf"fast names '.*', but {known}"):
        meta_loss(net, loss, episode, ALPHA, 1, fast=fast)
    net.embedding.requires_grad_(False)
    with pytest.raises(ValueError, match="fast names 'embedding'"):
        meta_loss(net, loss, episode, ALPHA, 1, fast="embedding")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tied_parameter_answers_to_both_of_its_names(engine):
    net, loss, episode = case("tied")
    expected = by_hand(net, loss, episode, ALPHA, 2, fast=["up.weight", "down.bias"])
    found = meta_loss(net, loss, episode, ALPHA, 2, fast="down", engine=engine)
    same(found, expected, net.parameters())
    found = meta_loss(net, loss, episode, ALPHA, 2, fast="down.weight", engine=engine)
    same(found, by_hand(net, loss, episode, ALPHA, 2, fast=["up.weight"]), net.parameters())


# Padding


def padded(side: Examples, garbage: float) -> Examples:
    """Three more rows per task, two of them in front."""
    x = nn.functional.pad(side.inputs, (0, 0, 2, 1), value=garbage)
    y = nn.functional.pad(side.targets, (2, 1), value=-garbage)
    mask = nn.functional.pad(torch.ones_like(side.targets, dtype=torch.bool), (2, 1))
    return Examples(x, y, mask)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("garbage", [1e6, float("nan")])
def test_what_stands_in_padded_rows_makes_no_difference(garbage, way):
    net, episode = mlp(nn.LayerNorm(5)), episode_of()
    features = torch.randn(3, 3, generator=seeded(2)).requires_grad_()

    def upstream(fill: float | None) -> Episode:
        sides = episode if fill is None else [padded(side, fill) for side in episode]
        return Episode(*(Examples(s[0] @ features, *s[1:]) for s in sides))

    found = meta_loss(net, masked_mse, upstream(garbage), ALPHA, 2, **way)
    expected = by_hand(net, masked_mse, upstream(None), ALPHA, 2)
    same(found, expected, net.parameters())
    if garbage == garbage:  # NaN · 0 in the upstream product is not ours to mend
        same(found, expected, [features])


def test_padding_changes_no_dtype():
    def watching(predictions, targets, mask):
        assert targets.dtype == torch.bool
        return masked_mse(predictions, targets.double(), mask)

    sides = (Examples(s[0], s[1] > 0, s[1] < 1) for s in episode_of())
    meta_loss(mlp(), watching, Episode(*sides), ALPHA, 1)


# Chunks


@pytest.mark.parametrize("engine", ["batched", "loop", "higher"])
@pytest.mark.parametrize("chunk", [1, 3, 7, 32, None])
@pytest.mark.parametrize("first_order", [False, True])
def test_gradients_reach_the_net_before_whatever_the_chunk(first_order, chunk, engine):
    net, before, episode = mlp(), nn.Linear(3, 3), episode_of()
    sides = [Examples(before(side.inputs).tanh(), side.targets) for side in episode]
    sides[1] = sides[1]._replace(targets=sides[1].targets.clone().requires_grad_())
    featured = Episode(*sides)
    options = {"first_order": first_order, "engine": engine, "chunk": chunk}
    found = meta_loss(net, masked_mse, featured, ALPHA, 2, **options)
    leaves = [*net.parameters(), *before.parameters(), sides[1].targets]
    same(found, by_hand(net, masked_mse, featured, ALPHA, 2, first_order), leaves)


@pytest.mark.parametrize(("chunk", "passes"), [(1, 7), (3, 3), (7, 1), (32, 1), (None, 1)])
def test_a_chunk_is_a_pass_of_its_own(chunk, passes):
    seen = []

    def spying(predictions, targets, mask):
        seen.append(len(targets))
        return masked_mse(predictions, targets, mask)

    net, (support, query) = mlp(), episode_of()
    adapted_predictions(net, spying, support, query.inputs, ALPHA, 1, chunk=chunk)
    assert seen == [4] * passes
    seen.clear()
    adapted_parameters(net, spying, support, ALPHA, 1, chunk=chunk)
    assert seen == [4] * passes
    seen.clear()
    meta_loss(net, spying, Episode(support, query), ALPHA, 1, chunk=chunk)
    assert seen == [4, 6] * passes


def test_a_chunked_result_is_differentiated_once_and_says_so():
    net, episode = mlp(), episode_of()
    losses = meta_loss(net, masked_mse, episode, ALPHA, 1, chunk=3)
    with pytest.raises(RuntimeError, match="can be differentiated once only: chunk=None"):
        torch.autograd.grad(losses.sum(), net[0].weight, create_graph=True)
    losses = meta_loss(net, masked_mse, episode, ALPHA, 1, chunk=None)
    expected = by_hand(net, masked_mse, episode, ALPHA, 1)
    slopes = (
        torch.autograd.grad(each.sum(), net[0].weight, create_graph=True)[0].square().sum(1)
        for each in (losses, expected)
    )
    same(*slopes, list(net.parameters())[:2])


def test_a_second_run_at_other_parameters_is_refused():
    net, episode = mlp(), episode_of()
    losses = meta_loss(net, masked_mse, episode, ALPHA, 1, chunk=3)
    with torch.no_grad():
        net[0].weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (losses * torch.arange(7)).sum().backward()


@pytest.mark.parametrize("chunk", [0, -1, 1.5])
def test_a_chunk_that_is_no_number_of_tasks_is_refused(chunk):
    with pytest.raises(ValueError, match="chunk must be a whole number above 0, or None"):
        meta_loss(mlp(), masked_mse, episode_of(), ALPHA, 1, chunk=chunk)


# Learned step sizes


def rates_like(net, kind: str):
    """Step sizes as `meta_loss` takes them, as by hand takes them, and the leaves among them."""
    names = dict(net.named_parameters())
    if kind == "one":
        alpha = torch.tensor(0.2, requires_grad=True)
        return alpha, alpha, [alpha]
    shapes = {n: () if kind == "scalars" else p.shape for n, p in names.items()}
    if kind == "rows":
        shapes = {n: p.shape[-1:] for n, p in names.items()}
    generator = seeded(4)
    alpha = {n: torch.rand(s, generator=generator).mul(0.3) for n, s in shapes.items()}
    leaves = [a.requires_grad_() for a in alpha.values()]
    return alpha, alpha, leaves


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("kind", ["one", "scalars", "elementwise", "rows"])
def test_step_sizes_learn_as_by_hand(kind, first_order, way):
    net, episode = mlp(nn.LayerNorm(5)), episode_of()
    given, by_name, leaves = rates_like(net, kind)
    found = meta_loss(net, masked_mse, episode, given, 2, first_order, **way)
    expected = by_hand(net, masked_mse, episode, by_name, 2, first_order)
    same(found, expected, [*net.parameters(), *leaves])
    same(found, expected, leaves)


class Paced(nn.Module):
    """A net that owns the logarithm of its step size."""

    def __init__(self):
        super().__init__()
        self.net, self.log_alpha = mlp(), nn.Parameter(torch.tensor(-1.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("of", [torch.exp, torch.neg, lambda p: p])
def test_a_step_size_that_comes_from_a_parameter_of_the_net_counts_once(of, named, way):
    net, episode = Paced(), episode_of()
    with torch.no_grad():
        net.log_alpha.mul_(0.1)
    names = [f"net.{name}" for name, _ in net.net.named_parameters()]
    alpha = of(net.log_alpha)
    rates = dict.fromkeys(names, alpha) if named else alpha
    found = meta_loss(net, masked_mse, episode, rates, 2, fast="net", **way)
    expected = by_hand(net, masked_mse, episode, alpha, 2, fast=names)
    same(found, expected, net.parameters())
    same(found, expected, [net.log_alpha])


@pytest.mark.parametrize("shape", [[5, 1], [7, 5], [4], [1, 1, 5]])
def test_a_step_size_that_does_not_fit_is_refused(shape):
    """[7, 5] for a bias [5] and 7 tasks would otherwise be one step size per task."""
    net = mlp()
    rates = {n: torch.tensor(ALPHA) for n, _ in net.named_parameters()}
    rates["0.bias"] = torch.full(shape, ALPHA)
    message = rf"inner_lr of '0.bias' is \[{', '.join(map(str, shape))}\], which does not broadcast"
    with pytest.raises(ValueError, match=message):
        meta_loss(net, masked_mse, episode_of(), rates, 1)


@pytest.mark.parametrize("odd", ["0.bias", "0.tail"])
def test_a_mapping_of_step_sizes_names_what_adapts(odd):
    net = mlp()
    rates = {n: ALPHA for n, _ in net.named_parameters()}
    rates = {n: a for n, a in rates.items() if n != odd} if odd in rates else rates | {odd: ALPHA}
    with pytest.raises(ValueError, match=f"inner_lr must name each.* see {odd}"):
        meta_loss(net, masked_mse, episode_of(), rates, 1)


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("engine", ["batched", "loop"])
def test_a_buffer_with_a_gradient_gets_it_whatever_the_chunk(engine, chunk):
    net, episode = mlp(nn.LayerNorm(5)), episode_of()
    source = torch.tensor(0.5, requires_grad=True)
    net.register_module("5", Scale(source.exp()))
    found = meta_loss(net, masked_mse, episode, ALPHA, 2, engine=engine, chunk=chunk)
    same(found, by_hand(net, masked_mse, episode, ALPHA, 2), [source, *net.parameters()])


class Scale(nn.Module):
    def __init__(self, factor: Tensor):
        super().__init__()
        self.register_buffer("factor", factor)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


# Starts of each task's own


@pytest.mark.parametrize("engine", ["batched", "loop"])
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("chunk", [None, 3])
def test_each_task_may_start_on_its_own(engine, first_order, chunk):
    net, episode = mlp(), episode_of()
    source = torch.randn(7, 1, 5, generator=seeded(2)).requires_grad_()
    starts = {"3.weight": source.sin()}
    options = {"engine": engine, "chunk": chunk, "starts": starts}
    found = meta_loss(net, masked_mse, episode, ALPHA, 2, first_order, **options)
    expected = by_hand(net, masked_mse, episode, ALPHA, 2, first_order, starts=starts)
    same(found, expected, [source, *net.parameters()])
    same(found, expected, [source])
    with torch.no_grad():
        close(meta_loss(net, masked_mse, episode, ALPHA, 2, **options), expected.detach())
    support, query = episode
    p = adapted_predictions(net, masked_mse, support, query.inputs, ALPHA, 2, **options)
    close((p - query.targets).square().mean(1), expected.detach())


@pytest.mark.parametrize("engine", ["batched", "loop"])
@pytest.mark.parametrize("first_order", [False, True])
def test_starts_need_no_gradient_of_their_own(engine, first_order):
    net, episode = mlp(), episode_of()
    starts = {"3.weight": torch.randn(7, 1, 5, generator=seeded(2))}
    options = {"engine": engine, "starts": starts}
    found = meta_loss(net, masked_mse, episode, ALPHA, 2, first_order, **options)
    assert not starts["3.weight"].requires_grad
    wanting = {"3.weight": starts["3.weight"].clone().requires_grad_()}
    expected = by_hand(net, masked_mse, episode, ALPHA, 2, first_order, starts=wanting)
    same(found, expected, net.parameters())


def test_starts_for_another_number_of_tasks_are_refused():
    starts = {"3.weight": torch.zeros(8, 1, 5)}
    for engine in ("batched", "loop"):
        with pytest.raises(ValueError, match=r"starts of '3.weight' are 8, expected .* 7 tasks"):
            meta_loss(mlp(), masked_mse, episode_of(), ALPHA, 1, engine=engine, starts=starts)


# Losses that do not reach


class Spare(nn.Module):
    """A net with layers that it never uses, or uses for nothing; `wide` enough for the low-rank form."""

    def __init__(self):
        super().__init__()
        self.net, self.unused, self.wide = mlp(), nn.Linear(2, 2), nn.Linear(1024, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.wide(torch.cat([x, torch.ones(len(x), 1021)], 1))
        return self.net(x)


@pytest.mark.parametrize("way", WAYS[:6], ids=str)
@pytest.mark.parametrize("first_order", [False, True])
def test_layers_that_the_loss_does_not_reach_stay_and_get_zeros(first_order, way):
    net, episode = Spare(), episode_of()
    found = meta_loss(net, masked_mse, episode, ALPHA, 2, first_order, **way)
    same(found, by_hand(net, masked_mse, episode, ALPHA, 2, first_order), net.parameters())


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_loss_that_reaches_nothing_leaves_the_net_as_it_is(way):
    def constant(predictions, targets, mask):
        return targets.square().mean()

    net, episode = mlp(), episode_of()
    found = meta_loss(net, constant, episode, ALPHA, 2, **way)
    close(found.detach(), episode.query.targets.square().mean(1))
    if found.requires_grad:
        slopes = torch.autograd.grad((found * torch.arange(7)).sum(), list(net.parameters()))
        assert not any(slope.any() for slope in slopes)


# Dropout


def draws_of(net, episode, seed=5, **options) -> Tensor:
    torch.manual_seed(seed)
    return meta_loss(net, masked_mse, episode, ALPHA, 2, **options)


@pytest.mark.parametrize("way", WAYS[:6], ids=str)
@pytest.mark.parametrize("grad", [False, True])
def test_dropout_is_refused_by_default(grad, way):
    support, query = episode = episode_of()
    net = mlp(nn.Dropout(0.5))
    calls = [
        lambda: meta_loss(net, masked_mse, episode, ALPHA, 2, **way),
        lambda: adapted_predictions(net, masked_mse, support, query.inputs, ALPHA, 2, **way),
        lambda: adapted_parameters(net, masked_mse, support, ALPHA, 2),
    ]
    for call in calls:
        with (
            pytest.raises(ValueError, match='say randomness="different"'),
            torch.set_grad_enabled(grad),
        ):
            call()
    net.eval()
    close(calls[0]().detach(), by_hand(net, masked_mse, episode, ALPHA, 2).detach())


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_the_same_draws_are_the_same_in_every_engine(chunk, first_order):
    net, episode = mlp(nn.Dropout(0.5)), episode_of()
    options = {"randomness": "same", "first_order": first_order}
    plain = draws_of(net, episode, engine="loop", chunk=None, **options)
    for engine in ("batched", "loop", "higher"):
        found = draws_of(net, episode, engine=engine, chunk=chunk, **options)
        same(found, plain, net.parameters())
    assert (plain - draws_of(net, episode, seed=6, engine="loop", **options)).abs().max() > 1e-3


def test_the_same_draws_are_those_that_a_lone_task_would_make():
    net, episode = mlp(nn.Dropout(0.5)), episode_of()
    found = draws_of(net, episode, randomness="same")
    alone = []
    for t in range(7):
        torch.manual_seed(5)
        one = Episode(*(Examples(s.inputs[[t]], s.targets[[t]]) for s in episode))
        alone.append(by_hand(net, masked_mse, one, ALPHA, 2))
    same(found, torch.cat(alone), net.parameters())


def alike(n_tasks: int) -> Episode:
    """Tasks with the same data."""
    one = episode_of(n_tasks=1)
    return Episode(*(Examples(s[0].expand(n_tasks, -1, -1), s[1].expand(n_tasks, -1)) for s in one))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_different_draws_differ_between_tasks_and_repeat_with_the_seed(way):
    net, episode = mlp(nn.Dropout(0.5)), alike(7)
    first, again = (draws_of(net, episode, randomness="different", **way) for _ in range(2))
    assert torch.equal(first, again)
    assert len(set(first.tolist())) > 3, "masks of 20 units seldom agree"
    of_one = draws_of(net, episode, randomness="same", **way)
    close(of_one, of_one[:1].expand(7))
    off = draws_of(mlp(nn.Dropout(0.0)), episode, randomness="different", **way)
    close(off, off[:1].expand(7))


@pytest.mark.parametrize("p", [0.0, 0.5])
@pytest.mark.parametrize("randomness", ["same", "different"])
def test_dropout_of_nothing_is_no_dropout(p, randomness):
    """p = 0 in training, and any p in evaluation."""
    net, episode = mlp(nn.Dropout(p)).train(p == 0), episode_of()
    found = meta_loss(net, masked_mse, episode, ALPHA, 2, randomness=randomness)
    same(found, by_hand(net, masked_mse, episode, ALPHA, 2), net.parameters())


@pytest.mark.parametrize("randomness", ["same", "different"])
@pytest.mark.parametrize("engine", ["loop", "higher", "batched"])
def test_the_second_run_of_a_chunk_draws_what_the_first_drew(engine, randomness):
    net, episode = mlp(nn.Dropout(0.5)), episode_of()
    options = {"engine": engine, "randomness": randomness}
    found = draws_of(net, episode, chunk=3, **options)
    torch.rand(3)
    state = torch.get_rng_state()
    ours = gradients(found, list(net.parameters()))
    assert torch.equal(torch.get_rng_state(), state), "going backward is no draw"
    torch.manual_seed(5)
    parts = [  # the same chunks, each in one graph; "same" begins anew with each
        meta_loss(net, masked_mse, part, ALPHA, 2, chunk=None, **options)
        for part in (cut(episode, begin, 3, randomness) for begin in (0, 3, 6))
    ]
    close(found, torch.cat(parts))
    for a, b in zip(ours, gradients(torch.cat(parts), list(net.parameters())), strict=True):
        close(a, b)


def cut(episode: Episode, begin: int, n: int, randomness: str) -> Episode:
    if randomness == "same":
        torch.manual_seed(5)
    return Episode(*(Examples(*(t[begin : begin + n] for t in s[:2])) for s in episode))


def test_a_kind_of_randomness_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"randomness must be .* got 'none'"):
        meta_loss(mlp(), masked_mse, episode_of(), ALPHA, 1, randomness="none")


# What does not run under vmap, and where gradients are off


def with_item(predictions, targets, mask):
    return masked_mse(predictions, targets, mask) * (1 + predictions.sum().item()) ** 0


def branching(predictions, targets, mask):
    return masked_mse(predictions, targets, mask) if predictions.sum() > 0 else predictions.sum()


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("loss", [with_item, branching])
def test_python_that_looks_at_values_is_told_of_the_loop(loss, chunk):
    net, (support, query) = mlp(), episode_of()
    options = {"chunk": chunk, "engine": "batched"}
    told = r"""does not run under torch\.vmap, engine="loop" does without it: vmap"""
    with pytest.raises(ValueError, match=told):
        meta_loss(net, loss, Episode(support, query), ALPHA, 1, **options)
    with pytest.raises(ValueError, match=told):
        adapted_predictions(net, loss, support, query.inputs, ALPHA, 1, **options)
    found = meta_loss(net, loss, Episode(support, query), ALPHA, 1, engine="loop", chunk=chunk)
    same(found, by_hand(net, loss, Episode(support, query), ALPHA, 1), net.parameters())


class Branching(nn.Module):
    """A wide net that looks at its inputs' values."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1024, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x if x.sum() > 0 else -x).tanh().sum(-1)


@pytest.mark.parametrize("net", [Branching(), mlp(nn.BatchNorm1d(5, momentum=None))], ids=type)
def test_a_net_that_looks_at_values_is_told_of_the_loop(net):
    net, episode = copy.deepcopy(net).double(), episode_of((next(net.parameters()).shape[1],))
    with pytest.raises(ValueError, match='engine="loop" does without it'):
        meta_loss(net, masked_mse, episode, 0.01, 1)
    found = meta_loss(net, masked_mse, episode, 0.01, 1, engine="loop")
    same(found, by_hand(net, masked_mse, episode, 0.01, 1), net.parameters())


@pytest.mark.parametrize("hook", ["register_full_backward_hook", "register_full_backward_pre_hook"])
def test_hooks_on_gradients_are_refused_where_they_would_be_passed_over(hook):
    net, episode = mlp(), episode_of()
    getattr(net[3], hook)(lambda module, *gradients: None)
    with pytest.raises(ValueError, match=r'backward hooks.*engine="loop"'):
        meta_loss(net, masked_mse, episode, ALPHA, 1)
    assert meta_loss(net, masked_mse, episode, ALPHA, 1, engine="loop").requires_grad


@pytest.mark.parametrize("engine", ENGINES)
def test_inference_mode_is_refused_since_nothing_would_adapt(engine):
    net, (support, query) = mlp(), episode_of()
    with torch.inference_mode():
        for call in (
            lambda: meta_loss(net, masked_mse, (support, query), ALPHA, 1, engine=engine),
            lambda: adapted_predictions(
                net, masked_mse, support, query.inputs, ALPHA, 1, engine=engine
            ),
            lambda: adapted_parameters(net, masked_mse, support, ALPHA, 1),
        ):
            with pytest.raises(ValueError, match=r"torch\.no_grad\(\) lets it"):
                call()


# The trap that the batched engine avoids


def test_batch_norm_after_a_layer_that_adapts_is_differentiated_twice_rightly():
    net, episode = mlp(nn.BatchNorm1d(5, track_running_stats=False)), episode_of()
    start = {n: p.detach().clone().requires_grad_() for n, p in net.named_parameters()}

    def one(x, y, z, w):
        def value(p, a, b):
            return (functional_call(net, p, (a,)) - b).square().mean()

        theta = start
        for _ in range(2):
            slope = torch.func.grad(value)(theta, x, y)
            theta = {n: theta[n] - 0.3 * slope[n] for n in theta}
        return value(theta, z, w)

    by_func = torch.vmap(one)(*episode.support[:2], *episode.query[:2])
    naive = torch.autograd.grad(by_func.mean(), list(start.values()))
    expected = by_hand(net, masked_mse, episode, 0.3, 2)
    right = torch.autograd.grad(expected.mean(), list(net.parameters()), retain_graph=True)
    off = max((a - b).abs().max() for a, b in zip(naive, right, strict=True))
    largest = max(g.abs().max() for g in right)
    print(f"torch {torch.__version__}, torch.func.grad under vmap is off by {off / largest:.1%}")
    same(meta_loss(net, masked_mse, episode, 0.3, 2), expected, net.parameters())


# The low-rank form of first layers


class Wide(nn.Module):
    """fc [4, 1024] -> tanh -> head; `around` is a forward pass of a test's own."""

    def __init__(self, around=None, **others: nn.Module):
        super().__init__()
        self.fc, self.head = nn.Linear(1024, 4), nn.Linear(4, 1)
        self.around = around
        for name, module in others.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.fc(x)) if self.around is None else self.around(self, x)

    def rest(self, h: Tensor) -> Tensor:
        return self.head(h.tanh())[..., 0]


def wide_episode(n_tasks=5, n_shots=4, scale=1 / 32) -> Episode:
    support, query = episode_of((1024,), n_tasks=n_tasks, n_shots=n_shots)
    return Episode(*(Examples(s.inputs * scale, s.targets) for s in (support, query)))


def in_low_rank(net, episode: Episode, rates=0.3, fast=None, n_steps=3, **options) -> tuple:
    settings = {"order": 2, "randomness": "error", **options}
    loop = loop_of(net, masked_mse, rates, n_steps, fast=fast, **settings)
    return first_layers(loop, episode.support.inputs, episode.query.inputs)


def equals_by_hand(net, episode, rates=0.3, fast=None, leaves=()) -> None:
    """In both orders, chunked and not, with and without a graph."""
    names = fast or [n for n, p in net.named_parameters() if p.requires_grad]
    reached = [*(p for p in net.parameters() if p.requires_grad), *leaves]
    for first_order in (False, True):
        expected = by_hand(net, masked_mse, episode, rates, 3, first_order, names)
        for chunk in (None, 2):
            options = {"fast": fast, "chunk": chunk}
            found = meta_loss(net, masked_mse, episode, rates, 3, first_order, **options)
            same(found, expected, reached)
    support, query = episode
    p = adapted_predictions(net, masked_mse, support, query.inputs, rates, 3, fast, chunk=2)
    close((p - query.targets).square().mean(1), expected.detach())


def both_layers(self, x):
    return self.rest(self.fc(x) + self.other(x).sin())


@pytest.mark.parametrize(
    ("net", "layers"),
    [
        (lambda: Wide(), ["fc"]),
        (lambda: Wide(both_layers, other=nn.Linear(1024, 4)), ["fc", "other"]),
        (lambda: Wide(both_layers, other=nn.Linear(1024, 4, bias=False)), ["fc", "other"]),
        (lambda: Wide(lambda self, x: self.rest(self.fc(x.flip(0)))), ["fc"]),
        (lambda: Wide(lambda self, x: self.rest(self.fc(x.cos()).relu())), ["fc"]),
        (
            lambda: Wide(
                lambda self, x: self.rest(self.fc(self.norm(x))),
                norm=nn.BatchNorm1d(1024, affine=False),
            ),
            ["fc"],
        ),
        (
            lambda: Wide(lambda self, x: self.rest(self.norm(self.fc(x))), norm=nn.BatchNorm1d(4)),
            ["fc"],
        ),
        (lambda: Wide(lambda self, x: self.rest(self.fc(x[: len(x) // 2 * 2]))), ["fc"]),
        (
            lambda: Wide(lambda self, x: self.rest(self.fc(x).detach()) + self.fc.bias.new_ones(1)),
            ["fc"],
        ),
    ],
    ids=[
        "one",
        "two",
        "no bias",
        "permuted",
        "cosine",
        "norm before",
        "norm after",
        "even rows",
        "detached",
    ],
)
def test_a_wide_first_layer_adapts_exactly_in_low_rank(net, layers):
    net, episode = net(), wide_episode()
    assert in_low_rank(net, episode) == tuple(layers)
    equals_by_hand(net, episode)


@pytest.mark.parametrize(
    "fast", [["fc.weight", "head.weight"], ["fc.weight"], ["fc.weight", "fc.bias"]]
)
def test_a_weight_adapts_in_low_rank_without_its_bias(fast):
    net, episode = Wide(), wide_episode()
    assert in_low_rank(net, episode, fast=fast) == ("fc",)
    equals_by_hand(net, episode, fast=fast)


def test_scalar_step_sizes_of_weight_and_bias_learn_in_low_rank():
    net, episode = Wide(), wide_episode()
    rates = {
        n: torch.tensor(0.1 * i + 0.2).requires_grad_()
        for i, (n, _) in enumerate(net.named_parameters())
    }
    assert in_low_rank(net, episode, rates) == ("fc",)
    equals_by_hand(net, episode, rates, leaves=list(rates.values()))


@pytest.mark.parametrize("kind", [nn.LayerNorm, nn.BatchNorm1d])
def test_gradients_flow_through_the_gram_matrix_to_what_comes_before(kind):
    net = Wide(lambda self, x: self.rest(self.fc(self.norm(x))), norm=kind(1024))
    episode, fast = wide_episode(), ["fc.weight", "fc.bias", "head.weight"]
    assert in_low_rank(net, episode, fast=fast) == ("fc",)
    equals_by_hand(net, episode, 0.01, fast=fast)
    net.norm.requires_grad_(False)
    upstream = nn.Linear(3, 1024, bias=False)
    sides = [Examples(upstream(s.inputs), s.targets) for s in episode_of(n_tasks=5)]
    equals_by_hand(net, Episode(*sides), 0.01, leaves=[upstream.weight])


def test_padded_rows_count_for_nothing_in_low_rank():
    net, episode = Wide(), wide_episode()
    filled = Episode(*(padded(side, float("nan")) for side in episode))
    assert in_low_rank(net, Episode(*(padded(side, 0.0) for side in episode))) == ("fc",)
    found = meta_loss(net, masked_mse, filled, 0.3, 3)
    same(found, by_hand(net, masked_mse, episode, 0.3, 3), net.parameters())


def used_again(self, x):
    return self.rest(self.fc(x)) + nn.functional.linear(x, self.fc.weight).sum(-1)


def called_twice(self, x):
    return self.rest(self.fc(x)) + self.fc(2 * x).sin().sum(-1)


def tied_bias() -> Wide:
    net = Wide(both_layers, other=nn.Linear(16, 4))
    net.around = lambda self, x: self.rest(self.fc(x)) + self.other(x[:, :16]).sin().sum(-1)
    net.other.bias = net.fc.bias
    return net


def reaching_weight(scale: float):
    return lambda self, x: self.rest(self.fc(x)) + scale * self.fc.weight.square().sum()


def sorted_by_the_head(self, x):
    order = (x[:, :4] @ self.head.weight[0]).argsort()
    return self.rest(self.fc(x[order]))


NOT_IN_LOW_RANK = {
    "after a layer that adapts": lambda: Wide(
        lambda self, x: self.rest(self.fc(self.norm(x))), norm=nn.LayerNorm(1024)
    ),
    "weight used again": lambda: Wide(used_again),
    "weight used a little": lambda: Wide(reaching_weight(1e-6)),
    "weight used where it does not show yet": lambda: Wide(
        lambda self, x: self.rest(self.fc(x)) + (self.fc.weight.sum() - 1e3).relu()
    ),
    "inputs moved by the head where it does not show yet": lambda: Wide(
        lambda self, x: self.rest(self.fc(x + (self.head.weight.sum() - 1e3).relu()))
    ),
    "weight used on the query alone": lambda: Wide(
        lambda self, x: self.rest(self.fc(x)) + (self.fc.weight.sum() if len(x) == 6 else 0)
    ),
    "weight used without a gradient": lambda: Wide(
        lambda self, x: self.rest(self.fc(x) / self.fc.weight.detach().norm())
    ),
    "inputs scaled by the weight without a gradient": lambda: Wide(
        lambda self, x: self.rest(self.fc(x / self.fc.weight.detach().norm()))
    ),
    "inputs scaled by the head without a gradient": lambda: Wide(
        lambda self, x: self.rest(self.fc(x * self.head.weight.detach().norm()))
    ),
    "inputs signed by the head": lambda: Wide(
        lambda self, x: self.rest(self.fc(x * self.head.weight.sum().sign()))
    ),
    "rows sorted by the head": lambda: Wide(sorted_by_the_head),
    "bias used again": lambda: Wide(lambda self, x: self.rest(self.fc(x)) + self.fc.bias.sum()),
    "bias tied": tied_bias,
    "called twice": lambda: Wide(called_twice),
    "called past the hooks": lambda: Wide(
        lambda self, x: self.rest(self.fc(x)) + self.fc.forward(2 * x).sum(-1)
    ),
    "called by keyword": lambda: Wide(lambda self, x: self.rest(self.fc(input=x))),
    "rows pooled": lambda: Wide(
        lambda self, x: self.rest(self.fc(x.mean(0, keepdim=True))).expand(len(x)) * x[:, 0]
    ),
    "rows doubled": lambda: Wide(
        lambda self, x: self.rest(self.fc(torch.cat([x, 2 * x])))[: len(x)]
    ),
    "rows apart": lambda: Wide(lambda self, x: self.rest(self.fc(x[:, None]))[:, 0]),
    "a state that changes before": lambda: Wide(
        lambda self, x: self.rest(self.fc(self.state(x))), state=Counting()
    ),
}


@pytest.mark.parametrize("name", NOT_IN_LOW_RANK)
def test_a_wide_layer_keeps_its_weights_where_low_rank_would_be_wrong(name):
    net, episode = NOT_IN_LOW_RANK[name](), wide_episode()
    assert in_low_rank(net, episode) == ()
    equals_by_hand(net, episode, 0.1)


def test_a_tied_weight_keeps_its_form():
    net = Wide(both_layers, other=nn.Linear(1024, 4))
    net.other.weight = net.fc.weight
    assert in_low_rank(net, wide_episode()) == ()
    equals_by_hand(net, wide_episode())


def test_a_net_that_runs_only_where_it_stands_is_no_less_right():
    def positive(self, x):
        if bool((self.scale.detach() <= 0).any()):
            raise ValueError("a scale above 0 is wanted")
        return self.rest(self.fc(x)) * self.scale

    net, episode = Wide(positive), wide_episode()
    net.scale = nn.Parameter(torch.tensor(2.0))
    assert in_low_rank(net, episode) == ()
    found = meta_loss(net, masked_mse, episode, 0.01, 1, fast=["fc"])
    same(
        found,
        by_hand(net, masked_mse, episode, 0.01, 1, fast=["fc.weight", "fc.bias"]),
        net.parameters(),
    )


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("own", ["forward hook", "forward pre-hook", "weight norm", "forward"])
def test_a_layer_that_others_changed_keeps_its_form(own):
    net, episode = Wide(), wide_episode()
    if own == "forward hook":
        net.fc.register_forward_hook(lambda module, x, out: 2 * out)
    elif own == "forward pre-hook":
        net.fc.register_forward_pre_hook(lambda module, x: (2 * x[0],))
    elif own == "weight norm":
        nn.utils.parametrizations.weight_norm(net.fc)
    else:
        plain = net.fc.forward
        net.fc.forward = lambda x: 2 * plain(x)
    assert in_low_rank(net, episode) == ()
    equals_by_hand(net, episode, 0.1)


def test_where_low_rank_is_not_worth_it_the_weights_move_themselves():
    net, episode = Wide(), wide_episode()
    assert in_low_rank(net, episode) == ("fc",)
    assert in_low_rank(Wide(fc=nn.Linear(1024, 3), head=nn.Linear(3, 1)), episode) == ()
    assert in_low_rank(net, wide_episode(n_shots=511)) == ("fc",)
    assert in_low_rank(net, wide_episode(n_shots=512)) == ()
    assert in_low_rank(net, episode, n_steps=0) == ()
    assert in_low_rank(net, episode, fast="head") == ()
    assert in_low_rank(net, episode, fast="fc.bias") == ()
    assert in_low_rank(net, episode, randomness="same") == ()
    elementwise = {n: torch.full(p.shape, 0.3) for n, p in net.named_parameters()}
    assert in_low_rank(net, episode, elementwise) == ()
    equals_by_hand(net, wide_episode(), elementwise)
    starts = {"fc.bias": torch.randn(5, 4, generator=seeded(0)).requires_grad_()}
    assert in_low_rank(net, episode, starts=starts) == ()
    found = meta_loss(net, masked_mse, episode, 0.3, 2, starts=starts)
    same(found, by_hand(net, masked_mse, episode, 0.3, 2, starts=starts), net.parameters())


# Memory


def test_chunks_and_low_rank_leave_no_tensor_behind():
    net, episode = Wide(), wide_episode(n_tasks=3)
    weights = torch.arange(3.0)

    def living(calls: int) -> int:
        for call in range(calls):
            losses = meta_loss(net, masked_mse, episode, 0.1, 1, call % 2 == 1, chunk=2)
            (losses * weights).sum().backward()
            meta_loss(net, masked_mse, episode, 0.1, 1)
        del losses
        gc.collect()
        return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())

    once = living(2)
    assert living(40) <= once


# Compiled steps


class Owner:
    """Owns a net and judges it; the net must not live on through its loss."""

    def __init__(self):
        self.net = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1), nn.Flatten(0))

    def loss(self, predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        return masked_mse(predictions, targets, mask)


@pytest.fixture
def traced(monkeypatch):
    """Graphs are traced but run as they are; the list grows by one with each."""
    graphs = []
    monkeypatch.setattr(
        compiled.torch._inductor, "compile", lambda graph, *_, **__: graphs.append(graph) or graph
    )
    return graphs


@pytest.fixture
def one_compilation(monkeypatch):
    """Headers compiled beforehand pay from the second compilation on; there is one."""
    monkeypatch.setattr(torch._inductor.config, "cpp_cache_precompile_headers", False)


@pytest.mark.usefixtures("one_compilation")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_compiled_step_is_exact_and_does_not_keep_its_net_alive():
    owner, episode = Owner(), episode_of(n_tasks=2)
    alpha = torch.tensor(0.2, requires_grad=True)
    net, optimizer = owner.net, torch.optim.SGD(owner.net.parameters(), 0.05)
    for _ in range(3):
        found = meta_loss(net, owner.loss, episode, alpha, 1, compile=True)
        same(found, by_hand(net, masked_mse, episode, alpha, 1), [*net.parameters(), alpha])
        optimizer.zero_grad()
        found.mean().backward()
        optimizer.step()
        with torch.no_grad():
            alpha += 0.1
    assert len(compiled._KNOWN[net]) == 1
    alive = weakref.ref(net)
    del owner, net, optimizer, found
    gc.collect()
    assert alive() is None


def test_a_trace_is_used_again_until_something_that_it_took_for_constant_changes(traced):
    net, loss, episode = case("batch norm in training")
    other = Episode(*(Examples(s.inputs.cos(), s.targets.sin()) for s in episode))

    def run(rates=0.3, n_steps=1, first_order=False, of=episode, fast=None, chunk=None) -> int:
        """The number of traces, after the result was found right."""
        options = {"fast": fast, "chunk": chunk, "compile": True}
        found = meta_loss(net, loss, of, rates, n_steps, first_order, **options)
        same(found, by_hand(net, loss, of, rates, n_steps, first_order, fast), net.parameters())
        return len(traced)

    assert run() == run() == run(of=other) == 1
    with torch.no_grad():
        net[0].weight.mul_(1.5)
        net[1].running_mean.add_(1)
    assert run() == 1
    assert run(rates=0.2) == run(rates=0.2) == run() == 2
    assert run(n_steps=2) == 3
    assert run(first_order=True) == 4
    assert run(fast=["3.weight", "3.bias"]) == 5
    assert run(fast=["0.weight", "0.bias"]) == 6
    assert run(of=Episode(*(Examples(s[0][:, 1:], s[1][:, 1:]) for s in episode))) == 7
    net.eval()
    assert run() == run() == 8
    net.train()
    assert run() == run(chunk=32) == 8
    assert run(chunk=2) == 9, "two chunks of a size"
    assert run(chunk=3) == 11, "one of three and one of one"


def test_learned_step_sizes_are_told_apart_by_who_shares_them(traced):
    net, episode = mlp(), episode_of()
    names = [n for n, _ in net.named_parameters()]
    a, b = (torch.tensor(rate, requires_grad=True) for rate in (0.1, 0.4))
    for rates in ((a, a, a, b), (a, b, b, b), (a, a, a, b)):
        by_name = dict(zip(names, rates, strict=True))
        found = meta_loss(net, masked_mse, episode, by_name, 2, compile=True)
        same(found, by_hand(net, masked_mse, episode, by_name, 2), [*net.parameters(), a, b])
    assert len(traced) == 2


@pytest.mark.parametrize("name", [n for n in NETS if n != "pictures"])
def test_the_trace_of_every_net_is_exact(name, traced):
    net, loss, episode = case(name)
    found = meta_loss(net, loss, episode, 0.3, 1, compile=True)
    leaves = [p for p in net.parameters() if p.requires_grad]
    same(found, by_hand(net, loss, episode, 0.3, 1), leaves)
    assert len(traced) == 1


@pytest.mark.parametrize("first_order", [False, True])
def test_the_trace_of_a_layer_in_low_rank_is_exact(first_order, traced):
    net, episode = Wide(), wide_episode(n_tasks=2)
    alpha = torch.tensor(0.3, requires_grad=True)
    found = meta_loss(net, masked_mse, episode, alpha, 2, first_order, compile=True)
    expected = by_hand(net, masked_mse, episode, alpha, 2, first_order)
    same(found, expected, [*net.parameters(), alpha])
    assert len(traced) == 1
    stacked = [tuple(getattr(node.meta.get("val"), "shape", ())) for node in traced[0].graph.nodes]
    assert (2, 4, 1024) in stacked, "inputs"
    assert (2, 4, 4) in stacked, "the Gram matrix"


@pytest.mark.parametrize("own", [False, True])
def test_a_trace_reaches_features_buffers_and_step_sizes_of_the_nets_own(own, traced):
    net, episode, before = Paced(), episode_of(), nn.Linear(3, 3)
    net.net.append(Scale(torch.tensor(1.5, requires_grad=True)))
    featured = Episode(*(Examples(before(s.inputs), s.targets) for s in episode))
    names = [f"net.{n}" for n, _ in net.net.named_parameters()]
    alpha = net.log_alpha if own else net.log_alpha.exp()
    found = meta_loss(
        net, masked_mse, featured, dict.fromkeys(names, alpha), 1, fast="net", compile=True
    )
    expected = by_hand(net, masked_mse, featured, alpha, 1, fast=names)
    same(found, expected, [*net.parameters(), *before.parameters(), net.net[-1].factor])


class Toll(nn.Module):
    """A loss with a parameter of its own and one of the net's."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.w, self.last = nn.Parameter(torch.tensor(1.3)), net[-2]

    def forward(self, predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        toll = self.w.square() * self.last.weight.square().sum()
        return self.w * masked_mse(predictions, targets, mask) + toll

    def halved(self, *judged: Tensor) -> Tensor:
        return self(*judged) / 2


@pytest.mark.parametrize("method", [False, True], ids=["module", "method"])
def test_a_trace_reaches_the_parameters_of_the_loss(method, traced):
    net, episode = mlp(), episode_of()
    owner = Toll(net)
    loss = owner.halved if method else owner
    for _ in range(2):
        found = meta_loss(net, loss, episode, ALPHA, 2, compile=True)
        expected = meta_loss(net, loss, episode, ALPHA, 2, chunk=None)
        same(found, expected, [*net.parameters(), owner.w])
        with torch.no_grad():
            owner.w += 0.4
    assert len(traced) == 1
    owner.eval()
    meta_loss(net, loss, episode, ALPHA, 2, compile=True)
    assert len(traced) == 2, "the loss may do something else in eval mode"


def test_without_gradients_nothing_is_compiled(traced):
    net, loss, episode = case("layer norm")
    with torch.no_grad():
        found = meta_loss(net, loss, episode, ALPHA, 2, compile=True)
    close(found, by_hand(net, loss, episode, ALPHA, 2).detach())
    assert not traced


factor = torch.tensor(2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "loop"}, """compile wants engine="batched" and no starts, got 'loop'"""),
        ({"engine": "higher"}, """compile wants engine="batched" and no starts, got 'higher'"""),
        ({"starts": {"3.bias": torch.zeros(7, 1)}}, "no starts"),
        ({"randomness": "same"}, 'compile makes no random draws: it wants randomness="error"'),
        ({"net": mlp(nn.Dropout(0.5))}, "cannot be traced.*random"),
        ({"loss": branching}, "cannot be traced.*data-dependent"),
        ({"loss": lambda p, t, mask: masked_mse(p * factor, t, mask)}, "cannot be traced"),
    ],
)
def test_what_cannot_be_compiled_is_refused(change, message, traced):
    arguments = {"net": mlp(), "loss": masked_mse, "episode": episode_of(), "n_steps": 1, **change}
    arguments["net"] = copy.deepcopy(arguments["net"]).double()
    with pytest.raises(ValueError, match=message):
        meta_loss(inner_lr=ALPHA, compile=True, **arguments)
    assert not traced
