"""p(h | x): divergences against torch.distributions, draws against their moments."""

import math

import numpy as np
import pytest
import scipy.stats as st
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from isthmus import (
    BernoulliCode,
    Deterministic,
    GaussianCode,
    InvalidParameterError,
    NoisySigmoid,
)
from isthmus._registry import to_card
from isthmus.encoders import ENCODERS


def eta(units: int, outputs: int, n: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, units * outputs, generator=generator, dtype=torch.float64)


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_gaussian_divergence_and_ratio_are_torchs():
    code, values = GaussianCode(), eta(4, 2)
    mean, log_scale = code.split(values)
    posterior = Normal(mean, log_scale.exp())
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(code.kl(values), kl_divergence(posterior, prior))
    h = code.draw(values, code.draw_noise((6, 4), generator()))
    ratio = (prior.log_prob(h) - posterior.log_prob(h)).sum(1)
    torch.testing.assert_close(code.log_ratio(h, values), ratio)


def test_bernoulli_divergence_and_ratio_are_torchs():
    code, values = BernoulliCode(), eta(4, 1)
    posterior, prior = Bernoulli(logits=values), Bernoulli(torch.full_like(values, 0.5))
    torch.testing.assert_close(code.kl(values), kl_divergence(posterior, prior))
    h = code.draw(values, code.draw_noise((6, 4), generator())).detach()
    ratio = (prior.log_prob(h) - posterior.log_prob(h)).sum(1)
    torch.testing.assert_close(code.log_ratio(h, values), ratio)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "noisy_sigmoid"])
def test_the_mean_is_the_mean_of_draws(name):
    code = ENCODERS[name]
    values = eta(3, code.outputs, n=1).expand(40_000, -1)
    draws = code.draw(values, code.draw_noise((40_000, 3), generator()))
    error = draws.std(0) / math.sqrt(40_000)
    assert ((draws.mean(0) - code.mean(values[:1])[0]).abs() <= 5 * error + 1e-12).all()


@pytest.mark.parametrize("name", ENCODERS)
def test_extreme_outputs_stay_finite(name):
    code = ENCODERS[name]
    for size in (-1e4, 1e4):
        values = torch.full((2, 3 * code.outputs), size, requires_grad=True)
        h = code.draw(values, code.draw_noise((2, 3), generator()))
        total = (
            h.sum() + code.kl_objective(code.kl(values)).sum() + code.log_ratio(h, values).sum()
        )
        total.backward()
        assert torch.isfinite(total)
        assert torch.isfinite(values.grad).all()


def test_design_makes_quadratic_expectations_exact():
    points = GaussianCode().design(32, 5, generator())
    torch.testing.assert_close(points.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(points.T @ points / 32, torch.eye(5), atol=1e-4, rtol=0)


def test_bits_are_binary_and_have_the_sigmoids_gradient():
    values = eta(4, 1).requires_grad_()
    bits = BernoulliCode().draw(values, BernoulliCode().draw_noise((6, 4), generator()))
    assert set(bits.detach().unique().tolist()) == {0.0, 1.0}
    bits.sum().backward()
    p = torch.sigmoid(values.detach())
    torch.testing.assert_close(values.grad, p * (1 - p))


def test_noise_before_the_sigmoid_grows_when_asked():
    noise = torch.ones(1, 2, dtype=torch.float64)
    values = torch.zeros(1, 2, dtype=torch.float64)
    grown = NoisySigmoid(noise=2.0, grow=True)
    assert float(grown.draw(values, noise, progress=0.0)[0, 0]) == 0.5
    assert float(grown.draw(values, noise, 0.5)[0, 0]) == pytest.approx(1 / (1 + math.exp(-1)))
    constant = NoisySigmoid(noise=2.0)
    assert float(constant.draw(values, noise, 0.0)[0, 0]) == pytest.approx(1 / (1 + math.exp(-2)))


def test_free_bits_cost_nothing_and_have_no_gradient():
    values = torch.zeros(5, 4, requires_grad=True)
    code = GaussianCode(kl_weight=2.0, free_bits=0.1)
    cost = code.kl_objective(code.kl(values))
    torch.testing.assert_close(cost.detach(), torch.full((5,), 2 * 2 * 0.1))
    cost.sum().backward()
    assert values.grad.abs().sum() == 0


def test_reports_say_what_is_unused():
    values = torch.zeros(100, 4)
    values[:, 0] = torch.randn(100, generator=generator()) * 3
    assert GaussianCode().report(values)["unused_units"] == 1.0
    bits = torch.tensor([[9.0, 9.0], [-9.0, 9.0]])
    assert NoisySigmoid().report(bits) == {"saturation": 1.0, "unused_units": 1.0}
    assert Deterministic().report(values)["unused_units"] == 3.0


@pytest.mark.parametrize("name", ["deterministic", "noisy_sigmoid"])
def test_codes_without_a_prior_refuse_to_sample(name):
    with pytest.raises(InvalidParameterError, match="no prior"):
        ENCODERS[name].sample_prior(3, 2, generator())


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianCode(kl_weight=-1),
        lambda: GaussianCode(free_bits=math.inf),
        lambda: NoisySigmoid(noise=-0.1),
        lambda: BernoulliCode(kl_weight=math.nan),
        lambda: GaussianCode(kl_weight=None),
        lambda: GaussianCode(free_bits="1"),
        lambda: NoisySigmoid(noise="loud"),
        lambda: BernoulliCode(kl_weight=True),
        lambda: Deterministic("nothing"),
    ],
)
def test_values_outside_their_range_are_refused(make):
    with pytest.raises(InvalidParameterError):
        make()


