"""A proposal that covers p(h | x), and the importance weights of draws from it.

Three components, each with a fixed part of the draws:

* Laplace's approximation: the mode m of p(h | x) by Newton's method from E[h | x], and the inverse
  of H = −∂² log p(h, x)/∂h² at m as its covariance, with the tails of a t distribution. For a
  normal posterior, as of a linear decoder, it is the posterior but for its tails.
* the encoder's own p(h | x), which knows of more than one mode if training taught it;
* the prior p(h), so that no weight is above p(x | h)/α.

All are divided by the density of the whole mixture, the balance heuristic (Veach and Guibas,
1995). A code of bits has no derivative and goes without the first.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from isthmus.encoders import GaussianCode
from isthmus.model import Model

PARTS = (0.6, 0.3, 0.1)
DEGREES = 8
NEWTON_STEPS = 12
HALVINGS = 5
NEAR = 1e-3
DIFFERENCE = 1e-3
DRAWN_CELLS = 1 << 20

LogDensity = Callable[[Tensor], Tensor]


def propose(
    model: Model, z: Tensor, n_samples: int, generator: torch.Generator
) -> tuple[Tensor, list[int]]:
    """log w = log p(x, h) − log π(h) of draws from the mixture, and the draws of each component.

    Args:
        model: Its code has a prior.
        z: Scaled rows (n, d).
        n_samples: K.
        generator: Source of the draws.

    Returns:
        log w, (K, n), in the user's units, and the number of draws of each component.
    """
    eta, encoder, k = model.encode(model.enter(z)), model.encoder, model.shape.n_components
    laplace = Laplace.at(model, z) if isinstance(encoder, GaussianCode) else None
    counts = _counts(n_samples, PARTS if laplace is not None else (0.0, *PARTS[1:]))
    log_parts = [math.log(count / n_samples) for count in counts if count]

    def draw(component: int, m: int) -> Tensor:
        if component == 0:
            assert laplace is not None
            return laplace.draw(m, generator)
        if component == 1:
            noise = encoder.draw_noise((m * len(z), k), generator)
            return encoder.draw(eta.repeat(m, 1), noise)
        return encoder.sample_prior(m * len(z), k, generator).to(z.dtype)

    def log_weight(h: Tensor, m: int) -> Tensor:
        """log p(x | h) + log p(h) − log π(h); the densities are counted from p(h)."""
        ratios = [-encoder.log_ratio(h, eta.repeat(m, 1)), torch.zeros_like(h[:, 0])]
        if laplace is not None:
            ratios.insert(0, laplace.log_prob(h, m) - log_prior(h))
        mixed = torch.stack([part + r for part, r in zip(log_parts, ratios, strict=True)])
        return -model.nll(z.repeat(m, 1), h) - mixed.logsumexp(0)

    per_draw = len(z) * (model.shape.n_features + k)
    weights = []
    for component, count in enumerate(counts):
        for m in _portions(count, max(1, DRAWN_CELLS // per_draw)):
            weights.append(log_weight(draw(component, m), m).view(m, len(z)))
    return torch.cat(weights), [count for count in counts if count]


def log_prior(h: Tensor) -> Tensor:
    """log N(h; 0, I), (n,)."""
    total: Tensor = (h.square() + math.log(2 * math.pi)).sum(1)
    return -0.5 * total


def _counts(n_samples: int, parts: tuple[float, ...]) -> list[int]:
    """Whole numbers of draws in these proportions, two or more of each part that there is."""
    total = sum(parts)
    counts = [max(2, round(n_samples * part / total)) if part else 0 for part in parts]
    counts[1] += n_samples - sum(counts)
    return counts


def _portions(count: int, most: int) -> list[int]:
    full, rest = divmod(count, most)
    return [most] * full + [rest] * bool(rest)


class Laplace:
    """A t distribution about the mode of p(h | x), one for each row.

    Args:
        mode: (n, k).
        factor: L with L Lᵀ = H, lower triangular, (n, k, k).
    """

    def __init__(self, mode: Tensor, factor: Tensor) -> None:
        self.mode = mode
        self.factor = factor
        self.log_volume = factor.diagonal(dim1=1, dim2=2).log().sum(1)

    @classmethod
    def at(cls, model: Model, z: Tensor) -> "Laplace":
        """Newton's method for each row of z, with steps that are halved where they don't help."""

        def energy(h: Tensor) -> Tensor:
            return model.nll(z, h) - log_prior(h)

        h = model.code(z)
        value = energy(h)
        for _ in range(NEWTON_STEPS):
            slope, factor = _curvature(energy, h)
            step = torch.cholesky_solve(slope.unsqueeze(2), factor).squeeze(2)
            moved = False
            for _ in range(HALVINGS):
                there = energy(h - step)
                better = there < value
                h = torch.where(better.unsqueeze(1), h - step, h)
                value = torch.where(better, there, value)
                moved = moved or bool((step[better].abs() > NEAR).any())
                step = torch.where(better.unsqueeze(1), 0.0, step / 2)
            if not moved:  # the curvature was taken next to here
                return cls(h, factor)
        return cls(h, _curvature(energy, h)[1])

    def draw(self, m: int, generator: torch.Generator) -> Tensor:
        """m draws for each row, (m·n, k), the rows of one draw together."""
        n, k = self.mode.shape
        normal = torch.randn((m * n, k), generator=generator, device=self.mode.device)
        chi = torch.randn((m * n, DEGREES), generator=generator, device=self.mode.device)
        scaled = normal * (DEGREES / chi.square().sum(1, keepdim=True)).sqrt()
        right = scaled.to(self.mode.dtype).view(m, n, k).permute(1, 2, 0)
        moved = torch.linalg.solve_triangular(self.factor.mT, right, upper=True)
        draws: Tensor = (self.mode.unsqueeze(2) + moved).permute(2, 0, 1).reshape(m * n, k)
        return draws

    def log_prob(self, h: Tensor, m: int) -> Tensor:
        """log t(h; m, H⁻¹), (m·n,)."""
        n, k = self.mode.shape
        gap = (h.view(m, n, k) - self.mode).permute(1, 2, 0)
        squares = (self.factor.mT @ gap).square().sum(1).T.reshape(-1)
        constant = (
            math.lgamma((DEGREES + k) / 2)
            - math.lgamma(DEGREES / 2)
            - 0.5 * k * math.log(DEGREES * math.pi)
        )
        tail = 0.5 * (DEGREES + k) * torch.log1p(squares / DEGREES)
        return constant + self.log_volume.repeat(m) - tail


def _curvature(energy: LogDensity, h: Tensor) -> tuple[Tensor, Tensor]:
    """∂U/∂h, (n, k), and the factor of ∂²U/∂h², (n, k, k), with no eigenvalue below ½.

    The second derivative is the difference of slopes: a proposal need not be exact, and some
    modules can be differentiated once only. The prior alone gives eigenvalues of 1; what a
    likelihood that is not log-concave takes off is bounded.
    """
    rows = []
    for step in DIFFERENCE * torch.eye(h.shape[1], dtype=h.dtype, device=h.device):
        rows.append((_slope(energy, h + step) - _slope(energy, h - step)) / (2 * DIFFERENCE))
    bend = torch.stack(rows, 1).nan_to_num(0.0, 0.0, 0.0)  # rows too far out are named later
    values, vectors = torch.linalg.eigh(0.5 * (bend + bend.mT))
    bend = vectors @ (values.clamp_min(0.5).unsqueeze(2) * vectors.mT)
    return _slope(energy, h).nan_to_num(0.0, 0.0, 0.0), torch.linalg.cholesky(bend)


def _slope(energy: LogDensity, h: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = h.detach().requires_grad_()
        (slope,) = torch.autograd.grad(energy(leaf).sum(), leaf)
    return slope
