"""Ways to ask for the rows nearest to a query, all seen as tables of distances.

A way knows the distances of some queries to all rows of the base; whatever it leaves out of a
short list is at infinity. Beside it stands how it would be asked in earnest, one query at a time,
for the clock alone.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing import nearest, nearest_weighted, unpack
from isthmus.hashing.codes import as_words

SHORT = 200
TIMED = 50


@dataclass(frozen=True)
class Way:
    """One way to ask.

    Attributes:
        distances: From a slice of the queries to distances (m, n).
        ask: From the number of a query to its answer, as it would be asked; None if unknown.
    """

    distances: Callable[[slice], NDArray]
    ask: Callable[[int], object] | None = None

    def milliseconds(self) -> float | None:
        """Of the processor, for a query."""
        if self.ask is None:
            return None
        self.ask(0)  # whatever is made once
        began = time.process_time()
        for i in range(TIMED):
            self.ask(i)
        return 1e3 * (time.process_time() - began) / TIMED


def by_bits(base: NDArray[np.uint8], queries: NDArray[np.uint8], n_bits: int) -> Way:
    """Hamming distance of codes to codes."""
    words, asked = as_words(base), as_words(queries)
    signs = signs_of(base, n_bits).T
    return Way(
        lambda some: (n_bits - signs_of(queries[some], n_bits) @ signs) / 2,
        lambda i: nearest(words, asked[i : i + 1], 10),
    )


def by_weights(base: NDArray[np.uint8], queries: NDArray, n_bits: int) -> Way:
    """Bits that differ, by how sure a real-valued query is of them."""
    bits = signs_of(base, n_bits).T
    weights = np.asarray(queries, np.float64)
    return Way(
        lambda some: (np.abs(weights[some]).sum(1, keepdims=True) - weights[some] @ bits) / 2,
        lambda i: nearest_weighted(base, weights[i : i + 1], 10),
    )


def by_score(scores: Callable[[slice], NDArray]) -> Way:
    """A scan of all rows by a score, the higher the nearer."""
    return Way(lambda some: -scores(some), lambda i: scores(slice(i, i + 1)))


def by_rows(rows: NDArray[np.int64], n: int) -> Way:
    """Lists of rows, the nearest first, that somebody else gives."""

    def distances(some: slice) -> NDArray:
        table = np.full((len(rows[some]), n), np.inf, np.float32)
        places = np.arange(rows.shape[1], dtype=np.float32)
        np.put_along_axis(table, rows[some], places[None], axis=1)
        return table

    return Way(distances)


def ranked_again(first: Way, scores: Callable[[slice, NDArray], NDArray], short: int) -> Way:
    """A short list by one way, in the order of a score.

    Args:
        first: Gives the short list; equal distances in the order of rows.
        scores: From a slice of the queries and their rows (m, short) to scores (m, short).
        short: The length of the list.
    """

    def distances(some: slice) -> NDArray:
        table = first.distances(some)
        rows = np.argsort(table, axis=1, kind="stable")[:, :short]
        again = np.full(table.shape, np.inf, np.float32)
        np.put_along_axis(again, rows, -scores(some, rows).astype(np.float32), axis=1)
        return again

    return Way(distances)


def signs_of(codes: NDArray[np.uint8], n_bits: int) -> NDArray[np.float32]:
    """Codes as numbers −1 and 1, (n, n_bits)."""
    return 2 * unpack(codes, n_bits).astype(np.float32) - 1


def clock(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and seconds of the processor."""
    began = time.process_time()
    done = work()
    return done, time.process_time() - began