@pytest.mark.parametrize("name", ENCODERS)
def test_parts_are_values(name):
    part = ENCODERS[name]
    assert part == ENCODERS[name]
    assert hash(part) == hash(ENCODERS[name])
    assert ENCODERS.from_card(to_card(part)) == part


# ---- draws and divergences ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ENCODERS)
def test_a_code_is_a_function_of_eta_and_of_noise_from_the_generator(name):
    code, before = ENCODERS[name], torch.random.get_rng_state()
    values = eta(3, code.outputs)
    draws = [code.draw(values, code.draw_noise((6, 3), generator(seed))) for seed in (1, 1, 2)]
    assert draws[0].shape == (6, 3)
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], draws[2]) == (name == "deterministic")
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", ENCODERS)
def test_divergence_is_per_unit_and_the_objective_is_its_sum(name):
    code = ENCODERS[name]
    kl = code.kl(eta(3, code.outputs))
    assert kl.shape == (6, 3)
    torch.testing.assert_close(code.kl_objective(kl), kl.sum(1))
    assert bool((kl > 0).all()) == code.stochastic


@pytest.mark.parametrize("mean", [0.0, 1e-4, -2.0])
@pytest.mark.parametrize("log_scale", [0.0, 1e-4, -1e-3, 0.1, -2.0])
def test_a_small_gaussian_divergence_keeps_its_digits_in_float32(mean, log_scale):
    raw = 8 * math.atanh(log_scale / 8)
    narrow = torch.tensor([[mean, raw]])
    wide = GaussianCode().split(narrow.double())[1].item()
    truth = (narrow[0, 0].double() ** 2 + math.expm1(2 * wide)) / 2 - wide
    # the two halves of the divergence are of the size of log σ
    error = abs(float(GaussianCode().kl(narrow)) - float(truth))
    assert error <= 4 * torch.finfo(torch.float32).eps * (abs(wide) + float(truth))


def test_weights_and_free_bits_change_what_is_minimised_and_not_what_is_reported():
    values = eta(4, 2)
    plain, weighted = GaussianCode(), GaussianCode(kl_weight=0.25, free_bits=0.3)
    kl = plain.kl(values)
    torch.testing.assert_close(weighted.kl(values), kl)
    assert weighted.report(values) == plain.report(values)
    unit = torch.maximum(kl.mean(0), torch.tensor(0.3))
    torch.testing.assert_close(weighted.kl_objective(kl).mean(), 0.25 * unit.sum())
    torch.testing.assert_close(BernoulliCode(3.0).kl_objective(kl), 3 * kl.sum(1))


def test_gaussian_draws_have_their_mean_and_standard_deviation():
    code, values = GaussianCode(), eta(3, 2, n=1).expand(40_000, -1)
    mean, log_scale = code.split(values[:1])
    draws = code.draw(values, code.draw_noise((40_000, 3), generator()))
    spread = log_scale.exp()[0]
    assert ((draws.mean(0) - mean[0]).abs() < 5 * spread / 200).all()
    assert ((draws.std(0) - spread).abs() < 5 * spread / math.sqrt(2 * 40_000)).all()


