"""Batches in which rows meet their neighbours."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from isthmus import Gaussian, Poisson
from isthmus.data import as_matrix
from isthmus.nearest import nearest
from isthmus.sparse import SparseBatch
from isthmus.training import DenseRows, NearRows, make_rows, near_rows
from tests.problems import make_model
from tests.training.stubs import data


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(n, k=3):
    """Rows that hold their own number, and near rows: the k next ones."""
    near = (torch.arange(n)[:, None] + 1 + torch.arange(k)) % n
    return NearRows(DenseRows(torch.arange(n).float()[:, None]), near.int())


def batches(rows, size, seed=0):
    return [batch.long().squeeze(1) for batch in rows.batches(size, generator(seed))]


@pytest.mark.parametrize(("n", "size"), [(40, 8), (41, 8), (10, 100), (7, 1), (7, 3), (4, 2)])
def test_each_half_of_a_batch_has_the_other_as_neighbours(n, size):
    rows, seen = numbered(n), []
    for batch in batches(rows, size):
        first, second = batch.chunk(2)
        assert len(first) == len(second)
        assert len(batch) <= size + size % 2
        assert (((second - first) % n >= 1) & ((second - first) % n <= 3)).all()
        seen.append(first)
    drawn = torch.cat(seen)
    assert len(drawn) == len(drawn.unique()) == (n + 1) // 2, "each row is drawn once at most"


def test_each_row_and_each_neighbour_comes_in_the_long_run_equally_often():
    rows, counts = numbered(12), torch.zeros(12)
    steps = torch.zeros(4)
    for seed in range(400):
        for batch in batches(rows, 6, seed):
            first, second = batch.chunk(2)
            counts += torch.bincount(batch, minlength=12)
            steps += torch.bincount((second - first) % 12, minlength=4)
    assert steps[0] == 0
    # 400 passes of 12 rows; a count's variance is below that of a Poisson number
    assert (abs(counts - 400) < 5 * 400**0.5).all()
    assert (abs(steps[1:] - 800) < 5 * 800**0.5).all()


def test_the_order_is_the_generators():
    rows = numbered(30)
    one, two, other = (torch.cat(batches(rows, 8, seed)) for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_near_is_what_is_near_in_what_the_encoder_sees():
    z = data(50)
    model = make_model(z, Gaussian(), n_components=2)
    rows = near_rows(DenseRows(z), model, 4, generator())
    assert isinstance(rows, NearRows)
    np.testing.assert_array_equal(rows.near, nearest(z, 4))
    counts = torch.distributions.Poisson(3.0 * torch.rand(50, 6, generator=generator(1))).mean
    counts = (9 * counts).round()
    model = make_model(counts, Poisson(), n_components=2)
    rows = near_rows(DenseRows(counts), model, 4, generator())
    distance = torch.cdist(counts.log1p(), counts.log1p()).fill_diagonal_(torch.inf)
    expected = distance.sort(dim=1).values[:, :4]
    np.testing.assert_allclose(distance.gather(1, rows.near.long()), expected, atol=1e-5)


def test_sparse_rows_stay_sparse():
    counts = (data(40).abs().mul(1.2).int() * (data(40, seed=1) > 0.8)).numpy()
    counts = np.concatenate([counts, np.zeros((40, 30))], axis=1)
    matrix = as_matrix(csr_matrix(counts))
    model = make_model(torch.from_numpy(counts).float(), Poisson(), n_components=2)
    sparse = make_rows(matrix, np.arange(40), model)
    rows = near_rows(sparse, model, 3, generator())
    assert all(isinstance(batch, SparseBatch) for batch in rows.batches(8, generator()))


@pytest.mark.parametrize(("n", "k"), [(1, 5), (20, 0)])
def test_rows_stay_as_they_are_where_there_is_nothing_to_meet(n, k):
    z = data(n)
    rows = DenseRows(z)
    assert near_rows(rows, make_model(data(20), Gaussian()), k, generator()) is rows
