"""Labels of rows as categories with names, or as numbers on a scale."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError
from isthmus.plots._styles import COLORS

MOST_CATEGORIES = 20


@dataclass(frozen=True)
class Categories:
    """Labels of few different values.

    Attributes:
        names: Of those that get a colour, in order.
        index: Each row's number among them; the rest comes last, (n,).
    """

    names: list[str]
    index: NDArray[np.intp]

    @property
    def all_named(self) -> bool:
        """Whether every row's category has a colour."""
        return not (self.index == len(self.names)).any()


Labels = Categories | NDArray[Any] | None


def as_labels(labels: ArrayLike | None, n: int) -> Labels:
    """Categories, numbers on a scale, or None.

    Raises:
        InvalidDataError: There is not one for each row.
    """
    if labels is None:
        return None
    values = np.asarray(labels)
    if values.shape != (n,):
        raise InvalidDataError(
            f"labels must have shape ({n},), one for each code; got {values.shape}."
        )
    if values.dtype.kind in "iuf" and not _categorical(values):
        return values
    return _categories(values)


def _categorical(values: NDArray[Any]) -> bool:
    """Whether numbers are names of classes, which files often hold as floats."""
    return bool((values == np.round(values)).all()) and len(np.unique(values)) <= MOST_CATEGORIES


def _categories(values: NDArray[Any]) -> Categories:
    kinds, index, counts = np.unique(
        values.astype(str) if values.dtype == object else values,
        return_inverse=True,
        return_counts=True,
    )
    if values.dtype.kind == "f":
        kinds = kinds.astype(int)
    frequent = np.sort(np.argsort(-counts, kind="stable")[: len(COLORS)])
    place = np.full(len(kinds), len(frequent))
    place[frequent] = np.arange(len(frequent))
    return Categories([str(kind) for kind in kinds[frequent]], place[index])
