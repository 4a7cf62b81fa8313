"""Sparse rows: the same numbers as dense ones, and the same training."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from isthmus import Autoencoder, Masking, Multinomial, NegativeBinomial, Poisson
from isthmus.data import as_matrix
from isthmus.sparse import SparseBatch, dense, linear
from isthmus.training import make_rows
from isthmus.training.rows import MatrixRows, SparseRows

RNG = np.random.default_rng(0)
BATCH = SparseRows.batch
COUNTS = sp.csr_array(RNG.poisson(1.5, (300, 90)) * (RNG.random((300, 90)) < 0.05))


def batch() -> tuple[SparseBatch, torch.Tensor]:
    x = torch.from_numpy(COUNTS[:9].toarray()).double()
    x[2] = 0
    return SparseBatch.of(x), x


def test_a_batch_is_its_dense_rows():
    few, x = batch()
    assert torch.equal(few.dense(), x)
    assert torch.equal(few.map(torch.log1p).dense(), x.log1p())
    assert few.shape == x.shape
    assert torch.equal(few.sum_rows(few.values), x.sum(1))


@pytest.mark.parametrize("by_column", [False, True])
def test_a_sparse_layer_is_the_dense_layer(by_column):
    few, x = batch()
    weight = torch.randn(4, 90, generator=torch.Generator().manual_seed(0)).double()
    weight = (weight.T.contiguous().T if by_column else weight).requires_grad_()
    bias = torch.ones(4).double().requires_grad_()
    outs = [linear(rows, weight, bias) for rows in (few, x)]
    torch.testing.assert_close(*outs)
    one, two = (torch.autograd.grad(out.square().sum(), (weight, bias)) for out in outs)
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("member", [Poisson(), NegativeBinomial(size="library"), Multinomial()])
@pytest.mark.parametrize("encoder", ["deterministic", "gaussian"])
def test_training_is_that_of_dense_batches(member, encoder, monkeypatch):
    def fit() -> Autoencoder:
        model = Autoencoder(
            3, hidden=(8,), likelihood=member, encoder=encoder, max_epochs=4, batch_size=32,
            precision="float32", random_state=0,
        )  # fmt: skip
        return model.fit(COUNTS)

    sparse = fit()
    monkeypatch.setattr(SparseRows, "batch", lambda self, index: dense(BATCH(self, index)))
    other = fit()
    for one, two in zip(sparse.model_.parameters(), other.model_.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=2e-6)
    nlls = [[epoch.validation_nll for epoch in m.history_] for m in (sparse, other)]
    np.testing.assert_allclose(*nlls, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("kinds", ["sss", "dsds", "ssd"])
def test_partial_fit_goes_on_whatever_the_rows_are(kinds, optimizer):
    """The layout of the first weight may change between calls; momentum goes with it."""

    def learn(kinds: str) -> Autoencoder:
        model = Autoencoder(
            3, hidden=(8,), likelihood=NegativeBinomial(), batch_size=32, optimizer=optimizer,
            learning_rate=1e-2, precision="float32", random_state=0,
        )  # fmt: skip
        for i, kind in enumerate(kinds):
            rows = COUNTS[100 * (i % 3) : 100 * (i % 3 + 1)]
            model.partial_fit(rows.toarray() if kind == "d" else rows)
        return model

    one, other = learn(kinds), learn("d" * len(kinds))
    weight = one.model_.encoder_network.linear_layers[0].weight
    assert weight.stride() == (1, 8)
    for mine, plain in zip(one.model_.parameters(), other.model_.parameters(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-5)


def test_masking_leaves_zeros_alone_and_hits_at_its_rate():
    few, _ = batch()
    source = torch.Generator().manual_seed(0)
    hits = torch.stack([Masking(0.4).of_numbers(few, source).values == 0 for _ in range(400)])
    assert abs(float(hits.double().mean()) - 0.4) < 5 * (0.24 / hits.numel()) ** 0.5
    kept = Masking(0.4, rescale=False).of_numbers(few, source).values
    assert torch.equal(kept[kept > 0], few.values[kept > 0])


def test_real_numbers_are_still_made_dense():
    model = Autoencoder(2, hidden=(3,), likelihood="gaussian", max_epochs=1).fit(COUNTS * 0.5)
    rows = make_rows(as_matrix(COUNTS), np.arange(5), model.model_)
    assert isinstance(rows, MatrixRows)
