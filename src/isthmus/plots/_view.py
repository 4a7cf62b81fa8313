"""The part of the plane that a crowded map shows, cut into cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError

Array = NDArray[np.float64]
# a few rows far out would shrink all others to a dot
OUTER = 0.001
MOST_STRETCH = 1.6


@dataclass(frozen=True)
class View:
    """A rectangle of n_across · n_down cells, cell (0, 0) at its upper left.

    Attributes:
        low: Its lower left corner, (2,).
        high: Its upper right corner, (2,).
        n_across: Cells from left to right.
        n_down: Cells from top to bottom.
    """

    low: Array
    high: Array
    n_across: int
    n_down: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top."""
        return (
            float(self.low[0]), float(self.high[0]), float(self.low[1]), float(self.high[1]),
        )  # fmt: skip

    def place(self, points: Array) -> Array:
        """Columns and lines of cells, with fractions, (n, 2)."""
        share = (points - self.low) / (self.high - self.low)
        return np.stack([share[:, 0] * self.n_across, (1 - share[:, 1]) * self.n_down], axis=1)

    def cells(self, points: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The number of each point's cell, line by line, and whether the view holds it."""
        places = self.place(points)
        inside = np.asarray(((points >= self.low) & (points <= self.high)).all(1))
        most = np.array([self.n_across, self.n_down]) - 1
        column, line = np.clip(np.floor(places), 0, most).astype(np.intp).T
        return line * self.n_across + column, inside


def view_of(points: Array, n_across: int, n_down: int) -> View:
    """A view of all points, or of their middle where a few lie far out, with a small margin."""
    low, high = points.min(0), points.max(0)
    inner_low, inner_high = np.quantile(points, (OUTER, 1 - OUTER), axis=0)
    middle, spread = (inner_low + inner_high) / 2, (inner_high - inner_low) / 2
    reach = np.where(spread > 0, MOST_STRETCH * spread, np.inf)
    low, high = np.maximum(low, middle - reach), np.minimum(high, middle + reach)
    margin = np.where(high > low, 0.02 * (high - low), 0.5)
    return View(low - margin, high + margin, n_across, n_down)


def codes_of_two(codes: ArrayLike) -> Array:
    """Codes (n, 2) that a map can show."""
    points = np.asarray(codes, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InvalidDataError(
            f"A map needs codes of shape (n, 2); got {points.shape}. Take two of the columns, "
            "such as codes[:, :2], or fit a model with n_components=2."
        )
    bad = ~np.isfinite(points).all(1)
    if bad.any():
        raise InvalidDataError(
            f"The code of row {int(bad.argmax())} is not finite; leave such rows out."
        )
    return points
