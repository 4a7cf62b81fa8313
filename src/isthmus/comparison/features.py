"""Raw features: a user's rows as the numbers that a classifier needs.

| column | linear models, neighbours, PCA | trees |
|---|---|---|
| number, date | centred, in standard deviations; a missing cell is the mean, 0 | as it is, NaN |
| category | one column of 0 and 1 for each level | its level's number, as a category |
| with missing cells | and a column of 0 and 1 that says where | NaN |

Of a category with more than 100 levels the 100 most frequent ones get columns; trees know the 254
most frequent ones and take others for missing. Images and sparse matrices are centred and divided
by one number for all columns, so that distances keep their meaning. Everything is learned from the
training rows.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError
from isthmus.data import (
    Schema,
    Unseen,
    as_matrix,
    check_finite,
    encode_part,
    infer_schema,
    pixel_divisor,
    summarise,
)
from isthmus.data.matrix import Matrix
from isthmus.estimators.tables import is_frame

Array = NDArray[Any]
MOST_COLUMNS, MOST_CODES = 100, 254
MOST_BYTES = 2**32


@dataclass(frozen=True, eq=False)
class Block:
    """One column of the data among the features.

    Attributes:
        first: Its first feature.
        levels: The codes that have a feature, in its order; None for a number.
        centre: Of a number.
        scale: Of a number; what differences are divided by.
        marks_missing: Whether its last feature says where cells are missing.
        most: Of a category the most frequent code, which stands for all others in R².
    """

    first: int
    levels: NDArray[np.float64] | None
    centre: float
    scale: float
    marks_missing: bool
    most: float = 0.0

    @property
    def width(self) -> int:
        """How many features it has."""
        return (1 if self.levels is None else len(self.levels)) + self.marks_missing


@dataclass(frozen=True, eq=False)
class Raw:
    """From rows to raw features, and to columns of numbers.

    Attributes:
        schema: What the columns of a frame are; None for other rows.
        blocks: One for each column.
        names: What the columns are called.
        common: Whether one scale is shared by all columns.
        divisor: Of all values: 255 for pixels, as in the autoencoders.
    """

    schema: Schema | None
    blocks: tuple[Block, ...]
    names: tuple[str, ...]
    common: bool
    divisor: float = 1.0

    @property
    def width(self) -> int:
        """The number of features."""
        return sum(block.width for block in self.blocks)

    @property
    def coded(self) -> NDArray[np.bool_]:
        """Which columns are categories, (d,)."""
        return np.array([block.levels is not None for block in self.blocks])

    def columns(self, rows: Any) -> Array:
        """Numbers and level codes, NaN where missing, (n, d)."""
        return columns_of(rows, self.schema, self.divisor)

    def features(self, rows: Any) -> NDArray[np.float32]:
        """For linear models, neighbours and PCA, (n, width)."""
        values = self.columns(rows)
        if self.common and not np.isnan(values).any():
            scaled = (values - self._centres()) / np.float32(self.blocks[0].scale)
            return scaled.astype(np.float32, copy=False)
        out = np.empty((len(values), self.width), np.float32)
        for j, block in enumerate(self.blocks):
            out[:, block.first : block.first + block.width] = _features(values[:, j], block)
        return out

    def for_trees(self, rows: Any) -> Array:
        """For trees, (n, d): categories as numbers of their levels, NaN where missing."""
        values = self.columns(rows)
        for j, block in enumerate(self.blocks):
            if block.levels is not None:
                values[:, j] = _ranked(values[:, j], block.levels, MOST_CODES)
        return values

    def restored(self, features: Array) -> Array:
        """The columns (n, d) that features stand for; of a category its strongest level."""
        out = np.empty((len(features), len(self.blocks)))
        for j, block in enumerate(self.blocks):
            if block.levels is None:
                out[:, j] = features[:, block.first] * block.scale + block.centre
            else:
                shown = features[:, block.first : block.first + len(block.levels)]
                out[:, j] = block.levels[shown.argmax(1)]
        return out

    def _centres(self) -> NDArray[np.float32]:
        return np.array([block.centre for block in self.blocks], np.float32)


def learn_features(rows: Any) -> Raw:
    """Learn scales and levels.

    Args:
        rows: Training rows: a frame, an array (n, …) or a sparse matrix.

    Raises:
        InvalidDataError: Infinite cells, an identifier, or more numbers than memory is for.
    """
    schema = infer_schema(rows) if is_frame(rows) else None
    matrix = as_matrix(rows) if schema is None else None
    common = matrix is not None and (
        len(matrix.row_shape) > 1 or matrix.is_sparse or matrix.dtype == np.uint8
    )
    divisor = 1.0 if matrix is None else _divisor(matrix)
    values = columns_of(rows, schema, divisor)
    coded = [False] * values.shape[1] if schema is None else [each.coded for each in schema]
    names = _names(schema, matrix)
    if common and not np.isnan(values).any():
        centres = values.mean(0, dtype=np.float64)
        scale = float(np.sqrt(values.var(0, dtype=np.float64).mean())) or 1.0
        blocks = [Block(j, None, float(c), scale, False) for j, c in enumerate(centres)]
        return Raw(schema, tuple(blocks), names, True, divisor)
    blocks, first = [], 0
    for j in range(values.shape[1]):
        block = _block(values[:, j], coded[j], first)
        blocks.append(block)
        first += block.width
    return Raw(schema, tuple(blocks), names, False, divisor)


def _divisor(matrix: Matrix) -> float:
    return pixel_divisor(matrix, summarise(matrix, missing=True), counts=False)


def columns_of(rows: Any, schema: Schema | None, divisor: float = 1.0) -> Array:
    """Numbers and level codes, NaN where missing, (n, d)."""
    if schema is not None:
        unseen = Unseen()
        coded = encode_part(rows, schema, unseen)
        return np.asarray(coded.values)
    matrix = as_matrix(rows)
    check_finite(matrix, missing=True)
    if len(matrix) * matrix.n_features * 4 > MOST_BYTES:
        raise InvalidDataError(
            f"{len(matrix)} rows of {matrix.n_features} columns are more than {MOST_BYTES >> 30} "
            "GB as dense numbers, which raw features need; draw fewer rows."
        )
    return replace(matrix, divisor=divisor).rows(0, len(matrix), np.float32)


def _names(schema: Schema | None, matrix: Matrix | None) -> tuple[str, ...]:
    if schema is not None:
        return tuple(map(str, schema.names))
    assert matrix is not None
    return matrix.names or tuple(f"column {j}" for j in range(matrix.n_features))


def _block(column: Array, coded: bool, first: int) -> Block:
    seen = column[~np.isnan(column)].astype(np.float64)
    holes = len(seen) < len(column)
    if coded:
        codes, counts = np.unique(seen, return_counts=True)
        levels = codes[np.argsort(-counts, kind="stable")]
        levels = levels if len(levels) else np.zeros(1)
        return Block(first, levels[:MOST_COLUMNS], 0.0, 1.0, holes, float(levels[0]))
    if not len(seen):
        return Block(first, None, 0.0, 1.0, False)
    return Block(first, None, float(seen.mean()), float(seen.std()) or 1.0, holes)


def _features(column: Array, block: Block) -> Array:
    missing = np.isnan(column)
    if block.levels is None:
        shown = np.where(missing, 0.0, (column - block.centre) / block.scale)[:, None]
    else:
        shown = column[:, None] == block.levels
    return np.column_stack([shown, missing]) if block.marks_missing else shown


def _ranked(codes: Array, levels: NDArray[np.float64], most: int) -> Array:
    """The place of each code among the levels; NaN where it is none of them."""
    order = np.argsort(levels)
    place = np.minimum(np.searchsorted(levels[order], codes), len(levels) - 1)
    found = levels[order][place] == codes
    ranks = order[place].astype(np.float64)
    return np.where(found & (ranks < most), ranks, np.nan)
