"""Is one way better than another? Paired differences on the same test rows, several at once.

Two predictors that are tried on the same n rows agree on most of them, so their difference is
known far better than either figure. Of **hits** (right or wrong) it is (b − c)/n, where b rows are
right only with the one and c only with the other. Its interval is that of Bonett and Price (2012),
which adds one row to each of the two counts, so that it has a width even where b = c = 0:

    b̃ = (b + 1)/(n + 2),   c̃ = (c + 1)/(n + 2):     b̃ − c̃ ± q √((b̃ + c̃ − (b̃ − c̃)²)/(n + 2))

Of **R²** it is Σ(e₀² − e²)/Σ(y − ȳ)², a ratio of two means, whose error is that of its linear part
(the delta method).

Several intervals are *simultaneous*: with the stated probability all of them hold. q is then the
quantile of the largest |t| of so many, correlated as the differences are (Hothorn, Bretz and
Westfall, 2008), found by 20,000 draws of a fixed generator. It is never above Bonferroni's.

The intervals speak of other rows from the same source. They do not speak of another training.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_real

Array = NDArray[np.float64]
N_DRAWS = 20_000


@dataclass(frozen=True)
class Differences:
    """m differences from a reference, with simultaneous intervals.

    Attributes:
        estimate: Above 0 is better than the reference, (m,).
        low: Where the intervals begin, (m,).
        high: Where they end, (m,).
        critical: q, the half width in standard errors.
    """

    estimate: Array
    low: Array
    high: Array
    critical: float


def accuracy_differences(
    hits: ArrayLike, reference: ArrayLike, level: float = 0.95
) -> Differences:
    """Differences in accuracy.

    Args:
        hits: Which rows each predictor has right, (m, n) or (n,) for one.
        reference: Which rows the reference has right, (n,).
        level: The probability with which all intervals hold, in (0, 1).

    Raises:
        InvalidDataError: Other shapes, or no rows.
        InvalidParameterError: A level outside (0, 1).
    """
    _require_level(level)
    right, base = np.atleast_2d(np.asarray(hits, bool)), np.asarray(reference, bool)
    _require_shapes(right, base)
    each = right.astype(np.float64) - base
    n = len(base)
    gained, lost = ((each == sign).sum(1) + 1.0 for sign in (1, -1))
    centre = (gained - lost) / (n + 2)
    error = np.sqrt(((gained + lost) / (n + 2) - centre**2) / (n + 2))
    q = critical_value(each, level)
    return Differences(
        each.mean(1), np.maximum(centre - q * error, -1), np.minimum(centre + q * error, 1), q
    )


def r2_differences(
    predictions: ArrayLike, reference: ArrayLike, truth: ArrayLike, level: float = 0.95
) -> Differences:
    """Differences in R².

    Args:
        predictions: Of each predictor, (m, n) or (n,) for one.
        reference: Those of the reference, (n,).
        truth: y, (n,).
        level: As in `accuracy_differences`.

    Raises:
        InvalidDataError: Other shapes, fewer than 2 rows, or a truth that doesn't vary.
        InvalidParameterError: A level outside (0, 1).
    """
    _require_level(level)
    guesses = np.atleast_2d(np.asarray(predictions, np.float64))
    base, y = np.asarray(reference, np.float64), np.asarray(truth, np.float64)
    _require_shapes(guesses, base)
    _require_shapes(y[None], base)
    spread = (y - y.mean()) ** 2
    n = len(y)
    if n < 2 or not spread.any():
        raise InvalidDataError(
            f"R² needs a truth that varies; its {n} values are all {y[0]}. Give other test rows."
        )
    gain = (base - y) ** 2 - (guesses - y) ** 2
    estimate = gain.mean(1) / spread.mean()
    each = (gain - estimate[:, None] * spread) / spread.mean()
    error = each.std(1, ddof=1) / np.sqrt(n)
    q = critical_value(each, level)
    return Differences(estimate, estimate - q * error, estimate + q * error, q)


def critical_value(each: Array, level: float) -> float:
    """The quantile of the largest |t| of m means whose rows vary together.

    Args:
        each: What each row adds to each of the means, (m, n); t has n − 1 degrees of freedom.
        level: Its probability.
    """
    m, n = each.shape
    centred = each - each.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    varies = length[:, 0] > 0
    unit = centred / np.where(length > 0, length, 1.0)
    correlation = unit @ unit.T + np.diag(np.where(varies, 0.0, 1.0))
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(N_DRAWS, m)) @ root.T
    freedom = max(n - 1, 1)
    scale = np.sqrt(rng.chisquare(freedom, N_DRAWS) / freedom)
    return float(np.quantile(np.abs(normal).max(1) / scale, level))


def _require_level(level: Any) -> None:
    if not (is_real(level) and 0 < level < 1):
        raise InvalidParameterError(f"level must lie between 0 and 1; got {level!r}.")


def _require_shapes(rows: NDArray[Any], reference: NDArray[Any]) -> None:
    if reference.ndim != 1 or not len(reference) or rows.shape[1:] != reference.shape:
        raise InvalidDataError(
            f"Expected one number for each of the same test rows; got {rows.shape} beside "
            f"{reference.shape}."
        )
