"""No NaN ever comes out, whatever table goes in: drawn tables of every library."""

import struct

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus import Autoencoder, InvalidDataError
from tests.estimators.odd_frames import KINDS, LIBRARIES, cells, odd_frames

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def fitted(frame, **more):
    params = {"hidden": (4,), "max_epochs": 1, "batch_size": 16, "random_state": 0}
    return Autoencoder(2, **params, **more).fit(frame)


def trained(odd, **more):
    """A model, or None where there is nothing to learn from."""
    if all(cell is None for column in cells(odd.train) for cell in column):
        with pytest.raises(InvalidDataError, match="NaN only"):
            fitted(odd.train, **more)
        return None
    return fitted(odd.train, **more)


def holes_for(model, odd):
    """The new rows; without holes where the model has no place for them."""
    return odd.new if model.likelihood_.traits.columns is not None else odd.train


@QUICK
@given(odd_frames())
def test_no_nan_in_codes_and_scores(odd):
    model = trained(odd)
    if model is None:
        return
    rows = holes_for(model, odd)
    n = rows.shape[0]
    codes, scores = model.transform(rows), model.score_samples(rows)
    assert codes.shape == (n, 2)
    assert np.isfinite(codes).all()
    assert scores.shape == (n,)
    assert not np.isnan(scores).any()
    assert not np.isnan(model.score_features(rows)).any()


@QUICK
@given(odd_frames(), st.sampled_from([None, 1]))
def test_imputation_fills_the_holes_and_nothing_else(odd, n_draws):
    model = trained(odd)
    if model is None:
        return
    rows = holes_for(model, odd)
    before = cells(rows)
    filled = model.impute(rows, n_draws, random_state=0)
    filled = filled if n_draws is None else filled[0]
    if model.schema_ is None:  # a frame of one kind without holes is like an array
        assert filled.dtype.kind in "bif"
        assert not np.isnan(np.asarray(filled, float)).any()
        return
    assert type(filled) is type(rows)
    assert_same_types(rows, filled)
    learnt = [any(cell is not None for cell in column) for column in cells(odd.train)]
    for old, new, known in zip(before, cells(filled), learnt, strict=True):
        for one, other in zip(old, new, strict=True):
            if one is None:
                assert (other is not None) == known
            else:
                assert same_bits(one, other)
    assert cells(rows) == before


def assert_same_types(rows, filled):
    """Of a column that has a type; one without any cell may have none."""
    if isinstance(rows, pd.DataFrame):
        assert list(filled.columns) == list(rows.columns)
        assert filled.index.equals(rows.index)
        assert filled.dtypes.tolist() == rows.dtypes.tolist()
        return
    if isinstance(rows, pl.DataFrame):
        assert filled.columns == rows.columns
        pairs = zip(filled.dtypes, rows.dtypes, strict=True)
    else:
        assert filled.column_names == rows.column_names
        pairs = zip(filled.schema.types, rows.schema.types, strict=True)
    assert all(new == old or old in (pl.Null, pa.null()) for new, old in pairs)


def same_bits(one, other):
    if isinstance(one, float):
        return isinstance(other, float) and struct.pack("d", one) == struct.pack("d", other)
    return type(one) is type(other) and one == other


@settings(QUICK, max_examples=15)
@given(odd_frames(libraries=["pandas", "polars", "arrow"]), st.randoms())
def test_columns_are_matched_by_name(odd, random):
    model = trained(odd)
    if model is None or model.schema_ is None or odd.whole_names:
        return
    names = list(map(str, getattr(odd.new, "column_names", None) or odd.new.columns))
    random.shuffle(names)
    chosen = odd.new.select(names) if hasattr(odd.new, "select") else odd.new[names]
    np.testing.assert_array_equal(model.transform(chosen), model.transform(odd.new))
    np.testing.assert_array_equal(model.score_samples(chosen), model.score_samples(odd.new))


def test_the_tables_are_as_odd_as_they_should_be():
    seen = {"kinds": set(), "libraries": set(), "names": set(), "holes": set()}

    @settings(max_examples=150, deadline=None, database=None)
    @given(odd_frames())
    def look(odd):
        seen["kinds"] |= set(odd.kinds)
        seen["libraries"].add(odd.library)
        seen["names"].add(odd.whole_names)
        columns = cells(odd.new)
        seen["holes"].add(any(cell is None for column in columns for cell in column))
        seen["holes"].add(
            "row" if any(set(row) == {None} for row in zip(*columns, strict=True)) else ""
        )

    look()
    assert seen["kinds"] == set(KINDS)
    assert seen["libraries"] == set(LIBRARIES)
    assert seen["names"] == {True, False}
    assert seen["holes"] >= {True, "row"}
