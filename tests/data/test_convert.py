import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from isthmus._errors import InvalidDataError, UnsupportedTypeError
from isthmus.data import as_matrix, check_finite

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


class OnlyArray:
    """An object that offers nothing but `__array__`, as scikit-learn's checks give."""

    def __array__(self, dtype=None, copy=None):
        return X.copy()


SAME = {
    "C": X,
    "Fortran": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=0)[::2],
    "float32": X.astype(np.float32),
    "float16": X.astype(np.float16),
    "longdouble": X.astype(np.longdouble),
    "uint8": X.astype(np.uint8),
    "int64": X.astype(np.int64),
    "big-endian": X.astype(">f8"),
    "object": X.astype(object),
    "lists": X.tolist(),
    "tuples": tuple(map(tuple, X.tolist())),
    "list of arrays": list(X),
    "__array__": OnlyArray(),
    "masked, nothing hidden": np.ma.masked_array(X),
    "torch": torch.tensor(X),
    "torch with gradient": torch.tensor(X, requires_grad=True),
    "torch bfloat16": torch.tensor(X, dtype=torch.bfloat16),
    "torch int": torch.tensor(X, dtype=torch.int32),
    "pandas": pd.DataFrame(X),
    "pandas mixed": pd.DataFrame(X, columns=list("abc")).astype({"a": "int8", "b": "float32"}),
    "pandas nullable": pd.DataFrame(X).astype("Int64"),
    "pandas arrow": pd.DataFrame(X).astype("float64[pyarrow]"),
    "pandas object": pd.DataFrame(X).astype(object),
    "pandas sparse": pd.DataFrame(X).astype(pd.SparseDtype(float, 0.0)),
    "polars": pl.DataFrame(X),
    "polars mixed": pl.DataFrame(X).cast({"column_0": pl.Int32}),
    "polars decimal": pl.DataFrame({"a": [decimal.Decimal(1), decimal.Decimal(4)]}).with_columns(
        b=pl.lit(2) + pl.Series([0, 3]), c=pl.Series([3, 6], dtype=pl.UInt8)
    ),
    "arrow": pa.table(list(X.T), names=list("abc")),
    "arrow batch": pa.record_batch(list(X.T), names=list("abc")),
    "chunked arrow": pa.concat_tables(
        [pa.table(list(row[:, None]), names=list("abc")) for row in X]
    ),
    **{f: getattr(sp, f"{f}_array")(X) for f in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")},
    "csr_matrix": sp.csr_matrix(X),
    "sparse longdouble": sp.csr_matrix(X.astype(np.longdouble)),
    "sparse int": sp.coo_matrix(X.astype(np.int8)),
}


@pytest.mark.parametrize("given", SAME.values(), ids=SAME)
def test_every_form_gives_the_same_rows(given):
    matrix = as_matrix(given)
    assert np.array_equal(matrix.rows(0, 2, np.float64), X)
    assert matrix.row_shape == (3,)
    assert matrix.dtype.kind in "biuf"
    assert matrix.dtype.itemsize <= 8
    check_finite(matrix)


def test_memory_is_shared_where_the_layout_allows():
    for given in (X, np.asfortranarray(X), X.astype(">f8"), X.astype(np.float16), X > 2):
        assert np.shares_memory(as_matrix(given).values, given)
    images = np.zeros((5, 4, 3), dtype=np.uint8)
    assert np.shares_memory(as_matrix(images).values, images)
    tensor = torch.zeros(3, 2)
    assert np.shares_memory(as_matrix(tensor).values, tensor.numpy())
    frame = pd.DataFrame(X)
    assert np.shares_memory(as_matrix(frame).values, frame.to_numpy())
    csr = sp.csr_array(X)
    assert np.shares_memory(as_matrix(csr).values.data, csr.data)


def test_a_matrix_is_returned_as_it_is():
    matrix = as_matrix(X)
    assert as_matrix(matrix) is matrix
    with pytest.raises(InvalidDataError, match="minimum of 3"):
        as_matrix(matrix, min_rows=3)


def test_read_only_memory_is_read():
    frozen = X.copy()
    frozen.flags.writeable = False
    assert np.array_equal(as_matrix(frozen).rows(0, 2), X)
    csr = sp.csr_array(X)
    for part in (csr.data, csr.indices, csr.indptr):
        part.flags.writeable = False
    assert np.array_equal(as_matrix(csr).rows(0, 2), X)


@pytest.mark.parametrize("shape", [(6, 4, 5), (6, 4, 5, 3), (1, 1, 1)])
def test_images_are_flattened_and_remember_their_shape(shape):
    images = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    for given in (images, np.asfortranarray(images), images.tolist()):
        matrix = as_matrix(given)
        assert matrix.row_shape == shape[1:]
        assert np.array_equal(matrix.rows(0, 6), images.reshape(shape[0], -1))


