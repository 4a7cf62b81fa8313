"""What every C(x̃ | x) answers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.sparse import Batch, SparseBatch, dense


@dataclass(frozen=True)
class Cells:
    """The cells of a batch of a table, with NaN for those that are missing.

    Attributes:
        values: Scaled real numbers, counts, bits and level codes, (n, d).
        is_real: Which columns hold real numbers, (d,).
        is_category: Which columns hold level codes, (d,).
    """

    values: Tensor
    is_real: Tensor
    is_category: Tensor


class Corruption(ABC):
    """C(x̃ | x), a frozen object."""

    @abstractmethod
    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """A corrupted copy of x; x itself is left as it is.

        Args:
            x: A batch as the encoder sees it, (n, d·width).
            width: Columns per feature: 1, or the number of levels of a category. The columns of
                one feature lie side by side.
            generator: Source of all randomness, on the device of x.
        """

    def of_numbers(self, x: SparseBatch, generator: torch.Generator) -> Batch:
        """A corrupted copy of sparse rows: made dense, unless zeros stay zeros."""
        return self(dense(x), 1, generator)

    def of_cells(self, cells: Cells, generator: torch.Generator) -> Tensor:
        """A corrupted copy of the cells of a table, (n, d): as of any columns by default."""
        return self(cells.values, 1, generator)

    def share(self, n_features: int) -> float:
        """Which part of a table's cells the likelihood counts: below 1, only those it hides."""
        return 1.0

    def going_on(self) -> float:
        """How likely the model's own chain goes one more step from x before x̃ is drawn."""
        return 0.0

    @abstractmethod
    def in_units(self, unit: float) -> "Corruption":
        """The same corruption for data that are divided by ``unit``."""
