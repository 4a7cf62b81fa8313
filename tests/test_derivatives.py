"""Jacobians, their norms and their spectra equal those of torch.func.jacrev, in float64."""

import math

import pytest
import torch
from torch.func import jacrev, vmap

from isthmus import InvalidParameterError
from isthmus.activations import ACTIVATIONS, activation
from isthmus.derivatives import (
    Composed,
    Featurewise,
    OfFunction,
    OfLayers,
    choose,
    contraction,
    estimated_difference_norm,
    estimated_norm,
    jacobian,
    layers_of,
    leading_singular,
    squared_norm,
    squared_norm_mlp,
)
from isthmus.derivatives.contraction import contract
from isthmus.networks import MLP, ConvDecoder, ConvEncoder, TiedMLP

N = 5
PROBES = 2000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(d: int, n: int = N, seed: int = 3) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=generator(seed))


def with_biases(net):
    draws = generator(2)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.normal_(generator=draws)
    return net


def network(widths, name):
    return with_biases(MLP(widths, name, generator(1)).double())


def full(function, x):
    """J of every row by torch.func, (n, m, d)."""
    return vmap(jacrev(lambda row: function(row.unsqueeze(0)).squeeze(0)))(x)


def full_norm(function, x):
    return full(function, x).square().sum((1, 2))


def assert_same(found, wanted, weights):
    """Values and gradients to 1e-8."""
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-12)
    pairs = zip(
        torch.autograd.grad(found.sum(), weights, allow_unused=True),
        torch.autograd.grad(wanted.sum(), weights, allow_unused=True),
        strict=True,
    )
    for weight, (one, other) in zip(weights, pairs, strict=True):
        one, other = (torch.zeros_like(weight) if g is None else g for g in (one, other))
        scale = float(other.abs().max())
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8 * scale + 1e-12)


# ---- f ------------------------------------------------------------------------------------------

# wide and narrow inputs, so that both sides and both ways through the first layer are taken
WIDTHS = [[7, 3], [7, 6, 3], [4, 6, 3], [2, 9, 5], [9, 5, 6, 3], [12, 8, 7, 6, 3], [5, 8, 7, 6, 3]]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("output", ["identity", "sigmoid"])
def test_norm_and_its_gradient_equal_the_full_jacobians(name, widths, output):
    net, x = network(widths, name), rows(widths[0]).requires_grad_()

    def f(points):
        return activation(output).function(net(points)[:, :2])

    found = squared_norm_mlp(net, x, 2, output)
    assert_same(found, full_norm(f, x), [x, *net.parameters()])


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_every_product_with_the_jacobian_of_layers_is_one_with_the_matrix(widths):
    net, x = network(widths, "tanh"), rows(widths[0])
    there, truth = OfLayers(layers_of(net), x), full(net, x)
    u, v = rows(2 * widths[-1]).view(N, 2, -1), rows(2 * widths[0]).view(N, 2, -1)
    pairs = [
        (there.out, net(x)),
        (there.rows(), truth),
        (there.columns(), truth.mT),
        (there.matrix(), truth),
        (there.pull(u), u @ truth),
        (there.push(v), v @ truth.mT),
        (there.inner(), truth @ truth.mT),
        (there.outer().expand(N, -1, -1), truth.mT @ truth),
        (there.squared_norm(), truth.square().sum((1, 2))),
    ]
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_one_layer_is_rifais_closed_form():
    net, x = network([7, 4], "sigmoid"), rows(7)
    h = torch.sigmoid(net(x))
    closed = (h * (1 - h)).square() @ net.linear_layers[0].weight.square().sum(1)
    torch.testing.assert_close(squared_norm_mlp(net, x, 4, "sigmoid"), closed, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(3, 2, 5, 9), (3, 2, 5, 4), (40, 3, 300, 500)], ids=str)
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("inner", [None, 4])
@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("size", [1, 5000, 1 << 20])
def test_contraction_and_its_gradient_in_all_four(
    shape, diagonal, inner, alike, size, monkeypatch
):
    monkeypatch.setattr(contraction, "BLOCK_BYTES", 8 * size)  # one row, a few, all at a time
    n, q, m, d = shape
    product = rows(q * (inner or m), n).view(n, q, -1).requires_grad_()
    between = None if inner is None else rows(m, inner, 7).requires_grad_()
    slopes = rows(m, n, 4).requires_grad_() if diagonal else None
    weight = rows(d, m, 5).requires_grad_()
    whole = product if between is None else product @ between
    scaled = whole if slopes is None else whole * slopes.unsqueeze(1)
    truth = (scaled @ weight).square().sum((1, 2))
    # a gradient that differs from row to row, with both signs, or is the same for all
    share = torch.full((n,), -0.3).double() if alike else rows(n, 1, 6)[0]
    leaves = [leaf for leaf in (product, between, slopes, weight) if leaf is not None]
    assert_same(contract(product, slopes, weight, between) * share, truth * share, leaves)
    with torch.no_grad():
        torch.testing.assert_close(contract(product, slopes, weight, between), truth)


