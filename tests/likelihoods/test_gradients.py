"""d(−log p)/dη: by finite differences for all, and mean − x for the canonical ones."""

import pytest
import torch

from isthmus import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Gaussian,
    Laplace,
    Multinomial,
    Poisson,
)
from tests.likelihoods.cases import MEMBERS, draw_data, draw_eta

EVERY = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)


@EVERY
def test_gradient_is_that_of_finite_differences(member):
    x, eta = draw_data(member, 4, 3, seed=1), draw_eta(member, 4, 3, seed=1)
    learned = [p.varies != "fixed" for p in member.traits.parameters]
    inputs = tuple(part.requires_grad_(free) for part, free in zip(eta, learned, strict=True))
    assert torch.autograd.gradcheck(lambda *eta: -member.log_prob(x, eta), inputs)


@EVERY
def test_gradient_of_the_nll_is_that_of_the_log_probs(member):
    x, eta = draw_data(member, 6, 3), draw_eta(member, 6, 3)
    learned = [p.varies != "fixed" for p in member.traits.parameters]
    inputs = [part.requires_grad_() for part, free in zip(eta, learned, strict=True) if free]
    one = torch.autograd.grad(member.nll(x, eta).sum(), inputs)
    two = torch.autograd.grad(-member.log_prob(x, eta).sum(), inputs)
    torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "member", [m for m in MEMBERS.values() if not isinstance(m, Categorical)], ids=repr
)
def test_gradient_of_the_mean_is_that_of_finite_differences(member):
    eta = draw_eta(member, 4, 3, seed=1)
    learned = [p.varies != "fixed" for p in member.traits.parameters]
    inputs = tuple(part.requires_grad_(free) for part, free in zip(eta, learned, strict=True))
    assert torch.autograd.gradcheck(lambda *eta: member.mean(eta), inputs)


@pytest.mark.parametrize(
    "member",
    [Bernoulli(), Bernoulli(fractions=True), ContinuousBernoulli(), Poisson(), Gaussian(1.0)],
    ids=repr,
)
def test_a_canonical_head_has_the_gradient_mean_minus_x(member):
    x, eta = draw_data(member, 6, 3), draw_eta(member, 6, 3)
    eta[0].requires_grad_()
    (slope,) = torch.autograd.grad(-member.log_prob(x, eta).sum(), eta[0])
    torch.testing.assert_close(slope, member.mean(eta).detach() - x, rtol=1e-9, atol=1e-9)


def test_a_category_has_the_gradient_probability_minus_one_hot():
    member = Categorical(4)
    x, (logits,) = draw_data(member, 6, 3), draw_eta(member, 6, 3)
    (slope,) = torch.autograd.grad(-member.log_prob(x, (logits.requires_grad_(),)).sum(), logits)
    truth = logits.detach().softmax(-1) - torch.nn.functional.one_hot(x.long(), 4)
    torch.testing.assert_close(slope, truth, rtol=1e-9, atol=1e-9)


def test_a_document_has_the_gradient_expected_counts_minus_counts():
    member = Multinomial()
    x, (logit,) = draw_data(member, 6, 5), draw_eta(member, 6, 5)
    (slope,) = torch.autograd.grad(-member.log_prob(x, (logit.requires_grad_(),)).sum(), logit)
    truth = x.sum(1, keepdim=True) * logit.detach().softmax(-1) - x
    torch.testing.assert_close(slope, truth, rtol=1e-9, atol=1e-9)


def test_a_median_has_the_gradient_of_the_absolute_error_and_none_at_the_kink():
    median = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64, requires_grad=True)
    eta = (median, torch.zeros(1, dtype=torch.float64))
    x = torch.ones(1, 3, dtype=torch.float64)
    (slope,) = torch.autograd.grad(-Laplace(floor=1e-9).log_prob(x, eta).sum(), median)
    assert slope.tolist() == pytest.approx([-1.0, 1.0, 0.0])


@pytest.mark.parametrize("logit", [0.0, 1e-9, -0.49999, 0.5, -0.5, 0.50001, 1e-3])
def test_the_continuous_bernoulli_is_smooth_where_its_series_begins_and_ends(logit):
    eta = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[0.3]], dtype=torch.float64)
    (slope,) = torch.autograd.grad(ContinuousBernoulli().log_prob(x, (eta,)).sum(), eta)
    assert float(slope) == pytest.approx(0.3 - float(ContinuousBernoulli().mean((eta.detach(),))))


@EVERY
@pytest.mark.parametrize("weight", [1.0, 1 / 256])
def test_the_slope_is_the_gradient_of_the_weighted_nll(member, weight):
    x, eta = draw_data(member, 6, 3), draw_eta(member, 6, 3)
    nll, slopes = member.slope(x, eta, weight)
    torch.testing.assert_close(nll, member.nll(x, eta), rtol=1e-12, atol=1e-12)
    for parameter, part, slope in zip(member.traits.parameters, eta, slopes, strict=True):
        assert slope.shape == part.shape
        if parameter.varies != "fixed":
            part.requires_grad_()
    free = [part for part in eta if part.requires_grad]
    truth = torch.autograd.grad(weight * member.nll(x, eta).sum(), free)
    found = [slope for slope, part in zip(slopes, eta, strict=True) if part.requires_grad]
    torch.testing.assert_close(tuple(found), truth, rtol=1e-9, atol=1e-11)


@EVERY
def test_the_slope_is_a_number_far_out(member):
    x, eta = draw_data(member, 6, 3).float(), draw_eta(member, 6, 3)
    for far in (1e4, -1e4):
        out = tuple(
            part.float() if parameter.varies == "fixed" else part.float() + far
            for parameter, part in zip(member.traits.parameters, eta, strict=True)
        )
        nll, slopes = member.slope(x, out)
        assert torch.equal(torch.isfinite(nll), torch.isfinite(member.nll(x, out)))
        assert not any(torch.isnan(slope).any() for slope in slopes)
