import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isthmus._errors import InvalidDataError
from isthmus.data import Matrix, as_matrix, check_finite
from isthmus.data.matrix import BLOCK_BYTES

TYPES = ["?", "u1", "i2", "i8", "u8", "f2", "f4", "f8", ">f8", ">i4"]


def arrays():
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
    return st.sampled_from(TYPES).flatmap(
        lambda kind: hnp.arrays(
            np.dtype(kind),
            shapes,
            elements=None
            if np.dtype(kind).kind in "bu"
            else st.integers(-100, 100).map(float if np.dtype(kind).kind == "f" else int),
        )
    )


@settings(deadline=None, max_examples=150)
@given(arrays(), st.booleans(), st.booleans(), st.integers(1, 15), st.sampled_from("fd"))
def test_blocks_cover_the_rows_in_order(x, fortran, sparse, size, dtype):
    given_ = np.asfortranarray(x) if fortran else x
    if sparse and x.dtype.kind != "f":
        given_ = sp.coo_array(x.astype(x.dtype.newbyteorder("=")))
    matrix = as_matrix(given_)
    blocks = list(matrix.blocks(dtype, size))
    assert [first for first, _ in blocks] == list(range(0, len(x), size))
    assert np.array_equal(np.concatenate([block for _, block in blocks]), x.astype(dtype))
    for _, block in blocks:
        assert block.flags.c_contiguous
        assert block.flags.writeable
        assert block.dtype == dtype
        assert block.dtype.isnative


@settings(deadline=None, max_examples=60)
@given(arrays(), st.data())
def test_take_and_rows_agree_with_indexing(x, data):
    matrix = as_matrix(x)
    index = np.array(data.draw(st.lists(st.integers(0, len(x) - 1), max_size=20)), dtype=np.intp)
    assert np.array_equal(matrix.take(index, np.float64), x.astype(float)[index])
    start, stop = data.draw(st.tuples(st.integers(0, 15), st.integers(0, 15)))
    assert np.array_equal(matrix.rows(start, stop, np.float64), x.astype(float)[start:stop])


def test_take_with_a_mask_and_from_csr():
    x = np.arange(12.0).reshape(4, 3)
    for given_ in (x, sp.csr_array(x)):
        matrix = as_matrix(given_)
        assert np.array_equal(matrix.take(np.array([True, False, False, True])), x[[0, 3]])
        assert np.array_equal(matrix.take(np.array([2, 0])), x[[2, 0]])


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_a_block_is_never_the_users_memory(make):
    x = make(np.arange(12.0).reshape(4, 3))
    before = as_matrix(x).rows(0, 4, np.float64)
    for block in (
        as_matrix(x).rows(0, 4, np.float64),
        as_matrix(x).take(np.arange(4), np.float64),
        as_matrix(x).sample(9, np.random.default_rng(0)),
    ):
        block[:] = -1
    assert np.array_equal(as_matrix(x).rows(0, 4, np.float64), before)


def test_the_divisor_divides_every_block():
    x = np.arange(256, dtype=np.uint8).reshape(32, 8)
    matrix = Matrix(x, (8,), divisor=255.0)
    expected = x.astype(np.float32) / np.float32(255)
    assert np.array_equal(matrix.rows(0, 32), expected)
    assert np.array_equal(matrix.take(np.array([3])), expected[[3]])
    assert matrix.rows(0, 32).max() == 1


def test_default_blocks_are_bounded_and_at_least_one_row():
    x = np.zeros((100, 1_000_000), dtype=np.uint8)
    sizes = [block.nbytes for _, block in as_matrix(x[:9]).blocks()]
    assert max(sizes) <= BLOCK_BYTES
    assert sum(sizes) == 9 * 4_000_000
    one = np.zeros((2, 5_000_000), dtype=np.uint8)
    assert [block.shape for _, block in as_matrix(one).blocks()] == [(1, 5_000_000)] * 2


def test_sample_takes_different_rows_in_order():
    x = np.arange(100.0).reshape(100, 1)
    rows = as_matrix(x).sample(30, np.random.default_rng(1))[:, 0]
    assert (np.diff(rows) > 0).all()
    assert len(rows) == 30
    assert not np.array_equal(rows, as_matrix(x).sample(30, np.random.default_rng(2))[:, 0])
    assert np.array_equal(as_matrix(x).sample(100, np.random.default_rng(1)), x)
    assert as_matrix(x.astype(">f4")).sample(3, np.random.default_rng(1)).dtype == np.float64


def test_size_and_description():
    x = np.zeros((3, 2), dtype=np.float16)
    matrix = as_matrix(x)
    assert (len(matrix), matrix.n_features, matrix.nbytes, matrix.is_sparse) == (3, 2, 12, False)
    csr = as_matrix(sp.csr_array(np.eye(3)))
    assert csr.is_sparse
    assert csr.nbytes == 3 * 8 + csr.values.indices.nbytes + csr.values.indptr.nbytes
    assert matrix.name(1) == "1"
    assert Matrix(x, (2,), ("age", "it's")).name(0) == "'age'"


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_values_too_large_for_the_block_are_refused_not_made_infinite(make):
    x = np.ones((6, 3))
    x[4, 1] = -1e300
    matrix = Matrix(make(x), (3,), ("a", "b", "c"))
    message = r"float32.*Row 4 of column 'b' is -1e\+300, .* 3.4e\+38"
    with pytest.raises(InvalidDataError, match=message):
        matrix.rows(2, 6)
    with pytest.raises(InvalidDataError, match=message):
        matrix.take(np.array([0, 4]))
    assert matrix.rows(0, 6, np.float64)[4, 1] == -1e300
    assert np.isinf(as_matrix(np.array([[np.inf]])).rows(0, 1)).all()  # not this function's matter


def holes(kind, make):
    x = np.ones((7, 3), dtype=kind)
    x[5, 1] = np.inf
    x[6, 0] = x[6, 2] = np.nan
    return Matrix(make(x), (3,), ("age", "b", "c"))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f8"])
def test_missing_values_are_refused_with_place_and_number(kind):
    message = (
        r"^Input X contains NaN\. The first of 2 is missing in row 6, column 'age'\. .*impute"
    )
    with pytest.raises(InvalidDataError, match=message):
        check_finite(holes(kind, np.asarray))


def test_missing_values_of_csr_are_refused_with_place_and_number():
    with pytest.raises(InvalidDataError, match=r"first of 2 is missing in row 6, column 'age'"):
        check_finite(holes("f8", sp.csr_array))


def test_infinity_is_refused_with_its_place():
    x = np.zeros((4, 2))
    x[3, 1] = -np.inf
    for given_ in (x, sp.csc_matrix(x), np.asfortranarray(x)):
        with pytest.raises(
            InvalidDataError,
            match=r"^Input X contains infinity or a value too large for dtype\('float64'\)\. It is"
            r" -inf in row 3, column 1\.",
        ):
            check_finite(as_matrix(given_))


def test_missing_values_are_counted_over_blocks():
    x = np.zeros((3_000_000, 1))
    x[[2_500_000, 2_900_000]] = np.nan
    with pytest.raises(InvalidDataError, match=r"first of 2 is missing in row 2500000, column 0"):
        check_finite(as_matrix(x))


def test_finite_values_whose_sum_overflows_pass():
    check_finite(as_matrix(np.full((9, 2), 1.7e308)))
    check_finite(as_matrix(np.full((9, 2), 3e38, dtype=np.float32)))
    check_finite(as_matrix(np.full((900, 2), 60000, dtype=np.float16)))
    check_finite(as_matrix(np.array([[2**63 - 1]])))
