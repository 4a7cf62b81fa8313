"""Every likelihood with what its laws need: η to try, data to try, and the truth.

`MEMBERS` holds the registry's defaults and further variants by their repr, so a new member is
tested by every law the moment it is registered; it must say its truth in `TRUTHS` and, for a
parameter or a support that is new, how to draw it in `RANGES` or `DRAWS`.
"""

from collections.abc import Callable
from itertools import product

import mpmath
import numpy as np
import scipy.stats as st
import torch
from scipy.integrate import tanhsinh
from scipy.special import expit, log_softmax, xlogy

from isthmus import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Gaussian,
    Laplace,
    Multinomial,
    NegativeBinomial,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
)
from isthmus.likelihoods import LIKELIHOODS, Eta, Likelihood

UNCOUNTED = Categorical()
VARIANTS: tuple[Likelihood, ...] = (
    Gaussian(1.7),
    Gaussian("row"),
    Laplace("row"),
    Laplace("shared"),
    StudentT("feature"),
    StudentT(7.5, "row"),
    StudentT(3, "shared"),
    Bernoulli(fractions=True),
    Categorical(2),
    Categorical(4),
    NegativeBinomial("row"),
    NegativeBinomial("shared"),
    ZeroInflatedNegativeBinomial("row"),
    ZeroInflatedNegativeBinomial("shared"),
    Multinomial(total=7),
)
MEMBERS: dict[str, Likelihood] = {
    repr(member): member
    for member in (*(LIKELIHOODS[name] for name in LIKELIHOODS), *VARIANTS)
    if member != UNCOUNTED
}
REAL = [name for name, member in MEMBERS.items() if member.traits.support.description[0] == "f"]

