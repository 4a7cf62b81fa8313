"""Filters on payloads, as SQL.

A filter is a dictionary: for each field of the payload a value that it must equal, a list of
values of which it must be one, or a range, all joined by *and*:

    {"group": "sci.space", "year": {">=": 1990, "<": 2000}, "language": ["de", "en"]}

Numbers are compared with numbers, text with text (by code points), True and False with
themselves; None stands for a field that is there and null. A payload without the field never fits.
Values go to SQLite as parameters, never as text of the statement.
"""

from collections.abc import Mapping
from math import isnan
from typing import Any

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real, is_whole

COMPARISONS = ("<", "<=", ">", ">=", "=")
LARGEST = 1 << 63
MOST_VALUES = 10_000  # of one list; SQLite takes 32,766 parameters in all

Clause = tuple[str, list[Any]]


def where_sql(where: Mapping[str, Any] | None) -> Clause:
    """A filter as an SQL expression on the column ``payload``, and its parameters.

    Args:
        where: Fields and what they must be; None or nothing for all rows.

    Returns:
        The expression and its parameters.

    Raises:
        InvalidParameterError: No dictionary, a field with a quote or a backslash in its name, an
            unknown comparison, or a value that can't be compared so.
    """
    if where is None:
        return "1", []
    if not isinstance(where, Mapping):
        raise InvalidParameterError(
            f"where must be a dictionary of fields and values; got {where!r:.100}."
        )
    clauses = [_field(name, wanted) for name, wanted in where.items()]
    values = [value for _, parameters in clauses for value in parameters]
    return " AND ".join(f"({sql})" for sql, _ in clauses) or "1", values


def _field(name: Any, wanted: Any) -> Clause:
    path = _path(name)
    if isinstance(wanted, Mapping):
        parts = [_compared(name, path, sign, value) for sign, value in wanted.items()]
    elif isinstance(wanted, list | tuple | set | frozenset):
        if len(wanted) > MOST_VALUES:
            raise InvalidParameterError(
                f"The list for {name!r} in where has {len(wanted)} values; at most {MOST_VALUES} "
                "can be given. Store what they have in common as a field of its own."
            )
        return _among(name, path, list(wanted))
    else:
        return _compared(name, path, "=", wanted)
    values = [value for _, parameters in parts for value in parameters]
    return " AND ".join(f"({sql})" for sql, _ in parts) or "1", values


def _among(name: str, path: str, wanted: list[Any]) -> Clause:
    """One of the values; one list per kind, since SQLite's expressions can't be deep."""
    single = [value for value in wanted if value is None or isinstance(value, bool)]
    text = [_plain(name, value) for value in wanted if isinstance(value, str)]
    rest = [v for v in wanted if not (v is None or isinstance(v, bool | str))]
    numbers = [_plain(name, value) for value in rest]
    parts = [_compared(name, path, "=", value) for value in dict.fromkeys(single)]
    for kinds, values in (("('text')", text), ("('integer', 'real')", numbers)):
        if values:
            marks = ", ".join("?" * len(values))
            sql = f"json_type(payload, ?) IN {kinds} AND json_extract(payload, ?) IN ({marks})"
            parts.append((sql, [path, path, *values]))
    parameters = [value for _, values in parts for value in values]
    return " OR ".join(f"({sql})" for sql, _ in parts) or "0", parameters


def _compared(name: str, path: str, sign: Any, value: Any) -> Clause:
    if sign not in COMPARISONS:
        raise InvalidParameterError(
            f"where knows the comparisons {', '.join(COMPARISONS)}; got {sign!r} for {name!r}."
        )
    kind = "json_type(payload, ?)"
    if value is None or isinstance(value, bool):
        if sign != "=":
            raise InvalidParameterError(f"{value} for {name!r} in where has no order; use '='.")
        return f"{kind} = ?", [path, {None: "null", True: "true", False: "false"}[value]]
    kinds = "('text')" if isinstance(value, str) else "('integer', 'real')"
    return (
        f"{kind} IN {kinds} AND json_extract(payload, ?) {sign} ?",
        [path, path, _plain(name, value)],
    )


def _plain(name: str, value: Any) -> Any:
    """A value that SQLite compares as Python does."""
    if isinstance(value, str) and "\0" not in value and _is_text(value):
        return value
    if is_whole(value) and -LARGEST <= value < LARGEST:
        return int(value)
    if is_real(value) and not is_whole(value) and not isnan(value):
        return float(value)
    raise InvalidParameterError(
        f"where can't compare {name!r} with {value!r:.100}; give a number of at most 64 bits, "
        "text without NUL, True, False or None."
    )


def _path(name: Any) -> str:
    """The field in SQLite's path language, which has no way to escape a quote."""
    bad = not isinstance(name, str) or any(c in '"\\' or c < " " for c in name)
    if bad or not _is_text(name):
        raise InvalidParameterError(
            f"where can't look at the field {name!r:.100}; a name is text without quotes, "
            "backslashes and control characters."
        )
    return f'$."{name}"'


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
