"""What every p(h | x) answers."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._random import latin_hypercube
from isthmus.activations import activation

UNUSED_NATS = 0.01


class Encoder(ABC):
    """p(h | x), a frozen object without weights."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Network outputs per unit."""

    @property
    @abstractmethod
    def stochastic(self) -> bool:
        """Whether the code has a prior, so that a Kullback-Leibler term and draws exist."""

    @property
    @abstractmethod
    def mean_activation(self) -> str:
        """The name of s in E[h | x] = s(first k outputs)."""

    @property
    def unit(self) -> float:
        """The size of network outputs that learn well with the usual learning rate."""
        return 1.0

    @abstractmethod
    def draw_noise(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Noise of this shape, on the generator's device, for `draw`."""

    @abstractmethod
    def design(self, n_points: int, n_units: int, generator: torch.Generator) -> Tensor:
        """Well spread noise (n_points, k): averages over it stand for expectations.

        The same points serve every row, so that a score is deterministic and row-wise.
        """

    @abstractmethod
    def draw(self, eta: Tensor, noise: Tensor, progress: float = 1.0) -> Tensor:
        """A code (n, k) from η (n, k·outputs) and noise that broadcasts to (n, k).

        Args:
            eta: The encoder network's output.
            noise: From `draw_noise` or `design`.
            progress: The part of the training that is done, for noise that grows.
        """

    @abstractmethod
    def kl(self, eta: Tensor) -> Tensor:
        """KL(p(h_j | x) ‖ p(h_j)) in nats, (n, k); zeros without a prior."""

    @abstractmethod
    def kl_objective(self, kl: Tensor) -> Tensor:
        """What training minimises in place of Σ_j KL_j: (n, k) to (n,)."""

    @abstractmethod
    def log_ratio(self, h: Tensor, eta: Tensor) -> Tensor:
        """log p(h) − log p(h | x), (n,), for importance weights; zeros without a prior."""

    @abstractmethod
    def sample_prior(self, n: int, n_units: int, generator: torch.Generator) -> Tensor:
        """n codes (n, k) from p(h).

        Raises:
            InvalidParameterError: This code has no prior.
        """

    @abstractmethod
    def report(self, eta: Tensor) -> dict[str, float]:
        """Figures on how the code is used, over the rows of η."""

    def mean(self, eta: Tensor) -> Tensor:
        """E[h | x], (n, k), from η (n, k·outputs)."""
        units = eta if self.outputs == 1 else eta.chunk(self.outputs, dim=1)[0]
        return activation(self.mean_activation).function(units)


class BitEncoder(Encoder):
    """p(h | x) whose code is bits, or is driven to be."""

    @abstractmethod
    def log_odds(self, eta: Tensor) -> Tensor:
        """log p(h_j = 1 | x) / p(h_j = 0 | x), (n, k), from η (n, k)."""


def no_prior(name: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"A {name} code has no prior to sample from; use encoder='gaussian' or "
        "encoder='bernoulli', or decode codes of your own with inverse_transform."
    )


def standard_normal(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


def normal_design(n_points: int, n_units: int, generator: torch.Generator) -> Tensor:
    """Normal points whose mean is 0 and, where n_points > k, whose covariance is exactly I."""
    # in float64: with n_points = k + 1 the covariance is nearly singular
    points: Tensor = torch.special.ndtri(latin_hypercube(n_points, n_units, generator).double())
    points = points - points.mean(0)
    if n_points > n_units:
        factor = torch.linalg.cholesky(points.T @ points / n_points)
        points = torch.linalg.solve_triangular(factor, points.T, upper=False).T
    return points.float()
