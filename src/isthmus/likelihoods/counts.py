"""Counts 0, 1, 2, …: Poisson, and two that vary more than it.

    Poisson             log p(x; μ) = x log μ − μ − log x!
    negative binomial   variance μ + μ²/θ; a Poisson whose rate is Gamma(θ, θ/μ)
    zero-inflated       with probability π an extra zero, else negative binomial

The encoder sees log(1 + x). The mean is exp(η) up to e¹⁵ and grows linearly beyond; log θ is kept
within ±12 (see `numerics`): both departures from the textbook links keep every η finite. The
parametrisation by mean and dispersion is that of Lopez et al. (2018).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus._errors import InvalidParameterError
from isthmus.likelihoods import _closed
from isthmus.likelihoods._closed import MostlyZeros, Weight
from isthmus.likelihoods._likelihood import COUNTS, Divisor, Eta, Likelihood, Parameter, Traits
from isthmus.likelihoods._sizes import (
    EMPTY,
    LEAST_MEAN,
    best_with_sizes,
    cell_log_mean,
    climb,
    log_sizes,
    require_size,
    size_parameters,
    sizes_start,
)
from isthmus.numerics import (
    LARGEST_LOG_DISPERSION,
    bisect,
    inverse_log_dispersion,
    inverse_log_rate,
    log_dispersion,
    log_dispersion_slope,
    log_negative_binomial,
    log_poisson,
    log_rate,
    log_rate_slope,
)
from isthmus.sparse import SparseBatch

LARGEST_LOGIT = 15.0
CLIMBABLE_LOGIT = -3.0


@dataclass(frozen=True)
class Poisson(MostlyZeros):
    """x_j ~ Poisson(μ_j) with log μ predicted by the decoder.

    Args:
        size: ``"library"`` multiplies μ by the row's size factor; None does not.

    Raises:
        InvalidParameterError: Another size.
    """

    size: str | None = None

    def __post_init__(self) -> None:
        require_size("Poisson", self.size)

    @property
    def traits(self) -> Traits:
        """One log-rate, and the typical total of a row if sizes count."""
        parameters = (Parameter("log_mean"), *size_parameters(self.size))
        return Traits(
            parameters=parameters, support=COUNTS, entry="log1p", factorised=self.size is None
        )

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """The logarithm of the mean, which is taken as 10⁻⁶ for a column of zeros."""
        size, mean = sizes_start(x, self.size), x.mean(0)
        if size:
            mean = mean / log_sizes(x, *size).exp().mean().clamp_min(EMPTY)
        return (inverse_log_rate(mean.clamp_min(LEAST_MEAN).log()), *size)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        return log_poisson(x, cell_log_mean(x, eta, self.size))

    def _of_non_zeros(self, x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
        return _closed.poisson(x, eta, weight)

    def _by_cell(self, x: Tensor, eta: Eta) -> tuple[Tensor, Eta]:
        log_mean = cell_log_mean(x, eta, self.size)
        slope = (log_mean.exp() - x) * log_rate_slope(eta[0])
        return -log_poisson(x, log_mean), (slope, *map(torch.zeros_like, eta[1:]))

    def _mean(self, eta: Eta) -> Tensor:
        return log_rate(eta[0]).exp()

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        return torch.poisson(self._mean(eta), generator=generator)


@dataclass(frozen=True)
class NegativeBinomial(MostlyZeros):
    """x_j ~ NegativeBinomial(mean μ_j, dispersion θ_j), variance μ + μ²/θ.

    Args:
        dispersion: Where θ lives: ``"feature"`` learns one for each feature, ``"shared"`` one for
            all, ``"row"`` predicts it from the code.
        size: ``"library"`` multiplies μ by the row's size factor; None does not.

    Raises:
        InvalidParameterError: Another dispersion or size.
    """

    dispersion: str = "feature"
    size: str | None = None

    def __post_init__(self) -> None:
        _require_dispersion("NegativeBinomial", self.dispersion)
        require_size("NegativeBinomial", self.size)

    @property
    def traits(self) -> Traits:
        """Log-mean per row; log-dispersion where `dispersion` says; a typical total."""
        return Traits(
            parameters=(
                Parameter("log_mean"),
                Parameter("log_dispersion", self.dispersion),
                *size_parameters(self.size),
            ),
            support=COUNTS,
            entry="log1p",
            factorised=self.size is None,
        )

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """Log-means and dispersion of the greatest likelihood, given the rows' sizes."""
        shared = self.dispersion == "shared"
        if self.size is not None:
            best, log_theta = best_with_sizes(x, shared=shared)
            return (
                inverse_log_rate(best),
                inverse_log_dispersion(log_theta),
                *sizes_start(x, self.size),
            )
        log_mean = x.mean(0).clamp_min(LEAST_MEAN).log()
        log_theta = _best_log_dispersion(x, lambda _: log_mean, shared=shared)
        return inverse_log_rate(log_mean), inverse_log_dispersion(log_theta)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        return log_negative_binomial(x, cell_log_mean(x, eta, self.size), log_dispersion(eta[1]))

    def _of_non_zeros(self, x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
        return _closed.negative_binomial(x, eta, weight)

    def _by_cell(self, x: Tensor, eta: Eta) -> tuple[Tensor, Eta]:
        log_mean, log_theta = cell_log_mean(x, eta, self.size), log_dispersion(eta[1])
        cells = _closed.negative_binomial_cells(x, log_mean, log_theta)
        log_prob, slope, bend = (each.to(log_mean.dtype) for each in cells)
        of_theta = bend * log_dispersion_slope(log_theta)
        rest = map(torch.zeros_like, eta[2:])
        return -log_prob, (slope * log_rate_slope(eta[0]), of_theta, *rest)

    def _mean(self, eta: Eta) -> Tensor:
        return log_rate(eta[0]).exp()

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        return _sample_negative_binomial(log_rate(eta[0]), log_dispersion(eta[1]), generator)


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(Likelihood):
    """x_j is 0 with probability π_j, else NegativeBinomial(mean μ_j, dispersion θ_j).

    Args:
        dispersion: Where θ lives: ``"feature"``, ``"shared"`` or ``"row"``. μ and the logit of π
            are predicted by the decoder.
        size: ``"library"`` multiplies μ by the row's size factor; None does not.

    Raises:
        InvalidParameterError: Another dispersion or size.
    """

    dispersion: str = "feature"
    size: str | None = None

    def __post_init__(self) -> None:
        _require_dispersion("ZeroInflatedNegativeBinomial", self.dispersion)
        require_size("ZeroInflatedNegativeBinomial", self.size)

    @property
    def traits(self) -> Traits:
        """Log-mean and the logit of an extra zero per row; log-dispersion as `dispersion` says."""
        return Traits(
            parameters=(
                Parameter("log_mean"),
                Parameter("log_dispersion", self.dispersion),
                Parameter("zero_logit"),
                *size_parameters(self.size),
            ),
            support=COUNTS,
            entry="log1p",
            factorised=self.size is None,
        )

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """The maximum of the likelihood; without extra zeros the logit of π is −15.

        If zeros come in excess, the best negative binomial is that of the counts above zero by
        themselves, so it has a larger mean, and 1 − π is the ratio of the column's mean to it.
        With sizes there is no such short way: from there the likelihood is climbed.
        """
        log_mean = x.mean(0).clamp_min(LEAST_MEAN).log()
        shared = self.dispersion == "shared"
        log_theta = _best_log_dispersion(x, lambda at: _log_mean_above_zero(x, at), shared=shared)
        inner = _log_mean_above_zero(x, log_theta)
        zero_logit = torch.expm1(inner - log_mean).clamp_min(0).log()
        # where it is −15 already, nothing pulls it up again
        least = -LARGEST_LOGIT if self.size is None else CLIMBABLE_LOGIT
        start = (
            inverse_log_rate(inner),
            inverse_log_dispersion(log_theta),
            zero_logit.clamp(least, LARGEST_LOGIT),
        )
        if self.size is None:
            return start
        return climb(lambda eta: self._nll(x, eta).mean(), start, sizes_start(x, self.size))

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        inner = log_negative_binomial(x, cell_log_mean(x, eta, self.size), log_dispersion(eta[1]))
        inner = inner + F.logsigmoid(-eta[2])
        return torch.where(x == 0, torch.logaddexp(F.logsigmoid(eta[2]), inner), inner)

    def _by_cell(self, x: Tensor, eta: Eta) -> tuple[Tensor, Eta]:
        log_mean, log_theta = cell_log_mean(x, eta, self.size), log_dispersion(eta[1])
        cells = _closed.negative_binomial_cells(x, log_mean, log_theta)
        inner, slope, bend = (each.to(log_mean.dtype) for each in cells)
        extra, inner = F.logsigmoid(eta[2]), inner + F.logsigmoid(-eta[2])
        zero = x == 0
        # how probable it is that a zero is an extra one
        chance = torch.where(zero, torch.sigmoid(extra - inner), 0.0)
        nll = -torch.where(zero, torch.logaddexp(extra, inner), inner)
        of_mean = (1 - chance) * slope * log_rate_slope(eta[0])
        of_theta = (1 - chance) * bend * log_dispersion_slope(log_theta)
        of_zero = torch.sigmoid(eta[2]) - chance
        return nll, (of_mean, of_theta, of_zero, *map(torch.zeros_like, eta[3:]))

    def _mean(self, eta: Eta) -> Tensor:
        return log_rate(eta[0]).exp() * torch.sigmoid(-eta[2])

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        draws = _sample_negative_binomial(log_rate(eta[0]), log_dispersion(eta[1]), generator)
        kept = torch.empty_like(draws).uniform_(generator=generator)
        return draws * (kept >= torch.sigmoid(eta[2]))


def _require_dispersion(name: str, dispersion: str) -> None:
    if dispersion not in ("feature", "shared", "row"):
        raise InvalidParameterError(
            f"{name}'s dispersion must be 'feature', 'shared' or 'row'; got {dispersion!r}."
        )


def _sample_negative_binomial(
    log_mean: Tensor, log_theta: Tensor, generator: torch.Generator
) -> Tensor:
    theta = log_theta.exp().expand_as(log_mean)
    gamma = torch._standard_gamma(theta, generator=generator)
    return torch.poisson(gamma * (log_mean.exp() / theta), generator=generator)


def _best_log_dispersion(
    x: Tensor, best_log_mean: Callable[[Tensor], Tensor], *, shared: bool
) -> Tensor:
    """The log θ of the greatest likelihood, per column or for all, each with its best mean.

    It is the root of the derivative Σ [ψ(x+θ) − ψ(θ) − x/μ · log(1 + μ/θ)], where μ is the best
    mean for θ: the column's own, or more if there are extra zeros; the other terms sum to zero.
    """
    mean = x.mean(0).clamp_min(LEAST_MEAN)

    def slope(log_theta: Tensor) -> Tensor:
        theta, best = log_theta.exp(), best_log_mean(log_theta).exp()
        terms = (torch.digamma(x + theta) - torch.digamma(theta)).mean(0)
        terms = terms - mean / best * torch.log1p(best / theta)
        return terms.mean().reshape(1) if shared else terms

    end = torch.full((1,) if shared else mean.shape, LARGEST_LOG_DISPERSION, dtype=x.dtype)
    return bisect(slope, -end, end)


def _log_mean_above_zero(x: Tensor, log_theta: Tensor) -> Tensor:
    """log μ of the negative binomial whose mean without its zeros, μ/(1 − p(0)), is the data's.

    Where it would have more zeros than the data, none are extra: then μ is the column's mean.
    """
    mean = x.mean(0).clamp_min(LEAST_MEAN)
    above = torch.maximum(x.sum(0) / (x > 0).sum(0).clamp_min(1), mean)
    theta = log_theta.exp()

    def gap(log_mean: Tensor) -> Tensor:
        mean = log_mean.exp()
        return above + mean / torch.expm1(-theta * torch.log1p(mean / theta))

    return bisect(gap, mean.log(), above.log())
