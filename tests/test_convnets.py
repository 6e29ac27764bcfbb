"""Embedding networks: shapes, dtypes, what each normalisation lets an image see, and functional use."""

import pytest
import torch
from made import seeded
from torch.func import functional_call, grad, vmap

from fsl.convnets import NORMS, Conv4, ConvNet, MapNet

NETS = [Conv4, MapNet]


def images(*shape: int, seed: int = 0):
    return torch.rand(*shape, 28, 28, generator=seeded(seed))


def made(net, norm: str = "batch"):
    torch.manual_seed(0)
    return net(norm)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("norm", NORMS)
def test_leading_dimensions_are_kept(net, norm):
    net = made(net, norm).eval()
    flat = images(6)
    features = net(flat)
    assert features.shape == (6, net.n_features)
    assert torch.equal(net(flat.view(2, 3, 28, 28)), features.view(2, 3, -1))
    if norm != "task":
        assert net(flat[0]).shape == (net.n_features,)
        assert torch.allclose(net(flat[0]), features[0], atol=1e-5)
        assert net(flat[:0]).shape == (0, net.n_features)


def test_the_sizes_are_those_of_the_papers():
    assert Conv4().n_features == 64
    assert sum(p.numel() for p in Conv4().parameters()) == 9 * 64 * (1 + 3 * 64) + 4 * 2 * 64
    assert MapNet().n_features == 128 * 3 * 3
    assert ConvNet((8,), n_pools=0, side=5)(torch.rand(2, 5, 5)).shape == (2, 8 * 25)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("norm", NORMS)
def test_a_query_is_embedded_alone_but_by_the_statistics_of_its_task(net, norm):
    net = made(net, norm)
    net(images(20, seed=1))  # leaves running statistics behind, where there are any
    net.eval()
    first, rest, others = images(1, seed=2), images(5, seed=3), images(5, seed=4) * 3
    beside = [net(torch.cat([first, company]))[0] for company in (rest, others)]
    assert torch.allclose(*beside, atol=1e-5) == (norm != "task")


def test_running_statistics_come_from_training_only():
    net = made(Conv4)
    before = {name: value.clone() for name, value in net.named_buffers()}
    assert before
    net.eval()(images(4))
    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())
    net.train()(images(4))
    assert not any(torch.equal(value, before[name]) for name, value in net.named_buffers())
    assert not [*Conv4("group").buffers(), *Conv4("task").buffers()]


@pytest.mark.parametrize("net", NETS)
def test_other_dtypes_are_the_same_images(net):
    net = made(net).eval()
    whole = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8, generator=seeded(0))
    assert torch.equal(net(whole), net(whole.float() / 255))
    assert torch.equal(net(whole > 128), net((whole > 128).float()))
    double = net.double()
    assert double(whole.double() / 255).dtype == torch.double


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("norm", ["group", "task"])
def test_one_step_per_task_under_vmap_is_the_loop_over_tasks(net, norm):
    net = made(net, norm)
    theta = dict(net.named_parameters())
    tasks = images(3, 4)

    def after_a_step(inputs):
        loss = lambda theta: functional_call(net, theta, (inputs,)).square().mean()  # noqa: E731
        gradient = grad(loss)(theta)
        return functional_call(net, {k: theta[k] - 0.1 * gradient[k] for k in theta}, (inputs,))

    looped = torch.stack([after_a_step(task) for task in tasks])
    assert torch.allclose(vmap(after_a_step)(tasks), looped, atol=1e-4)
    assert not torch.allclose(looped, net(tasks), atol=1e-3), "the step changed something"


def test_every_parameter_learns():
    for norm in NORMS:
        net = made(MapNet, norm)
        net(images(8)).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="unknown norm 'layer', known: batch, group, task"):
        Conv4("layer")
    with pytest.raises(ValueError, match=r"shape \[2, 28, 27\], expected \[\.\.\., 28, 28\]"):
        Conv4()(torch.zeros(2, 28, 27))
