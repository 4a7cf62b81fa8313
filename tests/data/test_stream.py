"""Data that are read in passes: the same rows and statistics as in memory."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import scipy.stats as st
import torch
from passes import FRAME, NAMES, RNG, Batches, X, table, write_folder

from isthmus import InvalidDataError
from isthmus.data import (
    Matrix,
    Stream,
    as_data,
    as_matrix,
    as_stream,
    count_rows,
    is_source,
    open_data,
    read,
    summarise,
    survey,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("rows"))


def loader():
    data = torch.utils.data.TensorDataset(torch.from_numpy(X))
    return torch.utils.data.DataLoader(data, batch_size=50)


KINDS = {
    "a pattern": lambda folder: str(folder / "*.parquet"),
    "a folder": lambda folder: folder,
    "a list of paths": lambda folder: sorted(str(path) for path in folder.glob("*.parquet")),
    "an NPY path": lambda folder: str(folder / "all.npy"),
    "a dataset": lambda folder: ds.dataset(sorted(map(str, folder.glob("*.parquet")))),
    "a filtered dataset": lambda folder: ds.dataset(
        sorted(map(str, folder.glob("*.parquet")))
    ).filter(ds.field("a") > -100),
    "an object of arrays": lambda folder: Batches(),
    "a function": lambda folder: lambda: iter(Batches()),
    "frames": lambda folder: Batches(lambda rows: pd.DataFrame(rows, columns=NAMES)),
    "Arrow batches": lambda folder: Batches(lambda rows: table(rows).to_batches()[0]),
    "lists": lambda folder: Batches(lambda rows: rows.tolist()),
    "sparse batches": lambda folder: Batches(sp.csr_array),
    "a torch loader": lambda folder: loader(),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def given(request, folder):
    return request.param(folder)


def all_rows(stream):
    blocks = list(stream.blocks(np.float64, 50))
    starts = np.cumsum([0] + [len(block) for _, block in blocks])
    assert [first for first, _ in blocks] == starts[:-1].tolist()
    assert max(len(block) for _, block in blocks) <= 50
    return np.concatenate([block for _, block in blocks])


# ---- the same as in memory ------------------------------------------------------------------


def test_every_kind_gives_the_rows_in_order_and_again(given):
    stream = as_stream(given)
    assert isinstance(stream, Stream)
    for _ in range(2):
        np.testing.assert_array_equal(all_rows(stream), X.astype(np.float64))
    assert stream.shape == (230, 4)
    assert stream.names in (None, tuple(NAMES))


def test_every_kind_has_the_statistics_of_the_rows(given):
    summary, sample = survey(as_stream(given), 1000, 0)
    truth = X.astype(np.float64)
    assert summary.n_rows == 230
    np.testing.assert_allclose(summary.mean, truth.mean(0), rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(summary.std, truth.std(0), rtol=1e-10, atol=0)
    np.testing.assert_array_equal(summary.minimum, truth.min(0))
    np.testing.assert_array_equal(summary.maximum, truth.max(0))
    assert summary.constant.tolist() == [False, False, False, True]
    assert summary.integral_columns.tolist() == [False, False, False, True]
    np.testing.assert_array_equal(sample, truth)


def test_extreme_columns_are_read_again(folder):
    rows = X.astype(np.float64) * [1e300, 1, 1e-300, 1] * [1e-2, 1, 1, 1]
    summary, _ = survey(as_stream(Batches(rows=rows)), 10, 0)
    whole = summarise(as_matrix(rows))
    np.testing.assert_allclose(summary.std, whole.std, rtol=1e-12)
    assert (summary.std[:3] > 0).all()


def test_parts_can_be_read_in_any_order(folder):
    stream = as_stream(str(folder / "*.parquet"))
    assert stream.n_parts == 4 + 1 + 5
    order = RNG.permutation(stream.n_parts)
    found = {matrix.first_row: matrix.values for matrix in stream.matrices(order)}
    assert sorted(found) == [0, 30, 60, 90, 100, 107, 137, 167, 197, 227]
    for first, values in found.items():
        np.testing.assert_array_equal(values, X[first : first + len(values)])


def test_a_large_row_group_comes_in_pieces(tmp_path, monkeypatch):
    rows = RNG.normal(size=(5000, 4)).astype(np.float32)
    pq.write_table(table(rows), tmp_path / "one.parquet", row_group_size=5000)
    from isthmus.data import _parquet

    monkeypatch.setattr(_parquet, "PIECE_BYTES", 600 * 16)
    sizes = [len(matrix) for matrix in as_stream(tmp_path / "one.parquet").matrices()]
    assert sizes == [600] * 8 + [200]


def test_columns_can_be_chosen(folder):
    for given in (str(folder / "*.parquet"), ds.dataset(str(folder / "0.parquet"))):
        stream = as_stream(given, columns=["c", "a"])
        assert stream.names == ("c", "a")
        (_, block), *_ = stream.blocks(np.float32)
        np.testing.assert_array_equal(block[:7], X[:7, [2, 0]])


def test_columns_in_another_order_are_matched_by_name(tmp_path):
    pq.write_table(table(X[:50]), tmp_path / "0.parquet")
    pq.write_table(table(X[50:]).select(["d", "b", "a", "c"]), tmp_path / "1.parquet")
    np.testing.assert_array_equal(all_rows(as_stream(tmp_path)), X)


def test_a_sample_is_uniform():
    numbers = np.arange(600.0)[:, None]
    counts = np.zeros(600)
    for seed in range(400):
        _, sample = survey(as_stream(Batches(rows=numbers, size=70)), 60, seed)
        assert len(sample) == 60
        assert (np.diff(sample[:, 0]) > 0).all()
        counts[sample[:, 0].astype(int)] += 1
    # by rows, and by the batches from which they come
    assert st.chisquare(counts).pvalue > 1e-3
    assert st.chisquare(np.add.reduceat(counts, np.arange(0, 600, 60))).pvalue > 1e-3


def test_images_keep_their_shape():
    images = RNG.integers(0, 256, (40, 5, 6), dtype=np.uint8)
    stream = as_stream(lambda: iter([images[:9], images[9:]]))
    assert (stream.row_shape, stream.dtype) == ((5, 6), np.uint8)


def test_a_large_memory_map_is_a_stream(folder, monkeypatch):
    mapped = np.load(folder / "all.npy", mmap_mode="r")
    assert isinstance(as_data(mapped), Matrix)
    monkeypatch.setattr("isthmus.data.stream.LARGE_BYTES", X.nbytes)
    np.testing.assert_array_equal(all_rows(as_data(mapped)), X)


def test_a_private_memory_map_keeps_what_was_written(folder, monkeypatch):
    monkeypatch.setattr("isthmus.data.stream.LARGE_BYTES", X.nbytes)
    mapped = np.load(folder / "all.npy", mmap_mode="c")
    mapped[3, 0] = 99
    for _ in range(2):
        assert all_rows(as_data(mapped))[3, 0] == 99


def test_files_are_opened_as_sources_where_they_are_large(folder, monkeypatch):
    assert is_source(open_data(folder / "*.parquet"))
    assert is_source(open_data(folder))
    assert isinstance(open_data(folder / "0.parquet"), pa.Table)
    assert isinstance(open_data(folder / "all.npy"), np.memmap)
    monkeypatch.setattr("isthmus.data.stream.LARGE_BYTES", 100)
    for name in ("0.parquet", "all.npy"):
        source = open_data(folder / name)
        assert count_rows(source) == count_rows(read(folder / name))
        np.testing.assert_array_equal(all_rows(as_stream(source)), X[: count_rows(source)])


@pytest.mark.parametrize("given", [X, X.tolist(), FRAME, table(X), sp.csr_array(X), {"a": 1}, 3])
def test_what_holds_its_data_is_no_stream(given):
    assert as_stream(given) is None


# ---- missing cells --------------------------------------------------------------------------


def with_gaps():
    rows = RNG.normal(size=(300, 5)) * [1, 1e200, 1, 1, 1] + [1e9, 0, 0, 0, 0]
    rows[RNG.random(rows.shape) < 0.3] = np.nan
    rows[:, 2] = np.where(np.isnan(rows[:, 2]), np.nan, np.rint(rows[:, 2]))
    rows[:, 3] = np.nan
    rows[:40, 4] = np.nan
    rows[0] = np.nan
    return rows


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, sp.csr_array])
def test_missing_cells_count_nowhere(form):
    rows = with_gaps()
    summary = summarise(as_matrix(form(rows)), missing=True)
    some = [0, 1, 2, 4]
    scale = np.array([1, 1e-200, 1, 1])
    truth = rows[:, some] * scale
    assert summary.n_observed.tolist() == (~np.isnan(rows)).sum(0).tolist()
    np.testing.assert_allclose(summary.mean[some] * scale, np.nanmean(truth, 0), rtol=1e-12)
    np.testing.assert_allclose(summary.std[some] * scale, np.nanstd(truth, 0), rtol=1e-6)
    np.testing.assert_array_equal(summary.minimum[some] * scale, np.nanmin(truth, 0))
    np.testing.assert_array_equal(summary.maximum[some] * scale, np.nanmax(truth, 0))
    # a number of 1e200 has no fraction
    assert summary.integral_columns.tolist() == [False, True, True, True, False]
    assert (summary.mean[3], summary.std[3], summary.constant[3]) == (0, 0, True)


def test_missing_cells_are_refused_where_they_are_not_asked_for():
    with pytest.raises(
        InvalidDataError, match=r"contains NaN\. The first of \d+ is .* row 0, col"
    ):
        summarise(as_matrix(with_gaps()))
    rows = with_gaps()
    rows[7, 1] = np.inf
    with pytest.raises(InvalidDataError, match=r"infinity.* row 7, column 1\."):
        summarise(as_matrix(rows), missing=True)
