"""The density of codes: of a known mixture, of odd codes, and of a fitted model's."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from isthmus import Autoencoder, Deterministic, InvalidDataError, InvalidParameterError
from isthmus.analysis import CodeDensity, fit_density
from isthmus.analysis.density import fit_codes

MEANS = np.array([[0.0, 0.0, 100.0], [4.0, -3.0, 100.2]])
FACTOR = np.array([[1.0, 0.0, 0.0], [0.5, 0.7, 0.0], [0.01, 0.0, 0.02]])


@pytest.fixture(scope="module")
def codes():
    """Two components, units of very different widths."""
    rng = np.random.default_rng(0)
    chosen = rng.random(4000) < 0.3
    return MEANS[chosen.astype(int)] + rng.normal(size=(4000, 3)) @ FACTOR.T


def test_the_mixture_is_found(codes):
    density = fit_codes(codes)
    assert len(density.weights) == 2
    first, second = density.means[:, 0].argsort()
    assert density.weights[second] == pytest.approx(0.3, abs=0.02)
    np.testing.assert_allclose(density.means[[first, second]], MEANS, atol=0.1)
    covariance = density.factors[first] @ density.factors[first].T
    scale = np.sqrt(np.diag(FACTOR @ FACTOR.T))
    gap = (covariance - FACTOR @ FACTOR.T) / np.outer(scale, scale)
    assert np.abs(gap).max() < 0.1


def test_log_prob_is_scipys(codes):
    density = fit_codes(codes)
    parts = [
        np.log(weight) + multivariate_normal(mean, factor @ factor.T).logpdf(codes[:50])
        for weight, mean, factor in zip(
            density.weights, density.means, density.factors, strict=True
        )
    ]
    np.testing.assert_allclose(density.log_prob(codes[:50]), np.logaddexp(*parts), rtol=1e-9)


def test_draws_have_the_moments_of_the_codes(codes):
    drawn = fit_codes(codes).sample(50_000, random_state=0)
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.05, atol=0.01)
    assert (drawn >= codes.min(0)).all()
    assert (drawn <= codes.max(0)).all()
    again = fit_codes(codes).sample(50_000, random_state=0)
    assert np.array_equal(drawn, again)


def test_one_normal_has_one_component_and_more_can_be_asked_for():
    codes = np.random.default_rng(0).normal(size=(3000, 4))
    assert len(fit_codes(codes).weights) == 1
    assert len(fit_codes(codes, 3).weights) == 3


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_few_rows_many_units_and_constant_ones(n):
    codes = np.random.default_rng(0).normal(size=(n, 30))
    codes[:, 7] = 3.25
    density = fit_codes(codes)
    drawn = density.sample(500, random_state=0)
    assert (drawn[:, 7] == 3.25).all()
    assert np.isfinite(drawn).all()
    assert np.isfinite(density.log_prob(drawn)).all()
    if n > 1:
        assert not density.varying[7]
        assert density.varying.sum() == 29


def test_equal_codes_and_two_values():
    same = fit_codes(np.full((50, 3), 0.1))
    assert (same.sample(4, random_state=0) == 0.1).all()
    bits = np.random.default_rng(0).integers(0, 2, size=(500, 2)).astype(float)
    drawn = fit_codes(bits).sample(2000, random_state=0)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    np.testing.assert_allclose(drawn.mean(0), bits.mean(0), atol=0.06)


def test_of_a_model_and_rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(600, 5))
    model = Autoencoder(2, hidden=(), max_epochs=100, learning_rate=1e-2, random_state=0)
    model.fit(rows)
    density = fit_density(model, rows)
    assert isinstance(density, CodeDensity)
    codes = model.transform(rows)
    drawn = density.sample(20_000, random_state=0)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.1, atol=0.02)
    inner = fit_density(model.model_, rows.astype(np.float32))
    np.testing.assert_allclose(inner.means, density.means, atol=1e-3)
    with pytest.raises(InvalidDataError, match="columns"):
        fit_density(model, rows[:, :3])
    with pytest.raises(InvalidParameterError, match="n_components must be a whole number, 1 to 9"):
        fit_density(model, rows[:9], 10)
    with pytest.raises(InvalidDataError, match="3 units, but the density is of 2"):
        density.log_prob(np.zeros((2, 3)))
    with pytest.raises(InvalidParameterError, match="n_samples"):
        density.sample(0)


def test_of_more_rows_than_are_used():
    rows = np.random.default_rng(0).normal(size=(150_000, 2)).astype(np.float32)
    model = Autoencoder(1, hidden=(), max_epochs=1, random_state=0).fit(rows[:1000])
    codes = model.transform(rows)
    density = fit_density(model, rows, 1)
    assert density.means[0, 0] == pytest.approx(
        float(codes.mean()), abs=5 * float(codes.std()) / 1e5**0.5
    )


def test_a_table_with_holes_and_codes_of_a_sigmoid():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "b": rng.choice(["x", "y"], 300)})
    frame.loc[::7, "a"] = np.nan
    model = Autoencoder(
        2, hidden=(8,), encoder=Deterministic("sigmoid"), max_epochs=5, random_state=0
    ).fit(frame)
    drawn = model.sample(50)
    assert list(drawn.column_names) == ["a", "b"]
    assert set(drawn["b"].to_pylist()) <= {"x", "y"}
    codes = fit_density(model, frame).sample(1000, random_state=0)
    assert codes.min() >= 0
    assert codes.max() <= 1