def test_contraction_of_no_row_is_no_number():
    weight = rows(9, 5).requires_grad_()
    found = contract(torch.zeros(0, 2, 5, dtype=torch.float64), None, weight)
    assert found.shape == (0,)
    found.sum().backward()
    assert (weight.grad == 0).all()


@pytest.mark.parametrize(
    "widths", [[7, 3], [12, 80, 3], [90, 70, 50, 3], [4, 60, 50, 30]], ids=str
)
def test_half_precision_is_the_same_up_to_its_rounding(widths):
    net = with_biases(MLP(widths, "tanh", generator(1)))
    x, n = rows(widths[0], 40).float(), 40
    u, v = rows(2 * widths[-1], n).view(n, 2, -1).float(), rows(2 * widths[0], n).view(n, 2, -1)
    asked = {
        "out": lambda there: there.out,
        "rows": OfLayers.rows,
        "columns": OfLayers.columns,
        "pull": lambda there: there.pull(u),
        "push": lambda there: there.push(v.float()),
        "inner": OfLayers.inner,
        "outer": OfLayers.outer,
        "squared_norm": OfLayers.squared_norm,
        "estimated_norm": lambda there: estimated_norm(there, 3, generator(8)),
    }
    for name, what in asked.items():
        found = []
        for half in (True, False):
            net.zero_grad()
            value = what(OfLayers(layers_of(net), x, half=half))
            assert value.dtype == torch.float32, name
            value.square().sum().backward()
            found.append(
                [value.detach(), *(p.grad for p in net.parameters() if p.grad is not None)]
            )
        differ = [float((one - two).norm() / two.norm()) for one, two in zip(*found, strict=True)]
        assert max(differ) < 0.02, name
        # one layer has a closed form, without products
        assert (max(differ) > 0) == (len(widths) > 2), name


# ---- r = g ∘ f ----------------------------------------------------------------------------------


def halves(tied, inner, name, d=8, k=3):
    down = network([d, *inner, k], name)
    if tied:
        up = with_biases(TiedMLP(down, k).double())
    else:
        up = network([k, *reversed(inner), d], name)
    return down, up


LINKS = {"identity": lambda a: a, "sigmoid": torch.sigmoid, "exp": torch.exp}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("inner", [(), (6,), (7, 5), (9, 7, 5)], ids=str)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("link", LINKS)
def test_norm_of_the_reconstruction_and_its_gradient(name, inner, tied, link):
    down, up = halves(tied, inner, name)
    x, mean = rows(8), LINKS[link]
    first = OfLayers(layers_of(down, 3, "sigmoid"), x)
    second = OfLayers(layers_of(up), first.out)
    if link != "identity":
        second = Composed(second, Featurewise(mean, second.out))
    truth = full_norm(lambda points: mean(up(torch.sigmoid(down(points)))), x)
    weights = list({*down.parameters(), *up.parameters()})
    assert_same(Composed(first, second).squared_norm(), truth, weights)


