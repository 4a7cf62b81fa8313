"""Each function against 50 digits, over its whole range and at its ends."""

import math
from collections.abc import Callable

import mpmath
import pytest
import torch
from mpmath import mp

from isthmus.numerics import (
    LARGEST_LOG_DISPERSION,
    LARGEST_LOG_RATE,
    bisect,
    floored_log_scale,
    inverse_log_dispersion,
    inverse_log_rate,
    log_dispersion,
    log_partition_unit,
    log_poisson,
    log_rate,
    log_saturated_poisson,
    mean_unit,
    unfloored_log_scale,
)

AROUND_ZERO = [0.0, 1e-300, 1e-12, 1e-5, 0.01, 0.3, 0.499999, 0.5, 0.500001, 1.0, 7.0, 40.0]
LINE = sorted({sign * x for sign in (-1, 1) for x in [*AROUND_ZERO, 300.0, 1e4, 1e8]})


def exactly(function: Callable, points: list[float]) -> torch.Tensor:
    with mp.workdps(50):
        return torch.tensor([float(function(mp.mpf(x))) for x in points], dtype=torch.float64)


def assert_exact(ours: Callable, truth: Callable, points: list[float], rtol: float = 1e-11):
    """The function in float64, its derivative, and the function in float32."""
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    value = ours(x)
    wanted = exactly(truth, points)
    torch.testing.assert_close(value, wanted, rtol=rtol, atol=1e-14)
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert torch.isfinite(slope).all()
    narrow = ours(x.detach().float())
    assert narrow.dtype == torch.float32
    size = wanted.abs() + (slope * x).detach().abs()  # x itself is rounded to float32
    assert ((narrow - wanted).abs() <= 8 * torch.finfo(torch.float32).eps * size + 1e-37).all()


def log_partition(eta):
    return mp.log(mp.expm1(eta) / eta) if eta else mp.mpf(0)


def unit_mean(eta):
    if abs(eta) < 1e-20:  # where even 50 digits cancel
        return mp.mpf(0.5) + eta / 12
    return -1 / mp.expm1(-eta) - 1 / eta


def test_log_partition_of_the_unit_interval():
    assert_exact(log_partition_unit, log_partition, LINE)


def test_mean_on_the_unit_interval():
    # in float64 the series that takes over below ½ is good to 4·10⁻¹¹
    assert_exact(mean_unit, unit_mean, LINE, rtol=1e-10)


