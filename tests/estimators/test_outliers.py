"""`OutlierDetector`: contract, calibration, reasons, files; and `likelihood="robust"`."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import isthmus
from isthmus import (
    Autoencoder,
    Bernoulli,
    Categorical,
    FileFormatError,
    Gaussian,
    InvalidParameterError,
    NotFittedError,
    OutlierDetector,
    StudentT,
    UnsupportedTypeError,
)
from isthmus.saving import read_model, write_model

SMALL = Autoencoder(4, encoder="gaussian", likelihood="robust", corruption="masking", max_epochs=3)


@parametrize_with_checks([OutlierDetector(SMALL)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def correlated(n, seed=0):
    """Rows on a noisy line in five dimensions."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) * np.arange(1, 6) + 0.3 * rng.normal(size=(n, 5))


@pytest.fixture(scope="module")
def detector():
    return OutlierDetector(random_state=0, level=0.05).fit(correlated(4000))


def test_of_ordinary_rows_about_the_level_is_flagged(detector):
    flagged = np.mean(detector.predict(correlated(20_000, seed=1)) == -1)
    # of 400 held-out rows: the part has a Beta(20, 381) distribution
    assert 0.02 < flagged < 0.09
    assert detector.calibrated_


def test_rows_that_break_what_columns_have_in_common_are_found(detector):
    ordinary = correlated(1000, seed=2)
    rng = np.random.default_rng(3)
    broken = np.stack([rng.permutation(column) for column in ordinary.T], 1)
    scores = np.r_[detector.score_samples(ordinary), detector.score_samples(broken)]
    assert roc_auc_score(np.repeat([1, 0], 1000), scores) > 0.9
    assert np.mean(detector.predict(broken) == -1) > 0.6


def test_predictions_are_those_of_p_values(detector):
    rows = np.r_[correlated(500, seed=4), 3 * correlated(500, seed=5)]
    flagged = detector.predict(rows) == -1
    assert np.array_equal(flagged, detector.p_values(rows) <= 0.05)
    assert 50 < flagged.sum() < 950


def test_the_odd_column_is_named(detector):
    row = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
    row[0, 3] = -4
    assert detector.predict(row)[0] == -1
    assert detector.odd_columns(row, 1)[0, 0] == 3


def test_few_rows_flag_their_own_part():
    X = correlated(60)
    X[7] = [9, -9, 9, -9, 9]
    detector = OutlierDetector(random_state=0, level=0.04).fit(X)
    flagged = np.flatnonzero(detector.predict(X) == -1)
    assert 7 in flagged
    assert len(flagged) == 2
    assert not detector.calibrated_


def test_without_held_out_rows():
    model = Autoencoder(2, encoder="gaussian", validation_fraction=0, max_epochs=2)
    detector = OutlierDetector(model, level=0.1, random_state=0).fit(correlated(50))
    assert (detector.predict(correlated(50)) == -1).sum() == 5
    with pytest.raises(InvalidParameterError, match="held-out"):
        detector.p_values(correlated(5))


def test_contaminated_rows_do_not_bend_the_robust_likelihood():
    X = correlated(2000)
    X[:100] += np.random.default_rng(0).normal(scale=30, size=(100, 5))
    odd = np.arange(2000) < 100
    found = {
        name: roc_auc_score(
            odd,
            -OutlierDetector(
                Autoencoder(encoder="gaussian", likelihood=name, corruption="masking"),
                random_state=0,
            )
            .fit(X)
            .score_samples(X),
        )
        for name in ("robust", "auto")
    }
    assert found["robust"] > 0.98
    assert found["robust"] > found["auto"]


def test_a_fitted_autoencoder_is_used_as_it_is():
    X = correlated(300)
    fitted = clone(SMALL).set_params(random_state=0).fit(X)
    for given in (fitted, FrozenEstimator(fitted)):
        detector = OutlierDetector(given).fit(X)
        assert np.array_equal(detector.score_samples(X), fitted.score_samples(X))
        assert detector.autoencoder_ is not fitted


def test_a_seed_fixes_everything():
    X = correlated(200)
    scores = [OutlierDetector(SMALL, random_state=7).fit(X).score_samples(X) for _ in range(2)]
    assert np.array_equal(*scores)


def test_a_mixed_table_with_holes(tmp_path):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = correlated(600)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "job": rng.choice(["x", "y", "z"], 600)})
    frame.loc[3, "a"] = None
    frame["paid"] = frame["b"] > 0
    detector = OutlierDetector(random_state=0).fit(frame)
    parts = detector.autoencoder_.likelihood_.parts
    assert [type(part) for part in parts] == [StudentT, StudentT, Categorical, Bernoulli]
    assert list(detector.feature_names_in_) == ["a", "b", "job", "paid"]
    odd = frame.iloc[:1].copy()
    odd["b"] = -3 * (5 + odd["b"].abs())
    assert detector.predict(odd)[0] == -1
    isthmus.save(detector, tmp_path / "d")
    again = isthmus.load(tmp_path / "d")
    assert np.array_equal(again.predict(frame), detector.predict(frame))
    assert again.get_params() == detector.get_params()


def test_robust_reads_the_data():
    rng = np.random.default_rng(0)
    for X, kind in (
        (rng.normal(size=(50, 3)), StudentT),
        (rng.integers(0, 2, (50, 3)), Bernoulli),
        (rng.random((50, 4, 4)), Gaussian),
    ):
        assert type(Autoencoder(2, likelihood="robust", max_epochs=1).fit(X).likelihood_) is kind


def test_robust_leaves_a_column_that_is_named():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(correlated(60), columns=list("abcde"))
    X.loc[0, "a"] = None
    fitted = Autoencoder(2, likelihood="robust", max_epochs=1).fit(X)
    assert all(part == StudentT() for part in fitted.likelihood_.parts)


@pytest.mark.parametrize("level", [0, 1, -0.1, "1%", True])
def test_levels_are_refused(level):
    with pytest.raises(InvalidParameterError, match="level"):
        OutlierDetector(SMALL, level=level).fit(correlated(30))


def test_what_is_no_autoencoder_is_refused():
    with pytest.raises(UnsupportedTypeError, match="autoencoder"):
        OutlierDetector("mlp").fit(correlated(30))


def test_before_fit(tmp_path):
    with pytest.raises(NotFittedError):
        OutlierDetector().predict(correlated(3))
    with pytest.raises(NotFittedError):
        isthmus.save(OutlierDetector(), tmp_path / "d")


@pytest.mark.parametrize("offset", [None, "low", True])
def test_a_strangers_file_is_refused(tmp_path, offset):
    isthmus.save(OutlierDetector(SMALL, random_state=0).fit(correlated(50)), tmp_path / "d")
    card, tensors = read_model(tmp_path / "d")
    write_model(tmp_path / "e", {**card, "offset": offset}, tensors)
    with pytest.raises(FileFormatError, match="card"):
        isthmus.load(tmp_path / "e")
