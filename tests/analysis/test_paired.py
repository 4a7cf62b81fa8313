"""Paired intervals: against scipy, against the exact truth of small tables, and by coverage."""

import numpy as np
import pytest
from scipy.stats import multivariate_t, norm, t

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.analysis import accuracy_differences, r2_differences
from isthmus.analysis.paired import critical_value


def test_one_difference_is_bonett_and_prices():
    right, base = np.zeros(100, bool), np.zeros(100, bool)
    right[:20], base[8:15] = True, True  # 13 rows only the first, none only the second
    found = accuracy_differences(right, base)
    b, c = 14 / 102, 1 / 102
    half = t.ppf(0.975, 99) * np.sqrt((b + c - (b - c) ** 2) / 102)
    assert found.estimate == pytest.approx([0.13])
    assert found.low == pytest.approx([b - c - half], abs=2e-3)
    assert found.high == pytest.approx([b - c + half], abs=2e-3)


def test_equal_predictors_are_not_proved_equal_by_few_rows():
    hits = np.ones(10, bool)
    found = accuracy_differences(hits, hits)
    assert found.estimate[0] == 0
    assert found.low[0] < -0.2
    assert found.high[0] > 0.2


def test_one_row():
    found = accuracy_differences([True], [False])
    assert found.estimate[0] == 1
    assert (found.low[0], found.high[0]) == (-1, 1)


@pytest.mark.parametrize("n", [4, 1000])
def test_the_critical_value_of_one_is_students(n, rng):
    assert critical_value(rng.normal(size=(1, n)), 0.95) == pytest.approx(
        t.ppf(0.975, n - 1), rel=0.03
    )


def test_independent_differences_have_sidaks_value(rng):
    each = np.linalg.qr(rng.normal(size=(5000, 6)) - 0.0)[0].T
    sidak = norm.ppf(0.5 + 0.95 ** (1 / 6) / 2)
    assert critical_value(each, 0.95) == pytest.approx(sidak, rel=0.02)


def test_equal_differences_cost_nothing(rng):
    each = np.repeat(rng.normal(size=(1, 500)), 6, axis=0)
    assert critical_value(each, 0.95) == pytest.approx(t.ppf(0.975, 499), rel=0.02)


def test_correlated_differences_have_scipys_value(rng):
    root = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.3, 0.3, 0.9]])
    each = root @ rng.normal(size=(3, 12))
    q = critical_value(each, 0.9)
    law = multivariate_t(shape=np.corrcoef(each), df=11, seed=0)
    assert law.cdf([q] * 3, lower_limit=[-q] * 3) == pytest.approx(0.9, abs=0.01)


def test_all_intervals_hold_together_as_often_as_they_say(rng):
    """Three predictors with known accuracies on rows of shared difficulty."""
    n, n_trials, level = 200, 300, 0.9
    truth = np.array([0.05, 0.0, -0.1])
    held = 0
    for _ in range(n_trials):
        difficulty = rng.uniform(size=n)
        base = difficulty < 0.75
        hits = np.array(
            [
                (difficulty if i % 2 else rng.uniform(size=n)) < 0.75 + d
                for i, d in enumerate(truth)
            ]
        )
        found = accuracy_differences(hits, base, level)
        held += bool(((found.low <= truth) & (truth <= found.high)).all())
    # five standard errors below what is promised
    assert held / n_trials > level - 5 * np.sqrt(level * (1 - level) / n_trials)


def test_r2_is_scikit_learns_and_its_error_is_the_bootstraps(rng):
    from sklearn.metrics import r2_score

    y = rng.normal(size=400)
    base, other = y + rng.normal(size=400), y + 0.7 * rng.normal(size=400)
    found = r2_differences(other, base, y)
    assert found.estimate[0] == pytest.approx(r2_score(y, other) - r2_score(y, base))
    draws = []
    for _ in range(800):
        rows = rng.integers(0, 400, 400)
        draws.append(r2_score(y[rows], other[rows]) - r2_score(y[rows], base[rows]))
    error = (found.high[0] - found.low[0]) / 2 / found.critical
    assert error == pytest.approx(np.std(draws), rel=0.15)


def test_wrong_input():
    with pytest.raises(InvalidDataError, match=r"\(1, 3\) beside \(2,\)"):
        accuracy_differences([True, False, True], [True, False])
    with pytest.raises(InvalidDataError, match=r"all 2\.0"):
        r2_differences([1.0, 2.0], [1.0, 2.0], [2.0, 2.0])
    with pytest.raises(InvalidParameterError, match=r"level.*1\.5"):
        accuracy_differences([True], [True], 1.5)
