"""Networks start with unit variance at every depth, and know the shapes they promise."""

import math
import pickle

import pytest
import torch
from scipy.integrate import quad
from torch.nn import functional as F

from isthmus import InvalidParameterError, networks
from isthmus.activations import ACTIVATIONS, activation
from isthmus.networks import MLP, ConvDecoder, ConvEncoder, Shortcut, TiedMLP
from isthmus.sparse import SparseBatch


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gain_is_the_integral(name):
    def integrand(z: float) -> float:
        value = float(activation(name).function(torch.tensor(z, dtype=torch.float64)))
        return value**2 * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

    second_moment = quad(integrand, -12, 0)[0] + quad(integrand, 0, 12)[0]
    assert activation(name).gain == pytest.approx(second_moment**-0.5, rel=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_pre_activations_have_unit_variance_through_depth(name):
    x = torch.randn(64, 256, generator=generator(100))
    nets = [MLP([256] * 9, name, generator(seed)).linear_layers for seed in range(20)]
    streams = [x] * len(nets)
    for depth in range(8):
        before = [layers[depth](z) for layers, z in zip(nets, streams, strict=True)]
        assert 0.8 < float(torch.stack(before).square().mean()) < 1.25, depth
        streams = [activation(name).function(a) for a in before]


@torch.no_grad()
@pytest.mark.parametrize("name", ["identity", "relu", "silu", "tanh", "sin"])
def test_convolutions_have_unit_variance_too(name):
    x = torch.randn(32, 40 * 40, generator=generator(100))
    phi, second_moments = activation(name).function, []
    for seed in range(20):
        net = ConvEncoder((40, 40), [64, 8], name, generator(seed))
        image = x.view(-1, 1, 40, 40)
        stages = []
        for convolution in net.convolutions:
            before = convolution(image)
            stages.append(before[:, :, 2:-2, 2:-2])  # the padding of the border is not unit
            image = phi(before)
        first = net.top.linear_layers[0](image.flatten(1))
        stages += [first, net.top.linear_layers[1](phi(first))]
        second_moments.append([float(stage.square().mean()) for stage in stages])
    means = torch.tensor(second_moments).mean(0)
    assert ((means > 0.7) & (means < 1.3)).all(), means


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_is_autograds_and_is_differentiable(name):
    a = torch.linspace(-4, 4, 50, dtype=torch.float64).add(0.01).requires_grad_()
    (truth,) = torch.autograd.grad(activation(name).function(a).sum(), a)
    slope = activation(name).derivative(a)
    torch.testing.assert_close(slope, truth, rtol=1e-10, atol=1e-12)
    if slope.requires_grad:
        assert torch.autograd.gradcheck(activation(name).derivative, (a,))


def test_a_decoder_begins_at_a_constant():
    constant = torch.arange(12.0)
    for net in (
        MLP([3, 8, 12], "silu", generator()),
        ConvDecoder((2, 2, 3), [3, 8], 1, "silu", generator()),
    ):
        net.begin_at(constant)
        torch.testing.assert_close(net(torch.randn(5, 3)), constant.expand(5, 12))


def test_tied_decoder_uses_the_encoders_transposed_weights():
    encoder = MLP([6, 4, 2 * 3], "tanh", generator())
    decoder = TiedMLP(encoder, 3)
    assert {name for name, _ in decoder.named_parameters()} == {"biases.0", "biases.1"}
    first, second = encoder.linear_layers
    h = torch.randn(5, 3)
    truth = torch.tanh(h @ second.weight[:3]) @ first.weight
    torch.testing.assert_close(decoder(h), truth)


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (28, 28, 1), (5, 6, 3), (1, 1)])
def test_convolutional_pair_keeps_any_image_size(shape):
    d = math.prod(shape)
    encoder = ConvEncoder(shape, [16, 4], "silu", generator())
    decoder = ConvDecoder(shape, [4, 16], 2, "silu", generator())
    codes = encoder(torch.randn(3, d))
    assert codes.shape == (3, 4)
    assert decoder(codes).shape == (3, 2 * d)


