"""Codes in one file.

SQLite is the truth (`table`); the matrix that is scanned (`packed`) is derived from it when the
store opens and whenever another process has written. A write is committed first and enters the
matrix then. So a crash can lose nothing that was acknowledged, and nothing needs repair.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.ball import Ball
from isthmus.hashing.checks import Id
from isthmus.hashing.codes import Codes, as_bytes, as_words, n_bytes
from isthmus.hashing.engine import Engine, Hits, Item, Opening
from isthmus.hashing.filters import Filter, sqlite_sql
from isthmus.hashing.index import Bits, Queries, Weights
from isthmus.hashing.indexes import make_index
from isthmus.hashing.packed import Packed
from isthmus.hashing.scan import Rows, in_range
from isthmus.hashing.table import (
    PART,
    open_table,
    read_about,
    read_codes,
    select_in,
    settle,
    transaction,
)

KEPT = 8  # filters whose rows are remembered until something is written


class Embedded(Engine):
    """Codes in one file, and in memory while it is open.

    Args:
        opening: The file, and what it should hold.
    """

    ball = weighted = True
    max_k = None

    def __init__(self, opening: Opening) -> None:
        self.shown = opening.path
        self._connection = open_table(opening.path, opening.durability)
        try:
            about = settle(self._connection, opening)
            self.n_bits = about.n_bits
            self.fingerprint = about.fingerprint
            self._index = make_index(opening.index_name, opening.probes)
            self.exact = self._index.exact
            self._packed = Packed(self.n_bits, self._index.keep)
            self._ball: Ball | None = None
            self._fitting: dict[tuple[Any, ...], Rows] = {}  # rows that fit filters asked before
            self._next_slot = self._removals = 0
            with self._moment():
                pass
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        with self._moment():
            return len(self._packed.slots)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def upsert(self, ids: list[Id], codes: Codes, payloads: list[str | None]) -> None:
        """Write all rows or none."""
        with self._moment(write=True):
            gone = self._remove(ids) if len(self._packed.slots) else self._no_slots()
            slots = np.arange(self._next_slot, self._next_slot + len(ids))
            self._connection.executemany(
                "INSERT INTO item VALUES (?, ?, ?, ?)",
                zip(slots.tolist(), ids, map(bytes, codes), payloads, strict=True),
            )
            self._write_about(gone, len(ids))
        self._settle(gone, slots, codes)

    def delete(self, ids: Sequence[Id]) -> int:
        """Remove all of the ids that are there."""
        with self._moment(write=True):
            gone = self._remove(ids)
            self._write_about(gone, 0)
        self._settle(gone, self._no_slots(), self._no_codes())
        return len(gone)

    def get(self, ids: Sequence[Id]) -> dict[Id, Item]:
        """Codes and payloads as the file has them."""
        with self._moment():
            statement = "SELECT id, code, payload FROM item WHERE id IN"
            rows = list(select_in(self._connection, statement, ids))
        return {
            name: Item(name, np.frombuffer(code, np.uint8), text and json.loads(text))
            for name, code, text in rows
        }

    def search(self, codes: Codes, k: int, where: Filter) -> list[Hits]:
        """As the index finds them."""
        return self._nearest(Bits(codes), k, where)

    def search_weighted(self, weights: NDArray[Any], k: int, where: Filter) -> list[Hits]:
        """As the index finds them."""
        return self._nearest(Weights(weights), k, where)

    def within(self, codes: Codes, radius: int, where: Filter) -> list[Hits]:
        """By whatever is least work (`ball`)."""
        queries = as_words(codes)
        with self._moment():
            words, slots = self._packed.words, self._packed.slots
            fitting = self._fit(where)
            if fitting is not None:
                words, slots = words[fitting], slots[fitting]
                found = [in_range(words, query, radius) for query in queries]
            else:
                self._ball = self._ball or Ball(words, self.n_bits)
                found = [self._ball.within(query, radius) for query in queries]
            return [self._hits(*each, slots) for each in found]

    def parts(self) -> Iterator[tuple[list[Id], Codes]]:
        """All ids and codes, as they are at one moment."""
        with self._moment():
            codes = as_bytes(self._packed.words, self.n_bits)
            rows = self._connection.execute("SELECT id FROM item ORDER BY slot")
            start = 0
            while part := rows.fetchmany(PART):
                yield [name for (name,) in part], codes[start : start + len(part)].copy()
                start += len(part)

    # ---- behind them ------------------------------------------------------------------------

    def _no_codes(self) -> Codes:
        return np.zeros((0, n_bytes(self.n_bits)), np.uint8)

    def _no_slots(self) -> Rows:
        return np.zeros(0, np.int64)

    @contextmanager
    def _moment(self, write: bool = False) -> Iterator[None]:
        """One state of the file, and the matrix as it is in it."""
        with transaction(self._connection, self.shown, write):
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
        self._changed(about.removals - self._removals, about.next_slot - self._next_slot)
        self._removals, self._next_slot = about.removals, about.next_slot

    def _remove(self, ids: Sequence[Id]) -> Rows:
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
        self._changed(len(gone), len(slots))

    def _changed(self, n_gone: int, n_new: int) -> None:
        """What was derived of the matrix follows it."""
        if n_gone or n_new:
            self._fitting.clear()
        if n_gone:
            self._ball = None
        elif n_new and self._ball is not None:
            self._ball.grow(self._packed.words)

    def _nearest(self, queries: Queries, k: int, where: Filter) -> list[Hits]:
        with self._moment():
            words, slots = self._packed.words, self._packed.slots
            found = self._index.nearest(words, queries, k, self._fit(where))
            return [self._hits(*each, slots) for each in found]

    def _fit(self, where: Filter) -> Rows | None:
        """The rows that fit a filter; None for all."""
        if not where:
            return None
        sql, values = sqlite_sql(where)
        key = (sql, *values)
        if key not in self._fitting:
            rows = self._connection.execute(
                f"SELECT slot FROM item WHERE {sql} ORDER BY slot", values
            )
            found = np.fromiter((slot for (slot,) in rows), np.int64)
            if len(self._fitting) == KEPT:
                self._fitting.pop(next(iter(self._fitting)))
            self._fitting[key] = np.searchsorted(self._packed.slots, found)
        return self._fitting[key]

    def _hits(self, distances: NDArray[Any], rows: Rows, slots: Rows) -> Hits:
        wanted = slots[rows].tolist()
        found = select_in(self._connection, "SELECT slot, id FROM item WHERE slot IN", wanted)
        id_of = dict(found)
        return Hits([id_of[slot] for slot in wanted], distances)
