"""Ω(h, x): what is added to the objective besides likelihood and divergence.

A penalty gives a number per example. It is given the batch, its code and the maps it may
differentiate, and never reduces over rows: the training loop does that, once.

| name | Ω for one example |
|---|---|
| ``contractive`` | λ ‖∂f/∂x‖²_F (Rifai et al., 2011) or λ ‖∂r/∂x‖²_F (Alain and Bengio, 2014) |
| ``l1`` | λ Σ_j |h_j| |
| ``kl_sparsity`` | λ Σ_j KL(Bernoulli(ρ) ‖ Bernoulli(mean of h_j over the batch)) (Ng, 2011) |
| ``balance`` | λ · (bits that are on half the time, and uncorrelated with each other) |
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from isthmus._errors import InvalidParameterError
from isthmus._registry import Registry, is_real
from isthmus.derivatives import squared_norm, squared_norm_mlp
from isthmus.networks import MLP


@dataclass(frozen=True)
class Maps:
    """The functions of a model that a penalty may look into.

    Attributes:
        encoder: The encoder network, (n, d) to (n, k·q).
        n_components: k.
        mean_activation: The name of s in f(x) = s(first k outputs).
        code: f itself, (n, d) to (n, k).
        reconstruct: r = E[x | f(x)], (n, d) to (n, d), in what the encoder sees.
    """

    encoder: nn.Module
    n_components: int
    mean_activation: str
    code: Callable[[Tensor], Tensor]
    reconstruct: Callable[[Tensor], Tensor]


class Penalty(ABC):
    """Ω(h, x), a frozen object with its weight λ."""

    @abstractmethod
    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """Ω for each row, (n,), with the weight in it.

        Args:
            x: The batch as the encoder sees it, uncorrupted, (n, d).
            h: Its code, (n, k).
            maps: The functions that may be differentiated.
        """

    @abstractmethod
    def in_units(self, unit: float) -> "Penalty":
        """The same penalty for data that are divided by ``unit``."""


def _require_weight(name: str, weight: float) -> None:
    if not (is_real(weight) and 0 <= weight < math.inf):
        raise InvalidParameterError(
            f"{name}'s weight must be a finite number, 0 or more; got {weight!r}."
        )


@dataclass(frozen=True)
class Contractive(Penalty):
    """λ ‖∂f/∂x‖²_F: the code may move only where the data make it.

    Exact at any depth and for any activation, through `isthmus.derivatives`. As with noise, x is
    in the data's own units for isotropic likelihoods and in column standard deviations for
    likelihoods with a scale per column.

    Args:
        weight: λ.
        of: ``"encoder"`` for f, ``"reconstruction"`` for r = g∘f.
        method: ``"exact"``, or ``"auto"``, which today is the same.
    """

    weight: float = 0.1
    of: str = "encoder"
    method: str = "auto"

    def __post_init__(self) -> None:
        _require_weight("Contractive", self.weight)
        if self.of not in ("encoder", "reconstruction"):
            raise InvalidParameterError(
                f"Contractive's of must be 'encoder' or 'reconstruction'; got {self.of!r}."
            )
        if self.method not in ("auto", "exact"):
            raise InvalidParameterError(
                f"Contractive's method must be 'auto' or 'exact'; got {self.method!r}."
            )

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """λ ‖∂f/∂x‖²_F or λ ‖∂r/∂x‖²_F."""
        if self.of == "reconstruction":
            return self.weight * squared_norm(maps.reconstruct, x)
        if isinstance(maps.encoder, MLP):
            norm = squared_norm_mlp(maps.encoder, x, maps.n_components, maps.mean_activation)
        else:
            norm = squared_norm(maps.code, x)
        return self.weight * norm

    def in_units(self, unit: float) -> Penalty:
        """λ/unit² for f, whose Jacobian is divided by the unit; r has the same in all units."""
        if self.of == "reconstruction":
            return self
        return replace(self, weight=self.weight / unit**2)


@dataclass(frozen=True)
class L1(Penalty):
    """λ Σ_j |h_j|: few units active at a time (Olshausen and Field, 1996).

    Args:
        weight: λ.
    """

    weight: float = 0.01

    def __post_init__(self) -> None:
        _require_weight("L1", self.weight)

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
        _require_weight("KLSparsity", self.weight)
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
        _require_weight("Balance", self.weight)

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


PENALTIES: Registry[Penalty] = Registry(
    "penalty",
    Penalty,  # type: ignore[type-abstract]  # mypy wants a concrete class where isinstance does not
    {
        "contractive": Contractive,
        "l1": L1,
        "kl_sparsity": KLSparsity,
        "balance": Balance,
    },
)
