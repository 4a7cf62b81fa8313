"""Chains on clusters whose weights and moments are known, and on a linear model in closed form."""

import math
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch

from isthmus import (
    Autoencoder,
    Contractive,
    Gaussian,
    GaussianNoise,
    InvalidDataError,
    InvalidParameterError,
    Masking,
    SupportError,
    Walkback,
)
from isthmus.analysis import langevin, sample_chain
from tests.problems import Clusters, LinearVariational, make_model

MIXED = Clusters(distance=1.6, std=0.3)
APART = Clusters(distance=2.0, std=0.25)


def denoiser(problem, *corruptions, likelihood, **how):
    usual = {"max_epochs": 60, "learning_rate": 3e-3, "random_state": 0, "precision": "float32"}
    model = Autoencoder(
        8,
        hidden=(64, 64),
        likelihood=likelihood,
        corruption=list(corruptions),
        validation_fraction=0,
        **{**usual, **how},
    )
    return model.fit(problem.rows)


# ---- clusters -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixing():
    return denoiser(MIXED, GaussianNoise(0.33), likelihood=Gaussian("row"))


def later(chain, burn_in, every=10):
    """States after the first ones, together."""
    return np.concatenate(list(islice(chain, burn_in, None, every)))


def require_moments(rows, mean, covariance):
    np.testing.assert_allclose(rows.mean(0), mean, atol=0.05 * np.sqrt(np.trace(covariance)))
    gap = np.cov(rows.T) - covariance
    assert np.linalg.norm(gap) < 0.05 * np.linalg.norm(covariance)


def test_the_chain_has_the_weights_and_the_moments_of_the_data(mixing):
    start = np.repeat(MIXED.centers[:1], 800, 0).astype(np.float32)
    rows = later(sample_chain(mixing, start, 800, random_state=0), 400)
    assert np.abs(MIXED.shares(rows) - MIXED.weights).max() < 0.05
    require_moments(rows, MIXED.mean, MIXED.covariance())


def test_langevin_has_those_of_the_noisy_data(mixing):
    start = np.repeat(MIXED.centers[:1], 800, 0).astype(np.float32)
    rows = later(langevin(mixing, start, step=0.3, n_steps=1200, random_state=0), 500, 20)
    noise = 0.33 * MIXED.rows.std(0)
    noisy = MIXED.rows + noise * np.random.default_rng(5).normal(size=MIXED.rows.shape)
    assert np.abs(MIXED.shares(rows) - MIXED.shares(noisy)).max() < 0.05
    require_moments(rows, MIXED.mean, MIXED.covariance(noise))


def test_walkback_mixes_where_the_plain_chain_stays():
    """Eight standard deviations apart: with walkback, longer steps are learnt."""
    start = np.repeat(APART.centers[:1], 800, 0).astype(np.float32)
    noise, shares = GaussianNoise(0.15), []
    for corruptions in ((noise,), (noise, Walkback(0.5))):
        how = {"batch_size": 512, "learning_rate": 5e-3}
        model = denoiser(APART, *corruptions, likelihood=Gaussian("row"), **how)
        rows = later(sample_chain(model, start, 500, random_state=0), 400)
        shares.append(APART.shares(rows))
    plain, walked = shares
    assert plain[0] > APART.weights[0] + 0.2
    assert np.abs(walked - APART.weights).max() < 0.05


# ---- a linear model, in closed form -------------------------------------------------------------

SLOPE, DRAW = 0.8, 0.5


def linear():
    """r(x) = 0.8 x + 2 in two columns in units of 10 each, with draws of std 0.5 · 10."""
    model = make_model(
        torch.zeros(4, 2), Gaussian(DRAW), n_components=2, hidden=(), scale=torch.full((2,), 10.0)
    ).double()
    with torch.no_grad():
        for network, slope in ((model.encoder_network, 1.0), (model.decoder_network, SLOPE)):
            network.layers[0].weight.copy_(slope * torch.eye(2))
            network.layers[0].bias.zero_()
        model.decoder_network.layers[0].bias.fill_(0.2)
    return model


