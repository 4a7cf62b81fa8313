"""A normal code with a standard normal prior: the variational autoencoder."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real
from isthmus.encoders._encoder import (
    UNUSED_NATS,
    Encoder,
    normal_design,
    standard_normal,
)

LARGEST_LOG_SCALE = 8.0


@dataclass(frozen=True)
class GaussianCode(Encoder):
    """h ~ N(μ(x), diag σ(x)²) with prior N(0, I): the variational autoencoder.

    Kingma and Welling (2014); Rezende et al. (2014). The objective is

        −log p(x|h) + kl_weight · Σ_j max(KL_j, free_bits)

    which is the negative evidence bound for the defaults. ``kl_weight`` is the β of Higgins et
    al. (2017); free bits are Kingma et al. (2016), with the maximum taken on the batch mean of
    each unit's divergence as there. log σ is bounded smoothly to ±8, so that no input overflows.

    Args:
        kl_weight: Weight of the divergence in the objective; reported divergences are unweighted.
        free_bits: Nats per unit that cost nothing.
    """

    kl_weight: float = 1.0
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        for name in ("kl_weight", "free_bits"):
            value = getattr(self, name)
            if not (is_real(value) and 0 <= value < math.inf):
                raise InvalidParameterError(
                    f"GaussianCode's {name} must be a finite number, 0 or more; got {value!r}."
                )

    @property
    def outputs(self) -> int:
        """Two: μ and log σ."""
        return 2

    @property
    def stochastic(self) -> bool:
        """Yes."""
        return True

    @property
    def mean_activation(self) -> str:
        """The code's mean is the network's output itself."""
        return "identity"

    def split(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """μ and log σ, each (n, k)."""
        mean, raw = eta.chunk(2, dim=1)
        return mean, LARGEST_LOG_SCALE * torch.tanh(raw / LARGEST_LOG_SCALE)

    def draw_noise(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """ε ~ N(0, 1)."""
        return standard_normal(shape, generator)

    def design(self, n_points: int, n_units: int, generator: torch.Generator) -> Tensor:
        """Stratified normal points; with n_points > k quadratic functions average exactly."""
        return normal_design(n_points, n_units, generator)

    def draw(self, eta: Tensor, noise: Tensor, progress: float = 1.0) -> Tensor:
        """μ + σ ε."""
        mean, log_scale = self.split(eta)
        return torch.addcmul(mean, log_scale.exp(), noise.to(mean.dtype))

    def kl(self, eta: Tensor) -> Tensor:
        """½ (μ² + σ² − 1) − log σ."""
        mean, log_scale = self.split(eta)
        return 0.5 * (mean.square() + torch.expm1(2 * log_scale)) - log_scale

    def kl_objective(self, kl: Tensor) -> Tensor:
        """The weighted sum over units, each unit's first ``free_bits`` nats without gradient."""
        if self.free_bits:
            kl = torch.where(kl.mean(0) > self.free_bits, kl, self.free_bits)
        return self.kl_weight * kl.sum(1)

    def log_ratio(self, h: Tensor, eta: Tensor) -> Tensor:
        """Σ_j [−h²/2 + (h − μ)²/2σ² + log σ]."""
        mean, log_scale = self.split(eta)
        scaled = (h - mean) * (-log_scale).exp()
        return (0.5 * (scaled.square() - h.square()) + log_scale).sum(1)

    def sample_prior(self, n: int, n_units: int, generator: torch.Generator) -> Tensor:
        """h ~ N(0, I)."""
        return standard_normal((n, n_units), generator)

    def report(self, eta: Tensor) -> dict[str, float]:
        """Mean divergence and the number of units that carry less than 0.01 nats."""
        kl = self.kl(eta).mean(0)
        return {"kl": float(kl.sum()), "unused_units": float((kl < UNUSED_NATS).sum())}
