"""Label efficiency: how accuracy grows with the number of labels.

For each seed a part of the rows is held out, and the others are put in an order in which every
class keeps its share. The first m of them keep their labels, for each size m: small sets lie
inside of large ones, and all estimators get the same rows, so that curves differ by the estimators
and not by luck. An estimator that learns from unlabelled rows too is given all rows, with −1 (NaN
for a numeric label) where there is no label, as in scikit-learn's `sklearn.semi_supervised`.

The interval of a size is Student's t over the seeds: what another draw of labelled and held-out
rows would give, if the rows were drawn anew. Draws from one data set share rows, so it is a
little narrow.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.dependencies import is_into_dataframe
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_whole

Array = NDArray[np.float64]
UNLABELLED = -1


@dataclass(frozen=True)
class LabelEfficiency:
    """What `label_efficiency` measured.

    Attributes:
        sizes: Numbers of labels, rising, (m,).
        scores: For each estimator accuracy, or R², of each size and seed, (m, s).
        measure: ``"accuracy"`` or ``"R²"``.
    """

    sizes: NDArray[np.int64]
    scores: Mapping[str, Array]
    measure: str

    def intervals(self, level: float = 0.95) -> dict[str, tuple[Array, Array]]:
        """For each estimator where the intervals of the mean begin and end, (m,) each.

        Args:
            level: Their probability, each by itself. NaN where there is one seed only.
        """
        return {name: _interval(scores, level) for name, scores in self.scores.items()}

    def differences(self, reference: str, level: float = 0.95) -> dict[str, tuple[Array, Array]]:
        """Intervals of each estimator's mean difference from another's, paired by seed.

        Args:
            reference: The other one's name.
            level: Their probability, each by itself.
        """
        if reference not in self.scores:
            raise InvalidParameterError(
                f"There is no estimator {reference!r}; the names are {', '.join(self.scores)}."
            )
        return {
            name: _interval(scores - self.scores[reference], level)
            for name, scores in self.scores.items()
            if name != reference
        }

    def table(self, level: float = 0.95) -> list[tuple[Any, ...]]:
        """One line per size and estimator: size, name, mean, low, high.

        Args:
            level: The intervals' probability.
        """
        bounds = self.intervals(level)
        return [
            (int(size), name, float(scores[i].mean()), *(float(side[i]) for side in bounds[name]))
            for i, size in enumerate(self.sizes)
            for name, scores in self.scores.items()
        ]


def label_efficiency(
    estimators: Mapping[str, Any],
    X: Any,
    y: Any,
    sizes: Sequence[int],
    seeds: int | Sequence[int] = 5,
    *,
    test_fraction: float = 0.25,
    unlabelled: Sequence[str] = (),
) -> LabelEfficiency:
    """Accuracy (R² of a numeric label) against the number of labels.

    Args:
        estimators: By name; scikit-learn's classifiers, or its regressors, or pipelines that end
            in one. Each is cloned for every fit, and where it has a ``random_state`` that is
            None, gets the seed.
        X: Rows: an array, a sparse matrix or a frame.
        y: Labels, (n,).
        sizes: Numbers of labels, for classes at least one each.
        seeds: How many draws, or the seed of each.
        test_fraction: Part of the rows that is held out.
        unlabelled: Names of estimators that are given the unlabelled rows too. Such as have an
            attribute ``learns_from_unlabelled`` that is true are given them anyway, and so are
            those of `sklearn.semi_supervised`.

    Raises:
        InvalidDataError: y of another length or with missing labels, one class only, or more
            labels than rows to draw from.
        InvalidParameterError: No estimators, sizes or seeds, or unsuitable ones.
    """
    kind, sized, drawn = _read(estimators, sizes, seeds, unlabelled)
    task = _Task.of(X, y, kind)
    scores = {name: np.full((len(sized), len(drawn)), np.nan) for name in estimators}
    for column, seed in enumerate(drawn):
        order, test = task.split(seed, test_fraction, sized)
        for row, size in enumerate(sized):
            for name, estimator in estimators.items():
                everything = name in unlabelled or _takes_unlabelled(estimator)
                fitted = task.fit(estimator, order, size, everything, seed)
                scores[name][row, column] = task.score(fitted, test)
    return LabelEfficiency(np.array(sized), scores, "accuracy" if kind else "R²")


@dataclass(frozen=True)
class _Task:
    """Rows with labels, and how they are divided.

    Attributes:
        X: The rows.
        y: Their labels.
        classes: The class of each row, numbered, (n,); None for a numeric label.
    """

    X: Any
    y: NDArray[Any]
    classes: NDArray[np.intp] | None

    @classmethod
    def of(cls, X: Any, y: Any, classified: bool) -> "_Task":
        labels = np.asarray(y)
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        if labels.shape != (n,):
            raise InvalidDataError(
                f"y must have one label for each of the {n} rows; its shape is {labels.shape}."
            )
        missing = np.array([label is None or label != label for label in labels], bool)
        if missing.any():
            raise InvalidDataError(
                f"{missing.sum()} labels are missing, the first in row {missing.argmax()}; leave "
                "such rows out: a score needs the truth."
            )
        if not classified:
            return cls(X, labels.astype(np.float64), None)
        names, classes = np.unique(labels, return_inverse=True)
        if len(names) < 2:
            raise InvalidDataError(
                f"y has one class only, {names[0]!r}; there is nothing to learn."
            )
        return cls(X, labels, classes)

    def split(
        self, seed: int, fraction: float, sizes: Sequence[int]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows to learn from, in the order in which they get labels, and test rows."""
        order = shared_order(self.classes, len(self.y), np.random.default_rng(seed))
        n_test = max(1, round(fraction * len(order)))
        n_classes = 1 if self.classes is None else int(self.classes.max()) + 1
        rest, test = order[: len(order) - n_test], order[len(order) - n_test :]
        if not n_classes <= sizes[0] <= sizes[-1] <= len(rest):
            raise InvalidDataError(
                f"sizes from {sizes[0]} to {sizes[-1]} don't lie between {n_classes} (one label "
                f"for each class) and {len(rest)} (the rows that are not held out)."
            )
        return rest, test

    def fit(
        self, estimator: Any, order: NDArray[np.intp], size: int, everything: bool, seed: int
    ) -> Any:
        """A clone that has learned from the first labels."""
        fresh = clone(estimator)
        params = fresh.get_params(deep=True)
        fresh.set_params(
            **{
                name: seed
                for name, value in params.items()
                if name.split("__")[-1] == "random_state" and value is None
            }
        )
        if not everything:
            return fresh.fit(take(self.X, order[:size]), self.y[order[:size]])
        labels = self.y[order].copy()
        if self.classes is None:
            labels[size:] = np.nan
        else:
            labels = self.classes[order].astype(np.int64)
            labels[size:] = UNLABELLED
        return _Numbered(fresh.fit(take(self.X, order), labels), np.unique(self.y))

    def score(self, fitted: Any, test: NDArray[np.intp]) -> float:
        """On held-out rows."""
        told = fitted.predict(take(self.X, test))
        measure = r2_score if self.classes is None else accuracy_score
        return float(measure(self.y[test], told))


