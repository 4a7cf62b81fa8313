"""Jacobian norms equal those of the full Jacobian, values and gradients, in float64."""

import pytest
import torch
from torch.func import jacrev, vmap

from isthmus.activations import ACTIVATIONS, activation
from isthmus.derivatives import jacobian, squared_norm, squared_norm_mlp
from isthmus.networks import MLP


def full(function, x):
    return vmap(jacrev(lambda row: function(row.unsqueeze(0)).squeeze(0)))(x).square().sum((1, 2))


def network(widths, name):
    net = MLP(widths, name, torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        for layer in net.linear_layers:
            layer.bias.normal_(generator=torch.Generator().manual_seed(2))
    return net


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("widths", [[7, 3], [7, 6, 3], [4, 6, 3], [9, 5, 6, 3], [5, 8, 7, 6, 3]])
@pytest.mark.parametrize("output", ["identity", "sigmoid"])
def test_norm_and_its_gradient_equal_the_full_jacobians(name, widths, output):
    net = network(widths, name)
    x = torch.randn(6, widths[0], dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def f(rows):
        return activation(output).function(net(rows)[:, :2])

    ours, truth = squared_norm_mlp(net, x, 2, output), full(f, x)
    torch.testing.assert_close(ours, truth, rtol=1e-8, atol=1e-12)
    weights = [layer.weight for layer in net.linear_layers]
    got = torch.autograd.grad(ours.sum(), weights)
    wanted = torch.autograd.grad(truth.sum(), weights)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-12)


def test_one_layer_is_rifais_closed_form():
    net = network([7, 4], "sigmoid")
    x = torch.randn(5, 7, dtype=torch.float64)
    h = torch.sigmoid(net(x))
    closed = (h * (1 - h)).square() @ net.linear_layers[0].weight.square().sum(1)
    torch.testing.assert_close(squared_norm_mlp(net, x, 4, "sigmoid"), closed, rtol=1e-12, atol=0)


def test_any_module_goes_through_torch_func():
    module = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Softmax(1)).double()
    x = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(squared_norm(module, x), full(module, x), rtol=1e-12, atol=0)
    assert jacobian(module, x).shape == (3, 4, 5)
    squared_norm(module, x).sum().backward()
    assert module[0].weight.grad.abs().sum() > 0
