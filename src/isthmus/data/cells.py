"""One column of any table, as numbers or as labels.

Whatever library a column came from (see `isthmus.data.opening`), its cells are of one family:

| family | stored as | as numbers |
|---|---|---|
| ``number`` | integers, floats, decimals | float64 |
| ``bool`` | booleans | 0, 1 |
| ``date`` | dates, timestamps | days since 1970-01-01, UTC |
| ``duration`` | durations, times of day | days |
| ``text`` | strings, categories | – |
| ``mixed`` | Python objects of several kinds | – |
| ``missing`` | nothing but missing cells | NaN |

A cell is missing if it is None, NaN, NaT, pd.NA or null, and for no other reason: −1, 999, "" and
"NA" are values. Any column can be read as labels, by the text of its cells; a number has the same
text whichever type holds it (1, 1.0 and Decimal(1) are "1").
"""

import datetime
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError

Name = str | int
Floats = NDArray[np.float64]

PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
NUMERIC = ("number", "bool", "missing")
NAMELESS = {"NAType", "NaTType"}  # pandas' own marks of a missing cell
EXACT = 2.0**53


@dataclass(frozen=True, eq=False)
class Cells:
    """One column.

    Attributes:
        name: The column's name, or its position in an array.
        family: See the table of this module.
        dtype: The type in which Arrow holds the cells.
        array: The cells: an Arrow array, or a float64 array with NaN.
        oddity: For mixed cells two values of different kinds, as (value, row).
    """

    name: Name
    family: str
    dtype: str
    array: Any
    oddity: tuple[tuple[Any, int], ...] = ()

    def __len__(self) -> int:
        return len(self.array)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells are missing, (n,)."""
        if isinstance(self.array, np.ndarray):
            return np.asarray(np.isnan(self.array))
        found = self.array.is_null(nan_is_null=True)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)

    def value(self, row: int) -> Any:
        """The cell of a row, as Python has it, for a message."""
        cell = self.array[row]
        return cell.item() if isinstance(cell, np.generic) else cell.as_py()

    def first(self) -> tuple[Any, int]:
        """The first cell that isn't missing, and its row."""
        row = int(np.argmin(self.missing))
        return self.value(row), row

    def numbers(self, first_row: int = 0) -> Floats:
        """The cells as float64 (n,), NaN where missing. Not for text and mixed cells.

        Raises:
            InvalidDataError: A cell is infinite.
        """
        if isinstance(self.array, np.ndarray):
            values = self.array
        elif self.family in ("date", "duration"):
            values = _days(self.array)
        else:
            array = self.array.cast(pa.uint8()) if pt.is_boolean(self.array.type) else self.array
            values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        endless = np.isinf(values)
        if endless.any():
            row = int(endless.argmax())
            raise InvalidDataError(
                f"Column {self.name!r} is {values[row]} in row {first_row + row}, and "
                f"{int(endless.sum())} of its cells are infinite. Replace them by finite values, "
                "or leave them empty."
            )
        return values

    def labels(self) -> tuple[NDArray[np.int64], list[str]]:
        """The cells as codes (n,), −1 where missing, and the text of each code.

        Codes are in the order in which the labels first appear, so that they don't depend on what
        the labels are called.
        """
        array = pa.array(self.array, from_pandas=True)
        if pt.is_floating(array.type):  # an Arrow array may hold NaN beside null
            array = pc.if_else(pc.is_nan(array), None, array)
        if not pt.is_dictionary(array.type):
            array = array.dictionary_encode()
        codes = array.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        texts = [None if each is None else text_of(each) for each in array.dictionary.to_pylist()]
        return _by_appearance(codes, texts)


def text_of(value: Any) -> str:
    """What a label is called."""
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return str(value)
    if isinstance(value, Integral):
        return str(int(value))
    number = float(value)
    whole = abs(number) < EXACT and number == np.rint(number)
    return str(int(number)) if whole else repr(number)


def _by_appearance(codes: NDArray[Any], texts: list[Any]) -> tuple[NDArray[np.int64], list[str]]:
    """Codes numbered by first appearance; equal texts, unused ones and nulls are merged away."""
    new = np.full(len(texts) + 1, -1)  # the last place is that of −1
    names: dict[str, int] = {}
    for old in pc.unique(pa.array(codes)).to_pylist():
        if old >= 0 and texts[old] is not None:
            new[old] = names.setdefault(texts[old], len(names))
    return new[codes], list(names)


