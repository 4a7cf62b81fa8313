"""Size factors: the best constant given the sizes, and what stands for a row without any."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from isthmus import InvalidParameterError, NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from tests.likelihoods.cases import generator

MEMBERS = [
    Poisson(size="library"),
    NegativeBinomial(size="library"),
    NegativeBinomial("shared", size="library"),
    ZeroInflatedNegativeBinomial(size="library"),
]
EVERY = pytest.mark.parametrize("member", MEMBERS, ids=repr)


def cells(n=800, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(3, 0.8, (n, 1)) * np.array([0.2, 0.5, 0.1, 0.9])
    x = rng.poisson(rng.gamma(1.5, mean / 1.5)) * (rng.random((n, 4)) < 0.8)
    x[0] = 0
    return torch.from_numpy(x.astype(float))


def cost(member, x, eta):
    return -member.log_prob(x, eta).sum(1).mean()


@EVERY
def test_start_is_scipys_maximum_given_the_sizes(member):
    x = cells()
    ours = member.start(x)
    *free, size = ours
    lengths = [len(part) for part in free]

    def loss(flat):
        point = torch.from_numpy(flat).requires_grad_()
        value = cost(member, x, (*point.split(lengths), size))
        value.backward()
        return float(value.detach()), point.grad.numpy()

    truths = [
        minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 3000}).fun
        for begin in (np.ones(sum(lengths)), np.concatenate(free) + 0.3)
    ]
    assert float(cost(member, x, ours)) == pytest.approx(min(truths), abs=2e-6)


@EVERY
def test_sizes_explain_what_no_constant_could(member):
    x, plain = cells(), type(member)()
    assert cost(member, x, member.start(x)) < cost(plain, x, plain.start(x))


@EVERY
def test_a_code_alone_is_of_a_row_of_typical_size(member):
    x = cells()
    eta = member.start(x)
    totals = x.sum(1)
    typical = totals[totals > 0].log().mean()
    torch.testing.assert_close(eta[-1], typical.reshape(1))
    many = tuple(part.expand(20_000, -1) if len(part) == 4 else part for part in eta)
    draws = member.sample(many, generator())
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - member.mean(eta)).abs() < 5 * error).all()


@EVERY
def test_all_empty_rows_have_a_finite_start(member):
    eta = member.start(torch.zeros(5, 3).double())
    assert all(torch.isfinite(part).all() for part in eta)


def test_another_size_is_refused_by_name():
    for kind in (Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial):
        with pytest.raises(InvalidParameterError, match="size must be None or 'library'"):
            kind(size="total")
