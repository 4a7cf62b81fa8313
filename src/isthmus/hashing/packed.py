"""The codes of a store in memory: one matrix of words, in the order of slots.

It has room for more rows than it holds, so that adding is cheap. Removed rows are only noted; the
next search closes the gaps in one pass, once for a burst of removals. Rows keep their order, so
the lowest row among equals is the one that was written first.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.codes import WORD, Codes, Words, as_words, n_bytes
from isthmus.hashing.scan import Rows

GROWTH = 1.25


class Packed:
    """Codes (n, w) as words, and their slots (n,), rising.

    Args:
        n_bits: How many bits each code has.
        on_gaps: Told of every row (n,), before gaps are closed, whether it stays.
    """

    def __init__(
        self, n_bits: int, on_gaps: Callable[[NDArray[np.bool_]], None] = lambda kept: None
    ) -> None:
        self._on_gaps = on_gaps
        self._words = np.zeros((0, -(-n_bytes(n_bits) // WORD)), np.uint64)
        self._slots: Rows = np.zeros(0, np.int64)
        self._n = 0
        self._removed: list[Rows] = []

    @property
    def words(self) -> Words:
        """The codes, without gaps."""
        self._close_gaps()
        return self._words[: self._n]

    @property
    def slots(self) -> Rows:
        """Their slots."""
        self._close_gaps()
        return self._slots[: self._n]

    def append(self, slots: Rows, codes: Codes) -> None:
        """Codes whose slots are above all that are here."""
        self._close_gaps()
        end = self._n + len(slots)
        if end > len(self._slots):
            room = max(end, int(GROWTH * self._n))
            words, numbers = np.zeros((room, self._words.shape[1]), np.uint64), np.zeros(room, int)
            words[: self._n], numbers[: self._n] = self._words[: self._n], self._slots[: self._n]
            self._words, self._slots = words, numbers
        self._words[self._n : end] = as_words(codes)
        self._slots[self._n : end] = slots
        self._n = end

    def remove(self, slots: NDArray[np.int64]) -> None:
        """Forget these slots, all of which are here."""
        if len(slots):
            self._removed.append(slots)

    def keep(self, slots: NDArray[np.int64]) -> None:
        """Forget all slots but these."""
        self.remove(np.setdiff1d(self.slots, slots, assume_unique=True))

    def _close_gaps(self) -> None:
        if not self._removed:
            return
        gone = np.searchsorted(self._slots[: self._n], np.concatenate(self._removed))
        kept = np.ones(self._n, dtype=bool)
        kept[gone] = False
        self._on_gaps(kept)
        n = int(kept.sum())
        self._words[:n] = self._words[: self._n][kept]
        self._slots[:n] = self._slots[: self._n][kept]
        self._n, self._removed = n, []
