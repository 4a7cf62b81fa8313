"""`CodeStore`: ids, codes and payloads that outlive the process, and exact searches over them.

SQLite is the truth (`table`); the matrix that is scanned (`packed`) is derived from it when the
store opens and whenever another process has written. A write is committed first and enters the
matrix then. So a crash can lose nothing that was acknowledged, and nothing needs repair.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.hashing.ball import Ball
from isthmus.hashing.checks import Id, check_count, check_ids, check_payloads, check_weights
from isthmus.hashing.codes import Codes, Words, as_words, check_codes, check_n_bits, n_bytes
from isthmus.hashing.filters import where_sql
from isthmus.hashing.packed import Packed
from isthmus.hashing.scan import Rows, in_range, nearest
from isthmus.hashing.table import (
    open_table,
    read_about,
    read_codes,
    select_in,
    settle,
    transaction,
)
from isthmus.hashing.weighted import nearest_weighted


class Hits(NamedTuple):
    """What was found for one query: ids, nearest first, and their distances (m,)."""

    ids: list[Id]
    distances: NDArray[Any]


class Item(NamedTuple):
    """What is stored under an id: its packed code (n_bytes,) and its payload."""

    id: Id
    code: Codes
    payload: Any


class CodeStore:
    """Binary codes with ids and payloads in one file, searched exactly.

    Ties go to what was written first; an id that is written again counts as new. Several processes
    may use a store at once, each with an object of its own: one writes while others read, and
    every search sees all that was committed before it.

    Args:
        path: The file; it is made if it isn't there. Its log lies beside it while it is in use.
        n_bits: Bits of a code, 8 … 4,096; None for those of the file.
        fingerprint: Names the hasher that made the codes; a store of another one is refused.
        durability: ``"process"``: what is acknowledged outlives the process. ``"power"``: and the
            loss of power, at some tenths of a millisecond more for each write.

    Raises:
        InvalidParameterError: Another number of bits or another fingerprint than the file's, or a
            folder that isn't there or can't be written.
        FileFormatError: The file is damaged, or no store.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        n_bits: int | None = None,
        fingerprint: str | None = None,
        durability: str = "process",
    ) -> None:
        self.path = os.fspath(path)
        if n_bits is not None:
            check_n_bits(n_bits)
        if not isinstance(fingerprint, str | None):
            raise InvalidParameterError(f"fingerprint must be text; got {fingerprint!r:.100}.")
        self._connection = open_table(self.path, durability)
        self._open = True
        try:
            about = settle(self._connection, self.path, n_bits, fingerprint)
            self.n_bits = about.n_bits
            self.fingerprint = about.fingerprint
            self._packed = Packed(self.n_bits)
            self._ball: Ball | None = None
            self._next_slot = self._removals = 0
            with self._moment():
                pass
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._moment():
            return len(self._packed.slots)

    def close(self) -> None:
        """Close the file; what was written is kept. A second time it does nothing."""
        self._open = False
        self._connection.close()

    def upsert(
        self, ids: Iterable[Id], codes: ArrayLike, payloads: Iterable[Any] | None = None
    ) -> None:
        """Write codes, new or in place of those of the same ids; all of them or none.

        Args:
            ids: Text or integers, n different ones.
            codes: Packed codes (n, ⌈n_bits / 8⌉), uint8.
            payloads: Anything that is JSON, n times; None for none.

        Raises:
            InvalidDataError: An id twice, a code of another length, a payload that isn't JSON.
            InvalidParameterError: The file can't be written; nothing was.
        """
        names = check_ids(ids, unique=True)
        packed = check_codes(codes, self.n_bits) if len(names) else self._no_codes()
        if len(packed) != len(names):
            raise InvalidDataError(f"There are {len(names)} ids and {len(packed)} codes.")
        texts = check_payloads(payloads, len(names))
        with self._moment(write=True):
            gone = self._remove(names) if len(self._packed.slots) else self._no_slots()
            slots = np.arange(self._next_slot, self._next_slot + len(names))
            self._connection.executemany(
                "INSERT INTO item VALUES (?, ?, ?, ?)",
                zip(slots.tolist(), names, map(bytes, packed), texts, strict=True),
            )
            self._write_about(gone, len(names))
        self._settle(gone, slots, packed)

    def delete(self, ids: Iterable[Id]) -> int:
        """Remove ids; those that aren't there are passed over.

        Args:
            ids: Text or integers.

        Returns:
            How many were there.
        """
        names = check_ids(ids, unique=False)
        with self._moment(write=True):
            gone = self._remove(list(dict.fromkeys(names)))
            self._write_about(gone, 0)
        self._settle(gone, self._no_slots(), self._no_codes())
        return len(gone)

    def get(self, ids: Iterable[Id]) -> list[Item | None]:
        """What is stored under each id, None where there is nothing.

        Args:
            ids: Text or integers.

        Returns:
            One `Item` or None per id, in their order.
        """
        names = check_ids(ids, unique=False)
        with self._moment():
            statement = "SELECT id, code, payload FROM item WHERE id IN"
            rows = list(select_in(self._connection, statement, list(dict.fromkeys(names))))
        found = {
            name: Item(name, np.frombuffer(code, np.uint8), text and json.loads(text))
            for name, code, text in rows
        }
        return [found.get(name) for name in names]

    def search(
        self, codes: ArrayLike, k: int = 10, where: Mapping[str, Any] | None = None
    ) -> list[Hits]:
        """The k nearest codes of each query.

        Args:
            codes: Packed codes (m, ⌈n_bits / 8⌉), uint8; or real numbers (m, n_bits), positive
                where a bit is rather 1 and the larger the surer, whose distance is
                Σ_j |q_j| [b_j ≠ (q_j > 0)].
            k: How many, 1 or more; fewer are given where fewer fit.
            where: What payloads must have, see `isthmus.hashing.filters`.

        Returns:
            `Hits` for each query, nearest first, among equals the one written first.
        """
        k = check_count("k", k, 1)
        given = np.asarray(codes)
        find: Callable[[Words], tuple[NDArray[Any], Rows]]
        if given.dtype.kind == "f":
            weights = check_weights(given, self.n_bits)
            find = lambda words: nearest_weighted(words.view(np.uint8), weights, k)  # noqa: E731
        else:
            queries = self._words(given)
            find = lambda words: nearest(words, queries, k)  # noqa: E731
        with self._moment():
            words, slots = self._chosen(where)
            distances, rows = find(words)
            return [self._hits(*each, slots) for each in zip(distances, rows, strict=True)]

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
        queries = self._words(codes)
        with self._moment():
            words, slots = self._chosen(where)
            if where:
                found = [in_range(words, query, radius) for query in queries]
            else:
                self._ball = self._ball or Ball(words, self.n_bits)
                found = [self._ball.within(query, radius) for query in queries]
            return [self._hits(*each, slots) for each in found]

    # ---- behind them ------------------------------------------------------------------------

    def _words(self, codes: ArrayLike) -> Words:
        return as_words(check_codes(codes, self.n_bits))

    def _no_codes(self) -> Codes:
        return np.zeros((0, n_bytes(self.n_bits)), np.uint8)

    def _no_slots(self) -> Rows:
        return np.zeros(0, np.int64)

    @contextmanager
    def _moment(self, write: bool = False) -> Iterator[None]:
        """One state of the file, and the matrix as it is in it."""
        if not self._open:
            raise InvalidParameterError(f"The store {self.path} is closed; open it again.")
        with transaction(self._connection, self.path, write):
            self._refresh()
            yield

    def _refresh(self) -> None:
        """Take over what other processes committed."""
        about = read_about(self._connection)
        if about.removals != self._removals:
            rows = self._connection.execute("SELECT slot FROM item ORDER BY slot")
            self._packed.keep(np.fromiter((slot for (slot,) in rows), np.int64))
        if about.next_slot != self._next_slot:
            for slots, codes in read_codes(self._connection, self.n_bits, self._next_slot):
                table = np.frombuffer(codes, np.uint8).reshape(len(slots), -1)
                self._packed.append(np.array(slots), table)
        if (about.removals, about.next_slot) != (self._removals, self._next_slot):
            self._ball = None
        self._removals, self._next_slot = about.removals, about.next_slot

    def _remove(self, ids: list[Id]) -> Rows:
        """Delete ids from the file; their slots."""
        rows = select_in(self._connection, "SELECT slot FROM item WHERE id IN", ids)
        slots = sorted(slot for (slot,) in rows)
        self._connection.executemany(
            "DELETE FROM item WHERE slot = ?", ((slot,) for slot in slots)
        )
        return np.array(slots, np.int64)

    def _write_about(self, gone: Rows, n_new: int) -> None:
        self._connection.execute(
            "UPDATE about SET next_slot = next_slot + ?, removals = removals + ?",
            (n_new, len(gone)),
        )

    def _settle(self, gone: Rows, slots: Rows, codes: Codes) -> None:
        """The matrix after a write that is committed."""
        self._packed.remove(gone)
        self._removals += len(gone)
        if len(slots):
            self._packed.append(slots, codes)
            self._next_slot += len(slots)
        if len(gone) or len(slots):
            self._ball = None

    def _chosen(self, where: Mapping[str, Any] | None) -> tuple[Words, Rows]:
        """Codes and slots of the rows that fit a filter."""
        words, slots = self._packed.words, self._packed.slots
        sql, values = where_sql(where)
        if not where:
            return words, slots
        rows = self._connection.execute(f"SELECT slot FROM item WHERE {sql} ORDER BY slot", values)
        fitting = np.fromiter((slot for (slot,) in rows), np.int64)
        return words[np.searchsorted(slots, fitting)], fitting

    def _hits(self, distances: NDArray[Any], rows: Rows, slots: Rows) -> Hits:
        wanted = slots[rows].tolist()
        found = select_in(self._connection, "SELECT slot, id FROM item WHERE slot IN", wanted)
        id_of = dict(found)
        return Hits([id_of[slot] for slot in wanted], distances)
