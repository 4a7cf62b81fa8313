from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isthmus._errors import InvalidDataError
from isthmus.data import as_matrix, summarise
from isthmus.data import summary as module

LONG = np.longdouble


def exact(x):
    """Mean and population standard deviation in extended precision, two passes."""
    x = x.astype(LONG)
    mean = x.mean(0)
    return mean, np.sqrt(np.square(x - mean).mean(0))


def assert_is_summary(found, x):
    mean, std = exact(x)
    size = np.abs(x.astype(LONG)).max(0)
    ulp = LONG(1e-15) * size + LONG(5e-324)  # subnormal numbers are no finer than 5e-324
    assert (np.abs(found.mean - mean) <= ulp).all()
    assert (np.abs(found.std - std) <= LONG(1e-13) * std + ulp).all()
    assert np.array_equal(found.minimum, x.min(0).astype(float))
    assert np.array_equal(found.maximum, x.max(0).astype(float))
    whole = np.array([(np.rint(c) == c).all() for c in x.astype(float).T])
    assert np.array_equal(found.integral_columns, whole)
    assert found.integral == whole.all()
    assert found.binary == bool(np.isin(x, [0, 1]).all())
    assert found.non_negative == bool((x >= 0).all())
    assert found.largest == np.abs(x.astype(float)).max()


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of very few rows, so that small examples are merged from many."""
    monkeypatch.setattr(module, "CACHE_BYTES", 64)


KINDS = {
    "any": st.floats(-1e30, 1e30),
    "near": st.floats(-1e3, 1e3).map(lambda v: 1e9 + v),
    "tiny": st.integers(-1000, 1000).map(lambda v: v * 1e-300),
    "huge": st.integers(-1000, 1000).map(lambda v: v * 1e300),
    "whole": st.integers(-3, 9).map(float),
    "binary": st.integers(0, 1).map(float),
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", KINDS)
def test_summary_is_numpys_in_extended_precision(kind):
    @settings(deadline=None, max_examples=60)
    @given(
        hnp.arrays(
            np.float64,
            hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
            elements=KINDS[kind],
        )
    )
    def check(x):
        for form in (x, np.asfortranarray(x), sp.csr_array(x)):
            assert_is_summary(summarise(as_matrix(form)), x)

    check()


@pytest.mark.parametrize("kind", ["?", "u1", "i8", "f2", "f4", ">f8", ">i2"])
@pytest.mark.parametrize("d", [1, 7, 300])
def test_every_type(kind, d):
    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=(5000, d)) * 3).astype(kind)
    assert_is_summary(summarise(as_matrix(x)), x)
    if x.dtype.kind != "f":
        assert summarise(as_matrix(x)).integral


def test_large_offset_keeps_all_digits():
    rng = np.random.default_rng(1)
    x = 1e9 + rng.choice([-1.0, 1.0], size=(50_000, 20))
    found = summarise(as_matrix(x))
    mean, std = exact(x)
    assert np.allclose(found.std, std.astype(float), rtol=1e-13, atol=0)
    assert np.allclose(found.mean - 1e9, (mean - LONG(1e9)).astype(float), rtol=0, atol=2.4e-7)
    assert not found.constant.any()


def test_drift_over_blocks():
    """Blocks with means far apart: most of the variance lies between them."""
    x = np.linspace(-1e6, 1e6, 400_000)[:, None] + np.array([[0.0, 1e9]])
    assert_is_summary(summarise(as_matrix(x)), x)


@pytest.mark.parametrize("scale", [1e-323, 1e-300, 1e-160, 1e160, 1e300, 1.7e308])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_extreme_scales_beside_ordinary_ones(scale, make):
    x = np.stack([np.tile([scale, -scale], 50), np.arange(100.0)], axis=1)
    found = summarise(as_matrix(make(x)))
    assert found.std[0] == pytest.approx(scale, rel=1e-14)
    assert found.std[1] == pytest.approx(np.arange(100).std(), rel=1e-14)
    assert abs(found.mean[0]) <= 1e-15 * scale
    assert found.constant.tolist() == [False, False]


def test_common_std_is_the_root_of_the_mean_variance():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1000, 4)) * [1, 10, 0.1, 0]
    assert summarise(as_matrix(x)).common_std == pytest.approx(np.sqrt(x.var(0).mean()), rel=1e-13)
    assert summarise(as_matrix(np.zeros((3, 2)))).common_std == 0
    huge = np.array([[1e300, 1.0], [-1e300, 2.0]])
    assert summarise(as_matrix(huge)).common_std == pytest.approx(1e300 / np.sqrt(2))


def test_constant_columns():
    x = np.stack(
        [
            np.full(99_999, 0.1),  # its naive mean is not 0.1
            np.where(np.arange(99_999) % 2, 0.3, 0.1 + 0.2),  # one bit apart
            np.zeros(99_999),
            np.full(99_999, 1e300),
            1e9 + np.arange(99_999) % 2,
            np.arange(99_999) * 1e-300,
        ],
        axis=1,
    )
    found = summarise(as_matrix(x))
    assert found.constant.tolist() == [True, True, True, True, False, False]
    assert found.std[[0, 2, 3]].tolist() == [0, 0, 0]
    assert found.mean[[0, 2, 3]].tolist() == [0.1, 0, 1e300]
    integers = np.stack([np.full(9, 2**60), 2**60 + 2**9 * np.arange(9)], axis=1)
    assert summarise(as_matrix(integers)).constant.tolist() == [True, False]
    half = np.float16(1) + np.float16(0.001) * np.arange(4, dtype=np.float16)[:, None]
    assert not summarise(as_matrix(half)).constant.any()


def test_one_row():
    found = summarise(as_matrix([[1.5, -2.0]]))
    assert (found.n_rows, found.mean.tolist(), found.std.tolist()) == (1, [1.5, -2.0], [0, 0])
    assert found.constant.all()


def test_a_million_columns():
    found = summarise(as_matrix(np.arange(3_000_000, dtype=np.float32).reshape(3, -1)))
    assert found.std == pytest.approx(1e6 * np.sqrt(2 / 3))


def test_the_divisor_is_in_the_summary():
    x = np.array([[0, 255, 51], [255, 0, 0]], dtype=np.uint8)
    for form in (x, sp.csr_array(x)):
        found = summarise(replace(as_matrix(form), divisor=255.0))
        assert found.maximum.tolist() == [1, 1, 0.2]
        assert found.mean == pytest.approx([0.5, 0.5, 0.1])
        assert found.binary_columns.tolist() == [True, True, False]
        assert not found.integral


@pytest.mark.parametrize("value", [-np.inf, np.inf])
@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, sp.csr_array])
@pytest.mark.parametrize("holes", [False, True])
def test_values_that_are_infinite_are_refused_on_the_way(value, make, holes):
    x = np.zeros((70_000, 3))
    x[100::7] = np.nan if holes else 1.0
    x[66_000, 2] = value
    with pytest.raises(InvalidDataError, match="in row 66000, column 2"):
        summarise(as_matrix(make(x)), missing=holes)


def test_csr_in_groups_of_rows(monkeypatch):
    rng = np.random.default_rng(3)
    x = sp.random_array((900, 11), density=0.3, rng=rng, format="csr")
    monkeypatch.setattr(module, "GROUP", 40)
    assert len(list(module._row_groups(x))) > 50
    assert sum(rows.shape[0] for rows in module._row_groups(x)) == 900
    assert_is_summary(summarise(as_matrix(x)), x.toarray())


def test_empty_rows_and_columns_of_csr():
    x = np.zeros((5, 3))
    x[2, 1] = 4
    assert_is_summary(summarise(as_matrix(sp.csr_array(x))), x)
    nothing = summarise(as_matrix(sp.csr_array((5, 3))))
    assert nothing.constant.all()
    assert nothing.binary


# ---- missing cells ------------------------------------------------------------------------------


def with_holes(seed, dtype, n=500, d=7):
    """Columns of several sizes and kinds with holes; one without cells, one with a single one."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-3, 4, d) + rng.normal(size=d)
    x[:, 1] = rng.integers(0, 2, n)
    x[:, 2] = rng.poisson(3, n)
    x[rng.random((n, d)) < 0.4] = np.nan
    x[:, 3] = np.nan
    x[:, 4] = np.nan
    x[rng.integers(n), 4] = 2.5
    x[:, 5] = np.where(np.isnan(x[:, 5]), np.nan, -7.25)
    x[0, :4] = np.nan  # the row from which the moments are counted
    return x.astype(dtype)


