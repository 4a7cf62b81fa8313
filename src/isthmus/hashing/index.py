"""What an index is: how the nearest codes of a file are found among those in memory.

`Scan` compares a query with all codes, and is exact. `Inverted` (`inverted`) looks at a part.
Both take `Queries`, bits or real numbers, which know how far codes are from each of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.codes import Codes, Words, as_words
from isthmus.hashing.scan import Rows, hamming, nearest
from isthmus.hashing.weighted import Floats, nearest_weighted, weighted_measure

Near = tuple[NDArray[Any], Rows]
Measure = Callable[[Words], NDArray[Any]]


class Queries(ABC):
    """What is searched for."""

    kind: type[np.generic]  # of distances
    spread = 1.0  # over how many more cells neighbours lie than those of bits

    @abstractmethod
    def scan(self, words: Words, k: int) -> Iterator[Near]:
        """For each query its k nearest codes of all (n, w): distances, rising, and rows."""

    @abstractmethod
    def measures(self) -> Iterator[Measure]:
        """For each query what measures its distances (n,) to codes (n, w)."""


class Bits(Queries):
    """Packed codes (m, n_bytes)."""

    kind = np.int32

    def __init__(self, codes: Codes) -> None:
        self._words = as_words(codes)

    def scan(self, words: Words, k: int) -> Iterator[Near]:
        """By Hamming distance."""
        return zip(*nearest(words, self._words, k), strict=True)

    def measures(self) -> Iterator[Measure]:
        """Hamming distances."""
        return (partial(hamming, query=query) for query in self._words)


class Weights(Queries):
    """Real numbers (m, n_bits)."""

    kind = np.float64
    spread = 2.0

    def __init__(self, weights: Floats) -> None:
        self._weights = weights

    def scan(self, words: Words, k: int) -> Iterator[Near]:
        """By weighted Hamming distance."""
        return zip(*nearest_weighted(words.view(np.uint8), self._weights, k), strict=True)

    def measures(self) -> Iterator[Measure]:
        """Weighted Hamming distances."""
        return map(weighted_measure, self._weights)


class Index(ABC):
    """How nearest codes are found."""

    exact: bool

    @abstractmethod
    def nearest(
        self, words: Words, queries: Queries, k: int, fitting: Rows | None
    ) -> Iterator[Near]:
        """The k nearest codes of each query.

        Args:
            words: All codes (n, w): those of the last time, without what was removed, and then
                those that are new.
            queries: What is searched for.
            k: How many, 1 or more; fewer are given where fewer fit.
            fitting: The rows that may be found, rising; None for all.

        Returns:
            Distances, rising, and rows, the lowest first among equals.
        """

    @abstractmethod
    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Codes were removed: of all there were (n,), which are still there."""


class Scan(Index):
    """Comparing with each code."""

    exact = True

    def nearest(
        self, words: Words, queries: Queries, k: int, fitting: Rows | None
    ) -> Iterator[Near]:
        """All true neighbours."""
        if fitting is None:
            return queries.scan(words, k)
        return ((distances, fitting[rows]) for distances, rows in queries.scan(words[fitting], k))

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Nothing is derived from the codes."""
