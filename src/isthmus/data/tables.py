"""A table of any make as a float64 `Matrix`, by its `Schema`.

Columns are found by name, in whatever order they come. Numbers stay numbers, categories become
level codes, dates become days, and a missing cell becomes NaN. Nothing else becomes NaN, but for
two cases, of which one warning tells by name and number:

- a category that the schema doesn't have: the model can say nothing of it;
- a cell of a column that was all missing before: the model has never seen its like.

A column that the schema has and the table lacks is refused; one that the schema lacks is left out
with a warning, because tables of new rows often carry a key or the target.

The matrix is written column by column, so that beside it only one column is held.
"""

import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError, IsthmusWarning
from isthmus.data.cells import NUMERIC, Cells, Floats, Name
from isthmus.data.matrix import Matrix
from isthmus.data.opening import Table, open_table
from isthmus.data.schema import Column, Schema

NAMED = 3
KEPT = 100


@dataclass
class Unseen:
    """Cells that count as missing because training never saw their like, and columns left out.

    One object takes in many tables, so that a stream of batches ends in one warning.

    Attributes:
        levels: For each column how many cells hold which category; up to `KEPT` different ones.
        cells: For each column how many cells in all.
        columns: Names of columns that the schema doesn't have.
    """

    levels: dict[Name, Counter[str]] = field(default_factory=dict)
    cells: Counter[Name] = field(default_factory=Counter)
    columns: set[Name] = field(default_factory=set)

    def add(self, name: Name, count: int, levels: Counter[str] | None = None) -> None:
        """Take in ``count`` cells of a column, and which categories they hold."""
        self.cells[name] += count
        kept = self.levels.setdefault(name, Counter())
        for level, times in (levels or Counter()).most_common():
            if level in kept or len(kept) < KEPT:
                kept[level] += times

    def warn(self, stacklevel: int = 2) -> None:
        """Tell of them in one `IsthmusWarning` each for cells and for columns, if any."""
        if self.cells:
            text = "; ".join(self._line(name) for name in self.cells)
            warnings.warn(
                f"{sum(self.cells.values())} cells hold what was never seen in training and count "
                f"as missing: {text}.",
                IsthmusWarning,
                stacklevel=stacklevel + 1,
            )
        if self.columns:
            names = ", ".join(sorted(map(repr, self.columns))[:10])
            warnings.warn(
                f"{len(self.columns)} columns are not of the training data and left out: {names}.",
                IsthmusWarning,
                stacklevel=stacklevel + 1,
            )

    def _line(self, name: Name) -> str:
        kept = self.levels[name]
        if not kept:
            return f"column {name!r} ({self.cells[name]}; it was all missing)"
        shown = ", ".join(f"{level!r} ({times})" for level, times in kept.most_common(NAMED))
        more = len(kept) - NAMED
        return f"column {name!r}: {shown}" + (f" and {more} or more others" if more > 0 else "")


def encode(frame: Any, schema: Schema) -> Matrix:
    """The rows of a table as numbers.

    Args:
        frame: A pandas, polars or Arrow frame with the schema's columns in any order, or an array
            with as many columns as the schema has.
        schema: What the columns are.

    Returns:
        A float64 matrix (n, d) in the order of the schema, NaN where a cell is missing.

    Raises:
        InvalidDataError: A column is missing, twice there, an identifier, or of another family;
            a cell is infinite. By name, value and row.

    Warns:
        IsthmusWarning: Categories that the schema doesn't have, and columns left out.
    """
    unseen = Unseen()
    matrix = encode_part(frame, schema, unseen)
    unseen.warn()
    return matrix


def encode_part(frame: Any, schema: Schema, unseen: Unseen, *, first_row: int = 0) -> Matrix:
    """`encode` for one part of a table, which tells ``unseen`` instead of warning.

    Args:
        frame: As for `encode`.
        schema: As for `encode`.
        unseen: Takes in what was never seen in training.
        first_row: The number of the part's first row in the whole table, for messages.
    """
    table = open_table(frame)
    places = match_columns(table, schema)
    unseen.columns |= set(table.names) - {table.names[place] for place in places}
    values = np.empty((table.n_rows, len(schema)))
    for j, (column, place) in enumerate(zip(schema, places, strict=True)):
        values[:, j] = encode_column(table.reader(place), column, unseen, first_row)
    names = tuple(map(str, schema.names)) if schema.named else None
    return Matrix(values, (len(schema),), names)


def match_columns(table: Table, schema: Schema) -> list[int]:
    """Where in the table the schema's columns are; by position for an array.

    Raises:
        InvalidDataError: The table lacks a column, or an array is of another width.
    """
    width = len(table.names)
    if not table.named and table.names == tuple(range(width)) and width == len(schema):
        # names that are positions say nothing of a schema that has names
        return list(range(width)) if schema.named else [int(name) for name in schema.names]
    positions = {name: j for j, name in enumerate(table.names)}
    absent = [name for name in schema.names if name not in positions]
    if absent:
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise InvalidDataError(
            f"The table lacks {len(absent)} of the {len(schema)} columns: "
            f"{', '.join(map(repr, absent[:5]))}{more}. It has "
            f"{', '.join(map(repr, table.names[:5]))}{', …' if len(table.names) > 5 else ''}. "
            "Add them, empty if need be."
        )
    return [positions[name] for name in schema.names]


def encode_column(cells: Cells, column: Column, unseen: Unseen, first_row: int = 0) -> Floats:
    """One column as float64 (n,)."""
    if column.kind == "identifier":
        raise InvalidDataError(
            f"Column {column.name!r} looks like an identifier, which no model reads; drop it."
        )
    if cells.family == "missing":
        return np.full(len(cells), np.nan)
    if not column.stats.observed:
        unseen.add(column.name, int(np.count_nonzero(~cells.missing)))
        return np.full(len(cells), np.nan)
    if column.coded:
        return _codes(cells, column, unseen)
    expected = "number" if column.family in NUMERIC else column.family
    if ("number" if cells.family in NUMERIC else cells.family) != expected:
        _refuse_family(cells, column, first_row)
    return cells.numbers(first_row)


def _codes(cells: Cells, column: Column, unseen: Unseen) -> Floats:
    codes, texts = cells.labels()
    known = {level: float(code) for code, level in enumerate(column.levels)}
    new = np.array([known.get(text, np.nan) for text in texts] + [np.nan])
    strange = np.isnan(new[:-1])
    if strange.any():
        times = np.bincount(codes[codes >= 0], minlength=len(texts))
        levels = Counter({texts[i]: int(times[i]) for i in np.flatnonzero(strange)})
        unseen.add(column.name, levels.total(), levels)
    values: NDArray[np.float64] = new[codes]
    return values


def _refuse_family(cells: Cells, column: Column, first_row: int) -> NoReturn:
    value, row = cells.oddity[0] if cells.oddity else cells.first()
    if cells.oddity and isinstance(value, int | float):
        value, row = cells.oddity[1]
    raise InvalidDataError(
        f"Column {column.name!r} held cells of family {column.family!r} ({column.dtype}) in "
        f"training, but row {first_row + row} is {value!r}, and the column is of family "
        f"{cells.family!r} ({cells.dtype}). Turn it into what it was, or leave the cell empty."
    )