def test_the_chain_of_a_linear_model_is_an_autoregression():
    start = np.zeros((20_000, 2))
    for walkback in (1, 3):
        states = list(
            sample_chain(
                linear(), start, 6, walkback, corruption=GaussianNoise(3.0), random_state=0
            )
        )
        added = SLOPE**2 * 0.3**2 + DRAW**2
        for t, state in enumerate(states, 1):
            left = SLOPE ** (2 * t * walkback)
            variance = 100 * added * (1 - left) / (1 - SLOPE**2)
            mean = 10 * (1 - math.sqrt(left))
            assert state.dtype == np.float64
            error = 5 * math.sqrt(variance / 20_000)
            np.testing.assert_allclose(state.mean(0), mean, atol=error)
            np.testing.assert_allclose(state.var(0), variance, rtol=5 * math.sqrt(2 / 20_000))


@pytest.mark.parametrize("step", [0.1, 1.5])
def test_langevin_of_a_linear_model_with_the_bias_of_its_step(step):
    """1 − (1 − ε c/2)² in place of ε c, where c = (1 − a)/σ²."""
    sigma = np.array([3.0, 6.0])
    chain = langevin(linear(), np.full((20_000, 2), 10.0), sigma, step, 200, random_state=0)
    *_, state = chain
    shrink = 1 - step * (1 - SLOPE) / 2
    variance = step * sigma**2 / (1 - shrink**2)
    np.testing.assert_allclose(state.var(0), variance, rtol=5 * math.sqrt(2 / 20_000))
    np.testing.assert_allclose(state.mean(0), 10.0, atol=5 * math.sqrt(variance.max() / 20_000))
    exact = sigma**2 / (1 - SLOPE)
    np.testing.assert_allclose(variance / exact, 1 / (1 - step * (1 - SLOPE) / 4))


def test_a_variational_model_with_the_true_posterior_keeps_p():
    """x → h ~ p(h | x) → x is a Gibbs sampler; the true posterior leaves p(x) as it is."""
    problem = LinearVariational(6, 1, 0.8)
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(20_000, 1))
    rows = codes @ problem.loadings.T + 0.8 * rng.normal(size=(20_000, 6))
    *_, state = sample_chain(
        problem.model, rows, 20, corruption=GaussianNoise(0.0), random_state=0
    )
    truth = problem.loadings @ problem.loadings.T + 0.64 * np.eye(6)
    assert np.linalg.norm(np.cov(state.T) - truth) < 0.05 * np.linalg.norm(truth)
    assert np.abs(state - rows).min() > 0


# ---- behaviour ----------------------------------------------------------------------------------

ROWS = np.random.default_rng(0).normal(size=(200, 3))


@pytest.fixture(scope="module")
def small():
    model = Autoencoder(2, corruption=GaussianNoise(0.3), max_epochs=2, random_state=0)
    return model.fit(ROWS)


