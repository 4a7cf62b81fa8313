"""From numbers back to the user's table, and tables with their holes filled."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pytest
from frames import HOLED, MAKERS, N, same_frame

from isthmus._errors import InvalidDataError
from isthmus.data import decode, encode, fill_missing, infer_schema

ALL = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


# ---- decode ---------------------------------------------------------------------------------


@ALL
def test_there_and_back(make):
    frame = make()
    schema = infer_schema(frame)
    assert same_frame(decode(encode(frame, schema), schema, frame), frame)


@ALL
def test_there_and_back_without_holes(make):
    frame = make(holes=False)
    schema = infer_schema(frame)
    assert same_frame(decode(encode(frame, schema).values, schema, frame), frame)


@ALL
def test_other_rows_than_those_of_the_model_frame(make):
    frame = make(holes=False)
    schema = infer_schema(frame)
    few = encode(frame, schema).values[:3]
    made = decode(few, schema, frame)
    expected = frame.iloc[:3] if isinstance(frame, pd.DataFrame) else frame.slice(0, 3)
    assert same_frame(made, expected)


def test_counts_and_integers_are_rounded():
    frame = pd.DataFrame(
        {
            "count": np.random.default_rng(0).poisson(3, 200).astype(float),
            "age": np.random.default_rng(1).integers(0, 200, 200).astype(np.uint8),
            "x": np.random.default_rng(2).normal(size=200),
        }
    )
    schema = infer_schema(frame)
    made = decode([[2.6, 40.6, 0.25], [0.4, -3.0, 0.5], [1.0, 300.0, 1.5]], schema, frame)
    assert made["count"].tolist() == [3.0, 0.0, 1.0]
    assert made["age"].tolist() == [41, 0, 255]
    assert made["x"].tolist() == [0.25, 0.5, 1.5]
    assert (made.dtypes == frame.dtypes).all()
    array = decode([[2.6, 40.6, 0.25]], schema, frame.to_numpy())
    assert array.tolist() == [[3.0, 40.6, 0.25]]
    whole = np.array([[7, 300], [8, 200]], dtype=np.int16)
    assert decode([[7.6, 1e9]], infer_schema(whole), whole).tolist() == [[8, 32767]]


def test_the_index_is_kept():
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}, index=["one", "two"])
    schema = infer_schema(frame)
    assert decode(encode(frame, schema), schema, frame).index.tolist() == ["one", "two"]


def test_a_hole_where_the_type_has_no_place():
    frame = pd.DataFrame({"a": [1, 2, 30], "b": [True, False, True]})
    schema = infer_schema(frame)
    for values, name in (([[np.nan, 1.0]], "a"), ([[1.0, np.nan]], "b")):
        with pytest.raises(InvalidDataError, match=f"'{name}' has a missing cell in row 0"):
            decode(values, schema, frame)
    whole = np.array([[1], [30]])
    with pytest.raises(InvalidDataError, match="0 has a missing cell in row 1"):
        decode([[1.0], [np.nan]], infer_schema(whole), whole)


def test_codes_and_shapes_that_do_not_fit():
    frame = pd.DataFrame({"a": ["x", "y"]})
    schema = infer_schema(frame)
    with pytest.raises(InvalidDataError, match=r"'a' has 2 levels, and row 1 has the code 2"):
        decode([[0.0], [2.0]], schema, frame)
    with pytest.raises(InvalidDataError, match=r"1 columns.*shape \(1, 2\)"):
        decode([[0.0, 1.0]], schema, frame)


def test_a_category_that_the_model_frame_lacks_is_added():
    schema = infer_schema(pd.DataFrame({"a": pd.Categorical(["x", "y", "z"])}))
    like = pd.DataFrame({"a": pd.Categorical(["x", "x"])})
    made = decode([[2.0], [0.0]], schema, like)
    assert made["a"].tolist() == ["z", "x"]
    assert made["a"].cat.categories.tolist() == ["x", "z"]


@pytest.mark.parametrize(
    "values",
    [
        pd.cut(np.arange(12.0), 3),
        pd.Categorical([3, 1, 3, None, 2, 1] * 2, ordered=True),
        pd.Categorical([True, False, None] * 4),
        pd.date_range("2020", periods=12, tz="Asia/Tokyo", freq="h"),
        pd.to_timedelta(np.arange(12), "h"),
        pd.array([1, None, 30] * 4, dtype="UInt8"),
        pd.array([0.5, None, 3] * 4, dtype="Float32"),
        np.arange(12).astype("datetime64[s]"),
    ],
    ids=lambda v: str(v.dtype),
)
def test_pandas_types(values):
    frame = pd.DataFrame({"v": values})
    schema = infer_schema(frame)
    assert same_frame(decode(encode(frame, schema), schema, frame), frame)
    holed = frame.copy()
    holed.loc[2, "v"] = None
    filled = fill_missing(holed, encode(frame, schema).values, schema)
    assert same_frame(filled, frame)


@pytest.mark.parametrize(
    "kind",
    [
        pa.decimal128(9, 2),
        pa.date64(),
        pa.timestamp("ns"),
        pa.timestamp("s", "UTC"),
        pa.duration("ms"),
        pa.time32("s"),
        pa.time64("us"),
        pa.float16(),
        pa.large_string(),
        pa.int8(),
        pa.uint64(),
        pa.dictionary(pa.int8(), pa.int64()),
        pa.string_view(),
    ],
    ids=str,
)
def test_arrow_types(kind):
    plain = pa.array([3, None, 86_400_000 % 97, 3, 7])
    if pa.types.is_dictionary(kind):
        array = plain.dictionary_encode().cast(kind)
    elif pa.types.is_date64(kind):
        array = plain.cast(pa.int32()).cast(pa.date32()).cast(kind)
    elif pa.types.is_decimal(kind):
        array = plain.cast(pa.int8()).cast(kind)
    elif kind == pa.timestamp("ns"):  # float64 holds days to the microsecond
        array = pa.compute.multiply(plain, 1000).cast(kind)
    elif pa.types.is_time32(kind):
        array = plain.cast(pa.int32()).cast(kind)
    else:
        array = plain.cast(kind)
    table = pa.table({"v": array})
    schema = infer_schema(table)
    made = decode(encode(table, schema), schema, table)
    assert made.schema == table.schema
    assert made.to_pylist() == table.to_pylist()


# ---- fill_missing ---------------------------------------------------------------------------


@ALL
def test_only_the_holes_are_filled(make):
    holed, full = make(holes=True), make(holes=False)
    schema = infer_schema(full)
    values = encode(full, schema).values
    assert same_frame(fill_missing(holed, values, schema), full)


@ALL
def test_observed_cells_are_not_looked_at(make):
    """Whatever stands beside them in the values, their bits come back."""
    holed = make(holes=True)
    schema = infer_schema(make(holes=False))
    values = encode(holed, schema).values
    other = encode(make(holes=False), schema).values[::-1].copy()
    filled = encode(fill_missing(holed, other, schema), schema).values
    holes = np.isnan(values)
    assert holes.sum() == 8 * len(HOLED)
    assert np.array_equal(filled[~holes], values[~holes])
    assert not np.isnan(filled).any()


def test_bits_that_float64_does_not_hold():
    big = [2**63 - 1, None, 2**60 + 1]
    nanos = pd.Series(
        ["2020-01-01T00:00:00.123456789", None, "2020-01-02"], dtype="datetime64[ns]"
    )
    frame = pd.DataFrame({"big": pd.array(big, dtype="Int64"), "t": nanos, "z": [-0.0, None, 1.0]})
    schema = infer_schema(frame)
    filled = fill_missing(frame, np.full((3, 3), 2.0), schema)
    assert filled["big"].tolist() == [2**63 - 1, 2, 2**60 + 1]
    assert filled["t"][0] == nanos[0]
    assert filled["t"][1] == pd.Timestamp("1970-01-03")
    assert np.signbit(filled["z"][0])


def test_unseen_categories_and_foreign_columns_come_back():
    schema = infer_schema(pl.DataFrame({"job": ["a", "b"]}))
    frame = pl.DataFrame({"key": [[1], [2], [3]], "job": ["new", None, "a"]})
    filled = fill_missing(frame, [[0.0], [1.0], [1.0]], schema)
    assert filled.equals(pl.DataFrame({"key": [[1], [2], [3]], "job": ["new", "b", "a"]}))


def test_the_users_frame_is_not_written_to():
    for name in ("pandas", "pandas objects", "polars"):
        frame, twin = MAKERS[name](), MAKERS[name]()
        schema = infer_schema(frame)
        fill_missing(frame, np.zeros((N, len(schema))), schema)
        assert same_frame(frame, twin)


def test_arrays_are_filled():
    x = np.array([[1.5, np.nan], [np.nan, -1.0]], dtype=np.float32)
    filled = fill_missing(x, [[9.0, 8.0], [7.0, 6.0]], infer_schema(x))
    assert filled.dtype == np.float32
    assert filled.tolist() == [[1.5, 8.0], [7.0, -1.0]]
    assert np.isnan(x).sum() == 2
    objects = np.array([["a", None], [None, 2.5], ["b", 3.5]], dtype=object)
    filled = fill_missing(objects, [[1.0, 8.0]] * 3, infer_schema(objects))
    assert filled.tolist() == [["a", 8.0], ["b", 2.5], ["b", 3.5]]


def test_rows_that_do_not_fit():
    frame = pd.DataFrame({"a": [1.5, None]})
    with pytest.raises(InvalidDataError, match="3 rows of values for the 2 rows"):
        fill_missing(frame, np.zeros((3, 1)), infer_schema(frame))
