"""p-values: exactly valid whatever the scores are; reasons find the columns that were changed."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import InvalidDataError, InvalidParameterError
from isthmus.analysis import flags, p_values, reasons

SCORES = st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=20)


@given(SCORES, SCORES)
def test_is_the_rule_itself(scores, reference):
    expected = [(1 + sum(r <= s for r in reference)) / (1 + len(reference)) for s in scores]
    np.testing.assert_allclose(p_values(scores, reference), expected)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6))
def test_exactly_valid_for_every_set_of_values_with_ties(values):
    # whichever of the values is the new one: P(p ≤ α) ≤ α at every α that p can take
    n = len(values)
    p = np.array([p_values([o[0]], o[1:])[0] for o in permutations(values)])
    for level in np.arange(1, n + 1) / n:
        assert (p <= level + 1e-12).mean() <= level + 1e-12


def test_uniform_where_nothing_ties():
    p = np.array([p_values([o[0]], o[1:])[0] for o in permutations(range(6))])
    for level in np.arange(1, 7) / 6:
        assert (p <= level + 1e-12).mean() == pytest.approx(level)


def test_columns_are_ranked_by_themselves():
    rng = np.random.default_rng(0)
    s, r = rng.normal(size=(5, 3)), rng.normal(size=(40, 3))
    together = p_values(s, r)
    for j in range(3):
        np.testing.assert_array_equal(together[:, j], p_values(s[:, j], r[:, j]))


def test_flags_at_most_the_level_of_ordinary_rows():
    rng = np.random.default_rng(1)
    p = p_values(rng.normal(size=20_000), rng.normal(size=20_000))
    # five standard errors, of the rows and of the reference
    assert flags(p, 0.05).mean() == pytest.approx(0.05, abs=5 * np.sqrt(2 * 0.05 * 0.95 / 20_000))
    assert not flags(p_values([-np.inf], np.arange(50.0)), 0.01).any()


def test_reasons_find_the_changed_columns_whatever_their_units():
    rng = np.random.default_rng(2)
    units = 10.0 ** np.arange(8)
    reference = rng.normal(size=(500, 8)) * units
    row = np.zeros((1, 8))
    row[0, 2], row[0, 6] = -20 * units[2], -10 * units[6]
    assert reasons(row, reference, 2).tolist() == [[2, 6]]


def test_a_column_that_always_varies_is_no_reason():
    rng = np.random.default_rng(3)
    reference = rng.normal(size=(500, 2)) * [100.0, 0.1]
    row = np.array([[-120.0, -1.0]])  # the first loses more nats, the second is never so low
    assert reasons(row, reference, 1).tolist() == [[1]]


def test_reasons_of_constant_and_infinite_columns():
    reference = np.zeros((10, 3))
    reference[0, 1] = -np.inf
    row = np.array([[0.0, 0.0, -np.inf]])
    assert reasons(row, reference, 3)[0, 0] == 2
    assert reasons(row, reference, 9).shape == (1, 3)


def test_refuses_what_has_no_rank():
    with pytest.raises(InvalidDataError, match="NaN"):
        p_values([np.nan], [1.0])
    with pytest.raises(InvalidDataError, match="no reference"):
        p_values([1.0], [])
    with pytest.raises(InvalidDataError, match="shape"):
        p_values([[1.0, 2.0]], [[1.0]])
    with pytest.raises(InvalidDataError, match="shape"):
        reasons([1.0], [1.0])
    with pytest.raises(InvalidParameterError):
        flags([0.5], 0)
