"""The rows that are compared on: drawn from data of any size, and divided.

Rows are drawn at random where there are more than are wanted, in one pass over data that don't
fit in memory. They stay what the user gave: a frame, an array of images, a sparse matrix.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.dependencies import is_into_dataframe
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError, UnsupportedTypeError
from isthmus.analysis.labels import shared_order, take
from isthmus.data import SchemaBuilder, as_matrix, check_finite, is_source
from isthmus.data.columns import without
from isthmus.data.convert import is_record_batch
from isthmus.data.sources import all_pieces, open_source
from isthmus.estimators.tables import is_frame

Index = NDArray[np.intp]
LEAST_ROWS = 10
TEST_PART, VALIDATION_PART = 0.3, 0.1


@dataclass(frozen=True)
class Drawn:
    """Rows in memory.

    Attributes:
        rows: As the user gave them.
        index: Their numbers in the data, (n,).
        n_given: How many rows the data have.
    """

    rows: Any
    index: Index
    n_given: int


@dataclass(frozen=True)
class Parts:
    """Who learns, who chooses and who is measured: numbers of rows.

    Attributes:
        learn: All rows that representations learn from, with and without labels.
        train: Those among them that have labels.
        validation: Rows that choose the classifier of each representation.
        test: Rows that nothing is chosen by.
    """

    learn: Index
    train: Index
    validation: Index
    test: Index


def draw_rows(X: Any, n_most: int, seed: int, drop: Sequence[str] = ()) -> Drawn:
    """At most so many rows, each as likely as any other, in the order of the data.

    All rows are looked at, so that what is wrong with one is told by its own number.

    Args:
        X: An array (n, …), a sparse matrix, a frame, a tensor, or a source that is read in
            pieces, as `Autoencoder.fit` takes them.
        n_most: How many.
        seed: Of the draw.
        drop: Columns that are left out.

    Raises:
        InvalidDataError: Fewer than 10 rows, an infinite cell, or one column of several kinds.
        InvalidParameterError: A column to be left out isn't there.
        UnsupportedTypeError: Data that have no rows.
    """
    source = X if is_source(X) else None if isinstance(X, np.ndarray) else open_source(X)
    rng = np.random.default_rng(seed)
    if source is not None:
        pieces = (without(as_table(piece), drop) for piece in all_pieces(source))
        drawn = _from_pieces(pieces, n_most, rng)
    else:
        rows = without(_in_memory(X), drop)
        _Watch().check(rows)
        n = int(rows.shape[0])
        index = np.arange(n) if n <= n_most else np.sort(rng.choice(n, n_most, replace=False))
        drawn = Drawn(rows if n <= n_most else take(rows, index), index, n)
    if len(drawn.index) < LEAST_ROWS:
        raise InvalidDataError(
            f"There are {len(drawn.index)} rows, too few to learn from some and to measure on "
            f"others; give at least {LEAST_ROWS}."
        )
    return drawn


def as_table(X: Any) -> Any:
    """An Arrow record batch as a table, which can be taken apart; other rows as they are."""
    if not is_record_batch(X):
        return X
    import pyarrow as pa

    return pa.Table.from_batches([X])


def _in_memory(X: Any) -> Any:
    X = as_table(X)
    if is_into_dataframe(X) or hasattr(X, "shape"):
        return X.numpy(force=True) if hasattr(X, "detach") else X
    array = np.asarray(X)
    if array.ndim < 2:
        raise UnsupportedTypeError(
            f"X must be rows of numbers, images or a frame; got {type(X).__name__} of shape "
            f"{array.shape}."
        )
    return array


class _Watch:
    """Looks at parts of the rows, one after the other, for cells that no model reads."""

    def __init__(self) -> None:
        self._columns = SchemaBuilder()
        self._n_rows = 0

    def check(self, part: Any) -> None:
        """Refuse an infinite cell, and of a frame a column of several kinds, by its row."""
        if is_frame(part):
            self._columns.add(part)
        else:
            matrix = replace(as_matrix(part), first_row=self._n_rows or None)
            check_finite(matrix, missing=True)
        self._n_rows += int(part.shape[0])


def _from_pieces(parts: Iterator[Any], n_most: int, rng: np.random.Generator) -> Drawn:
    """The rows with the smallest of random keys, of which no more than needed are kept."""
    pieces: list[Any] = []
    keys, numbers = np.empty(0), np.empty(0, np.intp)
    n, watch = 0, _Watch()
    for piece in parts:
        watch.check(piece)
        size = int(piece.shape[0])
        fresh = rng.uniform(size=size)
        limit = np.partition(keys, n_most - 1)[n_most - 1] if len(keys) >= n_most else 1.0
        chosen = np.flatnonzero(fresh < limit)
        pieces.append(take(piece, chosen))
        keys = np.append(keys, fresh[chosen])
        numbers = np.append(numbers, n + chosen)
        n += size
    kept = np.sort(np.argsort(keys, kind="stable")[:n_most])
    rows = _joined(pieces)
    return Drawn(take(rows, kept) if len(kept) < len(keys) else rows, numbers[kept], n)


def _joined(pieces: Sequence[Any]) -> Any:
    if not pieces:
        raise InvalidDataError("The data have no rows.")
    if is_into_dataframe(pieces[0]):
        frames = [nw.from_native(piece, eager_only=True) for piece in pieces]
        return nw.concat(frames, how="vertical").to_native()
    return np.concatenate([np.asarray(piece) for piece in pieces])


def divide(n: int, classes: NDArray[np.intp] | None, known: NDArray[np.bool_], seed: int) -> Parts:
    """Rows with labels in three parts, in each of which every class has its share.

    Args:
        n: How many rows there are.
        classes: The class of each row, (n,); None where there are none.
        known: Which rows have a label, (n,). Without labels there are two parts.
        seed: Of the order.
    """
    labelled, others = np.flatnonzero(known), np.flatnonzero(~known)
    rng = np.random.default_rng(seed)
    if not len(labelled):
        order = rng.permutation(n)
        n_test = max(1, round(TEST_PART * n))
        empty = np.empty(0, np.intp)
        return Parts(np.sort(order[n_test:]), empty, empty, np.sort(order[:n_test]))
    kinds = None if classes is None else classes[labelled]
    order = labelled[shared_order(kinds, len(labelled), rng)]
    n_test = max(1, round(TEST_PART * len(order)))
    n_validation = max(1, round(VALIDATION_PART * len(order)))
    test, rest = order[-n_test:], order[:-n_test]
    train, validation = rest[:-n_validation], rest[-n_validation:]
    return Parts(np.sort(np.append(train, others)), train, validation, test)
