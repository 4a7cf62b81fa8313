"""Rows in, rows out: a matrix goes through a model in blocks of bounded size.

**Precision.** Rows are scaled in float64, as for training, and then computed with in float32, or
in float64 where the data's own type needs it to be held exactly (float64 and wide integers).

**Row by row.** What a row is given must not depend on its neighbours. Matrix products of few rows
run through other kernels than those of many, which sum in another order; so a block never has
fewer than 64 rows: the last row fills it up, and what that gives is dropped. A row's result is
then the same to the last bit in any company, as long as the rows of every layer begin on 16 bytes
(widths divisible by 4 in float32, by 2 in float64); else, and with other libraries for matrix
products, up to rounding.

Data that are read in passes (`isthmus.data.Stream`) go the same way, while a thread reads ahead.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data
from torch import Tensor

from isthmus._errors import InvalidDataError, UnsupportedTypeError
from isthmus._random import make_generator
from isthmus.analysis.density import CodeDensity
from isthmus.data import (
    Data,
    Matrix,
    Schema,
    Stream,
    Unseen,
    as_data,
    as_matrix,
    check_finite,
    encode_part,
)
from isthmus.data.infer import holds_pixels
from isthmus.data.sources import open_source
from isthmus.estimators.tables import encode
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.training import ahead, freed_memory_kept

Array = NDArray[Any]
OfRows = Callable[[Model, Tensor], Tensor]
BLOCK_CELLS = 1 << 20
LEAST_ROWS, MOST_ROWS, MOST_IMAGES = 64, 4096, 256
DRAWN_ROWS = 4096
LARGEST_SINGLE, FINEST_SINGLE = 1e36, 1e4


def remember_columns(estimator: Any, X: Any, data: Data, schema: Schema | None) -> None:
    """Number and names of the columns that `fit` saw.

    Args:
        estimator: Gets ``n_features_in_`` and, for named columns, ``feature_names_in_``.
        X: What the user gave.
        data: The same as numbers.
        schema: What its columns are, if they have likelihoods of their own.
    """
    if schema is None:
        check_columns(estimator, X, data, reset=True)
        return
    estimator.n_features_in_ = len(schema)
    if schema.named:
        estimator.feature_names_in_ = np.array(list(map(str, schema.names)), dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def check_columns(estimator: Any, X: Any, matrix: Data, *, reset: bool) -> None:
    """Remember number and names of the columns, or compare them with those of `fit`.

    Args:
        estimator: Gets or has ``n_features_in_`` and, for named columns, ``feature_names_in_``.
        X: What the user gave.
        matrix: The same as a matrix or a stream.
        reset: Remember.

    Raises:
        InvalidDataError: Another number of columns, or other names.
    """
    # scikit-learn reads the names from the frame itself
    if isinstance(matrix, Stream):
        named = matrix.outline
    else:
        named = X if matrix.names is not None else matrix.values
    try:
        validate_data(estimator, named, reset=reset, skip_check_array=True)
    except ValueError as error:
        raise InvalidDataError(f"{error} Give the columns that fit saw, in order.") from error


def rows_to_read(estimator: Any, X: Any) -> Matrix:
    """Rows of the kind that a fitted estimator knows, which are in memory.

    Raises:
        InvalidDataError: Infinite values, missing ones if the likelihood is not one per column,
            or other columns than in `fit`.
        UnsupportedTypeError: Data that are read in passes.
    """
    require_in_memory(X, "read them with isthmus.data.read(path), or give them batch by batch")
    unseen = Unseen()
    matrix = part_to_read(estimator, X, unseen, None)
    unseen.warn()
    return matrix


def require_in_memory(X: Any, advice: str) -> None:
    """Refuse data that are read in passes.

    Raises:
        UnsupportedTypeError: They are.
    """
    if isinstance(X, Stream) or (not isinstance(X, Matrix) and open_source(X) is not None):
        raise UnsupportedTypeError(
            f"X is a {type(X).__name__} that is read in passes, and here the rows must be in "
            f"memory; {advice}."
        )


def part_to_read(estimator: Any, X: Any, unseen: Unseen, first_row: int | None) -> Matrix:
    """The same for a part of the rows.

    Args:
        estimator: Fitted.
        X: The part.
        unseen: Is told what the schema of a table doesn't have.
        first_row: The number of the part's first row, for messages.

    Raises:
        InvalidDataError: As in `rows_to_read`.
    """
    schema = estimator.schema_
    if schema is not None and not isinstance(X, Matrix):
        matrix = encode_part(X, schema, unseen, first_row=first_row or 0)
    else:
        known = _known(estimator, X, as_matrix)
        assert isinstance(known, Matrix)
        matrix = known
    matrix = replace(matrix, first_row=first_row)
    check_finite(matrix, missing=_may_miss(estimator.likelihood_))
    return matrix


def data_to_read(estimator: Any, X: Any) -> Data:
    """The same for rows that may have to be read in blocks, which are looked at on their way.

    Raises:
        InvalidDataError: As in `rows_to_read`.
    """
    data = _known(estimator, X, as_data)
    if isinstance(data, Matrix):
        check_finite(data, missing=_may_miss(estimator.likelihood_))
    return data


def _may_miss(likelihood: Likelihood) -> bool:
    """Whether a cell may be missing: where each column has a likelihood of its own."""
    return likelihood.traits.columns is not None


def _known(estimator: Any, X: Any, read: Callable[[Any], Data]) -> Data:
    if estimator.schema_ is not None:
        return encode(X, estimator.schema_)
    data = read(X)
    check_columns(estimator, X, data, reset=False)
    return replace(data, divisor=estimator._pixel_divisor) if holds_pixels(data) else data


def codes_to_read(estimator: Any, X: Any) -> Data:
    """Codes of the width that a fitted estimator gives; a stream's are looked at on their way.

    Raises:
        InvalidDataError: Another width, missing or infinite values.
    """
    codes = as_data(X)
    if isinstance(codes, Matrix):
        check_finite(codes)
    if codes.n_features != estimator._n_features_out:
        raise InvalidDataError(
            f"X has {codes.n_features} columns, but a code of this model has "
            f"{estimator._n_features_out} units; give what transform gave."
        )
    return codes


def common_unit(model: Model) -> float:
    """What lengths in x are divided by inside where there is one number for all, else 1."""
    common = model.likelihood.traits.scaling == "common"
    return float(model.scale[0]) if common else 1.0


def precision_for(matrix: Data) -> torch.dtype:
    """float64 where the type of the data needs it, else float32."""
    wide = np.result_type(matrix.dtype, np.float32) == np.float64
    return torch.float64 if wide else torch.float32


def to_rows(
    function: OfRows,
    model: Model,
    matrix: Data,
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
    return joined(in_blocks(function, model, matrix, far_is_possible=far_is_possible), matrix)


def in_blocks(
    function: OfRows, model: Model, matrix: Data, *, far_is_possible: bool = False
) -> Iterator[tuple[int, Array]]:
    """The same block by block: the number of the first row, and the results."""
    dtype = precision_for(matrix)

    def enter(x: Array, first_row: int) -> Tensor:
        model.likelihood.check(x, names=matrix.names, first_row=first_row)
        return model.scaled(torch.from_numpy(x).to(model.device)).to(dtype)

    return _in_blocks(matrix, model, enter, lambda z: function(model, z), far_is_possible)


def to_codes(function: Callable[[Tensor], Tensor], model: Model, codes: Data) -> Array:
    """What a function gives for codes (n, k), on the device of a model and in its precision.

    Raises:
        InvalidDataError: A code so far out that the result is not a finite number.
    """
    return joined(codes_in_blocks(function, model, codes), codes)


def codes_in_blocks(
    function: Callable[[Tensor], Tensor], model: Model, codes: Data
) -> Iterator[tuple[int, Array]]:
    """The same block by block: the number of the first code, and the results."""
    dtype = precision_for(codes)

    def enter(h: Array, first_row: int) -> Tensor:
        check_finite(Matrix(h, codes.row_shape, codes.names, first_row=first_row))
        return torch.from_numpy(h).to(model.device, dtype)

    return _in_blocks(codes, model, enter, function, far_is_possible=False)


def row_scores(model: Model, z: Tensor) -> Tensor:
    """The evidence of each row in nats and in the user's units, (m,)."""
    log_prob, kl = model.evidence(z)
    return log_prob.sum(1) - kl.sum(1)


