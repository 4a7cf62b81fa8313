"""Codes that are bits, or are driven to be: for hashing."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus._errors import InvalidParameterError
from isthmus._random import latin_hypercube
from isthmus._registry import is_real
from isthmus.encoders._encoder import (
    UNUSED_NATS,
    BitEncoder,
    no_prior,
    normal_design,
    standard_normal,
)

LOG_2 = math.log(2)
PROBIT = 1.702
USUAL_NOISE = 4.0


@dataclass(frozen=True)
class NoisySigmoid(BitEncoder):
    """h = sigmoid(η + s ε): noise before the sigmoid, for binary codes.

    To carry information through the noise the network must make |η| large against s, so the
    units saturate and a threshold at ½ loses little (Salakhutdinov and Hinton, 2009, with a fixed
    s² = 16). With ``grow=True`` the noise rises in proportion to the progress of the training.
    The code has no prior and no divergence; its mean is taken without noise, sigmoid(η).

    Args:
        noise: s, the standard deviation, in units of η; the final one if it grows.
        grow: Whether s grows over the training from 0 or is constant.
    """

    noise: float = 4.0
    grow: bool = False

    def __post_init__(self) -> None:
        if not (is_real(self.noise) and 0 <= self.noise < math.inf):
            raise InvalidParameterError(
                f"NoisySigmoid's noise must be a finite number, 0 or more; got {self.noise!r}."
            )

    @property
    def outputs(self) -> int:
        """One."""
        return 1

    @property
    def stochastic(self) -> bool:
        """No: the noise regularises, it is not a distribution with a prior."""
        return False

    @property
    def mean_activation(self) -> str:
        """The sigmoid."""
        return "sigmoid"

    @property
    def unit(self) -> float:
        """Larger with much noise, for the bits depend on η / s alone; its root measured best."""
        return 1.0 if self.grow or not self.noise else math.sqrt(self.noise / USUAL_NOISE)

    def draw_noise(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """ε ~ N(0, 1)."""
        return standard_normal(shape, generator)

    def design(self, n_points: int, n_units: int, generator: torch.Generator) -> Tensor:
        """Stratified normal points."""
        return normal_design(n_points, n_units, generator)

    def draw(self, eta: Tensor, noise: Tensor, progress: float = 1.0) -> Tensor:
        """sigmoid(η + s ε), with s as far as it has grown."""
        scale = self.noise * progress if self.grow else self.noise
        return torch.sigmoid(eta + scale * noise.to(eta.dtype))

    def kl(self, eta: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(eta)

    def kl_objective(self, kl: Tensor) -> Tensor:
        """Zeros."""
        return kl.sum(1)

    def log_ratio(self, h: Tensor, eta: Tensor) -> Tensor:
        """Zeros."""
        return h.new_zeros(len(h))

    def sample_prior(self, n: int, n_units: int, generator: torch.Generator) -> Tensor:
        """Always raises: there is no prior."""
        raise no_prior("noisy sigmoid")

    def log_odds(self, eta: Tensor) -> Tensor:
        """log P(η + s ε > 0) / P(η + s ε < 0), by the logistic form of the normal integral.

        (Bowling et al., 2009: with 1.702 η/s it is off by 0.0095 at most.) Without noise η itself.
        """
        return eta * (PROBIT / self.noise) if self.noise else eta

    def report(self, eta: Tensor) -> dict[str, float]:
        """How binary the code is, and how many bits never change."""
        p = self.mean(eta)
        bits = p > 0.5
        return {
            "saturation": float(((p < 0.1) | (p > 0.9)).float().mean()),
            "unused_units": float((bits.all(0) | ~bits.any(0)).sum()),
        }


@dataclass(frozen=True)
class BernoulliCode(BitEncoder):
    """h ~ Bernoulli(sigmoid(η)), prior Bernoulli(½): a code of bits.

    The draw is binary; its gradient is taken as that of sigmoid(η), the straight-through
    estimator of Bengio et al. (2013), which is biased. The divergence is exact.

    Args:
        kl_weight: Weight of the divergence in the objective; reported divergences are unweighted.
    """

    kl_weight: float = 1.0

    def __post_init__(self) -> None:
        if not (is_real(self.kl_weight) and 0 <= self.kl_weight < math.inf):
            raise InvalidParameterError(
                "BernoulliCode's kl_weight must be a finite number, 0 or more; "
                f"got {self.kl_weight!r}."
            )

    @property
    def outputs(self) -> int:
        """One: the logit."""
        return 1

    @property
    def stochastic(self) -> bool:
        """Yes."""
        return True

    @property
    def mean_activation(self) -> str:
        """The sigmoid."""
        return "sigmoid"

    def draw_noise(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """u ~ U(0, 1)."""
        return torch.rand(shape, generator=generator, device=generator.device)

    def design(self, n_points: int, n_units: int, generator: torch.Generator) -> Tensor:
        """One point in each of n_points equal intervals, for every unit."""
        return latin_hypercube(n_points, n_units, generator)

    def draw(self, eta: Tensor, noise: Tensor, progress: float = 1.0) -> Tensor:
        """1[u < p], with the gradient of p."""
        p = torch.sigmoid(eta)
        bits = (noise.to(p.dtype) < p).to(p.dtype)
        return bits + (p - p.detach())

    def kl(self, eta: Tensor) -> Tensor:
        """log 2 − H(p)."""
        p = torch.sigmoid(eta)
        return LOG_2 + p * F.logsigmoid(eta) + (1 - p) * F.logsigmoid(-eta)

    def kl_objective(self, kl: Tensor) -> Tensor:
        """The weighted sum over units."""
        return self.kl_weight * kl.sum(1)

    def log_ratio(self, h: Tensor, eta: Tensor) -> Tensor:
        """Σ_j [−log 2 − log p(h_j | x)]."""
        log_q = h * F.logsigmoid(eta) + (1 - h) * F.logsigmoid(-eta)
        return -(LOG_2 + log_q).sum(1)

    def sample_prior(self, n: int, n_units: int, generator: torch.Generator) -> Tensor:
        """Fair bits."""
        draws = torch.rand((n, n_units), generator=generator, device=generator.device)
        return (draws < 0.5).float()

    def log_odds(self, eta: Tensor) -> Tensor:
        """η itself."""
        return eta

    def report(self, eta: Tensor) -> dict[str, float]:
        """Mean divergence and the number of units that carry less than 0.01 nats."""
        kl = self.kl(eta).mean(0)
        return {"kl": float(kl.sum()), "unused_units": float((kl < UNUSED_NATS).sum())}
