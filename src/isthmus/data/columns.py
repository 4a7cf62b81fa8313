"""Columns by name: of a frame, or by position of an array."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.dependencies import is_into_dataframe

from isthmus._errors import InvalidDataError
from isthmus._registry import unknown_name


def without(rows: Any, names: Sequence[str | int]) -> Any:
    """The rows without some columns.

    Args:
        rows: A frame, or an array (n, d) whose columns are called by position.
        names: Of the columns.

    Raises:
        InvalidDataError: Images, which have no columns, or none is left.
        InvalidParameterError: There is no such column.
    """
    if not len(names):
        return rows
    if is_into_dataframe(rows):
        frame = nw.from_native(rows, eager_only=True)
        left = set(without_names(frame.columns, names))
        # by place: pandas' names may be numbers
        return frame[:, [j for j, each in enumerate(frame.columns) if each in left]].to_native()
    if rows.ndim != 2:
        raise InvalidDataError(
            f"Rows of shape {tuple(rows.shape[1:])} have no column {names[0]!r}, as tables have; "
            "labels of images go in an array of their own."
        )
    places = without_names([str(j) for j in range(rows.shape[1])], names)
    return rows[:, [int(place) for place in places]]


def put_back(left: Any, rows: Any, names: Sequence[str | int]) -> Any:
    """The inverse of `without`: the columns that it left out, at their places.

    Args:
        left: What `without` has given, or the same with other cells; of a frame, some columns may
            be missing, and they may be in another order.
        rows: With all columns; of the same make.
        names: As in `without`.
    """
    if not len(names):
        return left
    if is_into_dataframe(rows):
        whole, frame = (nw.from_native(each, eager_only=True) for each in (rows, left))
        gone = {_known(name, whole.columns) for name in names}
        places = {name: j for j, name in enumerate(frame.columns)}  # pandas' names may be numbers
        columns = [
            whole[:, j] if name in gone else frame[:, places[name]]
            for j, name in enumerate(whole.columns)
            if name in gone or name in places
        ]
        return nw.concat([column.to_frame() for column in columns], how="horizontal").to_native()
    numbers = sorted({int(name) for name in names})
    shifted = [place - number for number, place in enumerate(numbers)]
    return np.insert(left, shifted, rows[:, numbers], axis=1)


def without_names(names: Sequence[str], drop: Sequence[str | int]) -> list[str]:
    """The names of the columns that are left, in order.

    Raises:
        InvalidDataError: None is left.
        InvalidParameterError: There is no such column.
    """
    gone = {_known(name, names) for name in drop}
    left = [name for name in names if name not in gone]
    if not left:
        raise InvalidDataError(
            f"There is no column beside {', '.join(map(repr, drop))}; leave one."
        )
    return left


def column_of(rows: Any, name: str | int) -> tuple[list[Any], Any]:
    """The values of a column, and the rows without it.

    Args:
        rows: As in `without`.
        name: Of the column.

    Raises:
        InvalidDataError: As in `without`.
        InvalidParameterError: There is no such column.
    """
    if is_into_dataframe(rows):
        frame = nw.from_native(rows, eager_only=True)
        place = frame.columns.index(_known(name, frame.columns))
        return frame[:, place].to_list(), without(rows, [name])
    left = without(rows, [name])
    column = rows[:, int(name)]
    values = np.asarray(column.toarray() if hasattr(column, "toarray") else column).ravel()
    return values.tolist(), left


def _known(name: str | int, names: Sequence[Any]) -> Any:
    found = [each for each in names if str(each) == str(name)]
    if not found:
        raise unknown_name("column", str(name), map(str, names))
    return found[0]
