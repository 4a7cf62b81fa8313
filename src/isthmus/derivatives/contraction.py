"""‖A D W‖²_F for many rows at once, with its gradient written out.

A is (q × m) and D diagonal, of each row; W (m × d) of all. With P = A D and the Gram matrix
K = WWᵀ, and g the gradient with respect to the norm of a row,

    ‖P W‖² = tr(P K Pᵀ) ,    ∂/∂P = 2g P K ,    ∂/∂W = 2 (Σ_rows g PᵀP) W

The way back uses the P K of the way there, where automatic differentiation multiplies again; and
Σ g PᵀP is symmetric, so only the blocks on and above its diagonal are computed. Rows are taken a
few at a time, so that what is read again is still in the processor's cache.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK_CELLS = 1 << 19
BLOCK_COLUMNS = 128


def gram_is_cheaper(weight: Tensor) -> bool:
    """Whether a norm and its gradient cost less through WWᵀ (m × m) than through W (m × d).

    Two products with the former stand against three with the latter.
    """
    m, d = weight.shape
    return 2 * m < 3 * d


def contract(product: Tensor, slopes: Tensor | None, weight: Tensor) -> Tensor:
    """‖A D W‖²_F of each row, (n,).

    Args:
        product: A, (n, q, m).
        slopes: The diagonal of D, (n, m); None for ones.
        weight: W, (m, d).

    Returns:
        Tensor (n,), differentiable once with respect to all three.
    """
    if not gram_is_cheaper(weight):
        scaled = product if slopes is None else product * slopes.unsqueeze(1)
        return (scaled @ weight).square().sum((1, 2))
    if slopes is None:
        slopes = product.new_ones(len(product), product.shape[2])
    result: Tensor = _Contraction.apply(product, slopes, weight)  # type: ignore[no-untyped-call]  # torch's own
    return result


class _Contraction(torch.autograd.Function):
    """tr(A D K D Aᵀ) of each row, K = WWᵀ."""

    @staticmethod
    def forward(ctx: Any, product: Tensor, slopes: Tensor, weight: Tensor) -> Tensor:
        gram = weight @ weight.T
        n, _, m = product.shape
        seen = torch.empty(product.shape, dtype=product.dtype, device=product.device)
        norms = product.new_empty(n)
        for rows in _blocks(product):
            scaled = product[rows] * slopes[rows].unsqueeze(1)
            torch.mm(scaled.view(-1, m), gram, out=seen[rows].view(-1, m))
            norms[rows] = torch.linalg.vecdot(seen[rows].flatten(1), scaled.flatten(1))
        ctx.save_for_backward(product, slopes, weight, seen)
        return norms

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        product, slopes, weight, seen = ctx.saved_tensors
        m = product.shape[2]
        double = 2 * gradient.unsqueeze(1)
        weighted = double * slopes
        second = weight.new_zeros(m, m)
        to_product, to_slopes = torch.empty_like(seen), torch.empty_like(slopes)
        for rows in _blocks(product):
            own, factor = product[rows], weighted[rows].unsqueeze(1)
            torch.sum(seen[rows] * own, 1, out=to_slopes[rows])
            torch.mul(seen[rows], factor, out=to_product[rows])
            left = (own * factor).view(-1, m)
            right = (own * slopes[rows].unsqueeze(1)).view(-1, m)
            _add_upper(second, left, right)
        upper = second.triu()
        second = upper + second.triu(1).T
        return to_product, to_slopes * double, second @ weight


def _blocks(product: Tensor) -> list[slice]:
    """A few rows at a time."""
    n, q, m = product.shape
    size = max(1, BLOCK_CELLS // max(1, q * m))
    return [slice(first, first + size) for first in range(0, n, size)]


def _add_upper(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add leftᵀ right, which is symmetric, to the blocks on and above the diagonal."""
    for first in range(0, len(total), BLOCK_COLUMNS):
        chosen = slice(first, first + BLOCK_COLUMNS)
        total[chosen, first:].addmm_(left[:, chosen].T, right[:, first:])
