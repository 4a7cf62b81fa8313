"""In float32, for |η| up to 10⁴, nothing is NaN and nothing that can be finite is infinite."""

from itertools import product

import pytest
import torch

from isthmus import Categorical, Gaussian, Laplace, Multinomial, StudentT
from isthmus.likelihoods import Eta
from tests.likelihoods.cases import MEMBERS, draw_data, generator

EVERY = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
SIZES = (-1e4, -100.0, -20.0, 0.0, 1e-30, 20.0, 100.0, 1e4)
D = 3


def extreme_eta(member) -> Eta:
    """Every combination of extreme values of the parameters, one per row, equal in all columns.

    Where only differences matter (levels of a category, words of a document), columns and levels
    are extreme each by itself.
    """
    parameters = member.traits.parameters
    if isinstance(member, Categorical | Multinomial):
        shape = (50, D) if isinstance(member, Multinomial) else (50, D, member.levels)
        choice = torch.randint(len(SIZES), shape, generator=generator())
        return (torch.tensor(SIZES)[choice].requires_grad_(),)
    free = [p.varies != "fixed" for p in parameters]
    rows = torch.tensor(list(product(SIZES, repeat=sum(free))))
    columns = iter(rows.unbind(1))
    fixed = member.start(draw_data(member, 4, D))
    return tuple(
        next(columns).unsqueeze(1).repeat(1, D).requires_grad_() if learned else value.float()
        for learned, value in zip(free, fixed, strict=True)
    )


@EVERY
def test_log_prob_and_its_gradient_are_finite(member):
    eta = extreme_eta(member)
    for row in draw_data(member, 20, D).float():
        value = member.log_prob(row.expand(len(eta[0]), D), eta)
        assert value.dtype == torch.float32
        assert torch.isfinite(value).all()
        for slope in torch.autograd.grad(value.sum(), [e for e in eta if e.requires_grad]):
            assert torch.isfinite(slope).all()


@EVERY
def test_nll_of_a_row_and_its_gradient_are_finite(member):
    x = draw_data(member, 20, D).float()
    fixed = member.start(x[:4].double())
    for sizes in product((-1e4, -20.0, 0.0, 1e4), repeat=len(fixed)):
        eta = tuple(
            start.float() if p.varies == "fixed" else torch.full_like(start.float(), size)
            for p, start, size in zip(member.traits.parameters, fixed, sizes, strict=True)
        )
        learned = [p.varies != "fixed" for p in member.traits.parameters]
        inputs = [part.requires_grad_() for part, free in zip(eta, learned, strict=True) if free]
        value = member.nll(x, eta)
        assert torch.isfinite(value).all()
        for slope in torch.autograd.grad(value.sum(), inputs):
            assert torch.isfinite(slope).all()


@EVERY
def test_mean_and_its_gradient_are_finite(member):
    eta = extreme_eta(member)
    value = member.mean(eta)
    assert torch.isfinite(value).all()
    if value.requires_grad:
        inputs = [e for e in eta if e.requires_grad]
        for slope in torch.autograd.grad(value.sum(), inputs, allow_unused=True):
            assert slope is None or torch.isfinite(slope).all()


@EVERY
def test_samples_are_in_the_support_unless_their_scale_is_beyond_float32(member):
    """A scale e^η is itself infinite in float32 for η above 88: draws are then ±∞, never NaN."""
    eta = extreme_eta(member)
    source = generator()
    for _ in range(20):
        x = member.sample(eta, source).detach()
        if isinstance(member, Gaussian | Laplace | StudentT) and eta[1].numel() > 1:
            assert not x.isnan().any()
            x = x[eta[1][:, 0] < 80]
        member.check(x.numpy())


# of categories and documents only differences between logits matter
ABSOLUTE = [m for m in MEMBERS.values() if not isinstance(m, Categorical | Multinomial)]


@pytest.mark.parametrize("member", ABSOLUTE, ids=repr)
def test_a_prediction_that_is_far_off_is_pushed_back(member):
    start = [part.float() for part in member.start(draw_data(member, 50, D))]
    for side in (-1.0, 1.0):
        # bits and fractions at the other end, the others somewhere in between
        likely = {"f": 0.5, "c": 3.0}.get(member.traits.support.description[0], (1 - side) / 2)
        predicted = torch.full((1, D), side * 1e3, requires_grad=True)
        value = member.log_prob(torch.full((1, D), likely), (predicted, *start[1:]))
        (slope,) = torch.autograd.grad(value.sum(), predicted)
        assert (slope * side < 0).all()
