"""The data as n rows of d numbers, whatever they came as and wherever they lie.

A `Matrix` holds what the user gave (an array in memory, a memory-mapped file, a sparse matrix) in
its own type and memory order, and hands out small dense blocks of it. Only a block is ever
converted, so a file larger than memory, a uint8 image collection or a sparse matrix of word
counts costs no more than its own size and one block of about 16 MB.

    values (n, d)  ──rows(a, b)──▶  dense, native, C-contiguous, divided by `divisor`

A block is always a fresh copy: writing to it never reaches the user's data. A number that the
block's type can't hold is refused by row and column; it never becomes infinite in silence.
(Integers above 2**24 in float32, above 2**53 in float64, are rounded, as in numpy.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from isthmus._errors import InvalidDataError

BLOCK_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class Matrix:
    """n rows × d features, handed out in dense blocks.

    Make one with `as_matrix`, which checks what this class takes for granted.

    Attributes:
        values: Array (n, d) of bool, integers or float16/32/64, or a CSR array with sorted
            indices and without duplicates.
        row_shape: The shape of one row as the user gave it: ``(d,)``, ``(28, 28)``,
            ``(32, 32, 3)``.
        names: The columns' names, or None where the data have none.
        divisor: Every block is divided by it (255 for pixels).
        first_row: What messages call the first row, where the rows are a part of larger data;
            None where they are all.
    """

    values: "NDArray[Any] | sp.csr_array[Any, tuple[int, int]]"
    row_shape: tuple[int, ...]
    names: tuple[str, ...] | None = None
    divisor: float = 1.0
    first_row: int | None = None

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        """d, the number of columns."""
        return int(self.values.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which the values are stored."""
        return np.dtype(self.values.dtype)

    @property
    def is_sparse(self) -> bool:
        """Whether the values are a CSR array."""
        return not isinstance(self.values, np.ndarray)

    @property
    def nbytes(self) -> int:
        """Size of the stored values in bytes (on disk for a memory-mapped file)."""
        if isinstance(self.values, np.ndarray):
            return int(self.values.nbytes)
        parts = (self.values.data, self.values.indices, self.values.indptr)
        return sum(int(part.nbytes) for part in parts)

    def name(self, column: int) -> str:
        """The column for a message: its quoted name, or its position."""
        return str(column) if self.names is None else repr(self.names[column])

    def rows(self, start: int, stop: int, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Rows start ≤ i < stop as a dense block.

        Args:
            start: First row.
            stop: One past the last row; rows that don't exist are left out, as in a slice.
            dtype: A floating type for the block.

        Returns:
            Fresh C-contiguous array (stop − start, d), divided by `divisor`.

        Raises:
            InvalidDataError: A finite value is too large for ``dtype``.
        """
        start, stop, _ = slice(start, stop).indices(len(self))
        return self._dense(self.values[start:stop], dtype, lambda row: start + row)

    def take(self, index: NDArray[Any], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """The rows named by ``index`` (integers, or a boolean mask of n), in its order.

        Returns:
            Fresh C-contiguous array (len(index), d), divided by `divisor`.

        Raises:
            InvalidDataError: A finite value is too large for ``dtype``.
        """
        index = np.asarray(index)
        if index.dtype.kind == "b":
            index = np.flatnonzero(index)
        # a fancy index has copied the rows already
        return self._dense(self.values[index], dtype, lambda row: int(index[row]), copy=False)

    @property
    def n_numbers(self) -> int:
        """How many numbers are stored: n·d, or the non-zeros of a CSR array."""
        values = self.values
        return int(values.size if isinstance(values, np.ndarray) else values.nnz)

    def take_sparse(
        self, index: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """The rows of a CSR array named by ``index``, by their numbers.

        Returns:
            The stored numbers divided by `divisor` (m,), their columns (m,), and where each row
            begins among them, and the end, (len(index) + 1,).

        Raises:
            InvalidDataError: A finite value is too large for float32.
        """
        assert not isinstance(self.values, np.ndarray)
        part = self.values[index]
        numbers = part.data.reshape(1, -1)
        places = np.repeat(index, np.diff(part.indptr))
        with np.errstate(over="ignore"):
            values = (part.data / self.divisor).astype(np.float32)
        if np.isinf(values).any():
            lost = int(np.isinf(values).argmax())
            column = int(part.indices[lost])
            raise InvalidDataError(
                f"Input X contains a value too large for float32. Row {places[lost]} of column "
                f"{self.name(column)} is {numbers[0, lost]}. Divide the column by a constant, or "
                "drop it."
            )
        return values, part.indices.astype(np.int64), part.indptr.astype(np.int64)

    def blocks(
        self, dtype: DTypeLike = np.float32, size: int | None = None
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """All rows in order, as pairs of the first row's number and a dense block.

        Args:
            dtype: A floating type for the blocks.
            size: Rows per block; by default as many as fit in 16 MB (at least one).

        Raises:
            InvalidDataError: A finite value is too large for ``dtype``.
        """
        size = size or block_rows(self.n_features, np.dtype(dtype).itemsize)
        for start in range(0, len(self), size):
            yield start, self.rows(start, start + size, dtype)

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Up to n different rows chosen at random, in the order of the data.

        Returns:
            Fresh float64 array (min(n, len), d): all rows where n ≥ len.
        """
        if n >= len(self):
            return self.rows(0, len(self), np.float64)
        return self.take(np.sort(rng.choice(len(self), n, replace=False)), np.float64)

    def _dense(
        self,
        part: Any,
        dtype: DTypeLike,
        row_number: Callable[[int], int],
        *,
        copy: bool = True,
    ) -> NDArray[Any]:
        if not isinstance(part, np.ndarray):
            part, copy = part.toarray(), False
        try:
            with np.errstate(over="raise"):
                block = np.asarray(part).astype(dtype, order="C", subok=False, copy=copy)
                if self.divisor != 1:
                    block /= self.divisor
        except FloatingPointError:
            self._refuse_large(part, np.dtype(dtype), row_number)
        return block

    def _refuse_large(
        self, part: NDArray[Any], dtype: np.dtype[Any], row_number: Callable[[int], int]
    ) -> NoReturn:
        with np.errstate(over="ignore"):
            lost = np.isinf((part / self.divisor).astype(dtype)) & np.isfinite(part)
        row, column = np.argwhere(lost)[0]
        number = (self.first_row or 0) + row_number(int(row))
        raise InvalidDataError(
            f"Input X contains infinity or a value too large for {dtype!r}. Row "
            f"{number} of column {self.name(column)} is {part[row, column]}, and "
            f"the largest {dtype.name} is {np.finfo(dtype).max:.3g}. Divide the column by a "
            "constant, or drop it."
        )


def block_rows(n_features: int, itemsize: int, nbytes: int = BLOCK_BYTES) -> int:
    """How many rows of ``n_features`` numbers fit in ``nbytes``; at least one."""
    return max(1, nbytes // max(1, n_features * itemsize))


def check_finite(matrix: Matrix, *, missing: bool = False) -> None:
    """Refuse missing and infinite values, reading the data once in blocks.

    Args:
        matrix: The data.
        missing: Whether NaN is a missing cell, and allowed.

    Raises:
        InvalidDataError: With the row and the column of the first one and how many there are.
            The message begins as scikit-learn's does.
    """
    if matrix.dtype.kind != "f":
        return
    found = {"nan": 0, "inf": 0}
    first: dict[str, tuple[int, int, float]] = {}
    for start, numbers in _stored(matrix):
        if _sum_is_finite(numbers):
            continue
        for kind, test in (("nan", np.isnan), ("inf", np.isinf)):
            if missing and kind == "nan":
                continue
            wrong = test(numbers)
            count = int(np.count_nonzero(wrong))
            found[kind] += count
            if count and kind not in first:
                place = np.unravel_index(int(wrong.argmax()), wrong.shape)
                first[kind] = (*_position(matrix, start, place), float(numbers[place]))
    if first:
        _refuse_not_finite(matrix, found, first)


def _stored(matrix: Matrix) -> Iterator[tuple[int, NDArray[Any]]]:
    """The stored numbers in blocks, without conversion: rows (n, d), or a CSR's data (nnz,)."""
    if isinstance(matrix.values, np.ndarray):
        numbers: NDArray[Any] = matrix.values
        size = block_rows(matrix.n_features, matrix.dtype.itemsize)
    else:
        numbers, size = matrix.values.data, BLOCK_BYTES // matrix.dtype.itemsize
    for start in range(0, len(numbers), size):
        yield start, np.asarray(numbers[start : start + size])


def _sum_is_finite(numbers: NDArray[Any]) -> bool:
    """A quick yes; a no may also mean that the sum overflowed."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(numbers.sum(dtype=np.result_type(numbers.dtype, np.float32))))


def _position(matrix: Matrix, start: int, place: tuple[Any, ...]) -> tuple[int, int]:
    """Row and column of an element of a block of `_stored`."""
    if isinstance(matrix.values, np.ndarray):
        return start + int(place[0]), int(place[1])
    entry = start + int(place[0])
    row = int(np.searchsorted(matrix.values.indptr, entry, side="right")) - 1
    return row, int(matrix.values.indices[entry])


def _refuse_not_finite(
    matrix: Matrix, found: dict[str, int], first: dict[str, tuple[int, int, float]]
) -> NoReturn:
    kind = "nan" if "nan" in first else "inf"
    row, column, value = first[kind]
    if matrix.first_row is not None:
        where = "The first is"  # how many are in the rest, nobody knows
    else:
        where = f"The first of {found[kind]} is" if found[kind] > 1 else "It is"
    row += matrix.first_row or 0
    where += f" {'missing' if kind == 'nan' else value} in row {row}, column {matrix.name(column)}"
    if kind == "nan":
        raise InvalidDataError(
            f"Input X contains NaN. {where}. Missing values need a likelihood for each column "
            "(Columns), as fit chooses where it sees some; else impute them "
            "(sklearn.impute.SimpleImputer) or drop the rows or columns that hold them."
        )
    raise InvalidDataError(
        f"Input X contains infinity or a value too large for {matrix.dtype!r}. {where}. "
        "Replace it by a finite value or drop the row."
    )