@pytest.mark.parametrize("name", ["gaussian", "bernoulli"])
def test_the_prior_is_what_the_divergence_is_to(name):
    code = ENCODERS[name]
    draws = code.sample_prior(40_000, 3, generator())
    middle, spread = (0.0, 1.0) if name == "gaussian" else (0.5, 0.5)
    assert ((draws.mean(0) - middle).abs() < 5 * spread / 200).all()
    assert ((draws.std(0) - spread).abs() < 5 * spread / math.sqrt(2 * 40_000)).all()
    assert float(code.kl(torch.zeros(1, code.outputs)).abs().max()) == 0


@pytest.mark.parametrize("name", ["gaussian", "bernoulli"])
def test_the_divergence_is_the_expected_log_ratio(name):
    code, values = ENCODERS[name], eta(2, ENCODERS[name].outputs, n=1).expand(100_000, -1)
    h = code.draw(values, code.draw_noise((100_000, 2), generator())).detach()
    ratio = -code.log_ratio(h, values)
    error = 5 * float(ratio.std()) / math.sqrt(len(h))
    assert float(ratio.mean()) == pytest.approx(float(code.kl(values[:1]).sum()), abs=error)


# ---- well spread points -------------------------------------------------------------------------


@pytest.mark.parametrize("n_units", [1, 5, 25, 30, 31])
@pytest.mark.parametrize("seed", range(5))
def test_design_is_exact_for_quadratics_up_to_the_number_of_points(n_units, seed):
    points = GaussianCode().design(32, n_units, generator(seed)).double()
    torch.testing.assert_close(points.mean(0), torch.zeros(n_units).double(), atol=1e-6, rtol=0)
    covariance = points.T @ points / 32
    torch.testing.assert_close(covariance, torch.eye(n_units).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ENCODERS)
def test_design_has_points_for_any_number_of_units(name):
    for n_units in (1, 32, 100):
        points = ENCODERS[name].design(32, n_units, generator())
        assert points.shape == (32, n_units)
        assert torch.isfinite(points).all()


def test_design_of_bits_puts_one_point_in_each_interval():
    points = BernoulliCode().design(16, 3, generator())
    for column in points.T:
        assert sorted((column * 16).long().tolist()) == list(range(16))


# ---- saturation and unused units ----------------------------------------------------------------


def test_saturation_is_the_share_of_activities_in_the_outer_tenths():
    values = torch.logit(torch.tensor([[0.05, 0.5, 0.95, 0.2], [0.99, 0.6, 0.01, 0.8]]))
    assert NoisySigmoid().report(values)["saturation"] == 0.5


def test_noise_makes_saturated_codes_the_informative_ones():
    """The larger |η|, the more of a bit survives noise of standard deviation s = 4."""
    code, noise = NoisySigmoid(noise=4.0), NoisySigmoid().draw_noise((20_000, 1), generator())
    kept = []
    for size in (1.0, 4.0, 12.0):
        ones = code.draw(torch.full((20_000, 1), size), noise) > 0.5
        share = float(ones.float().mean())
        truth = 0.5 * (1 + math.erf(size / 4 / math.sqrt(2)))
        assert share == pytest.approx(truth, abs=5 * math.sqrt(0.25 / 20_000))
        kept.append(share)
    assert kept == sorted(kept)


def test_unused_units_are_those_that_carry_no_information():
    values = torch.zeros(100, 3)
    values[:, 1] = torch.randn(100, generator=generator()) * 3
    report = BernoulliCode().report(values)
    assert report["unused_units"] == 2.0
    assert report["kl"] == pytest.approx(float(BernoulliCode().kl(values).mean(0).sum()))


def test_log_odds_are_those_of_the_noise():
    """P(η + s ε > 0) = Φ(η/s), by the logistic form within the 0.0095 of its authors."""
    eta = torch.linspace(-20, 20, 401, dtype=torch.float64)
    found = torch.sigmoid(NoisySigmoid(4.0).log_odds(eta))
    np.testing.assert_allclose(found.numpy(), st.norm.cdf(eta.numpy() / 4), atol=0.0096)
    assert torch.equal(NoisySigmoid(0.0).log_odds(eta), eta)
    assert torch.equal(BernoulliCode().log_odds(eta), eta)
