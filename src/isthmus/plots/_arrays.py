"""What pictures ask of the arrays they are given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError

Array = NDArray[np.float64]


def finite(values: ArrayLike, name: str, shape: str, ndim: int) -> Array:
    """Numbers of so many dimensions: not none, and none that is NaN or infinite.

    Args:
        values: What the user gave.
        name: What the errors call it.
        shape: The shape that is expected, in words of mathematics.
        ndim: Its number of dimensions.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"{name} must be numbers of shape {shape}: {error}.") from error
    if array.ndim != ndim or array.size == 0:
        raise InvalidDataError(f"{name} must have shape {shape}; got {array.shape}.")
    bad = ~np.isfinite(array).reshape(len(array), -1).all(1)
    if bad.any():
        raise InvalidDataError(
            f"Row {int(bad.argmax())} of {name} is not finite; leave such rows out."
        )
    return array


def points(values: ArrayLike, name: str, dimensions: Sequence[int] = (2,)) -> Array:
    """Points (n, d) of two dimensions, or of two or three."""
    shape = " or ".join(f"(n, {d})" for d in dimensions)
    array = finite(values, name, shape, 2)
    if array.shape[1] not in dimensions:
        raise InvalidDataError(
            f"{name} must have shape {shape}; got {array.shape}. Choose columns that can be drawn."
        )
    return array


def same_length(name: str, values: NDArray[Any], other: str, others: NDArray[Any]) -> None:
    """One of these for each of those."""
    if len(values) != len(others):
        raise InvalidDataError(
            f"{name} and {other} must have equal length; got {len(values)} and {len(others)}."
        )


def same_width(name: str, values: Array, other: str, others: Array) -> None:
    """Points of one space."""
    if values.shape[-1] != others.shape[-1]:
        raise InvalidDataError(
            f"{name} and {other} must be points of one space; got {values.shape[-1]} and "
            f"{others.shape[-1]} coordinates."
        )
