"""What a caller gives a store: ids, payloads, numbers; refused by name before anything is done."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_whole

Id = str | int
LARGEST = 1 << 63


def check_ids(ids: Any, unique: bool) -> list[Id]:
    """Ids as a list of text and integers.

    Raises:
        InvalidDataError: No list, an id of another kind, or one twice where they must differ.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise InvalidDataError(f"ids must be a list of ids; got {ids!r:.100}. Write [id] for one.")
    found = [_id(place, each) for place, each in enumerate(ids)]
    if unique and len(set(found)) < len(found):
        seen: set[Id] = set()
        twice = next(each for each in found if each in seen or seen.add(each))  # type: ignore[func-returns-value]
        raise InvalidDataError(
            f"The id {twice!r:.100} is given twice in one batch; which code it has would be "
            "unclear. Leave one out."
        )
    return found


def _id(place: int, given: Any) -> Id:
    if isinstance(given, str) and _encodes(given):
        return str(given)
    if is_whole(given) and -LARGEST <= given < LARGEST:
        return int(given)
    raise InvalidDataError(
        f"ids must be text or integers of 64 bits; number {place} is {given!r:.100} of type "
        f"{type(given).__name__}."
    )


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_payloads(payloads: Any, n: int) -> list[str | None]:
    """Payloads as JSON text, None where there is none.

    Raises:
        InvalidDataError: Another number of them than of ids, or one that isn't JSON.
    """
    if payloads is None:
        return [None] * n
    if isinstance(payloads, str | bytes | dict) or not isinstance(payloads, Iterable):
        raise InvalidDataError(f"payloads must be a list, one per id; got {payloads!r:.100}.")
    texts = [_json(place, each) for place, each in enumerate(payloads)]
    if len(texts) != n:
        raise InvalidDataError(f"There are {n} ids and {len(texts)} payloads; give one for each.")
    return texts


def _json(place: int, payload: Any) -> str | None:
    if payload is None:
        return None
    try:
        # names as they are, since SQLite compares them letter by letter
        text = json.dumps(payload, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDataError(
            f"Payload {place} can't be written as JSON: {error}. Give dictionaries, lists, text, "
            "finite numbers, True, False and None only."
        ) from error
    return text


def check_count(name: str, value: Any, least: int) -> int:
    """A whole number, ``least`` or more.

    Raises:
        InvalidParameterError: It is no such number.
    """
    if not (is_whole(value) and value >= least):
        raise InvalidParameterError(
            f"{name} must be a whole number, {least} or more; got {value!r}."
        )
    return int(value)


def check_weights(queries: np.ndarray[Any, Any], n_bits: int) -> np.ndarray[Any, Any]:
    """Real-valued queries (m, n_bits), float64; a single one is a table of one row.

    Raises:
        InvalidDataError: Another width, or a number that isn't finite.
    """
    table = np.asarray(queries, np.float64)
    table = table[None] if table.ndim == 1 else table
    if table.ndim != 2 or table.shape[1] != n_bits:
        raise InvalidDataError(
            f"Real-valued queries must have shape (n, {n_bits}); got {table.shape}."
        )
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise InvalidDataError(
            f"Query {row} is {table[row, column]} at bit {column}; numbers must be finite."
        )
    return table
