"""Which rows are held out: a hash of their number, the same however they are cut."""

import numpy as np
import pytest
import scipy.stats as st

from isthmus.data import count_held_out, is_held_out


def test_held_out_rows_do_not_depend_on_the_blocks():
    whole = is_held_out(0, 10_000, 0.1, 3)
    parts = [is_held_out(first, 77, 0.1, 3) for first in range(0, 10_000, 77)]
    np.testing.assert_array_equal(np.concatenate(parts)[:10_000], whole)
    assert count_held_out(10_000, 0.1, 3) == whole.sum()
    assert count_held_out(3 * 2**20 + 5, 0.5, 3) == is_held_out(0, 3 * 2**20 + 5, 0.5, 3).sum()


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_held_out_rows_look_drawn_at_random(seed):
    chosen = is_held_out(0, 100_000, 0.2, seed)
    assert st.binomtest(int(chosen.sum()), 100_000, 0.2).pvalue > 1e-4
    groups = chosen.reshape(1000, 100).sum(1)
    assert abs(groups.var() / (100 * 0.2 * 0.8) - 1) < 5 * np.sqrt(2 / 1000)
    both = chosen[1:] & chosen[:-1]
    assert st.binomtest(int(both.sum()), 99_999, 0.04).pvalue > 1e-4
    assert not is_held_out(0, 1000, 0.0, seed).any()
    # a smaller part is a part of the larger one, and other seeds are other draws
    assert not (is_held_out(0, 100_000, 0.1, seed) & ~chosen).any()
    other = chosen & is_held_out(0, 100_000, 0.2, 12345)
    assert st.binomtest(int(other.sum()), 100_000, 0.04).pvalue > 1e-4