@pytest.mark.parametrize("k", [2, 5, 9])
@pytest.mark.parametrize("blocks", [1, 2])
def test_reconstruction_through_codes_narrower_and_wider_than_the_data(k, blocks):
    d = 5
    down, up = network([d, 6, k], "silu"), network([k, 7, blocks * d], "silu")

    def mean(out):
        return (out.view(-1, blocks, d).sin().prod(1)) + out[:, :d]

    def r(points):
        return mean(up(down(points)))

    x = rows(d)
    first = OfLayers(layers_of(down), x)
    inner = OfLayers(layers_of(up), first.out)
    there = Composed(first, Composed(inner, Featurewise(mean, inner.out)))
    truth = full(r, x)
    torch.testing.assert_close(there.matrix(), truth, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(there.rows(), truth, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(there.columns(), truth.mT, rtol=1e-9, atol=1e-9)
    assert_same(there.squared_norm(), full_norm(r, x), [*down.parameters(), *up.parameters()])


@pytest.mark.parametrize("of", ["encoder", "reconstruction"])
@pytest.mark.parametrize("shape", [(5, 4), (4, 8)], ids=str)
def test_convolutions(of, shape):
    draws = generator(1)
    down = with_biases(ConvEncoder(shape, [6, 3], "silu", draws).double())
    up = with_biases(ConvDecoder(shape, [3, 6], 1, "silu", draws).double())
    x = rows(shape[0] * shape[1], 3)
    there, function = OfFunction(down, x), down
    if of == "reconstruction":
        there = Composed(there, OfFunction(up, there.out))

        def function(points):
            return up(down(points))

    weights = [*down.parameters(), *up.parameters()] if of != "encoder" else [*down.parameters()]
    assert_same(there.squared_norm(), full_norm(function, x), weights)


# ---- any function -------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "m"), [(6, 3), (3, 6), (4, 4)])
def test_any_module_from_either_side(d, m):
    module = torch.nn.Sequential(
        torch.nn.Linear(d, 5), torch.nn.Softplus(), torch.nn.Linear(5, m), torch.nn.Softmax(1)
    ).double()
    x = rows(d)
    there, truth = OfFunction(module, x), full(module, x)
    v = rows(2 * d).view(N, 2, d)
    torch.testing.assert_close(there.push(v), v @ truth.mT, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(jacobian(module, x), truth, rtol=1e-10, atol=1e-12)
    assert_same(squared_norm(module, x), full_norm(module, x), list(module.parameters()))


def test_a_jacobian_without_a_graph_keeps_none():
    module = network([4, 5, 3], "tanh")
    with torch.no_grad():
        found = [jacobian(module, rows(4)), OfLayers(layers_of(module), rows(4)).matrix()]
    assert not any(each.requires_grad for each in found)


class Detached(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x.detach())


class ThroughNumpy(torch.nn.Linear):
    def forward(self, x):
        return torch.from_numpy(x.detach().numpy())[:, :2]


class Rounded(torch.nn.Linear):
    def forward(self, x):
        return x.long()[:, :2]


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * 2


class OnlyOnce(torch.nn.Linear):
    def forward(self, x):
        return super().forward(Once.apply(x))


@pytest.mark.parametrize("kind", [Detached, ThroughNumpy, Rounded])
def test_a_module_without_a_derivative_is_refused_by_name(kind):
    module = kind(3, 2).double()
    with pytest.raises(InvalidParameterError, match=f"{kind.__name__} can't be differentiated"):
        jacobian(module, rows(3), kind.__name__)


def test_what_torch_refuses_is_refused_by_name():
    module = OnlyOnce(3, 5).double()
    with pytest.raises(InvalidParameterError, match="OnlyOnce can't be differentiated by torch"):
        jacobian(module, rows(3), "OnlyOnce").sum().backward()


# ---- estimates ----------------------------------------------------------------------------------


def estimated(which, x):
    """A differential of each kind, wide, tall or square, with its true Jacobian."""
    if which == "code":
        net = network([7, 6, 3], "sigmoid")
        return OfLayers(layers_of(net), x), full(net, x)
    if which == "wide code":
        net = network([7, 6, 9], "sigmoid")
        return OfLayers(layers_of(net), x), full(net, x)
    if which == "module":
        module = torch.nn.Sequential(network([7, 5], "tanh"), torch.nn.Softmax(1))
        return OfFunction(module, x), full(module, x)
    down, up = halves(False, (6,), "tanh", d=7)
    first = OfLayers(layers_of(down), x)
    inner = OfLayers(layers_of(up), first.out)
    there = Composed(first, Composed(inner, Featurewise(torch.sigmoid, inner.out)))
    return there, full(lambda points: torch.sigmoid(up(down(points))), x)


KINDS = ["code", "wide code", "module", "reconstruction"]


def assert_unbiased(draws: torch.Tensor, truth: torch.Tensor) -> None:
    """The mean of (draws, n) is within 3 standard errors; the draws do vary."""
    error = draws.std(0) / math.sqrt(len(draws))
    assert (error > 0).all()
    assert ((draws.mean(0) - truth).abs() < 3 * error).all()


@pytest.mark.parametrize("which", KINDS)
def test_the_mean_estimate_is_the_norm(which):
    x = rows(7, 2)
    there, truth = estimated(which, x)
    draws = generator(8)
    every = torch.stack([estimated_norm(there, 1, draws) for _ in range(PROBES)]).detach()
    assert_unbiased(every, truth.square().sum((1, 2)))


@pytest.mark.parametrize("which", KINDS)
def test_the_mean_estimate_of_a_difference_is_its_norm(which):
    x = rows(7, 2)
    (here, one), (there, other) = estimated(which, x), estimated(which, x + 0.5)
    wanted = (one - other).square().sum((1, 2))
    torch.testing.assert_close(here.difference_norm(there), wanted, rtol=1e-8, atol=1e-12)
    draws = generator(9)
    every = [estimated_difference_norm(here, there, 1, draws) for _ in range(PROBES)]
    assert_unbiased(torch.stack(every).detach(), wanted)


def test_more_probes_vary_less():
    there, _ = estimated("code", rows(7, 1))
    draws = generator(1)
    spread = {
        q: torch.stack([estimated_norm(there, q, draws) for _ in range(400)]).var(0).item()
        for q in (1, 16)
    }
    assert spread[16] == pytest.approx(spread[1] / 16, rel=0.4)


def test_the_choice_follows_the_shapes_and_says_why():
    def of(widths):
        return OfLayers(layers_of(network(widths, "tanh")), rows(widths[0], 1))

    assert choose(of([10, 30, 4])).method == "exact"
    large = choose(of([100, 100, 90]))
    assert large.method == "estimate"
    assert "passes" in large.reason
    assert large.passes == pytest.approx(90 * 100 * 100 / (100 * 100 + 90 * 100))
    assert choose(of([100, 500])).method == "exact"  # one layer has a closed form
    assert choose(of([100, 100, 90]), "exact").method == "exact"
    assert choose(of([10, 30, 4]), "estimate").method == "estimate"


# ---- spectra ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "widths", [[6, 9, 4], [4, 9, 6], [160, 40, 150], [150, 180, 160]], ids=str
)
@pytest.mark.parametrize("k", [1, 3])
def test_leading_values_and_directions_are_those_of_the_svd(widths, k):
    net, x = network(widths, "tanh"), rows(widths[0], 3)
    values, directions = leading_singular(net, x, k)
    _, wanted, turned = torch.linalg.svd(full(net, x).detach(), full_matrices=False)
    torch.testing.assert_close(values, wanted[:, :k], rtol=1e-8, atol=1e-10)
    overlap = (directions * turned[:, :k]).sum(2).abs()
    torch.testing.assert_close(overlap, torch.ones_like(overlap), rtol=0, atol=1e-6)
    assert (directions.gather(2, directions.abs().argmax(2, keepdim=True)) > 0).all()


def test_directions_beyond_the_rank_of_a_large_jacobian_are_orthonormal():
    first, second = network([200, 4], "tanh"), network([4, 190], "tanh")
    values, directions = leading_singular(lambda x: second(first(x)), rows(200, 2), 6)
    truth = torch.linalg.svdvals(full(lambda x: second(first(x)), rows(200, 2)).detach())
    torch.testing.assert_close(values[:, :4], truth[:, :4], rtol=1e-8, atol=1e-10)
    assert values[:, 4:].abs().max() < 1e-8
    eye = torch.eye(6, dtype=torch.float64).expand(2, -1, -1)
    torch.testing.assert_close(directions @ directions.mT, eye, rtol=0, atol=1e-10)


def test_leading_directions_are_the_same_whichever_rows_come_together():
    net, x = network([150, 180, 160], "tanh"), rows(150, 4)
    together = leading_singular(net, x, 2)
    alone = [leading_singular(net, x[i : i + 1], 2) for i in range(4)]
    for part in range(2):
        one = torch.cat([each[part] for each in alone])
        torch.testing.assert_close(together[part], one, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("k", [0, 4])
def test_more_directions_than_a_jacobian_can_have_are_refused(k):
    with pytest.raises(InvalidParameterError, match=r"k must be from 1 to 3"):
        leading_singular(network([5, 3], "tanh"), rows(5), k)