def feature_scores(model: Model, z: Tensor) -> Tensor:
    """Each feature's part in `row_scores`, (m, d).

    Of the divergence all bear the same part, but a missing cell none.
    """
    return _shared(*model.evidence(z), z)


def score_and_parts(model: Model, z: Tensor) -> Tensor:
    """`row_scores` in the first column, `feature_scores` in the others, (m, 1 + d)."""
    log_prob, kl = model.evidence(z)
    scores = log_prob.sum(1) - kl.sum(1)
    return torch.cat([scores[:, None], _shared(log_prob, kl, z)], 1)


def _shared(log_prob: Tensor, kl: Tensor, z: Tensor) -> Tensor:
    """log p(x_j | h) less each observed cell's part of the divergence."""
    observed = (~z.isnan()).to(log_prob.dtype)
    share = kl.sum(1, keepdim=True) / observed.sum(1, keepdim=True).clamp_min(1)
    return log_prob - share * observed


@torch.no_grad()
def draw_rows(
    model: Model, n: int, seed: int, density: CodeDensity | None, *, mean: bool
) -> Array:
    """n rows in the user's units for drawn codes: draws of p(x | h), or E[x | h].

    Args:
        model: The model.
        n: How many.
        seed: Of codes and rows.
        density: Of the codes; their prior if None.
        mean: Give E[x | h].

    Raises:
        InvalidParameterError: The code has no prior, and no density is given.
    """
    generator, rng = make_generator(seed, model.device), np.random.default_rng(seed)
    dtype = torch.float64 if _needs_double(model) else torch.float32
    blocks = []
    for first in range(0, n, DRAWN_ROWS):
        count = min(DRAWN_ROWS, n - first)
        if density is None:
            h = model.encoder.sample_prior(count, model.shape.n_components, generator)
        else:
            h = torch.from_numpy(density.sample(count, rng)).float().to(model.device)
        eta, likelihood = model.decode(h), model.likelihood
        z = likelihood.mean(eta) if mean else likelihood.sample(eta, generator)
        blocks.append(model.unscaled(z.to(dtype)).cpu())
    return torch.cat(blocks).numpy()


