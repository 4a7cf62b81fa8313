"""`CodeStore`: ids, codes and payloads that outlive the process, and exact searches over them.

What is given is checked here; where it is kept and how it is compared is an engine's (`engine`,
`engines`): one file, or a server that several machines share.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.hashing.checks import Id, check_count, check_ids, check_payloads, check_weights
from isthmus.hashing.codes import Codes, check_codes, check_n_bits, n_bytes
from isthmus.hashing.engine import Engine, Hits, Item, Opening
from isthmus.hashing.engines import open_engine
from isthmus.hashing.filters import parse_where
from isthmus.hashing.indexes import check_index


class CodeStore:
    """Binary codes with ids and payloads, searched exactly unless told otherwise.

    Ties go to what was written first; an id that is written again counts as new. Several processes
    may use a store at once, each with an object of its own, and every search sees all that was
    acknowledged before it.

    =========================================  ===================================================
    ``path``                                   where the codes are
    =========================================  ===================================================
    ``"codes.store"``                          one SQLite file; its log lies beside it while it
                                               is in use
    ``"postgresql://user@host/database#name"``  a table of a PostgreSQL server with pgvector
    ``"milvus://host:19530/name"``             a collection of a Milvus server
    =========================================  ===================================================

    Args:
        path: The file or the address; a store is made there if there is none.
        n_bits: Bits of a code, 8 … 4,096; None for those of the store.
        fingerprint: Names the hasher that made the codes; a store of another one is refused.
        durability: Of a file. ``"process"``: what is acknowledged outlives the process.
            ``"power"``: and the loss of power, at some tenths of a millisecond more for each
            write. A server has rules of its own.
        index: Of a file, how `search` finds. ``"scan"``: it compares a query with all codes.
            ``"ivf"``: with those of the nearest cells, which finds most neighbours among many
            millions in a small part of the time (docs/scale.md); up to 262,144 codes are still
            compared with each. It is made in memory when first asked; `within` stays exact.
        probes: In how many cells ``"ivf"`` looks; 64 for None. More find more and take longer. For
            filters and real-valued queries it looks in more than that.

    Attributes:
        exact: Whether a search always gives the true neighbours.
        ball: Whether `within` is answered.
        weighted: Whether `search` takes real-valued queries.
        max_k: The most neighbours that can be asked for; None for any number.

    Raises:
        InvalidParameterError: Another number of bits or another fingerprint than the store's, an
            unknown scheme or index, probes without ``"ivf"``, or a folder that isn't there or
            can't be written.
        FileFormatError: The file is damaged, or no store.
        UnreachableError: The server doesn't answer.
        MissingPackageError: The engine needs a package that isn't installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        n_bits: int | None = None,
        fingerprint: str | None = None,
        durability: str = "process",
        index: str = "scan",
        probes: int | None = None,
    ) -> None:
        if n_bits is not None:
            check_n_bits(n_bits)
        if not isinstance(fingerprint, str | None):
            raise InvalidParameterError(f"fingerprint must be text; got {fingerprint!r:.100}.")
        self._path = os.fspath(path)
        check_index(index, probes)
        opening = Opening(self._path, n_bits, fingerprint, durability, index, probes)
        self._engine = open_engine(opening)
        self._open = True

    @property
    def path(self) -> str:
        """The file or the address."""
        return self._path

    @property
    def n_bits(self) -> int:
        """Bits of a code."""
        return self._engine.n_bits

    @property
    def fingerprint(self) -> str | None:
        """The name of the hasher that made the codes, if the store knows one."""
        return self._engine.fingerprint

    @property
    def exact(self) -> bool:
        """Whether a search always gives the true neighbours."""
        return self._engine.exact

    @property
    def ball(self) -> bool:
        """Whether `within` is answered."""
        return self._engine.ball

    @property
    def weighted(self) -> bool:
        """Whether `search` takes real-valued queries."""
        return self._engine.weighted

    @property
    def max_k(self) -> int | None:
        """The most neighbours that can be asked for; None for any number."""
        return self._engine.max_k

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._opened())

    def close(self) -> None:
        """Close the store; what was written is kept. A second time it does nothing."""
        self._open = False
        self._engine.close()

    def upsert(
        self, ids: Iterable[Id], codes: ArrayLike, payloads: Iterable[Any] | None = None
    ) -> None:
        """Write codes, new or in place of those of the same ids.

        In a file and in PostgreSQL all of them are written or none; Milvus may keep a part of a
        batch that fails, and writing it again mends that.

        Args:
            ids: Text or integers, n different ones.
            codes: Packed codes (n, ⌈n_bits / 8⌉), uint8.
            payloads: Anything that is JSON, n times; None for none.

        Raises:
            InvalidDataError: An id twice, a code of another length, a payload that isn't JSON.
            InvalidParameterError: The file can't be written; nothing was.
            UnreachableError: The server went away; nothing of this call is acknowledged.
        """
        names = check_ids(ids, unique=True)
        packed = self._codes(codes) if names else np.zeros((0, n_bytes(self.n_bits)), np.uint8)
        if len(packed) != len(names):
            raise InvalidDataError(f"There are {len(names)} ids and {len(packed)} codes.")
        texts = check_payloads(payloads, len(names))
        self._opened().upsert(names, packed, texts)

    def delete(self, ids: Iterable[Id]) -> int:
        """Remove ids; those that aren't there are passed over.

        Args:
            ids: Text or integers.

        Returns:
            How many were there.
        """
        return self._opened().delete(list(dict.fromkeys(check_ids(ids, unique=False))))

    def get(self, ids: Iterable[Id]) -> list[Item | None]:
        """What is stored under each id, None where there is nothing.

        Args:
            ids: Text or integers.

        Returns:
            One `Item` or None per id, in their order.
        """
        names = check_ids(ids, unique=False)
        found = self._opened().get(list(dict.fromkeys(names)))
        return [found.get(name) for name in names]

    def search(
        self, codes: ArrayLike, k: int = 10, where: Mapping[str, Any] | None = None
    ) -> list[Hits]:
        """The k nearest codes of each query.

        Args:
            codes: Packed codes (m, ⌈n_bits / 8⌉), uint8; or real numbers (m, n_bits), positive
                where a bit is rather 1 and the larger the surer, whose distance is
                Σ_j |q_j| [b_j ≠ (q_j > 0)]. Servers compare bits with bits only.
            k: How many, 1 or more; fewer are given where fewer fit.
            where: What payloads must have, see `isthmus.hashing.filters`.

        Returns:
            `Hits` for each query, nearest first, among equals the one written first.

        Raises:
            InvalidParameterError: More neighbours than `max_k`, or real numbers for a server.
        """
        k = check_count("k", k, 1)
        if self.max_k is not None and k > self.max_k:
            raise InvalidParameterError(
                f"{self._engine.shown} gives at most {self.max_k} neighbours; k is {k}."
            )
        given, clauses, engine = np.asarray(codes), parse_where(where), self._opened()
        if given.dtype.kind == "f":
            return engine.search_weighted(check_weights(given, self.n_bits), k, clauses)
        return engine.search(self._codes(given), k, clauses)

    def within(
        self, codes: ArrayLike, radius: int, where: Mapping[str, Any] | None = None
    ) -> list[Hits]:
        """All codes within a Hamming distance of each query.

        Args:
            codes: Packed codes (m, ⌈n_bits / 8⌉), uint8.
            radius: The largest distance that counts, 0 or more.
            where: What payloads must have, see `isthmus.hashing.filters`.

        Returns:
            `Hits` for each query, nearest first, among equals the one written first.
        """
        radius = check_count("radius", radius, 0)
        return self._opened().within(self._codes(codes), radius, parse_where(where))

    def codes(self) -> tuple[list[Id], Codes]:
        """Everything that is stored, in the order of writing.

        Returns:
            The ids, and their packed codes (n, ⌈n_bits / 8⌉).
        """
        ids: list[Id] = []
        tables = [np.zeros((0, n_bytes(self.n_bits)), np.uint8)]
        for names, part in self._opened().parts():
            ids += names
            tables.append(part)
        return ids, np.concatenate(tables)

    def _codes(self, codes: ArrayLike) -> Codes:
        return check_codes(codes, self.n_bits)

    def _opened(self) -> Engine:
        if not self._open:
            raise InvalidParameterError(
                f"The store {self._engine.shown} is closed; open it again."
            )
        return self._engine
