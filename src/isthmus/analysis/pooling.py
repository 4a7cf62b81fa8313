"""Rubin's rules: one estimate, with an honest error, from m imputed copies of the data.

Each copy i gives an estimate q_i and its squared standard error u_i, as if nothing had been
missing. What the copies disagree on is what the holes took away (Rubin, 1987, chapter 3):

    q̄ = mean of q_i        W = mean of u_i        B = Σ (q_i − q̄)² / (m − 1)
    T = W + (1 + 1/m) B                           (q − q̄) / √T  ~  t with ν degrees of freedom
    ν = (m − 1) / λ²,   λ = (1 + 1/m) B / T

λ is the part of the variance that is due to missing cells. ν can exceed what the complete data
would have; Barnard and Rubin (1999) join it with those, ν_c:

    1/ν* = 1/ν + 1/ν_obs,       ν_obs = (ν_c + 1) / (ν_c + 3) · ν_c (1 − λ)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_real

Array = NDArray[np.float64]
Figure = Any


@dataclass(frozen=True)
class Pooled:
    """What m copies say together: numbers, or arrays of the shape of one estimate.

    Attributes:
        estimate: q̄.
        within: W, the mean squared standard error.
        between: B, the variance of the estimates.
        variance: T.
        degrees_of_freedom: ν or ν*; infinite where the copies agree.
        missing_information: λ in [0, 1].
    """

    estimate: Figure
    within: Figure
    between: Figure
    variance: Figure
    degrees_of_freedom: Figure
    missing_information: Figure

    @property
    def standard_error(self) -> Figure:
        """√T."""
        return np.sqrt(self.variance)

    def interval(self, level: float = 0.95) -> tuple[Figure, Figure]:
        """The confidence interval q̄ ± t · √T.

        Args:
            level: Its probability, in (0, 1).

        Raises:
            InvalidParameterError: Another level.
        """
        if not (is_real(level) and 0 < level < 1):
            raise InvalidParameterError(f"The level must lie between 0 and 1; got {level!r}.")
        half = t.ppf((1 + level) / 2, self.degrees_of_freedom) * self.standard_error
        return self.estimate - half, self.estimate + half


def pool(
    estimates: ArrayLike, variances: ArrayLike, *, complete_degrees: float | None = None
) -> Pooled:
    """Pool estimates from m imputed copies by Rubin's rules.

    Args:
        estimates: q_i, (m,) numbers or (m, …) arrays.
        variances: u_i, their squared standard errors, of the same shape.
        complete_degrees: Degrees of freedom that complete data would have, such as n − k for a
            regression of n rows on k columns; None for very many rows.

    Returns:
        Everything that the rules give.

    Raises:
        InvalidDataError: Fewer than two copies, other shapes, a negative or missing number.
        InvalidParameterError: Degrees that are not positive.

    Example:
        >>> pool([1.0, 2.0, 3.0], [0.5, 0.5, 0.5]).variance.round(4)
        np.float64(1.8333)
    """
    q, u = _copies(estimates, variances)
    if complete_degrees is not None and not (is_real(complete_degrees) and complete_degrees > 0):
        raise InvalidParameterError(
            f"complete_degrees must be a positive number or None; got {complete_degrees!r}."
        )
    m = len(q)
    within, between = u.mean(0), q.var(0, ddof=1)
    added = (1 + 1 / m) * between
    total = within + added
    # nothing missing and nothing uncertain: no part of it is due to holes
    part = np.divide(added, total, out=np.zeros_like(total), where=total > 0)
    inverse = part**2 / (m - 1)
    if complete_degrees is not None and not np.isinf(complete_degrees):
        c = float(complete_degrees)
        observed = (c + 1) / (c + 3) * c * (1 - part)
        inverse = inverse + np.divide(
            1, observed, out=np.full_like(total, np.inf), where=observed > 0
        )
    degrees = np.divide(1, inverse, out=np.full_like(total, np.inf), where=inverse > 0)
    return Pooled(*(x[()] for x in (q.mean(0), within, between, total, degrees, part)))


def _copies(estimates: ArrayLike, variances: ArrayLike) -> tuple[Array, Array]:
    q, u = np.asarray(estimates, np.float64), np.asarray(variances, np.float64)
    if q.ndim == 0 or len(q) < 2:
        raise InvalidDataError(
            f"Pooling needs the estimates of two copies or more; got an array of shape {q.shape}. "
            "Draw more with impute(X, n_draws=m)."
        )
    if q.shape != u.shape:
        raise InvalidDataError(
            f"There must be one variance for each estimate; got shapes {q.shape} and {u.shape}."
        )
    if not (np.isfinite(q).all() and np.isfinite(u).all() and (u >= 0).all()):
        raise InvalidDataError(
            "Estimates must be finite, and variances finite and not negative. A variance is a "
            "squared standard error."
        )
    return q, u
