"""Leading singular values and directions of a Jacobian, without making it when it is large.

    J = U diag(s) Vᵀ ,      the rows of Vᵀ: directions in which f moves, s: how far

A small J is made and decomposed. Of a large one only products are needed, Jv (forward mode) and
Jᵀu (reverse mode): the block Krylov space

    span [Q, (JᵀJ)Q, (JᵀJ)²Q, …] ,      Q = JᵀΩ,  Ω normal

holds the leading directions after few steps (Musco and Musco, 2015), and all of them when it is as
wide as J's rank. The best of it are found by decomposing J times an orthonormal basis of it.
Ω is the same for every call, so results repeat and do not depend on which rows come together.
"""

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._random import make_generator
from isthmus.derivatives.differentials import Function, OfFunction, jacobian

EXACT_RANK = 128
OVERSAMPLING = 4
MOST_STEPS = 32


@torch.no_grad()
def leading_singular(function: Function, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest singular values of ∂f/∂x at each row, and the directions they belong to.

    Args:
        function: From (n, d) to (n, m), treating rows independently, differentiable by torch.
        x: Points (n, d).
        k: How many; at most min(m, d).

    Returns:
        Values (n, k), the largest first, and directions in the space of x, (n, k, d), of unit
        length; the largest entry of each is positive.

    Raises:
        InvalidParameterError: k is below 1 or above min(m, d).
    """
    m, d = function(x[:1]).shape[1], x.shape[1]
    rank = min(m, d)
    if not 1 <= k <= rank:
        raise InvalidParameterError(
            f"k must be from 1 to {rank}, the rank that a Jacobian of {m} × {d} can have; got {k}."
        )
    if rank <= max(EXACT_RANK, 8 * k):
        _, values, directions = torch.linalg.svd(jacobian(function, x), full_matrices=False)
    else:
        values, directions = _krylov(function, x, k, rank)
    return values[:, :k].detach(), _signed(directions[:, :k].detach())


def _krylov(function: Function, x: Tensor, k: int, rank: int) -> tuple[Tensor, Tensor]:
    """The same from products with J alone."""
    there = OfFunction(function, x)
    forth, back = there.push, there.pull
    width = k + OVERSAMPLING
    start = torch.randn(width, there.n_outputs, generator=make_generator(0), dtype=torch.float64)
    basis = _orthonormal(back(start.to(x).expand(len(x), -1, -1)), None)
    images = forth(basis)
    tolerance = torch.finfo(x.dtype).eps ** 0.75
    for _ in range(MOST_STEPS):
        left, values, coordinates = torch.linalg.svd(images.mT, full_matrices=False)
        # how far JᵀJ moves a direction out of the space, against the largest it could
        returned = back(left[:, :, :k].mT) - values[:, :k, None] * (coordinates[:, :k] @ basis)
        off = torch.linalg.vector_norm(returned, dim=2)
        if bool((off <= tolerance * values[:, :1]).all()) or basis.shape[1] + width > rank:
            break
        fresh = _orthonormal(back(images[:, -width:]), basis)
        basis = torch.cat([basis, fresh], 1)
        images = torch.cat([images, forth(fresh)], 1)
    return values[:, :k], coordinates[:, :k] @ basis


def _orthonormal(rows: Tensor, basis: Tensor | None) -> Tensor:
    """Unit rows (n, q, d) that span the same, orthogonal to each other and to a basis."""
    for _ in range(2):  # rounding leaves a part of the basis the first time
        if basis is not None:
            rows = rows - (rows @ basis.mT) @ basis
        columns, _ = torch.linalg.qr(rows.mT)
        rows = columns.mT
    return rows


def _signed(directions: Tensor) -> Tensor:
    """Each with its largest entry positive."""
    largest = directions.abs().argmax(2, keepdim=True)
    return directions * torch.where(directions.gather(2, largest) < 0, -1.0, 1.0).to(directions)
