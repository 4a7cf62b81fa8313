"""log p(x | η): equal to scipy's, in float64 and as well as float32 can, and a distribution."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from isthmus import Bernoulli, Categorical, ContinuousBernoulli, Multinomial
from tests.likelihoods.cases import (
    MEMBERS,
    Likelihood,
    draw_data,
    draw_eta,
    expectation,
    generator,
    in_every_cell,
    ours,
    spread,
    truth,
)

N, D = 6, 4
EVERY = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
DENSITIES = [member for member in MEMBERS.values() if member != Bernoulli(fractions=True)]

# far from where the tests of moments look: rates in the millions, sure bits, tiny scales
FAR = {
    "mean": (-1e3, 1e3),
    "median": (-1e3, 1e3),
    "log_scale": (-8, 6),
    "df": (-20, 1e4),
    "logit": (-40, 40),
    "logits": (-40, 40),
    "log_mean": (-12, 17),
    "log_dispersion": (-14, 60),
    "zero_logit": (-40, 40),
}


def far_eta(member: Likelihood, seed: int) -> tuple[torch.Tensor, ...]:
    source = generator(seed)

    def uniform(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        low, high = FAR[name]
        return low + (high - low) * torch.rand(shape, generator=source, dtype=torch.float64)

    return spread(member, uniform, N, D)


def settings(member: Likelihood, *, far: bool):
    """Pairs of rows and η: any values of the support, and values that this η makes likely."""
    for seed in range(3):
        eta = far_eta(member, seed) if far else draw_eta(member, N, D, seed)
        yield draw_data(member, N, D, seed), eta
        yield member.sample(eta, generator(seed)), eta


@EVERY
@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_log_prob_is_scipys(member, far):
    for x, eta in settings(member, far=far):
        wanted = truth(member, x, eta, exact=far)
        torch.testing.assert_close(ours(member, x, eta), wanted, rtol=1e-9, atol=1e-9)


@EVERY
@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_float32_is_as_good_as_an_eta_in_float32(member, far):
    for x, eta in settings(member, far=far):
        assert_good_in_float32(member, x, eta)


def test_float32_is_enough_for_long_documents():
    member, eta = Multinomial(total=1_000_000), draw_eta(Multinomial(), N, 12)
    assert_good_in_float32(member, member.sample(eta, generator()), eta)


@pytest.mark.parametrize("size", [60.0, 1e3, 1e4])
def test_float32_is_enough_for_intensities_next_to_an_end(size):
    member, eta = ContinuousBernoulli(), (torch.tensor([[-size, size]], dtype=torch.float64),)
    x = member.sample((eta[0].expand(N, 2),), generator())
    assert_good_in_float32(member, x, eta)


def assert_good_in_float32(member: Likelihood, x: torch.Tensor, eta: tuple[torch.Tensor, ...]):
    """The value in float32 is the exact one of an η (and a real x) a few last places away.

    That is the most that can be asked: |error| ≤ 16 ε (|log p| + Σ |η ∂log p/∂η| + 1).
    """
    x, eta = x.float(), in_every_cell(member, tuple(part.float() for part in eta), *x.shape)
    real = member.traits.support.description == "finite real numbers"
    point, wide = x.double(), tuple(part.double() for part in eta)
    inputs = [value.requires_grad_() for value in (*wide, *((point,) if real else ()))]
    exact = ours(member, point, wide)
    bound = 1 + exact.detach().abs()
    for value, slope in zip(inputs, torch.autograd.grad(exact.sum(), inputs), strict=True):
        effect = slope.abs() * value.detach().abs().clamp_min(1)
        bound += effect.flatten(exact.dim()).sum(-1) if effect.dim() > exact.dim() else effect
    worst = float(((ours(member, x, eta) - exact).detach().abs() / bound).max())
    assert worst <= 16 * torch.finfo(torch.float32).eps, worst


@EVERY
@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_nll_of_a_row_is_minus_the_sum_of_its_log_probs(member, far):
    for x, eta in settings(member, far=far):
        rows = -member.log_prob(x, eta).sum(1)
        torch.testing.assert_close(member.nll(x, eta), rows, rtol=1e-12, atol=1e-10)
        narrow = member.nll(x.float(), tuple(part.float() for part in eta))
        parts = member.log_prob(x.float(), tuple(part.float() for part in eta))
        assert narrow.dtype == torch.float32
        # the same terms, rounded and added in another order
        bound = (1 + parts.abs()).sum(1)
        assert ((narrow + parts.sum(1)).abs() <= 16 * torch.finfo(torch.float32).eps * bound).all()


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(member, dtype):
    eta = tuple(part.to(dtype) for part in draw_eta(member, N, D))
    x = draw_data(member, N, D).to(dtype)
    value = member.log_prob(x, eta)
    assert value.dtype == torch.float32
    assert torch.equal(value, member.log_prob(x.float(), tuple(part.float() for part in eta)))
    assert member.nll(x, eta).dtype == torch.float32
    assert member.mean(eta).dtype == torch.float32
    assert member.sample(eta, generator()).dtype == torch.float32


@EVERY
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_integers_are_read_as_the_numbers_they_are(member, dtype):
    eta, x = draw_eta(member, 1, D), torch.tensor([[0, 1, 1, 0]]).to(dtype)
    torch.testing.assert_close(member.log_prob(x, eta), member.log_prob(x.double(), eta))
    if not isinstance(member, Categorical) and member.traits.support.contains(np.array([[255]])):
        x = torch.full((1, D), 255, dtype=torch.uint8)
        torch.testing.assert_close(member.log_prob(x, eta), member.log_prob(x.double(), eta))


@EVERY
def test_one_eta_for_all_rows_or_all_columns_is_that_eta_in_every_cell(member):
    x, eta = draw_data(member, N, D), in_every_cell(member, draw_eta(member, 1, D), 1, D)
    for size in (D, 1):
        few = tuple(part[0, :size] for part in eta)
        cells = in_every_cell(member, few, N, D)
        torch.testing.assert_close(member.log_prob(x, few), member.log_prob(x, cells))


@pytest.mark.parametrize("member", DENSITIES, ids=repr)
def test_probabilities_sum_to_one(member):
    total = expectation(member, draw_eta(member, 1, 3), torch.ones_like)
    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64), rtol=1e-8, atol=0)


def test_the_cross_entropy_of_fractions_is_not_a_density_but_sums_to_one_over_bits():
    member, logit = Bernoulli(fractions=True), torch.tensor([0.7], dtype=torch.float64)

    def density(x: float) -> float:
        return float(member.log_prob(torch.tensor([[x]], dtype=torch.float64), (logit,)).exp())

    assert quad(density, 0, 1)[0] < 0.6
    assert density(0) + density(1) == pytest.approx(1, rel=1e-12)
    assert "not a log-density" in Bernoulli.__doc__


def test_parts_of_a_document_sum_to_the_whole_whatever_its_length():
    member, eta = Multinomial(), (torch.randn(1, 5, generator=generator(), dtype=torch.float64),)
    rows = torch.tensor([[0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [9, 0, 3, 0, 1]]).double()
    torch.testing.assert_close(ours(member, rows, eta), truth(member, rows, eta))
    assert float(ours(member, rows, eta)[0]) == 0
    assert torch.isfinite(member.log_prob(rows, eta)).all()
