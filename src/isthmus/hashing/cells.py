"""Cells: which codes are near to the same centre, learned from a sample.

A centre has each bit that most codes of its cell have, which makes it the code with the least sum
of Hamming distances to them (k-majority; Grana, Borghesani, Manfredi and Cucchiara, 2013):

    c_j = [Σ_{i in the cell} b_ij > n_cell / 2]

Comparing 10⁷ codes with all of some 4,000 centres takes a minute. So centres come in two levels:
groups, and in each group cells of its own. A code is compared with the centres of all groups, and
then with those of the cells of its two nearest groups: 192 comparisons in place of 4,096.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.ball import mixed
from isthmus.hashing.codes import WORD, Words
from isthmus.hashing.scan import Rows, hamming

Keys = NDArray[np.uint32]
Numbers = NDArray[np.uint16]

TURNS = 10  # of assigning and averaging
PER_CELL = 64  # rows of the sample
BLOCK = 1 << 14  # rows: what is made of them stays in the second cache
AT_ONCE = 1 << 21  # rows that are shared among the groups at once
SHIFT = 16  # a key is a distance, and below it the number of a centre: so the least is both
MOST = 1 << (SHIFT - 1)  # cells that are asked for: rounding makes a few more
FAR = np.uint32((1 << 32) - 1)


class Cells:
    """Centres in two levels.

    Args:
        groups: Centres of the groups (g, w).
        centres: Centres of the cells (c, w), those of one group after another.
        starts: Where the cells of each group start, and where the last ones end (g + 1,).
    """

    def __init__(self, groups: Words, centres: Words, starts: list[int]) -> None:
        self.centres = centres
        self._groups = groups
        self._starts = starts

    def __len__(self) -> int:
        return len(self.centres)

    def of(self, words: Words) -> Numbers:
        """The cell of each code (n, w): the nearest of those of its two nearest groups."""
        parts = range(0, max(1, len(words)), AT_ONCE)
        return np.concatenate([self._of(words[start : start + AT_ONCE]) for start in parts])

    def _of(self, words: Words) -> Numbers:
        best = np.full(len(words), FAR, np.uint32)
        for groups in two_nearest(words, self._groups):
            for group, rows in _members(groups, len(self._groups)):
                first, last = self._starts[group : group + 2]
                keys = nearest_keys(words[rows], self.centres[first:last], first)
                best[rows] = np.minimum(best[rows], keys)
        return _numbers(best)


def learn(words: Words, n_cells: int) -> Cells:
    """Cells of codes (n, w), n ≥ 1, from a sample of them, the same one each time.

    Args:
        words: Codes.
        n_cells: About how many, 1 … `MOST`; fewer where few codes differ.
    """
    rng = np.random.default_rng(0)
    sample = _distinct(_some(words, PER_CELL * n_cells, rng))
    n_groups = round(n_cells**0.5)
    few = _some(sample, PER_CELL**2 * n_groups, rng)
    groups, centres, starts = majorities(few, n_groups, rng), [], [0]
    for _, rows in _members(_numbers(nearest_keys(sample, groups)), len(groups)):
        share = max(1, round(n_cells * len(rows) / len(sample)))
        centres.append(majorities(sample[rows], share, rng))
        starts.append(starts[-1] + len(centres[-1]))
    return Cells(groups, np.concatenate(centres), starts)


def majorities(words: Words, n: int, rng: np.random.Generator) -> Words:
    """At most n centres (n, w) of codes; those to which no code is nearest are left out."""
    centres = words[np.sort(rng.permutation(len(words))[:n])]
    for _ in range(TURNS):
        centres = _averaged(words, _numbers(nearest_keys(words, centres)))
    return centres


def _averaged(words: Words, cells: Numbers) -> Words:
    """The bits that most codes of each cell have; cells without codes are left out."""
    order = np.argsort(cells, kind="stable")
    counts = np.bincount(cells)
    counts = counts[counts > 0]
    starts = np.cumsum(counts) - counts
    # 8 bits are added at once as the bytes of a word, which hold 255 rows
    runs = np.unique(np.concatenate([starts, np.arange(0, len(words), 255)]))
    firsts = np.searchsorted(runs, starts)
    centres = np.zeros((len(counts), words.shape[1]), np.uint64)
    for j in range(words.shape[1]):
        column = np.ascontiguousarray(words[order, j]).view(np.uint8).reshape(-1, WORD)
        bits = np.unpackbits(column, axis=1).view(np.uint64)
        part = np.add.reduceat(bits, runs, axis=0).view(np.uint8)
        ones = np.add.reduceat(part, firsts, axis=0, dtype=np.int32)
        centres[:, j] = np.packbits(2 * ones > counts[:, None], axis=1).view(np.uint64)[:, 0]
    return centres


def nearest_keys(words: Words, centres: Words, first: int = 0) -> Keys:
    """For each code (n, w) its least distance to a centre, and that centre's number, as one key.

    Args:
        words: Codes.
        centres: Centres (c, w).
        first: The number of the first one.
    """
    found = []
    for block in _blocks(words):
        least = np.full(len(block), FAR, np.uint32)
        for key in _keys(block, centres, first):
            np.minimum(least, key, out=least)
        found.append(least)
    return np.concatenate(found)


def two_nearest(words: Words, centres: Words) -> tuple[Numbers, ...]:
    """The numbers of the two centres that are nearest to each code; of the only one, if it is."""
    found = []
    for block in _blocks(words):
        one, two = np.full((2, len(block)), FAR, np.uint32)
        for key in _keys(block, centres, 0):
            np.minimum(two, np.maximum(one, key), out=two)
            np.minimum(one, key, out=one)
        found.append((_numbers(one), _numbers(two))[: len(centres)])
    return tuple(map(np.concatenate, zip(*found, strict=True)))


def _blocks(words: Words) -> Iterator[Words]:
    """One word of all codes of a block after another, as they are compared."""
    for start in range(0, max(1, len(words)), BLOCK):
        yield np.asfortranarray(words[start : start + BLOCK])


def _keys(block: Words, centres: Words, first: int) -> Iterator[Keys]:
    """The keys of all codes for each centre."""
    for number, centre in enumerate(centres, first):
        key = hamming(block, centre).astype(np.uint32)
        key <<= SHIFT
        key |= number
        yield key


def _numbers(keys: Keys) -> Numbers:
    return keys.astype(np.uint16)  # what is below the distance


def _members(numbers: Numbers, n: int) -> Iterator[tuple[int, Rows]]:
    """Each of n numbers that occurs, and its rows, rising."""
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=n))
    for number, rows in enumerate(np.split(order, ends[:-1])):
        if len(rows):
            yield number, rows


def _some(words: Words, n: int, rng: np.random.Generator) -> Words:
    """At most n of the codes, in their order."""
    if len(words) <= n:
        return words
    return words[np.unique(rng.integers(0, len(words), n))]


def _distinct(words: Words) -> Words:
    """Codes that differ, in their order: duplicates teach nothing about where to cut."""
    _, first = np.unique(mixed(words), return_index=True)
    return words[np.sort(first)]