@pytest.mark.parametrize("function", [sample_chain, langevin])
def test_seeds_and_the_global_state(function, small):
    before = torch.random.get_rng_state()
    first, again = (list(function(small, ROWS, n_steps=3, random_state=4)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    other = next(function(small, ROWS, random_state=5))
    assert not np.array_equal(first[0], other)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [state.shape for state in first] == [(200, 3)] * 3


def test_the_start_is_left_alone_and_the_states_are_the_callers(small):
    start = ROWS.copy()
    chain = sample_chain(small, start, random_state=0)
    first = next(chain)
    kept, first[:] = first.copy(), 1e9
    second = next(chain)
    assert np.array_equal(start, ROWS)
    twin = list(sample_chain(small, start, 2, random_state=0))
    assert np.array_equal(twin[0], kept)
    assert np.array_equal(twin[1], second)


def test_counts_bits_and_tables_stay_in_their_support():
    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, (100, 4))
    model = Autoencoder(2, likelihood="poisson", corruption=Masking(0.3), max_epochs=2)
    *_, state = sample_chain(model.set_params(random_state=0).fit(counts), counts, 5)
    assert (state == state.round()).all()
    assert state.min() >= 0
    frame = pd.DataFrame({"a": rng.normal(size=100), "b": rng.choice(["x", "y", "z"], 100)})
    frame.loc[::5, "a"] = np.nan
    model = Autoencoder(2, corruption=Masking(0.3), max_epochs=2, random_state=0).fit(frame)
    *_, state = sample_chain(model, frame, 5)
    assert np.isfinite(state).all()
    assert set(state[:, 1]) <= {0.0, 1.0, 2.0}
    with pytest.raises(InvalidDataError, match="category"):
        langevin(model, frame.dropna(), 0.1)


def test_a_model_without_a_corruption_says_what_to_do():
    plain = Autoencoder(2, max_epochs=1, random_state=0).fit(ROWS)
    with pytest.raises(InvalidParameterError, match=r"trained without one.*corruption="):
        sample_chain(plain, ROWS)
    with pytest.raises(InvalidParameterError, match=r"without its training.*corruption="):
        sample_chain(plain.model_, ROWS)
    with pytest.raises(InvalidParameterError, match=r"not trained with GaussianNoise.*give sigma"):
        langevin(plain, ROWS)
    assert len(list(sample_chain(plain, ROWS, 2, corruption=["masking", GaussianNoise(1.0)]))) == 2


def test_contraction_knows_sigma_as_the_root_of_its_weight():
    penalty = Contractive(0.25, of="reconstruction")
    model = Autoencoder(2, likelihood=Gaussian(0.5**0.5), penalty=penalty, max_epochs=1)
    model.set_params(random_state=0).fit(ROWS)
    assert np.isfinite(next(langevin(model, ROWS, 0.5))).all()


def test_bad_input_is_refused_before_the_first_step(small):
    for sigma in (0, -1.0, float("nan"), "wide", [1.0, 2.0], [1.0, 0.0, 1.0]):
        with pytest.raises(InvalidParameterError, match="sigma must be a positive number"):
            langevin(small, ROWS, sigma)
    for step in (0, -0.1, 4, float("nan"), "short", None):
        with pytest.raises(InvalidParameterError, match="step must lie above 0"):
            langevin(small, ROWS, step=step)
    for function in (sample_chain, langevin):
        for n_steps in (0, -1, 2.5, True):
            with pytest.raises(InvalidParameterError, match="n_steps must be a whole number"):
                function(small, ROWS, n_steps=n_steps)
        with pytest.raises(InvalidDataError, match="columns"):
            function(small, ROWS[:, :2])
        with pytest.raises(InvalidDataError, match="NaN"):
            function(small, np.full((3, 3), np.nan))
    with pytest.raises(InvalidParameterError, match="walkback must be a whole number"):
        sample_chain(small, ROWS, walkback=0)
    counts = Autoencoder(2, likelihood="poisson", max_epochs=1, corruption="masking")
    counts.set_params(random_state=0).fit(np.arange(60).reshape(20, 3))
    with pytest.raises(SupportError, match="row 1 of column 0"):
        sample_chain(counts, [[1, 2, 3], [-1, 2, 3]])
    with pytest.raises(InvalidDataError, match=r"Column 0 holds counts.*sample_chain"):
        langevin(counts, [[1, 2, 3]], 0.1)


def test_a_chain_that_overflows_names_its_row():
    model = linear()
    with torch.no_grad():
        model.decoder_network.layers[0].weight.mul_(1e200)
    start = np.array([[0.0, 0.0], [1.0, 1.0]])
    chain = sample_chain(model, start, corruption=GaussianNoise(0.0), random_state=0)
    with pytest.raises(InvalidDataError, match=r"The chain from row \d ran out .* in step \d"):
        list(islice(chain, 5))


def test_a_million_points_in_bounded_memory(small):
    import tracemalloc

    start = np.zeros((1_000_000, 3), np.float32)
    chain = sample_chain(small, start, 1, random_state=0)
    tracemalloc.start()
    state = next(chain)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert state.shape == start.shape
    assert peak < 3 * start.nbytes
