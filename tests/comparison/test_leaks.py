"""Columns whose knowledge of the label is known in closed form."""

import numpy as np
import pytest
from scipy.stats import norm

from isthmus.comparison.leaks import leaks, nearly_tell

N = 4000


def test_leaks_are_found_and_nothing_else(rng):
    y = rng.integers(0, 3, 200)
    columns = {
        "a copy": y,
        "renamed": np.array([7, 2, 5])[y],
        "cut points": y * 10 + rng.uniform(size=200),
        "finer levels": y * 4 + rng.integers(0, 4, 200),
        "every third level": y + 3 * rng.integers(0, 2, 200),
        "missing tells": np.where(y == 0, np.nan, y),
        "noise": rng.normal(size=200),
        "one wrong": np.where(np.arange(200) == 5, (y + 1) % 3, y),
        "a row number": np.arange(200),
        "constant": np.zeros(200),
        "nearly": y + rng.normal(size=200),
    }
    table = np.column_stack(list(columns.values())).astype(float)
    found = [list(columns)[j] for j in leaks(table, y, numeric=False)]
    assert found == [
        "a copy",
        "renamed",
        "cut points",
        "finer levels",
        "every third level",
        "missing tells",
    ]


def test_a_number_leaks_from_what_has_its_order(rng):
    y = np.round(rng.normal(size=100), 1)
    table = np.column_stack([3 * y - 2, -(y**3), y + rng.normal(size=100), y**2, np.zeros(100)])
    assert leaks(table, y, numeric=True) == [0, 1]


def test_few_rows_prove_nothing():
    y = np.array([0, 1] * 9)
    assert leaks(y[:, None].astype(float), y, numeric=False) == []


def test_noise_leaks_never(rng):
    y = rng.integers(0, 2, 20)
    assert leaks(rng.normal(size=(20, 500)), y, numeric=False) == []


@pytest.fixture
def classes(rng):
    return rng.integers(0, 3, N)


def flipped(classes, part, rng):
    """A copy that is wrong for this part of the rows."""
    wrong = np.arange(len(classes)) < part * len(classes)
    return np.where(wrong, (classes + rng.integers(1, 3, len(classes))) % 3, classes)


def test_a_copy_with_errors_tells_as_many_rows_as_it_has_right(classes, rng):
    parts = [0.0, 0.002, 0.006, 0.02, 0.1]
    order = rng.permutation(N)
    table = np.column_stack([flipped(classes, part, rng) for part in parts]).astype(float)[order]
    found = nearly_tell(table, classes[order], numeric=False)
    assert list(found) == [0, 1, 2]
    for j, told in found.items():
        assert told == pytest.approx(1 - parts[j], abs=1e-9)


def test_names_order_and_holes_make_no_difference(classes, rng):
    copy = flipped(classes, 0.007, rng)
    columns = {
        "renamed": np.array([7, 2, 5])[copy],
        "cut points": copy + rng.uniform(0, 0.9, N),
        "every third level": copy + 3 * rng.integers(0, 4, N),
        "missing tells": np.where(copy == 0, np.nan, copy),
        "noise": rng.normal(size=N),
        "constant": np.zeros(N),
        "nothing": np.full(N, np.nan),
        "a row number": np.arange(N),
    }
    order = rng.permutation(N)
    table = np.column_stack(list(columns.values())).astype(float)[order]
    found = nearly_tell(table, classes[order], numeric=False)
    assert [list(columns)[j] for j in found] == list(columns)[:4]
    assert min(found.values()) > 0.99


def test_two_normal_classes_are_told_as_well_as_can_be(rng):
    """Of N(±m, 1) the best rule is right for Φ(m) of the rows."""
    y = rng.integers(0, 2, N)
    means = [1.5, 2.0, 2.8, 3.5]
    table = np.column_stack([m * (2 * y - 1) + rng.normal(size=N) for m in means])
    found = nearly_tell(table, y, numeric=False)
    assert list(found) == [2, 3]
    for j, told in found.items():
        assert told == pytest.approx(norm.cdf(means[j]), abs=0.004)


def test_a_rare_class_must_be_told_too(rng):
    y = (rng.uniform(size=N) < 0.004).astype(int)
    close = np.where(rng.uniform(size=N) < 0.004, 1, y)
    table = np.column_stack([rng.normal(size=N), np.zeros(N), close, y]).astype(float)
    assert list(nearly_tell(table, y, numeric=False)) == [3]


def test_a_number_is_told_by_what_explains_its_order(rng):
    y = rng.standard_cauchy(N)
    place = norm.cdf(y)
    columns = [
        2 * y - 5,
        np.exp(-place) + 0.002 * rng.normal(size=N),
        place + 0.1 * rng.normal(size=N),
        rng.normal(size=N),
    ]
    found = nearly_tell(np.column_stack(columns), y, numeric=True)
    assert list(found) == [0, 1]


def test_few_rows_nearly_tell_nothing():
    y = np.arange(99) % 2
    assert nearly_tell(y[:, None].astype(float), y, numeric=False) == {}
    y = np.arange(100) % 2
    assert nearly_tell(y[:, None].astype(float), y, numeric=False) == {0: 1.0}


def test_many_classes_are_not_lost_by_the_first_look(rng):
    y = rng.integers(0, 60, 9000)
    column = np.where(rng.uniform(size=9000) < 0.003, rng.integers(0, 60, 9000), y)
    assert list(nearly_tell(column[:, None].astype(float), y, numeric=False)) == [0]
