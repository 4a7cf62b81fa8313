"""The analytic twins: linear autoencoders whose answer scikit-learn or algebra knows."""

import math

import numpy as np
import pytest
from sklearn.decomposition import PCA

from isthmus import Autoencoder, Contractive, Gaussian, GaussianCode, GaussianNoise
from tests.problems import LinearGaussian

LINEAR = {
    "hidden": (),
    "optimizer": "adam",
    "learning_rate": 1e-2,
    "validation_fraction": 0,
    "random_state": 0,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def problem():
    return LinearGaussian()


def test_linear_autoencoder_is_pca(problem):
    X = problem.rows
    pca = PCA(3).fit(X)
    model = Autoencoder(3, likelihood=Gaussian(1.0), max_epochs=300, **LINEAR).fit(X)
    ours, theirs = model.reconstruct(X), pca.inverse_transform(pca.transform(X))
    error, least = ((X - ours) ** 2).sum(), ((X - theirs) ** 2).sum()
    assert least * (1 - 1e-6) <= error <= least * 1.002
    directions = np.linalg.svd(ours - ours.mean(0), full_matrices=False)[2][:3]
    cosines = np.linalg.svd(directions @ pca.components_.T)[1]
    assert cosines.min() > 0.9999


def test_linear_autoencoder_follows_pca_whatever_the_units(problem):
    X = 1e4 * problem.rows + 1e6
    pca = PCA(3).fit(X)
    model = Autoencoder(3, likelihood="gaussian_shared", max_epochs=300, **LINEAR).fit(X)
    error = ((X - model.reconstruct(X)) ** 2).sum()
    assert error <= ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum() * 1.002


def test_linear_variational_autoencoder_is_probabilistic_pca(problem):
    X = problem.rows
    pca = PCA(3).fit(X)
    model = Autoencoder(
        3, encoder=GaussianCode(), likelihood=Gaussian("shared"), max_epochs=300, **LINEAR
    ).fit(X)
    assert model.score(X) == pytest.approx(pca.score(X), rel=0.01)
    assert model.log_likelihood(X, n_samples=64).mean() == pytest.approx(pca.score(X), rel=0.01)
    log_scale = model.likelihood_.log_scale(model.model_.parameters_of_all_rows["log_scale"])
    variance = float((log_scale.detach().exp() * model.model_.scale[0]).square())
    assert variance == pytest.approx(pca.noise_variance_, rel=0.01)


@pytest.mark.parametrize(
    "how",
    [
        {"corruption": GaussianNoise(0.5)},
        {"penalty": Contractive(0.5**2, of="reconstruction")},
    ],
    ids=["denoising", "reconstruction-contractive"],
)
def test_linear_denoising_and_contraction_are_the_wiener_filter(how):
    problem = LinearGaussian(n_features=4, n_components=4, noise=0.5, n_rows=4000)
    X = problem.rows
    # with σ² = ½ the nll is the squared error, in whose units Alain and Bengio's λ = σ² holds
    parameters = {**LINEAR, "learning_rate": 3e-3, "max_epochs": 150, **how}
    model = Autoencoder(4, likelihood=Gaussian(math.sqrt(0.5)), **parameters).fit(X)
    center = model.reconstruct(X.mean(0, keepdims=True))
    learned = (model.reconstruct(X.mean(0) + np.eye(4)) - center).T
    truth = problem.wiener(0.5)
    assert np.linalg.norm(learned - truth) < 0.02 * np.linalg.norm(truth)