def test_edges_of_shape():
    assert as_matrix([[1]]).values.shape == (1, 1)
    assert as_matrix(np.zeros((1, 9))).values.shape == (1, 9)
    wide = as_matrix(np.zeros((2, 1_000_000), dtype=np.uint8))
    assert wide.n_features == 1_000_000
    assert wide.rows(1, 2).shape == (1, 1_000_000)


def test_integers_beyond_double_precision_are_rounded():
    matrix = as_matrix(np.array([[2**53 + 1, 2**63 - 1]]))
    assert matrix.rows(0, 1, np.float64).tolist() == [[2.0**53, 2.0**63]]


REFUSED_VALUES = {
    "1-D": (np.arange(3.0), "Reshape your data"),
    "scalar": (np.float64(3), "Reshape your data"),
    "5-D": (np.zeros((2, 2, 2, 2, 2)), "dim 5.*Flatten"),
    "no rows": (np.zeros((0, 3)), r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1"),
    "no columns": (np.zeros((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1"),
    "no rows of images": (np.zeros((0, 3, 3)), r"0 sample\(s\) \(shape=\(0, 3, 3\)\)"),
    "no pixels": (np.zeros((3, 0, 3)), r"0 feature\(s\) \(shape=\(3, 0, 3\)\)"),
    "empty list": ([], "Reshape your data"),
    "empty frame": (pd.DataFrame({"a": []}), r"0 sample\(s\)"),
    "frame of nothing": (pl.DataFrame(), r"0 sample\(s\)"),
    "empty arrow": (pa.table({"a": pa.array([], pa.null())}), r"0 sample\(s\)"),
    "empty csr": (sp.csr_array((0, 4)), r"0 sample\(s\)"),
    "complex": (X + 1j, "Complex data not supported"),
    "complex csr": (sp.csr_array(X + 1j), "Complex data not supported"),
    "complex tensor": (torch.tensor(X + 1j), "Complex data not supported"),
    "text": (np.array([["a", "b"]]), "holds text.*'a'.*encode"),
    "text of numbers": (np.array([["1.5"]]), r"'1\.5'"),
    "text in lists": ([[1, "x"]], "holds text"),
    "text in objects": (np.array([[1, "x"]], dtype=object), "holds text.*'x'"),
    "bytes": (np.array([[b"x"]]), "holds text"),
    "records": (np.zeros((2, 2), dtype=[("a", int)]), "records"),
    "dates": (np.array([["2020-01-01"]], dtype="M8[D]"), r"datetime64\[D\].*not numbers"),
    "ragged": ([[1, 2], [3]], "differ in length"),
    "pandas text": (pd.DataFrame({"a": [1], "b": ["s"]}), "Column 'b' has type String.*drop it"),
    "pandas category": (pd.DataFrame({"k": pd.Categorical([1])}), "Column 'k' .*Categorical"),
    "pandas dates": (pd.DataFrame({"t": pd.to_datetime(["2020"])}), "Column 't' .*Datetime"),
    "pandas object": (pd.DataFrame({"o": [1, "s"]}, dtype=object), "Column 'o' .*'s'"),
    "pandas dicts": (pd.DataFrame({"o": [{}, {}]}, dtype=object), "Column 'o' .*dict"),
    "integer name": (pd.DataFrame({7: ["s"]}), "Column '7' has type String"),
    "polars list": (pl.DataFrame({"v": [[1, 2]]}), r"Column 'v' has type List"),
    "arrow date": (pa.table({"d": [datetime.date(2020, 1, 1)]}), "Column 'd' has type Date"),
    "pandas twice": (pd.DataFrame(X[:, :2], columns=["a", "a"]), "same name.*'a'"),
    "arrow twice": (pa.table([[1], [2]], names=["a", "a"]), "same name.*'a'"),
    "3-D sparse": (sp.coo_array(np.ones((2, 2, 2))), "dim 3"),
    "1-D sparse": (sp.coo_array(np.ones(3)), "2D"),
    "too large": (np.array([["1e4000"]]).astype(np.longdouble), "too large for .*float64"),
    "pandas series": (pd.Series([1.0, 2.0]), "Expected a 2-dimensional container"),
}


@pytest.mark.parametrize(("given", "message"), REFUSED_VALUES.values(), ids=REFUSED_VALUES)
def test_unusable_values_are_refused(given, message):
    with pytest.raises(InvalidDataError, match=f"(?s){message}"):
        as_matrix(given)


REFUSED_KINDS = {
    "None": (None, "NoneType"),
    "dict": ({"a": [1]}, "dict"),
    "objects": (np.array([[{}, 1.0]]), "argument must be .* string.* number"),
    "path": ("data.csv", r"'data\.csv'.*isthmus\.data\.read"),
    "lazy": (pl.LazyFrame({"a": [1]}), r"collect\(\)"),
    "sparse tensor": (torch.eye(3).to_sparse(), "to_dense"),
    "mixed names": (pd.DataFrame(X, columns=["a", 1, 2]), "only supported if all input features"),
}


@pytest.mark.parametrize(("given", "message"), REFUSED_KINDS.values(), ids=REFUSED_KINDS)
def test_unusable_objects_are_refused(given, message):
    with pytest.raises(UnsupportedTypeError, match=message):
        as_matrix(given)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_numpy_matrix_is_refused():
    with pytest.raises(UnsupportedTypeError, match=r"np\.matrix is not supported"):
        as_matrix(np.matrix(X))


MISSING = {
    "array": np.array([[1.0, np.nan]]),
    "object": np.array([[1.0, None]], dtype=object),
    "masked": np.ma.masked_array([[1, 2]], mask=[[False, True]]),
    "pandas": pd.DataFrame({"a": [1.0], "b": [None]}, dtype=float),
    "pandas nullable": pd.DataFrame({"a": [1, 2], "b": [None, 2]}, dtype="Int64"),
    "pandas nullable floats": pd.DataFrame({"a": [1, 2], "b": [None, 2]}, dtype="Float64"),
    "pandas boolean": pd.DataFrame({"a": [True, True], "b": [None, True]}, dtype="boolean"),
    "pandas object": pd.DataFrame({"a": [1, 2], "b": [None, 2]}, dtype=object),
    "polars": pl.DataFrame({"a": [1, 2], "b": [None, 2]}),
    "polars boolean": pl.DataFrame({"a": [True, True], "b": [None, False]}),
    "arrow": pa.table({"a": [1, 2], "b": [None, 2]}),
    "all null": pa.table({"a": [1, 2], "b": pa.nulls(2)}),
    "csr": sp.csr_array(np.array([[1.0, np.nan]])),
}


@pytest.mark.parametrize("given", MISSING.values(), ids=MISSING)
def test_nulls_become_missing_values_and_are_refused(given):
    matrix = as_matrix(given)
    assert matrix.rows(0, 1)[0, 0] == 1
    with pytest.raises(InvalidDataError, match=r"contains NaN\..* row 0, column ('b'|1)\."):
        check_finite(matrix)


def test_names():
    assert as_matrix(X).names is None
    assert as_matrix(pd.DataFrame(X)).names is None
    assert as_matrix(pd.DataFrame(X, columns=[10, 20, 30])).names is None
    for key in ("pandas mixed", "arrow", "arrow batch"):
        assert as_matrix(SAME[key]).names == ("a", "b", "c")
    sparse = pd.DataFrame(X, columns=list("abc")).astype(pd.SparseDtype(float, 0.0))
    assert as_matrix(sparse).names == ("a", "b", "c")
    assert as_matrix(sparse).is_sparse


def test_boolean_columns_count_as_0_and_1():
    for frame in (pd.DataFrame, pl.DataFrame, pa.table):
        matrix = as_matrix(frame({"yes": [True, False], "n": [2, 3]}))
        assert matrix.rows(0, 2).tolist() == [[1, 2], [0, 3]]
    assert as_matrix(pl.DataFrame({"yes": [True, False]})).dtype == bool


def test_csr_out_of_order_with_duplicates_is_put_in_order_in_a_copy():
    data, indices, indptr = np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), np.array([0, 3, 3])
    messy = sp.csr_matrix((data, indices, indptr), shape=(2, 3))
    matrix = as_matrix(messy)
    assert matrix.values.has_canonical_format
    assert matrix.rows(0, 2).tolist() == [[2, 0, 4], [0, 0, 0]]
    assert indices.tolist() == [2, 0, 2]
    assert data.tolist() == [1, 2, 3]


def test_csr_order_is_looked_at_not_believed():
    messy = sp.csr_matrix((np.ones(2), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    messy.has_canonical_format = True
    assert as_matrix(messy).values.indices.tolist() == [0, 1]


def test_csr_with_wide_indices_and_odd_bytes():
    csr = sp.csr_array(X)
    csr.indices, csr.indptr = csr.indices.astype(np.int64), csr.indptr.astype(np.int64)
    assert np.array_equal(as_matrix(csr).rows(0, 2), X)
    csr.data = csr.data.astype(">f8")
    assert as_matrix(csr).dtype.isnative
    assert np.array_equal(as_matrix(csr).rows(0, 2), X)


def test_csr_with_indices_outside_is_refused():
    csr = sp.csr_array(X)
    csr.indices[3] = 1000
    with pytest.raises(InvalidDataError, match="damaged"):
        as_matrix(csr)


def test_the_input_is_not_changed():
    x = np.arange(6.0).reshape(3, 2)
    as_matrix(x)
    coo = sp.coo_matrix(([1.0, 1.0], ([0, 0], [1, 1])), shape=(2, 2))
    as_matrix(coo)
    assert coo.nnz == 2
    masked = np.ma.masked_array([[1, 2]], mask=[[False, True]])
    as_matrix(masked)
    assert masked.data.tolist() == [[1, 2]]
