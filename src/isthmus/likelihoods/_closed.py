"""Counts that are mostly zeros: nll and slopes, with log-gammas at the non-zeros only.

Of a zero cell each family leaves one term, which a few passes over η (n, d) compute:

    Poisson             −log p(0) = μ                     slope in log μ:  μ
    negative binomial   −log p(0) = θ log(1 + r)          θ r/(1+r)
                                                          in log θ:  θ (log(1+r) − r/(1+r))
    multinomial         0                                 N softmax(η)

with r = μ/θ. At the m non-zeros the whole expression replaces it, in float64 where large terms
cancel: once for all of them, while the passes over η go by blocks of rows that stay in the
processor's cache. Dense rows are handled so as well where at most a quarter of the cells is not
zero.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.likelihoods._likelihood import Eta, Likelihood
from isthmus.likelihoods._sizes import EMPTY
from isthmus.numerics import (
    LARGEST_LOG_RATE,
    log_dispersion,
    log_dispersion_slope,
    log_negative_binomial,
    log_poisson,
    log_rate,
    log_rate_slope,
)
from isthmus.sparse import Batch, SparseBatch, dense

FULLEST = 0.25
BLOCK_CELLS = 1 << 18
LONG = 256.0
Weight = float | Tensor
Kernel = Callable[[SparseBatch, Eta, Weight], tuple[Tensor, Eta]]


def mostly_zeros(x: Batch, eta: Eta) -> SparseBatch | None:
    """x by its non-zeros, if there are few of them and each row has its own η or all have one."""
    if isinstance(x, SparseBatch):
        return x
    shape = eta[0].shape
    matching = x.dim() == 2 and shape[-1] == x.shape[1] and shape[:-1] in ((), (1,), x.shape[:1])
    few = matching and int(torch.count_nonzero(x)) <= FULLEST * x.numel()
    return SparseBatch.of(x) if few else None


class MostlyZeros(Likelihood):
    """A likelihood with a closed form for rows of which only the non-zeros are given."""

    reads_sparse = True

    @abstractmethod
    def _of_non_zeros(self, x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
        """−log p(x | h) of each row, (n,), and the slope of its weighted sum in η."""

    def _nll(self, x: Batch, eta: Eta) -> Tensor:
        few = mostly_zeros(x, eta)
        if few is None:
            return super()._nll(dense(x), eta)
        nll: Tensor = _Nll.apply(self._of_non_zeros, few, *eta)  # type: ignore[no-untyped-call]  # torch gives apply no types
        return nll

    def _slope(self, x: Batch, eta: Eta, weight: float) -> tuple[Tensor, Eta]:
        few = mostly_zeros(x, eta)
        if few is None:
            return super()._slope(dense(x), eta, weight)
        return self._of_non_zeros(few, eta, weight)


class _Nll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Kernel, x: SparseBatch, *eta: Tensor) -> Tensor:
        ctx.kernel, ctx.x = kernel, x
        ctx.save_for_backward(*eta)
        return kernel(x, eta, 1.0)[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Any, ...]:
        _, slopes = ctx.kernel(ctx.x, ctx.saved_tensors, weights.unsqueeze(1))
        return None, None, *slopes


def _log_sizes(x: SparseBatch, log_size: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """The logarithm of each row's size factor, (n, 1)."""
    if log_size is None:
        return None
    totals = x.sum_rows(x.values).to(dtype).clamp_min(EMPTY)
    return (totals.log() - log_size).unsqueeze(1)


