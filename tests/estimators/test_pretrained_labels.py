"""Labels that are there and that are not, and what pretrained estimators refuse."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from isthmus import (
    Autoencoder,
    InvalidDataError,
    InvalidParameterError,
    IsthmusWarning,
    NotFittedError,
    PretrainedClassifier,
    PretrainedRegressor,
    UnsupportedTypeError,
)
from isthmus.estimators.labels import read_classes, read_numbers
from tests.estimators.pretrained_cases import CLASSES, QUICK, ROWS, TINY


@pytest.mark.parametrize(
    ("y", "rows", "values"),
    [
        ([0, -1, 1, 2], [0, 2, 3], [0, 1, 2]),
        ([0.0, np.nan, 1.0, -1.0, 4.0], [0, 2, 4], [0, 1, 4]),
        (["a", None, "b"], [0, 2], ["a", "b"]),
        (["a", np.nan, "b", "-1"], [0, 2, 3], ["a", "b", "-1"]),
        ([True, None, False], [0, 2], [True, False]),
        ([True, False], [0, 1], [True, False]),
        (pd.Series(["a", pd.NA, "b"], dtype="string"), [0, 2], ["a", "b"]),
        (pd.Series([1, pd.NA, 3, -1], dtype="Int64"), [0, 2], [1, 3]),
        (pd.Series(["a", None, "b"], dtype="category"), [0, 2], ["a", "b"]),
        (pl.Series([True, None, False]), [0, 2], [True, False]),
        ([-1, 1, 1], [0, 1, 2], [-1, 1, 1]),
        ([-1, 1, None], [0, 1], [-1, 1]),
        ([[0], [1]], [0, 1], [0, 1]),
    ],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_labels_that_are_there(y, rows, values):
    labels = read_classes(y)
    assert labels.rows.tolist() == rows
    assert labels.values.tolist() == values
    assert labels.n_rows == len(y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "the target y is None"),
        ([-1, -1], "None of the 2 rows has a label"),
        (["a", 1], "several kinds, such as 'a' and 1"),
        ([0.5, 1.5, 2.5], "Unknown label type.*PretrainedRegressor"),
        ([0, 1, np.inf], "infinity: it is inf in row 2"),
        ([[0, 1], [1, 0]], "one label for each row"),
        ([{}, {1: 2}], "y holds {}"),
    ],
)
def test_labels_that_are_none(y, message):
    with pytest.raises(InvalidDataError, match=message):
        read_classes(y)


def test_numbers_that_are_none():
    assert read_numbers([1, None, np.nan, 3]).rows.tolist() == [0, 3]
    with pytest.raises(InvalidDataError, match=r"must hold numbers.*PretrainedClassifier"):
        read_numbers(["a", "b"])
    with pytest.raises(InvalidDataError, match="None of the 2 rows"):
        read_numbers([np.nan, np.nan])
    with pytest.raises(InvalidDataError, match="infinity: it is -inf in row 1"):
        read_numbers([np.nan, -np.inf])


def test_one_class_one_row_and_other_lengths():
    model = PretrainedClassifier(Autoencoder(**TINY), **QUICK)
    with pytest.raises(InvalidDataError, match="All labels are of one class, 'a'"):
        model.fit(ROWS, ["a"] * 120)
    with pytest.raises(InvalidDataError, match="X has 120 rows, but y has 119 labels"):
        model.fit(ROWS, CLASSES[1:])
    alone = np.where(np.arange(120) == 7, 9, CLASSES)
    assert 9 in model.fit(ROWS, alone).classes_
    five = model.fit(ROWS[:5], [0, 1, 0, 1, -1])
    assert five.temperature_ == 1
    assert five.predict(ROWS[:1]).shape == (1,)


def test_classes_that_fit_never_saw_are_told_and_count_as_errors():
    model = PretrainedClassifier(Autoencoder(**TINY), **QUICK).fit(ROWS, CLASSES)
    found = model.predict(ROWS)
    strange = np.where(np.arange(120) < 30, 8, found)
    with pytest.warns(IsthmusWarning, match="30 labels of classes that fit never saw: 8"):
        assert model.score(ROWS, strange) == 0.75
    assert model.score(ROWS, np.where(np.arange(120) < 30, -1, found)) == 1
    with pytest.raises(InvalidDataError, match="None of the 120 rows"):
        model.score(ROWS, np.full(120, -1))


def test_constant_numbers_and_counts():
    model = PretrainedRegressor(Autoencoder(**TINY), **QUICK).fit(ROWS, np.full(120, 7.0))
    np.testing.assert_allclose(model.predict(ROWS), 7, rtol=0.05)
    counts = np.random.default_rng(0).poisson(3, 120)
    model = PretrainedRegressor(Autoencoder(**TINY), likelihood="poisson", **QUICK)
    assert (model.fit(ROWS, counts).predict(ROWS) > 0).all()
    with pytest.raises(InvalidDataError, match="Poisson needs counts"):
        model.fit(ROWS, -1.0 - counts)


CONSISTENT = {"consistency": 1.0, "corruption": "masking"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"consistency": 1.0}, "there is no corruption; give one"),
        ({"neighbours": 3}, "neighbours=3 spreads labels .* give consistency=1.0 as well"),
        ({"neighbours": -1}, "neighbours must be a whole number, 0 or more; got -1"),
        ({"labelled_batch_size": 0}, "labelled_batch_size must be a whole number, 1 or more"),
        ({"reconstruction": -1}, "reconstruction must be a number, 0 or more; got -1"),
        ({"layer_decay": "x"}, "layer_decay must be a number"),
        ({"confidence": 1.0}, "confidence must be a number above 0 and below 1"),
        ({"freeze": -1}, "freeze must be a whole number, 0 or more; got -1"),
        ({"gradual": "no"}, "gradual must be True or False; got 'no'"),
        ({"gradual": 1}, "gradual must be True or False; got 1"),
        ({"pretrain": None}, "pretrain must be True or False; got None"),
        ({"head": 3}, r"head must be a tuple of widths, such as \(64,\)"),
        ({"class_weight": "even"}, "class_weight doesn't fit"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, "one is above 0"),
        ({"class_shares": "labels"}, "class_shares are of virtual labels.* give consistency"),
        ({"class_shares": {0: 1.0}, **CONSISTENT}, r"share for each of the classes \[0, 1, 2\]"),
        ({"class_shares": "even", **CONSISTENT}, "class_shares must be 'labels', or a dictionary"),
        ({"class_shares": {0: 1, 1: 0, 2: 0}, **CONSISTENT}, "must be numbers above 0"),
        ({"class_shares": {0: 1, 1: 1, 2: 2}, **CONSISTENT}, "must have the sum 1; .* have 4"),
        ({"corruption": "maskin"}, "Did you mean 'masking'"),
    ],
)
def test_wrong_parameters(wrong, message):
    model = PretrainedClassifier(Autoencoder(**TINY), **{**QUICK, **wrong})
    with pytest.raises(InvalidParameterError, match=message):
        model.fit(ROWS, CLASSES)


def test_truth_values_of_numpy_are_taken():
    how = {"gradual": np.True_, "pretrain": np.False_, **QUICK}
    model = PretrainedClassifier(Autoencoder(**TINY), **how).fit(ROWS, CLASSES)
    assert model.autoencoder_.history_ == []


def test_numbers_need_a_likelihood_of_numbers():
    for likelihood in ("categorical", "gaussian_ranked"):
        model = PretrainedRegressor(Autoencoder(**TINY), likelihood=likelihood, **QUICK)
        with pytest.raises((InvalidParameterError, InvalidDataError)):
            model.fit(ROWS, ROWS[:, 0])


def test_what_is_no_autoencoder():
    with pytest.raises(UnsupportedTypeError, match=r"must be an Autoencoder"):
        PretrainedClassifier(LinearRegression()).fit(ROWS, CLASSES)
    with pytest.raises(NotFittedError, match="call fit first"):
        PretrainedClassifier().predict(ROWS)
