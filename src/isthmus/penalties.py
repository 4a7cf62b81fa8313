"""Ω(h, x): what is added to the objective besides likelihood and divergence.

A penalty gives a number per example. It is given the batch, its code and the maps it may
differentiate, and never reduces over rows: the training loop does that, once.

| name | Ω for one example |
|---|---|
| ``contractive`` | λ ‖∂f/∂x‖²_F (Rifai et al., 2011) or λ ‖∂r/∂x‖²_F (Alain and Bengio, 2014) |
| ``curvature`` | λ E‖∂f/∂x(x) − ∂f/∂x(x + ε)‖²_F (Rifai et al., 2011b), of f or of r |
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
from isthmus.derivatives import (
    Choice,
    Composed,
    Differential,
    Featurewise,
    OfFunction,
    OfLayers,
    choose,
    estimated_difference_norm,
    estimated_norm,
    layers_of,
)


@dataclass(frozen=True)
class Maps:
    """The functions of a model that a penalty may look into.

    Attributes:
        encoder: The encoder network, (n, d) to (n, k·q).
        decoder: The decoder network, (n, k) to (n, d·q).
        n_components: k.
        mean_activation: The name of s in f(x) = s(first k outputs).
        code: f itself, (n, d) to (n, k).
        decode: g, (n, k) to (n, d), so that r = g∘f = E[x | f(x)] in what the encoder sees.
        mean: From the decoder's output to E[x | h] in what the encoder sees.
        mean_is_featurewise: Whether each column of it depends on its own feature's numbers alone.
        generator: The training's source of randomness.
    """

    encoder: nn.Module
    decoder: nn.Module
    n_components: int
    mean_activation: str
    code: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]
    mean: Callable[[Tensor], Tensor]
    mean_is_featurewise: bool
    generator: torch.Generator

    def differential(self, x: Tensor, of: str) -> Differential:
        """∂f/∂x or ∂r/∂x at the rows of a batch, through the layers where there are any.

        Args:
            x: What the encoder sees, (n, d).
            of: ``"encoder"`` or ``"reconstruction"``.

        Raises:
            InvalidParameterError: A module of the user's that has no derivative.
        """
        layers = layers_of(self.encoder, self.n_components, self.mean_activation)
        first: Differential
        if layers is None:
            first = OfFunction(self.code, x, type(self.encoder).__name__)
        else:
            first = OfLayers(layers, x)
        return first if of == "encoder" else Composed(first, self._of_decoder(first.out))

    def _of_decoder(self, h: Tensor) -> Differential:
        layers = layers_of(self.decoder)
        if layers is None:
            # the user's own class, which the model wraps
            module = getattr(self.decoder, "module", self.decoder)
            return OfFunction(self.decode, h, type(module).__name__)
        inner = OfLayers(layers, h)
        if self.mean(inner.out) is inner.out:  # the decoder's output is the mean itself
            return inner
        if self.mean_is_featurewise:
            return Composed(inner, Featurewise(self.mean, inner.out))
        return Composed(inner, OfFunction(self.mean, inner.out, "The likelihood's mean"))


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

    def choice(self, x: Tensor, maps: Maps) -> Choice | None:
        """How Ω is computed, and why; None where there is one way only."""
        return None


def _require_weight(name: str, weight: float) -> None:
    if not (is_real(weight) and 0 <= weight < math.inf):
        raise InvalidParameterError(
            f"{name}'s weight must be a finite number, 0 or more; got {weight!r}."
        )


def _require_jacobian_of(name: str, of: str, method: str) -> None:
    if of not in ("encoder", "reconstruction"):
        raise InvalidParameterError(
            f"{name}'s of must be 'encoder' or 'reconstruction'; got {of!r}."
        )
    if method not in ("auto", "exact", "estimate"):
        raise InvalidParameterError(
            f"{name}'s method must be 'auto', 'exact' or 'estimate'; got {method!r}."
        )


def _require_count(name: str, what: str, count: float) -> None:
    if not (is_real(count) and count >= 1 and float(count).is_integer()):
        raise InvalidParameterError(
            f"{name}'s {what} must be a whole number, 1 or more; got {count!r}."
        )


@dataclass(frozen=True)
class Contractive(Penalty):
    """λ ‖∂f/∂x‖²_F: the code may move only where the data make it.

    For any depth, activation and likelihood, through `isthmus.derivatives`. As with noise, x is
    in the data's own units for isotropic likelihoods and in column standard deviations for
    likelihoods with a scale per column.

    Args:
        weight: λ.
        of: ``"encoder"`` for f, ``"reconstruction"`` for r = g∘f.
        method: ``"exact"``; ``"estimate"``, unbiased, from random signs that the training draws;
            ``"auto"``, exact where that costs up to 16 passes through the network. With
            ``verbose`` the fit says which it is.
        n_probes: Vectors of signs per row and step, for an estimate.
    """

    weight: float = 0.1
    of: str = "encoder"
    method: str = "auto"
    n_probes: int = 1

    def __post_init__(self) -> None:
        _require_weight("Contractive", self.weight)
        _require_jacobian_of("Contractive", self.of, self.method)
        _require_count("Contractive", "n_probes", self.n_probes)

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """λ ‖∂f/∂x‖²_F or λ ‖∂r/∂x‖²_F."""
        there = maps.differential(x, self.of)
        if choose(there, self.method).method == "exact":
            return self.weight * there.squared_norm()
        return self.weight * estimated_norm(there, self.n_probes, maps.generator)

    def choice(self, x: Tensor, maps: Maps) -> Choice:
        """Exact or an estimate."""
        return choose(maps.differential(x, self.of), self.method)

    def in_units(self, unit: float) -> Penalty:
        """λ/unit² for f, whose Jacobian is divided by the unit; r has the same in all units."""
        if self.of == "reconstruction":
            return self
        return replace(self, weight=self.weight / unit**2)


@dataclass(frozen=True)
class Curvature(Penalty):
    """λ E‖J(x) − J(x + ε)‖²_F, ε ~ N(0, σ²I): the Jacobian J may bend only where the data do.

    To first order in σ² it is λσ² times the squared norm of the second derivatives. Beside
    `Contractive` it makes the higher-order contractive autoencoder (Rifai et al., 2011b).

    Args:
        weight: λ.
        std: σ, in the units of `Contractive`.
        of: As in `Contractive`.
        method: As in `Contractive`.
        n_probes: As in `Contractive`.
        n_draws: Draws of ε per row and step.
    """

    weight: float = 0.1
    std: float = 0.1
    of: str = "encoder"
    method: str = "auto"
    n_probes: int = 1
    n_draws: int = 1

    def __post_init__(self) -> None:
        _require_weight("Curvature", self.weight)
        if not (is_real(self.std) and 0 < self.std < math.inf):
            raise InvalidParameterError(
                f"Curvature's std must be a finite number above 0; got {self.std!r}."
            )
        _require_jacobian_of("Curvature", self.of, self.method)
        _require_count("Curvature", "n_probes", self.n_probes)
        _require_count("Curvature", "n_draws", self.n_draws)

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """λ times the mean over the draws of ‖J(x) − J(x + ε)‖²_F."""
        here = maps.differential(x, self.of)
        exact = choose(here, self.method).method == "exact"
        total = x.new_zeros(len(x))
        for _ in range(self.n_draws):
            noise = torch.empty_like(x).normal_(0.0, self.std, generator=maps.generator)
            there = maps.differential(x + noise, self.of)
            total = total + (
                here.difference_norm(there)
                if exact
                else estimated_difference_norm(here, there, self.n_probes, maps.generator)
            )
        return total * (self.weight / self.n_draws)

    def choice(self, x: Tensor, maps: Maps) -> Choice:
        """Exact for each draw or an estimate."""
        return choose(maps.differential(x, self.of), self.method)

    def in_units(self, unit: float) -> Penalty:
        """σ/unit, and λ as in `Contractive`."""
        weight = self.weight if self.of == "reconstruction" else self.weight / unit**2
        return replace(self, weight=weight, std=self.std / unit)


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
        "curvature": Curvature,
        "l1": L1,
        "kl_sparsity": KLSparsity,
        "balance": Balance,
    },
)