def _needs_double(model: Model) -> bool:
    """Whether float32 has no room for the data's units, or too few digits for their spread."""
    center, scale = model.center.abs(), model.scale
    return bool(((center + scale > LARGEST_SINGLE) | (center > FINEST_SINGLE * scale)).any())


def _in_blocks(
    data: Data,
    model: Model,
    enter: Callable[[Array, int], Tensor],
    function: Callable[[Tensor], Tensor],
    far_is_possible: bool,
) -> Iterator[tuple[int, Array]]:
    """The results of each block, and the number of its first row.

    Args:
        data: n ≥ 1 rows.
        model: What they go through.
        enter: From a float64 block and its first row's number to what the function takes.
        function: From that to one result per row.
        far_is_possible: Whether −∞ is a result.
    """
    most = MOST_IMAGES if model.convolves else MOST_ROWS
    size = min(most, max(1, BLOCK_CELLS // data.n_features))
    least = min(size, LEAST_ROWS)
    for first, block in _blocks(data, size):
        n = len(block)
        if n < least:
            block = block[np.minimum(np.arange(least), n - 1)]
        with torch.no_grad():  # not around a yield: the caller would be in it as well
            entered = enter(block, first)
            result = function(entered)[:n].cpu().numpy()
        wrong = ~np.isfinite(result)
        if far_is_possible:
            wrong &= ~np.isneginf(result)
        if wrong.any():
            _refuse_row(data, first, int(np.argwhere(wrong)[0, 0]), block, entered)
        yield first, result


def _blocks(data: Data, size: int) -> Iterator[tuple[int, Array]]:
    """float64 blocks without infinite values, in order."""
    if isinstance(data, Matrix):
        yield from data.blocks(np.float64, size)
        return
    for matrix in ahead(data.matrices):
        check_finite(matrix, missing=True)  # which the likelihood is asked about
        for start, block in matrix.blocks(np.float64, size):
            yield (matrix.first_row or 0) + start, block


def joined(blocks: Iterator[tuple[int, Array]], data: Data) -> Array:
    """All results in one array."""
    n_rows = data.n_rows if isinstance(data, Stream) else len(data)
    with freed_memory_kept(wanted=n_rows is None or n_rows > MOST_IMAGES):
        if n_rows is None:
            return np.concatenate([result for _, result in blocks])
        results: Array | None = None
        for first, result in blocks:
            if results is None:
                results = np.empty((n_rows, *result.shape[1:]), result.dtype)
            results[first : first + len(result)] = result
    assert results is not None, "there is at least one row"
    return results


def _refuse_row(data: Data, first: int, row: int, block: Array, entered: Tensor) -> NoReturn:
    """Name the value that is farthest out, in the units of the network."""
    column = int(entered[row].abs().nan_to_num(nan=-1.0, posinf=np.inf).argmax())
    raise InvalidDataError(
        f"Row {first + row} is too far out to be computed with: the value "
        f"{block[row, column]:.4g} of column {data.name(column)} overflows inside the network. "
        "Look for an error or another unit in this row, or leave it out."
    )
