"""What an engine is: the place where codes are kept and compared.

`CodeStore` checks what it is given and asks an engine; so an engine sees ids that differ, codes of
the right length, payloads that are JSON and filters that are parsed. All engines give the same
answers. What one can't do it says (`exact`, `ball`, `weighted`, `max_k`) or refuses; it never does
less than it was asked for in silence.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from numpy.typing import NDArray

from isthmus._errors import InvalidParameterError, MissingPackageError
from isthmus.hashing.checks import Id
from isthmus.hashing.codes import Codes
from isthmus.hashing.filters import Filter

IS_NEW = " is a new store; it needs n_bits."


class Hits(NamedTuple):
    """What was found for one query: ids, nearest first, and their distances (m,)."""

    ids: list[Id]
    distances: NDArray[Any]


class Item(NamedTuple):
    """What is stored under an id: its packed code (n_bytes,) and its payload."""

    id: Id
    code: Codes
    payload: Any


class Opening(NamedTuple):
    """How a store is to be opened."""

    path: str
    n_bits: int | None
    fingerprint: str | None
    durability: str
    index_name: str = "scan"
    probes: int | None = None


class Engine(ABC):
    """Where codes are kept and compared."""

    shown: str  # in messages: the path, without a password
    n_bits: int
    fingerprint: str | None
    exact: bool
    ball: bool
    weighted: bool
    max_k: int | None

    @abstractmethod
    def upsert(self, ids: list[Id], codes: Codes, payloads: list[str | None]) -> None:
        """Write n rows, new or in place of those of the same ids; payloads are JSON text."""

    @abstractmethod
    def delete(self, ids: Sequence[Id]) -> int:
        """Remove ids, all different; how many were there."""

    @abstractmethod
    def get(self, ids: Sequence[Id]) -> dict[Id, Item]:
        """What is stored under the ids that are there."""

    @abstractmethod
    def search(self, codes: Codes, k: int, where: Filter) -> list[Hits]:
        """The k nearest codes of each packed query (m, n_bytes)."""

    @abstractmethod
    def search_weighted(self, weights: NDArray[Any], k: int, where: Filter) -> list[Hits]:
        """The k nearest codes of each real-valued query (m, n_bits)."""

    @abstractmethod
    def within(self, codes: Codes, radius: int, where: Filter) -> list[Hits]:
        """All codes within a radius of each packed query (m, n_bytes)."""

    @abstractmethod
    def parts(self) -> Iterator[tuple[list[Id], Codes]]:
        """Ids and codes of all that is stored, in the order of writing, in parts."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open; a second time it does nothing."""


def check_same(shown: str, opening: Opening, n_bits: int, fingerprint: str | None) -> None:
    """A store holds what its opener expects.

    Raises:
        InvalidParameterError: It has codes of another length or of another hasher.
    """
    if opening.n_bits is not None and opening.n_bits != n_bits:
        raise InvalidParameterError(
            f"{shown} holds codes of {n_bits} bits, not of {opening.n_bits}; open it with "
            f"n_bits={n_bits}, or make another store."
        )
    if opening.fingerprint is not None and opening.fingerprint != fingerprint:
        raise InvalidParameterError(
            f"{shown} holds codes of the hasher {fingerprint!r}, not of {opening.fingerprint!r}; "
            "codes of two hashers can't be compared. Encode the rows anew into another store."
        )


def check_durability(shown: str, opening: Opening) -> None:
    """What a server keeps when power is lost is set there.

    Raises:
        InvalidParameterError: Something else than the default is wanted of it.
    """
    if opening.durability != "process":
        raise InvalidParameterError(
            f"{shown} decides itself what outlives a loss of power; durability="
            f"{opening.durability!r} is for a store that is a file. Leave it out."
        )


def check_scanned(shown: str, opening: Opening) -> None:
    """A server compares with each code.

    Raises:
        InvalidParameterError: Something else is wanted of it.
    """
    if opening.index_name != "scan":
        raise InvalidParameterError(
            f"{shown} compares a query with all of its codes; index={opening.index_name!r} is "
            "for a store that is a file. Leave it out."
        )


def bits_only(shown: str) -> InvalidParameterError:
    """The refusal of real-valued queries."""
    return InvalidParameterError(
        f"{shown} compares bits with bits only; a real-valued query needs a store that is a file. "
        "Pack the bits of the query instead."
    )


def needs_n_bits(shown: str) -> InvalidParameterError:
    """The refusal of a new store of which nobody says how long its codes are."""
    return InvalidParameterError(f"{shown}{IS_NEW}")


def is_new(refusal: InvalidParameterError) -> bool:
    """Whether a store couldn't be opened because there is none yet, see `needs_n_bits`."""
    return str(refusal).endswith(IS_NEW)


def loaded(package: str, extra: str, shown: str) -> Any:
    """A package that only this engine needs, imported when the engine is opened.

    Raises:
        MissingPackageError: It isn't installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f"{shown} needs the package {package}, which can't be imported: {error}. "
            f"Install it with: pip install 'isthmus[{extra}]'"
        ) from error


class Address(NamedTuple):
    """The parts of a server's address that engines need."""

    url: SplitResult
    name: str
    shown: str


def address(path: str, name: Callable[[SplitResult], str], default: str) -> Address:
    """A server's address, and the name of the store there.

    Raises:
        InvalidParameterError: A name that isn't made of letters, digits and underscores.
    """
    url = urlsplit(path)
    given = name(url) or default
    where = url.netloc.rpartition("@")[2]
    shown = f"{url.scheme}://{where}{url.path}" + f"#{url.fragment}" * bool(url.fragment)
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,39}", given):
        raise InvalidParameterError(
            f"A store on a server is named by at most 40 lower-case letters, digits and "
            f"underscores; got {given!r:.100} in {shown}."
        )
    return Address(url, given, shown)


def tagged(name: Id) -> str:
    """An id as text from which it can be told whether it was text or a number."""
    return f"s{name}" if isinstance(name, str) else f"i{name}"


def untagged(text: str) -> Id:
    """The inverse of `tagged`."""
    return text[1:] if text[0] == "s" else int(text[1:])
