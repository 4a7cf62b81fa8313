"""How the units of a code are used, and what comes back through it.

- A unit is **dead** if its variance is below 10⁻⁴ of the mean variance of all units.
- A live unit is **redundant** if the others give it back linearly, but for 1 % of its variance.
  Units are taken one after the other, always the one that those taken explain least (QR with
  pivots of the standardised codes), so of two equal units one is redundant.
- The **effective number** of units is (Σλ)²/Σλ², λ the variances of the code's principal
  components: k if all are alike, 1 if one has everything.

**Kept** is what the way through the code keeps of a column of the test rows, against its mean in
training: R² = 1 − Σ(x − x̂)²/Σ(x − x̄)². Of a category it is 1 − (wrong levels)/(rows that are not
of the most frequent level): Goodman and Kruskal's λ (1954). 1 is everything, 0 no more than the
constant, below 0 less than it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from isthmus.comparison.features import Raw

Array = NDArray[Any]
DEAD, REDUNDANT = 1e-4, 0.01


@dataclass(frozen=True)
class Units:
    """How a code is used.

    Attributes:
        count: k.
        dead: Units that don't vary.
        redundant: Units that others give back.
        effective: The effective number of units.
    """

    count: int
    dead: int
    redundant: int
    effective: float


def count_units(codes: Array) -> Units:
    """The use of a code's units.

    Args:
        codes: Of test rows, (n, k).
    """
    n, k = codes.shape
    centred = codes.astype(np.float64) - codes.mean(0, dtype=np.float64)
    variances = (centred**2).mean(0)
    if not variances.any():
        return Units(k, k, 0, 0.0)
    live = variances > DEAD * variances.mean()
    standard = centred[:, live] / np.sqrt(variances[live] * n)
    (pivots,) = qr(standard, mode="r", pivoting=True)[:1]
    left = np.zeros(standard.shape[1])
    diagonal = np.abs(np.diag(pivots)) ** 2
    left[: len(diagonal)] = diagonal
    spread = np.linalg.svd(centred, compute_uv=False) ** 2
    return Units(
        count=k,
        dead=int((~live).sum()),
        redundant=int((left < REDUNDANT).sum()),
        effective=float(spread.sum() ** 2 / (spread**2).sum()),
    )


def kept(raw: Raw, given: Array, returned: Array) -> tuple[float, Array]:
    """What comes back, of all columns and of each.

    Args:
        raw: Holds the constants that it is held against.
        given: Columns of test rows, (n, d), NaN where a cell is missing and not counted.
        returned: The same after the way through a code.

    Returns:
        The whole, and each column's, (d,): NaN for a column that doesn't vary among the test
        rows. The whole is of all cells together where columns share one scale, else the mean of
        the columns'.
    """
    coded = raw.coded
    constants = np.array(
        [each.most if c else each.centre for each, c in zip(raw.blocks, coded, strict=True)]
    )
    there = ~np.isnan(given)
    loss, worst = (_losses(given, told, there, coded) for told in (returned, constants))
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(worst > 0, 1 - loss / worst, np.nan)
    if not (worst > 0).any():
        return float("nan"), each
    whole = 1 - loss.sum() / worst.sum() if raw.common else np.nanmean(each)
    return float(whole), each


def _losses(given: Array, told: Array, there: Array, coded: Array) -> Array:
    """Squared errors, and wrong levels, summed over the observed cells of each column."""
    error = np.where(there, given - told, 0.0)
    error[:, coded] = error[:, coded] != 0
    total: Array = (error.astype(np.float64) ** 2).sum(0)
    return total
