"""Where the bits begin: the signs of a rotation of the principal axes.

    min over R ‖B − Z V R‖² ,     B = sign(Z V R) ,     R R′ = I

V holds the principal axes of the rows; R turns them so that rounding to signs loses least
(iterative quantisation, ITQ; Gong and Lazebnik, 2011). For given B the best R is U W′ of the
singular value decomposition V′Z′B = U S W′ (Schönemann, 1966). With more bits than axes R is wide
and its rows are orthonormal: a tight frame.
"""

import torch
from torch import Tensor

from isthmus.sparse import Batch, SparseBatch, linear, weight_gradient

TURNS = 30
EXACT_WIDTH = 1024
SWEEPS = 6
SPARE = 16


@torch.no_grad()
def rotated_axes(z: Batch, n_bits: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Axes (n_bits, d) whose projections' signs are good codes, and the mean of the rows (d,).

    Args:
        z: Rows (n, d), n ≥ 1.
        n_bits: How many.
        generator: On the device of the rows.
    """
    mean = _mean(z)
    axes = principal_axes(z, mean, min(n_bits, z.shape[1]), generator)
    projected = _times(z, axes, mean)
    turn = _random_frame(len(axes), n_bits, generator)
    for _ in range(TURNS):
        bits = torch.where(projected @ turn > 0, 1.0, -1.0)
        left, _, right = torch.linalg.svd(projected.T @ bits, full_matrices=False)
        turn = left @ right
    return turn.T @ axes, mean


def principal_axes(z: Batch, mean: Tensor, n_axes: int, generator: torch.Generator) -> Tensor:
    """The directions of largest variance, (n_axes, d), orthonormal, the largest first.

    Exact for up to 1,024 columns; beyond by subspace iteration (Halko et al., 2011).
    """
    d = z.shape[1]
    if isinstance(z, Tensor) and d <= EXACT_WIDTH:
        centred = (z - mean).double()
        _, vectors = torch.linalg.eigh(centred.T @ centred)
        exact: Tensor = vectors[:, -n_axes:].flip(1).T.to(z.dtype)
        return exact.contiguous()
    width = min(d, n_axes + SPARE)
    basis = torch.randn(d, width, generator=generator, device=mean.device)
    for _ in range(SWEEPS):
        basis = torch.linalg.qr(basis)[0]
        basis = _transposed_times(z, _times(z, basis.T, mean), mean)
    basis = torch.linalg.qr(basis)[0]
    small = _times(z, basis.T, mean)
    _, vectors = torch.linalg.eigh(small.T @ small)
    found: Tensor = (basis @ vectors[:, -n_axes:].flip(1)).T
    return found.contiguous()


def _random_frame(n_rows: int, n_columns: int, generator: torch.Generator) -> Tensor:
    """A random matrix (n_rows, n_columns ≥ n_rows) with orthonormal rows."""
    shape = (n_columns, n_rows)
    random = torch.randn(shape, generator=generator, device=generator.device)
    frame: Tensor = torch.linalg.qr(random)[0].T
    return frame


def _mean(z: Batch) -> Tensor:
    if isinstance(z, SparseBatch):
        return z.sum_columns(z.values) / len(z)
    return z.mean(0)


def _times(z: Batch, axes: Tensor, mean: Tensor) -> Tensor:
    """(Z − 1 m′) A′, (n, k)."""
    return linear(z, axes, -(axes @ mean))


def _transposed_times(z: Batch, g: Tensor, mean: Tensor) -> Tensor:
    """(Z − 1 m′)′ G, (d, k)."""
    product = weight_gradient(z, g).T if isinstance(z, SparseBatch) else z.T @ g
    return product - torch.outer(mean, g.sum(0))
