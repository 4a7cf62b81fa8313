"""‖V U D W‖²_F for many rows at once, with its gradient written out.

V is (q × p) and D diagonal, of each row; U (p × m) and W (m × d) of all. With P = V U D and the
Gram matrix K = WWᵀ, and g the gradient with respect to the norm of a row,

    ‖P W‖² = tr(P K Pᵀ) ,    ∂/∂(V U) = 2g P K D ,    ∂/∂W = 2 (Σ_rows g PᵀP) W

The way back uses the P K of the way there, where automatic differentiation multiplies again; and
Σ g PᵀP is symmetric, so only the blocks on and above its diagonal are computed. Rows are taken a
few at a time, so that what is read again is still in the processor's cache; what depends on g is
multiplied by it where it is small.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK_CELLS = 1 << 20
BLOCK_COLUMNS = 128


def gram_is_cheaper(weight: Tensor) -> bool:
    """Whether a norm and its gradient cost less through WWᵀ (m × m) than through W (m × d).

    Two products with the former stand against three with the latter.
    """
    m, d = weight.shape
    return 2 * m < 3 * d


def contract(
    product: Tensor, slopes: Tensor | None, weight: Tensor, between: Tensor | None = None
) -> Tensor:
    """‖V U D W‖²_F of each row, (n,).

    Args:
        product: V, (n, q, p).
        slopes: The diagonal of D, (n, m); None for ones.
        weight: W, (m, d).
        between: U, (p, m); None for the identity.

    Returns:
        Tensor (n,), differentiable once with respect to all four.
    """
    if not gram_is_cheaper(weight):
        whole = product if between is None else product @ between
        scaled = whole if slopes is None else whole * slopes.unsqueeze(1)
        return (scaled @ weight).square().sum((1, 2))
    if slopes is None:
        slopes = product.new_ones(len(product), len(weight))
    result: Tensor = _Contraction.apply(product, between, slopes, weight)  # type: ignore[no-untyped-call]  # torch gives apply no types
    return result


class _Contraction(torch.autograd.Function):
    """tr(V U D K D Uᵀ Vᵀ) of each row, K = WWᵀ."""

    @staticmethod
    def forward(
        ctx: Any, product: Tensor, between: Tensor | None, slopes: Tensor, weight: Tensor
    ) -> Tensor:
        gram, (n, q, _), m = _gram(weight), product.shape, len(weight)
        scaled, pulled = (product.new_empty(n, q, m) for _ in range(2))  # P, and P K D
        sums = torch.empty_like(slopes)
        for rows in _blocks(n, q * m):
            own = product[rows] if between is None else product[rows] @ between
            factor = slopes[rows].unsqueeze(1)
            torch.mul(own, factor, out=scaled[rows])
            seen = pulled[rows]
            torch.mm(scaled[rows].view(-1, m), gram, out=seen.view(-1, m))
            torch.sum(own.mul_(seen) if between is not None else own * seen, 1, out=sums[rows])
            seen.mul_(factor)
        ctx.save_for_backward(product, between, weight, scaled, pulled, sums)
        norms: Tensor = torch.linalg.vecdot(sums, slopes)
        return norms

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        product, between, weight, scaled, pulled, sums = ctx.saved_tensors
        double = 2 * gradient.unsqueeze(1)
        second = _second_moment(scaled, double) @ weight
        by_row = double.unsqueeze(2)
        if between is None:
            return pulled * by_row, None, sums * double, second
        m = pulled.shape[2]
        to_product = (pulled.view(-1, m) @ between.T).view_as(product).mul_(by_row)
        to_between = (product * by_row).flatten(0, 1).T @ pulled.view(-1, m)
        return to_product, to_between, sums * double, second


def _blocks(n: int, cells: int) -> list[slice]:
    """A few of n rows at a time, of so many cells each."""
    size = max(1, BLOCK_CELLS // max(1, cells))
    return [slice(first, first + size) for first in range(0, n, size)]


def _second_moment(scaled: Tensor, weights: Tensor) -> Tensor:
    """Σ_rows w PᵀP, (m, m), for P (n, q, m) and w (n, 1)."""
    n, q, m = scaled.shape
    total = scaled.new_zeros(m, m)
    one = bool((weights == weights[:1]).all())
    for rows in _blocks(n, q * m):
        right = scaled[rows].view(-1, m)
        left = right if one else (scaled[rows] * weights[rows].unsqueeze(2)).view(-1, m)
        _add_upper(total, left, right)
    if one and n:
        total *= weights[0]
    return _mirrored(total)


def _gram(weight: Tensor) -> Tensor:
    """WWᵀ, (m, m)."""
    total = weight.new_zeros(len(weight), len(weight))
    _add_upper(total, weight.T, weight.T)
    return _mirrored(total)


def _add_upper(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add leftᵀ right, which is symmetric, to the blocks on and above the diagonal."""
    for first in range(0, len(total), BLOCK_COLUMNS):
        chosen = slice(first, first + BLOCK_COLUMNS)
        total[chosen, first:].addmm_(left[:, chosen].T, right[:, first:])


def _mirrored(total: Tensor) -> Tensor:
    """The blocks above the diagonal below it as well, in place."""
    for first in range(0, len(total), BLOCK_COLUMNS):
        chosen, after = slice(first, first + BLOCK_COLUMNS), first + BLOCK_COLUMNS
        total[after:, chosen] = total[chosen, after:].T
    return total
