"""Who judges a representation: a linear model, neighbours, and boosted trees.

| judge | of classes | of a number |
|---|---|---|
| linear | logistic regression, L2 with C = 1 | ridge regression, α = 1 |
| neighbours | the 10 nearest | the mean of the 10 nearest |
| boosting | histogram gradient boosting | the same |

Codes are standardised for the linear model; neighbours take them as they are. Trees get raw
categories as categories, which is what they do best. So that wide data and many classes end in
minutes, boosting has fewer rounds the more cells it reads and looks at a random part of the
features at each split; the report says how many and which part.
"""

import pickle
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Array = NDArray[Any]
JUDGES = ("linear", "neighbours", "boosting")
N_NEIGHBOURS = 10
ROUNDS, LEAST_ROUNDS = 100, 20
CELLS = 1e9
WIDTH = 64
N_TIMED = 3


@dataclass(frozen=True)
class Task:
    """What is to be judged.

    Attributes:
        numeric: Whether the label is a number.
        n_classes: Of classes.
        rounds: Of boosting.
        seed: Of boosting.
    """

    numeric: bool
    n_classes: int
    rounds: int
    seed: int

    @classmethod
    def of(cls, numeric: bool, n_classes: int, n_rows: int, width: int, seed: int) -> "Task":
        """A task whose boosting ends in minutes.

        Args:
            numeric: Whether the label is a number.
            n_classes: Of classes.
            n_rows: To train on.
            width: Of the raw features.
            seed: Of boosting.
        """
        trees = 1 if numeric or n_classes == 2 else n_classes
        rounds = int(CELLS / (n_rows * min(width, WIDTH) * trees))
        return cls(numeric, n_classes, max(LEAST_ROUNDS, min(ROUNDS, rounds)), seed)


@dataclass(frozen=True, eq=False)
class Features:
    """Features of the same rows for each of the judges.

    Attributes:
        plain: For the linear model and neighbours, (n, k).
        trees: For boosting, (n, k) or (n, d).
    """

    plain: Array
    trees: Array

    def of(self, judge: str) -> Array:
        """Those of one judge."""
        return self.trees if judge == "boosting" else self.plain


@dataclass(frozen=True, eq=False)
class Judged:
    """What one judge makes of one representation.

    Attributes:
        validation: Its accuracy or R² on the rows that choose.
        told: Its predictions of the test rows, (n,).
        fit_seconds: To learn.
        predict_seconds: For the test rows.
        n_bytes: Of the judge.
        converged: Whether it came to an end by itself.
    """

    validation: float
    told: Array
    fit_seconds: float
    predict_seconds: float
    n_bytes: int
    converged: bool


def make(judge: str, task: Task, n_train: int, width: int, *, raw: bool, coded: Array) -> Any:
    """A scikit-learn estimator that has learned nothing.

    Args:
        judge: In `JUDGES`.
        task: What is told.
        n_train: Rows that it will see.
        width: Its features.
        raw: Whether the features are raw: these come scaled.
        coded: Which of boosting's features are categories, (width,).
    """
    if judge == "linear":
        # to a tolerance at which accuracy stands still, in thousands of columns as well
        linear = Ridge() if task.numeric else LogisticRegression(max_iter=300, tol=1e-3)
        return linear if raw else make_pipeline(StandardScaler(), linear)
    if judge == "neighbours":
        nearest = KNeighborsRegressor if task.numeric else KNeighborsClassifier
        return nearest(min(N_NEIGHBOURS, n_train))
    boosting = HistGradientBoostingRegressor if task.numeric else HistGradientBoostingClassifier
    return boosting(
        max_iter=task.rounds,
        max_features=part_of_features(width),
        early_stopping=False,
        categorical_features=coded if coded.any() else None,
        random_state=task.seed,
    )


def part_of_features(width: int) -> float:
    """The part of the features that boosting looks at for each split."""
    return min(1.0, WIDTH / width)


def judge(
    estimator: Any,
    train: tuple[Array, Array],
    validation: tuple[Array, Array],
    test: Array,
) -> Judged:
    """Let one judge learn, choose and tell.

    Args:
        estimator: From `make`.
        train: Features and labels.
        validation: The same, of rows that choose.
        test: Features.
    """
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", ConvergenceWarning)
        estimator.fit(*train)
    seconds = time.perf_counter() - began
    told, predict_seconds = timed(lambda: estimator.predict(test))
    return Judged(
        float(estimator.score(*validation)) if len(validation[1]) > 1 else float("nan"),
        told,
        seconds,
        predict_seconds,
        len(pickle.dumps(estimator)),
        not any(issubclass(each.category, ConvergenceWarning) for each in heard),
    )


def timed(call: Callable[[], Array]) -> tuple[Array, float]:
    """What a call gives, and the least of three times it took, in seconds."""
    seconds = []
    for _ in range(N_TIMED):
        began = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - began)
    return result, float(np.min(seconds))
