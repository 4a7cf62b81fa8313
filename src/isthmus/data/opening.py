"""Any table, opened so that it reads one column at a time.

pandas, polars and Arrow frames, arrays and nested lists end as one `Table` of
`isthmus.data.cells.Cells`. pandas and polars are never imported: frames are recognised by narwhals
and read through Arrow.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.types as pt
import scipy.sparse as sp
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError, UnsupportedTypeError
from isthmus._registry import is_whole
from isthmus.data.cells import Cells, Floats, Name, cells_of_arrow, cells_of_objects, text_of
from isthmus.data.matrix import Matrix

FLOATS = {2: "halffloat", 4: "float", 8: "double"}


@dataclass(frozen=True, eq=False)
class Table:
    """A table of any make, which reads one column at a time.

    Attributes:
        names: The columns' names, all different; positions for an array.
        n_rows: n.
        reader: Reads the column of a position.
    """

    names: tuple[Name, ...]
    n_rows: int
    reader: Callable[[int], Cells]

    @property
    def named(self) -> bool:
        """Whether the columns have names of their own."""
        return any(isinstance(name, str) for name in self.names)

    def __iter__(self) -> Iterator[Cells]:
        return map(self.reader, range(len(self.names)))


def open_table(X: Any) -> Table:
    """Open a frame or an array, without reading it.

    Args:
        X: A pandas, polars or Arrow frame; an array, nested list or dense `Matrix` (n, d) of
            numbers or objects.

    Raises:
        InvalidDataError: No table, columns of one name, or no columns.
        UnsupportedTypeError: A sparse matrix, or names that are neither text nor integers.
    """
    if isinstance(X, pa.RecordBatch):
        X = pa.Table.from_batches([X])
    if nw.dependencies.is_into_dataframe(X):
        return _open_frame(X)
    if isinstance(X, Matrix) and not X.is_sparse:
        names: tuple[Name, ...] = X.names or tuple(range(X.n_features))
        return _open_array(np.asarray(X.values), names, X.divisor)
    if sp.issparse(X) or isinstance(X, Matrix):
        raise UnsupportedTypeError(
            "A sparse matrix has one kind of column and no schema; give a data frame or an array."
        )
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        raise UnsupportedTypeError(
            f"X is a lazy frame ({type(X).__name__}), which has no rows yet; call its collect()."
        )
    array = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=_list_type(X))
    if array.ndim != 2 or not array.shape[1]:
        raise InvalidDataError(
            f"Expected a table of rows and columns, got an array of shape {array.shape}. "
            "Reshape your data: X.reshape(-1, 1) if it is one column."
        )
    return _open_array(array, tuple(range(array.shape[1])), 1.0)


def _list_type(X: Any) -> Any:
    """Objects for nested lists, in which numpy would turn numbers into text."""
    return object if isinstance(X, list | tuple) else None


def _open_frame(X: Any) -> Table:
    try:
        frame = nw.from_native(X, eager_only=True)
        names = tuple(map(_plain_name, frame.columns))
    except nw.exceptions.DuplicateError as error:
        raise InvalidDataError(
            f"Two columns of X have the same name ({' '.join(str(error).split())}); rename one."
        ) from error
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidDataError(f"Two columns of X have the same name ({twice!r}); rename one.")
    if not names:
        raise InvalidDataError(f"X has no columns (shape {frame.shape}).")
    columns = list(frame.iter_columns())
    return Table(names, len(frame), lambda j: _from_series(names[j], columns[j]))


def _plain_name(name: Any) -> Name:
    if isinstance(name, str):
        return str(name)
    if is_whole(name):
        return int(name)
    raise UnsupportedTypeError(
        f"A column is named {name!r}, which is a {type(name).__name__}; names must be text or "
        "integers. Rename the columns: X.columns = X.columns.astype(str)."
    )


def _open_array(array: NDArray[Any], names: tuple[Name, ...], divisor: float) -> Table:
    kind = array.dtype.kind
    if kind not in "biufOUS":
        raise InvalidDataError(
            f"X holds values of type {array.dtype}, which are no table's; give real numbers, "
            "booleans, text or objects."
        )

    def read(j: int) -> Cells:
        column = array[:, j]
        if divisor != 1:
            column = column / divisor
        if kind == "f":
            wide = column.astype(np.float64, copy=False)
            family = "missing" if _all_nan(wide) else "number"
            return Cells(names[j], family, FLOATS.get(column.itemsize, "double"), wide)
        if kind in "OUS":
            return cells_of_objects(names[j], column.astype(object))
        return cells_of_arrow(names[j], pa.array(np.ascontiguousarray(column)))

    return Table(names, len(array), read)


def _all_nan(values: Floats) -> bool:
    return bool(np.isnan(values[:1]).all() and np.isnan(values).all())


def _from_series(name: Name, series: "nw.Series[Any]") -> Cells:
    native = series.to_native()
    categories = getattr(getattr(native, "dtype", None), "categories", None)
    if categories is not None and hasattr(native.cat, "codes"):
        return cells_of_arrow(name, _pandas_categories(native, categories))
    try:
        array = series.to_arrow()
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return cells_of_objects(name, np.asarray(native, dtype=object))
    return cells_of_arrow(name, array)


def _pandas_categories(native: Any, categories: Any) -> Any:
    """A dictionary array; intervals and other things that Arrow doesn't know by their text."""
    codes = np.asarray(native.cat.codes)
    plain = categories.dtype.kind == "b" or pt.is_boolean(pa.array(categories[:0]).type)
    values = list(categories) if plain else [text_of(each) for each in categories]
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, mask=codes < 0), pa.array(values, pa.bool_() if plain else pa.string())
    )
