"""Data between 0 and 1: bits, and intensities.

Bits are Bernoulli, with the logit η predicted by the decoder:

    log p(x; η) = x η − log(1 + e^η) ,            x ∈ {0, 1}

The same expression for a grey value x ∈ (0, 1) is a cross-entropy, not the logarithm of a density:
its exponential does not integrate to 1 over [0, 1]. Dividing by the integral gives the continuous
Bernoulli (Loaiza-Ganem and Cunningham, 2019), a proper density with the same sufficient statistic:

    log p(x; η) = x η − A(η) ,   A(η) = log((e^η − 1)/η) ,   x ∈ [0, 1]
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from isthmus._errors import InvalidParameterError
from isthmus.likelihoods._likelihood import (
    UNIT,
    Divisor,
    Eta,
    Likelihood,
    Parameter,
    Support,
    Traits,
)
from isthmus.numerics import bisect, log_partition_unit, mean_unit

EDGE = 1e-6
LARGEST_START = 1e3


def _is_bit(x: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray((x == 0) | (x == 1))


BITS = Support(
    "values 0 or 1",
    _is_bit,
    advice="The Bernoulli likelihood of a fraction is not a density. For grey values use "
    "ContinuousBernoulli(), or Bernoulli(fractions=True) to score them by the cross-entropy.",
)


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """x_j ~ Bernoulli(sigmoid(η_j)).

    Args:
        fractions: Accept values between 0 and 1. Then `log_prob` is a negative cross-entropy, as
            many published autoencoders report it, and not a log-density: it can't be compared
            with other likelihoods, and samples are still bits.

    Raises:
        InvalidParameterError: Another value than True or False.
    """

    fractions: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.fractions, bool | np.bool_):
            raise InvalidParameterError(
                f"Bernoulli's fractions must be True or False; got {self.fractions!r}."
            )

    @property
    def traits(self) -> Traits:
        """One logit."""
        return Traits(parameters=(Parameter("logit"),), support=UNIT if self.fractions else BITS)

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """The logit of the mean, which is kept 10⁻⁶ away from 0 and 1."""
        return (torch.logit(x.mean(0), eps=EDGE),)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        (logit,) = eta
        x, logit = torch.broadcast_tensors(x, logit)
        return -F.binary_cross_entropy_with_logits(logit, x.to(logit.dtype), reduction="none")

    def _slope(self, x: Tensor, eta: Eta, weight: float) -> tuple[Tensor, Eta]:
        nll = self._nll(x, eta)
        return nll, (torch.sigmoid(eta[0]).sub_(x).mul_(weight),)

    def _mean(self, eta: Eta) -> Tensor:
        return torch.sigmoid(eta[0])

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        p = torch.sigmoid(eta[0])
        draws = torch.empty_like(p).uniform_(generator=generator)
        return (draws < p).to(p.dtype)


@dataclass(frozen=True)
class ContinuousBernoulli(Likelihood):
    """x_j ~ the density exp(x η_j − A(η_j)) on [0, 1]."""

    @property
    def traits(self) -> Traits:
        """One logit."""
        return Traits(parameters=(Parameter("logit"),), support=UNIT)

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """The η whose mean A′(η) is the column's, kept within ±1,000.

        There the mean is 0.001 from an end: the density at an end grows without bound.
        """
        mean = x.mean(0)
        high = torch.full_like(mean, LARGEST_START)
        return (bisect(lambda eta: mean - mean_unit(eta), -high, high),)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        # p(x; η) = p(1 − x; −η): taken for −|η|, so that no two large numbers cancel
        (logit,) = eta
        mirrored = logit > 0
        size = torch.where(mirrored, -logit, logit)
        return torch.where(mirrored, 1 - x, x) * size - log_partition_unit(size)

    def _by_cell(self, x: Tensor, eta: Eta) -> tuple[Tensor, Eta]:
        return -self._log_prob(x, eta), (mean_unit(eta[0]) - x,)

    def _mean(self, eta: Eta) -> Tensor:
        return mean_unit(eta[0])

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        # the inverse of F(x) = (e^ηx − 1)/(e^η − 1), taken for −|η| and mirrored, so that no
        # exponential overflows
        (logit,) = eta
        u = torch.empty_like(logit).uniform_(generator=generator)
        size = logit.abs().clamp_min(1e-6)
        draw = -torch.log1p(u * torch.expm1(-size)) / size
        return torch.where(logit > 0, 1 - draw, draw).clamp(0, 1)
