"""p(h) of a code that has no prior: a Gaussian mixture fitted to codes of the data.

The decoder of a plain autoencoder knows p(x | h); with a density of its codes it gives new rows,

    h ~ Σ_c π_c N(μ_c, Σ_c) ,     x ~ p(x | h)

(ex-post density estimation; Ghosh et al., 2020). The number of components has the least BIC, and
each has rows enough for its covariance. Units are brought to one scale before the fit, so that
what is added to each variance, 10⁻⁶ of it, is as small for a narrow unit as for a wide one. Where
rows are few against units, the covariance is shrunk (Ledoit and Wolf, 2004). A unit that is the
same for all rows stays what it is and has no part in the density.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._random import RandomState, draw_seed
from isthmus._registry import is_whole
from isthmus.analysis.learned import learned
from isthmus.data import as_matrix, check_finite

Array = NDArray[np.float64]
MOST_ROWS = 100_000
COMPONENTS = (1, 2, 4, 8, 16, 32)
ROWS_PER_NUMBER = 2
ADDED_VARIANCE = 1e-6
CONSTANT = 1e-6


@dataclass(frozen=True)
class CodeDensity:
    """A Gaussian mixture of codes.

    Attributes:
        weights: π, (c,).
        means: μ, (c, k).
        factors: L with L Lᵀ = Σ, lower triangular, (c, v, v), of the units that vary.
        varying: Which units vary, (k,).
        low: The least value of each unit that was seen, (k,).
        high: The greatest, (k,).
    """

    weights: Array
    means: Array
    factors: Array
    varying: NDArray[np.bool_]
    low: Array
    high: Array

    def sample(self, n_samples: int, random_state: RandomState = None) -> Array:
        """Codes (n, k).

        They are kept between the least and the greatest value of each unit that was seen: a
        normal tail beyond them, such as below 0 for a sigmoid, is nothing that a decoder knows.

        Args:
            n_samples: n.
            random_state: Seed; None is a new one each time.

        Raises:
            InvalidParameterError: n is below 1.
        """
        _require_count("n_samples", n_samples)
        rng = np.random.default_rng(draw_seed(random_state))
        chosen = rng.choice(len(self.weights), n_samples, p=self.weights)
        codes = self.means[chosen]
        noise = rng.normal(size=(n_samples, self.factors.shape[1]))
        for component, factor in enumerate(self.factors):
            rows = np.flatnonzero(chosen == component)
            codes[np.ix_(rows, self.varying)] += noise[rows] @ factor.T
        return np.clip(codes, self.low, self.high)

    def log_prob(self, codes: ArrayLike) -> Array:
        """log p(h) of the units that vary, in nats, (n,).

        Args:
            codes: (n, k).

        Raises:
            InvalidDataError: Codes of another width, missing or infinite values.
        """
        matrix = as_matrix(codes)
        check_finite(matrix)
        if matrix.n_features != len(self.varying):
            raise InvalidDataError(
                f"The codes have {matrix.n_features} units, but the density is of "
                f"{len(self.varying)}; give what transform gave."
            )
        h, v = matrix.rows(0, len(matrix), np.float64)[:, self.varying], self.factors.shape[1]
        parts = []
        for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True):
            gap = solve_triangular(factor, (h - mean[self.varying]).T, lower=True)
            log_volume = np.log(np.diag(factor)).sum() + 0.5 * v * np.log(2 * np.pi)
            parts.append(np.log(weight) - log_volume - 0.5 * (gap**2).sum(0))
        return np.asarray(logsumexp(parts, axis=0))


def fit_density(
    model: Any,
    X: ArrayLike,
    n_components: int | None = None,
    *,
    random_state: RandomState = 0,
) -> CodeDensity:
    """The density of the codes E[h | x] of rows; of at most 100,000 of them, chosen at random.

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Rows as in `fit`; of a table, cells may be missing.
        n_components: Of the mixture; None for the least BIC among 1, 2, 4, … 32.
        random_state: Seed of the choice of rows and of the mixture's start.

    Raises:
        InvalidParameterError: n_components is not between 1 and the number of rows.
        InvalidDataError: As in `transform`.

    Example:
        h = fit_density(model, X).sample(1000, random_state=0)
        rows = model.inverse_transform(h)
    """
    known = learned(model, X, of_numbers=False)
    known.check_support()
    seed = draw_seed(random_state)
    if len(known.matrix) > MOST_ROWS:
        chosen = np.random.default_rng(seed).choice(len(known.matrix), MOST_ROWS, replace=False)
        known = known.some(np.sort(chosen))
    codes = known.over_rows(known.encode, 8 * known.matrix.n_features)
    return fit_codes(codes, n_components, seed)


def fit_codes(codes: NDArray[Any], n_components: int | None = None, seed: int = 0) -> CodeDensity:
    """The same of codes (n, k) that are finite.

    Raises:
        InvalidParameterError: n_components is not between 1 and n.
    """
    h = np.asarray(codes, np.float64)
    if n_components is not None:
        _require_count("n_components", n_components, len(h))
    center, spread = h.mean(0), h.std(0)
    varying = spread > CONSTANT * np.maximum(np.abs(center), spread.max(initial=0.0))
    v = int(varying.sum())
    z = (h[:, varying] - center[varying]) / spread[varying]
    if v:
        weights, means, covariances = _mixture(z, n_components, seed % 2**32)
    else:
        weights, means, covariances = np.ones(1), np.zeros((1, 0)), np.zeros((1, 0, 0))
    full = np.tile(center, (len(weights), 1))
    full[:, varying] += means * spread[varying]
    factors = np.linalg.cholesky(covariances) * spread[varying][:, None]
    return CodeDensity(weights / weights.sum(), full, factors, varying, h.min(0), h.max(0))


def _mixture(z: Array, n_components: int | None, seed: int) -> tuple[Array, Array, Array]:
    """Weights, means and covariances of the mixture for standardised codes (n, v)."""
    n, v = z.shape
    enough = n // (ROWS_PER_NUMBER * (v + 1))
    distinct = len(np.unique(z, axis=0))
    tried = [c for c in COMPONENTS if c <= min(enough, distinct)]
    if n_components is not None:
        tried = [n_components] if n_components > 1 else []
    best, lowest = _one_normal(z), np.inf
    for c in tried:
        fitted = _fitted(z, c, seed)
        bic = float(fitted.bic(z))
        if bic >= lowest:
            break
        best, lowest = (fitted.weights_, fitted.means_, fitted.covariances_), bic
    return best


def _fitted(z: Array, n_components: int, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(n_components, reg_covar=ADDED_VARIANCE, random_state=seed)
    with warnings.catch_warnings():
        # a mixture that could still gain a little is as good as any here
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(z)


def _one_normal(z: Array) -> tuple[Array, Array, Array]:
    """One component, its covariance shrunk as Ledoit and Wolf do."""
    from sklearn.covariance import ledoit_wolf

    covariance = ledoit_wolf(z, assume_centered=True)[0] + ADDED_VARIANCE * np.eye(z.shape[1])
    return np.ones(1), np.zeros((1, z.shape[1])), covariance[None]


def _require_count(name: str, value: Any, most: float = np.inf) -> None:
    if not (is_whole(value) and 1 <= value <= most):
        end = "or more" if most == np.inf else f"to {most}"
        raise InvalidParameterError(f"{name} must be a whole number, 1 {end}; got {value!r}.")
