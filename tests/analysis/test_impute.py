"""Imputation of normal data with a known covariance, from the true one-cell conditionals."""

import numpy as np
import pytest
import torch

from isthmus import Autoencoder, Masking
from isthmus._random import make_generator
from isthmus.analysis import impute
from isthmus.analysis.impute import try_on_hidden
from isthmus.estimators.held_out import Tried

D = 6


@pytest.fixture(scope="module")
def normal():
    """Rows of a normal distribution with two common factors, and its covariance."""
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(D, 2))
    covariance = loadings @ loadings.T + np.diag(rng.uniform(0.3, 0.8, D))
    return rng.multivariate_normal(np.zeros(D), covariance, 20_000), covariance


@pytest.fixture(scope="module")
def exact(normal):
    """The linear model whose one-cell conditionals are the true ones, set by hand."""
    x, covariance = normal
    model = Autoencoder(
        D, hidden=(), likelihood=["gaussian"] * D, corruption=Masking(0.1), max_epochs=1
    )
    model.set_params(random_state=0).fit(x)
    inner, scale = model.model_, model.model_.scale.numpy()
    precision = np.linalg.inv(covariance)
    slopes = -precision / np.diag(precision)[:, None] * scale / scale[:, None]
    np.fill_diagonal(slopes, 0.0)
    down = [p for p in inner.encoder_network.parameters() if p.ndim == 2]
    up = [p for p in inner.decoder_network.parameters() if p.ndim == 2]
    with torch.no_grad():
        for p in (*inner.encoder_network.parameters(), *inner.decoder_network.parameters()):
            p.zero_()
        down[0][:, :D] = torch.eye(D)
        up[0].copy_(torch.from_numpy(slopes))
    rows = inner.scaled(torch.from_numpy(x[:8192])).float()
    model._tried = Tried(try_on_hidden(inner, rows, make_generator(0)))
    assert model._tried.spread.gibbs
    return model


def conditional(x, covariance):
    """E and Cov of the missing part of one row, given the rest."""
    hole = np.isnan(x)
    a = covariance[np.ix_(hole, ~hole)] @ np.linalg.inv(covariance[np.ix_(~hole, ~hole)])
    return a @ x[~hole], covariance[np.ix_(hole, hole)] - a @ covariance[np.ix_(~hole, hole)]


def with_holes(x, rate, seed):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(x.shape) < rate, np.nan, x)


def test_impute_is_the_conditional_expectation(normal, exact):
    x = with_holes(normal[0][:2000], 0.2, 1)
    truth = np.concatenate([conditional(row, normal[1])[0] for row in x])
    found = exact.impute(x)[np.isnan(x)]
    assert np.sqrt(np.mean((found - truth) ** 2) / np.mean(truth**2)) < 0.03


def test_draws_have_the_conditional_covariance(normal, exact):
    row = normal[0][0].copy()
    row[[0, 2, 5]] = np.nan
    mean, covariance = conditional(row, normal[1])
    (draws,) = exact.impute(np.tile(row, (20_000, 1)), n_draws=1, random_state=0)
    draws = draws[:, [0, 2, 5]]
    error = np.cov(draws.T) - covariance
    assert np.linalg.norm(error) / np.linalg.norm(covariance) < 0.1
    assert np.abs(draws.mean(0) - mean).max() < 0.1 * np.sqrt(np.diag(covariance)).max()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_trained_linear_model_knows_the_conditional_distribution(seed):
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(D, 2))
    covariance = loadings @ loadings.T + np.diag(rng.uniform(0.3, 0.8, D))
    x = rng.multivariate_normal(np.zeros(D), covariance, 20_000)
    model = Autoencoder(
        D,
        hidden=(),
        likelihood=["gaussian"] * D,
        corruption=Masking("one", targets="hidden"),
        optimizer="adam",
        learning_rate=1e-2,
        batch_size=1024,
        max_epochs=60,
        validation_fraction=0,
        random_state=0,
    ).fit(x)
    holes = with_holes(x[:2000], 0.2, 1)
    truth = np.concatenate([conditional(row, covariance)[0] for row in holes])
    found = model.impute(holes)[np.isnan(holes)]
    assert np.sqrt(np.mean((found - truth) ** 2) / np.mean(truth**2)) < 0.03
    row = np.where(np.isin(np.arange(D), [0, 2, 5]), np.nan, x[0])
    _, spread = conditional(row, covariance)
    (draws,) = model.impute(np.tile(row, (20_000, 1)), n_draws=1, random_state=0)
    error = np.cov(draws[:, [0, 2, 5]].T) - spread
    assert np.linalg.norm(error) / np.linalg.norm(spread) < 0.1


def test_quantiles_are_those_of_each_column_and_stratum_alone():
    rng = make_generator(0)
    errors = torch.randn(300, 7, generator=rng, dtype=torch.float64)
    errors[torch.rand(errors.shape, generator=rng) < 0.7] = torch.nan
    errors[:, 2], errors[5, 3] = torch.nan, torch.inf
    strata = torch.randint(impute.STRATA, errors.shape, generator=rng)
    strata[:, 1] = 0
    is_real = torch.tensor([True, True, True, True, False, True, True])
    found = impute._quantiles(errors, strata, is_real).permute(2, 0, 1)
    levels = (torch.arange(impute.LEVELS, dtype=torch.float64) + 0.5) / impute.LEVELS
    for j, column in enumerate(found):
        known = errors[:, j].isfinite() & is_real[j]
        for s in range(impute.STRATA):
            own = errors[known & (strata[:, j] == s), j]
            values = own if len(own) >= impute.FEWEST_RESIDUALS else errors[known, j]
            if len(values) < impute.FEWEST_RESIDUALS:
                assert column[s].isnan().all()
            else:
                torch.testing.assert_close(column[s], values.quantile(levels))
