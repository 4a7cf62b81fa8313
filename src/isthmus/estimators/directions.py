"""Rows divided by their length, for metrics that compare directions."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from isthmus._errors import IsthmusWarning
from isthmus.data import Matrix

PART_CELLS = 1 << 25


def directions(matrix: Matrix) -> Matrix:
    """x / ‖x‖ of each row, float32; a row of zeros, which has no direction, stays zero.

    Args:
        matrix: Finite rows.

    Warns:
        IsthmusWarning: How many rows are zero, and the first of them.
    """
    values = matrix.values
    if not isinstance(values, np.ndarray):
        lengths = _lengths(values)
        _warn_of_zeros(matrix, np.flatnonzero(lengths == 0))
        lengths[lengths == 0] = 1
        scaled = sp.csr_array(sp.diags_array(1 / lengths) @ values).astype(np.float32)
        return replace(matrix, values=scaled, divisor=1.0)
    found, zeros = np.empty(values.shape, np.float32), []
    for first, block in matrix.blocks(np.float64):
        largest = np.abs(block).max(1, keepdims=True)
        zeros.append(first + np.flatnonzero(largest == 0))
        largest[largest == 0] = 1
        block /= largest  # whose squares can't overflow, nor vanish
        lengths = np.sqrt(np.square(block).sum(1, keepdims=True))
        lengths[lengths == 0] = 1
        found[first : first + len(block)] = block / lengths
    _warn_of_zeros(matrix, np.concatenate(zeros))
    return replace(matrix, values=found, divisor=1.0)


def in_parts(matrix: Matrix) -> Iterator[Matrix]:
    """The rows in parts of some 128 MB, so that only one of them is copied at a time."""
    size = max(1, PART_CELLS // matrix.n_features)
    if len(matrix) <= size:
        yield matrix
        return
    for first in range(0, len(matrix), size):
        values = matrix.values[first : first + size]
        yield replace(matrix, values=values, first_row=(matrix.first_row or 0) + first)


def _warn_of_zeros(matrix: Matrix, zeros: NDArray[np.intp]) -> None:
    if len(zeros):
        first = (matrix.first_row or 0) + int(zeros[0])
        warnings.warn(
            f"{len(zeros)} of {len(matrix)} rows are all zeros, row {first} first: they "
            "have no direction, and their cosine with any row is 0. Leave them out, or use "
            "metric='euclidean'.",
            IsthmusWarning,
            stacklevel=4,
        )


def _lengths(values: "sp.csr_array[Any, tuple[int, int]]") -> NDArray[np.float64]:
    squares = values.astype(np.float64)
    squares.data **= 2
    return np.sqrt(np.asarray(squares.sum(1)).reshape(-1))
