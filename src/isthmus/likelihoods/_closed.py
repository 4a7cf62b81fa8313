"""Counts that are mostly zeros: nll and slopes, with log-gammas at the non-zeros only.

Of a zero cell each family leaves one term, which a few passes over η (n, d) compute:

    Poisson             −log p(0) = μ                     slope in log μ:  μ
    negative binomial   −log p(0) = θ log(1 + r)          θ r/(1+r)
                                                          in log θ:  θ (log(1+r) − r/(1+r))
    multinomial         0                                 N softmax(η)

with r = μ/θ. At the m non-zeros the whole expression replaces it, in float64 where large terms
cancel. Rows are taken in blocks that stay in the processor's cache. Dense rows are handled so as
well where at most a quarter of the cells is not zero.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.likelihoods._likelihood import Eta
from isthmus.likelihoods._sizes import EMPTY
from isthmus.numerics import (
    LARGEST_LOG_DISPERSION,
    LARGEST_LOG_RATE,
    log_dispersion,
    log_negative_binomial,
    log_poisson,
    log_rate,
)
from isthmus.sparse import Batch, SparseBatch

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


def differentiable(kernel: Kernel, x: SparseBatch, eta: Eta) -> Tensor:
    """The kernel's nll (n,), with its slopes as the gradient."""
    nll: Tensor = _Nll.apply(kernel, x, *eta)  # type: ignore[no-untyped-call]  # torch gives apply no types
    return nll


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


