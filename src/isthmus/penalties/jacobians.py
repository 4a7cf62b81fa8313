"""Penalties on derivatives: of the encoder f, or of the reconstruction r = g∘f."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus.derivatives import Choice, choose, estimated_difference_norm, estimated_norm
from isthmus.penalties._penalty import (
    Maps,
    Penalty,
    require_count,
    require_positive,
    require_weight,
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
        require_weight("Contractive", self.weight)
        _require_jacobian_of("Contractive", self.of, self.method)
        require_count("Contractive", "n_probes", self.n_probes)

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
        require_weight("Curvature", self.weight)
        require_positive("Curvature", "std", self.std)
        _require_jacobian_of("Curvature", self.of, self.method)
        require_count("Curvature", "n_probes", self.n_probes)
        require_count("Curvature", "n_draws", self.n_draws)

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

    @property
    def needs_full_precision(self) -> bool:
        """J(x) and J(x + ε) differ little."""
        return True

    def choice(self, x: Tensor, maps: Maps) -> Choice:
        """Exact for each draw or an estimate."""
        return choose(maps.differential(x, self.of), self.method)

    def in_units(self, unit: float) -> Penalty:
        """σ/unit, and λ as in `Contractive`."""
        weight = self.weight if self.of == "reconstruction" else self.weight / unit**2
        return replace(self, weight=weight, std=self.std / unit)
