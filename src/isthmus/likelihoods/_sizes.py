"""Size factors: rows that were counted for longer have more of everything.

    E[x_ij] = s_i exp(η_ij) ,     s_i = Σ_j x_ij / T

A cell's total, or a document's length, is given and not modelled, as N is in a multinomial and as
the observed library size is in Lopez et al. (2018). T is the typical total (the geometric mean of
the training rows' totals): a row of that size has s = 1, and a mean or a sample from a code alone,
which says nothing about size, is of a row with s = 1. T is kept with the model as a fixed
parameter log T. An empty row is certain. The total is that of all columns, so no column has a
probability by itself, and no missing cell can be left out: sizes are no part of `Columns`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus.likelihoods._likelihood import Eta, Parameter
from isthmus.numerics import LARGEST_LOG_DISPERSION, bisect, log_rate

EMPTY = 1e-30
LEAST_MEAN = 1e-6
ROUNDS = 4
MOST_STEPS = 200


def require_size(name: str, size: str | None) -> None:
    """Refuse a size that there isn't."""
    if size not in (None, "library"):
        raise InvalidParameterError(f"{name}'s size must be None or 'library'; got {size!r}.")


def size_parameters(size: str | None) -> tuple[Parameter, ...]:
    """log T, if sizes count."""
    return () if size is None else (Parameter("log_size", "fixed"),)


def sizes_start(x: Tensor, size: str | None) -> Eta:
    """log T of these rows, (1,), if sizes count; 0 where every row is empty."""
    if size is None:
        return ()
    totals = x.sum(1)
    logs = totals[totals > 0].log()
    return (logs.mean().reshape(1) if len(logs) else x.new_zeros(1),)


def log_sizes(x: Tensor, log_typical: Tensor) -> Tensor:
    """log s of each row, (n, 1)."""
    return x.sum(-1, keepdim=True).clamp_min(EMPTY).log() - log_typical


def cell_log_mean(x: Tensor, eta: Eta, size: str | None) -> Tensor:
    """log μ of each cell from η, whose first part is log μ of a row with s = 1."""
    rate = log_rate(eta[0])
    return rate if size is None else rate + log_sizes(x, eta[-1])


def best_with_sizes(x: Tensor, *, shared: bool) -> tuple[Tensor, Tensor]:
    """log μ of a typical row, (d,), and log θ, (d,) or (1,), of the greatest likelihood.

    In turn the mean for a dispersion, Σ w x / Σ w s with w = 1/(θ + s μ), and the dispersion for
    a mean, where the derivative Σ [ψ(x+θ) − ψ(θ) + log θ/(θ+sμ) + 1 − (x+θ)/(θ+sμ)] is zero.
    The two are nearly orthogonal, so a few rounds are enough.
    """
    size = log_sizes(x, *sizes_start(x, "library")).exp()
    row, column = x.nonzero(as_tuple=True)
    some = x[row, column]
    mean = (x.sum(0) / size.sum().clamp_min(EMPTY)).clamp_min(LEAST_MEAN)

    def slope(log_theta: Tensor) -> Tensor:
        theta = log_theta.exp().expand_as(mean)
        rises = torch.digamma(some + theta[column]) - torch.digamma(theta)[column]
        ratio = size * (mean / theta)
        rest = torch.log1p(ratio) + (x - size * mean) / (theta * (1 + ratio))
        terms = torch.zeros_like(mean).index_add_(0, column, rises) - rest.sum(0)
        return terms.sum().reshape(1) if shared else terms

    end = torch.full((1,) if shared else mean.shape, LARGEST_LOG_DISPERSION, dtype=x.dtype)
    for _ in range(ROUNDS):
        log_theta = bisect(slope, -end, end)
        for _ in range(2 * ROUNDS):
            weight = 1 / (log_theta.exp() + size * mean)
            mean = (weight * x).sum(0) / (weight * size).sum(0).clamp_min(EMPTY)
            mean = mean.clamp_min(LEAST_MEAN)
    return mean.log(), log_theta


def climb(loss: Callable[[Eta], Tensor], free: Eta, fixed: Eta) -> Eta:
    """η with the least loss that L-BFGS reaches from here (Liu and Nocedal, 1989)."""
    parts = [part.clone().requires_grad_() for part in free]
    search = torch.optim.LBFGS(
        parts,
        max_iter=MOST_STEPS,
        history_size=20,
        tolerance_change=1e-12,
        tolerance_grad=1e-9,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        search.zero_grad()
        value = loss((*parts, *fixed))
        value.backward()
        return value

    with torch.enable_grad():
        search.step(closure)
    return (*(part.detach() for part in parts), *fixed)
