"""Labels of every kind."""

import numpy as np
import pytest

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.comparison.labels import rare_classes, read_labels


@pytest.mark.parametrize(
    ("values", "classes", "first"),
    [
        (["b", "a"] * 6, ("a", "b"), 1),
        ([True, False] * 6, ("False", "True"), 1),
        ([2.0, 1.0] * 6, ("1", "2"), 1),
        ([3, None, 1, float("nan")] * 6, ("1", "3"), 1),
        (list(range(20)), tuple(map(str, range(20))), 0),
    ],
)
def test_classes(values, classes, first):
    found = read_labels(values, "y")
    assert found.classes == classes
    assert found.values[0] == first
    assert found.known.tolist() == [v is not None and v == v for v in values]
    assert np.array_equal(found.kinds, found.values)


@pytest.mark.parametrize("values", [[0.5, 1.5] * 6, list(range(21))])
def test_numbers(values):
    found = read_labels([*values, None], "y")
    assert found.numeric
    assert found.kinds is None
    assert found.values[:-1] == pytest.approx(values)
    assert not found.known[-1]


def test_the_task_can_be_said():
    assert read_labels([1, 2] * 6, "y", "regression").numeric
    assert len(read_labels([x % 30 for x in range(300)], "y", "classification").classes) == 30


@pytest.mark.parametrize(
    ("values", "task", "error", "words"),
    [
        (["a"] * 12, "auto", InvalidDataError, "'y' has one class only, 'a', in all 12 rows"),
        ([1.5] * 12, "auto", InvalidDataError, r"is 1\.5 in all 12"),
        ([None] * 12, "auto", InvalidDataError, "0 of 12 rows have a label in 'y'"),
        ([1, 2] * 4, "auto", InvalidDataError, "8 of 8 rows .* at least 10"),
        ([f"name {i}" for i in range(50)], "auto", InvalidDataError, "50 different values"),
        ([*[0.5] * 11, np.inf], "auto", InvalidDataError, "number 11 is infinite"),
        (["a", "b"] * 6, "regression", InvalidParameterError, "'a', which is no number"),
        ([1, 2] * 6, "guess", InvalidParameterError, "task must be one of .*'guess'"),
    ],
)
def test_what_cannot_be_predicted(values, task, error, words):
    with pytest.raises(error, match=words):
        read_labels(values, "y", task)


def test_rare_classes():
    found = read_labels(["a"] * 30 + ["b"] * 9 + ["c"], "y")
    assert rare_classes(found) == {"b": 9, "c": 1}
