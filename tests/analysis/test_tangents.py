"""Tangents, dimensions and walks on manifolds whose geometry is known."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from isthmus import (
    Autoencoder,
    Contractive,
    Deterministic,
    Gaussian,
    GaussianNoise,
    InvalidDataError,
    InvalidParameterError,
    NotFittedError,
)
from isthmus.analysis import local_dimension, tangent_space, walk
from isthmus.analysis.learned import learned
from isthmus.analysis.tangents import _eigenvalues
from isthmus.derivatives import jacobian
from tests.problems import LinearGaussian, Manifold

# how each is learned: noise σ, rows, units of the code, hidden widths, epochs, rows per step
RECIPES = {
    "circle": (0.2, 10_000, 16, (32, 32), 40, 250),
    "sphere": (0.2, 10_000, 16, (32, 32), 40, 250),
    "torus": (0.2, 20_000, 32, (64, 64), 60, 500),
    "swiss_roll": (0.3, 20_000, 32, (64, 64), 60, 500),
}


@cache
def denoiser(name):
    """A model with a wide code, which does not know the dimension."""
    sigma, n_rows, width, hidden, epochs, batch = RECIPES[name]
    model = Autoencoder(
        width, hidden=hidden, likelihood=Gaussian(1.0), corruption=GaussianNoise(sigma),
        optimizer="adam", learning_rate=1e-2, batch_size=batch, max_epochs=epochs,
        validation_fraction=0, random_state=0,
    )  # fmt: skip
    return model.fit(Manifold(name, n_rows, seed=1).rows.astype(np.float32))


@pytest.fixture(params=RECIPES)
def known(request):
    return denoiser(request.param), Manifold(request.param, seed=5)


def largest_angles(found, true):
    """The largest principal angle between spans of unit rows, in degrees, (n,)."""
    return np.degrees(
        np.arccos(np.linalg.svd(found @ true.transpose(0, 2, 1))[1].min(1).clip(0, 1))
    )


def test_the_true_tangents_are_the_ways_along(known):
    _, manifold = known
    tangents = manifold.tangents(manifold.clean)
    for step in tangents.transpose(1, 0, 2):
        moved = manifold.clean + 1e-3 * step
        # one step of a straight line off a surface of curvature 1 or less
        back = moved - manifold._normals(moved) * 1e-3
        assert np.abs(np.einsum("nkd,nd->nk", manifold.tangents(moved), back - moved)).max() < 1e-9
        angles = largest_angles(manifold.tangents(moved), tangents)
        assert angles.max() < np.degrees(1.1e-3)


def test_leading_directions_are_the_tangents(known):
    model, manifold = known
    space = tangent_space(model, manifold.rows, manifold.dimension)
    angles = largest_angles(space.directions, manifold.tangents(manifold.rows))
    assert np.median(angles) <= 2.5
    assert np.quantile(angles, 0.95) <= 5


def test_local_dimension_is_the_manifolds(known):
    model, manifold = known
    found = local_dimension(model, manifold.rows)
    assert np.mean(found == manifold.dimension) >= 0.95


def test_a_walk_goes_round_the_circle():
    circle = denoiser("circle")
    way = walk(circle, [1.0, 0.0], [0.05, 2 * np.pi / 100], 100)
    assert way.points.shape == (101, 2)
    assert way.codes.shape == (101, 16)
    radii = np.linalg.norm(way.points, axis=1)
    assert radii.min() > 0.95
    assert radii.max() < 1.05
    turned = np.unwrap(np.arctan2(way.points[:, 1], way.points[:, 0]))
    assert (np.diff(turned) > 0).all()
    assert turned[-1] - turned[0] == pytest.approx(2 * np.pi, rel=0.05)
    np.testing.assert_allclose(way.codes, circle.transform(way.points), rtol=1e-6, atol=1e-6)


def test_a_walk_on_a_plane_is_straight():
    problem = LinearGaussian(n_features=5, n_components=2, noise=0.05)
    model = linear(problem)
    start, way_to = problem.rows[0], problem.rows[1] - problem.rows[0]
    way = walk(model, start, way_to, 4)
    steps = np.diff(way.points, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-9)
    centre = model.reconstruct(np.zeros((1, 5)))
    plane = (model.reconstruct(np.eye(5)) - centre).T
    image = np.linalg.svd(plane)[0][:, :2]
    np.testing.assert_allclose(steps[0], image @ (image.T @ way_to), atol=1e-9)


def linear(problem, n_components=2, max_epochs=60):
    return Autoencoder(
        n_components, hidden=(), likelihood=Gaussian(1.0), max_epochs=max_epochs,
        optimizer="adam", learning_rate=1e-2, validation_fraction=0, random_state=0,
    ).fit(problem.rows)  # fmt: skip


def test_a_contracting_encoder_has_tangents_too():
    manifold = Manifold("circle", seed=5)
    model = Autoencoder(
        32, hidden=(), encoder=Deterministic("sigmoid"), penalty=Contractive(1e-3),
        likelihood=Gaussian(1.0), optimizer="adam", learning_rate=1e-2, batch_size=250,
        max_epochs=40, validation_fraction=0, random_state=0,
    )  # fmt: skip
    model.fit(Manifold("circle", 4000, seed=1).rows.astype(np.float32))
    space = tangent_space(model, manifold.rows, 1, of="encoder")
    angles = largest_angles(space.directions, manifold.tangents(manifold.rows))
    assert np.median(angles) <= 5


def test_a_wide_model_goes_without_its_whole_jacobian():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 160)) * np.linspace(2, 0.5, 160)
    model = Autoencoder(140, hidden=(), max_epochs=3, likelihood=Gaussian(1.0), random_state=0)
    matrix = (model.fit(X).reconstruct(np.eye(160)) - model.reconstruct(np.zeros((1, 160)))).T
    left, values, _ = np.linalg.svd(matrix)
    space = tangent_space(model, X[:3], 3)
    np.testing.assert_allclose(space.singular_values, np.tile(values[:3], (3, 1)), rtol=1e-6)
    found = np.abs(np.einsum("nkd,dk->nk", space.directions, left[:, :3]))
    np.testing.assert_allclose(found, 1, atol=1e-6)


# ---- linear models, where all is algebra --------------------------------------------------------


@pytest.mark.parametrize("of", ["encoder", "reconstruction"])
def test_tangent_space_is_the_singular_value_decomposition(of):
    problem = LinearGaussian(n_features=5, n_components=3)
    model = linear(problem, 3)
    X = problem.rows[:4]
    function = model.transform if of == "encoder" else model.reconstruct
    matrix = (function(np.eye(5)) - function(np.zeros((1, 5)))).T
    left, values, right = np.linalg.svd(matrix)
    space = tangent_space(model, X, 2, of=of)
    truth = right[:2] if of == "encoder" else left[:, :2].T
    np.testing.assert_allclose(space.singular_values, np.tile(values[:2], (4, 1)), rtol=1e-9)
    signs = np.sign((space.directions * truth).sum(2, keepdims=True))
    np.testing.assert_allclose(signs * space.directions, np.tile(truth, (4, 1, 1)), atol=1e-7)


def test_dimension_counts_directions_wider_than_the_noise():
    rng = np.random.default_rng(0)
    stds = np.array([2.0, 1.0, 0.55, 0.45, 0.1])
    X = rng.normal(size=(4000, 5)) * stds
    model = Autoencoder(
        5, hidden=(), likelihood=Gaussian(1.0), corruption=GaussianNoise(0.5), max_epochs=60,
        optimizer="adam", learning_rate=1e-2, validation_fraction=0, random_state=0,
    ).fit(X)  # fmt: skip
    # s²/(s² + 0.25) is 0.94, 0.80, 0.55, 0.45, 0.04
    np.testing.assert_array_equal(local_dimension(model, X[:5]), 3)
    np.testing.assert_array_equal(local_dimension(model, X[:5], threshold=0.7), 2)
    np.testing.assert_array_equal(local_dimension(model, X[:5], threshold=0.4), 4)


@pytest.mark.parametrize("width", [2, 9])
def test_eigenvalues_are_those_of_the_whole_jacobian(width):
    X = LinearGaussian(n_features=4, n_rows=300).rows
    model = Autoencoder(width, hidden=(8,), max_epochs=5, random_state=0).fit(X)
    here = learned(model, X[:6])
    x = here.tensor(X[:6])
    whole = torch.linalg.eigvals(jacobian(here.reconstruct, x)).real.sort(1).values
    found = _eigenvalues(here, x)
    zeros = torch.zeros(6, 4 - found.shape[1], dtype=found.dtype)
    found = torch.cat([found, zeros], 1).sort(1).values
    torch.testing.assert_close(found, whole, rtol=1e-8, atol=1e-8)


def test_dimension_does_not_depend_on_the_units_of_columns():
    X, factors = LinearGaussian(n_features=4, n_rows=1000).rows, np.array([1, 1e-3, 1e3, 1])
    given = {"corruption": GaussianNoise(0.3), "max_epochs": 10, "random_state": 0}
    model = Autoencoder(4, hidden=(8,), likelihood="gaussian", **given)
    found = [local_dimension(model.fit(X * f), X[:50] * f) for f in (np.ones(4), factors)]
    np.testing.assert_array_equal(*found)


# ---- bad input ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plane():
    problem = LinearGaussian(n_features=5, n_components=2, n_rows=200)
    return linear(problem, max_epochs=200), problem.rows


@pytest.mark.parametrize("k", [0, 3, 1.5, True, "2"])
def test_k_is_at_most_the_rank(plane, k):
    model, X = plane
    with pytest.raises(InvalidParameterError, match="k must be a whole number from 1 to 2"):
        tangent_space(model, X, k)


def test_tangents_refuse_by_name(plane):
    model, X = plane
    with pytest.raises(InvalidParameterError, match="'encoder' or 'reconstruction'"):
        tangent_space(model, X, 1, of="decoder")
    for threshold in (0, 1, np.nan, "half"):
        with pytest.raises(InvalidParameterError, match="threshold"):
            local_dimension(model, X, threshold)
    for function in (lambda m, X: tangent_space(m, X, 1), local_dimension):
        with pytest.raises(InvalidDataError, match="4 features"):
            function(model, X[:, :4])
        with pytest.raises(InvalidDataError, match="NaN"):
            function(model, np.full((1, 5), np.nan))
        with pytest.raises(NotFittedError):
            function(Autoencoder(), X)


def test_a_walk_may_start_at_a_frames_row(plane):
    model, X = plane
    frame = pd.DataFrame(X, columns=list("abcde"))
    again = clone(model).fit(frame)
    way = walk(again, frame[:1], X[1] - X[0], 2)
    np.testing.assert_allclose(way.points, walk(model, X[0], X[1] - X[0], 2).points, atol=1e-9)


def test_walks_refuse_by_name(plane):
    model, X = plane
    for steps in (0, 1.5, True):
        with pytest.raises(InvalidParameterError, match="steps"):
            walk(model, X[0], X[1], steps)
    with pytest.raises(InvalidDataError, match="got 2 rows"):
        walk(model, X[:2], X[1], 1)
    for direction in (X[1, :4], np.zeros(5), np.full(5, np.inf)):
        with pytest.raises(InvalidParameterError, match="direction must have 5"):
            walk(model, X[0], direction, 1)
    with pytest.raises(InvalidDataError, match="4 features"):
        walk(model, X[0, :4], X[1], 1)
    normal = np.linalg.svd(tangent_space(model, X[:1], 2, of="reconstruction").directions[0])[2][
        -1
    ]
    with pytest.raises(InvalidParameterError, match="no part along"):
        walk(model, X[0], normal, 1)
    flat = Autoencoder(1, hidden=(), max_epochs=1, learning_rate=1e-12).fit(X)
    with pytest.raises(InvalidDataError, match="knows no manifold"):
        walk(flat, X[0], X[1], 1)
