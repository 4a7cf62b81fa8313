"""log p(x) of a model whose code has a prior, with an error that can be believed.

**Importance sampling.** For any proposal π(h) that covers the posterior,

    p(x) = E_π[w] ,   w = p(x | h) p(h) / π(h) ,    log p(x) ≈ log w̄ + s²/(2 K w̄²)

With π = p(h | x) the first term is the bound of Burda et al. (2016), which lies too low by about
the second on average. An encoder's p(h | x) is narrower than the posterior wherever the posterior
is correlated; then w has hardly a variance, and an error that is computed from K draws is far too
small. So π is a mixture that covers (Hesterberg, 1995; Owen and Zhou, 2000): Laplace's
approximation of the posterior with the tails of a t distribution, p(h | x), and the prior, which
keeps w below p(x | h)/α. Each has its fixed number of draws, so that the error is that of a
stratified mean: s²/K is the sum of α_j s_j²/K.

**Annealed importance sampling** (Neal, 2001; Wu et al., 2017) goes from the prior to the posterior
through p(h) p(x | h)^β with steps of Hamiltonian Monte Carlo in between. It is slow, but asks
nothing of the encoder, and so checks the other.

**Parzen windows** are here for comparison with the older literature only. They say little about a
model: see `parzen_log_likelihood`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from torch import Tensor

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._random import RandomState, draw_seed, make_generator
from isthmus._registry import is_real, is_whole
from isthmus.analysis.annealing import Ladder, anneal
from isthmus.analysis.learned import Learned, learned
from isthmus.analysis.proposal import propose
from isthmus.data import as_matrix, check_finite
from isthmus.encoders import GaussianCode

Array = NDArray[Any]
GRID = 25
BLOCK_CELLS = 1 << 22


@dataclass(frozen=True)
class Evidence:
    """log p(x) of each row.

    Attributes:
        log_evidence: Nats in the user's units, (n,).
        standard_error: Of each, (n,), by the delta method.
        effective_samples: (Σw)²/Σw², (n,), the number of equally weighted draws that would be as
            good (Kong, 1992). Where it is below 30 or so, a few draws carry the estimate, and the
            standard error is itself uncertain: draw more, or compare with `annealed_log_evidence`.
    """

    log_evidence: Array
    standard_error: Array
    effective_samples: Array


def log_evidence(
    model: Any,
    X: ArrayLike,
    n_samples: int = 1000,
    *,
    random_state: RandomState = None,
    verbose: int = 0,
) -> Evidence:
    """log p(x) of each row by importance sampling, with its standard error.

    Unlike `Autoencoder.log_likelihood`, whose draws come from p(h | x) alone, it is no lower
    bound: its bias is corrected to first order, and its error honest where the draws cover the
    posterior (see the module).

    Args:
        model: A fitted estimator with a code that has a prior, or its ``model_``.
        X: Rows as in `fit`, (n, d); of a table, cells may be missing.
        n_samples: K, draws of the code for each row, 10 or more.
        random_state: Seed; None is a new one each time.
        verbose: 1 shows a bar on a terminal.

    Raises:
        InvalidParameterError: The code has no prior, or K is below 10.
        InvalidDataError: As in `transform`.
        SupportError: A value that the likelihood can't have.
    """
    _require_count("n_samples", n_samples, 10)
    known = _stochastic(model, X, "log_evidence")
    generator = make_generator(draw_seed(random_state), known.model.device)

    def of_rows(x: Tensor) -> tuple[Tensor, ...]:
        z = known.model.scaled(x)
        weights, strata = propose(known.model, z, n_samples, generator)
        return _estimate(weights, strata)

    width = known.matrix.n_features + 8 * known.model.shape.n_components**2 + 2 * n_samples
    return Evidence(*known.over_rows(of_rows, width, verbose))


def annealed_log_evidence(
    model: Any,
    X: ArrayLike,
    n_temperatures: int = 1000,
    n_chains: int = 16,
    *,
    n_leapfrog: int = 8,
    random_state: RandomState = None,
    verbose: int = 0,
) -> Evidence:
    """log p(x) of each row by annealed importance sampling: a slow check of `log_evidence`.

    The lengths of the steps are found by trial runs whose draws are not used, so that the
    estimate of p(x) is unbiased for any number of temperatures. With few of them log w varies by
    more than 1 or so; then its mean over the chains lies too low, and so does the error.

    Args:
        model: A fitted estimator with a normal code, or its ``model_``.
        X: Rows as in `fit`, (n, d); of a table, cells may be missing.
        n_temperatures: T, steps from the prior to the posterior.
        n_chains: Independent runs for each row, 2 or more, from which the error comes.
        n_leapfrog: Leapfrog steps of each Hamiltonian move.
        random_state: Seed; None is a new one each time.
        verbose: 1 shows a bar on a terminal.

    Raises:
        InvalidParameterError: A code without a prior, or of bits; a number out of range.
        InvalidDataError: As in `transform`.
        SupportError: A value that the likelihood can't have.
    """
    _require_count("n_temperatures", n_temperatures, 2)
    _require_count("n_chains", n_chains, 2)
    _require_count("n_leapfrog", n_leapfrog, 1)
    known = _stochastic(model, X, "annealed_log_evidence")
    if not isinstance(known.model.encoder, GaussianCode):
        raise InvalidParameterError(
            f"Hamiltonian steps need a code of real numbers, and {known.model.encoder!r} is one "
            "of bits; use log_evidence with more samples."
        )
    generator = make_generator(draw_seed(random_state), known.model.device)
    ladder = Ladder(n_temperatures, n_chains, n_leapfrog)

    def of_rows(x: Tensor) -> tuple[Tensor, ...]:
        weights = anneal(known.model, known.model.scaled(x), ladder, generator)
        return _estimate(weights, [n_chains])

    k = known.model.shape.n_components
    width = n_chains * 8 * (known.matrix.n_features + k)
    return Evidence(*known.over_rows(of_rows, width, verbose))


def _stochastic(model: Any, X: ArrayLike, name: str) -> Learned:
    known = learned(model, X, of_numbers=False)
    if not known.model.encoder.stochastic:
        raise InvalidParameterError(
            f"{name} needs a code with a prior, but {known.model.encoder!r} has none: there is no "
            "p(x) = ∫ p(x | h) p(h) dh. Fit with encoder='gaussian' or encoder='bernoulli'; or "
            "compare score_samples, log p(x | f(x)), which is no density of x."
        )
    known.check_support()
    return known


def _estimate(log_weights: Tensor, strata: list[int]) -> tuple[Tensor, ...]:
    """log p(x), its standard error and the effective number of draws, each (n,).

    Args:
        log_weights: log w, (K, n), the draws of each component of the proposal together.
        strata: How many draws each component has.
    """
    log_weights = log_weights.double()
    top = log_weights.amax(0)
    w = (log_weights - top).exp()
    mean, n_draws = w.mean(0), len(w)
    variance = sum(
        (len(part) / n_draws) * part.var(0) for part in w.split(strata) if len(part) > 1
    )
    relative = variance / n_draws / mean.square()
    effective = w.sum(0).square() / w.square().sum(0)
    return top + mean.log() + relative / 2, relative.sqrt(), effective


# ---- Parzen windows -------------------------------------------------------------------------


@dataclass(frozen=True)
class Parzen:
    """What windows around samples say.

    Attributes:
        log_likelihood: Of each row, nats, (n,).
        bandwidth: The windows' standard deviation.
    """

    log_likelihood: Array
    bandwidth: float


def parzen_log_likelihood(
    samples: ArrayLike,
    X: ArrayLike,
    bandwidth: float | None = None,
    *,
    validation: ArrayLike | None = None,
) -> Parzen:
    """The log-likelihood of rows under normal windows around samples of a model.

        log p(x) ≈ log (1/m) Σ_s N(x; x_s, b² I)

    It was the usual figure for models without a likelihood (Breuleux et al., 2011), and is here to
    compare with such figures only. **It misleads**: in more than a few dimensions no number of
    samples brings it near log p(x), and it ranks models wrongly; samples that are centres of
    k-means score better than the data themselves (Theis et al., 2016). Use `log_evidence`.

    Args:
        samples: (m, d), as from ``sample``.
        X: Rows to score, (n, d).
        bandwidth: b, in the units of the data; chosen if None.
        validation: Rows on which b is chosen, for the highest mean; the samples themselves, each
            scored by the others, if None.

    Raises:
        InvalidDataError: Other widths, missing or infinite values, too few samples.
        InvalidParameterError: A bandwidth that is not positive.
    """
    centres = _numbers(samples)
    rows = _numbers(X, centres.shape[1])
    if bandwidth is None:
        held_out = None if validation is None else _numbers(validation, centres.shape[1])
        bandwidth = _chosen_bandwidth(centres, held_out)
    elif not (is_real(bandwidth) and 0 < bandwidth < math.inf):
        raise InvalidParameterError(f"bandwidth must be a positive number; got {bandwidth!r}.")
    scores = [_windows(block, bandwidth, centres.shape) for block in _distances(rows, centres)]
    return Parzen(np.concatenate(scores), float(bandwidth))


def _numbers(given: ArrayLike, width: int | None = None) -> Array:
    matrix = as_matrix(given)
    check_finite(matrix)
    if width is not None and matrix.n_features != width:
        raise InvalidDataError(
            f"The rows have {matrix.n_features} columns, but the samples have {width}; give rows "
            "like the samples."
        )
    return matrix.rows(0, len(matrix), np.float64)


def _distances(rows: Array, centres: Array, *, own: bool = False) -> Iterator[Array]:
    """Squared distances in blocks of rows; infinite from a row to itself if they are its own."""
    middle = centres.mean(0)
    a, b = rows - middle, centres - middle
    squares = (b**2).sum(1)
    size = max(1, BLOCK_CELLS // len(b))
    for first in range(0, len(a), size):
        part = a[first : first + size]
        squared = (part**2).sum(1)[:, None] + squares - 2 * part @ b.T
        np.maximum(squared, 0.0, out=squared)
        if own:
            squared[np.arange(len(part)), first + np.arange(len(part))] = np.inf
        yield squared


def _windows(squared: Array, bandwidth: float, shape: tuple[int, int]) -> Array:
    m, d = shape
    constant = 0.5 * d * math.log(2 * math.pi * bandwidth**2) + math.log(m)
    return np.asarray(logsumexp(-0.5 * squared / bandwidth**2, axis=1) - constant)


def _chosen_bandwidth(centres: Array, held_out: Array | None) -> float:
    """The b of the highest mean score: first on a grid, then between its neighbours."""
    own = held_out is None
    rows = centres if held_out is None else held_out
    if own and len(centres) < 2:
        raise InvalidDataError("One sample can't choose a bandwidth; give validation rows.")
    m, d = centres.shape
    blocks = list(_distances(rows, centres, own=own))
    typical = math.sqrt(float(np.median(np.concatenate([b.min(1) for b in blocks]))) / d)
    spread = float(centres.std(0).mean())
    typical = typical or spread or 1.0
    shape = (m - own, d)

    def mean_score(log_bandwidth: float) -> float:
        b = math.exp(log_bandwidth)
        return float(np.mean(np.concatenate([_windows(block, b, shape) for block in blocks])))

    grid = math.log(typical) + np.linspace(-4, 4, GRID)
    best = int(np.argmax([mean_score(each) for each in grid]))
    low, high = grid[max(0, best - 1)], grid[min(GRID - 1, best + 1)]
    found = minimize_scalar(lambda b: -mean_score(b), bounds=(low, high), method="bounded")
    return math.exp(float(found.x))


def _require_count(name: str, value: Any, least: int) -> None:
    if not (is_whole(value) and value >= least):
        raise InvalidParameterError(
            f"{name} must be a whole number, {least} or more; got {value!r}."
        )
