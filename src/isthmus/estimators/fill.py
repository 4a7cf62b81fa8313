"""Imputation on behalf of an estimator: rows in, and rows of the user's own types out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._random import make_generator
from isthmus.analysis.impute import Spread, fill
from isthmus.data import Matrix
from isthmus.model import Model

Array = NDArray[Any]


def fill_rows(
    model: Model, matrix: Matrix, spread: Spread | None, n_draws: int | None, seed: int
) -> list[Array]:
    """n_draws filled arrays, or one of means and modes if n_draws is None."""
    x = matrix.rows(0, len(matrix), np.float64)
    model.likelihood.check(x, names=matrix.names)
    generator, draw = make_generator(seed, model.device), n_draws is not None
    filled = (fill(model, x, spread, generator, draw=draw) for _ in range(n_draws or 1))
    return [_like(matrix, x, each) for each in filled]


def _like(matrix: Matrix, x: Array, filled: Array) -> Array:
    """The filled values in the type of the data, the observed ones as they were stored."""
    stored = matrix.rows(0, len(matrix), matrix.dtype)
    if matrix.dtype.kind != "f":
        return stored.reshape(len(stored), *matrix.row_shape)
    result = np.where(np.isnan(x), filled.astype(matrix.dtype), stored)
    return result.reshape(len(result), *matrix.row_shape)
