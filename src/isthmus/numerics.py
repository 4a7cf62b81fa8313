"""Functions that are right in theory and in floating point.

Formulas of likelihoods call these instead of their textbook forms, which overflow, cancel or
divide zero by zero at the ends of their range.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

LOG_2PI = math.log(2 * math.pi)
STIRLING = 10
LARGEST_LOG_RATE = 15.0
LARGEST_LOG_DISPERSION = 12.0


def missing_cells(x: Tensor) -> Tensor | None:
    """Which numbers are NaN; None if none is, which one sum finds out."""
    return x.isnan() if math.isnan(float(x.detach().sum())) else None


def floored_log_scale(eta: Tensor, floor: float) -> Tensor:
    """log σ with σ² = floor² + exp(2η): smooth, increasing, never below log floor."""
    return 0.5 * torch.logaddexp(2 * eta, torch.full_like(eta, 2 * math.log(floor)))


def floored_share(eta: Tensor, floor: float) -> Tensor:
    """∂ log σ/∂η of `floored_log_scale`: the part of exp(2η) in σ²."""
    return torch.sigmoid(2 * (eta - math.log(floor)))


def unfloored_log_scale(variance: Tensor, floor: float) -> Tensor:
    """The η for which `floored_log_scale` gives this variance; log floor − 5 at the least.

    Below that the floor hides η and its gradient, so that nothing could be learned from there.
    """
    lowest = (floor * math.exp(-5)) ** 2
    return 0.5 * (variance - floor**2).clamp_min(lowest).log()


def log_rate(eta: Tensor) -> Tensor:
    """η up to 15, and 15 + log(1 + η − 15) beyond: exp of it grows linearly there.

    A rate of e¹⁵ = 3.3 million is where a step in η of one batch could otherwise overflow.
    The map is increasing and without a gap in its slope, so every rate has its η.
    """
    return eta.clamp_max(LARGEST_LOG_RATE) + torch.log1p(F.relu(eta - LARGEST_LOG_RATE))


def log_rate_slope(eta: Tensor) -> Tensor:
    """The derivative of `log_rate`: 1 up to 15, and 1/(1 + η − 15) beyond."""
    return 1 / (1 + F.relu(eta - LARGEST_LOG_RATE))


def inverse_log_rate(log_value: Tensor) -> Tensor:
    """The η for which `log_rate` gives this value."""
    return log_value.clamp_max(LARGEST_LOG_RATE) + torch.expm1(
        F.relu(log_value - LARGEST_LOG_RATE)
    )


def log_dispersion(eta: Tensor) -> Tensor:
    """12 tanh(η/12): a dispersion between 6·10⁻⁶ and 160,000, which is Poisson to 5 digits."""
    return LARGEST_LOG_DISPERSION * torch.tanh(eta / LARGEST_LOG_DISPERSION)


def log_dispersion_slope(log_value: Tensor) -> Tensor:
    """The derivative of `log_dispersion` where it has this value."""
    return 1 - (log_value / LARGEST_LOG_DISPERSION).square()


def inverse_log_dispersion(log_value: Tensor) -> Tensor:
    """The η for which `log_dispersion` gives this value, which is kept inside the bounds."""
    share = (log_value / LARGEST_LOG_DISPERSION).clamp(-0.999, 0.999)
    return LARGEST_LOG_DISPERSION * torch.atanh(share)


def log_saturated_poisson(x: Tensor) -> Tensor:
    """log Poisson(x; x) = x log x − x − log x!, without the cancellation at large x.

    From 10 on by Stirling's series, whose first term left out is below 10⁻¹⁰ there; below 10 by a
    table of what is to be added to the series' value at 10.

    Args:
        x: Whole numbers from 0, of a floating type.
    """
    count = torch.arange(STIRLING + 1, dtype=torch.float64, device=x.device)
    exact = torch.special.xlogy(count, count) - count - torch.lgamma(count + 1)
    rest: Tensor = (exact - _stirling(count.clamp_min(STIRLING))).to(x.dtype)
    rest[STIRLING] = 0
    place = x.clamp_max(STIRLING).int().flatten()
    return rest.index_select(0, place).view(x.shape) + _stirling(x.clamp_min(STIRLING))


def _stirling(x: Tensor) -> Tensor:
    """−½ log 2πx − 1/12x + 1/360x³ − 1/1260x⁵."""
    inverse = x.reciprocal()
    squared = inverse.square()
    series = inverse * (1 / 12 - squared * (1 / 360 - squared / 1260))
    return -0.5 * (LOG_2PI + x.log()) - series


def log_poisson(x: Tensor, log_mean: Tensor) -> Tensor:
    """log Poisson(x; μ) = x log μ − μ − log x!, from log μ.

    Taken as the distance from the best Poisson of this x, log Poisson(x; x) − x (e^a − 1 − a)
    with a = log μ − log x: the textbook form subtracts numbers of the size of x log x, which
    leaves no digit in float32 for x in the millions. For x = 0 the distance is μ.
    """
    some = x.clamp_min(1)
    above = log_mean - some.log()
    distance = some * torch.expm1(above) - x * above + (x == 0).to(above.dtype)
    return log_saturated_poisson(x) - distance


def log_negative_binomial(x: Tensor, log_mean: Tensor, log_theta: Tensor) -> Tensor:
    """log Γ(x+θ)/(Γ(θ) x!) + x log μ/(μ+θ) + θ log θ/(μ+θ)."""
    # the terms are of the size of x and of θ and cancel: in float64, whatever the rest is in
    count, theta, apart = x.double(), log_theta.double().exp(), log_theta.double() - log_mean
    ways = torch.lgamma(count + theta) - torch.lgamma(theta) - torch.lgamma(count + 1)
    log_prob = ways - count * F.softplus(apart) - theta * F.softplus(-apart)
    return log_prob.to(log_mean.dtype)


def log_partition_unit(eta: Tensor) -> Tensor:
    """A(η) = log ∫₀¹ exp(ηx) dx = log((e^η − 1)/η), stable for every η.

    For |η| < ½ by its series η/2 + η²/24 − η⁴/2880 + η⁶/181440, else max(η, 0) +
    log(1 − e^−|η|) − log|η|.
    """
    near = eta.abs() < 0.5
    squared = torch.where(near, eta, 0.0).square()
    series = squared * (1 / 24 - squared * (1 / 2880 - squared * (1 / 181440 - squared / 9676800)))
    far = torch.where(near, 1.0, eta)
    size = far.abs()
    tail = torch.log(-torch.expm1(-size)) - size.log() + F.relu(far)
    return torch.where(near, 0.5 * eta + series, tail)


def mean_unit(eta: Tensor) -> Tensor:
    """A′(η) = 1/(1 − e^−η) − 1/η, the mean of the density exp(ηx − A(η)) on [0, 1]."""
    near = eta.abs() < 0.5
    small = torch.where(near, eta, 0.0)
    squared = small.square()
    series = 0.5 + small * (
        1 / 12 - squared * (1 / 720 - squared * (1 / 30240 - squared / 1209600))
    )
    far = torch.where(near, 1.0, eta)
    # 1/(1 − e^−η) overflows for very negative η in this form; sigmoid's sister does not
    tail = torch.where(far > 0, -1 / torch.expm1(-far.abs()), 1 + 1 / torch.expm1(-far.abs()))
    return torch.where(near, series, tail - 1 / far)


def bisect(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Where a decreasing function of each element crosses zero; an end where it does not.

    Args:
        function: Elementwise, or at least element j of the result depends on element j only.
        low: Left ends.
        high: Right ends.

    Returns:
        The crossings to 2⁻⁴⁰ of the intervals.
    """
    for _ in range(40):
        middle = 0.5 * (low + high)
        above = function(middle) > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return 0.5 * (low + high)
