"""The penalty on codes whose neighbours are not those of the rows, and the temperature."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from isthmus import InvalidParameterError
from isthmus.binary import Faithful
from isthmus.binary.faithful import temperature
from tests.binary.cases import random_codes, random_rows


def truth(x, h):
    """With scipy: per row the least KL over one common α, and the perplexity of p."""
    n = len(x)
    distances = ((x[:, None] - x[None]) ** 2).sum(2)
    np.fill_diagonal(distances, np.inf)
    signs = 2 * h - 1
    alike = signs @ signs.T / h.shape[1]
    alike[np.eye(n, dtype=bool)] = -np.inf
    tau = temperature(torch.from_numpy(-distances), n)
    p = softmax(-distances / tau, 1)

    def rows(alpha):
        scaled = np.where(np.isfinite(alike), alpha * alike, -np.inf)
        gap = np.where(p > 0, np.log(np.maximum(p, 1e-300)) - log_softmax(scaled, 1), 0)
        return (p * gap).sum(1)

    best = minimize_scalar(lambda log: rows(np.exp(log)).sum(), bounds=(-7, 9), method="bounded")
    return rows(np.exp(best.x)), p


def test_the_penalty_is_the_divergence_that_scipy_finds():
    x, h = random_rows(40, 5), random_codes(40, 9)
    expected, _ = truth(x.numpy(), h.numpy())
    found = Faithful(2.0)(x, h, None)
    np.testing.assert_allclose(found.numpy(), 2 * expected, rtol=1e-4)


def test_its_gradient_is_that_of_the_formula():
    """α is the best, so that the slope through it is zero in sum."""
    x, h = random_rows(20, 5), random_codes(20, 8).mul(0.8).add(0.1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda h: Faithful(1.0)(x, h, None).sum(), (h,), atol=1e-3, rtol=1e-3, eps=1e-4
    )


def test_codes_of_neighbours_cost_less_than_shuffled_ones():
    x = random_rows(200, 4)
    h = (x @ random_rows(4, 32, seed=5) > 0).double()
    shuffled = h[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    penalty = Faithful(1.0)
    assert penalty(x, h, None).mean() < 0.7 * penalty(x, shuffled, None).mean()


def test_directions_leave_out_lengths():
    x, h = random_rows(30, 5), random_codes(30, 9)
    longer = x * torch.linspace(1, 9, 30, dtype=torch.float64).unsqueeze(1)
    penalty = Faithful(1.0, directions=True)
    torch.testing.assert_close(penalty(longer, h, None), penalty(x, h, None))


@pytest.mark.parametrize("n", [2048, 300])
def test_the_temperature_gives_the_perplexity(n):
    x = random_rows(n, 3)
    scores = -torch.cdist(x[:50], x).square()
    scores[torch.arange(50), torch.arange(50)] = -torch.inf
    share = softmax(scores.numpy() / temperature(scores, n), 1)
    entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(1).mean()
    assert np.exp(entropy) == pytest.approx(max(2, 50 * n / 2048), rel=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_and_equal_rows_have_a_finite_penalty(n):
    x, h = torch.ones(n, 3), torch.ones(n, 8)
    assert torch.isfinite(Faithful(1.0)(x, h, None)).all()
    assert temperature(torch.zeros(n, n), n) == 1.0


def test_a_wrong_weight_is_refused():
    with pytest.raises(InvalidParameterError, match="Faithful's weight"):
        Faithful(-1.0)
