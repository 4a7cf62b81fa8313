"""Labels at the border: classes and numbers as the user writes them, some of them missing.

A class is missing where it is −1 among numbers, as in scikit-learn's semi-supervised estimators,
or None, NaN or a null of any make; a number where it is NaN or null. Strings, booleans and whole
numbers are classes; "-1" as text is one like any other. Where −1 and one other number are all that
there is, they are two classes: one class by itself would leave nothing to learn.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from isthmus._errors import InvalidDataError, IsthmusWarning

UNLABELLED = -1


@dataclass(frozen=True)
class Labels:
    """The labels that are there.

    Attributes:
        rows: The numbers of the rows that have one, in order.
        values: Their labels as given.
        n_rows: Of all rows.
    """

    rows: NDArray[np.intp]
    values: NDArray[Any]
    n_rows: int

    def require_rows(self, n_rows: int) -> None:
        """Refuse labels of another number than of rows."""
        if n_rows != self.n_rows:
            raise InvalidDataError(
                f"X has {n_rows} rows, but y has {self.n_rows} labels: inconsistent numbers of "
                "samples. Give one for each row; a missing one is -1, None or NaN."
            )


def read_classes(y: Any, known: NDArray[Any] | None = None) -> Labels:
    """Labels of classes.

    Args:
        y: (n,) or (n, 1).
        known: The classes of `fit`, for labels to compare with; −1 may be one of them.

    Raises:
        InvalidDataError: No labels, labels of several kinds, or numbers that are no classes.
    """
    array = _one_column(y)
    missing = _missing(array)
    unlabelled = _marked(array)
    if known is None:
        is_class = _is_one_number(array[~missing & ~unlabelled].tolist())
    else:
        is_class = known.dtype.kind in "if" and bool((known == UNLABELLED).any())
    if not is_class:
        missing |= unlabelled
    labels = _labelled(array, missing, "-1, None or NaN")
    values = labels.values
    if values.dtype.kind == "O":
        values = _of_one_kind(values)
    _require_finite(values, labels.rows)
    try:
        check_classification_targets(values)
    except ValueError as error:
        raise InvalidDataError(
            f"{error} Classes are strings, booleans or whole numbers; for other numbers use "
            "PretrainedRegressor."
        ) from error
    return Labels(labels.rows, values, labels.n_rows)


def read_numbers(y: Any) -> Labels:
    """Labels that are numbers.

    Args:
        y: (n,) or (n, 1).

    Raises:
        InvalidDataError: No labels, text, or an infinite number.
    """
    array = _one_column(y)
    missing = _missing(array)
    labels = _labelled(array, missing, "NaN")
    try:
        values = labels.values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(
            f"y must hold numbers, but {error}. For classes use PretrainedClassifier."
        ) from error
    _require_finite(values, labels.rows)
    return Labels(labels.rows, values, labels.n_rows)


def _require_finite(values: NDArray[Any], rows: NDArray[np.intp]) -> None:
    wrong = np.isinf(values) if values.dtype.kind == "f" else np.zeros(0, bool)
    if wrong.any():
        first = int(wrong.argmax())
        raise InvalidDataError(
            f"Input y contains infinity: it is {values[first]} in row {rows[first]}. Replace it "
            "by a finite value, or by NaN for a row without a label."
        )


def known_classes(labels: Labels, classes: NDArray[Any]) -> None:
    """Say which labels are of classes that `fit` never saw."""
    strange = ~np.isin(labels.values, classes)
    if strange.any():
        names = ", ".join(map(repr, np.unique(labels.values[strange]).tolist()[:5]))
        warnings.warn(
            f"y has {int(strange.sum())} labels of classes that fit never saw: {names}. They "
            "count as errors.",
            IsthmusWarning,
            stacklevel=3,
        )


def require_two(classes: NDArray[Any]) -> None:
    """Refuse labels of one class only."""
    if len(classes) < 2:
        raise InvalidDataError(
            f"All labels are of one class, {classes.tolist()[0]!r}, and there must be two classes "
            "at least. Give rows of another class too."
        )


def _one_column(y: Any) -> NDArray[Any]:
    if y is None:
        raise InvalidDataError(
            "This estimator requires y to be passed, but the target y is None. Give a label for "
            "each row; a missing one is -1, None or NaN."
        )
    series = nw.from_native(y, allow_series=True, pass_through=True)
    if isinstance(series, nw.Series | nw.DataFrame):
        y = series.to_numpy()
    if not isinstance(y, np.ndarray):
        y = _nested(y)
    try:
        return np.asarray(column_or_1d(y, warn=True))
    except ValueError as error:
        raise InvalidDataError(f"{error} Give one label for each row.") from error


def _nested(y: Any) -> NDArray[Any]:
    """A list as an array whose missing entries have not become text."""
    array = np.asarray(y)
    if array.dtype.kind in "US" and array.ndim == 1:
        array = np.asarray(y, dtype=object)
    return array


def _missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype.kind == "f":
        return np.asarray(np.isnan(array))
    if array.dtype.kind != "O":
        return np.zeros(len(array), bool)
    return np.array([_is_null(each) for each in array], bool)


def _is_null(each: Any) -> bool:
    if each is None:
        return True
    try:
        return bool(each != each)
    except TypeError:  # pandas.NA is neither equal nor different
        return True


def _marked(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which entries are the number −1."""
    if array.dtype.kind in "if":
        return np.asarray(array == UNLABELLED)
    if array.dtype.kind != "O":
        return np.zeros(len(array), bool)
    return np.array([_is_unlabelled_number(each) for each in array], bool)


