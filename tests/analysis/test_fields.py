"""Scores against closed forms, energies against densities, and σ in the right units."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from isthmus import (
    Autoencoder,
    Columns,
    Contractive,
    Gaussian,
    GaussianNoise,
    InvalidDataError,
    InvalidParameterError,
    IsthmusWarning,
    Masking,
    NotFittedError,
    Poisson,
)
from isthmus.analysis import energy_difference, score_field, vector_field
from isthmus.analysis.fields import noise_std
from isthmus.analysis.learned import learned
from tests.problems import LinearGaussian, NormalMixture

TRAINING = {"optimizer": "adam", "validation_fraction": 0, "random_state": 0}
DENOISER = {
    **TRAINING,
    "n_components": 16,
    "hidden": (32, 32),
    "likelihood": Gaussian(1.0),
    "batch_size": 1000,
    "learning_rate": 2e-2,
}


def denoiser(sigma, n_rows=100_000, max_epochs=40):
    rows = NormalMixture(n_rows, seed=1).rows
    model = Autoencoder(**DENOISER, corruption=GaussianNoise(sigma), max_epochs=max_epochs)
    return model.fit(rows.astype(np.float32))


@pytest.fixture(scope="module")
def denoisers():
    return {sigma: denoiser(sigma) for sigma in (0.1, 0.3)}


def agreement(model, sigma):
    """Mean cosine over draws of the density, and relative error in mean square."""
    points = NormalMixture(5000, seed=9).rows
    found, truth = score_field(model, points), NormalMixture().score(points, sigma)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(truth, axis=1)
    cosines = (found * truth).sum(1) / lengths
    return cosines.mean(), np.linalg.norm(found - truth) / np.linalg.norm(truth)


def test_the_truth_of_the_mixture_is_the_slope_of_its_log_density():
    mixture, x, step = NormalMixture(), NormalMixture(50).rows, 1e-5 * np.eye(2)
    slopes = [
        (mixture.log_density(x + e, 0.2) - mixture.log_density(x - e, 0.2)) / 2e-5 for e in step
    ]
    np.testing.assert_allclose(mixture.score(x, 0.2), np.stack(slopes, 1), atol=1e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.3])
def test_score_of_a_mixture(denoisers, sigma):
    cosine, error = agreement(denoisers[sigma], sigma)
    assert cosine >= 0.98
    assert error <= 0.15


def test_score_gets_better_with_more_data_and_training(denoisers):
    _, error = agreement(denoisers[0.3], 0.3)
    _, of_few = agreement(denoiser(0.3, n_rows=1000, max_epochs=400), 0.3)
    _, of_short = agreement(denoiser(0.3, max_epochs=2), 0.3)
    assert error < 0.7 * of_few
    assert error < 0.7 * of_short


def test_energy_is_the_difference_of_log_densities(denoisers):
    mixture, path = NormalMixture(), np.array([[-1.5, 0.0], [0.8, -1.2], [1.0, 1.0]])
    found = energy_difference(denoisers[0.3], path)
    truth = -mixture.log_density(path, 0.3)
    assert found[0] == 0
    # through valleys in which there are few rows to learn from
    np.testing.assert_allclose(found, truth - truth[0], atol=0.25)


def linear(scale_of_noise=0.5, factors=1.0, **parameters):
    """A linear denoiser, whose field is known from its own matrix."""
    rows = LinearGaussian(n_features=3, n_components=3, n_rows=500).rows * factors
    given = {"likelihood": Gaussian(1.0), "corruption": GaussianNoise(scale_of_noise)}
    model = Autoencoder(3, hidden=(), max_epochs=20, **TRAINING, **{**given, **parameters})
    return model.fit(rows), rows


def test_score_is_the_shift_over_the_variance():
    model, X = linear()
    np.testing.assert_allclose(
        score_field(model, X), (model.reconstruct(X) - X) / 0.25, rtol=1e-9, atol=1e-9
    )


def test_energy_of_a_linear_field_is_a_quadratic_form():
    model, X = linear()
    path = np.array([X[0], X[1], X[2], X[0]])
    found = energy_difference(model, path)
    score = score_field(model, path)
    # the field is linear, so along a line its integral is the trapezoid rule's
    pieces = -np.einsum("ij,ij->i", (score[1:] + score[:-1]) / 2, np.diff(path, axis=0))
    np.testing.assert_allclose(found, [0, *np.cumsum(pieces)], rtol=1e-9, atol=1e-9)


def test_energy_is_integrated_across_kinks():
    rows = NormalMixture(2000).rows
    model = Autoencoder(
        8, hidden=(16,), activation="relu", likelihood=Gaussian(1.0), max_epochs=10, **TRAINING,
        corruption=GaussianNoise(0.2),
    ).fit(rows)  # fmt: skip
    ends = np.array([[-2.0, -1.0], [2.0, 1.5]])
    fine = np.linspace(*ends, 20_001)
    middles = (score_field(model, fine)[1:] + score_field(model, fine)[:-1]) / 2
    truth = -np.sum(middles @ (ends[1] - ends[0])) / 20_000
    assert energy_difference(model, ends)[1] == pytest.approx(truth, abs=1e-4)


# ---- σ ------------------------------------------------------------------------------------------


def test_noise_of_one_scale_is_in_the_users_units():
    model, X = linear(factors=100.0)
    np.testing.assert_allclose(noise_std(learned(model, X)), [0.5] * 3)


def test_noise_of_scaled_columns_is_in_their_standard_deviations():
    factors = np.array([1.0, 10.0, 100.0])
    model, X = linear(factors=factors, likelihood=Gaussian("feature"))
    stds = 0.5 * X.std(0)
    np.testing.assert_allclose(noise_std(learned(model, X)), stds, rtol=1e-9)
    found = score_field(model, X)
    np.testing.assert_allclose(found, (model.reconstruct(X) - X) / stds**2, rtol=1e-9, atol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(score_field(model, X, stds), found, rtol=1e-9)


def test_variances_of_noises_add():
    model, X = linear(corruption=[GaussianNoise(0.3), GaussianNoise(0.4)])
    np.testing.assert_allclose(noise_std(learned(model, X)), [0.5] * 3)


def test_columns_without_noise_have_no_score():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), rng.poisson(3.0, 200)])
    model = Autoencoder(
        2, likelihood=Columns((Gaussian("feature"), Poisson())), max_epochs=2, **TRAINING,
        corruption=GaussianNoise(0.5),
    ).fit(X)  # fmt: skip
    assert noise_std(learned(model, X)) == pytest.approx([0.5 * X[:, 0].std(), 0])
    with pytest.raises(InvalidParameterError, match="Column 1 had no Gaussian noise"):
        score_field(model, X)


@pytest.mark.parametrize("penalty", [None, Contractive(0.1, of="reconstruction")])
def test_a_score_without_noise_needs_sigma_and_comes_with_its_condition(penalty):
    model, X = linear(corruption=None, penalty=penalty)
    with pytest.raises(InvalidParameterError, match="give sigma"):
        score_field(model, X)
    with pytest.warns(IsthmusWarning, match=r"without Gaussian noise.*only if r was trained") as w:
        score_field(model, X, 0.5)
    assert w[0].filename == __file__


@pytest.mark.parametrize(
    ("corruption", "sigma", "match"),
    [
        (GaussianNoise(0.5), 0.1, r"noise of σ = 0.5, not σ = 0.1"),
        ([Masking(0.1), GaussianNoise(0.5)], None, "Masking besides"),
        (GaussianNoise(0.0), 0.1, "without Gaussian noise"),
    ],
)
def test_another_training_is_warned_of(corruption, sigma, match):
    model, X = linear(corruption=corruption)
    with pytest.warns(IsthmusWarning, match=match):
        score_field(model, X, sigma)


def test_a_model_alone_is_asked_with_sigma():
    model, X = linear()
    np.testing.assert_allclose(score_field(model.model_, X, 0.5), score_field(model, X))
    with pytest.raises(InvalidParameterError, match="only its model_ was given"):
        score_field(model.model_, X)


# ---- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0, -1.0, np.nan, np.inf, [0.1, 0.0, 0.1], [0.1, 0.1]])
def test_sigma_must_be_positive(sigma):
    model, X = linear()
    with pytest.raises(InvalidParameterError, match="sigma must be"):
        score_field(model, X, sigma)
    with pytest.raises(InvalidParameterError, match="sigma must be"):
        energy_difference(model, X, sigma)


@pytest.mark.parametrize("function", [score_field, energy_difference])
def test_points_that_are_none(function):
    model, X = linear()
    with pytest.raises(InvalidDataError, match="2 features"):
        function(model, X[:, :2])
    with pytest.raises(InvalidDataError, match="NaN"):
        function(model, np.where(np.arange(3) == 1, np.nan, X))
    with pytest.raises(NotFittedError):
        function(Autoencoder(), X)


def test_a_path_has_two_points():
    model, X = linear()
    with pytest.raises(InvalidDataError, match="two points"):
        energy_difference(model, X[:1])


def test_an_integral_that_does_not_settle_is_warned_of(monkeypatch):
    model, X = linear(activation="relu")
    monkeypatch.setattr("isthmus.analysis.fields.PATH_TOLERANCE", -1.0)
    with pytest.warns(IsthmusWarning, match="still changes by"):
        energy_difference(model, X[:2])


# ---- grids --------------------------------------------------------------------------------------


def test_vector_field_is_the_shift_on_a_grid(denoisers):
    field = vector_field(denoisers[0.3], -2, (2.0, 1.0), n_per_axis=3)
    x, y = np.array([-2.0, 0.0, 2.0]), np.array([-2.0, -0.5, 1.0])
    np.testing.assert_allclose(field.points, [[a, b] for b in y for a in x])
    shift = denoisers[0.3].reconstruct(field.points) - field.points
    np.testing.assert_allclose(field.arrows, shift, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((0, 1, 1), "n_per_axis"),
        ((0, 1, 2.5), "n_per_axis"),
        ((1, 1), "high must lie above low"),
        (((0, 0, 0), 1), "low must be"),
        ((0, np.nan), "high must be"),
    ],
)
def test_vector_field_refuses_by_name(denoisers, arguments, match):
    with pytest.raises(InvalidParameterError, match=match):
        vector_field(denoisers[0.3], *arguments)


def test_vector_field_is_for_two_columns():
    with pytest.raises(InvalidDataError, match="2 columns"):
        vector_field(linear()[0], 0, 1)


def test_named_columns_and_grids():
    frame = pd.DataFrame(NormalMixture(200).rows, columns=["width", "height"])
    model = Autoencoder(
        2, likelihood=Gaussian(1.0), max_epochs=2, corruption=GaussianNoise(0.3), **TRAINING
    ).fit(frame)
    np.testing.assert_allclose(score_field(model, frame), score_field(model.model_, frame, 0.3))
    assert energy_difference(model, frame[:3]).shape == (3,)
    assert vector_field(model, -1, 1, n_per_axis=2).arrows.shape == (4, 2)
    with pytest.raises(InvalidDataError, match="'height'"):
        score_field(model, frame.assign(height=np.nan))


def test_rows_come_in_blocks_and_in_their_own_precision(monkeypatch):
    model, X = linear()
    whole, path = score_field(model, X), energy_difference(model, X[:5])
    monkeypatch.setattr(sys.modules["isthmus.analysis.learned"], "MOST_ROWS", 3)
    np.testing.assert_allclose(score_field(model, X), whole, rtol=1e-9)
    np.testing.assert_allclose(energy_difference(model, X[:5]), path, rtol=1e-9)
    narrow = score_field(model, X.astype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, whole, atol=1e-3)


def test_contraction_with_the_weight_that_stands_for_sigma_needs_no_warning():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    penalty = Contractive(0.3**2 / (2 * 0.5**2), of="reconstruction")
    model = Autoencoder(2, likelihood=Gaussian(0.5), penalty=penalty, max_epochs=1, random_state=0)
    assert np.isfinite(score_field(model.fit(rows), rows, 0.3)).all()
    with pytest.warns(IsthmusWarning, match=r"λ = σ²/\(2s²\)"):
        score_field(model, rows, 0.4)
