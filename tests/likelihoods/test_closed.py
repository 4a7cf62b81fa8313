"""Counts by their non-zeros: the same nll and slopes as cell by cell, in float64 and float32."""

import numpy as np
import pytest
import scipy.stats as st
import torch

from isthmus import Multinomial, NegativeBinomial, Poisson
from isthmus.likelihoods import _closed
from isthmus.sparse import SparseBatch
from tests.likelihoods.cases import dispersion, draw_eta, ours
from tests.likelihoods.test_log_prob import far_eta

MEMBERS = [
    Poisson(),
    Poisson(size="library"),
    NegativeBinomial(),
    NegativeBinomial("shared"),
    NegativeBinomial("row"),
    NegativeBinomial(size="library"),
    NegativeBinomial("row", size="library"),
    Multinomial(),
]
EVERY = pytest.mark.parametrize("member", MEMBERS, ids=repr)
N, D = 6, 4


def few(seed=0, n=N, d=D, chance=0.2):
    rng = np.random.default_rng(seed)
    x = rng.negative_binomial(0.7, 0.02, (n, d)) * (rng.random((n, d)) < chance)
    x[0] = 0
    x[1, :2] = 1, 3_000
    return torch.from_numpy(x.astype(float))


def cases(member):
    for seed in range(3):
        eta = draw_eta(member, N, D, seed)
        yield few(seed), eta
        yield few(seed), tuple(part[:1] if len(part) == N else part for part in eta)
        if getattr(member, "size", None) is None:
            yield few(seed), far_eta(member, seed)
    yield torch.zeros(N, D).double(), eta


@EVERY
def test_nll_and_slopes_are_those_of_the_cells(member):
    for x, eta in cases(member):
        leaves = [part.clone().requires_grad_() for part in eta]
        cells = -member.log_prob(x, tuple(leaves)).sum(1)
        inputs = [
            p for p, q in zip(leaves, member.traits.parameters, strict=True) if q.varies != "fixed"
        ]
        wanted = torch.autograd.grad(0.3 * cells.sum(), inputs)
        nll, slopes = member.slope(SparseBatch.of(x), eta, 0.3)
        torch.testing.assert_close(nll, cells.detach(), rtol=1e-10, atol=1e-10)
        assert [s.shape for s in slopes] == [part.shape for part in eta]
        for slope, want in zip(slopes, wanted, strict=False):
            torch.testing.assert_close(slope, want, rtol=1e-9, atol=1e-9)


@EVERY
def test_gradient_of_the_sparse_nll_is_that_of_finite_differences(member):
    x, eta = SparseBatch.of(few(1)), draw_eta(member, N, D, seed=1)
    free = [p.varies != "fixed" for p in member.traits.parameters]
    inputs = tuple(part.requires_grad_(is_free) for part, is_free in zip(eta, free, strict=True))
    assert torch.autograd.gradcheck(lambda *eta: member.nll(x, eta), inputs)


@EVERY
def test_dense_rows_with_few_numbers_are_read_by_them(member):
    x, eta = few(n=40, chance=0.1), draw_eta(member, 40, D)
    assert isinstance(_closed.mostly_zeros(x, eta), SparseBatch)
    assert _closed.mostly_zeros(1 + x, eta) is None
    for rows in (x, 1 + x):
        torch.testing.assert_close(member.nll(rows, eta), -member.log_prob(rows, eta).sum(1))
        nll, _ = member.slope(rows, eta)
        torch.testing.assert_close(nll, -member.log_prob(rows, eta).sum(1))


@EVERY
def test_float32_is_as_good_as_an_eta_in_float32(member):
    """As `test_log_prob` asks of cells: |error| ≤ 16 ε (|log p| + Σ |η ∂log p/∂η| + 1) per row."""
    for x, eta in cases(member):
        free = sum(p.varies != "fixed" for p in member.traits.parameters)
        eta = tuple(part.float() for part in eta)
        narrow = (*(part.expand(N, D).clone() for part in eta[:free]), *eta[free:])
        wide = tuple(part.double().requires_grad_() for part in narrow)
        parts = ours(member, x, wide)
        exact = parts if parts.dim() == 1 else parts.sum(1)
        bound = 1 + (parts.detach().abs() if parts.dim() == 1 else parts.detach().abs().sum(1))
        for part, slope in zip(
            wide, torch.autograd.grad(exact.sum(), wide, allow_unused=True), strict=True
        ):
            if slope is not None:
                bound += (slope.abs() * part.detach().abs().clamp_min(1)).sum(-1)
        got = member.nll(SparseBatch.of(x.float()), narrow)
        assert got.dtype == torch.float32
        assert ((got + exact).abs() / bound).max() <= 16 * torch.finfo(torch.float32).eps


def test_blocks_of_rows_are_the_rows(monkeypatch):
    for member in MEMBERS:
        x, eta = SparseBatch.of(few()), draw_eta(member, N, D)
        whole = member.slope(x, eta)
        monkeypatch.setattr(_closed, "BLOCK_CELLS", 2 * D)
        torch.testing.assert_close(member.slope(x, eta), whole)
        monkeypatch.undo()


def test_log_prob_with_sizes_is_scipys():
    x = few(n=8, chance=0.9)
    scaled = np.maximum(x.sum(1, keepdim=True).numpy(), 1e-30) / np.exp(2.0)
    size = torch.tensor([2.0]).double()
    log_mean, log_dispersion = draw_eta(NegativeBinomial(), 8, D)
    mean, theta = scaled * log_mean.exp().numpy(), dispersion(log_dispersion.numpy())
    wanted = st.poisson.logpmf(x, mean)
    got = Poisson(size="library").log_prob(x, (log_mean, size))
    torch.testing.assert_close(got, torch.from_numpy(wanted), rtol=1e-9, atol=1e-9)
    wanted = st.nbinom.logpmf(x[1:], theta, theta / (theta + mean[1:]))
    got = NegativeBinomial(size="library").log_prob(x, (log_mean, log_dispersion, size))
    torch.testing.assert_close(got[1:], torch.from_numpy(wanted), rtol=1e-9, atol=1e-9)
    assert (got[0].abs() < 1e-20).all()
