"""All pairs of codes within a radius, and the clusters that they make.

Cut the bits into r + 1 pieces: r differences can't touch all of them, so two codes within r agree
in one piece at least (the pigeonhole of `ball`). For each piece rows are sorted by its value, and
only those of one value are compared: each with the next, with the one after it, and so on. Where
that would be more work than comparing every row with every other, which is arithmetic on how many
share a value, it is one piece without bits, whose value all rows share.

Memory stays linear in the number of codes, however many pairs there are: pairs come in parts.
A cluster is what pairs connect, and its lowest row stands for it. Equal codes are taken together
first, so that many duplicates cost no more than sorting them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from isthmus.hashing.ball import mixed
from isthmus.hashing.checks import check_count
from isthmus.hashing.codes import Words, as_words, check_codes, check_n_bits, pack
from isthmus.hashing.scan import Distances, Rows, ones_between

BLOCK = 1 << 15  # rows that are compared with their neighbours at once
GATHERED = 1 << 20  # pairs that are joined to clusters at once, or as many as there are codes


class Pairs(NamedTuple):
    """Pairs of rows (p,), ``left`` below ``right``, and their distances (p,)."""

    left: Rows
    right: Rows
    distances: Distances


def close_pairs(codes: ArrayLike, n_bits: int, radius: int) -> Iterator[Pairs]:
    """All pairs of codes within a Hamming distance, each once, in parts.

    Args:
        codes: Packed codes (n, ⌈n_bits / 8⌉), uint8.
        n_bits: Bits of a code, 8 … 4,096.
        radius: The largest distance that counts, 0 or more.

    Returns:
        An iterator of `Pairs`, in no order.

    Raises:
        InvalidDataError: The codes aren't of this length.
        InvalidParameterError: No such number of bits, or a negative radius.
    """
    words = as_words(check_codes(codes, check_n_bits(n_bits)))
    return _pairs(words, n_bits, check_count("radius", radius, 0))


def clusters(codes: ArrayLike, n_bits: int, radius: int) -> Rows:
    """Which codes are near-duplicates of which: connected by pairs within a Hamming distance.

    Args:
        codes: Packed codes (n, ⌈n_bits / 8⌉), uint8.
        n_bits: Bits of a code, 8 … 4,096.
        radius: The largest distance that connects two codes, 0 or more.

    Returns:
        For each code (n,) the lowest row of its cluster; rows that are their own are what remains
        when duplicates are dropped.

    Raises:
        InvalidDataError: The codes aren't of this length.
        InvalidParameterError: No such number of bits, or a negative radius.
    """
    words = as_words(check_codes(codes, check_n_bits(n_bits)))
    first, of = _distinct(words)
    label = np.arange(len(first))
    limit, waiting, n_waiting = max(GATHERED, len(first)), [], 0
    for pairs in _pairs(words[first], n_bits, check_count("radius", radius, 0)):
        new = label[pairs.left] != label[pairs.right]
        waiting.append((pairs.left[new], pairs.right[new]))
        n_waiting += int(new.sum())
        if n_waiting > limit:
            label, waiting, n_waiting = _joined(label, waiting), [], 0
    label = _joined(label, waiting)
    lowest: Rows = first[label][of]
    return lowest


def _distinct(words: Words) -> tuple[Rows, Rows]:
    """The first row of each different code, rising, and for each row which of these it equals."""
    order = np.lexsort(words.T[::-1])
    ordered = words[order]
    begins = np.ones(len(words), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    # a sort that is stable has the lowest row of a code first
    first = order[begins]
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    of = np.empty(len(words), np.int64)
    of[order] = place[np.cumsum(begins) - 1]
    return np.sort(first), of


def _joined(label: Rows, pairs: list[tuple[Rows, Rows]]) -> Rows:
    """For each row the lowest one of its cluster, with these pairs joined."""
    n = len(label)
    left = np.concatenate([np.arange(n), *(each for each, _ in pairs)])
    right = np.concatenate([label, *(each for _, each in pairs)])
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    _, lowest = np.unique(component, return_index=True)
    return np.asarray(lowest[component], np.int64)


def _pairs(words: Words, n_bits: int, radius: int) -> Iterator[Pairs]:
    masks = _masks(n_bits, radius, words.shape[1])
    orders = [_Order(words, mask) for mask in masks] if radius < n_bits else []
    n = len(words)
    if not orders or sum(order.work for order in orders) >= n * (n - 1) // 2:
        masks = masks[:0]
        orders = [_Order(words, np.zeros(words.shape[1], np.uint64))]
    for number, order in enumerate(orders):
        yield from _agreeing(words, order, masks[:number], radius)


def _masks(n_bits: int, radius: int, n_words: int) -> Words:
    """The bits of each of radius + 1 pieces, as words."""
    pieces = np.arange(n_bits) * (min(radius, n_bits - 1) + 1) // n_bits
    bits = pieces == np.arange(pieces[-1] + 1)[:, None]
    return as_words(pack(bits))[:, :n_words]


class _Order:
    """Rows sorted by the value of a piece.

    Args:
        words: Codes (n, w), as words.
        mask: The piece's bits (w,).
    """

    def __init__(self, words: Words, mask: Words) -> None:
        keys = mixed(words & mask)
        self.rows = np.argsort(keys, kind="stable")
        ordered = keys[self.rows]
        ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, len(keys))
        sizes = np.diff(ends, prepend=0)
        self.ends = np.repeat(ends, sizes)  # where the rows of each one's value end
        self.work = int((sizes * (sizes - 1) // 2).sum())


def _agreeing(words: Words, order: _Order, before: Words, radius: int) -> Iterator[Pairs]:
    """Pairs of one value that differ in all pieces before, so that each comes once."""
    rows = order.rows
    for start in range(0, len(rows), BLOCK):
        here = np.arange(start, min(start + BLOCK, len(rows)))
        step = 1
        while len(here := here[here + step < order.ends[here]]):
            left, right = rows[here], rows[here + step]
            between = words[left] ^ words[right]
            distances = ones_between(between)
            near = distances <= radius
            for mask in before:
                near &= (between & mask).any(axis=1)
            if near.any():
                low, high = left[near], right[near]
                yield Pairs(
                    np.minimum(low, high),
                    np.maximum(low, high),
                    distances[near].astype(np.int32),
                )
            step += 1
