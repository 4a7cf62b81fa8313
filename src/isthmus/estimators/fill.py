"""Imputation on behalf of an estimator: rows in, and rows of the user's own types out."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.analysis.impute import fill
from isthmus.data import Matrix, Unseen, fill_missing
from isthmus.estimators.apply import part_to_read, precision_for

if TYPE_CHECKING:
    from isthmus.estimators.fitted import Fitted

Array = NDArray[Any]


def fill_part(
    estimator: "Fitted",
    part: Any,
    unseen: Unseen,
    n_draws: int | None,
    generator: torch.Generator,
    first_row: int | None = None,
) -> list[Any]:
    """Some rows with their holes filled: n_draws times, or once with means and modes if None.

    Args:
        estimator: Fitted.
        part: A table or an array.
        unseen: Is told what the schema of a table doesn't have.
        n_draws: How many joint draws.
        generator: Of them.
        first_row: The number of the part's first row, for messages.

    Raises:
        InvalidDataError: As in `Fitted.impute`.
    """
    matrix = part_to_read(estimator, part, unseen, first_row)
    model = estimator._session.in_precision(precision_for(matrix), estimator.model_)
    x = matrix.rows(0, len(matrix), np.float64)
    model.likelihood.check(x, names=matrix.names, first_row=first_row or 0)
    how = (estimator._tried.spread, generator)
    draws = [
        fill(model, x, *how, draw=n_draws is not None, first_row=first_row or 0)
        for _ in range(n_draws or 1)
    ]
    if estimator.schema_ is None:
        return [_like(matrix, x, each) for each in draws]
    return [fill_missing(part, values, estimator.schema_) for values in draws]


def _like(matrix: Matrix, x: Array, filled: Array) -> Array:
    """The filled values in the type of the data, the observed ones as they were stored."""
    stored = matrix.rows(0, len(matrix), matrix.dtype)
    if matrix.dtype.kind != "f":
        return stored.reshape(len(stored), *matrix.row_shape)
    result = np.where(np.isnan(x), filled.astype(matrix.dtype), stored)
    return result.reshape(len(result), *matrix.row_shape)