def _days(array: Any) -> Floats:
    kind = array.type
    if pt.is_date32(kind):
        ticks, per_day = array.cast(pa.int32()), 1
    elif pt.is_date64(kind):
        ticks, per_day = array.cast(pa.int64()), PER_DAY["ms"]
    else:
        ticks = array.cast(pa.int32()) if pt.is_time32(kind) else array.cast(pa.int64())
        per_day = PER_DAY[kind.unit]
    days: Floats = ticks.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) / per_day
    return days


def cells_of_arrow(name: Name, array: Any) -> Cells:
    """Cells of an Arrow array.

    Raises:
        InvalidDataError: A type that is no number, text, date or boolean.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if pt.is_dictionary(kind) and pt.is_boolean(kind.value_type):
        array = array.dictionary_decode()
    elif pt.is_binary(kind) or pt.is_large_binary(kind) or _is_view(kind):
        array = _as_text(name, array)
    family = _family(array.type)
    if family is None:
        raise InvalidDataError(
            f"Column {name!r} has type {kind}, which is no number, text, date or boolean. Turn it "
            "into such columns, or drop it."
        )
    if array.null_count == len(array) or (pt.is_floating(kind) and _all_null(array)):
        family = "missing"
        array = pa.nulls(len(array)) if pt.is_dictionary(array.type) else array
    return Cells(name, family, str(kind), array)


def _all_null(array: Any) -> bool:
    return bool(pc.all(array.is_null(nan_is_null=True)).as_py())


def _is_view(kind: Any) -> bool:
    return str(kind) in ("string_view", "binary_view")


def _as_text(name: Name, array: Any) -> Any:
    try:
        return array.cast(pa.large_string())
    except pa.ArrowInvalid as error:
        raise InvalidDataError(
            f"Column {name!r} holds bytes that are no text in UTF-8 ({error}); decode or drop it."
        ) from error


def _family(kind: Any) -> str | None:
    tests = {
        "bool": pt.is_boolean,
        "number": lambda t: pt.is_integer(t) or pt.is_floating(t) or pt.is_decimal(t),
        "date": lambda t: pt.is_date(t) or pt.is_timestamp(t),
        "duration": lambda t: pt.is_duration(t) or pt.is_time(t),
        "text": lambda t: pt.is_string(t) or pt.is_large_string(t) or pt.is_dictionary(t),
        "missing": pt.is_null,
    }
    return next((name for name, test in tests.items() if test(kind)), None)


def cells_of_objects(name: Name, values: NDArray[Any]) -> Cells:
    """A column of Python objects, one by one; the way for what Arrow finds no type for."""
    kinds = [_object_kind(value) for value in values]
    firsts: dict[str, int] = {}
    for row, kind in enumerate(kinds):
        if kind != "missing":
            firsts.setdefault("number" if kind == "bool" else kind, row)
    plain = [None if kind == "missing" else each for each, kind in zip(values, kinds, strict=True)]
    if set(firsts) <= {"number"}:
        if set(kinds) <= {"bool", "missing"}:
            return cells_of_arrow(name, pa.array(plain))
        numbers = np.array([np.nan if each is None else _float(each) for each in plain])
        return Cells(name, "number" if firsts else "missing", "object", numbers)
    if set(firsts) == {"text"}:
        return cells_of_arrow(name, pa.array(map(_decoded, plain), pa.large_string()))
    if set(firsts) == {"date"}:
        return cells_of_arrow(name, pa.array(map(_moment, plain), pa.timestamp("us")))
    texts = [None if each is None else text_of(each) for each in plain]
    oddity = tuple((values[row], row) for row in sorted(firsts.values())[:2])
    return Cells(name, "mixed", "object", pa.array(texts, pa.large_string()), oddity)


def _object_kind(value: Any) -> str:
    if value is None or type(value).__name__ in NAMELESS:
        return "missing"
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, Real | Decimal):
        return "missing" if value != value else "number"
    if isinstance(value, str | bytes):
        return "text"
    return "date" if isinstance(value, datetime.date) else "object"


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # refused as infinite, by row and column
        return float("inf") if value > 0 else -float("inf")


def _decoded(value: Any) -> str | None:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value


def _moment(value: Any) -> Any:
    if value is None or isinstance(value, datetime.datetime):
        return value
    return datetime.datetime(value.year, value.month, value.day)
