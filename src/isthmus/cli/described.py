"""What data hold, in one pass over them: sizes, ranges, gaps, and a schema where it is a table.

In memory there is one part; large data come in many. Cells are counted as they go by, on their way
to the summary that says which likelihood suits them, and to the schema. An infinite cell ends both
of these, and the counting goes on. (Columns of 10³⁰⁰ or 10⁻³⁰⁰ are read a second time.)
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from isthmus._errors import InvalidDataError
from isthmus.data import (
    Column,
    Matrix,
    Schema,
    SchemaBuilder,
    Summary,
    as_matrix,
    infer_likelihood,
)
from isthmus.data.summary import summarise_all

MOST_NAMED = 20

Parts = Callable[[], Iterable[Any]]
Tick = Callable[[int], None]


def describe(read: Parts, tick: Tick = lambda n: None) -> tuple[dict[str, Any], Schema | None]:
    """Sizes, type, range and kind of data, in their own units.

    Args:
        read: Gives the parts of the data in order, each time it is called.
        tick: Called with the number of rows of each part.

    Returns:
        The record, and the schema of a table without infinite cells.

    Raises:
        IsthmusError: The data can't be read, or are no rows.
    """
    first = next(iter(read()), None)
    builder = SchemaBuilder() if hasattr(first, "schema") else None
    if builder is not None and not _all_numbers(first):
        for part in read():
            builder.add(part)
            tick(part.shape[0])
        return _of_schema(builder.describe()), builder.describe()
    counts = Counts()
    summary = counts.summarise(read, builder, tick)
    record = counts.record(summary)
    if builder is None:
        return record, None
    if counts.infinite.any():
        return {**record, "schema": None}, None
    schema = builder.describe()
    return {**_of_schema(schema), **record, "schema": list(map(_column, schema))}, schema


def _all_numbers(table: Any) -> bool:
    from pyarrow import types

    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    kinds = table.schema.types
    return all(types.is_null(kind) or any(test(kind) for test in tests) for kind in kinds)


def _of_schema(schema: Schema) -> dict[str, Any]:
    stats = [column.stats for column in schema]
    return {
        "rows": max(each.observed + each.missing for each in stats),
        "columns": len(schema),
        "names": schema.names[:MOST_NAMED],
        "missing_values": sum(each.missing for each in stats),
        "likelihood": "columns",
        "schema": list(map(_column, schema)),
    }


def _column(column: Column) -> dict[str, Any]:
    """One column of a schema, without more than the first of its levels."""
    stats = vars(column.stats)
    return {
        "name": column.name,
        "kind": column.kind,
        "likelihood": column.likelihood,
        "type": column.dtype,
        **(stats if not column.coded else {name: stats[name] for name in ("observed", "missing")}),
        "levels": {"count": len(column.levels), "first": column.levels[:MOST_NAMED]},
        "reason": column.reason,
    }


class Counts:
    """Cells of numbers, counted by column.

    Attributes:
        infinite: How many are infinite, (d,).
    """

    def __init__(self) -> None:
        self._outline: Matrix | None = None
        self._n_rows = self._n_bytes = 0
        self._missing = self.infinite = np.zeros(0, np.int64)
        self._low = self._high = np.zeros(0)

    def summarise(self, read: Parts, builder: SchemaBuilder | None, tick: Tick) -> Summary | None:
        """Read the data, count, and sum up; None where a cell is missing or infinite."""
        passes = iter([self._watched(read, builder, tick)])
        try:
            summary = summarise_all(
                lambda: next(passes, None) or map(as_matrix, read()), missing=True
            )
        except InvalidDataError:
            if not self.infinite.any():
                raise
            return None
        return None if self._missing.any() or self.infinite.any() else summary

    def _watched(self, read: Parts, builder: SchemaBuilder | None, tick: Tick) -> Iterator[Matrix]:
        for part in read():
            matrix = as_matrix(part, min_rows=0 if self._n_rows else 1)
            self._add(matrix)
            tick(len(matrix))
            if not self.infinite.any():
                if builder is not None:
                    builder.add(part)
                yield matrix

    def _add(self, matrix: Matrix) -> None:
        if self._outline is None:
            d = matrix.n_features
            self._outline = matrix
            self._missing, self.infinite = np.zeros(d, np.int64), np.zeros(d, np.int64)
            self._low, self._high = np.full(d, np.nan), np.full(d, np.nan)
        elif matrix.dtype != self._outline.dtype:
            wide = np.result_type(matrix.dtype, self._outline.dtype)
            empty = np.empty((0, matrix.n_features), wide)
            self._outline = Matrix(empty, matrix.row_shape, matrix.names)
        self._n_rows += len(matrix)
        self._n_bytes += matrix.nbytes
        for _, block in matrix.blocks(np.float64):
            self._missing += np.isnan(block).sum(0)
            self.infinite += np.isinf(block).sum(0)
            self._low = np.fmin(self._low, np.fmin.reduce(block))
            self._high = np.fmax(self._high, np.fmax.reduce(block))

    def record(self, summary: Summary | None) -> dict[str, Any]:
        """The figures; without a summary no likelihood is named."""
        outline = self._outline
        assert outline is not None, "there was a part, or an error"
        constant = self._low == self._high if summary is None else summary.constant
        return {
            "rows": self._n_rows,
            "columns": outline.n_features,
            "row_shape": outline.row_shape,
            "names": None if outline.names is None else outline.names[:MOST_NAMED],
            "dtype": outline.dtype,
            "sparse": outline.is_sparse,
            "bytes": self._n_bytes,
            "minimum": np.fmin.reduce(self._low),
            "maximum": np.fmax.reduce(self._high),
            "constant_columns": _named(outline, constant),
            "missing_values": int(self._missing.sum()),
            "missing_columns": _named(outline, self._missing > 0),
            "infinite_values": int(self.infinite.sum()),
            "infinite_columns": _named(outline, self.infinite > 0),
            "likelihood": None if summary is None else infer_likelihood(outline, summary),
        }


def _named(matrix: Matrix, chosen: Any) -> dict[str, Any]:
    """How many columns are chosen, and the names or positions of the first ones."""
    columns = [int(column) for column in chosen.nonzero()[0][:MOST_NAMED]]
    names = columns if matrix.names is None else [matrix.names[column] for column in columns]
    return {"count": int(chosen.sum()), "first": names}
