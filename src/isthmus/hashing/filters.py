"""Filters on payloads.

A filter is a dictionary: for each field of the payload a value that it must equal, a list of
values of which it must be one, or a range, all joined by *and*:

    {"group": "sci.space", "year": {">=": 1990, "<": 2000}, "language": ["de", "en"]}

Numbers are compared with numbers, text with text (by code points), True and False with
themselves; None stands for a field that is there and null. A payload without the field never fits.

`parse_where` makes tests of it, all of these clauses and in each any of its tests, and every
engine writes them in its own language, the values as parameters where it has some.
"""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite, isnan
from typing import Any, NamedTuple

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real, is_whole

COMPARISONS = ("<", "<=", ">", ">=", "=")
SINGLE = {None: "null", True: "true", False: "false"}
LARGEST = 1 << 63
MOST_VALUES = 10_000  # of one list; SQLite takes 32,766 parameters in all


class Test(NamedTuple):
    """One test of a field: its kind, and how it compares with the values.

    ``kind`` is ``"number"`` or ``"text"``, with one value for a comparison and any number of them
    for ``"in"``; or ``"null"``, ``"true"`` or ``"false"``, without any.
    """

    field: str
    kind: str
    sign: str
    values: tuple[Any, ...]


Filter = list[list[Test]]


def parse_where(where: Mapping[str, Any] | None) -> Filter:
    """A filter as clauses, all of which must hold; a clause holds if any of its tests does.

    Args:
        where: Fields and what they must be; None or nothing for all rows.

    Raises:
        InvalidParameterError: No dictionary, a field with a quote or a backslash in its name, an
            unknown comparison, or a value that can't be compared so.
    """
    if where is None:
        return []
    if not isinstance(where, Mapping):
        raise InvalidParameterError(
            f"where must be a dictionary of fields and values; got {where!r:.100}."
        )
    return [clause for name, wanted in where.items() for clause in _field(_name(name), wanted)]


def sqlite_sql(clauses: Filter) -> tuple[str, list[Any]]:
    """The filter as an SQL expression on the column ``payload``, and its parameters."""
    parameters: list[Any] = []
    for test in (test for clause in clauses for test in clause):
        path = f'$."{test.field}"'
        parameters += [path, path, *test.values] if test.values else [path]
    return all_of(clauses, _sqlite_test, "1", "0"), parameters


def _sqlite_test(test: Test) -> str:
    kinds = {"number": "'integer', 'real'"}.get(test.kind, f"'{test.kind}'")
    kind = f"json_type(payload, ?) IN ({kinds})"
    if not test.values:
        return kind
    marks = ", ".join("?" * len(test.values))
    return f"{kind} AND json_extract(payload, ?) {test.sign} ({marks})"


def all_of(clauses: Filter, write: Callable[[Test], str], always: str, never: str) -> str:
    """Clauses joined by *and*, the tests of each by *or*, each written by a function."""
    written = [" or ".join(f"({write(test)})" for test in clause) or never for clause in clauses]
    return " and ".join(f"({clause})" for clause in written) or always


def postgres_sql(clauses: Filter) -> tuple[str, list[Any]]:
    """The filter as an SQL expression on the column ``payload``, and its parameters."""
    parameters: list[Any] = []
    for test in (test for clause in clauses for test in clause):
        # the shortest digits, as JSON has them: so 0.1 equals 0.1
        values = [Decimal(repr(v)) if test.kind == "number" else v for v in test.values]
        parameters += [test.field, test.field, *values] if values else [test.field]
    return all_of(clauses, _postgres_test, "TRUE", "FALSE"), parameters


def _postgres_test(test: Test) -> str:
    if not test.values:
        return f"payload -> %s::text = '{test.kind}'::jsonb"
    kind, value = JSONB[test.kind]
    marks = ", ".join(["%s"] * len(test.values))
    return (
        f"CASE WHEN jsonb_typeof(payload -> %s::text) = '{kind}' "
        f"THEN {value} {test.sign} ({marks}) ELSE FALSE END"
    )


