"""Files in and out; the ending of the name decides the format.

| ending | read as | written |
|---|---|---|
| ``.npy`` | memory-mapped array: rows are read from disk when asked for | the array |
| ``.npz`` | one array, or a CSR array saved by scipy.sparse or as its parts | ``x``, ``names`` |
| ``.csv`` | Arrow table | with a line of names |
| ``.parquet`` | Arrow table | Arrow table |
| ``.jsonl`` | Arrow table: one JSON object on each line | – |
| ``.feather``, ``.arrow`` | Arrow table, memory-mapped | Arrow table |
| a folder | its images, uint8 (n, H, W) or (n, H, W, C), sorted by name | – |

Nothing in a file is ever executed: a pickle inside an array file is refused. A file is written
under a temporary name and then renamed, so that an error leaves the old one untouched.

A CSV whose first line holds only numbers, without quotes, has no names; its columns are called
x0, x1, …. The one exception is the line ``0,1,2,…`` of two or more columns, which pandas writes
above an array. An empty cell, NA and NaN are missing, in columns of text too.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from isthmus._errors import (
    FileFormatError,
    InvalidDataError,
    InvalidParameterError,
    IsthmusError,
    IsthmusWarning,
    UnsupportedTypeError,
)
from isthmus._files import atomic_write
from isthmus.data._archives import read_npz
from isthmus.data._images import read_images
from isthmus.data._parquet import read_parquet, without_labels

PathLike = str | os.PathLike[str]


def read(path: PathLike, key: str | None = None) -> Any:
    """Read a file of data, or a folder of images.

    Args:
        path: A file with one of the endings of this module's table, or a folder.
        key: Which array of an NPZ file; by default its only one of 2 or more dimensions, or the
            one named x, x_train, data, train, features or images, in any case of letters.

    Returns:
        Something that `as_matrix` accepts: an array, a CSR array or an Arrow table.

    Raises:
        InvalidDataError: The file is missing, can't be opened or is empty; a folder has no images.
        FileFormatError: The file is cut off, damaged or of another format.
        InvalidParameterError: An unknown ending, or a ``key`` that fits no array.
    """
    path = Path(path)
    if not path.exists():
        raise InvalidDataError(f"There is no file {path}; check the name and the folder.")
    if path.is_dir():
        _no_key(path, key)
        return read_images(path)
    reader = READERS[known_ending(path, READERS, "read")]
    if path.stat().st_size == 0:
        raise InvalidDataError(f"The file {path} is empty (0 bytes).")
    if reader is not read_npz:
        _no_key(path, key)
    try:
        return read_npz(path, key) if reader is read_npz else reader(path)
    except IsthmusError:
        raise
    except PermissionError as error:
        raise InvalidDataError(f"The file {path} can't be opened: {error.strerror}.") from error
    except Exception as error:
        # parsers of damaged files raise anything, from struct.error to MemoryError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileFormatError(
            f"{path} can't be read as {path.suffix.lower()[1:].upper()}; it is cut off, damaged "
            f"or of another format ({reason})."
        ) from error


def write(path: PathLike, array: Any, names: Sequence[str] | None = None) -> None:
    """Write an array, whole or not at all.

    Args:
        path: The file, with one of the endings of this module's table. Its folder must exist.
        array: (n, k), or (n,) for one column; NPY and NPZ take any shape, NPZ also a sparse
            matrix (which is stored as scipy.sparse does, without names).
        names: k names of columns; x0, x1, … when None. An NPY file has no place for them.

    Raises:
        InvalidParameterError: An unknown ending, a missing folder, or names that don't fit.
        InvalidDataError: An array of more than 2 dimensions for a table.
        UnsupportedTypeError: Values that are not numbers, booleans or text.
        OSError: The disk refuses. The old file, if any, is untouched.
    """
    path = Path(path)
    writer = WRITERS[known_ending(path, WRITERS, "written")]
    if sp.issparse(array):
        _write_sparse(path, array)
        return
    values = np.asarray(array)
    if values.dtype.kind not in "biufcU" or (values.dtype.kind == "c" and writer in TABLES):
        raise UnsupportedTypeError(
            f"Values of type {values.dtype} can't be written to {path.name}; give numbers, "
            "booleans or text."
        )
    labels = None if names is None and writer not in TABLES else _labels(path, values, names)
    with atomic_write(path) as temporary:
        writer(temporary, values, labels)


def write_table(path: PathLike, table: Any) -> None:
    """Write an Arrow table, whole or not at all.

    Args:
        path: A .csv, .parquet, .feather or .arrow file. Its folder must exist.
        table: A `pyarrow.Table`.

    Raises:
        InvalidParameterError: Another ending, or a missing folder.
        OSError: The disk refuses. The old file, if any, is untouched.
    """
    path = Path(path)
    writer = TABLE_WRITERS[known_ending(path, TABLE_WRITERS, "written as a table")]
    with atomic_write(path) as temporary:
        writer(table, temporary)


def known_ending(path: Path, known: dict[str, Any], verb: str) -> str:
    """The ending of a name in small letters.

    Raises:
        InvalidParameterError: It is not one of those known.
    """
    ending = path.suffix.lower()
    if ending not in known:
        folder = ", and folders of images" if known is READERS else ""
        raise InvalidParameterError(
            f"{path} can't be {verb}: the ending {path.suffix!r} is not known. Known are "
            f"{', '.join(known)}{folder}."
        )
    return ending


def _no_key(path: Path, key: str | None) -> None:
    if key is not None:
        raise InvalidParameterError(
            f"key={key!r} names an array of an NPZ file, and {path} is none; leave key out."
        )


def _write_sparse(path: Path, array: Any) -> None:
    if path.suffix.lower() != ".npz":
        raise UnsupportedTypeError(
            f"A sparse matrix can't be written to {path.name}; use an .npz file, or write "
            "array.toarray()."
        )
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        sp.save_npz(file, sp.csr_array(array))


def _labels(path: Path, values: NDArray[Any], names: Sequence[str] | None) -> list[str]:
    """One name per column of values, which must be a table."""
    if values.ndim not in (1, 2):
        raise InvalidDataError(
            f"An array of shape {values.shape} is no table for {path.name}; flatten its rows "
            "with array.reshape(len(array), -1), or write an .npy file."
        )
    width = 1 if values.ndim == 1 else values.shape[1]
    labels = [f"x{j}" for j in range(width)] if names is None else [str(name) for name in names]
    if len(labels) != width:
        raise InvalidParameterError(
            f"{len(labels)} names were given for the {width} column(s) of {path.name}."
        )
    if len(set(labels)) < width:
        twice = next(name for name in labels if labels.count(name) > 1)
        raise InvalidParameterError(f"Two columns of {path.name} are named {twice!r}; rename one.")
    return labels


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        if "Python objects" not in str(error):
            raise
        raise FileFormatError(
            f"{path} holds Python objects (a pickle), which are never loaded because they could "
            "run code. Save the array with a numeric type: array.astype(float)."
        ) from error


def _read_csv(path: Path) -> Any:
    from pyarrow import csv

    with open(path, "rb") as file:
        line = file.readline(2**28)
    fields = line.decode("utf-8-sig", errors="replace").strip().split(",")
    labels = [f"x{j}" for j in range(len(fields))] if _is_data(fields) else None
    # a line must fit in one block of the reader
    options = csv.ReadOptions(column_names=labels, block_size=max(2**20, 8 * len(line)))
    # an empty cell is missing in a column of text as it is in one of numbers
    convert = csv.ConvertOptions(strings_can_be_null=True)
    table = csv.read_csv(path, read_options=options, convert_options=convert)
    if len(fields) < 2 or labels is not None or fields[0].strip('" '):
        return table
    warnings.warn(
        f"The first column of {path} has no name and is taken for what rows are called; give it "
        "a name if it is to be learned from.",
        IsthmusWarning,
        stacklevel=2,
    )
    return table.remove_column(0)


def _read_jsonl(path: Path) -> Any:
    from pyarrow import json

    with open(path, "rb") as file:
        longest = max(map(len, file))
    # a line must fit in one block of the reader
    return json.read_json(path, json.ReadOptions(block_size=max(2**24, 2 * longest)))


def _is_data(fields: list[str]) -> bool:
    """Whether the first line of a CSV holds values: numbers and gaps, not 0, 1, 2, …."""
    filled = [field for field in fields if field.strip()]
    try:
        for field in filled:
            float(field)  # a number in quotes is a name, and stays one
    except ValueError:
        return False
    counted = len(fields) > 1 and fields == [str(j) for j in range(len(fields))]
    return bool(filled) and not counted


def _read_arrow(path: Path) -> Any:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            return without_labels(pa.ipc.open_file(source).read_all())
        except pa.ArrowInvalid:
            source.seek(0)
            return without_labels(pa.ipc.open_stream(source).read_all())


def _table(values: NDArray[Any], labels: list[str] | None) -> Any:
    import pyarrow as pa

    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    columns = values.reshape(len(values), len(labels or ())).T
    return pa.table([pa.array(np.ascontiguousarray(column)) for column in columns], names=labels)


def _write_npy(path: Path, values: NDArray[Any], _labels: list[str] | None) -> None:
    with open(path, "wb") as file:
        np.save(file, values, allow_pickle=False)


def _write_npz(path: Path, values: NDArray[Any], labels: list[str] | None) -> None:
    members = {"x": values} if labels is None else {"x": values, "names": np.array(labels, str)}
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **members)


def _write_csv(path: Path, values: NDArray[Any], labels: list[str] | None) -> None:
    # Arrow writes no half precision as text
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    _csv(_table(wide, labels), path)


def _write_parquet(path: Path, values: NDArray[Any], labels: list[str] | None) -> None:
    _parquet(_table(values, labels), path)


def _write_arrow(path: Path, values: NDArray[Any], labels: list[str] | None) -> None:
    _arrow(_table(values, labels), path)


def _csv(table: Any, path: Path) -> None:
    from pyarrow import csv

    csv.write_csv(table, path)


def _parquet(table: Any, path: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(table, path)


def _arrow(table: Any, path: Path) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


READERS: dict[str, Callable[..., Any]] = {
    ".npy": _read_npy,
    ".npz": read_npz,
    ".csv": _read_csv,
    ".parquet": read_parquet,
    ".jsonl": _read_jsonl,
    ".feather": _read_arrow,
    ".arrow": _read_arrow,
}
WRITERS: dict[str, Callable[[Path, NDArray[Any], list[str] | None], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".feather": _write_arrow,
    ".arrow": _write_arrow,
}
TABLES = (_write_csv, _write_parquet, _write_arrow)
TABLE_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".feather": _arrow,
    ".arrow": _arrow,
}
