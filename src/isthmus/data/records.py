"""What is put into an index: an id, a content to encode and a payload for each row of some data.

The content is the text of one column, or a vector: a column of lists, or a row of an array. The
other columns make the payload, which filters look at and which comes back with what is found. Rows
are read part by part where the data can be (see `isthmus.data.sources`).
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.data.sources import all_pieces, count_rows, is_source
from isthmus.data.stream import open_data

BLOCK_ROWS = 4096

Content = list[str] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Records:
    """Some rows of data.

    Attributes:
        ids: n ids, text or integers.
        content: n texts, or vectors (n, d).
        payloads: n dictionaries of what is JSON.
    """

    ids: list[Any]
    content: Content
    payloads: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Reading:
    """Where records come from, and which column is what.

    Attributes:
        path: A file, a folder of Parquet files or a pattern, as in `isthmus.data.open_data`.
        text: The column of texts; None for vectors.
        vectors: The column of lists of numbers; None for texts, and for an array of vectors.
        id: The column of ids; None counts the rows.
        key: Which array of an NPZ file.
    """

    path: str | os.PathLike[str]
    text: str | None = None
    vectors: str | None = None
    id: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if self.text is not None and self.vectors is not None:
            raise InvalidParameterError(
                "Give a column of texts or one of vectors, not both: a row has one content."
            )

    @cached_property
    def _data(self) -> Any:
        return open_data(self.path, self.key)

    def blocks(self, first: int = 0) -> Iterator[Records]:
        """All rows in order, some thousands at a time.

        Args:
            first: What counted ids begin with.

        Raises:
            InvalidDataError: A column that isn't there or holds something else.
            IsthmusError: As in `isthmus.data.open_data`.
        """
        data, row = self._data, 0
        for piece in all_pieces(data) if is_source(data) else [data]:
            for start in range(0, piece.shape[0], BLOCK_ROWS):
                block = self._records(_rows(piece, start), row, first + row)
                row += len(block)
                yield block

    def count(self) -> int | None:
        """The number of rows; None where only a pass will tell."""
        return count_rows(self._data)

    def _records(self, rows: Any, row: int, first: int) -> Records:
        if not hasattr(rows, "schema"):
            return self._of_array(np.asarray(rows), first)
        name = self.text if self.vectors is None else self.vectors
        if name is None:
            raise InvalidParameterError(
                f"{self.path} is a table: say which column holds the texts (text) or the vectors "
                f"(vectors). Its columns are {', '.join(rows.schema.names)}."
            )
        content = self._column(rows, name)
        read = _texts if self.vectors is None else _vectors
        others = [other for other in rows.schema.names if other not in (self.vectors, self.id)]
        columns = [[_plain(cell) for cell in rows.column(other).to_pylist()] for other in others]
        cells = zip(*columns, strict=True) if columns else [()] * len(content)
        ids = range(first, first + len(content))
        return Records(
            list(ids) if self.id is None else self._column(rows, self.id).to_pylist(),
            read(content, name, row),
            [dict(zip(others, each, strict=True)) for each in cells],
        )

    def _of_array(self, rows: NDArray[Any], first: int) -> Records:
        if self.text is not None or self.vectors is not None or self.id is not None:
            raise InvalidParameterError(
                f"{self.path} is an array, without named columns; its rows are the vectors, and "
                "their numbers the ids."
            )
        if rows.dtype.kind not in "buif":
            raise InvalidDataError(f"{self.path} holds {rows.dtype}; vectors are numbers.")
        flat = rows.reshape(len(rows), -1).astype(np.float32)
        return Records(list(range(first, first + len(flat))), flat, [{} for _ in flat])

    def _column(self, rows: Any, name: str) -> Any:
        if name not in rows.schema.names:
            raise InvalidDataError(
                f"{self.path} has no column {name!r}; it has {', '.join(rows.schema.names)}."
            )
        return rows.column(name)


def sample(blocks: Iterable[Records], size: int, seed: int) -> Content:
    """The contents of a uniform sample of rows, in one pass (Vitter, 1985: algorithm R).

    Args:
        blocks: All rows.
        size: How many at most.
        seed: Of the choice.

    Returns:
        Texts or vectors; in the order of the rows where all are taken.
    """
    rng = np.random.default_rng(seed)
    kept: list[Any] = []
    seen = 0
    for block in blocks:
        n_free = max(0, size - seen)
        kept.extend(block.content[:n_free])
        places = rng.integers(np.arange(seen, seen + len(block)) + 1)
        for row in np.flatnonzero(places < size):
            if row >= n_free:
                kept[places[row]] = block.content[row]
        seen += len(block)
    return kept if not kept or isinstance(kept[0], str) else np.stack(kept)


def _rows(piece: Any, start: int) -> Any:
    """Some rows of a table or an array."""
    if hasattr(piece, "schema"):
        return piece.slice(start, BLOCK_ROWS)
    return piece[start : start + BLOCK_ROWS]


def _texts(column: Any, name: str, first: int) -> list[str]:
    """Texts; a missing one is empty."""
    found = column.to_pylist()
    for place, text in enumerate(found):
        if not isinstance(text, str | None):
            raise InvalidDataError(
                f"Row {first + place}, column {name!r} is {text!r:.60}, of type "
                f"{type(text).__name__}; texts are expected. Is it the right column?"
            )
    return [text or "" for text in found]


def _vectors(column: Any, name: str, first: int) -> NDArray[np.float32]:
    """Lists of numbers, all of one length, as a matrix."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = array.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list and not pa.types.is_fixed_size_list(kind):
        raise InvalidDataError(
            f"Column {name!r} holds {kind}; each cell should be a list of numbers, one vector."
        )
    if not (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)):
        raise InvalidDataError(
            f"Column {name!r} holds lists of {kind.value_type}, not of numbers."
        )
    widths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(widths != widths[:1])  # a missing list has no width: NaN
    if len(wrong) or not len(widths) or not widths[0] > 0:
        place = int(wrong[0]) if len(wrong) else 0
        raise InvalidDataError(
            f"Row {first + place}, column {name!r} holds no list, an empty one or one of another "
            "length; every row needs a vector of the same length."
        )
    values: NDArray[Any] = array.flatten().to_numpy(zero_copy_only=False)
    return values.astype(np.float32).reshape(len(array), -1)


def _plain(cell: Any) -> Any:
    """A cell as JSON has it: what is not finite is null, a date its text."""
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, list):
        return [_plain(each) for each in cell]
    if isinstance(cell, dict):
        return {str(name): _plain(each) for name, each in cell.items()}
    if cell is None or isinstance(cell, bool | int | str):
        return cell
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
