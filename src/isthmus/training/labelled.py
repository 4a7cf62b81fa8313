"""Rows with labels, a few beside many without: what a supervised objective is given.

Without the others an epoch is one pass over the labelled rows. With them it is one pass over all
rows, and beside each batch of them comes a batch of labelled ones, which begin again whenever they
have been gone through.
"""

from collections.abc import Generator, Iterator

import torch
from torch import Tensor

from isthmus.prediction import Labelled
from isthmus.sparse import Batch
from isthmus.training.rows import Rows, RowsInMemory
from isthmus.training.spread import Prior


class LabelledRows:
    """Labelled rows, alone or beside others.

    Args:
        rows: The labelled ones.
        y: Their labels, scaled, (n, 1).
        weight: Of each, (n,).
        others: All rows; None where only labels teach.
        size: Labelled rows beside a batch of the others; None is as many.
        prior: What near labels say of the others, which then are in memory.
    """

    def __init__(
        self,
        rows: RowsInMemory,
        y: Tensor,
        weight: Tensor,
        others: Rows[Batch] | None = None,
        size: int | None = None,
        prior: Prior | None = None,
    ) -> None:
        self._rows, self._y, self._weight, self._others = rows, y, weight, others
        self._size, self._prior = size, prior

    def __len__(self) -> int:
        return len(self._rows if self._others is None else self._others)

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Labelled]:
        """See `isthmus.training.rows.Rows`."""
        if self._others is None:
            for index in self._order(generator).split(batch_size):
                yield self._at(index)
            return
        turns = self._turns(self._size or batch_size, generator)
        others = self._with_prior(self._others, batch_size, generator)
        try:
            for (batch, log_prior), index in zip(others, turns, strict=False):
                yield self._at(index, batch, log_prior)
        finally:
            others.close()

    def blocks(self, size: int, device: torch.device) -> Iterator[Labelled]:
        """See `isthmus.training.rows.HeldOut`."""
        for index in torch.arange(len(self._rows), device=device).split(size):
            yield self._at(index)

    def _with_prior(
        self, others: Rows[Batch], batch_size: int, generator: torch.Generator
    ) -> Generator[tuple[Batch, Tensor | None]]:
        """A pass over the others, and what near labels say of them."""
        if self._prior is None:
            batches = others.batches(batch_size, generator)
            try:
                for batch in batches:
                    yield batch, None
            finally:
                if isinstance(batches, Generator):
                    batches.close()
            return
        assert isinstance(others, RowsInMemory)
        order = torch.randperm(len(others), generator=generator, device=generator.device)
        for index in order.split(batch_size):
            yield others.batch(index), self._prior(index)

    def _order(self, generator: torch.Generator) -> Tensor:
        return torch.randperm(len(self._rows), generator=generator, device=generator.device)

    def _turns(self, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Batches of labelled rows without end; none has a row twice."""
        size = min(batch_size, len(self._rows))
        while True:
            order = self._order(generator)
            for first in range(0, len(order) - size + 1, size):
                yield order[first : first + size]

    def _at(
        self, index: Tensor, others: Batch | None = None, log_prior: Tensor | None = None
    ) -> Labelled:
        z, y, weight = self._rows.batch(index), self._y[index], self._weight[index]
        return Labelled(z, y, weight, others, log_prior)