def assert_is_numpys_without_nan(found, x):
    some = ~np.isnan(x).all(0)
    exactly = x.astype(LONG)
    assert np.array_equal(found.n_observed, (~np.isnan(x)).sum(0))
    assert np.array_equal(found.unseen, ~some)
    for name, truth in (("mean", np.nanmean), ("std", np.nanstd)):
        wanted = truth(exactly[:, some], axis=0).astype(float)
        size = np.nanmax(np.abs(exactly[:, some]), axis=0).astype(float)
        assert (np.abs(getattr(found, name)[some] - wanted) <= 1e-14 * size).all(), name
    assert np.array_equal(found.minimum[some], np.nanmin(x[:, some], axis=0).astype(float))
    assert np.array_equal(found.maximum[some], np.nanmax(x[:, some], axis=0).astype(float))
    whole = [bool((np.rint(c[~np.isnan(c)]) == c[~np.isnan(c)]).all()) for c in x.T]
    assert np.array_equal(found.integral_columns[some], np.array(whole)[some])
    nothing = ~some
    for field in (found.mean, found.std, found.minimum, found.maximum):
        assert (field[nothing] == 0).all()
    assert found.constant[nothing].all()
    assert found.has_missing == bool(np.isnan(x).any())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_missing_cells_count_nowhere(dtype, seed):
    x = with_holes(seed, dtype)
    found = summarise(as_matrix(x), missing=True)
    assert_is_numpys_without_nan(found, x)
    assert found.constant.tolist() == [False, False, False, True, True, True, False]
    assert found.binary_columns.tolist()[:3] == [False, True, False]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(3))
def test_missing_cells_count_nowhere_when_many_blocks_are_merged(seed):
    x = with_holes(seed, np.float64, n=97)
    assert_is_numpys_without_nan(summarise(as_matrix(x), missing=True), x)


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_missing_cells_beside_extreme_ones(size):
    x = with_holes(4, np.float64) * size
    found = summarise(as_matrix(x), missing=True)
    plain = summarise(as_matrix(x / size), missing=True)
    np.testing.assert_allclose(found.std, plain.std * size, rtol=1e-12)
    np.testing.assert_allclose(found.mean, plain.mean * size, rtol=1e-12, atol=1e-13 * size)
    assert np.array_equal(found.n_observed, plain.n_observed)


def test_nothing_is_missing_where_all_is_there():
    x = np.random.default_rng(0).normal(size=(50, 3))
    found = summarise(as_matrix(x), missing=True)
    assert not found.has_missing
    assert not found.unseen.any()
    assert_is_summary(found, x)
