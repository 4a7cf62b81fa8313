"""What `infer_schema` takes each column for, and what it refuses."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from frames import MAKERS

from isthmus._errors import (
    InvalidDataError,
    InvalidParameterError,
    SupportError,
    UnsupportedTypeError,
)
from isthmus._registry import Registry
from isthmus.data import SchemaBuilder, infer_schema
from isthmus.data.schema import KINDS, LIKELIHOODS
from isthmus.likelihoods import LIKELIHOODS as REGISTRY

rng = np.random.default_rng(0)
n = 500
SHUFFLED = rng.permutation(n)

CASES = {
    "normal": (rng.normal(size=n), "real", "gaussian"),
    "above zero": (rng.lognormal(size=n), "positive", "gaussian"),
    "ages": (rng.integers(18, 91, n), "positive", "gaussian"),
    "ages with holes": (
        np.where(rng.random(n) < 0.2, np.nan, 40.0 + SHUFFLED),
        "positive",
        "gaussian",
    ),
    "Poisson": (rng.poisson(3, n), "count", "poisson"),
    "Poisson as floats": (rng.poisson(3, n).astype(float), "count", "poisson"),
    "over-dispersed": (rng.negative_binomial(1, 0.1, n), "count", "negative_binomial"),
    "ratings": (rng.integers(1, 6, n), "ordinal", "gaussian"),
    "around zero": (rng.integers(-2, 3, n), "ordinal", "gaussian"),
    "bits": (rng.integers(0, 2, n), "binary", "bernoulli"),
    "bits and a hole": (np.r_[np.nan, rng.integers(0, 2, n - 1)], "binary", "bernoulli"),
    "bool": (rng.random(n) < 0.5, "binary", "bernoulli"),
    "bool and None": (
        np.array([None, *([True, False] * 249), True], object),
        "binary",
        "bernoulli",
    ),
    "text": (rng.choice(["a", "b"], n), "categorical", "categorical"),
    "text and None": (
        np.array([None, *(["a", "b"] * 249), "c"], object),
        "categorical",
        "categorical",
    ),
    "category": (pd.Categorical(rng.choice(["a", "b"], n)), "categorical", "categorical"),
    "category of numbers": (pd.Categorical(rng.integers(0, 9, n)), "categorical", "categorical"),
    "category of booleans": (pd.Categorical(rng.random(n) < 0.5), "binary", "bernoulli"),
    "intervals": (pd.cut(rng.normal(size=n), 4), "categorical", "categorical"),
    "dates": (pd.Timestamp("2020") + pd.to_timedelta(SHUFFLED, "D"), "date", "gaussian"),
    "dates in order": (pd.date_range("2020", periods=n), "date", "gaussian"),
    "days": (np.array([datetime.date(2020, 1, 1)] * 499 + [None], object), "constant", "gaussian"),
    "durations": (pd.to_timedelta(SHUFFLED - 99, "h"), "real", "gaussian"),
    "constant": (np.full(n, 7.25), "constant", "gaussian"),
    "constant text": (np.full(n, "same"), "constant", "categorical"),
    "constant bool": (np.ones(n, bool), "constant", "bernoulli"),
    "rounding": (np.float32(0.1) * np.ones(n, np.float32), "constant", "gaussian"),
    "all NaN": (np.full(n, np.nan), "missing", "gaussian"),
    "all None": (np.full(n, None), "missing", "gaussian"),
    "row numbers, shuffled": (SHUFFLED, "real", "gaussian"),
    "huge": (np.where(rng.random(n) < 0.5, 1e300, 1e-300), "positive", "gaussian"),
    "mixed numbers": (np.array([1, 2.5, True, 10**30] * 125, object), "positive", "gaussian"),
}


@pytest.mark.parametrize(("values", "kind", "likelihood"), CASES.values(), ids=CASES)
def test_kinds(values, kind, likelihood):
    (column,) = infer_schema(pd.DataFrame({"v": values}))
    assert (column.kind, column.likelihood) == (kind, likelihood)
    assert column.stats.observed + column.stats.missing == n
    assert column.reason


def test_every_kind_is_met():
    assert {kind for _, kind, _ in CASES.values()} == set(KINDS) - {"identifier"}


def test_likelihoods_are_those_of_the_registry():
    assert isinstance(REGISTRY, Registry)
    assert set(LIKELIHOODS) == set(REGISTRY) - {"gaussian_shared", "multinomial"}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_every_library_gives_the_same_schema(make):
    schema = infer_schema(make())
    assert [c.kind for c in schema] == [
        "real", "real", "count", "positive", "categorical", "binary", "date", "date",
    ]  # fmt: skip
    assert schema.columns[4].levels == infer_schema(MAKERS["arrow"]()).columns[4].levels
    assert [c.stats.missing for c in schema] == [8, 8, 8, 0, 8, 8, 8, 8]


# ---- identifiers ----------------------------------------------------------------------------

IDENTIFIERS = {
    "numbers": np.arange(1, 151),
    "numbers with gaps": np.cumsum(rng.integers(1, 9, 150)),
    "numbers as floats": np.arange(150.0),
    "names": [f"name {i}" for i in range(150)],
    "nearly all different": [f"name {max(i, 5)}" for i in range(150)],
    "category": pd.Categorical([f"name {i}" for i in range(150)]),
}


@pytest.mark.parametrize("values", IDENTIFIERS.values(), ids=IDENTIFIERS)
def test_identifiers_are_refused_by_name(values):
    frame = pd.DataFrame({"x": rng.normal(size=150), "key": values})
    with pytest.raises(
        InvalidDataError, match=r"'key' looks like an identifier.*drop it, or keep"
    ):
        infer_schema(frame)
    assert SchemaBuilder().add(frame).describe().columns[1].kind == "identifier"
    kept = infer_schema(frame, keep_identifiers=True).columns[1]
    text = not isinstance(values, np.ndarray)
    assert kept.coded == text
    assert kept.reason.endswith("; kept")
    told = infer_schema(frame, {"key": "categorical"}).columns[1]
    assert (told.kind, told.n_levels) == ("categorical", len(set(values)))


def test_few_rows_prove_nothing():
    frame = pd.DataFrame({"id": range(5), "name": list("abcde")})
    assert [c.kind for c in infer_schema(frame)] == ["count", "categorical"]


def test_dates_and_reals_that_increase_are_no_identifiers():
    frame = pd.DataFrame({"t": pd.date_range("2020", periods=200), "x": np.arange(200) + 0.5})
    assert [c.kind for c in infer_schema(frame)] == ["date", "positive"]


def test_too_many_levels(monkeypatch):
    monkeypatch.setattr("isthmus.data._tracks.MOST_LEVELS", 50)
    frame = pd.DataFrame({"note": [f"text {i % 60}" for i in range(5000)]})
    with pytest.raises(
        InvalidDataError, match=r"'note' looks like an identifier: .* more than 50"
    ):
        infer_schema(frame)
    for options in ({"keep_identifiers": True}, {"overrides": {"note": "categorical"}}):
        with pytest.raises(InvalidDataError, match="'note' has more than 50 different values"):
            infer_schema(frame, **options)


# ---- overrides ------------------------------------------------------------------------------


def test_overrides():
    frame = pd.DataFrame(
        {
            "age": rng.poisson(30, n),
            "visits": rng.integers(18, 90, n),
            "code": rng.integers(0, 9, n),
            "p": rng.random(n),
            "sex": rng.choice(["f", "m"], n),
            "when": pd.date_range("2020", periods=n),
            "same": 3,
            "none": None,
        }
    )
    told = {
        "age": "gaussian",
        "visits": "poisson",
        "code": "categorical",
        "p": "continuous_bernoulli",
        "sex": "bernoulli",
        "when": "student_t",
        "same": "laplace",
        "none": "categorical",
    }
    columns = dict(zip(frame.columns, infer_schema(frame, told), strict=True))
    assert {name: column.likelihood for name, column in columns.items()} == told
    assert [column.kind for column in columns.values()] == [
        "positive", "count", "categorical", "positive", "binary", "date", "constant", "missing",
    ]  # fmt: skip
    assert set(columns["code"].levels) == set("012345678")
    assert columns["code"].levels[0] == str(frame["code"][0])
    assert set(columns["sex"].levels) == {"f", "m"}
    assert columns["sex"].coded
    assert not columns["age"].coded


def test_an_override_by_kind_takes_the_kinds_likelihood():
    ages, bursts = rng.integers(18, 90, n), rng.poisson(3, n) * 5
    frame = pd.DataFrame({"ages": ages, "same": bursts, "bursts": bursts})
    found = infer_schema(frame, {"ages": "count", "same": "real", "bursts": "count"})
    assert [(column.kind, column.likelihood) for column in found] == [
        ("count", "poisson"),
        ("real", "gaussian"),
        ("count", "negative_binomial"),
    ]


BAD = {
    "text as numbers": (["1", "clerk"], "gaussian", r"'v'.*'gaussian'.*numbers.*row 0 is '1'"),
    "negative": ([3, 2, -1], "poisson", r"counts 0, 1, 2.*row 2 is -1"),
    "fraction": ([3, None, 0.5], "negative_binomial", r"row 2 is 0.5"),
    "not a bit": ([0, 1, 2], "bernoulli", r"0 and 1.*row 2 is 2"),
    "three levels": (["a", None, "b", "c"], "bernoulli", r"row 3 is 'c'"),
    "outside": ([0.1, 1.5], "continuous_bernoulli", r"\[0, 1\].*row 1 is 1.5"),
    "not positive": ([1.0, 0.0], "positive", r"above 0.*row 1 is 0.0"),
    "not whole": ([1.0, 2.5], "ordinal", r"integers.*row 1 is 2.5"),
}


@pytest.mark.parametrize(("values", "said", "message"), BAD.values(), ids=BAD)
def test_overrides_that_cannot_be_are_refused(values, said, message):
    with pytest.raises(SupportError, match=message):
        infer_schema(pd.DataFrame({"v": values}), {"v": said})


def test_the_row_is_that_of_the_whole_table():
    builder = SchemaBuilder({"v": "poisson"}).add(pd.DataFrame({"v": [1, 2, 3]}))
    with pytest.raises(SupportError, match="row 4 is -7"):
        builder.add(pd.DataFrame({"v": [1, -7]}))


def test_unknown_columns_and_names():
    frame = pd.DataFrame({"age": [1, 2]})
    with pytest.raises(InvalidParameterError, match=r"no column named 'aeg'.*Did you mean 'age'"):
        infer_schema(frame, {"aeg": "gaussian"})
    with pytest.raises(InvalidParameterError, match=r"'gausian'.*Did you mean 'gaussian'"):
        infer_schema(frame, {"age": "gausian"})


# ---- what can't be --------------------------------------------------------------------------


def test_mixed_types():
    frame = pd.DataFrame({"v": [None, 1, 2, "three", 4]})
    with pytest.raises(InvalidDataError, match=r"'v'.*1 in row 1 and 'three' in row 3"):
        infer_schema(frame)
    (column,) = infer_schema(frame, {"v": "categorical"})
    assert column.levels == ("1", "2", "three", "4")


def test_mixed_types_in_different_parts():
    builder = SchemaBuilder().add(pl.DataFrame({"v": [1, 2]}))
    with pytest.raises(InvalidDataError, match=r"1 in row 0 and 'x' in row 2"):
        builder.add(pl.DataFrame({"v": ["x"]}))
    with pytest.raises(InvalidDataError, match="different kinds"):
        SchemaBuilder().add(pl.DataFrame({"v": [DAY]})).add(pl.DataFrame({"v": [1.5]}))


DAY = datetime.date(2020, 1, 1)


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_infinite_values(library):
    builder = SchemaBuilder().add(library({"a": [1.5, 2.5]}))
    with pytest.raises(InvalidDataError, match="'a' is -inf in row 3"):
        builder.add(library({"a": [1.5, -np.inf]}))


def test_names():
    twice = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    with pytest.raises(InvalidDataError, match="same name"):
        infer_schema(twice)
    with pytest.raises(InvalidDataError, match="same name"):
        infer_schema(pa.table([[1], [2]], names=["a", "a"]))
    with pytest.raises(UnsupportedTypeError, match=r"named \('a', 'b'\)"):
        infer_schema(pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("a", "b")])))
    assert infer_schema(pd.DataFrame([[1, 2], [3, 4]])).names == (0, 1)
    assert infer_schema(pd.DataFrame([[1, 2]], columns=[7, "x"])).names == (7, "x")
    assert infer_schema(np.array([[1.0, np.nan]])).names == (0, 1)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (pd.DataFrame({"a": []}), InvalidDataError, "no rows"),
        (pd.DataFrame(index=[1, 2]), InvalidDataError, "no columns"),
        (pl.DataFrame({"a": [[1, 2]]}), InvalidDataError, "'a' has type .*list"),
        (pl.DataFrame({"a": [b"\xff"]}), InvalidDataError, "'a' holds bytes"),
        (np.zeros(3), InvalidDataError, r"shape \(3,\)"),
        (np.zeros((3, 2)) * 1j, InvalidDataError, "complex128"),
        (pl.DataFrame({"a": [1]}).lazy(), UnsupportedTypeError, "collect"),
    ],
)
def test_what_is_no_table(given, error, message):
    with pytest.raises(error, match=message):
        infer_schema(given)


def test_parts_with_other_columns():
    builder = SchemaBuilder().add(pd.DataFrame({"a": [1], "b": [2]}))
    with pytest.raises(InvalidDataError, match=r"rows from 1 on have other columns.*'b', 'c'"):
        builder.add(pd.DataFrame({"a": [1], "c": [2]}))
