"""The Laplace distribution: absolute error, for data with outliers.

    −log p(x; μ, b) = log 2b + |x − μ| / b       for each feature

μ is the median and b the mean absolute deviation from it. A learned b has a floor, as a
Gaussian's σ has.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

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


@dataclass(frozen=True)
class Laplace(Likelihood):
    """x_j ~ Laplace(μ_j, b_j) with the median μ predicted by the decoder.

    Args:
        scale: Where b lives: ``"feature"`` learns one for each feature, ``"shared"`` one for all,
            ``"row"`` predicts it from the code.
        floor: Smallest b that can be learned, as a fraction of the data's standard deviation.

    Raises:
        InvalidParameterError: Another scale, or a floor outside (0, 1).
    """

    scale: str = "feature"
    floor: float = 1e-3

    def __post_init__(self) -> None:
        require_scale("Laplace", self.scale, self.floor)

    @property
    def traits(self) -> Traits:
        """Median per row; log-scale where `scale` says."""
        return Traits(
            parameters=(Parameter("median"), Parameter("log_scale", self.scale)),
            support=REAL,
            scaling=scaling_of(self.scale),
        )

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """Medians, and mean absolute deviations from them."""
        median = x.quantile(0.5, dim=0) if x.numel() < 1 << 24 else x.median(0).values
        deviation = (x - median).abs().mean(0)
        if self.scale == "shared":
            deviation = deviation.mean().reshape(1)
        return median, unfloored_log_scale(deviation.square(), self.floor)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        log_scale = floored_log_scale(eta[1], self.floor)
        return -(x - eta[0]).abs() * (-log_scale).exp() - (log_scale + math.log(2))

    def _by_cell(self, x: Tensor, eta: Eta) -> tuple[Tensor, Eta]:
        log_scale, gap = floored_log_scale(eta[1], self.floor), eta[0] - x
        inverse = (-log_scale).exp()
        size = gap.abs() * inverse
        of_scale = (1 - size) * floored_share(eta[1], self.floor)
        return size + (log_scale + math.log(2)), (gap.sign() * inverse, of_scale)

    def _mean(self, eta: Eta) -> Tensor:
        return eta[0]

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        # the difference of two exponentials is Laplace
        one = torch.empty_like(eta[0]).exponential_(generator=generator)
        two = torch.empty_like(eta[0]).exponential_(generator=generator)
        return eta[0] + (one - two) * floored_log_scale(eta[1], self.floor).exp()
