"""Denoising and contraction: equal where r is linear, and nearly so for small noise."""

import math

import numpy as np
import pytest
import torch

from isthmus import (
    Autoencoder,
    Gaussian,
    GaussianNoise,
    InvalidDataError,
    InvalidParameterError,
    UnsupportedTypeError,
)
from isthmus.analysis import denoising_contractive_gap
from isthmus.analysis.gap import _MatchedNoise
from tests.problems import LinearGaussian, spiral

TRAINING = {
    "optimizer": "adam",
    "learning_rate": 2e-2,
    "validation_fraction": 0,
    "random_state": 0,
    "precision": "float32",
}


@pytest.mark.parametrize("scale", [math.sqrt(0.5), 2.0])
def test_the_linear_case_is_equal(scale):
    X = LinearGaussian(n_features=3, n_components=3, n_rows=400).rows
    model = Autoencoder(
        3, hidden=(), likelihood=Gaussian(scale), batch_size=400, max_epochs=600, **TRAINING
    )
    found = denoising_contractive_gap(model, X, [0.5, 0.1])
    assert (found.gaps < 1e-4 * found.sigmas).all()
    # and it is the Wiener filter, which only noise and penalty of the right weight give
    centred = X - X.mean(0)
    truth = LinearGaussian(n_features=3, n_components=3, n_rows=400).wiener(0.5) - np.eye(3)
    assert np.abs(found.contractive[0] - centred @ truth.T).max() < 1e-3
    assert np.abs(found.denoising[0] - centred @ truth.T).max() < 1e-3


def test_on_the_spiral_the_gap_falls_at_least_as_the_square_of_sigma():
    X = spiral(300, 0.05)
    model = Autoencoder(
        2, hidden=(32,), likelihood=Gaussian(1.0), batch_size=300, max_epochs=400, **TRAINING
    )
    found = denoising_contractive_gap(model, X, [0.2, 0.1, 0.05], n_copies=16)
    assert (found.gaps[:-1] / found.gaps[1:] >= 4).all()
    assert (np.diff(found.relative_gaps) < 0).all()
    assert found.relative_gaps[-1] < 0.05
    assert found.denoising.shape == found.contractive.shape == (3, 300, 2)


def test_matched_noise_has_the_moments_of_noise():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    before = x.clone()
    noise = _MatchedNoise(0.5)(x, 1, generator) - x
    assert torch.equal(x, before)
    torch.testing.assert_close(noise.mean(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(noise.T @ x, torch.zeros(3, 3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(noise.T @ noise / 50, 0.25 * torch.eye(3).double())
    few = _MatchedNoise(0.5)(x[:4], 1, generator) - x[:4]
    assert few.isfinite().all()
    assert 0.05 < few.std() < 1.5


def test_the_autoencoder_itself_is_left_alone():
    X = LinearGaussian(n_features=3, n_rows=50).rows
    model = Autoencoder(2, hidden=(), likelihood=Gaussian(1.0), max_epochs=1)
    before = model.get_params()
    found = denoising_contractive_gap(model, X, 0.1)
    assert model.get_params() == before
    assert not hasattr(model, "model_")
    np.testing.assert_array_equal(found.sigmas, [0.1])
    # from the same weights one step of little noise leads to nearly the same place
    assert found.relative_gaps[0] < 0.01


@pytest.mark.parametrize("sigmas", [[0.1, 0], [-1.0], [np.nan], [], ["0.1"], [True]])
def test_sigmas_must_be_positive(sigmas):
    with pytest.raises(InvalidParameterError, match="sigmas must be positive"):
        denoising_contractive_gap(Autoencoder(likelihood=Gaussian(1.0)), np.eye(3), sigmas)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"likelihood": "gaussian"}, "only where s is known"),
        ({"likelihood": Gaussian("shared")}, "only where s is known"),
        ({"likelihood": Gaussian(1.0), "corruption": GaussianNoise(0.1)}, "corruption of its own"),
        ({"likelihood": Gaussian(1.0), "penalty": "l1"}, "penalty of its own"),
    ],
)
def test_autoencoders_that_have_no_equivalence_are_refused(parameters, match):
    with pytest.raises(InvalidParameterError, match=match):
        denoising_contractive_gap(Autoencoder(**parameters), np.eye(3), [0.1])


def test_other_bad_input():
    model = Autoencoder(2, likelihood=Gaussian(1.0), max_epochs=1)
    for copies in (0, 1.5):
        with pytest.raises(InvalidParameterError, match="n_copies"):
            denoising_contractive_gap(model, np.eye(3), [0.1], n_copies=copies)
    with pytest.raises(UnsupportedTypeError, match="unfitted Autoencoder"):
        denoising_contractive_gap(object(), np.eye(3), [0.1])
    with pytest.raises(InvalidDataError, match="NaN"):
        denoising_contractive_gap(model, np.full((4, 3), np.nan), [0.1])
