"""Documents whose words have weights in place of counts."""

import numpy as np
import pytest
import torch
from scipy.special import gammaln, log_softmax

from isthmus import InvalidParameterError, Multinomial, SupportError
from isthmus.sparse import SparseBatch
from tests.likelihoods.cases import generator

WEIGHTED = Multinomial(weighted=True)


def words(n=30, d=12):
    x = torch.rand(n, d, generator=generator(3)).double()
    x[x < 0.6] = 0
    x[0] = 0  # an empty document
    return x, torch.randn(n, d, generator=generator(4)).double()


def test_the_sum_is_the_multinomials_with_gamma_functions():
    x, eta = words()
    length = x.sum(1).numpy()
    terms = x.numpy() * log_softmax(eta.numpy(), 1) - gammaln(x.numpy() + 1)
    expected = gammaln(length + 1) + terms.sum(1)
    np.testing.assert_allclose(WEIGHTED.log_prob(x, (eta,)).sum(1).numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(-WEIGHTED.nll(x, (eta,)).numpy(), expected, rtol=1e-10)
    sparse = WEIGHTED.nll(SparseBatch.of(x), (eta,))
    np.testing.assert_allclose(-sparse.numpy(), expected, rtol=1e-10)


def test_counts_have_the_same_probability_as_without_weights():
    x, eta = words()
    counts = (5 * x).floor()
    torch.testing.assert_close(
        WEIGHTED.log_prob(counts, (eta,)), Multinomial().log_prob(counts, (eta,))
    )


@pytest.mark.parametrize("sparse", [False, True])
def test_the_slope_is_that_of_automatic_differentiation(sparse):
    x, eta = words()
    eta = eta.requires_grad_()
    (expected,) = torch.autograd.grad(-0.7 * WEIGHTED.log_prob(x, (eta,)).sum(), eta)
    given = SparseBatch.of(x) if sparse else x
    _, (found,) = WEIGHTED.slope(given, (eta.detach(),), 0.7)
    torch.testing.assert_close(found, expected)


def test_the_best_constant_is_the_share_of_the_weights():
    x, _ = words()
    (eta,) = WEIGHTED.start(x)
    share = eta.log_softmax(0).requires_grad_()
    (slope,) = torch.autograd.grad(WEIGHTED.log_prob(x, (share.expand(30, -1),)).sum(), share)
    torch.testing.assert_close(slope, torch.zeros(12, dtype=torch.float64), atol=0.5, rtol=0)


def test_weights_below_zero_are_refused():
    with pytest.raises(SupportError, match="weights of 0 or more"):
        WEIGHTED.check(np.array([[0.5, -0.1]]))
    with pytest.raises(InvalidParameterError, match="weighted"):
        Multinomial(weighted="yes")
