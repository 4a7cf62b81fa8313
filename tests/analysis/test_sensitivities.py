"""Sensitivities against linear algebra and finite differences; saturated and dead units."""

import sys

import numpy as np
import pytest
import torch

from isthmus import (
    Autoencoder,
    Deterministic,
    Gaussian,
    InvalidDataError,
    NotFittedError,
)
from isthmus.analysis import jacobian, sensitivity
from tests.problems import LinearGaussian

TRAINING = {"max_epochs": 5, "validation_fraction": 0, "random_state": 0}


@pytest.fixture(scope="module")
def sigmoid():
    X = LinearGaussian(n_features=4, n_rows=300).rows * [1, 10, 0.1, 1]
    encoder = Deterministic("sigmoid")
    return Autoencoder(3, hidden=(8,), encoder=encoder, **TRAINING).fit(X), X


def test_averages_are_those_of_the_whole_jacobian(sigmoid):
    model, X = sigmoid
    J, stds = jacobian(model, X), X.std(0)
    found = sensitivity(model, X)
    features = np.linalg.norm(J, axis=1).mean(0)
    np.testing.assert_allclose(found.features, features, rtol=1e-9)
    np.testing.assert_allclose(found.scaled_features, features * stds, rtol=1e-9)
    np.testing.assert_allclose(found.units, np.linalg.norm(J * stds, axis=2).mean(0), rtol=1e-9)
    assert found.contraction == pytest.approx(np.linalg.norm(J, axis=(1, 2)).mean())
    np.testing.assert_allclose(found.spreads, model.transform(X).std(0), rtol=1e-9)


def test_of_a_linear_map_it_is_the_norm_of_its_columns():
    X = LinearGaussian(n_features=4, n_rows=200).rows
    model = Autoencoder(2, hidden=(), likelihood=Gaussian(1.0), **TRAINING).fit(X)
    matrix = (model.transform(np.eye(4)) - model.transform(np.zeros((1, 4)))).T
    found = sensitivity(model, X[:7])
    np.testing.assert_allclose(found.features, np.linalg.norm(matrix, axis=0), rtol=1e-9)
    assert found.contraction == pytest.approx(np.linalg.norm(matrix))
    np.testing.assert_array_equal(found.saturation, 0)


def test_scaled_features_do_not_depend_on_units():
    X, factors = LinearGaussian(n_features=4, n_rows=500).rows, np.array([1, 1e-3, 1e3, 7])
    model = Autoencoder(3, hidden=(8,), likelihood="gaussian", **TRAINING)
    first, second = (sensitivity(model.fit(X * f), X * f) for f in (np.ones(4), factors))
    np.testing.assert_allclose(first.scaled_features, second.scaled_features, rtol=1e-3)
    np.testing.assert_allclose(first.features, second.features * factors, rtol=1e-3)


def test_saturation_counts_sigmoids_near_0_and_1(sigmoid):
    model, X = sigmoid
    with torch.no_grad():
        last = model.model_.encoder_network.linear_layers[-1]
        before = last.weight.clone()
        last.weight.mul_(20)
    model._session.double = None
    try:
        codes = model.transform(X)
        found = sensitivity(model, X).saturation
    finally:
        with torch.no_grad():
            last.weight.copy_(before)
        model._session.double = None
    # by the activities themselves, as Rifai et al. (2011) count
    truth = ((codes < 0.05) | (codes > 0.95)).mean(0)
    assert 0.3 < truth.mean() < 0.99
    np.testing.assert_allclose(found, truth, atol=1e-9)


def test_saturation_of_other_activations():
    X = LinearGaussian(n_features=4, n_rows=300).rows
    for name, flat in [("tanh", lambda h: np.abs(h) > 0.9), ("relu", lambda h: h == 0)]:
        model = Autoencoder(3, hidden=(8,), encoder=Deterministic(name), **TRAINING).fit(X)
        found = sensitivity(model, X).saturation
        np.testing.assert_allclose(found, flat(model.transform(X)).mean(0), atol=1e-9)


@pytest.mark.parametrize("how", ["constant", "off"])
def test_dead_units(how):
    X = LinearGaussian(n_features=4, n_rows=300).rows
    encoder = Deterministic("relu" if how == "off" else "identity")
    model = Autoencoder(3, hidden=(8,), encoder=encoder, **TRAINING).fit(X)
    last = model.model_.encoder_network.linear_layers[-1]
    with torch.no_grad():
        last.bias.fill_(10.0)
        if how == "constant":
            last.weight[1] = 0
        else:
            last.bias[1] = -100.0
    np.testing.assert_array_equal(sensitivity(model, X).dead, [False, True, False])
    last.weight.data.zero_()
    model._session.double = None
    assert sensitivity(model, X).dead.all()


def test_rows_come_in_blocks(sigmoid, monkeypatch):
    model, X = sigmoid
    whole = sensitivity(model, X)
    monkeypatch.setattr(sys.modules["isthmus.analysis.learned"], "MOST_ROWS", 7)
    parts = sensitivity(model, X)
    for name in ("features", "scaled_features", "units", "saturation", "spreads", "contraction"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-9)


def test_bad_points(sigmoid):
    model, X = sigmoid
    with pytest.raises(InvalidDataError, match="3 features"):
        sensitivity(model, X[:, :3])
    with pytest.raises(InvalidDataError, match="NaN"):
        sensitivity(model, np.full((2, 4), np.nan))
    with pytest.raises(NotFittedError):
        sensitivity(Autoencoder(), X)
