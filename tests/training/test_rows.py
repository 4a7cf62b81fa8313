"""Rows for training: cheap to keep, and always what the model would make of them."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from isthmus import Autoencoder
from isthmus.data import Matrix, as_matrix
from isthmus.training import DenseRows, make_rows
from isthmus.training.rows import AffineRows, MatrixRows

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (50, 12), dtype=np.uint8)
REAL = RNG.normal(size=(50, 12)) * 10.0 ** np.arange(-6, 6) + 3
COUNTS = RNG.poisson(0.3, (50, 12))
WIDE = (RNG.normal(3, 1, (50, 300)) * 10.0 ** RNG.integers(-6, 6, 300)).astype(np.float32)
TINY = RNG.normal(3, 1, (50, 300)).astype(np.float32)
CHOSEN = RNG.permutation(50)[:37]
INDEX = torch.tensor([5, 0, 36, 5])


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


CASES = {
    "float64": (REAL, "gaussian", DenseRows),
    "float32": (REAL.astype(np.float32), "gaussian", DenseRows),
    "float16": (RNG.normal(size=(50, 12)).astype(np.float16), "gaussian", DenseRows),
    "Fortran": (np.asfortranarray(REAL), "gaussian_shared", DenseRows),
    "wide float32": (WIDE, "gaussian", AffineRows),
    "wide float32 of one kind": (WIDE, "gaussian_shared", AffineRows),
    "wide and read-only": (read_only(WIDE), "gaussian", AffineRows),
    "wide and far from zero": (WIDE + 1e6, "gaussian", DenseRows),
    "wide and tiny": (1e-39 * TINY, "gaussian", DenseRows),
    "read-only bytes": (read_only(PIXELS), "gaussian_shared", AffineRows),
    "integers": (COUNTS, "poisson", DenseRows),
    "bytes": (PIXELS, "gaussian_shared", AffineRows),
    "bytes by column": (PIXELS, "gaussian", AffineRows),
    "bytes that count": (COUNTS.astype(np.uint8), "poisson", AffineRows),
    "bytes that are bits": ((PIXELS > 99).astype(np.uint8), "bernoulli", AffineRows),
    "sparse": (sp.csr_array(COUNTS), "poisson", MatrixRows),
    "sparse numbers": (sp.csr_array(COUNTS * 0.5), "gaussian", MatrixRows),
}


@pytest.mark.parametrize(("given", "likelihood", "kind"), CASES.values(), ids=CASES)
def test_a_batch_is_what_the_model_makes_of_the_rows(given, likelihood, kind):
    fitted = Autoencoder(2, hidden=(3,), likelihood=likelihood, max_epochs=1).fit(given)
    model = fitted.model_
    matrix = as_matrix(given)
    matrix = (
        Matrix(matrix.values, matrix.row_shape, None, fitted._pixel_divisor)
        if (matrix.dtype == np.uint8)
        else matrix
    )
    rows = make_rows(matrix, CHOSEN, model)
    assert isinstance(rows, kind)
    assert len(rows) == 37
    batch = rows.batch(INDEX)
    truth = model.scaled(torch.from_numpy(matrix.take(CHOSEN[INDEX.numpy()], np.float64)))
    assert batch.dtype == torch.float32
    assert batch.shape == (4, matrix.n_features)
    assert torch.allclose(batch.double(), truth, rtol=1e-5, atol=1e-5)


def test_bytes_stay_bytes_until_their_batch():
    model = Autoencoder(2, hidden=(3,), max_epochs=1).fit(PIXELS).model_
    rows = make_rows(Matrix(PIXELS, (12,), divisor=255.0), CHOSEN, model)
    assert rows.values.dtype == torch.uint8
    assert rows.values.data_ptr() == PIXELS.ctypes.data
    floats = [
        value
        for value in vars(rows).values()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    ]
    assert sum(tensor.nbytes for tensor in floats) <= 2 * 12 * 4


def test_sparse_rows_stay_sparse_until_their_batch():
    given = sp.csr_array(COUNTS)
    model = Autoencoder(2, hidden=(3,), likelihood="poisson", max_epochs=1).fit(given).model_
    rows = make_rows(as_matrix(given), CHOSEN, model)
    assert rows.matrix.is_sparse


def test_a_column_far_from_zero_keeps_its_digits():
    far = 1e9 + RNG.choice([-1.0, 1.0], (200, 3))
    model = Autoencoder(2, hidden=(3,), likelihood="gaussian", max_epochs=1).fit(far).model_
    batch = make_rows(as_matrix(far), np.arange(200), model).batch(torch.arange(200))
    assert np.allclose(batch.numpy(), (far - far.mean(0)) / far.std(0), atol=1e-6)
