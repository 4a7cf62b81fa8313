"""From anything that looks like a table of numbers to a `Matrix`.

Arrays, nested lists, images, torch tensors, data frames of any make, Arrow tables and sparse
matrices all end as the same two things: a two-dimensional array (or CSR array) and, where the
columns have names, their names. Memory is shared with the user's object wherever its layout
allows; nothing of the user's is ever written to.

What can't be read as numbers is refused here, once. The wording of the refusals is
scikit-learn's (`sklearn.utils.validation.check_array`), because its estimator checks and its
users look for it; the type of the error is this library's.

torch, pandas and polars are never imported: a tensor is recognised by what it can do, a frame by
narwhals.
"""

from collections.abc import Sized
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from isthmus._errors import InvalidDataError, UnsupportedTypeError
from isthmus.data.matrix import Matrix

COMPLEX = (
    "Complex data not supported: X holds values of type {}. Give real and imaginary parts as "
    "columns of their own (X.real, X.imag)."
)
TO_NUMBERS = "encode it to numbers (sklearn.preprocessing.OrdinalEncoder) or drop it"


def as_matrix(X: Any, *, min_rows: int = 1) -> Matrix:
    """Present any input as a `Matrix`, without copying where possible.

    Missing and infinite values pass (see `check_finite`); nulls of a frame become NaN.

    Args:
        X: One row per example. An array or nested list (n, d); images (n, H, W) or (n, H, W, C);
            a torch tensor of these shapes; a pandas, polars or Arrow table with numeric and
            boolean columns; a scipy.sparse matrix of any format; a `Matrix`, which is returned
            as it is. Images in another memory order than C are copied.
        min_rows: The least number of rows that is enough.

    Raises:
        InvalidDataError: A wrong number of dimensions, no rows, no columns, complex numbers,
            text, dates, or columns of one name.
        UnsupportedTypeError: An object that isn't a table of numbers, such as numpy.matrix.
    """
    if isinstance(X, Matrix):
        matrix = X
    elif nw.dependencies.is_into_dataframe(X) or is_record_batch(X):
        matrix = _from_frame(X)
    elif sp.issparse(X):
        matrix = _from_sparse(X)
    else:
        matrix = _from_array(_to_numpy(X))
    _check_rows(matrix, min_rows)
    return matrix


def _check_rows(matrix: Matrix, min_rows: int) -> None:
    shape = (len(matrix), *matrix.row_shape)
    for axis, what, least in ((0, "sample", min_rows), (1, "feature", 1)):
        count = matrix.values.shape[axis]
        if count < least:
            raise InvalidDataError(
                f"Found array with {count} {what}(s) (shape={shape}) while a minimum of "
                f"{least} is required. Look at what selects the {what}s."
            )


def _checked(X: Any, **options: Any) -> Any:
    """`check_array` with this library's errors; sizes and finiteness are checked elsewhere."""
    try:
        return check_array(
            X,
            dtype="numeric",
            allow_nd=True,
            ensure_all_finite=False,
            ensure_min_samples=0,
            ensure_min_features=0,
            **options,
        )
    except ValueError as error:
        raise InvalidDataError(str(error)) from error
    except (TypeError, OverflowError) as error:
        raise UnsupportedTypeError(str(error)) from error


def _to_numpy(X: Any) -> Any:
    """Torch tensors and masked arrays as plain arrays (masked: NaN); other objects as they are."""
    if all(hasattr(X, method) for method in ("detach", "cpu", "numpy")):
        tensor = X.detach().cpu()
        try:
            return tensor.numpy()
        except TypeError:  # bfloat16 and other types that numpy lacks
            try:
                return tensor.float().numpy()
            except (TypeError, RuntimeError) as error:
                raise UnsupportedTypeError(
                    f"This tensor can't be read as an array: {error} A sparse one can be given "
                    "as tensor.to_dense()."
                ) from error
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.float64), np.nan) if np.ma.is_masked(X) else X.data
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        raise UnsupportedTypeError(
            f"X is a lazy frame ({type(X).__name__}), which has no rows yet; call its collect()."
        )
    return X


