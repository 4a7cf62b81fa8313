"""All codes within a radius, without reading all codes.

    Σ_{i ≤ r} C(n_bits, i)   codes lie within r of a query: flip its bits and look each one up.

That is 2,081 at 64 bits and r = 2, but 43,745 at r = 3; and look-ups beat a scan only while they
are few. Beyond, cut the code into pieces of 16 bits: r flips can't touch r + 1 pieces, so whatever
lies within r agrees with the query in one of the first r + 1 at least (multi-index hashing;
Norouzi, Punjani and Fleet, 2012). That needs r below the number of pieces, and pieces that few
codes share. Otherwise all codes are compared.

Which of the three it is is arithmetic on counts that are known before anything is looked up; the
answer is the same. Sorting costs what some tens of scans do, so it is done only after that many
queries were scanned. Codes that are added later are few at first: they are scanned beside what is
sorted, until an eighth is new.

The costs are those of 10⁶ clustered codes on one core, and they differ between machines: at 64
bits a flip looked up was 50 to 70 codes compared, a candidate of the pieces 90 to 140, a sort 90
scans; at 128 bits a sort was 40 (`benchmarks/store.py --costs`).
"""

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.codes import Words
from isthmus.hashing.scan import Distances, Rows, hamming, in_order, in_range

MOST_FLIPS = 3000  # look-ups of one query
LOOK_UP = 60  # a look-up costs what comparing so many codes does
CANDIDATE = 100  # and a candidate of the pieces, which lies anywhere in memory, so many
PATIENCE = 30  # queries that are scanned before anything is sorted
FEW = 8  # an index holds while one code in so many, or fewer, is newer than it
PIECE = 16  # bits


class Ball:
    """Codes that are asked for balls again and again; made anew when some are removed.

    Args:
        words: Codes (n, w), as words.
        n_bits: How many bits each has.
    """

    def __init__(self, words: Words, n_bits: int) -> None:
        self.words = words
        self.n_bits = n_bits
        self._asked = 0
        self._n = len(words)  # so many are sorted, once any are
        self._keys: tuple[Words, Rows] | None = None
        self._pieces: list[tuple[Rows, NDArray[np.int32]]] = []  # where values start; order

    def within(self, query: Words, radius: int) -> tuple[Distances, Rows]:
        """All codes within a Hamming distance of one query (w,).

        Returns:
            Distances (m,), rising, and the rows, the lowest first among equals.
        """
        way = self.way(query, radius)
        if way == "scan":
            return in_range(self.words, query, radius)
        rows = self._flipped(query, radius) if way == "flips" else self._alike(query, radius)
        # different codes may have one key, and a row may share several pieces
        rows = np.append(np.unique(rows), np.arange(self._n, len(self.words)))
        distances = hamming(self.words[rows], query).astype(np.int32)
        inside = distances <= radius
        return in_order(distances[inside], rows[inside])

    def grow(self, words: Words) -> None:
        """Take codes that begin with those that were here."""
        self.words = words
        if len(words) - self._n > self._n // FEW:
            self._n, self._keys, self._pieces = len(words), None, []

    def way(self, query: Words, radius: int) -> str:
        """How this query is answered: ``"flips"``, ``"pieces"`` or ``"scan"``."""
        flips = n_flips(self.n_bits, radius)
        by_flips = flips <= MOST_FLIPS and flips * LOOK_UP < self._n
        by_pieces = not by_flips and radius < -(-self.n_bits // PIECE)
        if not (by_flips or by_pieces):
            return "scan"
        self._asked += 1
        if self._asked <= PATIENCE:
            return "scan"
        if by_flips:
            return "flips"
        found = sum(stop - start for _, start, stop in self._shared(query, radius))
        return "pieces" if found * CANDIDATE < len(self.words) else "scan"

    def _flipped(self, query: Words, radius: int) -> Rows:
        """Rows whose key is that of a code within the radius."""
        if self._keys is None:
            keys = mixed(self.words[: self._n])
            order = np.argsort(keys)
            self._keys = keys[order], order
        keys, order = self._keys
        probes = np.sort(mixed(query ^ flips(self.n_bits, radius, len(query))))
        first = np.searchsorted(keys, probes)
        first = first[keys[np.minimum(first, len(keys) - 1)] == probes]
        last = np.searchsorted(keys, keys[first], side="right")
        return _gather(order, list(zip(first, last, strict=True)))

    def _alike(self, query: Words, radius: int) -> Rows:
        """Rows that agree with the query in one of the first radius + 1 pieces."""
        found = [order[start:stop] for order, start, stop in self._shared(query, radius)]
        return np.concatenate(found).astype(np.int64)

    def _shared(self, query: Words, radius: int) -> list[tuple[NDArray[np.int32], int, int]]:
        """Per piece the rows in the order of its values, and where the query's begin and end."""
        parts = np.ascontiguousarray(query).view(np.uint16)
        while len(self._pieces) <= radius:
            column = self.words[: self._n].view(np.uint16)[:, len(self._pieces)]
            starts = np.zeros((1 << PIECE) + 1, np.int64)
            np.cumsum(np.bincount(column, minlength=1 << PIECE), out=starts[1:])
            order = np.argsort(column, kind="stable").astype(np.int32)
            self._pieces.append((starts, order))
        return [
            (order, int(starts[part]), int(starts[int(part) + 1]))
            for part, (starts, order) in zip(parts, self._pieces[: radius + 1], strict=False)
        ]


def n_flips(n_bits: int, radius: int) -> int:
    """How many codes lie within a radius, counted until it is too many."""
    total = 0
    for i in range(min(radius, n_bits) + 1):
        total += comb(n_bits, i)
        if total > MOST_FLIPS:
            break
    return total


@lru_cache(maxsize=4)
def flips(n_bits: int, radius: int, n_words: int) -> Words:
    """All patterns (f, n_words) of at most ``radius`` ones among n_bits."""
    single = np.zeros((n_bits, n_words * 8), np.uint8)
    single[np.arange(n_bits), np.arange(n_bits) // 8] = 1 << (7 - np.arange(n_bits) % 8)
    one = single.view(np.uint64)
    found = [np.zeros((1, n_words), np.uint64)]
    for i in range(1, min(radius, n_bits) + 1):
        chosen = np.array(list(combinations(range(n_bits), i)))
        found.append(np.bitwise_xor.reduce(one[chosen], axis=1))
    return np.concatenate(found)


def mixed(words: Words) -> Words:
    """One number per code: the code itself where it is one word, else a mixture of its words."""
    # odd factors, so that each word alone can be told from its product
    factors = np.array([pow(0x9E3779B97F4A7C15, j, 1 << 64) for j in range(words.shape[1])])
    total: Words = (words * factors.astype(np.uint64)).sum(axis=1, dtype=np.uint64)
    return total


def _gather(order: Rows, spans: list[tuple[int, int]]) -> Rows:
    found = [order[start:stop] for start, stop in spans]
    return np.concatenate(found) if found else np.zeros(0, np.int64)
