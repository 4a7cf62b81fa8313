"""Nearest codes by comparing with each.

A scan reads every code once. At 128 bits a million codes are 16 MB, which a core reads in less
than a millisecond; so an index pays only for many millions, or for small balls (`ball`). Faiss
scans at about that speed and is used where it is installed. Without it NumPy does the same in
blocks that stay in the cache: XOR, count the ones, keep what beats the k-th best so far.

Among equal distances the lowest row comes first, in both ways. In a block only *strictly* nearer
codes can enter, since those that came before have lower rows.
"""

import sys
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.codes import Words

Rows = NDArray[np.int64]
Distances = NDArray[np.int32]

BLOCK = 1 << 15  # rows: their words and distances stay in the second cache
MOST_HEAPED = 1024  # for more neighbours than this a sort beats faiss's heap


def nearest(words: Words, queries: Words, k: int) -> tuple[Distances, Rows]:
    """The k codes with the least Hamming distance to each query.

    Args:
        words: Codes (n, w), as words.
        queries: Codes (m, w).
        k: How many, 1 or more; all n where there are fewer.

    Returns:
        Distances (m, min(k, n)), rising, and the rows of the codes, the lowest first among equals.
    """
    k = min(k, len(words))
    faiss = _faiss()
    if faiss is not None and 0 < k <= MOST_HEAPED and len(queries):
        found = faiss.knn_hamming(_bytes(queries), _bytes(words), k)
        return found[0].astype(np.int32), found[1].astype(np.int64)
    return nearest_numpy(words, queries, k)


def nearest_numpy(words: Words, queries: Words, k: int) -> tuple[Distances, Rows]:
    """`nearest` without faiss."""
    best = [Best(k, np.int32) for _ in queries]
    for start in range(0, len(words) if k else 0, BLOCK):
        block = words[start : start + BLOCK]
        for query, kept in zip(queries, best, strict=True):
            kept.see(hamming(block, query), start)
    return stack(best, k, np.int32)


def in_range(words: Words, query: Words, radius: int) -> tuple[Distances, Rows]:
    """All codes within a Hamming distance of one query.

    Args:
        words: Codes (n, w), as words.
        query: One code (w,).
        radius: The largest distance that counts.

    Returns:
        Distances (m,), rising, and the rows, the lowest first among equals.
    """
    distances, rows = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for start in range(0, len(words), BLOCK):
        each = hamming(words[start : start + BLOCK], query)
        inside = np.flatnonzero(each <= radius)
        distances.append(each[inside].astype(np.int32))
        rows.append(inside + start)
    return in_order(np.concatenate(distances), np.concatenate(rows))


def in_order(distances: Distances, rows: Rows) -> tuple[Distances, Rows]:
    """By distance, and by row among equals."""
    order = np.lexsort((rows, distances))
    return distances[order], rows[order]


def hamming(words: Words, query: Words) -> NDArray[np.uint16]:
    """Hamming distances (n,) of codes (n, w) to one query (w,)."""
    total = _ones(words[:, 0] ^ query[0]).astype(np.uint16)
    for j in range(1, words.shape[1]):
        total += _ones(words[:, j] ^ query[j])
    return total


def ones_between(differences: Words) -> NDArray[np.uint16]:
    """How many bits are 1 in each of n rows of words (n, w)."""
    total = _ones(differences[:, 0]).astype(np.uint16)
    for j in range(1, differences.shape[1]):
        total += _ones(differences[:, j])
    return total


class Best:
    """The k least distances seen so far, and their rows.

    Args:
        k: How many are kept.
        dtype: Of the distances.
    """

    def __init__(self, k: int, dtype: type[np.generic]) -> None:
        self.k = k
        self.distances: NDArray[Any] = np.zeros(0, dtype)
        self.rows: Rows = np.zeros(0, np.int64)

    def see(self, distances: NDArray[Any], start: int) -> None:
        """The next block, whose first row is ``start``."""
        if len(self.rows) == self.k:
            near = np.flatnonzero(distances < self.distances[-1])
        elif len(distances) > self.k:
            near = np.flatnonzero(distances <= np.partition(distances, self.k - 1)[self.k - 1])
        else:
            near = np.arange(len(distances))
        if len(near):
            self._merge(distances[near], near + start)

    def _merge(self, distances: NDArray[Any], rows: Rows) -> None:
        together = np.concatenate([self.distances, distances.astype(self.distances.dtype)])
        # stable: rows come in rising order, so the lowest stay first among equals
        order = np.argsort(together, kind="stable")[: self.k]
        self.distances = together[order]
        self.rows = np.concatenate([self.rows, rows])[order]


def stack(best: list[Best], k: int, dtype: type[np.generic]) -> tuple[NDArray[Any], Rows]:
    """What was kept for each query, as tables (m, k)."""
    if not best:
        return np.zeros((0, k), dtype), np.zeros((0, k), np.int64)
    return np.stack([each.distances for each in best]), np.stack([each.rows for each in best])


def _count_by_table(words: Words) -> NDArray[np.uint8]:
    """The ones of each word, 16 bits at a time: for NumPy before 2.0."""
    parts = np.ascontiguousarray(words).view(np.uint16).reshape(len(words), -1)
    return np.asarray(_table()[parts].sum(axis=1, dtype=np.uint8))


@cache
def _table() -> NDArray[np.uint8]:
    bits = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8)[:, None], axis=1)
    return np.asarray(bits.reshape(1 << 16, 16).sum(axis=1, dtype=np.uint8))


_ones = getattr(np, "bitwise_count", _count_by_table)


def _bytes(words: Words) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words).view(np.uint8)


@cache
def _faiss() -> ModuleType | None:
    """Faiss, if it is installed; loaded when something is searched, not before."""
    try:
        import faiss
    except ImportError:
        return None
    if sys.platform == "darwin":
        # two copies of OpenMP in one process, torch's and this one, crash there
        faiss.omp_set_num_threads(1)
    module: ModuleType = faiss
    return module
