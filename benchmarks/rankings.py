"""How good a ranking is, where it says nothing about the order of equal distances.

Hamming distances are small whole numbers, so that most places of a ranking are shared. What is
measured is the expectation over all orders of equals, in closed form; no order of rows in a file
and no seed can help. For a bucket of n equals, r of which are relevant, after N rows of which R
are relevant (McSherry and Najork, 2008):

    hits among the first k         R + (k − N) r / n
    Σ precision at relevant rows   Σ_{i=1}^{n} (r/n) (R + 1 + (i − 1)(r − 1)/(n − 1)) / (N + i)
"""

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.codes import Words
from isthmus.hashing.scan import hamming

Floats = NDArray[np.float64]


def expected_hits(distances: NDArray, relevant: NDArray, k: int) -> Floats:
    """How many of the nearest k rows are relevant, on average over the orders of equals.

    Args:
        distances: (m, n), smaller is nearer.
        relevant: Whether each row is, or how likely it is, (m, n).
        k: At most n.

    Returns:
        (m,).
    """
    last = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    nearer, equal = distances < last, distances == last
    share = (equal * relevant).sum(1) / equal.sum(1)
    return (nearer * relevant).sum(1) + (k - nearer.sum(1)) * share


def nearest_ten(distances: NDArray) -> NDArray[np.float32]:
    """How likely each row is among the nearest 10 over the orders of equals, (m, n)."""
    last = np.partition(distances, 9, axis=1)[:, 9:10]
    nearer, equal = distances < last, distances == last
    share = (10 - nearer.sum(1, keepdims=True)) / equal.sum(1, keepdims=True)
    return (nearer + share * equal).astype(np.float32)


def average_precision(counts: NDArray, hits: NDArray, most: int | None = None) -> Floats:
    """Mean precision at the relevant rows among the first ``most``, on average over the orders.

    The denominator is the number of relevant rows that are expected among them.

    Args:
        counts: Rows at each distance, rising, (m, buckets).
        hits: The relevant ones of them, (m, buckets).
        most: The length of the ranking; None for all rows.

    Returns:
        (m,); 0 where nothing relevant is found.
    """
    counts, hits = counts.astype(np.float64), hits.astype(np.float64)
    before, found = np.cumsum(counts, 1) - counts, np.cumsum(hits, 1) - hits
    most = int(counts.sum(1).max()) if most is None else most
    taken = np.clip(most - before, 0, counts)
    # at place i of a bucket: (r/n) (a + c (N + i)) / (N + i)
    slope = np.where(counts > 1, (hits - 1) / np.maximum(counts - 1, 1), 0.0)
    level = found + 1 - slope - slope * before
    share = hits / np.maximum(counts, 1)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, counts.sum(1).max() + 1))])
    steps = harmonic[(before + taken).astype(int)] - harmonic[before.astype(int)]
    total = (share * (slope * taken + level * steps)).sum(1)
    return total / np.maximum((share * taken).sum(1), 1e-300)


def by_distance(
    base: Words, queries: Words, labels: NDArray, wanted: NDArray, n_bits: int
) -> tuple[NDArray, NDArray]:
    """Rows at each Hamming distance from each query, and those that have its label.

    Args:
        base: Codes (n, w), as words.
        queries: Codes (m, w).
        labels: Of the base (n,).
        wanted: Of the queries (m,).
        n_bits: The length of the codes.

    Returns:
        Two tables (m, n_bits + 1).
    """
    counts = np.zeros((len(queries), n_bits + 1), np.int64)
    hits = np.zeros_like(counts)
    groups = {label: base[labels == label] for label in np.unique(wanted)}
    for i, query in enumerate(queries):
        counts[i] = np.bincount(hamming(base, query), minlength=n_bits + 1)
        hits[i] = np.bincount(hamming(groups[wanted[i]], query), minlength=n_bits + 1)
    return counts, hits
