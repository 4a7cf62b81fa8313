"""A column with heavy tails, mapped to a normal one by its ranks.

    t(x) = Φ⁻¹(F(x)) ,      log p(x) = log p_t(t(x)) + log t′(x)

F is the distribution of the column, known by some hundred quantiles; t is linear between them and
goes on linearly beyond them, so it is strictly increasing, has an inverse everywhere, and the
change of variables is exact: a density of t(x) that integrates to 1 gives one of x that does, and
scores stay in the user's units.

The knots are evenly spaced in t, not in rank: the tails, for whose sake this is done, get as many
as the middle. Values that are tied, or closer than a thousandth of the range between the
quartiles, share one knot; else t′, and with it the density, would have peaks that say nothing but
that two numbers were close.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from isthmus._errors import FileFormatError, InvalidDataError, InvalidParameterError
from isthmus._registry import is_whole

Floats = NDArray[np.float64]

KNOTS = 257
CLOSE = 1e-3
LARGEST = 1e307  # differences of two such numbers, and their quotients, are still float64
MOST_KNOTS = 100_000


@dataclass(frozen=True, eq=False)
class Quantiles:
    """A strictly increasing map, linear between knots and beyond them.

    Args:
        x: Knots (m,) in the user's units, strictly increasing, m ≥ 2.
        z: Their images (m,), strictly increasing.

    Raises:
        InvalidParameterError: Knots that aren't finite, or don't increase.
    """

    x: Floats
    z: Floats

    def __post_init__(self) -> None:
        for name in ("x", "z"):
            knots = np.array(getattr(self, name), dtype=np.float64)
            rising = knots.ndim == 1 and len(knots) > 1 and (np.diff(knots) > 0).all()
            if not (rising and np.abs(knots).max() <= LARGEST):
                raise InvalidParameterError(
                    f"The knots {name} of Quantiles must be 2 or more finite numbers in "
                    f"increasing order; got {knots!r:.200}."
                )
            object.__setattr__(self, name, knots)
        if len(self.x) != len(self.z):
            raise InvalidParameterError(
                f"Quantiles needs an image for each knot; got {len(self.x)} and {len(self.z)}."
            )

    def forward(self, x: ArrayLike) -> Floats:
        """t(x), of any shape; NaN stays NaN."""
        return _line(np.asarray(x, dtype=np.float64), self.x, self.z)

    def inverse(self, z: ArrayLike) -> Floats:
        """The x with t(x) = z."""
        return _line(np.asarray(z, dtype=np.float64), self.z, self.x)

    def log_slope(self, x: ArrayLike) -> Floats:
        """log t′(x); at a knot that of the segment above it. NaN where x is."""
        x = np.asarray(x, dtype=np.float64)
        slopes = np.log(np.diff(self.z)) - np.log(np.diff(self.x))
        return np.where(np.isnan(x), np.nan, slopes[_segment(x, self.x)])

    def reaching(self, low: float, high: float, n: int) -> "Quantiles":
        """The map with a knot at each end of the whole column, where it was fitted to a sample.

        It is set at the rank of the largest of n, and only where the last line would go beyond
        that: so one far value among many that were not looked at costs what its rank does.

        Args:
            low: The smallest of all values.
            high: The largest.
            n: How many there are.
        """
        x, z, end = self.x, self.z, _end(max(n, 1))
        top, bottom = max(end, z[-1] + CLOSE), min(-end, z[0] - CLOSE)
        if self.forward(high) > top:
            x, z = np.append(x, high), np.append(z, top)
        if self.forward(low) < bottom:
            x, z = np.append(low, x), np.append(bottom, z)
        return Quantiles(x, _short(z))

    def card(self) -> dict[str, list[float]]:
        """The map as plain JSON."""
        return {"x": self.x.tolist(), "z": self.z.tolist()}

    @classmethod
    def from_card(cls, card: Any) -> "Quantiles":
        """The map that `card` described.

        Raises:
            FileFormatError: No two lists of finite numbers that increase.
        """
        try:
            if not isinstance(card, Mapping) or set(card) != {"x", "z"}:
                raise ValueError("it has no lists x and z")
            for knots in card.values():
                plain = isinstance(knots, list) and len(knots) <= MOST_KNOTS
                if not (plain and all(type(each) in (int, float) for each in knots)):
                    raise ValueError("its knots are no list of numbers")
            return cls(**card)
        except (TypeError, ValueError, OverflowError) as error:
            raise FileFormatError(f"The card of a transform can't be read: {error}") from error


def fit_quantiles(x: ArrayLike, n_knots: int = KNOTS) -> Quantiles:
    """The map that makes a column normal.

    Args:
        x: Numbers (n,); missing ones (NaN) are left out.
        n_knots: At most so many knots, 2 or more.

    Returns:
        The map. Of a column with a single value x₀ it is t(x) = (x − x₀)/|x₀|, or x if that is 0.

    Raises:
        InvalidDataError: Nothing is observed, or a value is infinite or beyond ±1e307.
        InvalidParameterError: Fewer than 2 knots.
    """
    if not (is_whole(n_knots) and n_knots >= 2):
        raise InvalidParameterError(f"n_knots must be a whole number, 2 or more; got {n_knots!r}.")
    x = np.asarray(x, dtype=np.float64).ravel()
    seen = np.sort(x[~np.isnan(x)])
    if not len(seen) or max(-seen[0], seen[-1]) > LARGEST:
        what = "holds nothing" if not len(seen) else f"reaches from {seen[0]} to {seen[-1]}"
        raise InvalidDataError(f"The column {what}; quantiles need finite numbers up to 1e307.")
    end = _end(len(seen))
    z = np.linspace(-end, end, n_knots)
    knots = np.quantile(seen, np.clip(ndtr(z), 0, 1), method="hazen")
    low, high = np.quantile(seen, [0.25, 0.75])
    gap = max(CLOSE * (high - low), 1e-6 * (seen[-1] - seen[0]) if low == high else 0.0)
    x, z = _apart(knots, z, float(gap))
    if len(x) == 1:
        size = abs(float(x[0])) or 1.0
        # on the side of 0, so that it is a number whatever its size
        side = np.sign(x[0]) or -1.0
        ends = sorted([(float(x[0]), 0.0), (float(x[0]) - side * size, -side)])
        return Quantiles(*map(np.array, zip(*ends, strict=True)))
    return Quantiles(x, _short(z))


def _end(n: int) -> float:
    """The normal quantile of the largest of n."""
    return float(-ndtri(0.5 / n))


def _short(z: Floats) -> Floats:
    """The same with digits that float32 keeps: see `isthmus.ranks`."""
    return np.asarray(z.astype(np.float32), np.float64)


def _apart(x: Floats, z: Floats, gap: float) -> tuple[Floats, Floats]:
    """Knots more than ``gap`` apart; those that are closer become one, at their mean."""
    first = [0]
    for k in range(1, len(x)):
        if x[k] - x[first[-1]] > gap:
            first.append(k)
    stops = [*first[1:], len(x)]
    means = [float(z[a:b].mean()) for a, b in zip(first, stops, strict=True)]
    return x[first], np.array(means)


def _segment(x: Floats, knots: Floats) -> NDArray[np.intp]:
    """The number of the line on which each x lies; the outer lines go on for ever."""
    return np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)


def _line(x: Floats, knots: Floats, images: Floats) -> Floats:
    k = _segment(x, knots)
    # as a part of the line's length: its slope alone may be beyond float64
    part = (x - knots[k]) / np.diff(knots)[k]
    y: Floats = images[k] + part * np.diff(images)[k]
    return y
