"""Data that are read anew for every pass, because they needn't fit in memory.

A `Stream` stands where a `Matrix` stands: it has the same columns and hands out the same dense
blocks, but its rows are read from a source each time. What is known of them needs one pass
(`survey`): the moments, merged from block to block, and a uniform sample of rows.

    source ──pieces──▶ tables, arrays ──encode──▶ `Matrix` of some MB ──▶ blocks

Rows are numbered through the whole data, whatever the order in which parts are read, and messages
name these numbers. Whether a row is held out for validation is a hash of its number and a seed:
the same in every pass and every run, however the data are cut into parts and batches.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.data._parquet import ParquetSource
from isthmus.data.columns import without, without_names
from isthmus.data.convert import as_matrix
from isthmus.data.files import read
from isthmus.data.matrix import Matrix
from isthmus.data.sources import PATTERN, ArraySource, Source, open_source, parquet_files
from isthmus.data.summary import Summary, summarise, summarise_all
from isthmus.data.tables import Unseen

LARGE_BYTES = 2**28
COUNTED_AT_ONCE = 2**20


Encode = Callable[[Any, Unseen, int], Matrix]  # of a piece, given its first row's number


@dataclass(frozen=True, eq=False)
class Stream:
    """n rows × d features that are read block by block, again for each pass.

    Make one with `as_stream`.

    Attributes:
        source: Where the rows come from.
        encode: Makes a `Matrix` of a table or an array, as `encode_part` does.
        row_shape: As in `Matrix`.
        names: As in `Matrix`.
        dtype: The type of the first block.
        divisor: As in `Matrix`.
        told: What a warning has told of, after the first whole pass.
    """

    source: Source
    encode: Encode
    row_shape: tuple[int, ...]
    names: tuple[str, ...] | None
    dtype: np.dtype[Any]
    divisor: float = 1.0
    told: list[Unseen] = field(default_factory=list)

    @property
    def n_features(self) -> int:
        """d, the number of columns."""
        return int(np.prod(self.row_shape))

    @property
    def n_rows(self) -> int | None:
        """n, or None before the first pass over batches."""
        return None if self.source.sizes is None else sum(self.source.sizes)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """That of an array of all rows."""
        return (self.n_rows, *self.row_shape)

    @property
    def n_parts(self) -> int:
        """How many parts can be read in any order."""
        return 1 if self.source.sizes is None else len(self.source.sizes)

    @property
    def outline(self) -> Any:
        """A table, or an array, of no rows with the columns of these data."""
        if self.names is None:
            return np.empty((0, self.n_features))
        import pyarrow as pa

        return pa.table({name: pa.array([], pa.float64()) for name in self.names})

    def name(self, column: int) -> str:
        """The column for a message: its quoted name, or its position."""
        return str(column) if self.names is None else repr(self.names[column])

    def matrices(self, order: Iterable[int] | None = None) -> Iterator[Matrix]:
        """All rows, in matrices that know the number of their first row.

        Args:
            order: Numbers of the parts; as they stand if None.

        Raises:
            InvalidDataError: Rows of another width or with other names than the first ones.
            FileFormatError: A damaged file, by its name and row group.

        Warns:
            IsthmusWarning: At the end of the first pass, of what a table's schema doesn't have.
        """
        unseen = Unseen()
        starts = [0, *accumulate(self.source.sizes or ())]
        for part in range(self.n_parts) if order is None else order:
            first = starts[part]
            for piece in self.source.pieces(part):
                matrix = self._entered(piece, unseen, first)
                if len(matrix):
                    yield matrix
                first += len(matrix)
        if not self.told:
            self.told.append(unseen)
            unseen.warn()

    def _entered(self, piece: Any, unseen: Unseen, first: int) -> Matrix:
        matrix = _as_part(piece, self.encode, unseen, first)
        if matrix.row_shape != self.row_shape:
            raise InvalidDataError(
                f"The rows from row {first} on have the shape {matrix.row_shape}, and those "
                f"before {self.row_shape}; give every batch the same columns."
            )
        if matrix.names != self.names:
            raise InvalidDataError(
                f"The columns from row {first} on are {_short(matrix.names)}, and those before "
                f"{_short(self.names)}; give every batch the same columns in the same order."
            )
        return replace(matrix, divisor=self.divisor)

    def blocks(
        self, dtype: DTypeLike = np.float32, size: int | None = None
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """All rows in order, as pairs of the first row's number and a dense block.

        Args:
            dtype: A floating type for the blocks.
            size: Rows per block at most; by default as many as fit in 16 MB.

        Raises:
            IsthmusError: As in `matrices`.
        """
        for matrix in self.matrices():
            for start, block in matrix.blocks(dtype, size):
                yield (matrix.first_row or 0) + start, block


Data = Matrix | Stream


def _as_part(piece: Any, encode: Encode, unseen: Unseen, first: int) -> Matrix:
    """The one place where a table becomes a matrix."""
    return replace(encode(piece, unseen, first), first_row=first)


def _encode(piece: Any, unseen: Unseen, first: int) -> Matrix:
    return as_matrix(piece, min_rows=0)


def _short(names: tuple[str, ...] | None) -> str:
    if names is None:
        return "without names"
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def as_stream(
    X: Any, *, columns: Sequence[str] | None = None, encode: Encode = _encode
) -> Stream | None:
    """Data to be read in passes, or None where X holds the data themselves.

    Args:
        X: A path, a pattern or a folder of Parquet files, or a list of them; the path of an NPY
            file; a pyarrow dataset; an object that can be iterated over for batches again and
            again, or a function without arguments that gives an iterator of batches; a `Source`.
        columns: Which columns of Parquet files or of a dataset are read; all if None.
        encode: Makes a `Matrix` of each batch; by `as_matrix`, or by the schema of a table.

    Raises:
        InvalidDataError: Missing files, files whose columns differ, or no rows.
        FileFormatError: A damaged file.
        UnsupportedTypeError: A generator, which can be read only once.
    """
    if isinstance(X, Stream):
        return X
    source = open_source(X, columns)
    return None if source is None else _begin(source, encode)


def _begin(source: Source, encode: Encode) -> Stream:
    """Read the first rows, to know the columns."""
    pieces = source.pieces(0) if source.sizes != () else iter(())
    try:
        parts = (_as_part(piece, encode, Unseen(), 0) for piece in pieces)
        first = next((part for part in parts if len(part)), None)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    if first is None:
        raise InvalidDataError(
            "Found data with 0 sample(s), while a minimum of 1 is required. Look at what selects "
            "the files or makes the batches."
        )
    if first.n_features == 0:
        as_matrix(first)
    return Stream(source, encode, first.row_shape, first.names, first.dtype)


def as_data(X: Any) -> Data:
    """Any input: a stream where it names or makes data, or maps a large file; else a matrix.

    Args:
        X: As in `as_stream` or `as_matrix`.

    Raises:
        IsthmusError: As in those.
    """
    if isinstance(X, np.memmap) and X.nbytes >= LARGE_BYTES and X.ndim > 1:
        return _begin(ArraySource(X), _encode)
    stream = None if isinstance(X, Matrix) else as_stream(X)
    return as_matrix(X) if stream is None else stream


def open_data(
    path: str | os.PathLike[str], key: str | None = None, drop: Sequence[str] = ()
) -> Any:
    """Read a file, or open it as a `Source` where it is large: for a name on a command line.

    Args:
        path: As in `isthmus.data.read`, or a pattern or a folder of Parquet files.
        key: Which array of an NPZ file.
        drop: Columns that are left out.

    Returns:
        A `Source` for a pattern, a folder of Parquet files, and Parquet and NPY files of 256 MB
        or more; else what `isthmus.data.read` gives. `fit` takes either, and so does all that
        takes rows.

    Raises:
        IsthmusError: As in `isthmus.data.read`, `open_source` and `isthmus.data.columns.without`.
    """
    path = Path(path)
    pattern = not path.exists() and any(sign in str(path) for sign in PATTERN)
    folder = path.is_dir() and bool(parquet_files(path))
    large = (
        path.suffix.lower() in (".parquet", ".npy")
        and path.is_file()
        and path.stat().st_size >= LARGE_BYTES
    )
    source = open_source(path) if key is None and (pattern or folder or large) else None
    if source is None:
        return without(read(path, key), drop)
    if not drop:
        return source
    if not isinstance(source, ParquetSource):
        raise InvalidParameterError(
            f"Columns of an array of {LARGE_BYTES >> 20} MB or more can't be left out, as in "
            f"{path}; write it without them."
        )
    return open_source(path, without_names(source.columns, drop))


# ---- one pass -------------------------------------------------------------------------------


def survey(data: Data, n_sample: int, seed: int) -> tuple[Summary, NDArray[np.float64]]:
    """What one pass tells: the columns' moments, and a uniform sample of rows.

    Args:
        data: n ≥ 1 rows.
        n_sample: Rows of the sample; all of them where n is less.
        seed: Of the sample.

    Returns:
        The summary, and rows (min(n_sample, n), d) in the order of the data.

    Raises:
        InvalidDataError: An infinite value, by row and column.
    """
    rng = np.random.default_rng(seed)
    if isinstance(data, Matrix):
        return summarise(data, missing=True), data.sample(n_sample, rng)
    sampler = _Reservoir(n_sample, data.n_features, rng)
    passes = iter([sampler.watch(data.matrices())])
    summary = summarise_all(lambda: next(passes, None) or data.matrices(), missing=True)
    return summary, sampler.rows


class _Reservoir:
    """The rows with the smallest of n random keys, and so a uniform sample of known size.

    Args:
        size: Of the sample.
        n_features: d.
        rng: Gives the keys.
    """

    def __init__(self, size: int, n_features: int, rng: np.random.Generator) -> None:
        self._size = size
        self._rng = rng
        self._keys = np.empty(0)
        self.rows = np.empty((0, n_features))

    def watch(self, matrices: Iterable[Matrix]) -> Iterator[Matrix]:
        """The same matrices, seen on their way."""
        for matrix in matrices:
            keys = self._rng.random(len(matrix))
            full = len(self._keys) >= self._size
            near = np.flatnonzero(keys < self._keys.max()) if full else np.arange(len(keys))
            self._add(keys[near], matrix.take(near, np.float64))
            yield matrix

    def _add(self, keys: NDArray[np.float64], rows: NDArray[np.float64]) -> None:
        self._keys = np.concatenate([self._keys, keys])
        self.rows = np.concatenate([self.rows, rows])
        if len(self._keys) > self._size:
            kept = np.sort(np.argpartition(self._keys, self._size)[: self._size])
            self._keys, self.rows = self._keys[kept], self.rows[kept]


# ---- held-out rows --------------------------------------------------------------------------


def is_held_out(first: int, n: int, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Whether each of n rows is held out, by a hash of its number and the seed.

    The finaliser of splitmix64 (Steele, Lea and Flood, 2014) takes each number to one of 2⁶⁴ that
    look independent and uniform; the lowest ones are held out.

    Args:
        first: The number of the first row in the whole data.
        n: How many rows.
        fraction: The part of all rows that is held out.
        seed: Below 2⁶⁴; another one holds out others.

    Returns:
        Boolean array (n,).
    """
    key = _scrambled(np.array([seed], np.uint64))
    number = np.arange(first, first + n, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = _scrambled((number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + key)
    return np.asarray((mixed >> np.uint64(11)) < np.uint64(int(fraction * 2.0**53)))


def _scrambled(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def count_held_out(n: int, fraction: float, seed: int) -> int:
    """How many of the rows 0 … n − 1 are held out."""
    return sum(
        int(is_held_out(first, min(COUNTED_AT_ONCE, n - first), fraction, seed).sum())
        for first in range(0, n, COUNTED_AT_ONCE)
    )
