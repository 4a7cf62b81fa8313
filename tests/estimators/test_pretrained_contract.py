"""scikit-learn's contract of the pretrained estimators: its own checks, and its tools."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import (
    Autoencoder,
    Masking,
    NotFittedError,
    PretrainedClassifier,
    PretrainedRegressor,
    UnsupportedTypeError,
)

CHECKED = {"max_epochs": 30, "learning_rate": 1e-2, "batch_size": 16, "random_state": 0}
QUICK = Autoencoder(4, hidden=(8,), max_epochs=2)


@parametrize_with_checks(
    [PretrainedClassifier(QUICK, **CHECKED), PretrainedRegressor(QUICK, **CHECKED)]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture(scope="module")
def classes(rows):
    return np.where(rows.sum(1) > 0, "yes", "no")


def test_clone_keeps_parts_and_parameters():
    model = PretrainedClassifier(Autoencoder(3), corruption=[Masking(0.3)], head=(5,))
    copied = clone(model)
    assert copied.corruption == [Masking(0.3)]
    assert copied.autoencoder.get_params() == model.autoencoder.get_params()
    assert model.set_params(autoencoder__n_components=7).autoencoder.n_components == 7


def test_a_frozen_autoencoder_survives_a_clone_and_is_never_fitted_again(rows, classes):
    fitted = Autoencoder(2, hidden=(4,), max_epochs=1, random_state=0).fit(rows)
    model = PretrainedClassifier(FrozenEstimator(fitted), freeze=True, max_epochs=2)
    copied = clone(model).fit(rows[:30], classes[:30])
    assert np.array_equal(copied.autoencoder_.transform(rows), fitted.transform(rows))
    search = GridSearchCV(model, {"head": [(), (4,)], "freeze": [False, True]}, cv=2)
    search.fit(rows, classes)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with pytest.raises(NotFittedError, match="in FrozenEstimator is not fitted yet"):
        PretrainedClassifier(FrozenEstimator(Autoencoder())).fit(rows, classes)


def test_search_pipeline_and_cross_validation(rows, classes):
    model = PretrainedClassifier(QUICK, max_epochs=3, random_state=0)
    line = make_pipeline(StandardScaler(), model).fit(rows, classes)
    assert line.predict_proba(rows).shape == (60, 2)
    search = GridSearchCV(model, {"autoencoder__n_components": [1, 2]}, cv=2).fit(rows, classes)
    assert search.best_estimator_.classes_.tolist() == ["no", "yes"]
    scores = cross_val_score(PretrainedRegressor(QUICK, max_epochs=3), rows, rows[:, 0], cv=3)
    assert np.isfinite(scores).all()


def test_predictions_are_row_by_row_in_any_precision(rows, classes):
    model = PretrainedClassifier(QUICK, max_epochs=3, random_state=0).fit(rows, classes)
    whole = model.predict_proba(rows)
    assert np.array_equal(whole[7:8], model.predict_proba(rows[7:8]))
    single = model.predict_proba(rows.astype(np.float32))
    assert (whole.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(whole, single, atol=1e-5)


def test_what_is_no_autoencoder_is_refused(rows, classes):
    with pytest.raises(UnsupportedTypeError, match="must be an Autoencoder"):
        PretrainedClassifier(FrozenEstimator(StandardScaler().fit(rows))).fit(rows, classes)
