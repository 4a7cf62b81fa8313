"""Rubin's rules against published numbers, closed forms and the t distribution."""

import numpy as np
import pytest
from scipy import stats

from isthmus import InvalidDataError, InvalidParameterError
from isthmus.analysis import pool


def test_rubins_rules_by_hand():
    # q = 1, 2, 3 and u = ½: B = 1, T = ½ + 4/3, λ = (4/3) / (11/6) = 8/11, ν = 2 / λ²
    pooled = pool([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    assert pooled.estimate == 2
    assert pooled.within == 0.5
    assert pooled.between == 1
    assert pooled.variance == pytest.approx(11 / 6)
    assert pooled.missing_information == pytest.approx(8 / 11)
    assert pooled.degrees_of_freedom == pytest.approx(2 * (11 / 8) ** 2)


def test_rubins_degrees_are_his_formula_in_relative_increase():
    rng = np.random.default_rng(0)
    q, u = rng.normal(size=(7, 4)), rng.uniform(0.5, 2, (7, 4))
    increase = (1 + 1 / 7) * q.var(0, ddof=1) / u.mean(0)
    expected = 6 * (1 + 1 / increase) ** 2
    np.testing.assert_allclose(pool(q, u).degrees_of_freedom, expected)


def test_barnard_and_rubin_never_exceed_the_complete_data_nor_rubin():
    rng = np.random.default_rng(1)
    q, u = rng.normal(size=(5, 50)) * 0.3, np.ones((5, 50))
    large = pool(q, u).degrees_of_freedom
    small = pool(q, u, complete_degrees=20).degrees_of_freedom
    assert (small < 20).all()
    assert (small < large).all()
    part = pool(q, u).missing_information
    observed = 21 / 23 * 20 * (1 - part)
    np.testing.assert_allclose(small, large * observed / (large + observed))


def test_many_complete_degrees_are_rubins():
    q, u = [1.0, 2.0, 4.0], [1.0, 1.0, 1.0]
    many = pool(q, u, complete_degrees=1e12).degrees_of_freedom
    assert many == pytest.approx(pool(q, u).degrees_of_freedom, rel=1e-9)
    assert pool(q, u, complete_degrees=np.inf).degrees_of_freedom == pool(q, u).degrees_of_freedom


def test_copies_that_agree_leave_the_normal_interval():
    pooled = pool([3.0, 3.0], [4.0, 4.0])
    assert pooled.degrees_of_freedom == np.inf
    assert pooled.interval(0.9) == pytest.approx(stats.norm(3, 2).interval(0.9))
    assert pool([3.0, 3.0], [4.0, 4.0], complete_degrees=9).degrees_of_freedom < 9


def test_nothing_uncertain_is_no_error():
    low, high = pool([3.0, 3.0], [0.0, 0.0]).interval()
    assert low == high == 3


def test_interval_covers_the_mean_as_often_as_it_says():
    # a mean of n cells, of which half are missing and drawn anew from the posterior predictive
    rng = np.random.default_rng(2)
    n, seen, m, hits = 40, 20, 10, 0
    for _ in range(1000):
        x = rng.normal(size=seen)
        sigma2 = (seen - 1) * x.var(ddof=1) / rng.chisquare(seen - 1, m)
        mu = x.mean() + rng.normal(size=m) * np.sqrt(sigma2 / seen)
        drawn = mu[:, None] + rng.normal(size=(m, n - seen)) * np.sqrt(sigma2)[:, None]
        copies = np.concatenate([np.tile(x, (m, 1)), drawn], axis=1)
        pooled = pool(copies.mean(1), copies.var(1, ddof=1) / n, complete_degrees=n - 1)
        low, high = pooled.interval(0.9)
        hits += low <= 0 <= high
    # five standard errors of a share of 0.9 among 1,000 are 0.047
    assert hits / 1000 == pytest.approx(0.9, abs=0.047)


@pytest.mark.parametrize(
    ("estimates", "variances"),
    [
        (1.0, 1.0),
        ([1.0], [1.0]),
        ([1.0, 2.0], [1.0]),
        ([1.0, np.nan], [1.0, 1.0]),
        ([1.0, 2.0], [1.0, -1.0]),
        ([1.0, 2.0], [1.0, np.inf]),
    ],
)
def test_refuses_what_can_not_be_pooled(estimates, variances):
    with pytest.raises(InvalidDataError):
        pool(estimates, variances)


def test_refuses_odd_parameters():
    with pytest.raises(InvalidParameterError):
        pool([1.0, 2.0], [1.0, 1.0], complete_degrees=0)
    with pytest.raises(InvalidParameterError):
        pool([1.0, 2.0], [1.0, 1.0]).interval(1.0)
