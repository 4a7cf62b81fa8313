"""What is said of classes: their weights among labels, and their shares among all rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real

SUM_OF_SHARES = 1e-3


def class_weights(given: Any, classes: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """The weight of each class, 1 in the mean over labels.

    Args:
        given: As in scikit-learn: None, ``"balanced"`` or a dictionary.
        classes: Sorted.
        values: The labels.

    Raises:
        InvalidParameterError: No weights for these classes, or none above 0.
    """
    try:
        weights = compute_class_weight(given, classes=classes, y=values)
    except (ValueError, TypeError) as error:
        raise InvalidParameterError(f"class_weight doesn't fit: {error}") from error
    counts = np.array([np.count_nonzero(values == each) for each in classes])
    total = float(weights @ counts)
    if not np.isfinite(total) or total <= 0 or (weights < 0).any():
        raise InvalidParameterError(
            f"class_weight must give weights, 0 or more, of which one is above 0; got {given!r}."
        )
    return np.asarray(weights * (counts.sum() / total), np.float64)


def class_shares(
    given: Any, classes: NDArray[Any], counts: NDArray[np.intp]
) -> NDArray[np.float64] | None:
    """The share of each class, above 0 and of sum 1; None if unknown.

    Args:
        given: None, ``"labels"`` or a dictionary by class.
        classes: Sorted.
        counts: How many labels each has.

    Raises:
        InvalidParameterError: No shares of these classes.
    """
    if given is None:
        return None
    if isinstance(given, str) and given == "labels":
        return np.asarray(counts / counts.sum(), np.float64)
    names = classes.tolist()
    if not (isinstance(given, Mapping) and given.keys() == set(names)):
        raise InvalidParameterError(
            "class_shares must be 'labels', or a dictionary with a share for each of the classes "
            f"{names}; got {given!r}."
        )
    values = [given[name] for name in names]
    if not all(is_real(value) and value > 0 for value in values):
        raise InvalidParameterError(f"class_shares must be numbers above 0; got {given!r}.")
    if not abs(sum(values) - 1) <= SUM_OF_SHARES:
        raise InvalidParameterError(
            f"class_shares must have the sum 1; those of {given!r} have {sum(values):.6g}."
        )
    return np.array([value / sum(values) for value in values], np.float64)
