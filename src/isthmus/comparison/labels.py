"""What the label is: classes or a number, which rows have one, and what can't be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError

MOST_CLASSES = 20
MOST_TEXTS = 200
LEAST_LABELS = 10
TASKS = ("auto", "classification", "regression")


@dataclass(frozen=True, eq=False)
class Labels:
    """One label for each row that has one.

    Attributes:
        name: What the user calls it.
        values: The class of each row by number, or the number; 0 where there is none, (n,).
        known: Which rows have a label, (n,).
        classes: The names of the classes; empty for a numeric label.
    """

    name: str
    values: NDArray[Any]
    known: NDArray[np.bool_]
    classes: tuple[str, ...]

    @property
    def numeric(self) -> bool:
        """Whether the label is a number and R² its measure."""
        return not self.classes

    @property
    def kinds(self) -> NDArray[np.intp] | None:
        """The class of each row; None for a numeric label."""
        return None if self.numeric else self.values


def read_labels(values: Sequence[Any], name: str, task: str = "auto") -> Labels:
    """Labels as numbers.

    Args:
        values: One for each row: text, booleans, whole numbers, or other numbers; None or NaN
            where there is none.
        name: What messages call them.
        task: ``"classification"`` or ``"regression"``; ``"auto"`` takes text, booleans and at
            most 20 different whole numbers for classes and other numbers for a quantity.

    Raises:
        InvalidDataError: No or few labels, one class only, a constant or infinite number, text
            that is different in nearly every row.
        InvalidParameterError: An unknown task, or numbers wanted from text.
    """
    if task not in TASKS:
        raise InvalidParameterError(f"task must be one of {', '.join(TASKS)}; got {task!r}.")
    known = np.array([not _is_missing(value) for value in values], bool)
    given = [value for value, there in zip(values, known, strict=True) if there]
    if len(given) < LEAST_LABELS:
        raise InvalidDataError(
            f"{len(given)} of {len(values)} rows have a label in {name!r}, and at least "
            f"{LEAST_LABELS} are needed. Leave the label out for the half of the report that "
            "needs none."
        )
    numbers = _as_numbers(given)
    if numbers is None and task == "regression":
        raise InvalidParameterError(
            f"The label {name!r} holds {given[0]!r}, which is no number, and task is "
            "'regression'. Give numbers, or task='classification'."
        )
    if numbers is None or task == "classification" or (task == "auto" and _are_few(numbers)):
        return _classes(given, numbers, known, name)
    if len(np.unique(numbers)) == 1:
        raise InvalidDataError(
            f"The label {name!r} is {numbers[0]:g} in all {len(given)} rows that have one; there "
            "is nothing to predict."
        )
    filled = np.zeros(len(values))
    filled[known] = numbers
    return Labels(name, filled, known, ())


def _is_missing(value: Any) -> bool:
    return value is None or bool(value != value)


def _are_few(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers are names of classes, which files often hold as floats."""
    whole = bool((numbers == np.round(numbers)).all())
    return whole and len(np.unique(numbers)) <= MOST_CLASSES


def _as_numbers(given: Sequence[Any]) -> NDArray[np.float64] | None:
    """Finite numbers, or None where they are words or truth values."""
    if any(isinstance(value, bool | np.bool_ | str | bytes) for value in given):
        return None
    try:
        numbers = np.array([float(value) for value in given])
    except (TypeError, ValueError):
        return None
    if np.isinf(numbers).any():
        raise InvalidDataError(
            f"Label number {int(np.isinf(numbers).argmax())} is infinite; leave it empty."
        )
    return numbers


def _classes(
    given: Sequence[Any],
    numbers: NDArray[np.float64] | None,
    known: NDArray[np.bool_],
    name: str,
) -> Labels:
    if numbers is not None:
        found, index = np.unique(numbers, return_inverse=True)
        names = [f"{value:g}" for value in found]
    else:
        found, index = np.unique([str(value) for value in given], return_inverse=True)
        names = list(map(str, found))
    if len(names) == 1:
        raise InvalidDataError(
            f"The label {name!r} has one class only, {names[0]!r}, in all {len(given)} rows that "
            "have one; there is nothing to predict."
        )
    if len(names) > max(MOST_CLASSES, min(MOST_TEXTS, len(given) // 5)):
        raise InvalidDataError(
            f"The label {name!r} has {len(names)} different values in {len(given)} rows, such as "
            f"{names[0]!r}; that is no class to predict. Give another column"
            f"{'' if numbers is None else ', or the task regression'}."
        )
    filled = np.zeros(len(known), np.intp)
    filled[known] = index
    return Labels(name, filled, known, tuple(names))


def rare_classes(labels: Labels, least: int = 10) -> dict[str, int]:
    """Classes of few rows, about which the report can say little, with their numbers of rows."""
    if labels.numeric:
        return {}
    counts = np.bincount(labels.values[labels.known], minlength=len(labels.classes))
    return {labels.classes[i]: int(counts[i]) for i in np.flatnonzero(counts < least)}