def _from_array(X: Any) -> Matrix:
    _refuse_text(X)
    array = X if hasattr(X, "__array__") else _nested(X)
    _refuse_text(array)
    _refuse_shape(array)
    array = np.asarray(_checked(array))
    if array.dtype.kind not in "buif":
        raise InvalidDataError(
            f"X holds values of type {array.dtype}, which are not numbers; {TO_NUMBERS}."
        )
    if array.ndim > 4:
        raise InvalidDataError(
            f"Found array with dim {array.ndim}; expected rows (n, d) or images (n, H, W) or "
            "(n, H, W, C). Flatten each row with X.reshape(len(X), -1)."
        )
    row_shape = array.shape[1:]
    flat = array if array.ndim == 2 else array.reshape(len(array), int(np.prod(row_shape)))
    return Matrix(_plain(flat), row_shape)


def _nested(X: Any) -> NDArray[Any]:
    """Nested lists, and whatever else numpy makes an array of."""
    try:
        array = np.asarray(X)
    except (ValueError, TypeError) as error:
        raise InvalidDataError(
            f"X is a list whose rows differ in length or in shape{_first_odd_row(X)}. Give every "
            "row the same number of values."
        ) from error
    if array.ndim == 0 and array.dtype.kind == "O":
        raise UnsupportedTypeError(
            f"X is an object of type {type(X).__name__}, which is no table of numbers; give an "
            "array, a data frame or a sparse matrix."
        )
    return array


def _first_odd_row(X: Any) -> str:
    """The first row of another length than row 0, for a message; nothing where there is none."""
    if not isinstance(X, list | tuple):
        return ""
    lengths = [len(row) if isinstance(row, Sized) else 0 for row in X]
    for i, length in enumerate(lengths):
        if length != lengths[0]:
            return f" (row 0 has {lengths[0]} values and row {i} has {length})"
    return ""


