"""Student's t: a Gaussian that forgives outliers.

    log p(x; μ, σ, ν) = log Γ((ν+1)/2) − log Γ(ν/2) − ½ log νπ − log σ
                        − (ν+1)/2 · log(1 + ((x − μ)/σ)²/ν)

With few degrees of freedom ν a far value costs only the logarithm of its distance (Lange et al.,
1989). ν is fixed, or learned per feature as 1 + softplus(η), so that the mean exists.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real
from isthmus.likelihoods._likelihood import (
    REAL,
    Divisor,
    Eta,
    Likelihood,
    Parameter,
    Traits,
    require_scale,
    scaling_of,
)
from isthmus.numerics import floored_log_scale, floored_share, unfloored_log_scale

FIRST_DF = 4.0
LARGEST_LOG_EXCESS = 7.0
MOST_STEPS = 300
PRECISION = 1e-8


@dataclass(frozen=True)
class StudentT(Likelihood):
    """x_j ~ μ_j + σ_j t(ν_j) with μ predicted by the decoder.

    Args:
        df: ν above 1, or ``"feature"`` to learn one for each feature.
        scale: Where σ lives: ``"feature"``, ``"shared"`` or ``"row"``.
        floor: Smallest σ that can be learned, as a fraction of the data's standard deviation.

    Raises:
        InvalidParameterError: A df that is not above 1, another scale, or a floor outside (0, 1).
    """

    df: float | str = 4.0
    scale: str = "feature"
    floor: float = 1e-3

    def __post_init__(self) -> None:
        require_scale("StudentT", self.scale, self.floor)
        if self.df != "feature" and not (is_real(self.df) and 1 < self.df < math.inf):
            raise InvalidParameterError(
                f"StudentT's df must be a number above 1 or 'feature'; got {self.df!r}."
            )

    @property
    def traits(self) -> Traits:
        """Mean per row; log-scale where `scale` says; degrees of freedom fixed or learned."""
        df = Parameter("df", "feature" if isinstance(self.df, str) else "fixed")
        return Traits(
            parameters=(Parameter("mean"), Parameter("log_scale", self.scale), df),
            support=REAL,
            scaling=scaling_of(self.scale),
        )

    def degrees(self, eta: Tensor) -> Tensor:
        """ν from its unbounded parameter: 1 + softplus(η), or η itself if fixed."""
        return 1 + F.softplus(eta) if isinstance(self.df, str) else eta

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """The maximum of the likelihood that is reached from the medians.

        By the EM algorithm in the form of Kent et al. (1994): rows are reweighted by
        (ν + 1)/(ν + t²), and σ² is divided by the sum of the weights, which converges several
        times faster than dividing by n. A learned ν moves by Newton's method alongside, between
        1.001 and 1,000, beyond which the data can't tell.
        """
        learned, pool = isinstance(self.df, str), self.scale == "shared"
        first = FIRST_DF if isinstance(self.df, str) else self.df
        df = torch.full((x.shape[1] if learned else 1,), float(first), dtype=x.dtype)
        mean = x.median(0).values
        variance = (x - mean).abs().mean(0).square().clamp_min(self.floor**2)
        for _ in range(MOST_STEPS):
            weight = (df + 1) / (df + (x - mean).square() / variance)
            step, spread = _moments(x - mean, weight, df, pool=pool)
            spread = spread.clamp_min(self.floor**2)
            new_df = _newton_step(df, weight) if learned else df
            changes = step / variance.sqrt(), spread / variance - 1, new_df / df - 1
            mean, variance, df = mean + step, spread, new_df
            if max(float(change.abs().max()) for change in changes) < PRECISION:
                break
        # the inverse of softplus
        eta = (df - 1) + torch.log(-torch.expm1(1 - df)) if learned else df
        return mean, unfloored_log_scale(variance, self.floor), eta

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        log_scale, df = floored_log_scale(eta[1], self.floor), self.degrees(eta[2])
        t = (x - eta[0]) * (-log_scale).exp()
        tail = 0.5 * (df + 1) * torch.log1p(t.square() / df)
        return _log_constant(df) - log_scale - tail

    def _by_cell(self, x: Tensor, eta: Eta) -> tuple[Tensor, Eta]:
        log_scale, df = floored_log_scale(eta[1], self.floor), self.degrees(eta[2])
        inverse = (-log_scale).exp()
        t = (eta[0] - x) * inverse
        squares, tail = t.square(), torch.log1p(t.square() / df)
        pull = (df + 1) * squares / (df + squares)
        nll = log_scale - _log_constant(df) + 0.5 * (df + 1) * tail
        of_mean = (df + 1) * t / (df + squares) * inverse
        of_scale = (1 - pull) * floored_share(eta[1], self.floor)
        if not isinstance(self.df, str):
            return nll, (of_mean, of_scale, torch.zeros_like(df))
        of_df = 0.5 * (tail - pull / df) - _log_constant_slope(df)
        return nll, (of_mean, of_scale, of_df * torch.sigmoid(eta[2]))

    def _mean(self, eta: Eta) -> Tensor:
        return eta[0]

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        mean, log_scale = eta[0], floored_log_scale(eta[1], self.floor)
        df = self.degrees(eta[2]).expand_as(mean)
        normal = torch.empty_like(mean).normal_(generator=generator)
        chi_squared = 2 * torch._standard_gamma(df / 2, generator=generator)
        return mean + normal * (df / chi_squared).sqrt() * log_scale.exp()


def _log_constant(df: Tensor) -> Tensor:
    """log Γ((ν+1)/2) − log Γ(ν/2) − ½ log νπ."""
    # the log-gammas cancel where ν is large: in float64, whatever the rest is in
    half = 0.5 * df.double()
    constant = torch.lgamma(half + 0.5) - torch.lgamma(half) - 0.5 * (2 * math.pi * half).log()
    return constant.to(df.dtype)


def _log_constant_slope(df: Tensor) -> Tensor:
    """The derivative of `_log_constant`, ½ (ψ((ν+1)/2) − ψ(ν/2) − 1/ν)."""
    half = 0.5 * df.double()
    slope = 0.5 * (torch.digamma(half + 0.5) - torch.digamma(half) - 0.5 / half)
    return slope.to(df.dtype)


def _moments(apart: Tensor, weight: Tensor, df: Tensor, *, pool: bool) -> tuple[Tensor, Tensor]:
    """Weighted mean (d,) and weighted variance about it, (d,), or (1,) if pooled."""
    total = weight.sum(0)
    mean = (weight * apart).sum(0) / total
    squares = (weight * (apart - mean).square()).sum(0)
    if not pool:
        return mean, squares / total
    # columns count by their ν: only so is the fixed point the maximum where ν differs
    return mean, (squares.sum() * df.mean() / (df * total).sum()).reshape(1)


def _newton_step(df: Tensor, weight: Tensor) -> Tensor:
    """ν after one step of Newton's method in log(ν − 1) towards the greatest likelihood."""
    near = weight * (df / (df + 1))  # 1/(1 + t²/ν)
    far = 1 - near
    first, second = far.mean(0), far.square().mean(0)
    half, excess = 0.5 * df, df - 1
    digammas = torch.digamma(half + 0.5) - torch.digamma(half)
    trigammas = torch.polygamma(1, half + 0.5) - torch.polygamma(1, half)
    slope = 0.5 * excess * (digammas - 1 / df + near.log().mean(0) + (1 + 1 / df) * first)
    bend = 0.5 * trigammas + 1 / df**2 + ((1 + 1 / df) * second - 2 / df * first) / df
    curvature = 0.5 * excess**2 * bend + slope
    step = torch.where(curvature < 0, -slope / curvature, slope.sign()).clamp(-1, 1)
    return 1 + (excess.log() + step).clamp(-LARGEST_LOG_EXCESS, LARGEST_LOG_EXCESS).exp()
