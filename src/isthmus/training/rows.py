"""The training rows: one tensor that stays where it is, and batches gathered from it.

Loading row by row costs more than training a small network. Here a batch is one gather from a
contiguous tensor on the model's device; pixels stay bytes and sparse counts stay sparse until
their batch is made.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from isthmus.data import Matrix
from isthmus.model import Model

BLOCK_BYTES = 1 << 19
WIDE = 256


class Rows(Protocol):
    """Rows that a training loop can take batches from, already scaled for the model."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Tensor:
        """The scaled rows (len(index), d) in float32, on the model's device."""


class DenseRows:
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


class SharedRows:
    """The user's own float32 rows, in their place: a batch is gathered, then scaled.

    For wide rows, whose scaling is a small part of a step; a copy of them all would take longer
    than an epoch gains by it.

    Args:
        values: x, (n', d) on the processor.
        chosen: The numbers of the rows that are meant, in order.
        model: Scales the batch.
    """

    def __init__(self, values: Tensor, chosen: Tensor, model: Model) -> None:
        self.values = values
        self.chosen = chosen
        self.model = model

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, index: Tensor) -> Tensor:
        """A gather, then (x − center) / scale."""
        return self.model.scaled(self.values.index_select(0, self.chosen[index]))


class PixelRows:
    """Bytes that become floats only in their batch: an eighth of the memory of float64.

    Args:
        values: uint8 (n, d).
        factor: Multiplies the bytes, (d,) or (1,).
        offset: Is added afterwards.
    """

    def __init__(self, values: Tensor, factor: Tensor, offset: Tensor) -> None:
        self.values = values
        self.factor = factor
        self.offset = offset

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, index: Tensor) -> Tensor:
        """A gather of bytes, then factor · x + offset."""
        picked = self.values.index_select(0, index).to(self.factor.dtype)
        return torch.addcmul(self.offset, picked, self.factor)


class MatrixRows:
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


def make_rows(matrix: Matrix, chosen: np.ndarray, model: Model) -> Rows:
    """The cheapest `Rows` for this matrix.

    Args:
        matrix: The data.
        chosen: Which of its rows, in order.
        model: Its scaling and device.
    """
    device = model.device
    if matrix.is_sparse:
        return MatrixRows(matrix, chosen, model)
    if matrix.values.dtype == np.uint8:
        values = torch.from_numpy(np.ascontiguousarray(matrix.values[chosen]))
        one = torch.ones(1, dtype=torch.float64, device=device)
        offset = model.scaled(0 * one).float()
        factor = (model.scaled(one / matrix.divisor) - model.scaled(0 * one)).float()
        return PixelRows(values.to(device), factor, offset)
    if _can_be_shared(matrix, device):
        return SharedRows(torch.from_numpy(matrix.values), torch.from_numpy(chosen), model)
    return DenseRows(_scaled_rows(matrix, chosen, model).to(device))


def _can_be_shared(matrix: Matrix, device: torch.device) -> bool:
    values = matrix.values
    if not isinstance(values, np.ndarray) or values.dtype != np.float32 or matrix.divisor != 1:
        return False
    # torch warns of memory that may not be written
    as_it_lies = values.flags.c_contiguous and values.flags.writeable
    return device.type == "cpu" and as_it_lies and matrix.n_features >= WIDE


def _scaled_rows(matrix: Matrix, chosen: np.ndarray, model: Model) -> Tensor:
    """z of the chosen rows, float32 (n, d), in blocks that stay in the processor's cache."""
    dtype = np.result_type(matrix.dtype, np.float32)
    scaled = torch.empty(len(chosen), matrix.n_features, dtype=torch.float32)
    size = max(1, BLOCK_BYTES // (matrix.n_features * dtype.itemsize))
    for first in range(0, len(chosen), size):
        block = torch.from_numpy(matrix.take(chosen[first : first + size], dtype))
        scaled[first : first + len(block)] = model.scaled(block.to(model.device)).cpu()
    return scaled