def _rates(eta: Tensor, log_sizes: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """log μ, which may be η itself, and ∂log μ/∂η where it isn't 1."""
    bend = None
    if eta.numel() and float(eta.max()) > LARGEST_LOG_RATE:
        eta, bend = log_rate(eta), log_rate_slope(eta)
    return eta if log_sizes is None else eta + log_sizes, bend


def _rates_at(x: SparseBatch, eta: Tensor, log_sizes: Tensor | None) -> Tensor:
    """log μ at the non-zeros, (m,), from η of all cells."""
    sizes = None if log_sizes is None else log_sizes.view(-1)[x.rows]
    return _rates(eta[x.rows, x.columns], sizes)[0]


@dataclass(frozen=True)
class _Block:
    """Some rows.

    Attributes:
        rows: Which.
        inside: Which of the non-zeros are theirs.
        places: Where these are among the block's cells.
    """

    rows: slice
    inside: slice
    places: Tensor

    def put(self, cells: Tensor, values: Tensor) -> None:
        """Write one number for each non-zero of all rows, (m,), into the block's cells."""
        cells.view(-1).index_copy_(0, self.places, values[self.inside])

    def clear(self, cells: Tensor) -> None:
        """Write zeros there."""
        cells.view(-1).index_fill_(0, self.places, 0.0)

    def weigh(self, cells: Tensor, weight: Weight) -> Tensor:
        """The cells, multiplied in place by their rows' weights."""
        return cells.mul_(weight[self.rows] if isinstance(weight, Tensor) else weight)


def _in_blocks(x: SparseBatch) -> Iterator[_Block]:
    """The rows in blocks of as many cells as stay in the cache."""
    size = max(1, BLOCK_CELLS // x.n_features)
    firsts = range(0, len(x), size)
    ends = [*x.offsets[firsts.start : firsts.stop : size].tolist(), len(x.values)]
    for first, begin, end in zip(firsts, ends, ends[1:], strict=False):
        inside = slice(begin, end)
        places = x.places[inside] - first * x.n_features
        yield _Block(slice(first, min(first + size, len(x))), inside, places)


def poisson(x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
    """nll (n,), and the slopes of its weighted sum (log μ, and log T if sizes count)."""
    whole = eta[0].expand(x.shape)
    sizes = _log_sizes(x, eta[1] if len(eta) > 1 else None, whole.dtype)
    at, counts = _rates_at(x, whole, sizes), x.values.to(whole.dtype)
    slope_at = at.exp() - counts
    slope, of_zeros = torch.empty_like(whole, memory_format=torch.contiguous_format), []
    for block in _in_blocks(x):
        out = slope[block.rows]
        log_mean, bend = _rates(whole[block.rows], None if sizes is None else sizes[block.rows])
        torch.exp(log_mean, out=out)
        block.clear(out)
        of_zeros.append(out.sum(1))
        block.put(out, slope_at)
        block.weigh(out, weight)
        if bend is not None:
            out.mul_(bend)
    nll = torch.cat(of_zeros) - x.sum_rows(log_poisson(counts, at))
    rest = tuple(torch.zeros_like(part) for part in eta[1:])
    return nll, (slope.sum_to_size(eta[0].shape), *rest)


def negative_binomial(x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
    """nll (n,), and the slopes of its weighted sum (log μ, log θ, and log T if sizes count)."""
    whole, spread = eta[0].expand(x.shape), log_dispersion(eta[1])
    by_row = spread.dim() == 2 and len(spread) == len(x) > 1
    sizes = _log_sizes(x, eta[2] if len(eta) > 2 else None, whole.dtype)
    log_prob, slope_at, bend_at = _at_non_zeros(x, _rates_at(x, whole, sizes), spread)
    slope, of_zeros = torch.empty_like(whole, memory_format=torch.contiguous_format), []
    in_theta = torch.empty_like(slope) if by_row else torch.zeros_like(slope[0])
    for block in _in_blocks(x):
        rows, out = block.rows, slope[block.rows]
        log_mean, bend = _rates(whole[rows], None if sizes is None else sizes[rows])
        log_zero, apart = _of_zeros(log_mean, spread[rows] if by_row else spread, out)
        block.clear(log_zero)
        of_zeros.append(log_zero.sum(1))
        block.put(out, slope_at)
        block.put(apart, bend_at)
        block.weigh(out, weight)
        if bend is not None:
            out.mul_(bend)
        block.weigh(apart, weight)
        if by_row:
            in_theta[rows] = apart
        else:
            in_theta += apart.sum(0)
    if not by_row:
        lead = (1,) * (spread.dim() - 1)
        in_theta = in_theta.view(*lead, -1).sum_to_size(spread.shape)
    in_theta = in_theta * log_dispersion_slope(spread)
    rest = tuple(torch.zeros_like(part) for part in eta[2:])
    nll = torch.cat(of_zeros) - x.sum_rows(log_prob).to(whole.dtype)
    return nll, (slope.sum_to_size(eta[0].shape), in_theta, *rest)


def _of_zeros(log_mean: Tensor, log_theta: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """−log p(0) and its slope in log θ, (n, d); and in log μ, into ``out``."""
    theta = log_theta.exp()
    ratio = (log_mean - log_theta).exp_()
    log = torch.log1p(ratio)
    torch.div(ratio, ratio + 1, out=out)
    apart = (log - out).mul_(theta)
    out.mul_(theta)
    return log.mul_(theta), apart


def _at_non_zeros(x: SparseBatch, at: Tensor, log_theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log p in float64, and the nll's slopes in log μ and in log θ, each (m,), from log μ."""
    log_theta_at = log_theta.expand(x.shape)[x.rows, x.columns].double()
    log_prob, slope, bend = negative_binomial_cells(x.values, at.double(), log_theta_at)
    return log_prob, slope.to(at.dtype), bend.to(at.dtype)


def negative_binomial_cells(
    x: Tensor, log_mean: Tensor, log_theta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """log p of each cell, and the slopes of −log p in log μ and in log θ, in float64."""
    counts, wide = x.double(), log_theta.double()
    theta, gap = wide.exp(), wide - log_mean
    # σ(a) = θ/(μ+θ) with a = log θ − log μ
    share, other = torch.sigmoid(gap), torch.sigmoid(-gap)
    rises = torch.digamma(theta) - torch.digamma(counts + theta)
    slope = theta * other - counts * share
    bend = theta * (rises + F.softplus(-gap) - other) + counts * share
    return log_negative_binomial(counts, log_mean.double(), wide), slope, bend


def multinomial(x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
    """nll (n,), and the slope of its weighted sum in the logits."""
    whole, counts = eta[0].expand(x.shape), x.values.double()
    length = x.sum_rows(counts)
    # the rounding of log Σ exp η counts N times
    long = len(x) > 0 and float(length.max()) > LONG
    slope, log_sums = torch.empty_like(whole, memory_format=torch.contiguous_format), []
    for block in _in_blocks(x):
        out, logits = slope[block.rows], whole[block.rows]
        wide = logits.double() if long else logits
        highest = wide.amax(1, keepdim=True)
        shares = (wide - highest).exp_()
        sums = shares.sum(1, keepdim=True)
        log_sums.append((highest.double() + sums.double().log()).squeeze(1))
        out.copy_(shares.mul_(length[block.rows].to(wide.dtype).unsqueeze(1) / sums))
        values = x.values[block.inside].to(out.dtype)
        out.view(-1).index_add_(0, block.places, values, alpha=-1)
        block.weigh(out, weight)
    cost = torch.cat(log_sums)[x.rows] - whole[x.rows, x.columns].double()
    nll = x.sum_rows(torch.lgamma(counts + 1) + counts * cost) - torch.lgamma(length + 1)
    return nll.to(whole.dtype), (slope.sum_to_size(eta[0].shape),)
