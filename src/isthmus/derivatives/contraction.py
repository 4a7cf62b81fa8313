"""‖V U D W‖²_F for many rows at once, with its gradient written out.

V is (q × p) and D diagonal, of each row; U (p × m) and W (m × d) of all. With P = V U D and the
Gram matrix K = WWᵀ, and g the gradient with respect to the norm of a row,

    ‖P W‖² = tr(P K Pᵀ) ,    ∂/∂(V U) = 2g P K D ,    ∂/∂W = 2 (Σ_rows g PᵀP) W

Both share P and P K, and in training all rows have the same g. So the gradient is made on the way
there, for g = 1, a few rows at a time: P and P K, as large as all Jacobians, are never held for
more rows than that, and what is read again is still in the processor's cache. Σ g PᵀP is
symmetric, and only the blocks on and above its diagonal are computed.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

BLOCK_BYTES = 1 << 22
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

    V, U and W have one type. If it is bfloat16, D, the result and all sums over rows are float32.

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
        scaled = whole if slopes is None else whole * slopes.to(whole.dtype).unsqueeze(1)
        return (scaled @ weight).square().sum((1, 2), dtype=_sum_type(product))
    if slopes is None:
        slopes = product.new_ones(len(product), len(weight), dtype=_sum_type(product))
    learns = torch.is_grad_enabled()
    result: Tensor = _Contraction.apply(product, between, slopes, weight, learns)  # type: ignore[no-untyped-call]  # torch gives apply no types
    return result


class _Contraction(torch.autograd.Function):
    """tr(V U D K D Uᵀ Vᵀ) of each row, K = WWᵀ."""

    @staticmethod
    def forward(
        ctx: Any,
        product: Tensor,
        between: Tensor | None,
        slopes: Tensor,
        weight: Tensor,
        learns: bool,
    ) -> Tensor:
        factors = (product, between, slopes, weight)
        if not (learns and any(ctx.needs_input_grad)):
            return _norms(*factors)
        halves = _no_halves(*factors)
        norms = _norms(*factors, halves)
        ctx.save_for_backward(*factors, *halves)
        return norms

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        v, u, d, weight, product, between, slopes, moment = ctx.saved_tensors
        double = 2 * gradient
        common = double[:1].sum()
        if not (double == common).all():
            halves = _no_halves(v, u, d, weight)
            _norms(v, u, d, weight, halves, double)
            between, moment = halves.between, halves.moment
            common = torch.ones_like(common)
        return (
            product * double.view(-1, 1, 1),
            None if between is None else between * common,
            slopes * double.unsqueeze(1),
            (moment * common).to(weight.dtype) @ weight,
            None,
        )


class _Halves(NamedTuple):
    """Half the gradient of Σ w ‖V U D W‖²; for V and D without w, for W before the last product.

    Attributes:
        product: P K D Uᵀ, (n, q, p).
        between: Σ w Vᵀ P K D, (p, m).
        slopes: The diagonals of (V U)ᵀ P K, (n, m).
        moment: Σ w PᵀP, (m, m).
    """

    product: Tensor
    between: Tensor | None
    slopes: Tensor
    moment: Tensor


def _no_halves(product: Tensor, between: Tensor | None, slopes: Tensor, weight: Tensor) -> _Halves:
    m = len(weight)
    return _Halves(
        product.new_empty(product.shape),
        None if between is None else slopes.new_zeros(between.shape),
        slopes.new_empty(slopes.shape),
        slopes.new_zeros(m, m),
    )


def _norms(
    product: Tensor,
    between: Tensor | None,
    slopes: Tensor,
    weight: Tensor,
    halves: _Halves | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """‖V U D W‖² of each row; half the gradient of their sum, or weighted sum, into `halves`."""
    (n, q, _), m = product.shape, len(weight)
    size = max(1, min(n, BLOCK_BYTES // max(1, q * m * product.element_size())))
    buffers = product.new_empty(3, size, q, m)
    gram, norms = _gram(weight), slopes.new_empty(n)
    for first in range(0, n, size):
        rows = slice(first, first + size)
        given, factor = product[rows], slopes[rows].to(product.dtype).unsqueeze(1)
        whole, scaled, pulled = buffers[:, : len(given)]
        if between is None:
            whole = given
        else:
            torch.mm(given.flatten(0, 1), between, out=whole.view(-1, m))
        torch.mul(whole, factor, out=scaled)
        torch.mm(scaled.view(-1, m), gram, out=pulled.view(-1, m))
        by_unit = (whole * pulled).sum(1).to(slopes.dtype)
        torch.linalg.vecdot(by_unit, slopes[rows], out=norms[rows])
        if halves is not None:
            halves.slopes[rows] = by_unit
            _add(halves, rows, given, between, scaled, pulled.mul_(factor), weights)
    if halves is not None:
        _mirror(halves.moment)
    return norms


def _add(
    halves: _Halves,
    rows: slice,
    given: Tensor,
    between: Tensor | None,
    scaled: Tensor,
    pulled: Tensor,
    weights: Tensor | None,
) -> None:
    """What a few rows have to do with the gradient."""
    m = scaled.shape[2]
    right = left = scaled.view(-1, m)
    if weights is not None:
        by_row = weights[rows].to(given.dtype).view(-1, 1, 1)
        left, given = (scaled * by_row).view(-1, m), given * by_row
    _add_upper(halves.moment, left, right)
    if between is None or halves.between is None:
        halves.product[rows] = pulled
        return
    flat = pulled.view(-1, m)
    torch.mm(flat, between.T, out=halves.product[rows].view(-1, len(between)))
    _add_product(halves.between, given.flatten(0, 1).T, flat)


def _sum_type(product: Tensor) -> torch.dtype:
    return torch.promote_types(product.dtype, torch.float32)


def _gram(weight: Tensor) -> Tensor:
    """WWᵀ, (m, m)."""
    total = weight.new_zeros(len(weight), len(weight))
    _add_upper(total, weight.T, weight.T)
    _mirror(total)
    return total


def _add_upper(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add leftᵀ right, which is symmetric, to the blocks on and above the diagonal."""
    for first in range(0, len(total), BLOCK_COLUMNS):
        chosen = slice(first, first + BLOCK_COLUMNS)
        _add_product(total[chosen, first:], left[:, chosen].T, right[:, first:])


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left · right, in the type of total."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _mirror(total: Tensor) -> None:
    """The blocks above the diagonal below it as well."""
    for first in range(0, len(total), BLOCK_COLUMNS):
        chosen, after = slice(first, first + BLOCK_COLUMNS), first + BLOCK_COLUMNS
        total[after:, chosen] = total[chosen, after:].T
