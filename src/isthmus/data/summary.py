"""What one pass over the data tells: centre, spread, range and kind of every column.

Each block gives its own moments, by the corrected two-pass formula, and the moments of two blocks
A and B are merged exactly (Chan, Golub and LeVeque, 1979), where M₂ = Σ (x − mean)²:

    δ = mean_B − mean_A,   mean = mean_A + δ n_B/n,   M₂ = M₂_A + M₂_B + δ² n_A n_B / n

Nothing is squared before it is centred, and means are kept as differences from the first row, so a
column such as 10⁹ ± 1 keeps all its digits. Columns
whose squares would leave the range of float64 (10³⁰⁰, 10⁻³⁰⁰) are read a second time, multiplied
by a power of two, which is exact. A CSR array is never made dense.

Data that come in several matrices, one below the other, are summarised by the same merging. Where
missing cells are allowed, each column has its own n, and the cells that are missing count nowhere.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError
from isthmus.data.matrix import Matrix, block_rows, check_finite

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Bools = NDArray[np.bool_]

CACHE_BYTES = 2**20  # a block stays in the processor's cache over the passes that are made on it
GROUP = 2**21  # stored numbers of a CSR array that are looked at together
SQUARES_SAFELY = 1e100  # between this and its inverse no square, and no sum of squares, is lost


@dataclass(frozen=True, eq=False)
class Summary:
    """The columns of a `Matrix`, in the user's units divided by its divisor.

    Attributes:
        n_rows: n.
        mean: Column means (d,), float64.
        std: Population standard deviations (d,), float64; exactly 0 where all values are equal.
        minimum: Smallest values (d,).
        maximum: Largest values (d,).
        constant: Columns (d,) that don't vary by more than rounding: the range is at most four
            units in the last place of the stored type (nothing for integers and float16).
        integral_columns: Columns (d,) that hold integers only, of whatever type.
        n_observed: Cells of each column (d,) that are not missing. A column without any is
            constant, at 0.
    """

    n_rows: int
    mean: Floats
    std: Floats
    minimum: Floats
    maximum: Floats
    constant: Bools
    integral_columns: Bools
    n_observed: Counts

    @property
    def has_missing(self) -> bool:
        """Whether a cell is missing."""
        return bool((self.n_observed < self.n_rows).any())

    @property
    def unseen(self) -> Bools:
        """Columns (d,) without any observed cell."""
        none: Bools = self.n_observed == 0
        return none

    @property
    def common_std(self) -> float:
        """√(mean of the column variances): the one number that scales an isotropic family."""
        top = float(self.std.max())
        return top * float(np.sqrt(np.mean(np.square(self.std / top)))) if top > 0 else 0.0

    @property
    def integral(self) -> bool:
        """Whether all values are integers."""
        return bool(self.integral_columns.all())

    @property
    def binary_columns(self) -> Bools:
        """Columns (d,) that hold only 0 and 1."""
        return self.integral_columns & (self.minimum >= 0) & (self.maximum <= 1)

    @property
    def binary(self) -> bool:
        """Whether all values are 0 or 1."""
        return bool(self.binary_columns.all())

    @property
    def non_negative(self) -> bool:
        """Whether no value is below 0."""
        return bool((self.minimum >= 0).all())

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return float(max(-self.minimum.min(), self.maximum.max(), 0.0))


@dataclass(frozen=True, eq=False)
class _Moments:
    """n (d,), mean (less the shift) and M₂ of some rows, in units of 2**exponent.

    Range and kind are those of the numbers themselves.
    """

    n_rows: int
    n: Counts
    mean: Floats
    m2: Floats
    low: Floats
    high: Floats
    integral: Bools


@dataclass(frozen=True, eq=False)
class _Frame:
    """In what terms moments are kept: x becomes x · 2**−exponent − shift, column by column."""

    exponent: NDArray[np.int64] | None
    shift: Floats


def summarise(matrix: Matrix, *, missing: bool = False) -> Summary:
    """Read the data once, in blocks.

    Args:
        matrix: n ≥ 1 rows.
        missing: Whether NaN is a missing cell; otherwise it is refused.

    Raises:
        InvalidDataError: No rows, or a value that is missing or infinite, by row and column.
    """
    return summarise_all(lambda: (matrix,), missing=missing)


def summarise_all(read: Callable[[], Iterable[Matrix]], *, missing: bool = False) -> Summary:
    """The same for data in several matrices.

    Args:
        read: Gives the matrices in order, each time it is called: once, or twice where there are
            extreme columns.
        missing: Whether NaN is a missing cell.

    Raises:
        InvalidDataError: As in `summarise`.
    """
    found, frame, dtype = _moments(read(), None, missing)
    empty = found.n == 0
    found.low[empty], found.high[empty] = 0.0, 0.0
    exponent = np.zeros_like(found.n)
    size = np.maximum(np.abs(found.low), np.abs(found.high))
    extreme = (size > SQUARES_SAFELY) | ((size > 0) & (size < 1 / SQUARES_SAFELY))
    if extreme.any():
        exponent[extreme] = np.frexp(size[extreme])[1]
        frame = _Frame(exponent, np.ldexp(frame.shift, -exponent))
        found, _, _ = _moments(read(), frame, missing)
        found.low[empty], found.high[empty] = 0.0, 0.0
    mean = np.ldexp(frame.shift + found.mean, exponent)
    std = np.ldexp(np.sqrt(found.m2 / np.maximum(found.n, 1)), exponent)
    still = found.low == found.high
    return Summary(
        n_rows=found.n_rows,
        mean=np.where(still, found.low, np.clip(mean, found.low, found.high)),
        std=np.where(still, 0.0, std),
        minimum=found.low,
        maximum=found.high,
        # halved, because the range of ±1.7e308 is not a float64
        constant=found.high / 2 - found.low / 2 <= 2 * _precision(dtype) * size,
        integral_columns=found.integral,
        n_observed=found.n,
    )


def _precision(dtype: np.dtype[Any]) -> float:
    """The relative rounding of computed numbers; half precision is too coarse to tell."""
    return float(np.finfo(dtype).eps) if dtype in (np.float32, np.float64) else 0.0


def _moments(
    matrices: Iterable[Matrix], frame: _Frame | None, missing: bool
) -> tuple[_Moments, _Frame, np.dtype[Any]]:
    """The moments of all rows, in the frame given or in that of the first row; their type."""
    total: _Moments | None = None
    dtype: np.dtype[Any] | None = None
    for matrix in matrices:
        if len(matrix) == 0:
            continue
        dtype = matrix.dtype if dtype is None else np.result_type(dtype, matrix.dtype)
        if frame is None:
            first = matrix.rows(0, 1, np.float64)[0]
            frame = _Frame(None, np.nan_to_num(first, posinf=0.0, neginf=0.0))
        # sums of extreme columns may overflow here; those columns are read again, scaled
        with np.errstate(over="ignore", invalid="ignore"):
            for part in _parts(matrix, frame):
                wrong = (part.low == -np.inf) | (part.high == np.inf)
                if wrong.any() or not (missing or (part.n == part.n_rows).all()):
                    check_finite(matrix, missing=missing)
                total = part if total is None else _merge(total, part)
    if total is None or frame is None or dtype is None:
        raise InvalidDataError("There are no rows to summarise; at least 1 is needed.")
    return total, frame, dtype


def _merge(a: _Moments, b: _Moments) -> _Moments:
    n = a.n + b.n
    some = np.maximum(n, 1)  # a column that is all missing so far
    step = b.mean - a.mean
    return _Moments(
        a.n_rows + b.n_rows,
        n,
        a.mean + step * (b.n / some),
        a.m2 + b.m2 + np.square(step) * (a.n * (b.n / some)),
        np.minimum(a.low, b.low),
        np.maximum(a.high, b.high),
        a.integral & b.integral,
    )


def _parts(matrix: Matrix, frame: _Frame) -> Iterator[_Moments]:
    integral = np.ones(matrix.n_features, dtype=np.bool_)
    if isinstance(matrix.values, np.ndarray):
        size = block_rows(matrix.n_features, 8, CACHE_BYTES)
        blocks = (matrix.values[i : i + size] for i in range(0, len(matrix), size))
        for block in blocks:
            part = _dense_part(block, matrix.divisor, frame, integral)
            integral = part.integral
            yield part
    else:
        for rows in _row_groups(matrix.values):
            yield _sparse_part(rows, matrix.divisor, frame)


def _dense_part(block: NDArray[Any], divisor: float, frame: _Frame, integral: Bools) -> _Moments:
    """Moments of a block (m, d); ``integral`` says which columns may still be integers."""
    n, d = block.shape
    # few columns: one contiguous line per column makes each reduction one loop
    x = np.array(block, dtype=np.float64, order="F" if d < 128 else "C", subok=False)
    if divisor != 1:
        x /= divisor
    low, high = x.min(axis=0), x.max(axis=0)
    if np.isnan(low).any():
        return _part_with_gaps(x, frame, integral)
    if block.dtype.kind == "f" or divisor != 1:
        integral = _still_integral(x, integral)
    if frame.exponent is not None:
        x = np.ldexp(x, -frame.exponent)
    x -= frame.shift
    ones = np.ones(n)
    mean = ones @ x / n
    x -= mean
    residual = ones @ x  # 0 but for the rounding of the mean, which it corrects
    m2 = np.einsum("ij,ij->j", x, x) - np.square(residual) / n
    return _Moments(n, np.full(d, n), mean + residual / n, np.maximum(m2, 0), low, high, integral)


def _part_with_gaps(x: Floats, frame: _Frame, integral: Bools) -> _Moments:
    """Moments of the cells of a block (m, d) that are not NaN; x is overwritten."""
    gap = np.isnan(x)
    n = len(x) - gap.sum(axis=0)
    some = np.maximum(n, 1)
    low, high = np.where(gap, np.inf, x).min(axis=0), np.where(gap, -np.inf, x).max(axis=0)
    integral = integral & ((np.rint(x) == x) | gap).all(axis=0)
    if frame.exponent is not None:
        x = np.ldexp(x, -frame.exponent)
    x -= frame.shift
    x[gap] = 0
    mean = x.sum(axis=0) / some
    x -= mean
    x[gap] = 0
    residual = x.sum(axis=0)
    m2 = np.maximum(np.einsum("ij,ij->j", x, x) - np.square(residual) / some, 0)
    return _Moments(len(x), n, mean + residual / some, m2, low, high, integral)


def _still_integral(x: Floats, integral: Bools) -> Bools:
    """The columns of ``integral`` whose values in x are integers too."""
    if integral.all():
        return np.asarray((np.rint(x) == x).all(axis=0))
    columns = np.flatnonzero(integral)
    result = np.zeros_like(integral)
    if len(columns):
        result[columns] = (np.rint(x[:, columns]) == x[:, columns]).all(axis=0)
    return result


def _row_groups(csr: "sp.csr_array[Any, tuple[int, int]]") -> Iterator[Any]:
    """A CSR array in groups of whole rows with some 16 MB of numbers each."""
    least = max(GROUP, csr.shape[1])
    start = 0
    while start < csr.shape[0]:
        target = int(csr.indptr[start]) + least
        stop = int(np.searchsorted(csr.indptr, target, side="right")) - 1
        stop = min(max(stop, start + 1), csr.shape[0])
        yield csr[start:stop]
        start = stop


def _sparse_part(csr: Any, divisor: float, frame: _Frame) -> _Moments:
    """Moments of some rows of a CSR array (m, d), from its stored numbers and their absence."""
    n_rows, d = csr.shape
    x, column = csr.data.astype(np.float64) / divisor, csr.indices
    zeros = n_rows - np.bincount(column, minlength=d)
    here = ~np.isnan(x)
    if not here.all():
        x, column = x[here], column[here]
    n = zeros + np.bincount(column, minlength=d)
    some = np.maximum(n, 1)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    np.minimum.at(low, column, x)
    np.maximum.at(high, column, x)
    low[zeros > 0] = np.minimum(low[zeros > 0], 0)
    high[zeros > 0] = np.maximum(high[zeros > 0], 0)
    integral = np.ones(d, dtype=np.bool_)
    integral[column[np.rint(x) != x]] = False
    if frame.exponent is not None:
        x = np.ldexp(x, -frame.exponent[column])
    x, zero = x - frame.shift[column], -frame.shift  # what a 0 that isn't stored has become
    mean = (np.bincount(column, weights=x, minlength=d) + zeros * zero) / some
    x, zero = x - mean[column], zero - mean
    residual = np.bincount(column, weights=x, minlength=d) + zeros * zero
    m2 = np.bincount(column, weights=x * x, minlength=d) + zeros * np.square(zero)
    m2 = np.maximum(m2 - np.square(residual) / some, 0)
    return _Moments(n_rows, n, mean + residual / some, m2, low, high, integral)
