"""The chain rule written out gives what torch's automatic differentiation gives."""

import pytest
import torch

from isthmus import Gaussian, GaussianNoise, Masking
from isthmus.activations import ACTIVATIONS
from isthmus.backpropagation import backward, forward
from isthmus.encoders import ENCODERS
from isthmus.networks import MLP
from isthmus.objective import Objective
from tests.likelihoods.cases import MEMBERS, draw_data, generator
from tests.problems import make_model, wake


def gradients(module):
    return {name: weight.grad for name, weight in module.named_parameters()}


def random_mlp(widths, name):
    mlp = MLP(widths, name, generator()).double()
    with torch.no_grad():
        for weight in mlp.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator(1)))
    return mlp


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(5, 3), (5, 7, 3), (5, 7, 2, 6, 4)], ids=str)
def test_output_and_every_gradient(name, widths):
    mlp = random_mlp(widths, name)
    x = 3 * torch.randn(9, 5, dtype=torch.float64, generator=generator(2))
    slope = torch.randn(9, widths[-1], dtype=torch.float64, generator=generator(3))
    with torch.no_grad():
        out, trace = forward(mlp, x, half=False)
        to_input = trace.to_input(backward(mlp, trace, slope))
    found = gradients(mlp)
    mlp.zero_grad()
    x.requires_grad_()
    truth = mlp(x)
    truth.backward(slope)
    torch.testing.assert_close(out, truth.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(to_input, x.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found, gradients(mlp), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 2, 5, 12, 13])
def test_gradients_are_written_over_in_place_or_added(width, dtype):
    mlp = random_mlp((20, width, 20), "tanh").to(dtype)
    x, slope = torch.randn(2, 9, 20, dtype=dtype, generator=generator(2))
    truth = mlp(x)
    truth.backward(slope)
    exact = gradients(mlp)
    mlp.zero_grad()
    places = {}
    with torch.no_grad():
        for turn, add in enumerate((False, False, True)):
            _, trace = forward(mlp, x, half=False)
            backward(mlp, trace, slope, add=add)
            expected = {name: (1 + add) * gradient for name, gradient in exact.items()}
            torch.testing.assert_close(gradients(mlp), expected, rtol=1e-4, atol=1e-5)
            found = {name: gradient.data_ptr() for name, gradient in gradients(mlp).items()}
            assert turn == 0 or found == places
            places = found


@torch.no_grad()
def test_half_precision_rounds_and_gives_gradients_in_full():
    mlp = random_mlp((40, 30, 20), "silu").float()
    x, slope = torch.randn(64, 40, generator=generator()), torch.ones(64, 20)
    full, trace = forward(mlp, x, half=False)
    backward(mlp, trace, slope)
    exact = gradients(mlp)
    mlp.zero_grad()
    half, trace = forward(mlp, x, half=True)
    backward(mlp, trace, slope)
    before = {name: found.clone() for name, found in gradients(mlp).items()}
    backward(mlp, trace, slope)
    torch.testing.assert_close(gradients(mlp), before, rtol=0, atol=0)
    assert trace.weights[0].dtype == torch.bfloat16
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    torch.testing.assert_close(half, full, rtol=0.05, atol=0.05)
    for name, found in gradients(mlp).items():
        assert found.dtype == torch.float32
        assert (found - exact[name]).norm() < 0.02 * exact[name].norm()


def both_ways(member, encoder, objective):
    """Terms and gradients by `Objective.descend` and by torch alone, from the same draws."""
    z = draw_data(member, 9, 6, seed=4)
    model = wake(make_model(z.float(), member, encoder, n_components=3), size=0.2)
    assert model.layers is not None
    terms = objective.descend(model, z, generator(), 0.5, 1 / 8)
    found = gradients(model)
    model.zero_grad()
    truth = objective(model, z, generator(), 0.5)
    (truth.total().sum() / 8).backward()
    return terms, found, truth.detached(), gradients(model)


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
@pytest.mark.parametrize("name", ENCODERS)
def test_descending_is_what_torch_would_do(member, name):
    objective = Objective((Masking(0.2), GaussianNoise(0.1)))
    terms, found, truth, gradient = both_ways(member, ENCODERS[name], objective)
    torch.testing.assert_close(terms.total(), truth.total(), rtol=1e-10, atol=1e-10)
    assert (terms.kl is None) == (truth.kl is None)
    torch.testing.assert_close(found, gradient, rtol=1e-7, atol=1e-9)


def test_terms_have_no_graph():
    for encoder in ENCODERS:
        terms, *_ = both_ways(Gaussian(), ENCODERS[encoder], Objective())
        for part in (terms.nll, terms.kl, terms.kl_cost):
            assert part is None or not part.requires_grad
