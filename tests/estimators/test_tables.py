"""Frames of mixed columns: names, types and levels are the user's, and change nothing else."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus import (
    Autoencoder,
    Columns,
    InvalidDataError,
    InvalidParameterError,
    IsthmusWarning,
    StudentT,
    SupportError,
    load,
    save,
)
from isthmus.data import infer_schema

HOW = {"n_components": 3, "hidden": (16,), "max_epochs": 2, "random_state": 0}
N = 200


def people(n=N, seed=0):
    """A frame with a column of every kind, and holes."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "height": rng.normal(170, 10, n),
            "visits": rng.poisson(2.0, n),
            "member": rng.random(n) < 0.4,
            "job": rng.choice(["cook", "nurse", "smith"], n),
            "born": pd.Timestamp("1970-01-01") + pd.to_timedelta(rng.integers(0, 9999, n), "D"),
        }
    )
    frame.loc[rng.random(n) < 0.2, "height"] = np.nan
    frame.loc[rng.random(n) < 0.2, "job"] = None
    return frame


@pytest.fixture(scope="module")
def fitted():
    return Autoencoder(**HOW).fit(people())


def test_each_column_has_the_likelihood_of_its_kind(fitted):
    assert isinstance(fitted.likelihood_, Columns)
    kinds = [type(part).__name__ for part in fitted.likelihood_.parts]
    assert kinds == ["Gaussian", "Poisson", "Bernoulli", "Categorical", "Gaussian"]
    assert list(fitted.feature_names_in_) == list(people().columns)
    assert fitted.n_features_in_ == 5


def test_scores_and_codes_are_finite_and_sum_up(fitted):
    rows = people(seed=1)
    assert np.isfinite(fitted.transform(rows)).all()
    parts = fitted.score_features(rows)
    np.testing.assert_allclose(parts.sum(1), fitted.score_samples(rows), rtol=1e-5)
    assert (parts[rows["height"].isna(), 0] == 0).all()
    empty = pd.DataFrame({name: [None, None] for name in rows.columns}, dtype=object)
    assert (fitted.score_samples(empty) == 0).all()
    assert np.isfinite(fitted.transform(empty)).all()


@pytest.mark.parametrize(
    "make",
    [lambda f: f, pl.from_pandas, lambda f: pa.Table.from_pandas(f)],
    ids=["pd", "pl", "pa"],
)
def test_the_make_of_the_frame_changes_nothing_and_comes_back(fitted, make):
    rows = people(seed=1)
    np.testing.assert_array_equal(fitted.transform(make(rows)), fitted.transform(rows))
    again = fitted.reconstruct(make(rows))
    assert type(again) is type(make(rows))
    names = again.column_names if isinstance(again, pa.Table) else list(again.columns)
    assert names == list(rows.columns)


def test_columns_are_found_by_name(fitted):
    rows = people(seed=1)
    np.testing.assert_array_equal(
        fitted.transform(rows[rows.columns[::-1]]), fitted.transform(rows)
    )
    with pytest.raises(InvalidDataError, match="lacks 1 of the 5 columns: 'job'"):
        fitted.transform(rows.drop(columns="job"))


def test_renamed_levels_change_no_code():
    rows = people()
    other = rows.assign(job=rows["job"].map({"cook": "z", "nurse": "a", "smith": "m"}))
    one, two = (Autoencoder(**HOW).fit(each) for each in (rows, other))
    np.testing.assert_array_equal(one.score_samples(rows), two.score_samples(other))


def test_a_category_that_is_new_is_missing_and_named(fitted):
    rows = people(seed=1)
    strange, hole = rows.copy(), rows.copy()
    strange.loc[3, "job"] = "pilot"
    hole.loc[3, "job"] = None
    with pytest.warns(IsthmusWarning, match="'job': 'pilot' \\(1\\)"):
        found = fitted.transform(strange)
    np.testing.assert_array_equal(found, fitted.transform(hole))


def test_likelihoods_by_name():
    how = {**HOW, "likelihood": {"height": StudentT(3), "visits": "negative_binomial"}}
    parts = Autoencoder(**how).fit(people()).likelihood_.parts
    assert parts[0] == StudentT(3)
    assert [type(part).__name__ for part in parts[1:4]] == [
        "NegativeBinomial",
        "Bernoulli",
        "Categorical",
    ]
    with pytest.raises(InvalidParameterError, match=r"no column named 'hight'.*'height'"):
        Autoencoder(**{**HOW, "likelihood": {"hight": "gaussian"}}).fit(people())
    with pytest.raises(SupportError, match="'height'"):
        Autoencoder(**{**HOW, "likelihood": {"height": "poisson"}}).fit(people())


def test_an_identifier_is_refused_unless_it_is_said_what_it_is():
    rows = people().assign(key=[f"p{i}" for i in range(N)])
    with pytest.raises(InvalidDataError, match="'key' looks like an identifier"):
        Autoencoder(**HOW).fit(rows)
    told = Autoencoder(**{**HOW, "likelihood": {"key": "categorical"}}).fit(rows)
    assert told.likelihood_.parts[-1].levels == N


def test_a_frame_of_one_kind_is_like_an_array():
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    one = Autoencoder(**HOW).fit(values)
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    two = Autoencoder(**HOW).fit(frame)
    assert two.schema_ is None
    assert two.likelihood_ == one.likelihood_
    np.testing.assert_array_equal(one.transform(values), two.transform(frame))


def test_a_saved_model_knows_the_table(fitted, tmp_path):
    save(fitted, tmp_path / "m.safetensors")
    again, rows = load(tmp_path / "m.safetensors"), people(seed=1)
    assert again.schema_ == fitted.schema_
    np.testing.assert_array_equal(again.transform(rows), fitted.transform(rows))
    codes = fitted.transform(rows)
    assert again.inverse_transform(codes).equals(fitted.inverse_transform(codes))


def test_likelihoods_by_name_are_saved(tmp_path):
    given = {"height": StudentT(3), "visits": "negative_binomial"}
    model = Autoencoder(**HOW, likelihood=given).fit(people())
    save(model, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.likelihood == given
    assert again.likelihood_ == model.likelihood_


def test_rows_decoded_from_codes_are_an_arrow_table(fitted):
    table = fitted.inverse_transform(fitted.transform(people()))
    assert table.column_names == list(people().columns)
    assert set(table["job"].to_pylist()) <= {"cook", "nurse", "smith"}


def test_a_file_in_pieces_gives_the_same_parts(fitted, tmp_path):
    rows = people()
    pq.write_table(pa.Table.from_pandas(rows), tmp_path / "x.parquet", row_group_size=37)
    streamed = Autoencoder(**HOW).fit(str(tmp_path / "x.parquet"))
    assert streamed.likelihood_ == fitted.likelihood_
    assert streamed.schema_.names == infer_schema(rows).names
    found = fitted.transform(str(tmp_path / "x.parquet"))
    np.testing.assert_allclose(found, fitted.transform(rows), rtol=1e-12, atol=1e-12)
    assert np.isfinite(streamed.score_samples(str(tmp_path / "x.parquet"))).all()


def test_partial_fit_goes_on_with_the_table():
    model = Autoencoder(**HOW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(3):
            model.partial_fit(people(seed=seed))
    assert len(model.history_) == 3
    assert np.isfinite(model.score(people(seed=9)))
