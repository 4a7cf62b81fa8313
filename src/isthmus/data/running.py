"""Count, centre, spread and range of one column, from parts that come one after the other.

Each part gives its own moments and two parts are merged exactly, as in `isthmus.data.summary`.
Here nothing can be read a second time, so every part brings its own power of two: numbers are
kept as x · 2**−e − shift · 2**−e with e = 0 unless their squares would leave the range of
float64, and the merge of two parts takes the larger e. Scaling by a power of two is exact, so a
column that holds 10³⁰⁰ and 10⁻³⁰⁰ keeps its digits.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from isthmus.data.summary import SQUARES_SAFELY

Floats = NDArray[np.float64]

PART = 2**16  # numbers that stay in the processor's cache over the passes made on them
NOTHING = -2000  # the exponent of a part that holds only zeros


class Running:
    """Moments of the numbers seen so far.

    Attributes:
        n: How many.
        low: The smallest; +∞ before the first.
        high: The largest; −∞ before the first.
        integral: Whether all are integers.
        increasing: Whether each is larger than the one before.
    """

    def __init__(self) -> None:
        self.n = 0
        self.low, self.high = np.inf, -np.inf
        self.integral = self.increasing = True
        self._shift = self._last = 0.0
        self._exponent = NOTHING
        self._mean = self._m2 = 0.0

    def add(self, x: Floats) -> None:
        """Take in finite numbers (m,), m ≥ 0."""
        for part in _parts(x):
            if self.n == 0:
                self._shift, self._last = float(part[0]), -np.inf
            self.low = min(self.low, float(part.min()))
            self.high = max(self.high, float(part.max()))
            self.integral = self.integral and _whole(part)
            if self.increasing:
                self.increasing = bool(part[0] > self._last and (part[1:] > part[:-1]).all())
                self._last = float(part[-1])
            self._merge(part)

    def _merge(self, x: Floats) -> None:
        """Chan, Golub and LeVeque (1979)."""
        e = _exponent(max(float(np.abs(x).max()), abs(self._shift)))
        y = x - self._shift if e == 0 else np.ldexp(x, -e) - np.ldexp(self._shift, -e)
        m, mean = len(y), float(y.mean())
        y -= mean
        residual = float(y.sum())  # 0 but for the rounding of the mean, which it corrects
        m2 = max(float(y @ y) - residual * residual / m, 0.0)
        mean += residual / m
        top = max(e, self._exponent)
        mean, m2 = _rescaled(mean, m2, e - top)
        own, own_m2 = _rescaled(self._mean, self._m2, self._exponent - top)
        n = self.n + m
        step = mean - own
        self._mean = own + step * (m / n)
        self._m2 = own_m2 + m2 + step * step * (self.n * (m / n))
        self.n, self._exponent = n, top

    @property
    def mean(self) -> float:
        """The mean; within the range whatever the rounding. Needs n ≥ 1."""
        e = self._exponent
        mean = float(np.ldexp(np.ldexp(self._shift, -e) + self._mean, e))
        return min(max(mean, self.low), self.high)

    @property
    def std(self) -> float:
        """The population standard deviation; exactly 0 where all numbers are equal."""
        if self.low == self.high:
            return 0.0
        return float(np.ldexp(np.sqrt(self._m2 / self.n), self._exponent))

    def constant(self, eps: float) -> bool:
        """Whether the numbers don't vary by more than four units of relative size ``eps``."""
        size = max(abs(self.low), abs(self.high))
        # halved, because the range of ±1.7e308 is not a float64
        return self.n > 0 and self.high / 2 - self.low / 2 <= 2 * eps * size


def _parts(x: Floats) -> Iterator[Floats]:
    for start in range(0, len(x), PART):
        yield np.ascontiguousarray(x[start : start + PART])


def _whole(x: Floats) -> bool:
    return bool((np.rint(x[:64]) == x[:64]).all() and (np.rint(x) == x).all())


def _exponent(size: float) -> int:
    if size == 0:
        return NOTHING
    safe = 1 / SQUARES_SAFELY <= size <= SQUARES_SAFELY
    return 0 if safe else int(np.frexp(size)[1])


def _rescaled(mean: float, m2: float, by: int) -> tuple[float, float]:
    return float(np.ldexp(mean, by)), float(np.ldexp(m2, 2 * by))
