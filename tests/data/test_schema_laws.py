"""Laws over any frame: what goes in comes out, and names and orders mean nothing."""

import datetime
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from frames import same_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data import Schema, SchemaBuilder, decode, encode, fill_missing, infer_schema

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
# no NUL: polars ends in a panic when it exports a column whose name has one
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=4)
TIMES = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2059, 1, 1))
CELLS = {
    "float": (FLOATS, pa.float64()),
    "int": (st.integers(-(2**53), 2**53), pa.int64()),
    "small": (st.integers(0, 5), pa.uint8()),
    "bool": (st.booleans(), pa.bool_()),
    "text": (WORDS, pa.string()),
    "date": (st.dates(), pa.date32()),
    "time": (TIMES, pa.timestamp("us")),
    "nothing": (st.nothing(), pa.string()),
}
LAW = settings(max_examples=60, deadline=None)


@st.composite
def tables(draw: st.DrawFn, least: int = 1) -> pa.Table:
    """Up to 6 columns of any kind, a fifth of their cells missing, under any names."""
    n = draw(st.integers(least, 12))
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    columns = {}
    for name in names:
        cells, kind = CELLS[draw(st.sampled_from(list(CELLS)))]
        holes = st.lists(st.integers(0, 4), min_size=n, max_size=n)
        values = [None if cells.is_empty or not hole else draw(cells) for hole in draw(holes)]
        columns[name] = pa.array(values, kind)
    return pa.table(columns)


LIBRARIES = {
    "arrow": lambda table: table,
    "polars": pl.from_arrow,
    "pandas": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas objects": lambda table: pd.DataFrame(
        {name: pd.Series(table[name].to_pylist(), dtype=object) for name in table.column_names}
    ),
}
EACH = pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)


def test_the_tables_vary():
    """They have every kind of column, holes, and empty columns."""
    seen: set[str] = set()

    @settings(max_examples=200, deadline=None)
    @given(tables())
    def look(table: pa.Table) -> None:
        for column in infer_schema(table):
            seen.add(column.kind)
            seen.update(["hole"] if 0 < column.stats.missing < table.num_rows else [])

    look()
    assert seen >= {"real", "positive", "binary", "categorical", "date", "constant", "missing"}
    assert "hole" in seen


@EACH
@LAW
@given(table=tables())
def test_numbers_are_finite_or_missing(library, table):
    frame = library(table)
    x = encode(frame, infer_schema(frame)).values
    assert not np.isinf(x).any()
    truth = [[cell is None for cell in table[name].to_pylist()] for name in table.column_names]
    assert np.array_equal(np.isnan(x), np.array(truth).T)


@EACH
@LAW
@given(table=tables())
def test_what_goes_in_comes_out(library, table):
    frame = library(table)
    schema = infer_schema(frame)
    made = decode(encode(frame, schema), schema, frame)
    assert same_frame(made, frame)
    assert np.array_equal(encode(made, schema).values, encode(frame, schema).values, True)


@EACH
@LAW
@given(table=tables())
def test_filling_leaves_what_is_observed(library, table):
    frame = library(table)
    schema = infer_schema(frame)
    x = encode(frame, schema).values
    filled = fill_missing(frame, np.zeros_like(x), Schema(schema.columns))
    after = encode(filled, schema).values
    assert np.array_equal(np.isnan(after).all(axis=0), np.isnan(x).all(axis=0))
    assert np.isnan(after).any(axis=0).tolist() == np.isnan(x).all(axis=0).tolist()
    assert np.array_equal(after[~np.isnan(x)], x[~np.isnan(x)])


@LAW
@given(table=tables(), random=st.randoms(use_true_random=False))
def test_the_order_of_columns_means_nothing(table, random):
    names = random.sample(table.column_names, len(table.column_names))
    one, two = infer_schema(table), infer_schema(table.select(names))
    assert set(two.columns) == set(one.columns)
    assert np.array_equal(encode(table.select(names), one).values, encode(table, one).values, True)


@LAW
@given(
    words=st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=30),
    names=st.lists(WORDS, min_size=4, max_size=4, unique=True),
)
def test_the_names_of_levels_mean_nothing(words, names):
    renamed = dict(zip("abcd", names, strict=True)) | {None: None}
    one = pl.DataFrame({"v": pl.Series(words, dtype=pl.String)})
    two = pl.DataFrame({"v": pl.Series([renamed[word] for word in words], dtype=pl.String)})
    found = [encode(frame, infer_schema(frame)).values for frame in (one, two)]
    assert np.array_equal(*found, equal_nan=True)


@LAW
@given(table=tables(), cuts=st.lists(st.integers(0, 12), max_size=3))
def test_parts_mean_nothing(table, cuts):
    builder = SchemaBuilder()
    ends = [0, *sorted(min(cut, table.num_rows) for cut in cuts), table.num_rows]
    for start, stop in pairwise(ends):
        builder.add(table.slice(start, stop - start))
    whole, parts = infer_schema(table), builder.finish()
    assert [(c.kind, c.levels) for c in parts] == [(c.kind, c.levels) for c in whole]
    for one, two in zip(whole, parts, strict=True):
        size = max(abs(one.stats.minimum), abs(one.stats.maximum))
        assert two.stats.mean == pytest.approx(one.stats.mean, rel=1e-12, abs=1e-12 * size)
        assert two.stats.std == pytest.approx(one.stats.std, rel=1e-9, abs=1e-12 * size)


@LAW
@given(table=tables())
def test_cards_mean_the_same(table):
    schema = infer_schema(table)
    assert Schema.from_card(schema.card()) == schema


@LAW
@given(x=st.lists(st.floats(-1e307, 1e307), min_size=1, max_size=30))
def test_moments_of_any_numbers(x):
    """Beside Python's exact fractions."""
    from fractions import Fraction

    (column,) = infer_schema(np.array(x)[:, None])
    exact = [Fraction(value) for value in x]
    mean = sum(exact) / len(x)
    variance = sum((value - mean) ** 2 for value in exact) / len(x)
    size = max(map(abs, x))
    unit = Fraction(size) or Fraction(1)
    std = float(variance / unit**2) ** 0.5  # in units of the largest
    assert column.stats.mean == pytest.approx(float(mean), rel=1e-12, abs=1e-14 * size)
    assert float(Fraction(column.stats.std) / unit) == pytest.approx(std, rel=1e-9, abs=1e-14)
