"""The code of the usual, denoising and contractive autoencoders: a function of x."""

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.activations import activation
from isthmus.encoders._encoder import Encoder, no_prior


@dataclass(frozen=True)
class Deterministic(Encoder):
    """h = s(η): the code of the usual, denoising and contractive autoencoders.

    Args:
        activation: The name of s in `isthmus.activations.ACTIVATIONS`. The identity leaves the
            code linear; ``"sigmoid"`` gives the units of Vincent et al. (2010) and Rifai et al.
            (2011).
    """

    activation: str = "identity"

    def __post_init__(self) -> None:
        activation(self.activation)

    @property
    def outputs(self) -> int:
        """One."""
        return 1

    @property
    def stochastic(self) -> bool:
        """No."""
        return False

    @property
    def mean_activation(self) -> str:
        """`activation`."""
        return self.activation

    def draw_noise(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Nothing is random: an empty tensor."""
        return torch.empty(0, device=generator.device)

    def design(self, n_points: int, n_units: int, generator: torch.Generator) -> Tensor:
        """Nothing is random: zeros."""
        return torch.zeros(n_points, n_units, device=generator.device)

    def draw(self, eta: Tensor, noise: Tensor, progress: float = 1.0) -> Tensor:
        """s(η)."""
        return self.mean(eta)

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
        raise no_prior("deterministic")

    def report(self, eta: Tensor) -> dict[str, float]:
        """Units that hardly move: standard deviation below 1e-3 of the largest one's."""
        spread = self.mean(eta).std(0, unbiased=False)
        return {"unused_units": float((spread <= 1e-3 * spread.max()).sum())}