def _refuse_shape(array: Any) -> None:
    """Refuse what scikit-learn would refuse by printing the whole array."""
    if not isinstance(array, np.ndarray):
        return
    if array.dtype.kind == "c":
        raise InvalidDataError(COMPLEX.format(array.dtype))
    if array.ndim < 2:
        raise InvalidDataError(
            f"Expected 2D array, got {array.ndim}D array of shape {array.shape} instead. Reshape "
            "your data: X.reshape(-1, 1) if it has one feature, X.reshape(1, -1) if it is one "
            "sample."
        )


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Types wider than float64 as float64."""
    if array.dtype.kind != "f" or array.dtype.itemsize <= 8:
        return array
    try:
        with np.errstate(over="raise"):
            return array.astype(np.float64)
    except FloatingPointError as error:
        raise InvalidDataError(
            "Input X contains infinity or a value too large for dtype('float64'). Divide the "
            f"data, which are {array.dtype}, by a constant."
        ) from error


def _refuse_text(X: Any) -> None:
    """Refuse text before numpy reads "1.5" as a number in silence."""
    if isinstance(X, (str, bytes)):
        raise UnsupportedTypeError(
            f"X is the text {X[:60]!r}, not data; to read a file use isthmus.data.read(path)."
        )
    if not isinstance(X, np.ndarray):
        return
    example: Any = None
    if X.dtype.kind in "USVT" and X.size:
        example = X.flat[0]
    elif X.dtype.kind == "O":
        example = next((value for value in X.flat if isinstance(value, (str, bytes))), None)
    if example is not None:
        example = example.item() if isinstance(example, np.generic) else example
        raise InvalidDataError(
            f"X holds text or records, such as {example!r}, where numbers are expected; encode "
            "them to numbers (sklearn.preprocessing.OrdinalEncoder) or drop their columns."
        )


def _from_sparse(X: Any) -> Matrix:
    if X.ndim > 2:
        raise InvalidDataError(f"Found a sparse array with dim {X.ndim}, while 2 are required.")
    if X.dtype.kind == "c":
        raise InvalidDataError(COMPLEX.format(X.dtype))
    if X.dtype.kind not in "buif":
        raise InvalidDataError(
            f"X holds values of type {X.dtype}, which are not numbers; {TO_NUMBERS}."
        )
    given = _checked(X, accept_sparse="csr")
    data = _plain(given.data)
    data = data.astype(data.dtype.newbyteorder("="), copy=False)
    # A new array around the same memory: scipy's sorting in place must not reach the user's own,
    # and its cached answer on whether the indices are sorted may be out of date.
    csr = sp.csr_array((data, given.indices, given.indptr), shape=given.shape)
    try:
        csr.check_format(full_check=True)
    except ValueError as error:
        raise InvalidDataError(f"The sparse X is damaged: {error}.") from error
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return Matrix(csr, (int(csr.shape[1]),))


def is_record_batch(X: Any) -> bool:
    """Whether X is an Arrow record batch, without importing Arrow for it."""
    kind = type(X)
    return kind.__name__ == "RecordBatch" and kind.__module__.split(".")[0] == "pyarrow"


def _from_frame(X: Any) -> Matrix:
    if is_record_batch(X):
        import pyarrow as pa

        X = pa.Table.from_batches([X])
    if is_all_sparse(X):
        coo = X.sparse.to_coo()
        return Matrix(_from_sparse(coo).values, (coo.shape[1],), _string_names(list(X.columns)))
    try:
        frame = nw.from_native(X, eager_only=True)
        schema = frame.schema
    except nw.exceptions.DuplicateError as error:
        raise InvalidDataError(
            f"Two columns of X have the same name ({' '.join(str(error).split())}); rename one."
        ) from error
    names = _string_names(list(frame.columns))
    kinds = list(schema.values())
    if len(frame) and len(set(kinds)) == 1 and kinds[0].is_numeric() and not kinds[0].is_decimal():
        values = frame.to_numpy()  # one type throughout: pandas shares its memory
        if values.dtype.kind in "iuf":
            return Matrix(_plain(values), (len(kinds),), names)
    columns = [_numbers(series) for series in frame.iter_columns()]
    values = np.empty((len(frame), len(columns)), np.result_type(*columns) if columns else float)
    for j, column in enumerate(columns):
        values[:, j] = column
    return Matrix(values, (len(columns),), names)


def is_all_sparse(X: Any) -> bool:
    """Whether X is a pandas frame whose columns are all sparse with 0 left out."""
    kinds = getattr(X, "dtypes", None)
    if not hasattr(X, "sparse") or kinds is None:
        return False
    return len(kinds) > 0 and all(getattr(kind, "fill_value", None) == 0 for kind in kinds)


def _string_names(names: list[Any]) -> tuple[str, ...] | None:
    """Names for `Matrix.names`: only if all are strings, as scikit-learn has it."""
    kinds = sorted({type(name).__name__ for name in names})
    if kinds == ["str"]:
        return tuple(names)
    if "str" in kinds:
        raise UnsupportedTypeError(
            "Feature names are only supported if all input features have string names, but your "
            f"input has {kinds} as feature name / column name types. Rename the columns: "
            "X.columns = X.columns.astype(str)."
        )
    return None


def _numbers(series: "nw.Series[Any]") -> NDArray[Any]:
    """A numeric or boolean column as an array; nulls as NaN.

    Raises:
        InvalidDataError: A column of another kind, by its name and type.
    """
    kind = series.dtype
    if series.null_count() == len(series):
        return np.full(len(series), np.nan)
    if kind == nw.Object:
        return _object_numbers(series)
    if not (kind.is_numeric() or kind == nw.Boolean):
        raise InvalidDataError(
            f"Column {str(series.name)!r} has type {kind}, not numbers; {TO_NUMBERS}."
        )
    if kind.is_decimal() or series.null_count():
        series = series.cast(nw.Float64)
    values = series.to_numpy()
    return values if values.dtype.kind in "biuf" else values.astype(np.float64)


def _object_numbers(series: "nw.Series[Any]") -> NDArray[Any]:
    """A column of Python objects as float64, if all of them are numbers or None."""
    values = series.to_numpy()
    text = next((value for value in values if isinstance(value, (str, bytes))), None)
    try:
        if text is not None:
            raise TypeError(f"it holds {text!r}")
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(
            f"Column {str(series.name)!r} has type Object, not numbers ({error}); {TO_NUMBERS}."
        ) from error
