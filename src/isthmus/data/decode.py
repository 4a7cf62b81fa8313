"""Numbers back to the user's own table: same library, same types, same order of columns.

Codes become levels, days become dates, 0 and 1 become booleans. A column is rounded to integers
where its type holds integers, or where it counts: between two integers there is no count. Numbers
beyond the range of an integer type become its nearest end (a mean of −0.2 in an unsigned column).
float64 holds integers up to 2**53, and times to the microsecond until 2059; `fill_missing`
never sends an observed cell through it.

Of a column that was all missing in training nothing is known, and its cells stay missing.
"""

from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError
from isthmus.data.cells import PER_DAY, Cells, Floats, text_of
from isthmus.data.opening import open_table
from isthmus.data.schema import Column, Schema
from isthmus.data.tables import match_columns

Bools = NDArray[np.bool_]
WHOLE = ("count", "binary", "categorical")


def decode(values: Any, schema: Schema, like: Any) -> Any:
    """A table of the user's make from numbers.

    Args:
        values: Array (n, d) in the order of the schema, in the units that `encode` gave; NaN
            gives a missing cell.
        schema: What the columns are.
        like: A table whose library, types and order of columns are taken. Columns that the schema
            doesn't have are left out. Its index is taken too where it has n rows.

    Returns:
        A frame of the library of ``like``; an array for an array or a list.

    Raises:
        InvalidDataError: Another number of columns, a code without a level, or a missing cell in
            a column whose type has no place for one.
    """
    values = _require_shape(values, schema)
    table = open_table(like)
    places = match_columns(table, schema)
    order = sorted(range(len(places)), key=places.__getitem__)
    chosen = [(schema.columns[j], values[:, j], places[j]) for j in order]
    if not nw.dependencies.is_into_dataframe(like) and not isinstance(like, pa.RecordBatch):
        return _array(chosen, np.asarray(getattr(like, "values", like)))
    cells = [table.reader(place) for *_, place in chosen]
    free = [_is_free(column, each) for (column, *_), each in zip(chosen, cells, strict=True)]
    arrays = [_arrow(*chosen[k][:2], cells[k], free[k]) for k in range(len(chosen))]
    if isinstance(like, pa.RecordBatch | pa.Table):
        given = [like.schema.field(place) for *_, place in chosen]
        fields = [
            field.with_type(array.type) if any_type else field
            for field, array, any_type in zip(given, arrays, free, strict=True)
        ]
        made = pa.Table.from_arrays(arrays, schema=pa.schema(fields, like.schema.metadata))
        return made if isinstance(like, pa.Table) else made.to_batches()[0]
    if hasattr(like, "isetitem"):
        return _pandas(like, [place for _, _, place in chosen], arrays, free)
    names = [str(table.names[place]) for _, _, place in chosen]
    frame = type(like)(pa.table(arrays, names=names))
    # one by one: in a mapping of names "*" would mean all columns
    columns = zip(frame.get_columns(), names, free, strict=True)
    return type(like)(
        [c if any_type else c.cast(like.schema[name]) for c, name, any_type in columns]
    )


def fill_missing(frame: Any, values: Any, schema: Schema) -> Any:
    """The user's table with its missing cells filled, and only those.

    Observed cells come back bit for bit, categories that the schema doesn't have among them; so do
    columns that it doesn't have.

    Args:
        frame: A table that `encode` reads.
        values: Array (n, d) for its rows, in the order of the schema.
        schema: What the columns are.

    Returns:
        A table of the same library, types and order of columns; ``frame`` is not written to, and
        comes back itself where nothing is missing.

    Raises:
        InvalidDataError: As for `decode`, or another number of rows.
    """
    values = _require_shape(values, schema)
    table = open_table(frame)
    if len(values) != table.n_rows:
        raise InvalidDataError(
            f"There are {len(values)} rows of values for the {table.n_rows} rows of the table."
        )
    places = match_columns(table, schema)
    holes = {}
    for j, place in enumerate(places):
        missing = table.reader(place).missing
        if missing.any() and schema.columns[j].stats.observed:
            holes[j] = missing
    if not nw.dependencies.is_into_dataframe(frame) and not isinstance(frame, pa.RecordBatch):
        return _filled_array(frame, decode(values, schema, frame), places, holes)
    if not holes:
        return frame
    some = Schema(tuple(schema.columns[j] for j in holes))
    made = decode(values[:, list(holes)], some, frame)
    order = sorted(holes, key=places.__getitem__)  # in which decode gives the columns
    pairs = {places[j]: (k, holes[j]) for k, j in enumerate(order)}
    return _filled_frame(frame, made, pairs)


