"""Rows that are mostly zeros, and their product with a matrix.

A batch of n rows with m non-zeros is held as CSR: values (m,), columns (m,), offsets (n + 1,).
A first layer W (h, d) costs m·h products and not n·d·h,

    (x Wᵀ)_i = Σ_{j: x_ij ≠ 0} x_ij W_·j ,        ∂/∂W_·j = Σ_{i: x_ij ≠ 0} x_ij G_i

both of them weighted sums of rows ("bags") of Wᵀ and of G. They are fast where a column of W lies
in one piece of memory: see `in_columns`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class SparseBatch:
    """n rows of d numbers, by their non-zeros.

    Attributes:
        values: The non-zeros, row after row, (m,).
        columns: Their columns, (m,), int64.
        offsets: Where each row begins among them, and the end, (n + 1,), int64.
        n_features: d.
    """

    values: Tensor
    columns: Tensor
    offsets: Tensor
    n_features: int

    @classmethod
    def of(cls, x: Tensor) -> "SparseBatch":
        """The same rows as a dense tensor (n, d)."""
        rows, columns = x.nonzero(as_tuple=True)
        counts = torch.bincount(rows, minlength=len(x))
        return cls(x[rows, columns], columns, _with_zero(counts.cumsum(0)), x.shape[1])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """n and d."""
        return len(self), self.n_features

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.values.device

    @cached_property
    def rows(self) -> Tensor:
        """The row of each non-zero, (m,)."""
        return torch.repeat_interleave(self.offsets.diff(), output_size=len(self.values))

    @cached_property
    def places(self) -> Tensor:
        """The place of each non-zero in the flat dense tensor, (m,)."""
        return self.rows * self.n_features + self.columns

    def map(self, function: Callable[[Tensor], Tensor]) -> "SparseBatch":
        """A function that keeps zero, of every number."""
        return replace(self, values=function(self.values))

    def take(self, chosen: Tensor) -> "SparseBatch":
        """The rows of these numbers, in this order."""
        counts = self.offsets.diff()[chosen]
        offsets = _with_zero(counts.cumsum(0))
        # where each non-zero lies: the start of its row, and how far in it is
        starts = torch.repeat_interleave(self.offsets[chosen] - offsets[:-1], counts)
        places = starts + torch.arange(len(starts), device=starts.device)
        return SparseBatch(self.values[places], self.columns[places], offsets, self.n_features)

    def dense(self) -> Tensor:
        """(n, d)."""
        flat = self.values.new_zeros(len(self) * self.n_features)
        return flat.index_copy_(0, self.places, self.values).view(self.shape)

    def sum_rows(self, values: Tensor) -> Tensor:
        """The sum in each row, (n,), of one number per non-zero, (m,)."""
        return values.new_zeros(len(self)).index_add_(0, self.rows, values)

    def sum_columns(self, values: Tensor) -> Tensor:
        """The sum in each column, (d,), of one number per non-zero, (m,)."""
        return values.new_zeros(self.n_features).index_add_(0, self.columns, values)


Batch = Tensor | SparseBatch


def dense(x: Batch) -> Tensor:
    """x as a tensor (n, d)."""
    return x.dense() if isinstance(x, SparseBatch) else x


def linear(x: Batch, weight: Tensor, bias: Tensor) -> Tensor:
    """x Wᵀ + b, (n, h); differentiable in W and b, and in a dense x."""
    if not isinstance(x, SparseBatch):
        return F.linear(x, weight, bias)
    product: Tensor = _Product.apply(weight, x)  # type: ignore[no-untyped-call]  # torch gives apply no types
    return product + bias


def product(x: SparseBatch, weight: Tensor) -> Tensor:
    """x Wᵀ, (n, h), for W (h, d)."""
    values = x.values.to(weight.dtype)
    return F.embedding_bag(
        x.columns, weight.T, x.offsets[:-1], mode="sum", per_sample_weights=values
    )


def weight_gradient(x: SparseBatch, g: Tensor) -> Tensor:
    """Gᵀ x, (h, d), for G (n, h); its columns lie in one piece."""
    order = torch.argsort(x.columns)
    counts = torch.bincount(x.columns, minlength=x.n_features)
    offsets = _with_zero(counts.cumsum(0))[:-1]
    values = x.values[order].to(g.dtype)
    bags = F.embedding_bag(x.rows[order], g, offsets, mode="sum", per_sample_weights=values)
    return bags.T


class _Product(torch.autograd.Function):
    """`product`, with its gradient in W."""

    @staticmethod
    def forward(ctx: object, weight: Tensor, x: SparseBatch) -> Tensor:
        ctx.x = x  # type: ignore[attr-defined]  # torch has no type for ctx
        return product(x, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: object, g: Tensor) -> tuple[Tensor, None]:
        return weight_gradient(ctx.x, g), None  # type: ignore[attr-defined]  # torch has no type for ctx


@torch.no_grad()
def in_columns(layer: nn.Linear) -> None:
    """Lay the weight out column by column in memory; its numbers and its shape stay."""
    layer.weight.data = layer.weight.data.T.contiguous().T


def _with_zero(ends: Tensor) -> Tensor:
    return torch.cat([ends.new_zeros(1), ends])