@dataclass(frozen=True)
class _Numbered:
    """An estimator that was given the numbers of classes in place of their names."""

    estimator: Any
    names: NDArray[Any]

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels as the user calls them."""
        told = np.asarray(self.estimator.predict(X))
        return told if told.dtype.kind == "f" else self.names[told]


def shared_order(
    classes: NDArray[np.intp] | None, n: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """A random order in whose every stretch each class has its share, and which begins with all.

    Args:
        classes: The class of each row, (n,); None where any order will do.
        n: The number of rows.
        rng: Source of the order.
    """
    order = rng.permutation(n)
    if classes is None:
        return order
    mine = classes[order]
    _, index, counts = np.unique(mine, return_inverse=True, return_counts=True)
    rank = np.empty(n)
    for kind in range(len(counts)):
        rank[index == kind] = np.arange(counts[kind])
    # the j-th row of a class of c stands at (j + u)/c of the way, u the same for all its rows
    offset = rng.uniform(size=len(counts))
    place = (rank + offset[index]) / counts[index]
    place[rank == 0] -= 1  # the first of each class comes first
    sorted_: NDArray[np.intp] = order[np.argsort(place, kind="stable")]
    return sorted_


def take(X: Any, index: NDArray[np.intp]) -> Any:
    """Rows of an array, a sparse matrix or a frame, in their make.

    Args:
        X: The rows.
        index: Which, in this order.
    """
    if is_into_dataframe(X):
        return nw.from_native(X, eager_only=True)[index.tolist()].to_native()
    return (X if hasattr(X, "shape") else np.asarray(X))[index]


def _read(
    estimators: Mapping[str, Any],
    sizes: Sequence[int],
    seeds: int | Sequence[int],
    unlabelled: Sequence[str],
) -> tuple[bool, list[int], list[int]]:
    """Whether classes are told, the sizes in order, and the seeds."""
    drawn = list(range(seeds)) if is_whole(seeds) else list(_whole_numbers("seeds", seeds, 0))
    sized = sorted(set(_whole_numbers("sizes", sizes, 1)))
    for name, given in (("estimators", estimators), ("sizes", sized), ("seeds", drawn)):
        if not given:
            raise InvalidParameterError(f"{name} is empty; give at least one.")
    unknown = [name for name in unlabelled if name not in estimators]
    if unknown:
        raise InvalidParameterError(
            f"unlabelled names {unknown[0]!r}, which is none of {', '.join(estimators)}."
        )
    kinds = {name: _is_classifier(estimator) for name, estimator in estimators.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(name for name, kind in kinds.items() if kind)
        raise InvalidParameterError(
            f"{told} tell classes and the others numbers; give estimators of one kind."
        )
    return next(iter(kinds.values())), sized, drawn


def _is_classifier(estimator: Any) -> bool:
    from sklearn.base import is_classifier

    return bool(is_classifier(estimator))


def _whole_numbers(name: str, given: Any, least: int) -> Iterator[int]:
    for number in given:
        if not (is_whole(number) and number >= least):
            raise InvalidParameterError(
                f"{name} must be whole numbers from {least} on; got {number!r}."
            )
        yield int(number)


def _takes_unlabelled(estimator: Any) -> bool:
    said = getattr(estimator, "learns_from_unlabelled", False)
    return bool(said) or type(estimator).__module__.startswith("sklearn.semi_supervised")


def _interval(scores: Array, level: float) -> tuple[Array, Array]:
    """Student's t over the seeds."""
    if not 0 < level < 1:
        raise InvalidParameterError(f"level must lie between 0 and 1; got {level!r}.")
    n = scores.shape[1]
    mean = scores.mean(1)
    if n < 2:
        return np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = t.ppf((1 + level) / 2, n - 1) * scores.std(1, ddof=1) / np.sqrt(n)
    return mean - half, mean + half
