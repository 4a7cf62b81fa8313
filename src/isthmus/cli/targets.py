"""Where results go: checked before the work begins, written after it.

A table's file takes one row of numbers per line, so that images are laid flat in it; an array file
keeps their shape; a folder, named with a slash at its end, gets them as PNG files.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._files import require_place
from isthmus.cli.show import show
from isthmus.data import is_source
from isthmus.data.files import TABLE_WRITERS, TABLES, WRITERS, write, write_table
from isthmus.data.growing import GROWING, growing

MOST_PRINTED = 20
MODEL = ".safetensors"


def require_rows_target(output: str | None, *, images: bool = False) -> None:
    """Refuse a file for rows that could not be written later.

    Args:
        output: A file, a folder ending in a slash, or None for standard output.
        images: Whether a folder of images is possible.

    Raises:
        InvalidParameterError: An unknown ending, a missing folder, or one that is not empty.
    """
    if output is None:
        return
    path = Path(output)
    if is_folder(output):
        if not images:
            raise InvalidParameterError(
                f"{output} is a folder, and only rows that are images can be written to one; "
                f"give a file ending in {', '.join(WRITERS)}."
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InvalidParameterError(
                f"{output} is not an empty folder; give the name of a new one for the images."
            )
    elif path.suffix.lower() not in WRITERS:
        folder = ", or a folder with a / at its end" if images else ""
        raise InvalidParameterError(
            f"{output} can't be written: the ending {path.suffix!r} is not known. Known are "
            f"{', '.join(WRITERS)}{folder}."
        )
    elif path.is_dir():
        raise InvalidParameterError(f"{output} can't be written: it is a folder.")
    # an empty folder that is there already is a place for images
    require_place(path / "0.png" if is_folder(output) and path.is_dir() else path)


def require_table_target(output: str | None) -> None:
    """Refuse a file for a table that could not be written later.

    Raises:
        InvalidParameterError: An ending that is no table's, or a missing folder.
    """
    if output is None:
        return
    if Path(output).suffix.lower() not in TABLE_WRITERS:
        raise InvalidParameterError(
            f"{output} is no name for a table; give a file ending in {', '.join(TABLE_WRITERS)}."
        )
    require_rows_target(output)


def require_model_target(output: str) -> None:
    """Refuse a model's file that could not be written later.

    Raises:
        InvalidParameterError: Another ending than ``.safetensors``, or a missing folder.
    """
    if Path(output).suffix.lower() != MODEL:
        raise InvalidParameterError(
            f"{output} is no name for a model; its ending must be {MODEL}."
        )
    if Path(output).is_dir():
        raise InvalidParameterError(f"{output} can't be written: it is a folder.")
    require_place(Path(output))


def flows(rows: Any, output: str) -> bool:
    """Whether results go to the file block by block: from large data to a file that grows."""
    return is_source(rows) and Path(output).suffix.lower() in GROWING


def require_few(n_rows: int | None, output: str | None) -> None:
    """Refuse to print many rows.

    Raises:
        InvalidParameterError: More rows than standard output should hold.
    """
    if output is None and n_rows is not None and n_rows > MOST_PRINTED:
        raise InvalidParameterError(
            f"{n_rows} rows are too many to print (at most {MOST_PRINTED}); give a file for them "
            "with -o."
        )


def deliver(rows: Any, output: str | None, names: Sequence[str] | None) -> None:
    """Write rows, or print them where there is no file, and print what was done."""
    if hasattr(rows, "column_names"):
        _deliver_table(rows, output)
        return
    record = {"rows": len(rows), "row_shape": list(rows.shape[1:])}
    if output is None:
        show({**record, "names": names, "values": rows})
        return
    write_rows(rows, output, names)
    show({"output": output, **record, "dtype": rows.dtype})


def _deliver_table(table: Any, output: str | None) -> None:
    record = {"rows": table.num_rows, "row_shape": [table.num_columns]}
    if output is None:
        show({**record, "names": table.column_names, "values": _printable(table)})
        return
    write_rows(table, output, None)
    show({"output": output, **record})


def _printable(table: Any) -> list[list[Any]]:
    """The cells row by row; what JSON has no word for, such as a date, as text."""
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    plain = (str, int, float, bool, type(None))
    return [[cell if isinstance(cell, plain) else str(cell) for cell in row] for row in rows]


@contextmanager
def growing_rows(output: str, names: Sequence[str]) -> Iterator[Callable[[Any], None]]:
    """A function that adds rows to a file: block by block where it can grow.

    Args:
        output: A file.
        names: The columns'.

    Yields:
        A function of an array (m,) or (m, k), or of an Arrow table.

    Raises:
        OSError: The disk refuses.
    """
    import numpy as np

    from isthmus.estimators.outflow import as_table

    if Path(output).suffix.lower() not in TABLE_WRITERS:
        waiting: list[Any] = []
        yield waiting.append
        write_rows(np.concatenate(waiting), output, names)
        return
    with growing(output) as add:

        def add_rows(rows: Any) -> None:
            if not hasattr(rows, "column_names"):
                rows = as_table(rows.reshape(len(rows), -1), list(names))
            add(rows)

        yield add_rows


def write_rows(rows: Any, output: str, names: Sequence[str] | None) -> None:
    """Write rows in the way that the file's name asks for.

    Args:
        rows: Array (n, …), or an Arrow table.
        output: A file, or a folder ending in a slash.
        names: The columns' names, if they have any.

    Raises:
        OSError: The disk refuses.
    """
    path = Path(output)
    try:
        if is_folder(output):
            write_images(path, rows)
            return
        if hasattr(rows, "column_names"):
            write_table(path, rows)
            return
        flat = rows.ndim > 2 and WRITERS[path.suffix.lower()] in TABLES
        write(path, rows.reshape(len(rows), -1) if flat else rows, names)
    except OSError as error:
        if error.filename is not None:
            raise
        # numpy and Arrow say what went wrong, but not with which file
        raise OSError(f"{output} can't be written: {error}.") from error


def is_folder(output: str) -> bool:
    """Whether the text names a folder: it ends with a slash."""
    return output.endswith(("/", os.sep))


def require_images(shape: Sequence[int], output: str | None) -> None:
    """Refuse a folder for rows that are no images.

    Raises:
        InvalidDataError: A row is neither (H, W) nor (H, W, 1, 3 or 4).
    """
    if output is None or not is_folder(output):
        return
    if len(shape) != 2 and not (len(shape) == 3 and shape[2] in (1, 3, 4)):
        raise InvalidDataError(
            f"A row of this model has the shape {tuple(shape)}, which is no image; give a file "
            f"ending in {', '.join(WRITERS)}."
        )


def write_images(folder: Path, rows: Any) -> None:
    """Write images as PNG files, numbered from 0.

    White is 1, or 255 where the values are on average above 1. What lies outside of black and
    white, as draws of a Gaussian may, is shown as black or white.

    Args:
        folder: Made if it does not exist.
        rows: (n, H, W), or (n, H, W, C) with 1, 3 or 4 channels.
    """
    from PIL import Image

    folder.mkdir(exist_ok=True)
    white = 255.0 if rows.mean() > 1 else 1.0
    pixels = (rows / white * 255).round().clip(0, 255).astype("uint8")
    digits = len(str(len(pixels) - 1))
    for i, image in enumerate(pixels):
        grey = image.ndim == 3 and image.shape[2] == 1
        Image.fromarray(image[:, :, 0] if grey else image).save(folder / f"{i:0{digits}}.png")
