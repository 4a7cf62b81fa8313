"""An inverted file: codes by cell, so that a search compares those of the nearest cells only.

About 1.3 √n cells are learned (`cells`), and a copy of the codes lies in memory cell by cell. A
search compares the query with all centres, and then with the codes of the `probes` nearest cells.
What it looks at it orders exactly, the lowest row first among equals; what lies in other cells it
misses.

The more neighbours are wanted, the more cells they lie in. So cells are added until they hold 300
codes for each one that is wanted; where that would be half of all, all are compared. Neighbours of
which only a share s fits a filter are farther away: then `probes` / √s cells are looked at. For a
real-valued query it is twice as many: its neighbours may differ in bits that weigh little.

Cells are learned from the first codes, up to one of a fixed series of numbers, and anew when the
next of these is reached or half of the codes they were learned from are gone. So a store that only
grew has the same cells however often it was opened in between.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.hashing.cells import MOST, Numbers, learn
from isthmus.hashing.codes import Words
from isthmus.hashing.index import Index, Near, Queries, Scan
from isthmus.hashing.scan import BLOCK, Rows

PROBES = 64
FEW = 1 << 18  # codes: so many are compared about as fast as they are looked up
PER_ROOT = 1.3  # cells for each √n
ENOUGH = 300  # codes that are looked at for each that is wanted
PART_OF = 2  # where that is one code in so many, or more, all are compared
GROWTH = 1.25  # until cells are learned anew
NEW = 32  # lists are made anew when one code in so many is newer than they are


class Part(NamedTuple):
    """Codes (m, w) of some cells, and what gives the rows of some of them."""

    codes: Words
    rows: Callable[[Rows], Rows]


class View(NamedTuple):
    """The codes that may be found: sizes of their cells (c,), and the codes of some cells."""

    sizes: Rows
    parts: Callable[[Rows], Iterator[Part]]


class Inverted(Index):
    """Comparing with the codes of the nearest cells.

    Args:
        probes: Of how many cells, 1 or more.
    """

    exact = False

    def __init__(self, probes: int = PROBES) -> None:
        self._probes = probes
        self._scan = Scan()
        self._file: InvertedFile | None = None

    def nearest(
        self, words: Words, queries: Queries, k: int, fitting: Rows | None
    ) -> Iterator[Near]:
        """True neighbours among few codes; among many, those in the cells that are probed."""
        n = len(words) if fitting is None else len(fitting)
        if n <= max(FEW, PART_OF * ENOUGH * k):
            yield from self._scan.nearest(words, queries, k, fitting)
            return
        file = self._followed(words)
        view = file.all(words) if fitting is None else file.some(words, fitting)
        probes = round(self._probes * queries.spread * (len(words) / n) ** 0.5)
        for measure in queries.measures():
            cells = probed(measure(file.centres), view.sizes, probes, ENOUGH * k)
            best = Nearest(k)
            for codes, rows in view.parts(cells):
                best.see(measure(codes), rows)
            yield best.distances.astype(queries.kind), best.rows

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """The file is left without what was removed."""
        file = self._taken()
        if file is not None:
            file.keep(kept)
        self._file = file

    def _taken(self) -> "InvertedFile | None":
        """The file, of which nothing remains here: so one that is half changed is never asked."""
        file, self._file = self._file, None
        return file

    def _followed(self, words: Words) -> "InvertedFile":
        """The file of all codes, made or learned anew when that is due."""
        file = self._taken()
        if file is None or file.is_worn(len(words)):
            file = None  # two at once would be much memory
            file = InvertedFile(words)
        file.follow(words)
        self._file = file
        return file


class InvertedFile:
    """Codes (n, w) in their cells, which are learned from them.

    Lists hold rows and codes, one cell after another. Codes that are added have a cell at once,
    but are put into the lists only when they have become many.

    Args:
        words: At least one code.
    """

    def __init__(self, words: Words) -> None:
        self._n_learned, self._n_gone = milestone(len(words)), 0
        n_cells = min(MOST, round(PER_ROOT * self._n_learned**0.5))
        self._cells = learn(words[: self._n_learned], n_cells)
        self._of: Numbers = self._cells.of(words)
        self._sizes: Rows
        self._starts: Rows
        self._rows: NDArray[np.int32]
        self._codes: Words
        self._list(words)

    @property
    def centres(self) -> Words:
        """Centres of the cells (c, w)."""
        return self._cells.centres

    def is_worn(self, n: int) -> bool:
        """Whether cells should be learned anew, for n codes."""
        return milestone(n) > self._n_learned or 2 * self._n_gone > self._n_learned

    def follow(self, words: Words) -> None:
        """Take codes that begin with those that are here."""
        if len(words) > len(self._of):
            new = self._cells.of(words[len(self._of) :])
            self._of = np.concatenate([self._of, new])
            self._sizes += np.bincount(new, minlength=len(self._sizes))
        if NEW * (len(words) - len(self._rows)) > len(words):
            self._list(words)

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Only some of the rows are still there; they are counted anew."""
        kept = kept[: len(self._of)]
        self._n_gone += len(kept) - int(kept.sum())
        self._of = self._of[kept]
        self._sizes = np.bincount(self._of, minlength=len(self._sizes))
        listed = kept[self._rows]
        self._rows = (np.cumsum(kept, dtype=np.int32) - 1)[self._rows[listed]]
        self._codes = self._codes[listed]
        self._starts = np.concatenate([[0], np.cumsum(listed)])[self._starts]

    def all(self, words: Words) -> View:
        """All codes."""
        n = len(self._rows)
        newer = _sifted(words, np.arange(n, len(words)), self._of[n:], len(self._cells))

        def parts(cells: Rows) -> Iterator[Part]:
            held = np.cumsum(self._starts[cells + 1] - self._starts[cells])
            for some in np.split(cells, np.flatnonzero(np.diff(held // BLOCK)) + 1):
                yield self._listed(some)
            yield from newer(cells)

        return View(self._sizes, parts)

    def some(self, words: Words, fitting: Rows) -> View:
        """Those of some rows, rising."""
        of, n_cells = self._of[fitting], len(self._cells)
        return View(np.bincount(of, minlength=n_cells), _sifted(words, fitting, of, n_cells))

    def _listed(self, cells: Rows) -> Part:
        """Codes of some cells, one cell after another."""
        starts, stops = self._starts[cells], self._starts[cells + 1]
        ends = np.cumsum(stops - starts)

        def rows(places: Rows) -> Rows:
            cell = np.searchsorted(ends, places, side="right")
            listed: Rows = self._rows[places - ends[cell] + stops[cell]].astype(np.int64)
            return listed

        spans = zip(starts.tolist(), stops.tolist(), strict=True)
        return Part(np.concatenate([self._codes[start:stop] for start, stop in spans]), rows)

    def _list(self, words: Words) -> None:
        """Put all codes into the lists."""
        counts = np.bincount(self._of, minlength=len(self._cells))
        self._sizes = counts
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._rows = np.argsort(self._of, kind="stable").astype(np.int32)
        self._codes = words[self._rows]


def probed(distances: NDArray[Any], sizes: Rows, probes: int, enough: int) -> Rows:
    """The nearest cells: so many, or as many as hold enough codes."""
    order = np.argsort(distances, kind="stable")
    return order[: max(probes, int(np.searchsorted(np.cumsum(sizes[order]), enough)) + 1)]


def milestone(n: int) -> int:
    """The largest number of a fixed series up to n; n itself below its first."""
    reached = FEW
    while (following := int(reached * GROWTH) + 1) <= n:
        reached = following
    return min(reached, n)


class Nearest:
    """The k nearest of the codes seen so far, the lowest row first among equals.

    Args:
        k: How many are kept.
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self.distances: NDArray[Any] = np.zeros(0, np.uint16)
        self.rows: Rows = np.zeros(0, np.int64)

    def see(self, distances: NDArray[Any], rows: Callable[[Rows], Rows]) -> None:
        """More codes, in any order; ``rows`` gives the rows of some of them."""
        if len(self.rows) == self._k:
            near = np.flatnonzero(distances <= self.distances[-1])
        elif len(distances) > self._k:
            # the first are those of the nearest cell: their k-th best is nearly that of all
            head = distances[: max(self._k, len(distances) // 16)]
            near = np.flatnonzero(distances <= np.partition(head, self._k - 1)[self._k - 1])
        else:
            near = np.arange(len(distances))
        if len(near):
            self._merge(distances[near], rows(near))

    def _merge(self, distances: NDArray[Any], rows: Rows) -> None:
        together = np.concatenate([self.distances, distances])
        rows = np.concatenate([self.rows, rows])
        order = np.lexsort((rows, together))[: self._k]
        self.distances, self.rows = together[order], rows[order]


def _sifted(
    words: Words, rows: Rows, cells: Numbers, n_cells: int
) -> Callable[[Rows], Iterator[Part]]:
    """What picks of rows (m,), which are in cells (m,), those that are in some cells."""

    def parts(chosen: Rows) -> Iterator[Part]:
        is_chosen = np.zeros(n_cells, bool)
        is_chosen[chosen] = True
        picked = rows[is_chosen[cells]]
        for start in range(0, len(picked), BLOCK):
            part = picked[start : start + BLOCK]
            yield Part(words[part], part.__getitem__)

    return parts
