"""Flipping bits: exact where the picture is exact, never worse, and near the best of all codes."""

import numpy as np
import pytest
import torch

from isthmus import InvalidParameterError
from isthmus.binary import EFFORTS, curvature_of, energy, read_effort, refine
from isthmus.binary.flips import gradient
from isthmus.sparse import SparseBatch
from tests.binary.cases import (
    BENT,
    LINEAR,
    WORDS,
    all_codes,
    documents,
    random_codes,
    random_rows,
)

N = 200


def rows_for(model, n=N):
    d = model.shape.n_features
    return documents(n, d) if model is WORDS else random_rows(n, d)


def odds_for(model, n=N, seed=9):
    return random_rows(n, model.shape.n_components, seed)


def flipped(h, *bits):
    h = h.clone()
    for j in bits:
        h[:, j] = 1 - h[:, j]
    return h


def test_for_a_linear_decoder_the_picture_is_exact():
    """Δ_j = d_j g_j + ½ H_jj is the difference that brute force finds, also for two flips."""
    z, h, k = rows_for(LINEAR), random_codes(N, 10), 10
    nll, slope = gradient(LINEAR, z, h)
    curvature = curvature_of(LINEAR, z, h)
    none = torch.zeros_like(h)
    turn = 1 - 2 * h
    change = turn * slope + 0.5 * curvature.diagonal()
    brute = torch.stack([energy(LINEAR, z, flipped(h, j), none) - nll for j in range(k)], 1)
    torch.testing.assert_close(change, brute, rtol=1e-9, atol=1e-9)
    both = change[:, 3] + change[:, 7] + turn[:, 3] * turn[:, 7] * curvature[3, 7]
    torch.testing.assert_close(both, energy(LINEAR, z, flipped(h, 3, 7), none) - nll)


@pytest.mark.parametrize("model", [LINEAR, BENT, WORDS], ids=["linear", "bent", "words"])
def test_the_gradient_is_that_of_automatic_differentiation(model):
    z, h = rows_for(model), random_codes(N, 10).requires_grad_()
    (expected,) = torch.autograd.grad(model.nll(z, h).sum(), h)
    torch.testing.assert_close(gradient(model, z, h.detach())[1], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("effort", ["fast", "best"])
@pytest.mark.parametrize("model", [LINEAR, BENT, WORDS], ids=["linear", "bent", "words"])
def test_a_refined_code_is_never_worse(model, effort):
    z, h, odds = rows_for(model), random_codes(N, 10), odds_for(model)
    found = refine(model, z, h, odds, curvature_of(model, z, h), EFFORTS[effort])
    before, after = energy(model, z, h, odds), energy(model, z, found, odds)
    assert ((found == 0) | (found == 1)).all()
    assert (after <= before).all()
    assert (after < before).double().mean() > 0.9


def test_with_a_wrong_picture_a_refined_code_is_still_not_worse():
    z, h, odds = rows_for(BENT), random_codes(N, 10), odds_for(BENT)
    wrong = -100 * torch.eye(10, dtype=torch.float64)
    found = refine(BENT, z, h, odds, wrong, EFFORTS["best"])
    assert (energy(BENT, z, found, odds) <= energy(BENT, z, h, odds)).all()


def test_single_precision_keeps_the_promise_in_single_precision():
    model = BENT.float()
    try:
        z, h = rows_for(BENT).float(), random_codes(N, 10).float()
        odds = torch.zeros_like(h)
        found = refine(model, z, h, odds, curvature_of(model, z, h), EFFORTS["best"])
        assert (energy(model, z, found, odds) <= energy(model, z, h, odds)).all()
        assert (found != h).any(1).double().mean() > 0.9
    finally:
        model.double()


@pytest.mark.parametrize("model", [LINEAR, BENT, WORDS], ids=["linear", "bent", "words"])
def test_among_all_codes_of_ten_bits_the_one_found_is_one_of_the_best(model):
    """Exhaustive search over 2¹⁰ codes; for the linear decoder also: no single flip helps."""
    z, h, odds = rows_for(model, 50), random_codes(50, 10), odds_for(model, 50)
    found = refine(model, z, h, odds, curvature_of(model, z, h), EFFORTS["best"])
    every = all_codes(10)
    all_energies = torch.stack(
        [energy(model, z[i].expand(1024, -1), every, odds[i].expand(1024, -1)) for i in range(50)]
    )
    rank = (all_energies < energy(model, z, found, odds).unsqueeze(1) - 1e-9).sum(1).double()
    # a random code has rank 512 on average
    assert rank.mean() < (16 if model is LINEAR else 1024 / 20)
    if model is LINEAR:
        assert (rank == 0).double().mean() > 0.25
        here = energy(model, z, found, odds)
        for j in range(10):
            assert (energy(model, z, flipped(found, j), odds) >= here - 1e-6 * here.abs()).all()


def test_the_encoders_opinion_decides_where_the_decoder_has_none():
    z, h = rows_for(LINEAR), random_codes(N, 10)
    odds = 1e6 * odds_for(LINEAR)
    effort = EFFORTS["best"]
    found = refine(LINEAR, z, h, odds, curvature_of(LINEAR, z, h), effort)
    assert ((found == 1) == (odds > 0)).double().mean() > 0.999


def test_a_row_is_refined_alike_in_any_company():
    z, h, odds = rows_for(BENT), random_codes(N, 10), odds_for(BENT)
    curvature = curvature_of(BENT, z, h)
    together = refine(BENT, z, h, odds, curvature, EFFORTS["best"])
    for i in (0, 17, N - 1):
        one = slice(i, i + 1)
        alone = refine(BENT, z[one], h[one], odds[one], curvature, EFFORTS["best"])
        assert torch.equal(alone[0], together[i])


def test_sparse_documents_are_refined_as_dense_ones():
    z, h, odds = rows_for(WORDS), random_codes(N, 10), odds_for(WORDS)
    curvature = curvature_of(WORDS, z, h)
    dense = refine(WORDS, z, h, odds, curvature, EFFORTS["best"])
    sparse = refine(WORDS, SparseBatch.of(z), h, odds, curvature, EFFORTS["best"])
    assert (dense == sparse).double().mean() > 0.999


def test_no_effort_is_no_flip():
    z, h, odds = rows_for(BENT), random_codes(N, 10), odds_for(BENT)
    assert refine(BENT, z, h, odds, torch.empty(0), EFFORTS["none"]) is h


@pytest.mark.parametrize("wrong", ["slow", None, 3])
def test_an_unknown_effort_is_refused(wrong):
    with pytest.raises(InvalidParameterError, match="'none', 'fast', 'best'"):
        read_effort("refine", wrong)


def test_chosen_rows_of_a_sparse_batch():
    x = documents(30, 7)
    chosen = torch.tensor([3, 3, 29, 0])
    taken = SparseBatch.of(x).take(chosen)
    np.testing.assert_array_equal(taken.dense().numpy(), x[chosen].numpy())
