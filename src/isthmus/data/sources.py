"""Where data larger than memory come from: sources that can be read again, part by part.

A *part* is what can be read by itself, at any time: a row group of a Parquet file, a stretch of an
array on disk. A part is handed out in *pieces* of some MB, so that a row group of any size costs
no more memory than its compressed columns and one piece.

| given | parts | order |
|---|---|---|
| Parquet: a path, a pattern, a folder, a list of paths | row groups | any |
| a pyarrow dataset | row groups; whole files of other formats | any |
| an array on disk: an NPY path, a memory map | stretches of 16 MB | any |
| an object of batches, or a function that gives an iterator of them | one | as it comes |

A generator is refused: it can be read only once, and a fit needs one pass for the scales and one
for every epoch.
"""

import glob
import mmap
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError, IsthmusError, UnsupportedTypeError
from isthmus.data._parquet import DatasetSource, ParquetSource, reason
from isthmus.data.files import read
from isthmus.data.matrix import block_rows

PATTERN = "*?["


class Source(Protocol):
    """Data in parts that can be read again.

    A source whose size only reading tells has one part.
    """

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """The number of rows of each part; None before the first pass that tells."""

    def pieces(self, part: int) -> Iterator[Any]:
        """The rows of a part in order, as tables or arrays."""


class ArraySource:
    """An array on disk, read in stretches of rows; what was read doesn't stay in memory.

    Args:
        array: (n, …), memory-mapped.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self._step = block_rows(int(np.prod(array.shape[1:])), array.dtype.itemsize)
        n = len(array)
        self.sizes = tuple(min(self._step, n - first) for first in range(0, n, self._step))

    def pieces(self, part: int) -> Iterator[Any]:
        """One stretch."""
        first = part * self._step
        try:
            yield self._array[first : first + self.sizes[part]]
        finally:
            self._forget()

    def _forget(self) -> None:
        """Hand the pages back to the system; they are on disk, unless the map is copy-on-write."""
        pages = getattr(self._array, "_mmap", None)
        if getattr(self._array, "mode", "c") != "c" and hasattr(mmap, "MADV_DONTNEED"):
            assert isinstance(pages, mmap.mmap)
            pages.madvise(mmap.MADV_DONTNEED)


class BatchSource:
    """Batches from a function or an object that gives them anew each time.

    Args:
        batches: Called for each pass; gives an iterable of arrays or frames.
    """

    def __init__(self, batches: Callable[[], Iterable[Any]]) -> None:
        self._batches = batches
        self.sizes: tuple[int, ...] | None = None

    def pieces(self, part: int) -> Iterator[Any]:
        """All batches."""
        n_rows = 0
        for batch in self._watched():
            n_rows += batch.shape[0] if hasattr(batch, "shape") else len(batch)
            yield batch
        if self.sizes is not None and self.sizes != (n_rows,):
            raise InvalidDataError(
                f"The batches had {self.sizes[0]} rows in the first pass and {n_rows} in another; "
                "give batches that are the same each time they are read."
            )
        self.sizes = (n_rows,)

    def _watched(self) -> Iterator[Any]:
        """The batches; an error of the user's own says after which of them it came."""
        count = 0
        try:
            for batch in self._batches():
                yield _alone(batch)
                count += 1
        except IsthmusError:
            raise
        except Exception as error:
            raise InvalidDataError(
                f"Reading the batches failed after {count} of them, with "
                f"{type(error).__name__}: {reason(error)}. See the error above for the place."
            ) from error


def _alone(batch: Any) -> Any:
    """The rows in a list that a loader puts around them."""
    if not isinstance(batch, list | tuple) or not hasattr(batch[0] if batch else 0, "__array__"):
        return np.asarray(batch) if isinstance(batch, list | tuple) else batch
    if len(batch) == 1 and batch[0].ndim > 1:
        return batch[0]
    raise UnsupportedTypeError(
        f"A batch is a {type(batch).__name__} of {len(batch)} arrays, where one array or frame of "
        "rows is expected; give the rows alone."
    )


# ---- what is a source -----------------------------------------------------------------------


def is_source(X: Any) -> bool:
    """Whether X is a `Source` already."""
    return isinstance(X, ParquetSource | DatasetSource | ArraySource | BatchSource)


