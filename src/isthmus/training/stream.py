"""Training rows that are read from disk in each pass, and shuffled through a buffer.

    parts in random order ──▶ blocks, read ahead ──▶ buffer of m rows ──▶ batches

A row goes to a free place of the buffer. When none is free, half of the rows, drawn at random, are
given out as batches in random order, and their places are free. At the end all rows that are left
are given out in random order.

**What this guarantees.** Each training row is seen exactly once in each pass; every batch but the
last is full; the same generator gives the same order. Rows of a batch come from some m neighbours
in the order of the parts, and that order is new in each pass. A buffer that holds all rows gives a
uniform permutation: then it is the same algorithm as in memory, step by step, and the rows stay in
the buffer from the first pass on. Data sorted by a column (by class, by date) in parts that are
large beside the buffer are mixed less well than in memory; where the source can only be read in
one order, it is the buffer alone that mixes.

**Held-out rows** are chosen by a hash of their number. They are set aside during the first pass
and stay in memory; so they are at most some 128 MB, and of very large data a smaller part than
was asked for is held out: more would make the mean no more exact.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus.data import Stream, count_held_out, is_held_out
from isthmus.data.matrix import block_rows
from isthmus.model import Model
from isthmus.training.ahead import ahead
from isthmus.training.rows import scaled_rows

BUFFER_BYTES = 2**26
LEAST_BATCHES = 8
HELD_OUT_BYTES = 2**27


@dataclass(frozen=True)
class Choice:
    """Which rows are held out.

    Attributes:
        fraction: The part of all rows.
        seed: Of the hash.
    """

    fraction: float
    seed: int


class SetAside:
    """Held-out rows, which the first pass of training sets aside.

    Args:
        n_rows: How many there will be.
    """

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self.parts: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self._n_rows

    def blocks(self, size: int, device: torch.device) -> Iterator[Tensor]:
        """In the order of the data, whatever order they were read in."""
        assert sum(map(len, self.parts.values())) == len(self), "a whole pass comes first"
        if len(self.parts) > 1:
            self.parts = {0: torch.cat([self.parts[first] for first in sorted(self.parts)])}
        for values in self.parts.values():
            for block in values.split(size):
                yield block.to(device)


class StreamRows:
    """Rows of a `Stream`, scaled on their way.

    Args:
        stream: Its number of rows is known.
        model: Its scaling and device.
        choice: Which rows are held out; none if None.
        buffer_bytes: Size of the shuffle buffer; it holds 8 batches at least.

    Attributes:
        held_out: These rows, or None where there are none.
    """

    def __init__(
        self,
        stream: Stream,
        model: Model,
        choice: Choice | None = None,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        n = stream.n_rows
        assert n is not None, "a pass for the scales comes first"
        self._stream, self._model = stream, model
        self._fraction, self._seed = _limited(choice, n, stream.n_features)
        n_held_out = count_held_out(n, self._fraction, self._seed)
        if n_held_out == n:
            self._fraction, n_held_out = 0.0, 0
        self._n_rows = n - n_held_out
        self.held_out = SetAside(n_held_out) if n_held_out else None
        self._room = block_rows(stream.n_features, 4, buffer_bytes)
        self._whole: Tensor | None = None

    def __len__(self) -> int:
        return self._n_rows

    def batches(self, batch_size: int, generator: torch.Generator) -> Generator[Tensor]:
        """See `isthmus.training.rows.Rows`.

        Raises:
            InvalidDataError: The data are not the same as in the pass before, or can't be read.
        """
        room = max(self._room, LEAST_BATCHES * batch_size)
        whole = len(self) <= room
        if whole and self._whole is None:
            self._whole = torch.cat(list(self._read(None)))
        if self._whole is not None:
            order = _permutation(len(self), generator)
            for index in order.split(batch_size):
                yield self._whole.index_select(0, index)
            return
        parts: list[int] = _permutation(self._stream.n_parts, generator).tolist()
        yield from self._through_buffer(self._read(parts), room, batch_size, generator)

    def _through_buffer(
        self, blocks: Generator[Tensor], room: int, batch_size: int, generator: torch.Generator
    ) -> Generator[Tensor]:
        buffer = torch.empty(room, self._stream.n_features, device=self._model.device)
        free = torch.arange(room, device=buffer.device)
        given = max(1, room // 2 // batch_size) * batch_size
        try:
            for block in blocks:
                while len(block):
                    places, free = free[: len(block)], free[len(block) :]
                    buffer.index_copy_(0, places, block[: len(places)])
                    block = block[len(places) :]
                    if not len(free):
                        free = _permutation(room, generator)[:given]
                        for index in free.split(batch_size):
                            yield buffer.index_select(0, index)
        finally:
            blocks.close()
        taken = torch.ones(room, dtype=torch.bool, device=buffer.device)
        taken[free] = False
        left = taken.nonzero()[:, 0]
        for index in left[_permutation(len(left), generator)].split(batch_size):
            yield buffer.index_select(0, index)

    def _read(self, order: list[int] | None) -> Generator[Tensor]:
        """Blocks of training rows on the model's device; the first pass sets rows aside."""
        aside = self.held_out
        parts: dict[int, Tensor] = {}
        first_pass = aside is not None and not aside.parts
        for first, rows, others in ahead(lambda: self._scaled(order, first_pass)):
            if others is not None:
                parts[first] = others
            if len(rows):
                yield rows.to(self._model.device)
        if aside is not None and first_pass:
            aside.parts = parts

    def _scaled(
        self, order: list[int] | None, with_others: bool
    ) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """For each block its first row's number, z of its training rows, and of the others."""
        for matrix in self._stream.matrices(order):
            first = matrix.first_row or 0
            apart = is_held_out(first, len(matrix), self._fraction, self._seed)
            rows = scaled_rows(matrix, np.flatnonzero(~apart), self._model)
            others = None
            if with_others and apart.any():
                others = scaled_rows(matrix, np.flatnonzero(apart), self._model)
            yield first, rows, others


def _permutation(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n, generator=generator, device=generator.device)


def _limited(choice: Choice | None, n: int, n_features: int) -> tuple[float, int]:
    """The fraction that is held out, and its seed."""
    if choice is None:
        return 0.0, 0
    return min(choice.fraction, HELD_OUT_BYTES / (4 * n_features * n)), choice.seed