def _row_log_sizes(x: SparseBatch, log_size: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    if log_size is None:
        return None
    totals = x.sum_rows(x.values).to(dtype).clamp_min(EMPTY)
    return (totals.log() - log_size).unsqueeze(1)


def _rates(eta: Tensor, log_sizes: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """log μ, which may be η itself, and ∂log μ/∂η where it isn't 1."""
    bend = None
    if float(eta.max()) > LARGEST_LOG_RATE:
        eta, bend = log_rate(eta), 1 / (1 + F.relu(eta - LARGEST_LOG_RATE))
    return eta if log_sizes is None else eta + log_sizes, bend


def _in_blocks(x: SparseBatch, eta: Tensor) -> list[tuple[slice, SparseBatch, Tensor]]:
    """Blocks of rows with their part of x and of η (n, d)."""
    size = max(1, BLOCK_CELLS // x.n_features)
    if len(x) <= size:
        return [(slice(0, len(x)), x, eta)]
    firsts = range(0, len(x), size)
    parts = [(first, min(first + size, len(x))) for first in firsts]
    return [(slice(a, b), x.part(a, b), eta[a:b]) for a, b in parts]


def _weight_of(weight: Weight, rows: slice) -> Weight:
    return weight[rows] if isinstance(weight, Tensor) else weight


def poisson(x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
    """nll (n,), and the slopes of its weighted sum (log μ, and log T if sizes count)."""
    whole = eta[0].expand(x.shape)
    slope, nll = torch.empty_like(whole, memory_format=torch.contiguous_format), []
    for rows, part, block in _in_blocks(x, whole):
        sizes = _row_log_sizes(part, eta[1] if len(eta) > 1 else None, whole.dtype)
        log_mean, bend = _rates(block, sizes)
        at = log_mean.reshape(-1)[part.places]
        counts = part.values.to(at.dtype)
        out = slope[rows]
        torch.exp(log_mean, out=out)
        flat = out.view(-1)
        flat.index_fill_(0, part.places, 0.0)
        nll.append(out.sum(1) - part.sum_rows(log_poisson(counts, at)))
        flat.index_copy_(0, part.places, at.exp() - counts)
        out.mul_(_weight_of(weight, rows))
        if bend is not None:
            out.mul_(bend)
    rest = tuple(torch.zeros_like(part) for part in eta[1:])
    return torch.cat(nll), (slope.sum_to_size(eta[0].shape), *rest)


def negative_binomial(x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
    """nll (n,), and the slopes of its weighted sum (log μ, log θ, and log T if sizes count)."""
    whole, spread = eta[0].expand(x.shape), log_dispersion(eta[1])
    by_row = spread.dim() == 2 and len(spread) == len(x) > 1
    slope, nll = torch.empty_like(whole, memory_format=torch.contiguous_format), []
    in_theta = torch.empty_like(slope) if by_row else torch.zeros_like(slope[0])
    for rows, part, block in _in_blocks(x, whole):
        sizes = _row_log_sizes(part, eta[2] if len(eta) > 2 else None, whole.dtype)
        log_mean, bend = _rates(block, sizes)
        log_theta = spread[rows] if by_row else spread
        out, share = slope[rows], _weight_of(weight, rows)
        values, apart = _negative_binomial_cells(part, log_mean, log_theta, out)
        nll.append(values)
        out.mul_(share)
        if bend is not None:
            out.mul_(bend)
        apart = apart.mul_(share)
        if by_row:
            in_theta[rows] = apart
        else:
            in_theta += apart.sum(0)
    tanh = spread / LARGEST_LOG_DISPERSION
    if not by_row:
        lead = (1,) * (spread.dim() - 1)
        in_theta = in_theta.view(*lead, -1).sum_to_size(spread.shape)
    rest = tuple(torch.zeros_like(part) for part in eta[2:])
    return torch.cat(nll), (slope.sum_to_size(eta[0].shape), in_theta * (1 - tanh.square()), *rest)


def _negative_binomial_cells(
    x: SparseBatch, log_mean: Tensor, log_theta: Tensor, out: Tensor
) -> tuple[Tensor, Tensor]:
    """nll (n,), and the slopes in log μ, into ``out``, and in log θ of every cell, (n, d)."""
    places, theta = x.places, log_theta.exp()
    at = log_mean.reshape(-1)[places].double()
    log_theta_at = log_theta.expand_as(log_mean)[x.rows, x.columns].double()
    ratio = (log_mean - log_theta).exp_()
    log = torch.log1p(ratio)
    torch.div(ratio, ratio + 1, out=out)
    apart = (log - out).mul_(theta)
    log.mul_(theta).view(-1).index_fill_(0, places, 0.0)
    out.mul_(theta)
    counts, theta_at, gap = x.values.double(), log_theta_at.exp(), log_theta_at - at
    here = log_negative_binomial(counts, at, log_theta_at)
    # σ(a) = θ/(μ+θ) with a = log θ − log μ
    share = torch.sigmoid(gap)
    other = torch.sigmoid(-gap)
    rises = torch.digamma(theta_at) - torch.digamma(counts + theta_at)
    slope = theta_at * other - counts * share
    bend = theta_at * (rises + F.softplus(-gap) - other) + counts * share
    out.view(-1).index_copy_(0, places, slope.to(out.dtype))
    apart.view(-1).index_copy_(0, places, bend.to(out.dtype))
    return log.sum(1) - x.sum_rows(here).to(out.dtype), apart


def multinomial(x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
    """nll (n,), and the slope of its weighted sum in the logits."""
    whole = eta[0].expand(x.shape)
    slope, nll = torch.empty_like(whole, memory_format=torch.contiguous_format), []
    for rows, part, block in _in_blocks(x, whole):
        out, counts = slope[rows], part.values.double()
        length = part.sum_rows(counts)
        # the rounding of log Σ exp η counts N times
        wide = block.double() if float(length.max()) > LONG else block
        highest = wide.amax(1, keepdim=True)
        shares = (wide - highest).exp_()
        sums = shares.sum(1, keepdim=True)
        log_sums = highest.double() + sums.double().log()
        cost = log_sums.view(-1)[part.rows] - block[part.rows, part.columns].double()
        values = part.sum_rows(torch.lgamma(counts + 1) + counts * cost)
        nll.append((values - torch.lgamma(length + 1)).to(whole.dtype))
        out.copy_(shares.mul_(length.to(wide.dtype).unsqueeze(1) / sums))
        out.view(-1).index_add_(0, part.places, part.values.to(out.dtype), alpha=-1)
        out.mul_(_weight_of(weight, rows))
    return torch.cat(nll), (slope.sum_to_size(eta[0].shape),)
