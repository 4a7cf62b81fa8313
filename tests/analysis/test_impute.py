"""Imputation of normal data with a known covariance, and what must hold for any table."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus import Autoencoder, InvalidDataError, InvalidParameterError, Masking, load, save

D = 6


@pytest.fixture(scope="module")
def normal():
    """Rows of a normal distribution with two common factors, and its covariance."""
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(D, 2))
    covariance = loadings @ loadings.T + np.diag(rng.uniform(0.3, 0.8, D))
    return rng.multivariate_normal(np.zeros(D), covariance, 20_000), covariance


@pytest.fixture(scope="module")
def linear(normal):
    """A linear map that has seen few holes at a time."""
    model = Autoencoder(
        D,
        hidden=(),
        likelihood=["gaussian"] * D,
        corruption=Masking(0.03, targets="hidden"),
        learning_rate=1e-2,
        batch_size=512,
        max_epochs=60,
        patience=60,
        random_state=0,
    )
    return model.fit(normal[0])


def conditional(x, covariance):
    """E and Cov of the missing part of one row, given the rest."""
    hole = np.isnan(x)
    a = covariance[np.ix_(hole, ~hole)] @ np.linalg.inv(covariance[np.ix_(~hole, ~hole)])
    return a @ x[~hole], covariance[np.ix_(hole, hole)] - a @ covariance[np.ix_(~hole, hole)]


def with_holes(x, rate, seed):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(x.shape) < rate, np.nan, x)


def test_impute_is_the_conditional_expectation(normal, linear):
    x = with_holes(normal[0][:2000], 0.2, 1)
    truth = np.concatenate([conditional(row, normal[1])[0] for row in x])
    found = linear.impute(x)[np.isnan(x)]
    assert np.sqrt(np.mean((found - truth) ** 2) / np.mean(truth**2)) < 0.03


def test_draws_have_the_conditional_covariance(normal, linear):
    row = normal[0][0].copy()
    row[[0, 2, 5]] = np.nan
    mean, covariance = conditional(row, normal[1])
    (draws,) = linear.impute(np.tile(row, (20_000, 1)), n_draws=1, random_state=0)
    draws = draws[:, [0, 2, 5]]
    error = np.cov(draws.T) - covariance
    assert np.linalg.norm(error) / np.linalg.norm(covariance) < 0.1
    assert np.abs(draws.mean(0) - mean).max() < 0.1 * np.sqrt(np.diag(covariance)).max()
