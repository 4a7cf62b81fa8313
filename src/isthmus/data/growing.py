"""Tables that are written part by part, because the whole needn't fit in memory.

A .parquet and a .csv file grow: parts wait until they make a row group that is worth reading by
itself, and are then on disk. The other formats are written in one piece at the end. Either way the
file takes its name when it is complete: an error on the way leaves what was there before.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from isthmus._errors import InvalidDataError
from isthmus._files import atomic_write
from isthmus.data.files import TABLE_WRITERS, known_ending

GROUP_CELLS = 1 << 21

Add = Callable[[Any], None]


@contextmanager
def growing(path: str | os.PathLike[str]) -> Iterator[Add]:
    """A function that adds the rows of an Arrow table to a new file.

    Args:
        path: A .parquet, .csv, .feather or .arrow file. Its folder must exist.

    Yields:
        The function. All tables have the columns of the first one.

    Raises:
        InvalidParameterError: Another ending, or a missing folder.
        InvalidDataError: A table with other columns.
        OSError: The disk refuses. The old file, if any, is untouched.
    """
    ending = known_ending(Path(path), TABLE_WRITERS, "written as a table")
    with atomic_write(path) as temporary, _Growing(temporary, ending, path) as file:
        yield file.add


class _Growing(AbstractContextManager["_Growing"]):
    """The temporary file.

    Args:
        path: It.
        ending: Of the name that it will take.
        name: This name, for messages.
    """

    def __init__(self, path: Path, ending: str, name: str | os.PathLike[str]) -> None:
        self._path, self._ending, self._name = path, ending, name
        self._waiting: list[Any] = []
        self._schema: Any = None
        self._writer: Any = None

    def add(self, table: Any) -> None:
        """Take in some rows."""
        table = _plain(table) if self._ending == ".csv" else table
        if self._schema is None:
            self._schema = table.schema
        elif table.schema != self._schema:
            table = _as_before(table, self._schema)
        self._waiting.append(table)
        cells = sum(map(len, self._waiting)) * table.num_columns
        if self._ending in GROWING and cells >= GROUP_CELLS:
            with self._named():
                self._flush()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Arrow says what went wrong, but not with which file."""
        try:
            yield
        except OSError as error:
            said = " ".join(str(error).split())
            raise OSError(f"{os.fspath(self._name)} can't be written: {said}.") from error

    def _flush(self) -> None:
        import pyarrow as pa

        if self._writer is None:
            self._writer = GROWING[self._ending](self._path, self._schema)
        group, self._waiting = pa.concat_tables(self._waiting), []
        self._writer.write_table(group, max(1, len(group)))
        pa.default_memory_pool().release_unused()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        import pyarrow as pa

        if kind is not None:
            with suppress(OSError):  # the first error is the one to tell of
                self._close()
            return
        with self._named():
            try:
                if self._waiting and self._ending in GROWING:
                    self._flush()
                elif self._waiting:
                    TABLE_WRITERS[self._ending](pa.concat_tables(self._waiting), self._path)
            finally:
                self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _as_before(table: Any, schema: Any) -> Any:
    import pyarrow as pa

    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError) as error:
        raise InvalidDataError(
            f"The columns of some rows are {_described(table.schema)}, and those of the rows "
            f"before {_described(schema)}; give every batch the same columns of the same types."
        ) from error


def _described(schema: Any) -> str:
    named = [f"{field.name} ({field.type})" for field in schema]
    return ", ".join(named[:5]) + (", …" if len(named) > 5 else "")


def _plain(table: Any) -> Any:
    """Text in place of dictionaries, which have no place in a CSV."""
    import pyarrow as pa

    kinds = [
        field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        for field in table.schema
    ]
    return table.cast(pa.schema(list(zip(table.schema.names, kinds, strict=True))))


def _parquet(path: Path, schema: Any) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    # computed numbers hardly repeat: a dictionary of their values is only work
    repeating = [field.name for field in schema if not pa.types.is_floating(field.type)]
    return parquet.ParquetWriter(path, schema, use_dictionary=repeating or False)


def _csv(path: Path, schema: Any) -> Any:
    from pyarrow import csv

    return csv.CSVWriter(path, schema)


GROWING: dict[str, Callable[[Path, Any], Any]] = {".parquet": _parquet, ".csv": _csv}