def test_the_mean_on_the_unit_interval_is_the_partitions_slope():
    eta = torch.tensor(LINE, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(log_partition_unit(eta).sum(), eta)
    torch.testing.assert_close(slope, mean_unit(eta.detach()), rtol=1e-9, atol=1e-12)
    assert torch.autograd.gradcheck(mean_unit, (eta[(eta.abs() < 100)].detach().requires_grad_(),))


COUNTS = [0.0, 1.0, 2.0, 5.0, 9.0, 10.0, 11.0, 50.0, 1e3, 2.0**24, 1e9, 1e15]


def test_log_poisson_at_its_best_rate():
    def truth(x):
        return x * mp.log(x) - x - mp.loggamma(x + 1) if x else mp.mpf(0)

    x = torch.tensor(COUNTS, dtype=torch.float64)
    torch.testing.assert_close(
        log_saturated_poisson(x), exactly(truth, COUNTS), rtol=1e-10, atol=1e-13
    )
    narrow = log_saturated_poisson(x.float())
    torch.testing.assert_close(narrow.double(), exactly(truth, COUNTS), rtol=1e-6, atol=4e-6)


@pytest.mark.parametrize("apart", [-40.0, -1.0, -1e-3, 0.0, 1e-7, 1e-3, 1.0, 20.0])
def test_log_poisson_at_any_distance_from_its_best_rate(apart):
    def truth(x):
        log_mean = (mp.log(x) if x else mp.mpf(0)) + mp.mpf(apart)
        return x * log_mean - mp.exp(log_mean) - mp.loggamma(x + 1)

    x = torch.tensor(COUNTS, dtype=torch.float64)
    log_mean = x.clamp_min(1).log() + apart
    wanted = exactly(truth, COUNTS)
    # a rounding of log μ, of size 4 ε at the most, is multiplied by x − μ
    atol = 1e-12 + 4e-15 * (x - log_mean.exp()).abs()
    assert ((log_poisson(x, log_mean) - wanted).abs() <= atol + 1e-10 * wanted.abs()).all()


RATES = [-1e4, -50.0, -1.0, 0.0, 10.0, 14.999, 15.0, 15.001, 16.0, 40.0, 1e4, 1e10]


def test_rate_is_exponential_up_to_fifteen_and_linear_beyond():
    def truth(eta):
        return eta if eta < LARGEST_LOG_RATE else 15 + mp.log(1 + eta - 15)

    assert_exact(log_rate, truth, RATES)


def test_rate_has_no_kink_and_every_rate_its_eta():
    below, above = torch.tensor([15.0 - 1e-9, 15.0 + 1e-9], dtype=torch.float64)
    assert float(log_rate(above) - log_rate(below)) == pytest.approx(2e-9, rel=1e-5)
    log_value = torch.tensor([-300.0, -1.0, 0.0, 14.0, 15.0, 15.5, 20.0, 60.0]).double()
    torch.testing.assert_close(log_rate(inverse_log_rate(log_value)), log_value)
    eta = torch.tensor(RATES, dtype=torch.float64)
    torch.testing.assert_close(inverse_log_rate(log_rate(eta)), eta)


def test_dispersion_is_bounded_and_invertible_inside():
    points = [-1e4, -60.0, -12.0, -1.0, 0.0, 1e-8, 3.0, 12.0, 1e4]
    assert_exact(log_dispersion, lambda eta: 12 * mp.tanh(eta / 12), points)
    inside = torch.linspace(-11.9, 11.9, 50, dtype=torch.float64)
    torch.testing.assert_close(log_dispersion(inverse_log_dispersion(inside)), inside)
    ends = torch.tensor([-12.0, 12.0, -50.0, 50.0], dtype=torch.float64, requires_grad=True)
    eta = inverse_log_dispersion(ends.detach()).requires_grad_()
    (slope,) = torch.autograd.grad(log_dispersion(eta).sum(), eta)
    assert (slope > 1e-3).all(), "at the bounds nothing could be learned"
    assert (log_dispersion(eta).abs() >= 0.99 * LARGEST_LOG_DISPERSION).all()


@pytest.mark.parametrize("floor", [1e-6, 1e-3, 0.5])
def test_scale_has_a_floor(floor):
    def truth(eta):
        return mp.log(mp.mpf(floor) ** 2 + mp.exp(2 * eta)) / 2

    points = [-1e4, -30.0, -7.0, -1.0, 0.0, 1e-9, 2.0, 50.0, 1e4]
    assert_exact(lambda eta: floored_log_scale(eta, floor), truth, points)
    eta = torch.linspace(-20, 5, 200, dtype=torch.float64)
    log_scale = floored_log_scale(eta, floor)
    assert (log_scale >= math.log(floor) - 1e-12).all()
    assert (log_scale.diff() >= 0).all()


@pytest.mark.parametrize("floor", [1e-6, 1e-3, 0.5])
def test_every_variance_above_the_floor_has_its_eta(floor):
    variance = floor**2 * torch.tensor([1 + 1e-3, 1.5, 4.0, 1e6], dtype=torch.float64)
    scale = floored_log_scale(unfloored_log_scale(variance, floor), floor).exp()
    torch.testing.assert_close(scale.square(), variance, rtol=1e-9, atol=0)
    low = unfloored_log_scale(torch.tensor([0.0, floor**2 / 2], dtype=torch.float64), floor)
    assert low.tolist() == pytest.approx([math.log(floor) - 5] * 2)


def test_bisection_finds_roots_element_by_element_and_stops_at_the_ends():
    target = torch.tensor([-2.0, 0.0, 0.7, 3.0, 9.0, -9.0], dtype=torch.float64)
    low, high = torch.full_like(target, -4.0), torch.full_like(target, 4.0)
    found = bisect(lambda x: target**3 - x**3, low, high)
    torch.testing.assert_close(found, target.clamp(-4, 4), rtol=0, atol=8 * 2.0**-40)
    assert low.tolist() == [-4.0] * 6, "the ends that were given are left alone"


def test_bisection_passes_over_what_is_not_a_number():
    found = bisect(lambda x: (1 - x).sqrt() - 0.5, torch.zeros(1), torch.full((1,), 4.0))
    assert float(found) == pytest.approx(0.75, abs=1e-6)


def test_the_points_cover_both_branches_and_both_signs():
    assert {abs(x) < 0.5 for x in LINE} == {x < 10 for x in COUNTS} == {True, False}
    assert min(LINE) == -max(LINE) == -1e8
    assert mpmath.mp.dps < 50, "precision is raised locally only"
