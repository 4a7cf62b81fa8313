"""The training rows: one tensor that stays where it is, and batches gathered from it.

All that the loop asks of rows is a pass over them in a random order, in batches of scaled rows z.
In memory that is a random permutation and gathers; rows that are read from disk for each pass are
in `isthmus.training.stream`.

Loading row by row costs more than training a small network. Here a batch is one gather from a
contiguous tensor on the model's device; pixels stay bytes and sparse counts stay sparse until
their batch is made.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from isthmus.data import Matrix
from isthmus.model import Model
from isthmus.networks import MLP, Shortcut
from isthmus.sparse import Batch, SparseBatch, in_columns
from isthmus.training.precision import on_one_thread

BLOCK_BYTES = 1 << 19
FEW_CELLS = 1 << 22  # a second thread would take longer to wake than it saves
WIDE = 256
NEAR = 16.0
FULLEST = 0.125
SMALLEST_SCALE = 1e-30

B_co = TypeVar("B_co", covariant=True)


class Rows(Protocol[B_co]):
    """Rows that a training loop can go over again and again, already scaled for the model."""

    def __len__(self) -> int: ...

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[B_co]:
        """Every row once, in a new random order.

        Args:
            batch_size: Rows of each batch; the last one may have fewer.
            generator: Source of the order.

        Yields:
            z, float32 (batch_size, d), on the model's device.
        """


class HeldOut(Protocol[B_co]):
    """Rows that are not trained on."""

    def __len__(self) -> int: ...

    def blocks(self, size: int, device: torch.device) -> Iterator[B_co]:
        """Every row once, in the same order each time.

        Args:
            size: Rows of each block; the last one may have fewer.
            device: The model's.

        Yields:
            z, float32 (size, d).
        """


class RowsInMemory(ABC):
    """Rows that can be gathered by number: for training, and for validation."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, index: Tensor) -> Batch:
        """The scaled rows (len(index), d) in float32, on the model's device."""

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """See `Rows`."""
        device = generator.device
        order = torch.randperm(len(self), generator=generator, device=device)
        for index in order.split(batch_size):
            yield self.batch(index)

    def blocks(self, size: int, device: torch.device) -> Iterator[Batch]:
        """See `HeldOut`."""
        for index in torch.arange(len(self), device=device).split(size):
            yield self.batch(index)