def _is_one_number(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(v, int | float) and v == values[0] for v in values)


def _is_unlabelled_number(each: Any) -> bool:
    number = isinstance(each, int | float | np.number) and not isinstance(each, bool)
    return number and bool(each == UNLABELLED)


def _labelled(array: NDArray[Any], missing: NDArray[np.bool_], mark: str) -> Labels:
    rows = np.flatnonzero(~missing)
    if not len(rows):
        raise InvalidDataError(
            f"None of the {len(array)} rows has a label: y is {mark} everywhere. Give some, or "
            "fit an Autoencoder, which needs none."
        )
    return Labels(rows, array[rows], len(array))


def _of_one_kind(values: NDArray[Any]) -> NDArray[Any]:
    """Objects as an array of text, booleans or numbers."""
    kinds: dict[str, Any] = {}
    for each in values:
        kinds.setdefault(_kind(each), each)
    if len(kinds) > 1:
        one, two = list(kinds.values())[:2]
        raise InvalidDataError(
            f"y holds labels of several kinds, such as {one!r} and {two!r}. Unknown label type: "
            "give text, booleans or numbers only."
        )
    if "other" in kinds:
        raise InvalidDataError(
            f"y holds {kinds['other']!r}. Unknown label type: give text, booleans or numbers."
        )
    return np.array(values.tolist())


def _kind(each: Any) -> str:
    for name, types in (
        ("bool", (bool, np.bool_)),
        ("text", (str,)),
        ("number", (int, float, np.number)),
    ):
        if isinstance(each, types):
            return name
    return "other"


def hold_out(
    y: NDArray[Any], fraction: float, rng: np.random.Generator, *, by_class: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of labels to train on, and of labels to validate on.

    Args:
        y: Labels (n,).
        fraction: The part for validation, rounded for each class; one of each class is trained on.
        rng: Source of the choice.
        by_class: Whether the part is of each class.
    """
    order = rng.permutation(len(y))
    groups = [order[y[order] == each] for each in np.unique(y)] if by_class else [order]
    counts = [min(len(group) - 1, int(fraction * len(group) + 0.5)) for group in groups]
    aside = np.concatenate([group[:n] for group, n in zip(groups, counts, strict=True)])
    rest = np.concatenate([group[n:] for group, n in zip(groups, counts, strict=True)])
    return np.sort(rest), np.sort(aside)