@pytest.mark.parametrize(
    "shape", [(8, 8), (28, 28, 3), (4, 12), (6, 8), (7, 8), (5, 5, 2), (1, 1)], ids=str
)
def test_enlarging_and_convolving_at_once_is_the_same(shape, monkeypatch):
    decoder = ConvDecoder(shape, [4, 6], 2, "tanh", generator()).double()
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.normal_(generator=generator(1))
    h = torch.randn(3, 4, generator=generator(2), dtype=torch.float64, requires_grad=True)

    def found():
        out = decoder(h)
        return [out, *torch.autograd.grad(out.square().sum(), [h, *decoder.parameters()])]

    def one_by_one(self, image, size):
        return F.conv2d(F.interpolate(image, size=size), self.weight, self.bias, padding=1)

    at_once = found()
    monkeypatch.setattr(networks._EnlargingConv2d, "forward", one_by_one)
    for one, other in zip(at_once, found(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_convolutions_refuse_rows_that_are_not_images():
    with pytest.raises(InvalidParameterError, match="network='mlp'"):
        ConvEncoder((64,), [4], "silu", generator())


def test_unknown_activation_is_refused_with_the_names():
    with pytest.raises(InvalidParameterError, match="silu"):
        activation("swish")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_network_of_any_activation_is_pickled(name):
    mlp = MLP([3, 4, 2], name, generator())
    again = pickle.loads(pickle.dumps(mlp))
    assert again.activation is ACTIVATIONS[name]
    x = torch.ones(2, 3)
    assert torch.equal(again(x), mlp(x))


# ---- a linear map and hidden layers side by side ------------------------------------------------


@pytest.mark.parametrize("signs", [False, True])
def test_a_shortcut_is_a_linear_map_plus_hidden_layers(signs):
    network = Shortcut([5, 7, 3], "tanh", torch.Generator().manual_seed(0), signs=signs)
    torch.nn.init.normal_(network.bent.linear_layers[-1].weight)
    h = torch.rand(6, 5)
    x = 2 * h - 1 if signs else h
    first, last = network.bent.linear_layers
    expected = network.straight(x) + last(torch.tanh(first(x)))
    torch.testing.assert_close(network(h), expected)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 6)])
def test_a_shortcut_begins_at_a_constant_and_at_first_is_its_linear_map(hidden):
    network = Shortcut([5, *hidden, 3], "gelu", torch.Generator().manual_seed(0))
    x = torch.rand(6, 5)
    torch.testing.assert_close(network(x), network.straight(x))
    network.begin_at(torch.tensor([1.0, -2.0, 3.0]))
    assert torch.equal(network(x), torch.tensor([1.0, -2.0, 3.0]).expand(6, 3))


def test_a_shortcut_speaks_in_its_unit():
    plain, large = (
        Shortcut([5, 7, 3], "tanh", torch.Generator().manual_seed(0), unit=unit) for unit in (1, 8)
    )
    for network in (plain, large):
        torch.nn.init.constant_(network.bent.linear_layers[-1].weight, 0.3)
    x = torch.rand(6, 5)
    torch.testing.assert_close(large(x), 8 * plain(x))
    large.begin_at(torch.tensor([1.0, -2.0, 3.0]))
    assert torch.equal(large(x), torch.tensor([1.0, -2.0, 3.0]).expand(6, 3))


def test_a_shortcut_sees_sparse_rows_as_dense_ones():
    network = Shortcut([5, 7, 3], "gelu", torch.Generator().manual_seed(0))
    torch.nn.init.normal_(network.bent.linear_layers[-1].weight)
    x = torch.rand(6, 5) * (torch.rand(6, 5) > 0.5)
    torch.testing.assert_close(network(SparseBatch.of(x)), network(x))
    assert [layer.in_features for layer in network.first_layers] == [5, 5]
