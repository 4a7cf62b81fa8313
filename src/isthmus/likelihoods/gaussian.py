"""The normal distribution, with its scale fixed, shared, per feature or predicted per row.

    −log N(x; μ, σ²) = ½ log 2π + log σ + (x − μ)² / 2σ²       for each feature

Where σ lives decides what the autoencoder is. Fixed or shared, it keeps the geometry of the data:
the linear autoencoder is PCA and the linear variational one probabilistic PCA (Tipping and
Bishop, 1999). Per feature, columns may have any units (factor analysis). Per row, the model says
how sure it is (heteroscedastic regression; Nix and Weigend, 1994).

A learned σ has a floor, so that a constant or exactly predictable column gives a large but finite
log-likelihood: σ² = floor² + exp(2η), with the floor in units of the scaled data.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

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

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, repr=False)
class Gaussian(Likelihood):
    """x_j ~ N(μ_j, σ_j²) with μ predicted by the decoder.

    Args:
        scale: σ. A positive number is kept fixed, in the data's own units; ``"shared"`` learns
            one for all features, ``"feature"`` one for each, ``"row"`` predicts it from the code.
        floor: Smallest σ that can be learned, as a fraction of the data's standard deviation.
        ranked: For columns with heavy tails: each is first made normal by its ranks, t(x), and
            log t′(x) is part of its log-probability, which so stays one of x. Then μ and σ are
            those of t(x), and what `mean` gives in the units of x is the median.

    Raises:
        InvalidParameterError: A scale that is neither a positive number nor one of the names, or
            one that columns made normal by ranks can't share.

    Example:
        >>> Gaussian("row").traits.outputs
        2
    """

    scale: float | str = "feature"
    floor: float = 1e-3
    ranked: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.ranked, bool):
            raise InvalidParameterError(
                f"Gaussian's ranked must be True or False; got {self.ranked!r}."
            )
        if self.ranked and self.scale not in ("feature", "row"):
            raise InvalidParameterError(
                "Gaussian(ranked=True) needs the scale 'feature' or 'row': ranks leave no common "
                f"unit; got {self.scale!r}."
            )
        if isinstance(self.scale, str):
            require_scale("Gaussian", self.scale, self.floor)
        elif not (is_real(self.scale) and 0 < self.scale < math.inf):
            raise InvalidParameterError(
                "Gaussian's scale must be a positive number or 'shared', 'feature' or 'row'; "
                f"got {self.scale!r}."
            )

    def __repr__(self) -> str:
        rare = ", ranked=True" if self.ranked else ""
        return f"Gaussian(scale={self.scale!r}, floor={self.floor!r}{rare})"

    @property
    def traits(self) -> Traits:
        """Mean per row; log-scale where `scale` says; isotropic unless σ differs by feature."""
        varies = self.scale if isinstance(self.scale, str) else "fixed"
        return Traits(
            parameters=(Parameter("mean"), Parameter("log_scale", varies)),
            support=REAL,
            scaling="rank" if self.ranked else scaling_of(varies),
        )

    def log_scale(self, eta: Tensor) -> Tensor:
        """log σ from its unbounded parameter η: ½ log(floor² + exp 2η); the identity if fixed."""
        if not isinstance(self.scale, str):
            return eta
        return floored_log_scale(eta, self.floor)

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """Column means, and the standard deviation about them (per feature or pooled)."""
        mean = x.mean(0)
        if not isinstance(self.scale, str):
            ratio = torch.as_tensor(self.scale / unit, dtype=x.dtype, device=x.device)
            return mean, ratio.log().reshape(-1)
        variance = (x - mean).square().mean(0)
        if self.scale == "shared":
            variance = variance.mean().reshape(1)
        return mean, unfloored_log_scale(variance, self.floor)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        mean, log_scale = eta[0], self.log_scale(eta[1])
        return -0.5 * ((x - mean) * (-log_scale).exp()).square() - (log_scale + 0.5 * LOG_2PI)

    def _nll(self, x: Tensor, eta: Eta) -> Tensor:
        if self.scale == "row":
            return super()._nll(x, eta)
        squares, (n, d) = (x - eta[0]).square(), x.shape
        if self._has_one_number(eta):
            log_scale = float(eta[1])
            constant = d * (log_scale + 0.5 * LOG_2PI)
            return squares.sum(1) * (0.5 * math.exp(-2 * log_scale)) + constant
        log_scales = self.log_scale(eta[1])
        weights = 0.5 * (-2 * log_scales).exp()
        constants = log_scales.sum() * (d / len(log_scales)) + 0.5 * LOG_2PI * d
        if self.scale == "shared":
            return torch.addcmul(constants, squares.sum(1), weights)
        return torch.addmv(constants.expand(n), squares, weights)

    def _has_one_number(self, eta: Eta) -> bool:
        """Whether σ is fixed, and not, as in a table, in the units of each column."""
        return not isinstance(self.scale, str) and eta[1].numel() == 1

    def _share(self, eta: Tensor, weight: float) -> Tensor:
        """w ∂log σ/∂η = w exp(2η) / (floor² + exp(2η)); 0 if σ is fixed."""
        if not isinstance(self.scale, str):
            return torch.zeros_like(eta)
        return floored_share(eta, self.floor).mul_(weight)

    def _slope(self, x: Tensor, eta: Eta, weight: float) -> tuple[Tensor, Eta]:
        gap, d = eta[0] - x, x.shape[1]
        if self._has_one_number(eta):
            log_scale = float(eta[1])
            precision = math.exp(-2 * log_scale)
            nll = torch.linalg.vecdot(gap, gap).mul_(0.5 * precision)
            nll += d * (log_scale + 0.5 * LOG_2PI)
            return nll, (gap.mul_(weight * precision), torch.zeros_like(eta[1]))
        squares = gap.square()
        log_scales = self.log_scale(eta[1])
        precisions = (-2 * log_scales).exp()
        squares *= precisions
        share = self._share(eta[1], weight)
        gap *= precisions * weight
        if self.scale == "row":
            nll = (0.5 * squares + log_scales).sum(1) + 0.5 * LOG_2PI * d
            return nll, (gap, share * (1 - squares))
        constant = log_scales.sum() * (d / len(log_scales)) + 0.5 * LOG_2PI * d
        nll = squares.sum(1).mul_(0.5).add_(constant)
        misfit = len(x) - squares.sum(0)
        return nll, (gap, share * (misfit.sum() if self.scale == "shared" else misfit))

    def _slope_of_cells(
        self, x: Tensor, eta: Eta, missing: Tensor, weight: float
    ) -> tuple[Tensor, Eta]:
        if self.scale == "row":
            return super()._slope_of_cells(x, eta, missing, weight)
        # a cell at its own mean counts by its σ alone, which is then taken out
        nll, (slope, of_scale) = self._slope(torch.where(missing, eta[0], x), eta, weight)
        taken = missing.to(x.dtype)
        counted = (self.log_scale(eta[1]) + 0.5 * LOG_2PI).expand(x.shape[1])
        lost = taken.sum().reshape(1) if self.scale == "shared" else taken.sum(0)
        of_scale = torch.addcmul(of_scale, self._share(eta[1], weight), lost, value=-1)
        return nll.sub_(taken @ counted), (slope, of_scale.sum_to_size(eta[1].shape))

    def _mean(self, eta: Eta) -> Tensor:
        return eta[0]

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        noise = torch.empty_like(eta[0]).normal_(generator=generator)
        return eta[0] + noise * self.log_scale(eta[1]).exp()
