"""Parquet in parts: the row groups of files and of pyarrow datasets.

Files are read one row group at a time, without a memory map and not ahead of need, and of a row
group no more than a piece is decoded at once. Arrow keeps what it has freed for the next time;
after each part it gives it back.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from isthmus._errors import FileFormatError, InvalidDataError
from isthmus.data.matrix import block_rows

PIECE_BYTES = 2**23


class ParquetSource:
    """Parquet files of one schema, read one row group at a time.

    Args:
        paths: The files, in order.
        columns: Which columns, in which order; all of the first file if None.

    Raises:
        InvalidDataError: A missing file, or files whose columns differ.
        FileFormatError: A file that is cut off, damaged or of another format.
    """

    def __init__(self, paths: Sequence[Path], columns: Sequence[str] | None = None) -> None:
        self._footers = {path: _footer(path) for path in paths}
        first = paths[0]
        fields = _fields(first, self._footers[first])
        labels = row_labels(self._footers[first].schema.to_arrow_schema())
        given = [name for name in fields if name not in labels]
        self.columns = given if columns is None else list(columns)
        wanted = {name: fields.get(name) for name in self.columns}
        for path in paths:
            found = _fields(path, self._footers[path])
            _require_columns(path, found, wanted, first)
            if columns is None:
                _require_no_others(path, set(found) - labels, wanted, first)
        groups = [
            (path, group, footer.row_group(group).num_rows)
            for path, footer in self._footers.items()
            for group in range(footer.num_row_groups)
        ]
        self._groups = [(path, group) for path, group, n_rows in groups if n_rows]
        self.sizes = tuple(n_rows for *_, n_rows in groups if n_rows)

    def pieces(self, part: int) -> Iterator[Any]:
        """A row group's rows."""
        import pyarrow as pa
        from pyarrow import parquet

        path, group = self._groups[part]
        size = block_rows(len(self.columns), 4, PIECE_BYTES)
        try:
            with parquet.ParquetFile(
                path,
                metadata=self._footers[path],
                pre_buffer=False,
                page_checksum_verification=True,
            ) as file:
                batches = file.iter_batches(size, row_groups=[group], columns=self.columns)
                n_rows = 0
                for batch in batches:
                    n_rows += len(batch)
                    yield batch.select(self.columns)
                if n_rows != self.sizes[part]:
                    raise OSError(f"{n_rows} of {self.sizes[part]} rows are there")
        except (OSError, pa.ArrowException) as error:
            _refuse_group(path, group, error)
        finally:
            pa.default_memory_pool().release_unused()


def read_parquet(path: Path) -> Any:
    """A single file as an Arrow table: no guess of a dataset from the names of its folders.

    Raises:
        FileFormatError: It is cut off or damaged, from which row group on.
    """
    import pyarrow as pa
    from pyarrow import parquet

    footer = _footer(path)
    with parquet.ParquetFile(path, metadata=footer, page_checksum_verification=True) as file:
        try:
            return without_labels(file.read())
        except (OSError, pa.ArrowException):
            for group in range(footer.num_row_groups):
                try:
                    file.read_row_group(group)
                except (OSError, pa.ArrowException) as error:
                    _refuse_group(path, group, error)
            raise


def _refuse_group(path: Any, group: Any, error: Exception) -> NoReturn:
    raise FileFormatError(
        f"Row group {group} of {path} can't be read: the file is cut off or damaged "
        f"({reason(error)}). Write the file again, or leave it out."
    ) from error


def _footer(path: Path) -> Any:
    """The metadata of a Parquet file, which stand at its end."""
    import pyarrow as pa
    from pyarrow import parquet

    if not path.exists():
        raise InvalidDataError(f"There is no file {path}; check the name and the folder.")
    try:
        with parquet.ParquetFile(path) as file:
            return file.metadata
    except PermissionError as error:
        raise InvalidDataError(f"The file {path} can't be opened: {error.strerror}.") from error
    except (OSError, pa.ArrowException) as error:
        raise FileFormatError(
            f"{path} can't be read as Parquet, from row group 0 on: it is cut off before the list "
            f"of row groups at its end, damaged or of another format ({reason(error)}). Write "
            "the file again, or leave it out."
        ) from error