RANGES = {
    "mean": (-3, 3),
    "median": (-3, 3),
    "log_scale": (-2, 1),
    "df": (2, 6),
    "logit": (-4, 4),
    "logits": (-3, 3),
    "log_mean": (-3, 3),
    "log_dispersion": (-1.5, 3),
    "zero_logit": (-3, 3),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spread(
    likelihood: Likelihood, draw: Callable[[str, tuple[int, ...]], torch.Tensor], n: int, d: int
) -> Eta:
    """η with each parameter in its own shape, from a function of a parameter's name and shape."""
    sizes = {"row": (n, d), "feature": (d,), "shared": (1,)}
    parts = []
    for place, parameter in enumerate(likelihood.traits.parameters):
        if parameter.varies == "fixed":
            parts.append(likelihood.start(draw_data(likelihood, 4, d))[place])
        else:
            width = (parameter.width,) if parameter.width > 1 else ()
            parts.append(draw(parameter.name, sizes[parameter.varies] + width))
    return tuple(parts)


def draw_eta(likelihood: Likelihood, n: int, d: int, seed: int = 0) -> Eta:
    """η in float64, uniform over `RANGES`."""
    source = generator(seed)

    def uniform(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        low, high = RANGES[name]
        return low + (high - low) * torch.rand(shape, generator=source, dtype=torch.float64)

    return spread(likelihood, uniform, n, d)


def in_every_cell(likelihood: Likelihood, eta: Eta, n: int, d: int) -> Eta:
    """The same η with an own copy of each parameter for each cell, (n, d) or (n, d, K)."""
    widths = [parameter.width for parameter in likelihood.traits.parameters]
    return tuple(
        part.expand(n, d, *((width,) if width > 1 else ())).clone()
        for part, width in zip(eta, widths, strict=True)
    )


def _reals(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = rng.standard_t(3, size=(n, d))
    x.flat[:2] = 0.0, 25.0
    return x


def _bits(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return (rng.random((n, d)) < rng.uniform(0.2, 0.8, size=d)).astype(float)


def _fractions(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = rng.beta(*rng.uniform(0.5, 2, size=(2, d)), size=(n, d))
    x.flat[:2] = 0.0, 1.0
    return x


def _counts(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = rng.negative_binomial(1.5, rng.uniform(0.05, 0.5, size=d), size=(n, d)).astype(float)
    x.flat[:3] = 0, 1, 250
    return x


DRAWS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "finite real numbers": _reals,
    "values 0 or 1": _bits,
    "numbers in [0, 1]": _fractions,
    "counts 0, 1, 2, …": _counts,
}


def draw_data(likelihood: Likelihood, n: int, d: int, seed: int = 0) -> torch.Tensor:
    """Rows (n, d) in float64 anywhere in the support, its edges among them."""
    rng = np.random.default_rng(seed)
    if isinstance(likelihood, Categorical):
        x = rng.integers(0, likelihood.levels, size=(n, d)).astype(float)
        x.flat[: likelihood.levels] = np.arange(likelihood.levels)[: x.size]
    else:
        x = DRAWS[likelihood.traits.support.description](rng, n, d)
    return torch.from_numpy(x)


# ---- truths: log p(x | η) from scipy or from the closed form, (n, d), or (n,) for whole rows ----


def floored(eta: np.ndarray, floor: float) -> np.ndarray:
    return np.sqrt(floor**2 + np.exp(2 * eta))


def rate(eta: np.ndarray) -> np.ndarray:
    return np.where(eta < 15, np.exp(np.minimum(eta, 15)), np.exp(15) * (eta - 14))


def dispersion(eta: np.ndarray) -> np.ndarray:
    return np.exp(12 * np.tanh(eta / 12))


def _gaussian(member: Gaussian, x, mean, log_scale):
    learned = isinstance(member.scale, str)
    scale = floored(log_scale, member.floor) if learned else np.exp(log_scale)
    return st.norm.logpdf(x, mean, scale)


def _laplace(member: Laplace, x, median, log_scale):
    # as half an exponential: st.laplace.logpdf takes the logarithm of an underflow far out
    return st.expon.logpdf(np.abs(x - median), scale=floored(log_scale, member.floor)) - np.log(2)


def _student(member: StudentT, x, mean, log_scale, df):
    df = 1 + np.logaddexp(0, df) if isinstance(member.df, str) else df
    return st.t.logpdf(x, df, mean, floored(log_scale, member.floor))


def _bernoulli(member: Bernoulli, x, logit):
    if member.fractions:
        return xlogy(x, expit(logit)) + xlogy(1 - x, expit(-logit))
    # mirrored so that p ≤ ½: 1 − p would keep no digits of a small chance
    return st.bernoulli.logpmf(np.where(logit > 0, 1 - x, x), expit(-np.abs(logit)))


def _continuous_bernoulli(member: ContinuousBernoulli, x, logit):
    def log_partition(eta: float) -> float:
        return float(mpmath.log(mpmath.expm1(eta) / eta)) if eta else 0.0

    with mpmath.workdps(50):
        return x * logit - np.vectorize(log_partition)(logit)


def _categorical(member: Categorical, x, logits):
    logits = np.broadcast_to(log_softmax(logits, -1), (*x.shape, member.levels))
    return np.take_along_axis(logits, x.astype(int)[..., None], -1)[..., 0]


def _poisson(member: Poisson, x, log_mean):
    return st.poisson.logpmf(x, rate(log_mean))


def _negative_binomial(member: Likelihood, x, log_mean, log_dispersion):
    mean, theta = rate(log_mean), dispersion(log_dispersion)
    return st.nbinom.logpmf(x, theta, theta / (theta + mean))


def _zero_inflated(member: Likelihood, x, log_mean, log_dispersion, zero_logit):
    inner = _negative_binomial(member, x, log_mean, log_dispersion)
    return _inflate(x, inner, zero_logit)


def _inflate(x, inner, zero_logit):
    inner = inner + st.logistic.logsf(zero_logit)
    return np.where(x == 0, np.logaddexp(st.logistic.logcdf(zero_logit), inner), inner)


def _multinomial(member: Multinomial, x, logit):
    chances = np.broadcast_to(np.exp(log_softmax(logit, -1)), x.shape)
    chances = chances / chances.sum(-1, keepdims=True)
    return np.array(
        [st.multinomial.logpmf(r, r.sum(), p) for r, p in zip(x, chances, strict=True)]
    )


TRUTHS: dict[type[Likelihood], Callable[..., np.ndarray]] = {
    Gaussian: _gaussian,
    Laplace: _laplace,
    StudentT: _student,
    Bernoulli: _bernoulli,
    ContinuousBernoulli: _continuous_bernoulli,
    Categorical: _categorical,
    Poisson: _poisson,
    NegativeBinomial: _negative_binomial,
    ZeroInflatedNegativeBinomial: _zero_inflated,
    Multinomial: _multinomial,
}


def _exact_poisson(member: Poisson, x, log_mean):
    @np.vectorize
    def log_prob(x: float, mean: float) -> float:
        with mpmath.workdps(50):
            mean, x = mpmath.mpf(mean), mpmath.mpf(x)
            return float(x * mpmath.log(mean) - mean - mpmath.loggamma(x + 1))

    return log_prob(x, rate(log_mean))


def _exact_negative_binomial(member: Likelihood, x, log_mean, log_dispersion):
    @np.vectorize
    def log_prob(x: float, mean: float, theta: float) -> float:
        with mpmath.workdps(50):
            mean, theta, x = mpmath.mpf(mean), mpmath.mpf(theta), mpmath.mpf(x)
            ways = mpmath.loggamma(x + theta) - mpmath.loggamma(theta) - mpmath.loggamma(x + 1)
            apart = x * mpmath.log(mean / (mean + theta)) + theta * mpmath.log(
                theta / (mean + theta)
            )
            return float(ways + apart)

    return log_prob(x, rate(log_mean), dispersion(log_dispersion))


def _exact_zero_inflated(member: Likelihood, x, log_mean, log_dispersion, zero_logit):
    inner = _exact_negative_binomial(member, x, log_mean, log_dispersion)
    return _inflate(x, inner, zero_logit)


# where scipy's own rounding shows: counts in the millions, dispersions next to a Poisson's
EXACT_TRUTHS = {
    **TRUTHS,
    Poisson: _exact_poisson,
    NegativeBinomial: _exact_negative_binomial,
    ZeroInflatedNegativeBinomial: _exact_zero_inflated,
}


def truth(
    likelihood: Likelihood, x: torch.Tensor, eta: Eta, *, exact: bool = False
) -> torch.Tensor:
    """log p in float64 by someone else's code, or to 50 digits where even scipy is not enough."""
    arrays = (part.double().numpy() for part in eta)
    formula = (EXACT_TRUTHS if exact else TRUTHS)[type(likelihood)]
    values = formula(likelihood, x.double().numpy(), *arrays)
    return torch.from_numpy(np.asarray(values, dtype=float))


def ours(likelihood: Likelihood, x: torch.Tensor, eta: Eta) -> torch.Tensor:
    """log_prob in the shape of `truth`: whole rows where only they have a truth."""
    value = likelihood.log_prob(x, eta)
    return value.sum(1) if isinstance(likelihood, Multinomial) else value


# ---- expectations under log_prob itself, by quadrature or summation -----------------------------

LARGEST_COUNT = 20_000


def points(likelihood: Likelihood, d: int) -> torch.Tensor | None:
    """All rows (m, d) of a discrete support, as far as probability goes; None for a density."""
    if isinstance(likelihood, Multinomial):
        rows = product(range(likelihood.total + 1), repeat=d)
        return torch.tensor([row for row in rows if sum(row) == likelihood.total]).double()
    size = {Bernoulli: 2, Categorical: getattr(likelihood, "levels", 0)}.get(type(likelihood))
    if size is None and likelihood.traits.support.description.startswith("counts"):
        size = LARGEST_COUNT
    return None if size is None else torch.arange(size).double().unsqueeze(1).expand(-1, d)


def expectation(
    likelihood: Likelihood, eta: Eta, function: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """∫ or Σ function(x_j) p(x_j | η_j) for one row of η (d features): (d,)."""
    d = eta[0].shape[1]
    grid = points(likelihood, d)
    if grid is None:
        return _integral(likelihood, tuple(part.broadcast_to(1, d)[0] for part in eta), function)
    log_prob = likelihood.log_prob(grid, eta)
    if isinstance(likelihood, Multinomial):
        log_prob = log_prob.sum(1, keepdim=True)
    return (function(grid) * log_prob.exp()).sum(0)


def _integral(
    likelihood: Likelihood, eta: Eta, function: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    def integrand(x: np.ndarray, *part: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(x)
        log_prob = likelihood.log_prob(x, tuple(map(torch.from_numpy, part)))
        return (function(x) * log_prob.exp()).numpy()

    location = eta[0].numpy()
    real = likelihood.traits.support.description == "finite real numbers"
    # in two halves, because a density may have a kink at its location
    ends = [(-np.inf, location), (location, np.inf)] if real else [(0.0, 0.5), (0.5, 1.0)]
    args = tuple(part.numpy() for part in eta)
    total = sum(tanhsinh(integrand, a, b, args=args).integral for a, b in ends)
    return torch.from_numpy(np.asarray(total))
