"""Which likelihood the data ask for, when the user leaves it to ``likelihood="auto"``.

| the data | likelihood |
|---|---|
| only 0 and 1 | ``bernoulli`` |
| images | ``gaussian_shared`` |
| counts, with more variance than a Poisson's | ``negative_binomial`` |
| counts | ``poisson`` |
| anything else | ``gaussian`` |

**Images** are uint8 without column names, or rows of 2 or 3 dimensions whose values lie in [0, 1]
or are integers ≥ 0.

Not every table of integers holds counts: ages, incomes and years are measured, and a count family
would serve them badly. Columns are taken for **counts** when

1. every value is an integer ≥ 0;
2. they come down near zero and are not large: the smallest value is below 5 and the mean below
   100. This must hold for nine in ten of the columns that vary, and so must
3. such counts come down as far. Of n counts with this mean and variance n P(x ≤ smallest) are
   expected there; where that is less than 0.01, a few stray low values hide a column that lies
   around its mean (hours of work in a week: 40, and for one in ten thousand 1);
4. they vary about as much as a Poisson or more. The index of dispersion, variance / mean, averaged
   over columns, is not below 0.7 and below 1 by more than three standard errors. (Ratings of 1 to
   5 and numbers of rooms fail this.)

Counts are **over-dispersed** when the averaged index exceeds 1.1 and exceeds 1 by more than three
standard errors. Under a Poisson (n − 1) variance / mean is close to χ² with n − 1 degrees of
freedom (Fisher, 1950), so the average over d columns has the standard error √(2 / (d (n − 1))).
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaincc

from isthmus.data.summary import Summary

if TYPE_CHECKING:
    from isthmus.data.stream import Data

SMALL = 5
LARGE_MEAN = 100.0
STRAY = 0.01
UNDER_DISPERSED = 0.7
OVER_DISPERSED = 1.1


def infer_likelihood(matrix: "Data", summary: Summary) -> str:
    """The name of the one likelihood for all columns that suits the data.

    Args:
        matrix: The data, undivided.
        summary: `summarise` of the same data.

    Returns:
        A name of the likelihoods' registry; the table above says which.
    """
    if summary.binary:
        return "bernoulli"
    if is_image(matrix, summary):
        return "gaussian_shared"
    if not (summary.integral and summary.non_negative):
        return "gaussian"
    return count_family(summary, np.flatnonzero(~summary.constant))


def infer_columns(matrix: "Data", summary: Summary) -> tuple[str, ...]:
    """The name of a likelihood for each column by itself, by the same rules.

    Args:
        matrix: The data, undivided.
        summary: `summarise` of the same data.

    Returns:
        d names out of ``bernoulli``, ``negative_binomial``, ``poisson`` and ``gaussian``.
    """
    counts = summary.integral_columns & (summary.minimum >= 0) & ~summary.constant
    kinds = []
    for j in range(matrix.n_features):
        if summary.unseen[j]:
            kinds.append("gaussian")
        elif summary.binary_columns[j]:
            kinds.append("bernoulli")
        elif counts[j]:
            kinds.append(count_family(summary, np.array([j])))
        else:
            kinds.append("gaussian")
    return tuple(kinds)


def is_image(matrix: "Data", summary: Summary) -> bool:
    """Whether rows are pixel images: see the table of this module."""
    if holds_pixels(matrix):
        return True
    in_range = summary.integral or summary.largest <= 1
    return len(matrix.row_shape) > 1 and summary.non_negative and in_range


def holds_pixels(matrix: "Data") -> bool:
    """Whether values are 8-bit pixels: uint8, and no table with named columns."""
    return matrix.dtype == np.uint8 and matrix.names is None


def pixel_divisor(matrix: "Data", summary: Summary, *, counts: bool) -> float:
    """What the values are divided by: 255 for pixels, else 1.

    Decide it once, at `fit`, and keep it: a later batch of uint8 may hold only 0 and 1 by chance.
    (`summary` describes the undivided data; summarise again after dividing.)

    Args:
        matrix: The data, undivided.
        summary: `summarise` of the same data.
        counts: The likelihood is one of counts or categories, which reads uint8 as integers.

    Returns:
        255 for uint8 without column names, unless ``counts`` or all values are 0 or 1; else 1.
    """
    return 255.0 if holds_pixels(matrix) and not counts and not summary.binary else 1.0


def count_family(summary: Summary, columns: NDArray[np.intp]) -> str:
    """Poisson, negative binomial or neither, for columns that vary and hold integers ≥ 0."""
    low, mean = summary.minimum[columns], summary.mean[columns]
    near_zero = (low < SMALL) & (mean < LARGE_MEAN)
    near_zero[near_zero] = _expected_as_low(summary, columns[near_zero]) >= STRAY
    if not len(columns) or near_zero.mean() < 0.9:
        return "gaussian"
    dispersion, error = _dispersion(summary, columns[near_zero])
    if dispersion < min(UNDER_DISPERSED, 1 - 3 * error):
        return "gaussian"
    return "negative_binomial" if dispersion > max(OVER_DISPERSED, 1 + 3 * error) else "poisson"


def _expected_as_low(summary: Summary, columns: NDArray[Any]) -> NDArray[np.float64]:
    """How many of n counts with a column's mean and variance lie at or below its smallest value.

    They are negative binomial, with θ = mean² / (variance − mean), or Poisson if that is none.
    """
    low, mean = summary.minimum[columns], summary.mean[columns]
    excess = np.square(summary.std[columns]) - mean
    over = excess > 0
    theta = np.square(mean) / np.where(over, excess, 1.0)
    below = np.where(
        over, betainc(theta, low + 1, theta / (theta + mean)), gammaincc(low + 1, mean)
    )
    return np.asarray(summary.n_observed[columns] * below)


def _dispersion(summary: Summary, columns: NDArray[Any]) -> tuple[float, float]:
    """Variance / mean averaged over columns, and its standard error under Poisson counts."""
    n = summary.n_observed[columns]
    variance = np.square(summary.std[columns]) * (n / (n - 1))
    index = float(np.mean(variance / summary.mean[columns]))
    # of a mean of terms with variances 2 / (n − 1)
    return index, float(np.sqrt(2 * np.mean(1 / (n - 1)) / len(columns)))
