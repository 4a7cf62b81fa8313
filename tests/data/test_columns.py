"""Columns left out by name, of every make of table."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from pyarrow import parquet

from isthmus import InvalidDataError, InvalidParameterError
from isthmus.data import count_rows, is_source, open_data, stream
from isthmus.data.columns import put_back, without

VALUES = np.arange(12.0).reshape(4, 3)
NAMES = ["a", "b", "c"]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_of_frames(make):
    frame = make(dict(zip(NAMES, VALUES.T, strict=True)))
    left = without(frame, ["c", "a"])
    assert type(left) is type(frame)
    assert np.asarray(left).shape == (4, 1)
    np.testing.assert_array_equal(np.asarray(left).ravel(), VALUES[:, 1])
    assert without(frame, []) is frame
    with pytest.raises(InvalidParameterError, match="no column named 'd'"):
        without(frame, ["a", "d"])
    with pytest.raises(InvalidDataError, match="no column beside 'a', 'b', 'c'"):
        without(frame, NAMES)


def test_of_frames_whose_names_are_numbers():
    left = without(pd.DataFrame(VALUES), ["1"])
    assert list(left.columns) == [0, 2]


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_of_arrays_by_position(make):
    left = without(make(VALUES), ["1"])
    left = left.toarray() if sp.issparse(left) else left
    np.testing.assert_array_equal(left, VALUES[:, [0, 2]])
    with pytest.raises(InvalidParameterError, match="no column named '3'"):
        without(make(VALUES), ["3"])


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize("names", [[], ["a"], ["b"], ["c", "a"]])
def test_they_go_back_to_their_places(make, names):
    frame = make(dict(zip(NAMES, VALUES.T, strict=True)))
    again = put_back(without(frame, names), frame, names)
    assert type(again) is type(frame)
    assert list(getattr(again, "column_names", NAMES)) == NAMES
    np.testing.assert_array_equal(np.asarray(again), VALUES)


def test_they_go_back_between_numbered_and_repeated_rows():
    frame = pd.DataFrame(VALUES, index=[5, 5, 1, 7])
    pd.testing.assert_frame_equal(put_back(without(frame, ["1"]), frame, ["1"]), frame)


def test_they_go_back_among_those_that_a_model_knows():
    frame = pl.DataFrame({"id": [1, 2], "a": [0.1, 0.2], "new": [5, 6], "b": [0.3, 0.4]})
    filled = pl.DataFrame({"b": [0.5, 0.6], "a": [0.7, 0.8]})
    wanted = pl.DataFrame({"id": [1, 2], "a": [0.7, 0.8], "b": [0.5, 0.6]})
    assert put_back(filled, frame, ["id"]).equals(wanted)


@pytest.mark.parametrize("names", [["1"], ["2", "0"], ["0", "1", "0"]])
def test_they_go_back_into_arrays(names):
    np.testing.assert_array_equal(put_back(without(VALUES, names), VALUES, names), VALUES)


def test_of_images_there_are_none():
    with pytest.raises(InvalidDataError, match=r"shape \(3, 1\) have no column 'a'"):
        without(VALUES.reshape(4, 3, 1), ["a"])


def test_of_files_small_and_large(tmp_path, monkeypatch):
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table(dict(zip(NAMES, VALUES.T, strict=True))), path)
    assert open_data(path, drop=["b"]).column_names == ["a", "c"]
    monkeypatch.setattr(stream, "LARGE_BYTES", 1)
    opened = open_data(path, drop=["b"])
    assert is_source(opened)
    assert list(opened.columns) == ["a", "c"]
    assert count_rows(opened) == 4
    with pytest.raises(InvalidParameterError, match="no column named 'd'"):
        open_data(path, drop=["d"])
    np.save(tmp_path / "x.npy", VALUES)
    with pytest.raises(InvalidParameterError, match="can't be left out"):
        open_data(tmp_path / "x.npy", drop=["0"])