class DenseRows(RowsInMemory):
    """Scaled float32 rows.

    Args:
        values: z, (n, d).
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, index: Tensor) -> Tensor:
        """A gather."""
        return self.values.index_select(0, index)


class AffineRows(RowsInMemory):
    """Bytes, or wide float32 rows, that are scaled in their batch: factor · x + offset.

    Where they can stay in the user's own memory they do. For wide rows the scaling is a small part
    of a step, and a scaled copy of them all costs more than it saves.

    Args:
        values: x, (n', d).
        chosen: The numbers of the rows that are meant, in order; all of them if None.
        factor: Multiplies x, (d,) or (1,), float32.
        offset: Is added afterwards.
    """

    def __init__(
        self, values: Tensor, chosen: Tensor | None, factor: Tensor, offset: Tensor
    ) -> None:
        self.values = values
        self.chosen = chosen
        self.factor = factor
        self.offset = offset

    def __len__(self) -> int:
        return len(self.values if self.chosen is None else self.chosen)

    def batch(self, index: Tensor) -> Tensor:
        """A gather, then factor · x + offset."""
        rows = index if self.chosen is None else self.chosen[index]
        picked = self.values.index_select(0, rows).to(self.factor.dtype)
        return torch.addcmul(self.offset, picked, self.factor)


class SparseRows(RowsInMemory):
    """Rows of a CSR matrix of counts, which stay sparse in their batch.

    Args:
        matrix: Counts, not scaled.
        chosen: The numbers of the rows that are meant, in order.
        model: For its device.
    """

    def __init__(self, matrix: Matrix, chosen: np.ndarray, model: Model) -> None:
        self.matrix = matrix
        self.chosen = chosen
        self.device = model.device

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, index: Tensor) -> SparseBatch:
        """Their non-zeros."""
        values, columns, offsets = self.matrix.take_sparse(self.chosen[index.cpu().numpy()])
        return SparseBatch(
            torch.from_numpy(values).to(self.device),
            torch.from_numpy(columns).to(self.device),
            torch.from_numpy(offsets).to(self.device),
            self.matrix.n_features,
        )


class MatrixRows(RowsInMemory):
    """Rows of any `Matrix`, made dense (and scaled) one batch at a time.

    Args:
        matrix: Such as sparse counts.
        chosen: The numbers of the rows that are meant, in order.
        model: Scales the batch.
    """

    def __init__(self, matrix: Matrix, chosen: np.ndarray, model: Model) -> None:
        self.matrix = matrix
        self.chosen = chosen
        self.model = model

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, index: Tensor) -> Tensor:
        """Densify these rows only."""
        block = self.matrix.take(self.chosen[index.cpu().numpy()], np.float32)
        return self.model.scaled(torch.from_numpy(block).to(self.model.device))


def make_rows(matrix: Matrix, chosen: np.ndarray, model: Model) -> RowsInMemory:
    """The cheapest rows for this matrix.

    Args:
        matrix: The data.
        chosen: Which of its rows, in order.
        model: Its scaling and device.
    """
    device = model.device
    if matrix.is_sparse and _stays_sparse(matrix, model):
        return SparseRows(matrix, chosen, model)
    if matrix.is_sparse:
        return MatrixRows(matrix, chosen, model)
    wide = matrix.dtype == np.float32 and matrix.n_features >= WIDE and _is_near_zero(model)
    if model.ranks is None and (wide or matrix.dtype == np.uint8):
        return _affine_rows(matrix, chosen, model)
    return DenseRows(scaled_rows(matrix, chosen, model).to(device))


def _stays_sparse(matrix: Matrix, model: Model) -> bool:
    """Whether batches of non-zeros are all that the model needs, and fewer than the cells."""
    traits, network = model.likelihood.traits, model.encoder_network
    zeros_stay = traits.scaling == "none" and traits.entry in ("identity", "log1p")
    if not (zeros_stay and isinstance(network, MLP | Shortcut)):
        return False
    few = matrix.n_numbers <= FULLEST * len(matrix) * matrix.n_features
    if few:
        for layer in network.first_layers:
            in_columns(layer)
    return few


def _is_near_zero(model: Model) -> bool:
    """Whether factor · x + offset is as good as (x − center) / scale in float32."""
    # 1 / scale must be a float32 too
    usual = (model.scale > SMALLEST_SCALE) & (model.scale < 1 / SMALLEST_SCALE)
    return bool((usual & (model.center.abs() <= NEAR * model.scale)).all())


def _affine_rows(matrix: Matrix, chosen: np.ndarray, model: Model) -> AffineRows:
    one = torch.ones(1, dtype=torch.float64, device=model.device)
    offset = model.scaled(0 * one)
    factor = model.scaled(one / matrix.divisor) - offset
    values = matrix.values
    assert isinstance(values, np.ndarray)
    # torch warns of memory that may not be written
    shared = values.flags.c_contiguous and values.flags.writeable and model.device.type == "cpu"
    if shared:
        rows, numbers = torch.from_numpy(values), torch.from_numpy(chosen)
    else:
        rows, numbers = torch.from_numpy(np.ascontiguousarray(values[chosen])), None
    return AffineRows(rows.to(model.device), numbers, factor.float(), offset.float())


def scaled_rows(matrix: Matrix, chosen: np.ndarray, model: Model) -> Tensor:
    """z of the chosen rows, float32 (n, d), on the CPU, in blocks that stay in its cache."""
    dtype = np.result_type(matrix.dtype, np.float32)
    scaled = torch.empty(len(chosen), matrix.n_features, dtype=torch.float32)
    size = max(1, BLOCK_BYTES // (matrix.n_features * dtype.itemsize))
    with on_one_thread(wanted=scaled.numel() < FEW_CELLS):
        for first in range(0, len(chosen), size):
            block = torch.from_numpy(matrix.take(chosen[first : first + size], dtype))
            scaled[first : first + len(block)] = model.scaled(block.to(model.device)).cpu()
    return scaled