def all_pieces(source: Source) -> Iterator[Any]:
    """All rows of a source in order, as tables or arrays."""
    for part in range(1 if source.sizes is None else len(source.sizes)):
        yield from source.pieces(part)


def count_rows(X: Any) -> int | None:
    """n of a source, or of what has a shape; None where only a pass will tell."""
    if not is_source(X):
        return int(X.shape[0])
    return None if X.sizes is None else sum(X.sizes)


def open_source(X: Any, columns: Sequence[str] | None = None) -> Source | None:
    """The source that X stands for, or None where X holds the data themselves.

    Args:
        X: See the table of this module.
        columns: Which columns of Parquet files or a dataset.

    Raises:
        InvalidDataError: Files that are missing or that differ in their columns.
        FileFormatError: A damaged file.
        UnsupportedTypeError: A generator, or a file that can't be read part by part.
    """
    if is_source(X):
        return cast(Source, X)
    if isinstance(X, str | os.PathLike):
        return _from_path(X, columns)
    if isinstance(X, list | tuple) and X and all(isinstance(x, str | os.PathLike) for x in X):
        named = any(_ending(x) == ".parquet" or isinstance(x, os.PathLike) for x in X)
        return ParquetSource([Path(x) for x in X], columns) if named else None
    if _is_dataset(X):
        return _from_dataset(X, columns)
    if isinstance(X, Iterator):
        raise UnsupportedTypeError(
            f"X is a {type(X).__name__}, which can be read only once, and the data are read "
            "several times. Give a function that makes a new one: lambda: batches()."
        )
    if _gives_batches(X):
        return BatchSource(X.__iter__)
    if callable(X) and not isinstance(X, type) and not _holds_data(X):
        return BatchSource(X)
    return None


def _from_path(given: str | os.PathLike[str], columns: Sequence[str] | None) -> Source | None:
    text = os.fspath(given)
    path = Path(text)
    if path.is_dir():
        return ParquetSource(_of_folder(path), columns)
    if not path.exists() and any(sign in text for sign in PATTERN):
        found = sorted(Path(name) for name in glob.glob(text, recursive=True))
        if not found:
            raise InvalidDataError(f"No file is named like {text!r}; check pattern and folder.")
        return ParquetSource(found, columns)
    if _ending(path) == ".parquet":
        return ParquetSource([path], columns)
    if _ending(path) == ".npy":
        return ArraySource(read(path))
    if isinstance(given, str) and not path.exists():
        return None
    raise UnsupportedTypeError(
        f"{text} can't be read part by part; Parquet and NPY files can. Read it into memory with "
        "isthmus.data.read(path)."
    )


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files in a folder and its subfolders, by name; none that is hidden."""
    return sorted(
        path
        for path in folder.rglob("*.parquet")
        if not any(part[0] in "._" for part in path.relative_to(folder).parts)
    )


def _of_folder(folder: Path) -> list[Path]:
    found = parquet_files(folder)
    if not found:
        raise InvalidDataError(
            f"The folder {folder} has no Parquet files; read images with isthmus.data.read(path)."
        )
    return found


def _ending(path: Any) -> str:
    return Path(os.fspath(path)).suffix.lower()


def _is_dataset(X: Any) -> bool:
    module = sys.modules.get("pyarrow.dataset")
    return module is not None and isinstance(X, module.Dataset)


def _from_dataset(dataset: Any, columns: Sequence[str] | None) -> Source:
    try:
        return DatasetSource(dataset, columns)
    except ValueError:  # fragments of a filtered dataset are not to be had
        if columns is None:
            return BatchSource(dataset.to_batches)
        return BatchSource(lambda: dataset.to_batches(columns=list(columns)))


def _holds_data(X: Any) -> bool:
    """Whether X is an array, a tensor, a frame or a sparse matrix."""
    return (
        hasattr(X, "__array__")
        or hasattr(X, "__array_interface__")
        or hasattr(X, "detach")
        or sp.issparse(X)
        or nw.dependencies.is_into_dataframe(X)
    )


def _gives_batches(X: Any) -> bool:
    """Whether X can be iterated over again and again, and is no table, list or mapping."""
    return (
        hasattr(X, "__iter__")
        and not isinstance(X, type)
        and not hasattr(X, "__getitem__")
        and not isinstance(X, set | frozenset)
        and not hasattr(X, "collect")
        and not _holds_data(X)
    )
