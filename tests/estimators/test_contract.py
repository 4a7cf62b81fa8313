"""scikit-learn's contract: its own checks, and the tools that rely on it."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import (
    Autoencoder,
    Contractive,
    Gaussian,
    GaussianCode,
    InvalidDataError,
    Masking,
    NotFittedError,
)
from isthmus.likelihoods import LIKELIHOODS
from tests.estimators.tables import data_for


@parametrize_with_checks([Autoencoder(max_epochs=2)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_scikit_learns_check_that_asks_for_a_setting_of_scipy(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    code = """
import warnings; warnings.simplefilter("error")
from sklearn.utils.estimator_checks import check_array_api_input
from isthmus import Autoencoder
check_array_api_input("Autoencoder", Autoencoder(max_epochs=2), "numpy",
                      expect_only_array_outputs=False)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


SMALL = {"n_components": 2, "hidden": (4,), "max_epochs": 2, "random_state": 0}


@pytest.fixture
def rows(rng):
    return rng.normal(size=(40, 3))


def test_clone_keeps_parts_and_parameters():
    model = Autoencoder(3, corruption=[Masking(0.3), "swap"], penalty=Contractive(0.5))
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert copied.corruption == [Masking(0.3), "swap"]
    assert "corruption=[Masking(rate=0.3" in repr(model)
    assert "max_epochs" not in repr(model)


def test_grid_search_over_parts(rows):
    grid = {"corruption": [Masking(0.1), None], "n_components": [1, 2]}
    search = GridSearchCV(Autoencoder(**SMALL), grid, cv=2).fit(rows)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.best_estimator_.transform(rows).shape == (
        40,
        search.best_params_["n_components"],
    )


def test_pipeline_with_a_scaler(rows):
    scaled = StandardScaler().fit_transform(rows)
    line = make_pipeline(StandardScaler(), Autoencoder(**SMALL)).fit(rows)
    alone = Autoencoder(**SMALL).fit(scaled)
    assert np.array_equal(line.transform(rows), alone.transform(scaled))
    assert line.score(rows) == alone.score(scaled)
    assert list(line.get_feature_names_out()) == ["autoencoder0", "autoencoder1"]
    back = line.inverse_transform(line.transform(rows))
    assert np.allclose(back, line[0].inverse_transform(alone.reconstruct(scaled)))


def test_output_as_frames(rows):
    model = Autoencoder(**SMALL).fit(rows)
    plain = model.transform(rows)
    frame = pd.DataFrame(rows, columns=list("abc"), index=np.arange(40) * 10)
    named = Autoencoder(**SMALL).fit(frame)
    out = named.set_output(transform="pandas").transform(frame)
    assert isinstance(out, pd.DataFrame)
    assert (
        list(out.columns)
        == list(model.get_feature_names_out())
        == ["autoencoder0", "autoencoder1"]
    )
    assert list(out.index) == list(frame.index)
    assert np.array_equal(out.to_numpy(), plain)
    out = named.set_output(transform="polars").transform(frame)
    assert isinstance(out, pl.DataFrame)
    assert np.array_equal(out.to_numpy(), plain)
    assert isinstance(
        Autoencoder(**SMALL).set_output(transform="polars").fit_transform(rows), pl.DataFrame
    )


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_names_of_columns_are_kept_and_compared(rows, make):
    frame = make({"a": rows[:, 0], "b": rows[:, 1], "c": rows[:, 2]})
    model = Autoencoder(**SMALL).fit(frame)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(InvalidDataError, match=r"(?s)unseen at fit time:\n- d\n.*saw, in order\."):
        model.transform(make({"a": rows[:, 0], "b": rows[:, 1], "d": rows[:, 2]}))
    with pytest.raises(InvalidDataError, match="must be in the same order"):
        model.score(make({"b": rows[:, 1], "a": rows[:, 0], "c": rows[:, 2]}))
    with pytest.raises(InvalidDataError, match=r"(?s)missing.*- c"):
        model.transform(make({"a": rows[:, 0], "b": rows[:, 1]}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        unnamed = model.transform(rows)
    assert np.array_equal(unnamed, model.transform(frame))


def test_nothing_works_before_fit(rows):
    model = Autoencoder(**SMALL)
    for method in ("transform", "reconstruct", "score", "score_samples", "score_features"):
        with pytest.raises(NotFittedError, match="not fitted yet; call fit first"):
            getattr(model, method)(rows)
    for call in (
        model.sample,
        lambda: model.inverse_transform(rows),
        lambda: model.log_likelihood(rows),
    ):
        with pytest.raises(NotFittedError, match="call fit first"):
            call()


def test_pickles_and_copies_answer_alike(rows):
    model = Autoencoder(**SMALL, encoder=GaussianCode(), likelihood=Gaussian("row")).fit(rows)
    model.partial_fit(rows)
    copied = pickle.loads(pickle.dumps(model))
    for method in ("transform", "score_samples", "reconstruct", "log_likelihood"):
        assert np.array_equal(getattr(copied, method)(rows), getattr(model, method)(rows))
    assert copied.history_ == model.history_
    copied.partial_fit(rows)
    assert len(copied.history_) == len(model.history_) + 1


@pytest.mark.parametrize("family", LIKELIHOODS)
def test_models_of_every_likelihood_go_to_other_processes(family):
    data = data_for(family)
    model = Autoencoder(**SMALL, likelihood=family).fit(data)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(data), model.transform(data))


def test_a_failed_fit_leaves_the_old_model_whole(rows):
    model = Autoencoder(**SMALL, likelihood="gaussian").fit(rows)
    before = model.transform(rows)
    for wrong in (np.full((4, 2), np.nan), np.array([[1.7e308], [1.7e308], [-1.7e308]])):
        with pytest.raises(InvalidDataError):
            model.fit(wrong)
    assert model.n_features_in_ == 3
    assert np.array_equal(model.transform(rows), before)
