"""`encode`: a table of any make as numbers, and what of it counts as missing."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pytest
from frames import MAKERS, lists, truth

from isthmus._errors import InvalidDataError, IsthmusWarning
from isthmus.data import Unseen, encode, encode_part, infer_schema

ALL = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


# ---- encode ---------------------------------------------------------------------------------


@ALL
def test_every_library_gives_the_same_numbers(make):
    frame = make()
    matrix = encode(frame, infer_schema(frame))
    assert matrix.dtype == np.float64
    assert matrix.names == tuple(lists(True))
    assert np.allclose(matrix.values, truth(), rtol=1e-15, atol=0, equal_nan=True)


@ALL
def test_columns_are_matched_by_name(make):
    frame, schema = make(), infer_schema(make())
    names = list(lists(True))[::-1]
    turned = frame[names] if isinstance(frame, pd.DataFrame) else frame.select(names)
    assert np.array_equal(encode(turned, schema).values, encode(frame, schema).values, True)


def test_another_library_than_at_fit():
    schema = infer_schema(MAKERS["pandas"]())
    for make in MAKERS.values():
        found = encode(make(), schema).values
        assert np.allclose(found, truth(), rtol=1e-15, atol=0, equal_nan=True)


def test_missing_and_additional_columns():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    schema = infer_schema(frame)
    with pytest.raises(InvalidDataError, match=r"lacks 1 of the 2 columns: 'b'"):
        encode(frame[["a"]], schema)
    with pytest.warns(IsthmusWarning, match=r"1 columns .* left out: 'target'"):
        found = encode(frame.assign(target=1), schema)
    assert np.array_equal(found.values, frame.to_numpy())


def test_arrays():
    x = np.array([[1.5, np.nan], [2.5, -1.0], [0.0, -999.0]])
    schema = infer_schema(x)
    assert np.array_equal(encode(x, schema).values, x, equal_nan=True)
    assert encode(x, schema).names is None
    assert np.array_equal(encode(pd.DataFrame(x), schema).values, x, equal_nan=True)
    with pytest.raises(InvalidDataError, match="lacks 1 of the 2 columns: 1"):
        encode(x[:, :1], schema)
    named = infer_schema(pd.DataFrame(x, columns=["a", "b"]))
    assert np.array_equal(encode(x, named).values, x, equal_nan=True)
    swapped = pd.DataFrame(x[:, ::-1], columns=[1, 0])
    assert np.array_equal(encode(swapped, schema).values, x, equal_nan=True)


def test_what_is_missing_and_what_is_not():
    values = [None, np.nan, pd.NA, pd.NaT, "", "NA", "nan", "-1", "None"]
    frame = pd.DataFrame({"text": pd.Series(values, dtype=object), "number": [-1] * 8 + [-999]})
    found = encode(frame, infer_schema(frame)).values
    assert np.array_equal(found[:, 0], [np.nan] * 4 + [0, 1, 2, 3, 4], equal_nan=True)
    assert np.array_equal(found[:, 1], [-1] * 8 + [-999])
    for library in (pl.DataFrame, pa.table):
        holes = encode(library({"x": [1.5, np.nan, None]}), infer_schema(library({"x": [1.5]})))
        assert np.array_equal(holes.values[:, 0], [1.5, np.nan, np.nan], equal_nan=True)
        coded = infer_schema(library({"x": [1.5, np.nan, None]}), {"x": "categorical"})
        assert coded.columns[0].levels == ("1.5",)


def test_unseen_categories_are_missing_and_told_once():
    schema = infer_schema(pd.DataFrame({"job": ["a", "b"], "sex": ["f", "m"]}))
    later = pd.DataFrame({"job": ["c", "b", "c", None, "d", "e", "f"], "sex": list("fmfmfmx")})
    with pytest.warns(IsthmusWarning) as told:
        found = encode(later, schema).values
    assert len(told) == 1
    assert told[0].filename == __file__
    text = str(told[0].message)
    assert "6 cells" in text
    assert "'job': 'c' (2), 'd' (1), 'e' (1) and 1 or more others" in text
    assert "'sex': 'x' (1)" in text
    nan = np.nan
    assert np.array_equal(found[:, 0], [nan, 1, nan, nan, nan, nan, nan], equal_nan=True)


def test_a_stream_tells_of_unseen_categories_at_its_end():
    schema = infer_schema(pd.DataFrame({"job": ["a", "b"]}))
    unseen = Unseen()
    for part in (["a", "x"], ["x", "y"]):
        encode_part(pd.DataFrame({"job": part}), schema, unseen)
    assert unseen.levels["job"] == {"x": 2, "y": 1}
    with pytest.warns(IsthmusWarning, match=r"3 cells.*'x' \(2\), 'y' \(1\)"):
        unseen.warn()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Unseen().warn()


def test_what_unseen_keeps_is_bounded():
    schema = infer_schema(pd.DataFrame({"job": ["a", "b"]}))
    unseen = Unseen()
    encode_part(pd.DataFrame({"job": [f"new {i}" for i in range(5000)]}), schema, unseen)
    assert unseen.cells["job"] == 5000
    assert len(unseen.levels["job"]) == 100


def test_missing_in_training_but_not_later_and_the_reverse():
    schema = infer_schema(pd.DataFrame({"a": [np.nan, np.nan], "b": [1.5, 2.5], "c": ["x", "y"]}))
    later = pd.DataFrame({"a": ["word", None], "b": [None, None], "c": [np.nan, np.nan]})
    with pytest.warns(IsthmusWarning, match=r"column 'a' \(1; it was all missing\)"):
        assert np.isnan(encode(later, schema).values).all()


WRONG = {
    "text for numbers": ({"x": ["a"], "d": [None]}, r"'x' .*'number'.*row 10 is 'a'"),
    "dates for numbers": ({"x": [datetime.date(2020, 1, 1)], "d": [None]}, r"'x'.*row 10 is date"),
    "numbers for dates": ({"x": [1.5], "d": [3]}, r"'d'.*'date'.*row 10 is 3"),
    "mixed": ({"x": [1.5, "a"], "d": [None, None]}, r"'x'.*row 11 is 'a'"),
    "infinite": ({"x": [1.5, np.inf], "d": [None, None]}, r"'x' is inf in row 11"),
    "beyond float64": ({"x": [10**400], "d": [None]}, r"'x' is inf in row 10"),
}


@pytest.mark.parametrize(("columns", "message"), WRONG.values(), ids=WRONG)
def test_cells_of_another_family_are_refused(columns, message):
    schema = infer_schema(pd.DataFrame({"x": [1.5, -2], "d": pd.to_datetime(["2020", "2021"])}))
    frame = pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in columns.items()})
    with pytest.raises(InvalidDataError, match=message):
        encode_part(frame, schema, Unseen(), first_row=10)


def test_an_identifier_is_refused():
    from isthmus.data import SchemaBuilder

    frame = pd.DataFrame({"id": range(200)})
    with pytest.raises(InvalidDataError, match="'id' looks like an identifier"):
        encode(frame, SchemaBuilder().add(frame).describe())


def test_extremes_survive():
    frame = pd.DataFrame({"x": [1e300, 1e-300, -1e300, 5e-324]})
    assert np.array_equal(encode(frame, infer_schema(frame)).values, frame.to_numpy())


def test_a_number_has_one_name_whatever_its_type():
    told = {"code": "categorical"}
    schema = infer_schema(pl.DataFrame({"code": [10, 2, 2**60 + 1]}), told)
    assert schema.columns[0].levels == ("10", "2", str(2**60 + 1))
    for values in ([10, 2], [10.0, 2.0], ["10", "2"], [np.int8(10), np.float32(2)]):
        assert encode(pd.DataFrame({"code": values}), schema).values[:, 0].tolist() == [0, 1]


def test_time_zones_are_instants():
    here = pd.date_range("2020", periods=3, tz="Europe/Vienna")
    schema = infer_schema(pd.DataFrame({"t": here}))
    frames = [pd.DataFrame({"t": times}) for times in (here, here.tz_convert("UTC"))]
    one, two = (encode(frame, schema).values for frame in frames)
    assert np.array_equal(one, two)
