"""C(x̃ | x): corrupted copies of a batch, for denoising autoencoders.

A corruption acts on what the encoder sees: the scaled columns, log(1 + count), or the 0/1 columns
of a category. It knows the *groups*, the columns that make up one feature, and corrupts the
columns of a group together: half a category is not a category.

In a table it acts on the *cells* instead, before the encoder's view of them is made: a cell that
is masked becomes a missing one, which the encoder is told, and noise is for real numbers only.

Vincent et al. (2008, 2010) introduced masking, salt-and-pepper and Gaussian noise; swapping cells
between rows keeps each column's marginal distribution exactly. Walkback (Bengio et al., 2013)
sends x along the model's own chain first. NeighbourWalk takes a whole row for another one near it,
and Warp shifts, turns and stretches an image.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from isthmus._registry import Registry
from isthmus.corruptions._corruption import Cells, Corruption
from isthmus.corruptions.noise import GaussianNoise, Masking, SaltAndPepper, Swap
from isthmus.corruptions.walks import NeighbourWalk, Walkback
from isthmus.corruptions.warp import Warp
from isthmus.sparse import Batch, SparseBatch

__all__ = [
    "CORRUPTIONS",
    "Cells",
    "Corruption",
    "GaussianNoise",
    "Masking",
    "NeighbourWalk",
    "SaltAndPepper",
    "Swap",
    "Walkback",
    "Warp",
    "corrupt",
    "corrupt_cells",
]

CORRUPTIONS: Registry[Corruption] = Registry(
    "corruption",
    Corruption,  # type: ignore[type-abstract]  # mypy wants a concrete class where isinstance does not
    {
        "gaussian_noise": GaussianNoise,
        "masking": Masking,
        "neighbour_walk": NeighbourWalk,
        "salt_and_pepper": SaltAndPepper,
        "swap": Swap,
        "walkback": Walkback,
    },
    composites=(Warp,),  # by itself it does not know the size of an image
)


def corrupt(
    corruptions: Sequence[Corruption], x: Batch, width: int, generator: torch.Generator
) -> Batch:
    """x after each corruption in turn; x itself if there are none.

    Sparse rows stay so under corruptions that leave zeros alone.
    """
    for corruption in corruptions:
        if isinstance(x, SparseBatch):
            x = corruption.of_numbers(x, generator)
        else:
            x = corruption(x, width, generator)
    return x


def corrupt_cells(
    corruptions: Sequence[Corruption], cells: Cells, generator: torch.Generator
) -> Tensor:
    """The values of the cells after each corruption in turn."""
    for corruption in corruptions:
        cells = replace(cells, values=corruption.of_cells(cells, generator))
    return cells.values
