"""Penalties on the activities of the code's units."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real
from isthmus.penalties._penalty import Maps, Penalty, require_weight


@dataclass(frozen=True)
class L1(Penalty):
    """λ Σ_j |h_j|: few units active at a time (Olshausen and Field, 1996).

    Args:
        weight: λ.
    """

    weight: float = 0.01

    def __post_init__(self) -> None:
        require_weight("L1", self.weight)

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """λ Σ_j |h_j|."""
        return self.weight * h.abs().sum(1)

    def in_units(self, unit: float) -> Penalty:
        """The same."""
        return self


@dataclass(frozen=True)
class KLSparsity(Penalty):
    """λ Σ_j KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂_j)), ρ̂_j the mean of unit j over the batch.

    Ng (2011). It is for units in (0, 1): a ``Deterministic("sigmoid")`` or a binary code. Every
    row of a batch is given the batch's value, so the mean over rows is the paper's term.

    Args:
        weight: λ.
        target: ρ, the activity that is wanted.
    """

    weight: float = 0.1
    target: float = 0.05

    def __post_init__(self) -> None:
        require_weight("KLSparsity", self.weight)
        if not (is_real(self.target) and 0 < self.target < 1):
            raise InvalidParameterError(
                f"KLSparsity's target must lie in (0, 1); got {self.target!r}."
            )

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """λ Σ_j [ρ log ρ/ρ̂ + (1 − ρ) log (1 − ρ)/(1 − ρ̂)]."""
        if maps.mean_activation != "sigmoid":
            raise InvalidParameterError(
                "KLSparsity compares activities in (0, 1), but the code's units are not sigmoids. "
                "Use encoder=Deterministic('sigmoid'), or penalty='l1'."
            )
        # a unit that is nearly always off needs its gradient; one that rounds to 1 has none
        limits = torch.finfo(h.dtype)
        activity = h.mean(0).clamp(limits.tiny, 1 - limits.eps)
        rho = self.target
        entropy = rho * math.log(rho) + (1 - rho) * math.log1p(-rho)
        cross = rho * activity.log() + (1 - rho) * torch.log1p(-activity)
        return (self.weight * (entropy - cross).sum()).expand(len(h))

    def in_units(self, unit: float) -> Penalty:
        """The same."""
        return self


@dataclass(frozen=True)
class Balance(Penalty):
    """λ (Σ_j m_j² + Σ_{i≠j} C_ij²): bits on half the time, and uncorrelated.

    With s = 2h − 1 in [−1, 1], m is the mean of s over the batch and C its second moment between
    units; both are zero for a code that wastes nothing (Weiss et al., 2008, as constraints). Every
    row of a batch is given the batch's value.

    Args:
        weight: λ.
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        require_weight("Balance", self.weight)

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """λ (‖m‖² + ‖C − diag C‖²)."""
        if maps.mean_activation != "sigmoid":
            raise InvalidParameterError(
                "Balance is for units in (0, 1), but the code's units are not sigmoids. "
                "Use encoder='noisy_sigmoid', encoder='bernoulli' or Deterministic('sigmoid')."
            )
        signs = 2 * h - 1
        moment = signs.T @ signs / len(h)
        correlated = moment.square().sum() - moment.diagonal().square().sum()
        return (self.weight * (signs.mean(0).square().sum() + correlated)).expand(len(h))

    def in_units(self, unit: float) -> Penalty:
        """The same."""
        return self
