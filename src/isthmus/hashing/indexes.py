"""The indexes of a file, by name."""

from collections.abc import Callable
from typing import Any

from isthmus._errors import InvalidParameterError
from isthmus._registry import unknown_name
from isthmus.hashing.checks import check_count
from isthmus.hashing.index import Index, Scan
from isthmus.hashing.inverted import PROBES, Inverted

INDEXES: dict[str, Callable[[int], Index]] = {"scan": lambda probes: Scan(), "ivf": Inverted}


def check_index(index: Any, probes: Any) -> None:
    """The index has a name that is known, and probes where it has a use for them.

    Raises:
        InvalidParameterError: It hasn't.
    """
    if not isinstance(index, str) or index not in INDEXES:
        raise unknown_name("index", index, INDEXES)
    if probes is not None:
        check_count("probes", probes, 1)
        if index == "scan":
            raise InvalidParameterError(
                f"probes is {probes}, but index='scan' compares with all codes; leave probes out, "
                "or give index='ivf'."
            )


def make_index(index: str, probes: int | None) -> Index:
    """An index by name; its own number of probes for None."""
    return INDEXES[index](PROBES if probes is None else probes)
