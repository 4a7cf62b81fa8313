"""The beginning: principal axes, turned until rounding loses little."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from isthmus.binary import rotated_axes
from isthmus.binary.rotation import principal_axes
from isthmus.sparse import SparseBatch
from tests.likelihoods.cases import generator


def corners(n=400, k=5, d=9, noise=0.05, seed=0):
    """The corners of a cube in k dimensions, turned at random in d, and which corner each is."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(2, size=(n, k))
    frame = np.linalg.qr(rng.normal(size=(d, k)))[0]
    rows = (2 * bits - 1) @ frame.T + noise * rng.normal(size=(n, d)) + rng.normal(size=d)
    return torch.from_numpy(rows).float(), bits


def test_the_corners_of_a_cube_have_codes_of_their_own():
    """Rounding loses nothing there, so that the right turn is known: the cube's own axes."""
    z, bits = corners()
    axes, mean = rotated_axes(z, 5, generator())
    found = ((z - mean) @ axes.T > 0).numpy()
    agreement = np.abs(np.corrcoef(found.T, bits.T)[:5, 5:])
    assert (agreement.max(1) > 0.999).all()
    assert sorted(agreement.argmax(1)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("n_bits", [3, 9, 16])
def test_the_axes_are_a_frame_of_the_principal_subspace(n_bits):
    z, _ = corners(noise=0.3)
    axes, _ = rotated_axes(z, n_bits, generator())
    few = min(n_bits, 9)
    gram = (axes @ axes.T if n_bits <= 9 else axes.T @ axes).numpy()
    np.testing.assert_allclose(gram, np.eye(few), atol=1e-5)
    kept = PCA(few).fit(z.numpy()).components_
    np.testing.assert_allclose(np.linalg.norm(kept @ axes.T.numpy(), 2), 1, rtol=1e-4)


@pytest.mark.parametrize("sparse", [False, True])
def test_axes_of_many_columns_are_those_of_scikit_learn(sparse):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 8)) * np.arange(8, 0, -1) @ rng.normal(size=(8, 1500))
    x[np.abs(x) < 5] = 0
    z = torch.from_numpy(x).float()
    batch = SparseBatch.of(z) if sparse else z
    axes = principal_axes(batch, z.mean(0), 4, generator()).numpy()
    truth = PCA(4).fit(x).components_
    np.testing.assert_allclose(np.linalg.svd(axes @ truth.T)[1], 1, rtol=1e-3)


@pytest.mark.parametrize("n", [1, 2])
def test_few_and_constant_rows_have_axes_too(n):
    axes, mean = rotated_axes(torch.ones(n, 4), 8, generator())
    assert torch.isfinite(axes).all()
    assert torch.equal(mean, torch.ones(4))
