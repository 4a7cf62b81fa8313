"""Rows in, rows out: a matrix goes through a model in blocks of bounded size.

**Precision.** Rows are scaled in float64, as for training, and then computed with in float32, or
in float64 where the data's own type needs it to be held exactly (float64 and wide integers).

**Row by row.** What a row is given must not depend on its neighbours. Matrix products of few rows
run through other kernels than those of many, which sum in another order; so a block never has
fewer than 64 rows: the last row fills it up, and what that gives is dropped. A row's result is
then the same to the last bit in any company, as long as the rows of every layer begin on 16 bytes
(widths divisible by 4 in float32, by 2 in float64); else, and with other libraries for matrix
products, up to rounding.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data
from torch import Tensor

from isthmus._errors import InvalidDataError
from isthmus._random import make_generator
from isthmus.data import Matrix, as_matrix, check_finite
from isthmus.data.infer import holds_pixels
from isthmus.model import Model

Array = NDArray[Any]
OfRows = Callable[[Model, Tensor], Tensor]
BLOCK_CELLS = 1 << 20
LEAST_ROWS, MOST_ROWS = 64, 4096
DRAWN_ROWS = 4096


def check_columns(estimator: Any, X: Any, matrix: Matrix, *, reset: bool) -> None:
    """Remember number and names of the columns, or compare them with those of `fit`.

    Args:
        estimator: Gets or has ``n_features_in_`` and, for named columns, ``feature_names_in_``.
        X: What the user gave.
        matrix: The same as a matrix.
        reset: Remember.

    Raises:
        InvalidDataError: Another number of columns, or other names.
    """
    # scikit-learn reads the names from the frame itself
    named = X if matrix.names is not None else matrix.values
    try:
        validate_data(estimator, named, reset=reset, skip_check_array=True)
    except ValueError as error:
        raise InvalidDataError(f"{error} Give the columns that fit saw, in order.") from error


def rows_to_read(estimator: Any, X: Any) -> Matrix:
    """Rows of the kind that a fitted estimator knows.

    Raises:
        InvalidDataError: Infinite values, missing ones if the likelihood is not one per column,
            or other columns than in `fit`.
    """
    matrix = as_matrix(X)
    check_columns(estimator, X, matrix, reset=False)
    if holds_pixels(matrix):
        matrix = replace(matrix, divisor=estimator._pixel_divisor)
    check_finite(matrix, missing=estimator.likelihood_.traits.columns is not None)
    return matrix


def common_unit(model: Model) -> float:
    """What lengths in x are divided by inside where there is one number for all, else 1."""
    common = model.likelihood.traits.scaling == "common"
    return float(model.scale[0]) if common else 1.0


def precision_for(matrix: Matrix) -> torch.dtype:
    """float64 where the type of the data needs it, else float32."""
    wide = np.result_type(matrix.dtype, np.float32) == np.float64
    return torch.float64 if wide else torch.float32


def to_rows(
    function: OfRows,
    model: Model,
    matrix: Matrix,
    *,
    far_is_possible: bool = False,
) -> Array:
    """What a function of the model gives for rows of data.

    Args:
        function: From the model and scaled rows (m, d) to m results.
        model: In the precision that `precision_for` asks for.
        matrix: Rows of the kind that the model was fitted to.
        far_is_possible: Whether −∞ is a result, as the score of a row far out is.

    Returns:
        Array (n, …).

    Raises:
        SupportError: A value that the likelihood can't have.
        InvalidDataError: A row so far out that the result is not a number.
    """
    dtype = precision_for(matrix)

    def enter(x: Array, first_row: int) -> Tensor:
        model.likelihood.check(x, names=matrix.names, first_row=first_row)
        return model.scaled(torch.from_numpy(x).to(model.device)).to(dtype)

    return _in_blocks(matrix, enter, lambda z: function(model, z), far_is_possible)


def to_codes(function: Callable[[Tensor], Tensor], model: Model, codes: Matrix) -> Array:
    """What a function gives for codes (n, k), on the device of a model and in its precision.

    Raises:
        InvalidDataError: A code so far out that the result is not a finite number.
    """
    dtype = precision_for(codes)

    def enter(h: Array, first_row: int) -> Tensor:
        return torch.from_numpy(h).to(model.device, dtype)

    return _in_blocks(codes, enter, function, far_is_possible=False)


def row_scores(model: Model, z: Tensor) -> Tensor:
    """The evidence of each row in nats and in the user's units, (m,)."""
    log_prob, kl = model.evidence(z)
    return log_prob.sum(1) - kl.sum(1)


def feature_scores(model: Model, z: Tensor) -> Tensor:
    """Each feature's part in `row_scores`, (m, d).

    Of the divergence all bear the same part, but a missing cell none.
    """
    log_prob, kl = model.evidence(z)
    observed = (~z.isnan()).to(log_prob.dtype)
    share = kl.sum(1, keepdim=True) / observed.sum(1, keepdim=True).clamp_min(1)
    return log_prob - share * observed


@torch.no_grad()
def draw_rows(model: Model, n: int, seed: int, *, mean: bool) -> Array:
    """n rows in the user's units for codes from the prior: draws of p(x | h), or E[x | h].

    Raises:
        InvalidParameterError: The code has no prior.
    """
    generator = make_generator(seed, model.device)
    blocks = []
    for first in range(0, n, DRAWN_ROWS):
        count = min(DRAWN_ROWS, n - first)
        h = model.encoder.sample_prior(count, model.shape.n_components, generator)
        blocks.append((model.mean(h) if mean else model.sample(h, generator)).cpu())
    return torch.cat(blocks).numpy()


@torch.no_grad()
def _in_blocks(
    matrix: Matrix,
    enter: Callable[[Array, int], Tensor],
    function: Callable[[Tensor], Tensor],
    far_is_possible: bool,
) -> Array:
    """The results of all blocks in one array.

    Args:
        matrix: n ≥ 1 rows.
        enter: From a float64 block and its first row's number to what the function takes.
        function: From that to one result per row.
        far_is_possible: Whether −∞ is a result.
    """
    size = min(MOST_ROWS, max(1, BLOCK_CELLS // matrix.n_features))
    least = min(size, LEAST_ROWS)
    results: Array | None = None
    for first in range(0, len(matrix), size):
        block = matrix.rows(first, first + size, np.float64)
        n = len(block)
        if n < least:
            block = block[np.minimum(np.arange(least), n - 1)]
        entered = enter(block, first)
        result = function(entered)[:n].cpu().numpy()
        wrong = ~np.isfinite(result)
        if far_is_possible:
            wrong &= ~np.isneginf(result)
        if wrong.any():
            _refuse_row(matrix, first, int(np.argwhere(wrong)[0, 0]), entered)
        if results is None:
            results = np.empty((len(matrix), *result.shape[1:]), result.dtype)
        results[first : first + n] = result
    assert results is not None, "a matrix has at least one row"
    return results


def _refuse_row(matrix: Matrix, first: int, row: int, entered: Tensor) -> NoReturn:
    """Name the value that is farthest out, in the units of the network."""
    column = int(entered[row].abs().nan_to_num(nan=-1.0, posinf=np.inf).argmax())
    value = matrix.rows(first + row, first + row + 1, np.float64)[0, column]
    raise InvalidDataError(
        f"Row {first + row} is too far out to be computed with: the value {value:.4g} of column "
        f"{matrix.name(column)} overflows inside the network. Look for an error or another unit "
        "in this row, or leave it out."
    )
