"""Imputation on behalf of an estimator: what is tried at `fit`, and arrays in and out.

The way from rows to values and back is here, so that a table of the user's own types needs no
more than another `_like`.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus._errors import FileFormatError
from isthmus._random import make_generator
from isthmus.analysis.impute import LEVELS, STRATA, TRIED_ROWS, Spread, fill, try_on_hidden
from isthmus.data import Matrix
from isthmus.model import Model
from isthmus.training import make_rows

Array = NDArray[Any]


def try_rows(
    model: Model, matrix: Matrix, order: NDArray[np.intp], seed: int, *, hid: bool
) -> Spread | None:
    """How well hidden cells of some rows are predicted; None for a model that never saw holes.

    Args:
        model: Trained.
        matrix: The data.
        order: Numbers of rows, those that were held out if there are any.
        seed: Which cells are hidden.
        hid: Whether cells were corrupted in training; if not, only data with holes are tried.
    """
    if model.table is None:
        return None
    rows = make_rows(matrix, order[:TRIED_ROWS], model)
    z = rows.batch(torch.arange(len(rows), device=model.device))
    if not (hid or bool(z.isnan().any())):
        return None
    return try_on_hidden(model, z, make_generator(seed, model.device))


def fill_rows(
    model: Model, matrix: Matrix, spread: Spread | None, n_draws: int | None, seed: int
) -> Any:
    """One filled array, or a list of n_draws of them."""
    x = matrix.rows(0, len(matrix), np.float64)
    model.likelihood.check(x, names=matrix.names)
    if not np.isnan(x).any():
        return (
            _like(matrix, x, x)
            if n_draws is None
            else [_like(matrix, x, x) for _ in range(n_draws)]
        )
    generator = make_generator(seed, model.device)
    if n_draws is None:
        return _like(matrix, x, fill(model, x, spread, generator, draw=False))
    draws = (fill(model, x, spread, generator, draw=True) for _ in range(n_draws))
    return [_like(matrix, x, drawn) for drawn in draws]


def _like(matrix: Matrix, x: Array, filled: Array) -> Array:
    """The filled values in the type of the data, the observed ones as they were stored."""
    stored = matrix.rows(0, len(matrix), matrix.dtype)
    if matrix.dtype.kind != "f":
        return stored.reshape(len(stored), *matrix.row_shape)
    result = np.where(np.isnan(x), filled.astype(matrix.dtype), stored)
    return result.reshape(len(result), *matrix.row_shape)


def spread_card(spread: Spread | None) -> Any:
    """What was learnt on hidden cells as JSON: quantiles by column, where there are any."""
    if spread is None:
        return None
    columns = spread.residuals.permute(2, 0, 1).cpu().tolist()
    known = {str(j): column for j, column in enumerate(columns) if not np.isnan(column[0][0])}
    return {"gibbs": spread.gibbs, "residuals": known}


def spread_from_card(card: Any, n_features: int) -> Spread | None:
    """The same again, checked.

    Raises:
        FileFormatError: It is not what `spread_card` writes.
    """
    if card is None:
        return None
    residuals = torch.full((STRATA, LEVELS, n_features), torch.nan)
    for name, column in card["residuals"].items():
        values = torch.tensor(column, dtype=torch.float32)
        if values.shape != (STRATA, LEVELS) or not values.isfinite().all():
            raise FileFormatError(f"it has no {STRATA} × {LEVELS} quantiles for column {name}")
        if not 0 <= int(name) < n_features:
            raise FileFormatError(f"it has quantiles for a column {name} that is not there")
        residuals[:, :, int(name)] = values
    if not isinstance(card["gibbs"], bool):
        raise FileFormatError(f"{card['gibbs']!r} in place of true or false")
    return Spread(card["gibbs"], residuals)