def reason(error: Exception) -> str:
    """What an error says, in one short line."""
    return " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__


def _fields(path: Path, footer: Any) -> dict[str, Any]:
    schema = footer.schema.to_arrow_schema()
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise InvalidDataError(
            f"Two columns of {path} have the same name ({twice!r}); rename one."
        )
    return dict(zip(schema.names, schema.types, strict=True))


SCHEMAS_DIFFER = "Give files of one schema."


def _require_columns(
    path: Path, found: dict[str, Any], wanted: dict[str, Any], first: Path
) -> None:
    """Refuse a file that lacks a column or has one of another type."""
    for name, kind in wanted.items():
        if name not in found:
            raise InvalidDataError(f"{path} has no column {name!r}. {SCHEMAS_DIFFER}")
        if found[name] != kind:
            raise InvalidDataError(
                f"Column {name!r} is {kind} in {first} but {found[name]} in {path}. "
                f"{SCHEMAS_DIFFER}"
            )


def _require_no_others(
    path: Path, found: Collection[str], wanted: Collection[str], first: Path
) -> None:
    extra = sorted(set(found) - set(wanted))
    if extra:
        raise InvalidDataError(
            f"{path} has a column {extra[0]!r}, which {first} doesn't have. {SCHEMAS_DIFFER}"
        )


def row_labels(schema: Any) -> set[str]:
    """The columns in which pandas keeps what its rows are called: no columns of the frame."""
    try:
        named = dict(schema.pandas_metadata or {}).get("index_columns") or ()
        return {name for name in named if isinstance(name, str)}
    except (TypeError, ValueError):
        return set()  # a stranger's note about the file; its columns are there all the same


def without_labels(table: Any) -> Any:
    """An Arrow table without them."""
    labels = row_labels(table.schema) & set(table.column_names)
    return table.drop_columns(sorted(labels)) if labels else table


class DatasetSource:
    """A pyarrow dataset: the row groups of its Parquet files, or its files.

    Args:
        dataset: Without a filter or a projection.
        columns: Which columns, in which order; all if None.
    """

    def __init__(self, dataset: Any, columns: Sequence[str] | None = None) -> None:
        self._dataset = dataset
        labels = row_labels(dataset.schema)
        given = [name for name in dataset.schema.names if name not in labels]
        self.columns = given if columns is None else list(columns)
        self._parts = [
            part for fragment in dataset.get_fragments() for part in self._split(fragment)
        ]
        self.sizes = tuple(_count(part) for part in self._parts)

    @staticmethod
    def _split(fragment: Any) -> list[Any]:
        if not hasattr(fragment, "split_by_row_group"):
            return [fragment]
        try:
            return list(fragment.split_by_row_group())
        except OSError as error:
            _refuse_group(fragment.path, 0, error)

    def pieces(self, part: int) -> Iterator[Any]:
        """A row group's rows, or a file's."""
        import pyarrow as pa
        from pyarrow import dataset

        fragment = self._parts[part]
        options: dict[str, Any] = {}
        if hasattr(fragment, "row_groups"):
            scan = dataset.ParquetFragmentScanOptions(pre_buffer=False)
            options = {"fragment_scan_options": scan}
        try:
            yield from fragment.to_batches(
                schema=self._dataset.schema,
                columns=self.columns,
                batch_size=block_rows(len(self.columns), 4, PIECE_BYTES),
                batch_readahead=1,
                **options,
            )
        except (OSError, pa.ArrowException) as error:
            groups = getattr(fragment, "row_groups", None) or []
            _refuse_group(fragment.path, groups[0].id if groups else 0, error)
        finally:
            pa.default_memory_pool().release_unused()


def _count(fragment: Any) -> int:
    # Arrow counts the rows of the whole file, whatever row groups a fragment has
    groups = getattr(fragment, "row_groups", None)
    return int(sum(group.num_rows for group in groups) if groups else fragment.count_rows())
