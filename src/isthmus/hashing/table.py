"""The file of a store: one SQLite table of ids, codes and payloads, and one row about them.

SQLite with a write-ahead log is the truth. What a transaction has committed outlives the process,
however it ends; readers see whole transactions, and never wait for the one writer. Each item has a
slot, a number that is never given twice: an item that is written again gets a new one. So whatever
another process added has slots from ``next_slot`` on, and whatever it removed shows in the count
of ``removals``.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from isthmus._errors import FileFormatError, InvalidParameterError, IsthmusError
from isthmus.hashing.codes import n_bytes
from isthmus.hashing.engine import Opening, check_same, needs_n_bits

APPLICATION, FORMAT = 0x49535448, 1  # "ISTH" in the file's header
PATIENCE = 60.0  # seconds that a writer waits for another
SYNCHRONOUS = {"process": "NORMAL", "power": "FULL"}
PAUSE = 0.005  # seconds between two tries to switch a file to a write-ahead log
AT_ONCE = 500  # ids of one statement
PART = 1 << 12  # rows that are read at once: their objects stay in the cache

TABLES = """
CREATE TABLE about (n_bits INTEGER NOT NULL, fingerprint TEXT,
                    next_slot INTEGER NOT NULL, removals INTEGER NOT NULL);
CREATE TABLE item (slot INTEGER PRIMARY KEY, id NOT NULL UNIQUE, code BLOB NOT NULL,
                   payload TEXT);
"""


class About(NamedTuple):
    """What a file says of itself."""

    n_bits: int
    fingerprint: str | None
    next_slot: int
    removals: int


def open_table(path: str, durability: str) -> sqlite3.Connection:
    """A connection to a store's file, or to one that is still empty.

    Raises:
        FileFormatError: The file is no store, or damaged.
        InvalidParameterError: It can't be opened or written; an unknown durability.
    """
    if durability not in SYNCHRONOUS:
        raise InvalidParameterError(
            f"durability must be one of {', '.join(SYNCHRONOUS)}; got {durability!r}."
        )
    with translated(path):
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            _check_kind(connection, path)
            _log_ahead(connection)
            connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
        except BaseException:
            connection.close()
            raise
    return connection


def _check_kind(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a database of somebody else before anything is written to it."""
    connection.execute("BEGIN")  # one moment of the file: another process may be making it
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    connection.execute("COMMIT")
    if tables and mark != APPLICATION:
        raise FileFormatError(f"{path} is a database, but no store of codes; give another name.")
    if tables and version != FORMAT:
        raise FileFormatError(
            f"{path} is a store of format {version}; this version reads format {FORMAT}."
        )


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log; it stays so.

    SQLite's own timeout doesn't hold for this statement: of two processes that open a new file at
    once, one fails at once. So the waiting is done here.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
        else:
            return


def settle(connection: sqlite3.Connection, opening: Opening) -> About:
    """What the file says of itself; an empty one is made a store first.

    Raises:
        InvalidParameterError: It has codes of another length or of another hasher, or it is new
            and nobody says how long its codes are.
    """
    with transaction(connection, opening.path, write=True):
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            if opening.n_bits is None:
                raise needs_n_bits(opening.path)
            for statement in TABLES.split(";"):
                connection.execute(statement)
            row = (opening.n_bits, opening.fingerprint)
            connection.execute("INSERT INTO about VALUES (?, ?, 1, 0)", row)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        about = read_about(connection)
        empty = connection.execute("SELECT 1 FROM item LIMIT 1").fetchone() is None
        if about.fingerprint is None and opening.fingerprint is not None and empty:
            connection.execute("UPDATE about SET fingerprint = ?", (opening.fingerprint,))
            about = about._replace(fingerprint=opening.fingerprint)
    check_same(opening.path, opening, about.n_bits, about.fingerprint)
    return about


def read_about(connection: sqlite3.Connection) -> About:
    """The one row about the store."""
    row = connection.execute(
        "SELECT n_bits, fingerprint, next_slot, removals FROM about"
    ).fetchone()
    if row is None:
        raise FileFormatError("The store has lost the row about itself; the file is damaged.")
    return About(*row)


@contextmanager
def transaction(
    connection: sqlite3.Connection, path: str, write: bool = False
) -> Iterator[sqlite3.Connection]:
    """All or nothing of what is written in the block; or one moment of the store to read."""
    with translated(path):
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


@contextmanager
def translated(path: str) -> Iterator[None]:
    """SQLite's errors as the library's."""
    try:
        yield
    except IsthmusError:
        raise
    except sqlite3.OperationalError as error:
        folder = os.path.dirname(os.path.abspath(path))
        raise InvalidParameterError(
            f"{path} can't be used: {error}. The folder {folder} must exist and be writable, for "
            "the file and the log beside it, and no other writer may hold it for "
            f"{PATIENCE:.0f} s. Nothing of this call was kept."
        ) from error
    except sqlite3.DatabaseError as error:
        raise FileFormatError(
            f"{path} is no store of codes, or damaged: {error}. Restore it from a copy, or give "
            "another name."
        ) from error


def read_codes(
    connection: sqlite3.Connection, n_bits: int, first: int
) -> Iterator[tuple[list[int], bytes]]:
    """Slots from ``first`` on, rising, and their codes, in parts."""
    rows = connection.execute(
        "SELECT slot, code FROM item WHERE slot >= ? ORDER BY slot", (first,)
    )
    width = n_bytes(n_bits)
    while part := rows.fetchmany(PART):
        slots, codes = zip(*part, strict=True)
        # text would not join, and one of another length would shift all that follow
        if set(map(type, codes)) != {bytes} or set(map(len, codes)) != {width}:
            raise FileFormatError(
                f"The store holds a code that isn't {width} bytes long; the file was edited."
            )
        yield list(slots), b"".join(codes)


def select_in(
    connection: sqlite3.Connection, statement: str, keys: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """Rows of a statement that ends in ``IN``, for any number of keys."""
    for start in range(0, len(keys), AT_ONCE):
        part = keys[start : start + AT_ONCE]
        marks = ", ".join("?" * len(part))
        yield from connection.execute(f"{statement} ({marks})", part).fetchall()
