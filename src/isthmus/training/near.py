"""Batches in which rows meet their neighbours, for penalties that need to see them together."""

from collections.abc import Iterator

import torch
from torch import Tensor

from isthmus.model import Model
from isthmus.nearest import nearest_in_groups
from isthmus.sparse import Batch, dense
from isthmus.training.rows import Rows, RowsInMemory


class NearRows:
    """Half of each batch are rows in random order, and the other half neighbours of these.

    A pass gives as many rows as there are: one half of them, drawn anew each time, and for each
    of these one of its near rows. So an epoch has as many steps as with other rows, and takes as
    long; each row comes once in the mean, and neighbours of many more often.

    Args:
        rows: The rows.
        near: For each of them the numbers of its near rows, (n, k).
    """

    def __init__(self, rows: RowsInMemory, near: Tensor) -> None:
        self._rows, self.near = rows, near

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """See `isthmus.training.rows.Rows`; an odd batch size is one row more."""
        n, device = len(self), generator.device
        chosen = torch.randperm(n, generator=generator, device=device)[: (n + 1) // 2]
        for index in chosen.split((batch_size + 1) // 2):
            column = torch.randint(
                self.near.shape[1], (len(index),), generator=generator, device=device
            )
            yield self._rows.batch(torch.cat([index, self.near[index, column].long()]))


@torch.no_grad()
def near_rows(rows: Rows[Batch], model: Model, k: int, generator: torch.Generator) -> Rows[Batch]:
    """Rows whose batches hold neighbours, where that is wanted and possible.

    Args:
        rows: Those that are not in memory stay as they are, and so does a single one.
        model: Knows what the encoder sees of a row; near is what is near there.
        k: How many near rows each row may meet; 0 leaves the rows as they are.
        generator: Source of the groups that are searched, on the model's device.
    """
    if k == 0 or len(rows) < 2 or not isinstance(rows, RowsInMemory):
        return rows
    near = nearest_in_groups(
        lambda index: dense(model.enter(rows.batch(index))), len(rows), k, generator
    )
    return NearRows(rows, near)
