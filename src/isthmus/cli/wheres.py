"""Filters as text: ``year>=1990``, ``group=sci.space``, ``language=["de","en"]``.

A value is read as JSON where it is JSON, and is text otherwise; so ``year=1993`` asks for the
number, and ``year='"1993"'`` for the text. Several filters must all hold.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from isthmus._errors import InvalidParameterError

FILTER = re.compile(r"(?P<name>[^<>=]+)(?P<sign><=|>=|<|>|=)(?P<value>.*)", re.DOTALL)


def read_where(texts: Sequence[str] | None) -> dict[str, Any] | None:
    """The filters of a command line, as a store takes them.

    Args:
        texts: Each a field, one of ``= < <= > >=`` and a value.

    Raises:
        InvalidParameterError: One of them is of another form, or asks a field for the same
            twice.
    """
    if not texts:
        return None
    where: dict[str, dict[str, Any]] = {}
    for text in texts:
        found = FILTER.fullmatch(text)
        if found is None:
            raise InvalidParameterError(
                f"--where {text!r} is no filter; write a field, one of = < <= > >= and a value, "
                "such as year>=1990."
            )
        signs = where.setdefault(found["name"].strip(), {})
        if found["sign"] in signs:
            raise InvalidParameterError(
                f"--where asks {found['name'].strip()} twice with {found['sign']}; all filters "
                'must hold at once. For one of several values write field=["a","b"].'
            )
        signs[found["sign"]] = _value(found["value"].strip())
    return {name: signs["="] if list(signs) == ["="] else signs for name, signs in where.items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
