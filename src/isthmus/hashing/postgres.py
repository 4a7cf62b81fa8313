"""Codes in a table of a PostgreSQL server with pgvector.

    postgresql://user:password@host:5432/database#name

The part before ``#`` is libpq's, and ``name`` is the store's (``codes`` if there is none).
pgvector counts the bits in which two values of type ``bit(n)`` differ (``<~>``). Every search
reads all rows: it is exact, and so is a ball, at some tenths of a second for each million codes.

One row about each store is locked by whoever writes, so that slots are given in the order in which
writes are acknowledged, and ties go to what was written first as they do in a file.

Ids are found by a hash of theirs, since an index of PostgreSQL takes 2,700 bytes at most.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._errors import (
    FileFormatError,
    InvalidDataError,
    InvalidParameterError,
    IsthmusError,
    UnreachableError,
)
from isthmus.hashing.checks import Id
from isthmus.hashing.codes import Codes, n_bytes
from isthmus.hashing.engine import (
    Engine,
    Hits,
    Item,
    Opening,
    address,
    bits_only,
    check_durability,
    check_same,
    check_scanned,
    loaded,
    needs_n_bits,
    tagged,
    untagged,
)
from isthmus.hashing.filters import Filter, postgres_sql

LOCK = 0x49535448  # held while tables are made
FORMAT = 1
AT_ONCE = 50_000  # rows of one statement
PATIENCE = 20  # seconds until a server that is silent counts as gone
DOUBT = (
    "Nothing of this call is acknowledged; if it wrote, it may have been kept as a whole. "
    "When the server answers again, write it again: ids are not doubled."
)


class Postgres(Engine):
    """Codes in a table of a PostgreSQL server.

    Args:
        opening: The address, and what the store should hold.
    """

    exact = ball = True
    weighted = False
    max_k = None

    def __init__(self, opening: Opening) -> None:
        url, name, self.shown = address(opening.path, lambda url: url.fragment, "codes")
        check_durability(self.shown, opening)
        check_scanned(self.shown, opening)
        self._psycopg = loaded("psycopg", "postgres", self.shown)
        self._dsn, self._name = url._replace(fragment="").geturl(), name
        self._table = f'"isthmus_{name}"'
        self._connection: Any = None
        try:
            self.n_bits, self.fingerprint = self._settle(opening)
            check_same(self.shown, opening, self.n_bits, self.fingerprint)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        with self._reading() as cursor:
            return int(cursor.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0])

    def close(self) -> None:
        """Leave the server."""
        if self._connection is not None:
            self._connection.close()

    def upsert(self, ids: list[Id], codes: Codes, payloads: list[str | None]) -> None:
        """Write all rows or none."""
        with self._moment() as cursor:
            first = cursor.execute(
                "UPDATE isthmus_stores SET next_slot = next_slot + %s WHERE name = %s "
                "RETURNING next_slot - %s",
                (len(ids), self._name, len(ids)),
            ).fetchone()[0]
            for start in range(0, len(ids), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                names = [tagged(name).encode() for name in ids[part]]
                cursor.execute(
                    f"INSERT INTO {self._table} SELECT key, slot, id, code::bit({self.n_bits}), "
                    "payload FROM unnest(%s::bytea[], %s::bigint[], %s::bytea[], %s::text[], "
                    "%s::jsonb[]) AS given (key, slot, id, code, payload) "
                    "ON CONFLICT (key) DO UPDATE SET slot = excluded.slot, code = excluded.code, "
                    "payload = excluded.payload",
                    (
                        [sha256(name).digest() for name in names],
                        list(range(first + start, first + start + len(names))),
                        names,
                        self._written(codes[part]),
                        payloads[part],
                    ),
                )

    def delete(self, ids: Sequence[Id]) -> int:
        """Remove all of the ids that are there, or none."""
        with self._moment() as cursor:
            cursor.execute(f"DELETE FROM {self._table} WHERE key = ANY(%s)", (_keys(ids),))
            return int(cursor.rowcount)

    def get(self, ids: Sequence[Id]) -> dict[Id, Item]:
        """Codes and payloads as the server has them."""
        with self._reading() as cursor:
            rows = cursor.execute(
                f"SELECT id, code, payload FROM {self._table} WHERE key = ANY(%s)", (_keys(ids),)
            ).fetchall()
        names = [untagged(bytes(name).decode()) for name, _, _ in rows]
        codes = self._read([code for _, code, _ in rows])
        found = zip(names, codes, (payload for *_, payload in rows), strict=True)
        return {name: Item(name, code, payload) for name, code, payload in found}

    def search(self, codes: Codes, k: int, where: Filter) -> list[Hits]:
        """By comparing with each code."""
        return self._ask(codes, "TRUE", [], f"LIMIT {k}", where)

    def search_weighted(self, weights: NDArray[Any], k: int, where: Filter) -> list[Hits]:
        """Refused: the server compares bits with bits."""
        raise bits_only(self.shown)

    def within(self, codes: Codes, radius: int, where: Filter) -> list[Hits]:
        """By comparing with each code; no index of pgvector answers this."""
        return self._ask(codes, "distance <= %s", [radius], "", where)

    def parts(self) -> Iterator[tuple[list[Id], Codes]]:
        """All ids and codes, as they are at one moment."""
        statement = f"SELECT id, code FROM {self._table} ORDER BY slot"
        with self._reading(), self._connection.cursor("parts") as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(AT_ONCE):
                names = [untagged(bytes(name).decode()) for name, _ in rows]
                yield names, self._read([code for _, code in rows])

    # ---- behind them ------------------------------------------------------------------------

    def _ask(
        self, codes: Codes, near: str, limits: list[int], end: str, where: Filter
    ) -> list[Hits]:
        sql, values = postgres_sql(where)
        statement = (
            f"SELECT id, distance FROM (SELECT id, slot, code <~> %s::bit({self.n_bits}) AS "
            f"distance FROM {self._table} WHERE {sql}) AS near WHERE {near} "
            f"ORDER BY distance, slot {end}"
        )
        found = []
        with self._reading() as cursor:
            for query in self._written(codes):
                rows = cursor.execute(statement, [query, *values, *limits]).fetchall()
                names = [untagged(bytes(name).decode()) for name, _ in rows]
                found.append(Hits(names, np.array([d for _, d in rows], np.int32)))
        return found

    def _written(self, codes: Codes) -> list[str]:
        """Packed codes as PostgreSQL writes bits."""
        spare = 8 * n_bytes(self.n_bits) - self.n_bits
        return [f"{int.from_bytes(c, 'big') >> spare:0{self.n_bits}b}" for c in map(bytes, codes)]

    def _read(self, written: list[str]) -> Codes:
        """The inverse of `_written`."""
        width = n_bytes(self.n_bits)
        spare = 8 * width - self.n_bits
        packed = b"".join((int(bits, 2) << spare).to_bytes(width, "big") for bits in written)
        return np.frombuffer(packed, np.uint8).reshape(len(written), width)

    def _settle(self, opening: Opening) -> tuple[int, str | None]:
        """What the server says of the store; it is made first where it isn't there."""
        with self._moment() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            if cursor.execute("SELECT to_regclass('isthmus_stores')").fetchone()[0] is None:
                cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
                cursor.execute(
                    "CREATE TABLE isthmus_stores (name text PRIMARY KEY, format int NOT NULL, "
                    "n_bits int NOT NULL, fingerprint text, next_slot bigint NOT NULL)"
                )
            about = cursor.execute(
                "SELECT format, n_bits, fingerprint FROM isthmus_stores WHERE name = %s",
                (self._name,),
            ).fetchone()
            if about is None:
                return self._make(cursor, opening)
            if about[0] != FORMAT:
                raise FileFormatError(
                    f"{self.shown} is a store of format {about[0]}; this version reads {FORMAT}."
                )
            return self._named(cursor, opening, about[1], about[2])

    def _make(self, cursor: Any, opening: Opening) -> tuple[int, str | None]:
        if opening.n_bits is None:
            raise needs_n_bits(self.shown)
        cursor.execute(
            f"CREATE TABLE {self._table} (key bytea PRIMARY KEY, slot bigint NOT NULL, "
            f"id bytea NOT NULL, code bit({opening.n_bits}) NOT NULL, payload jsonb)"
        )
        row = (self._name, FORMAT, opening.n_bits, opening.fingerprint)
        cursor.execute("INSERT INTO isthmus_stores VALUES (%s, %s, %s, %s, 1)", row)
        return opening.n_bits, opening.fingerprint

    def _named(
        self, cursor: Any, opening: Opening, n_bits: int, fingerprint: str | None
    ) -> tuple[int, str | None]:
        """An empty store without a fingerprint takes that of whoever opens it."""
        filled = cursor.execute(f"SELECT 1 FROM {self._table} LIMIT 1").fetchone()
        if fingerprint is None and opening.fingerprint is not None and not filled:
            fingerprint = opening.fingerprint
            cursor.execute(
                "UPDATE isthmus_stores SET fingerprint = %s WHERE name = %s",
                (fingerprint, self._name),
            )
        return n_bits, fingerprint

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """One state of the table for all statements of the block."""
        with self._moment() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield cursor

    @contextmanager
    def _moment(self) -> Iterator[Any]:
        """A transaction: all or nothing of what is written in the block."""
        psycopg = self._psycopg
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(
                    self._dsn, autocommit=True, connect_timeout=PATIENCE
                )
            with self._connection.transaction(), self._connection.cursor() as cursor:
                yield cursor
        except IsthmusError:
            raise
        except psycopg.DataError as error:
            raise InvalidDataError(
                f"{self.shown} refuses what was given: {_first(error)}. Nothing of it was kept."
            ) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise UnreachableError(f"{self.shown}: {_first(error)}. {DOUBT}") from error
        except psycopg.Error as error:
            raise InvalidParameterError(
                f"{self.shown} refuses: {_first(error)}. Nothing of it was kept. The user must be "
                "allowed to make tables, and pgvector must be installed there."
            ) from error


def _keys(ids: Sequence[Id]) -> list[bytes]:
    return [sha256(tagged(name).encode()).digest() for name in ids]


def _first(error: Exception) -> str:
    """The first line of what the server said."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