def milvus_expression(clauses: Filter) -> str:
    """The filter in Milvus' language, on the field ``payload``; empty for all rows."""
    return all_of(clauses, _milvus_test, "", "slot < 0")


def _milvus_test(test: Test) -> str:
    return WRITE[test.kind](f'payload["p"][{milvus_text(test.field)}]', test)


def _number_test(field: str, test: Test) -> str:
    if test.sign != "in":
        return f"{field} {SIGNS.get(test.sign, test.sign)} {_number(test.values[0])}"
    # a list is of one type, and finds numbers of that type only
    whole = [int(v) for v in test.values if abs(v) < LARGEST and v == int(v)]
    decimal = [_decimal(v) for v in test.values if float(v) == v]
    lists = [", ".join(map(str, each)) for each in (whole, decimal) if each]
    return " or ".join(f"{field} in [{each}]" for each in lists)


def _text_test(field: str, test: Test) -> str:
    values = [milvus_text(value) for value in test.values]
    if test.sign == "in":
        return f"{field} in [{', '.join(values)}]"
    return f"{field} {SIGNS.get(test.sign, test.sign)} {values[0]}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else _decimal(value)


def _decimal(value: float) -> str:
    number = float(value)
    if not isfinite(number):
        raise InvalidParameterError(f"Milvus can't compare with {number}; leave it out of where.")
    return repr(number)


def milvus_text(text: str) -> str:
    """Text as Milvus' expressions have it: letters as they are, control characters escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _field(name: str, wanted: Any) -> Filter:
    if isinstance(wanted, Mapping):
        return [[_compared(name, sign, value)] for sign, value in wanted.items()]
    if not isinstance(wanted, list | tuple | set | frozenset):
        return [[_compared(name, "=", wanted)]]
    if len(wanted) > MOST_VALUES:
        raise InvalidParameterError(
            f"The list for {name!r} in where has {len(wanted)} values; at most {MOST_VALUES} "
            "can be given. Store what they have in common as a field of its own."
        )
    return [_among(name, list(wanted))]


def _among(name: str, wanted: list[Any]) -> list[Test]:
    """One of the values; one list per kind, since SQLite's expressions can't be deep."""
    tests = dict.fromkeys(_compared(name, "=", value) for value in wanted)
    found = [test for test in tests if not test.values]
    for kind in ("text", "number"):
        values = tuple(test.values[0] for test in tests if test.kind == kind)
        found += [Test(name, kind, "in", values)] if values else []
    return found


def _compared(name: str, sign: Any, value: Any) -> Test:
    if sign not in COMPARISONS:
        raise InvalidParameterError(
            f"where knows the comparisons {', '.join(COMPARISONS)}; got {sign!r} for {name!r}."
        )
    if value is None or isinstance(value, bool):
        if sign != "=":
            raise InvalidParameterError(f"{value} for {name!r} in where has no order; use '='.")
        return Test(name, SINGLE[value], "=", ())
    kind = "text" if isinstance(value, str) else "number"
    return Test(name, kind, sign, (_plain(name, value),))


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


def _name(name: Any) -> str:
    """The name of a field; SQLite's path language has no way to escape a quote."""
    if isinstance(name, str) and not any(c in '"\\' or c < " " for c in name) and _is_text(name):
        return name
    raise InvalidParameterError(
        f"where can't look at the field {name!r:.100}; a name is text without quotes, "
        "backslashes and control characters."
    )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


# how PostgreSQL names the kinds, and reaches the values to be compared
JSONB = {
    "number": ("number", "(payload -> %s::text)::numeric"),
    "text": ("string", '(payload ->> %s::text) COLLATE "C"'),
}
SIGNS = {"=": "=="}
WRITE: dict[str, Callable[[str, Test], str]] = {
    "number": _number_test,
    "text": _text_test,
    "true": lambda field, test: f"{field} == true",
    "false": lambda field, test: f"{field} == false",
    "null": lambda field, test: f'json_contains(payload["n"], {milvus_text(test.field)})',
}