def _require_shape(values: Any, schema: Schema) -> Floats:
    array = np.asarray(getattr(values, "values", values), dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(schema):
        raise InvalidDataError(
            f"The schema has {len(schema)} columns, and the values are of shape {array.shape}."
        )
    return array


# ---- one column -----------------------------------------------------------------------------


def _texts(column: Column, x: Floats) -> Any:
    """Levels as Arrow text (n,), null where missing."""
    if len(column.levels) == 1:
        x = np.where(x == 1, 0.0, x)  # the second of two levels, which no row has ever had
    wrong = ~(np.isnan(x) | ((x >= 0) & (x < max(1, len(column.levels)))))
    if wrong.any():
        row = int(wrong.argmax())
        raise InvalidDataError(
            f"Column {column.name!r} has {len(column.levels)} levels, and row {row} has the code "
            f"{x[row]:g}."
        )
    holes = np.isnan(x)
    codes = np.where(holes, 0, np.rint(x)).astype(np.int64)
    levels = pa.array(column.levels, pa.large_string())
    if not len(levels):
        return pa.nulls(len(x), pa.large_string())
    return levels.take(pa.array(codes, mask=holes))


def _rounded(column: Column, x: Floats) -> Floats:
    return np.asarray(np.rint(x)) if column.kind in WHOLE else x


def _is_free(column: Column, cells: Cells) -> bool:
    """Whether a column without any cell has no type, or one that can't hold what belongs there.

    pandas reads an empty column of text as numbers, for example.
    """
    if cells.family != "missing" or isinstance(cells.array, np.ndarray):
        return False
    kind = cells.array.type
    if not column.stats.observed:
        return bool(pt.is_null(kind))
    if column.family in ("text", "mixed"):
        return not (pt.is_string(kind) or pt.is_large_string(kind) or pt.is_dictionary(kind))
    if column.family == "date":
        return not (pt.is_date(kind) or pt.is_timestamp(kind))
    if column.family == "duration":
        return not pt.is_duration(kind)
    tests = (pt.is_integer, pt.is_floating, pt.is_decimal, pt.is_boolean)
    return not any(test(kind) for test in tests)


def _arrow(column: Column, x: Floats, cells: Cells, free: bool) -> Any:
    """A column in the type of the cells of the user's table (of a dictionary in the frame's)."""
    target = None if free or isinstance(cells.array, np.ndarray) else cells.array.type
    if not column.stats.observed:
        return pa.nulls(len(x), target or pa.null())
    if not column.coded:
        return _typed(_rounded(column, x), target or own_type(column))
    texts = _texts(column, x)
    if target is None or cells.family == "mixed":
        return texts
    if not pt.is_dictionary(target):
        return texts.cast(target) if pt.is_large_string(target) else _typed_texts(texts, target)
    found = _typed_texts(texts, target.value_type).dictionary_encode()
    return found.cast(pa.dictionary(target.index_type, target.value_type))


def own_type(column: Column) -> Any:
    """The Arrow type of a column whose cells say nothing of it."""
    types = {"text": pa.string(), "bool": pa.bool_(), "date": pa.timestamp("us")}
    types["duration"] = pa.duration("us")
    if column.family == "number" and column.integral and column.kind != "ordinal":
        return pa.int64()
    return types.get(column.family, pa.float64())


def _typed_texts(texts: Any, target: Any) -> Any:
    if pt.is_boolean(target):
        return pc.equal(texts, "True")
    return texts.cast(target)


def _typed(x: Floats, target: Any) -> Any:
    """Numbers in an Arrow type."""
    holes = np.isnan(x)
    if target is None or pt.is_floating(target):
        return pa.array(x.astype(_float_type(target)), mask=holes)
    safe = np.where(holes, 0, x)
    if pt.is_boolean(target):
        return pa.array(safe >= 0.5, mask=holes)
    if pt.is_integer(target):
        return pa.array(_clipped(np.rint(safe), target.to_pandas_dtype()), mask=holes)
    if pt.is_decimal(target):
        return pa.array(safe, mask=holes).cast(target, safe=False)
    return (
        pa.array(_ticks(safe, target), mask=holes)
        .cast(pa.int32() if target.bit_width == 32 else pa.int64())
        .cast(target)
    )


def _float_type(target: Any) -> Any:
    return np.float64 if target is None else target.to_pandas_dtype()


def _clipped(x: Floats, dtype: Any) -> NDArray[Any]:
    """Whole numbers in an integer type; beyond its range its nearest end."""
    ends = np.iinfo(dtype)
    inside = np.clip(x, float(ends.min), np.nextafter(float(ends.max), 0))
    exact = np.where(x >= float(ends.max), ends.max, inside.astype(dtype))
    return np.asarray(exact.astype(dtype))


def _ticks(days: Floats, target: Any) -> NDArray[np.int64]:
    """Days in the unit of a type of dates, times or durations; whole microseconds at best."""
    if pt.is_date(target):
        whole = np.floor(days).astype(np.int64)
        return whole if pt.is_date32(target) else whole * PER_DAY["ms"]
    if target.unit == "ns":
        return np.rint(days * PER_DAY["us"]).astype(np.int64) * 1000
    return np.asarray(np.rint(days * PER_DAY[target.unit]).astype(np.int64))


# ---- frames and arrays ----------------------------------------------------------------------


def _array(chosen: list[tuple[Column, Floats, int]], like: NDArray[Any]) -> NDArray[Any]:
    made = np.empty(
        (len(chosen[0][1]), len(chosen)), like.dtype if like.dtype.kind in "biufO" else object
    )
    for k, (column, x, _) in enumerate(chosen):
        if column.coded:
            made[:, k] = _texts(column, x).to_numpy(zero_copy_only=False)
        elif made.dtype.kind in "iub":
            _refuse_holes(column.name, np.isnan(x), made.dtype)
            whole = np.rint(x)
            made[:, k] = whole >= 1 if made.dtype.kind == "b" else _clipped(whole, made.dtype)
        else:
            made[:, k] = _rounded(column, x)
    return made


def _refuse_holes(name: Any, holes: Bools, dtype: Any) -> None:
    if holes.any():
        raise InvalidDataError(
            f"Column {name!r} has a missing cell in row {int(holes.argmax())}, and its type "
            f"{dtype} has no place for one."
        )


def _pandas(like: Any, places: list[int], arrays: list[Any], free: list[bool]) -> Any:
    n = len(arrays[0])
    index = like.index if len(like) == n else range(n)
    made = type(like)(index=index, columns=like.columns[places])
    for k, (place, array) in enumerate(zip(places, arrays, strict=True)):
        column = _pandas_column(like.iloc[:, place], array, free[k])
        column.index = made.index
        made.isetitem(k, column)  # a series keeps its type; an array of objects is guessed at
    return made


def _pandas_column(like: Any, array: Any, free: bool) -> Any:
    """A series of the type of ``like``, unless it has none for such cells."""
    dtype = like.dtype
    if getattr(dtype, "categories", None) is not None:
        return type(like)(_pandas_categories(like, array))
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        _refuse_holes(like.name, np.asarray(array.is_null()), dtype)
    if str(dtype) == "object":  # None for a missing cell, whatever the others are
        return type(like)(array.to_pylist(), dtype=object)
    series = array.to_pandas()
    return series if free or series.dtype == dtype else series.astype(dtype)


def _pandas_categories(like: Any, array: Any) -> Any:
    """A categorical with the categories of ``like``, and after them those that it lacks."""
    places = {text_of(each): code for code, each in enumerate(like.cat.categories)}
    plain = array.cast(pa.large_string()) if not pt.is_boolean(array.type) else array
    found = plain.dictionary_encode()
    texts = [text_of(each) for each in found.dictionary.to_pylist()]
    more = [text for text in texts if text not in places]
    wide = like.cat.add_categories(more) if more else like
    places |= {text: len(places) + k for k, text in enumerate(more)}
    new = np.array([places[text] for text in texts] + [-1])
    codes = new[found.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return type(wide.array).from_codes(codes, dtype=wide.dtype)


def _filled_array(
    frame: Any, made: NDArray[Any], places: list[int], holes: dict[int, Bools]
) -> Any:
    given = np.asarray(
        getattr(frame, "values", frame), dtype=None if hasattr(frame, "dtype") else made.dtype
    )
    filled = given.copy()
    for j, missing in holes.items():
        filled[missing, places[j]] = made[missing, sorted(places).index(places[j])]
    return filled


def _filled_frame(frame: Any, made: Any, pairs: dict[int, tuple[int, Bools]]) -> Any:
    """``frame`` with the missing cells of some columns taken from the columns of ``made``."""
    if isinstance(frame, pa.RecordBatch | pa.Table):
        columns, fields = list(frame.columns), list(frame.schema)
        for place, (k, missing) in pairs.items():
            columns[place] = _merged(columns[place], made.column(k), missing)
            fields[place] = fields[place].with_type(columns[place].type)
        schema = pa.schema(fields, frame.schema.metadata)
        return type(frame).from_arrays(columns, schema=schema)
    if hasattr(frame, "isetitem"):
        filled = frame.copy()
        for place, (k, missing) in pairs.items():
            filled.isetitem(place, _pandas_merged(frame.iloc[:, place], made.iloc[:, k], missing))
        return filled
    columns = frame.get_columns()
    for place, (k, missing) in pairs.items():
        series, filled = columns[place], made.to_series(k)
        every = missing.all()
        columns[place] = filled if every else filled.zip_with(type(series)(missing), series)
    return type(frame)(columns)


def _merged(given: Any, made: Any, missing: Bools) -> Any:
    """Arrow cells of ``made`` where missing, else those given, whatever their type."""
    if missing.all():
        return made
    both = pa.chunked_array([*_chunks(given), *_chunks(made)]).unify_dictionaries()
    n = len(missing)
    chosen = np.arange(n) + np.where(missing, n, 0)
    taken = both.take(pa.array(chosen))
    return taken if isinstance(given, pa.ChunkedArray) else taken.combine_chunks()


def _chunks(array: Any) -> list[Any]:
    return array.chunks if isinstance(array, pa.ChunkedArray) else [array]


def _pandas_merged(given: Any, made: Any, missing: Bools) -> Any:
    if missing.all():
        return made
    if made.dtype != given.dtype:  # a category more
        given = given.astype(made.dtype)
    return given.where(~missing, made)
