"""Columns that tell the label too well: what was written down after it, or because of it.

The label **follows exactly** from a column if rows of one value never differ in the label, and
either the classes lie one after the other along the column, or its values come back (five rows for
each of them) and still never contradict.

A column **nearly tells** the label if a tree that sees nothing else is right for 99 % of the rows
that it did not learn from, and errs at most a tenth as often as the most frequent class does. The
second condition is for rare classes: where 995 rows in 1,000 are of one class, any column is right
for 99.5 %. Of a number it is 99 % of the variance of its ranks, which have no unit and no tails.
Each half of the rows is told by a tree that learned from the other half (cross-validation; Stone,
1974), and a leaf holds five rows, so that one wrong label is outvoted.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

Array = NDArray[np.float64]
Labels = NDArray[Any]
LEAST_TO_LEAK, LEAST_TO_TELL = 20, 100
NEARLY, SAVED = 0.99, 0.9
LEAF = 5
SAMPLE, SAMPLE_PER_CLASS, PROMISING = 1000, 50, 0.95


def leaks(columns: Array, values: Labels, numeric: bool) -> list[int]:
    """Columns from which the label follows exactly.

    Args:
        columns: (n, d), NaN where a cell is missing, which counts as a value of its own.
        values: The class of each row, or its number, (n,).
        numeric: Whether the label is a number: then a column leaks that puts the rows in the
            label's order, or in the opposite one.

    Returns:
        Their numbers. None where there are fewer than 20 rows, which prove nothing.
    """
    if len(values) < LEAST_TO_LEAK:
        return []
    test = _tells_number if numeric else _tells_class
    return [j for j in range(columns.shape[1]) if test(columns[:, j], values)]


def _tells_class(column: Array, classes: Labels) -> bool:
    order = np.lexsort((classes, column))
    x, y = column[order], classes[order]
    other_class = y[1:] != y[:-1]
    same_value = (x[1:] == x[:-1]) | (np.isnan(x[1:]) & np.isnan(x[:-1]))
    if (other_class & same_value).any():
        return False
    n_values = 1 + int((~same_value).sum())
    return int(other_class.sum()) + 1 <= len(np.unique(classes)) or 5 * n_values <= len(x)


def _tells_number(column: Array, numbers: Labels) -> bool:
    if np.isnan(column).any():
        return False
    for sign in (1.0, -1.0):
        order = np.lexsort((numbers, sign * column))
        x, y = column[order], numbers[order]
        unequal = y[1:] != y[:-1]
        if (y[1:] >= y[:-1]).all() and not (unequal & (x[1:] == x[:-1])).any():
            return True
    return False


def nearly_tell(columns: Array, values: Labels, numeric: bool, seed: int = 0) -> dict[int, float]:
    """Columns that nearly tell the label, and how well.

    Args:
        columns: (n, d), NaN where a cell is missing.
        values: The class of each row, or its number, (n,).
        numeric: Whether the label is a number.
        seed: Of the halves.

    Returns:
        By number of the column, the part of the rows whose class a tree tells from it, or R² of
        the label's ranks. Those from which it follows exactly are among them. Empty where there
        are fewer than 100 rows, in which one error is already more than a hundredth.
    """
    n = len(values)
    if n < LEAST_TO_TELL:
        return {}
    truth: Labels = rankdata(values) if numeric else np.unique(values, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(n)
    some = order[: max(SAMPLE, 0 if numeric else SAMPLE_PER_CLASS * (int(truth.max()) + 1))]
    least = NEARLY if numeric else max(NEARLY, 1 - (1 - SAVED) * (1 - _most_frequent(truth)))
    found = {}
    for j in range(columns.shape[1]):
        # a look at some rows, which most columns don't survive
        if _told(columns[some, j], truth[some], numeric) >= PROMISING:
            told = _told(columns[order, j], truth[order], numeric)
            if told >= least:
                found[j] = told
    return found


def _most_frequent(classes: Labels) -> float:
    return float(np.bincount(classes).max() / len(classes))


def _told(column: Array, truth: Labels, numeric: bool) -> float:
    """How well one column tells the label of rows that were not learned from, in random order."""
    x, half = column[:, None], len(truth) // 2
    tree = (DecisionTreeRegressor if numeric else DecisionTreeClassifier)(
        min_samples_leaf=LEAF, random_state=0
    )
    told = np.concatenate(
        [
            tree.fit(x[half:], truth[half:]).predict(x[:half]),
            tree.fit(x[:half], truth[:half]).predict(x[half:]),
        ]
    )
    if numeric:
        return 1 - float(np.square(truth - told).sum() / np.square(truth - truth.mean()).sum())
    return float(np.mean(told == truth))
