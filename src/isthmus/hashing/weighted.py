"""Real-valued queries against bits.

    d(q, b) = Σ_j |q_j| [b_j ≠ (q_j > 0)] = ½ Σ_j (|q_j| − q_j s_j) ,     s_j = 2 b_j − 1

An encoder knows more of its query than the bits say: how near each unit was to its threshold. With
q_j the logit of unit j, d is −log p(b | x) but for a constant: the nearest code is the likeliest.
With q_j = ±1 it is the Hamming distance. Nothing but the base's bits is stored (the asymmetric
distance of Jégou, Douze and Schmid, 2011).

All 256 values of a byte have their part of the sum in a table of the query, so that a code costs
one look-up a byte. The parts are added in one fixed order: equal codes are equally far.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.codes import Codes, Words
from isthmus.hashing.scan import BLOCK, Best, Rows, stack

Floats = NDArray[np.float64]

_BITS_OF_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)  # (256, 8)


def nearest_weighted(codes: Codes, queries: Floats, k: int) -> tuple[Floats, Rows]:
    """The k codes with the least weighted distance to each real-valued query.

    Args:
        codes: Packed codes (n, b); columns beyond the queries' bits may follow and don't count.
        queries: Finite numbers (m, n_bits): positive where a bit is rather 1, and the larger the
            surer.
        k: How many, 1 or more; all n where there are fewer.

    Returns:
        Distances (m, min(k, n)), rising, and the rows of the codes, the lowest first among equals.
    """
    k = min(k, len(codes))
    tables = [_tables(query) for query in queries]
    best = [Best(k, np.float64) for _ in queries]
    for start in range(0, len(codes) if k else 0, BLOCK):
        # one byte of all codes after another, as they are looked up
        columns = np.ascontiguousarray(codes[start : start + BLOCK].T)
        for table, kept in zip(tables, best, strict=True):
            kept.see(_distances(columns, table), start)
    return stack(best, k, np.float64)


def weighted_measure(query: Floats) -> Callable[[Words], Floats]:
    """What measures the weighted distances (n,) of codes (n, w) to one query (n_bits,)."""
    tables = _tables(query)

    def measured(words: Words) -> Floats:
        codes = words.view(np.uint8)
        blocks = (codes[start : start + BLOCK] for start in range(0, max(1, len(codes)), BLOCK))
        return np.concatenate([_distances(np.ascontiguousarray(b.T), tables) for b in blocks])

    return measured


def _tables(query: Floats) -> Floats:
    """The part of the distance that each byte (b,) has at each of its values (256,)."""
    padded = np.zeros(-(-len(query) // 8) * 8)
    padded[: len(query)] = query
    size, sign = np.abs(padded).reshape(-1, 1, 8), (padded > 0).reshape(-1, 1, 8)
    parts: Floats = (size * (sign != _BITS_OF_BYTES)).sum(axis=2)
    return parts


def _distances(columns: Codes, tables: Floats) -> Floats:
    total = np.zeros(columns.shape[1])
    for column, table in zip(columns, tables, strict=False):
        total += table[column]
    return total
