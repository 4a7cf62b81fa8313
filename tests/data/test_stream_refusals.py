"""Data that are read in passes: what is refused, by file, row group, row and column."""

import os

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from passes import FRAME, NAMES, Batches, X, table, write_folder

from isthmus import FileFormatError, InvalidDataError, IsthmusError, UnsupportedTypeError
from isthmus.data import as_stream, survey
from isthmus.data import sources as sources_module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("rows"))


def cut_off(path, n_bytes):
    with open(path, "rb+") as file:
        file.truncate(n_bytes)


def spoil(path, group):
    """Overwrite the middle of a row group; the footer stays."""
    column = pq.ParquetFile(path).metadata.row_group(group).column(1)
    with open(path, "rb+") as file:
        file.seek(column.dictionary_page_offset or column.data_page_offset)
        file.write(b"\xff" * column.total_compressed_size)


def test_a_file_that_is_cut_off_is_named(tmp_path):
    path = tmp_path / "short.parquet"
    pq.write_table(table(X), path, row_group_size=50)
    cut_off(path, path.stat().st_size // 2)
    with pytest.raises(FileFormatError, match=r"short\.parquet .*row group 0 on.*cut off"):
        as_stream(path)


@pytest.mark.parametrize("whole", ["path", "dataset"])
def test_a_damaged_row_group_is_named(tmp_path, whole):
    path = tmp_path / "bad.parquet"
    pq.write_table(table(X), path, row_group_size=50)
    spoil(path, 3)
    stream = as_stream(path if whole == "path" else ds.dataset(str(path)))
    with pytest.raises(FileFormatError, match=r"Row group 3 of \S*bad\.parquet .*cut off or dam"):
        list(stream.matrices())


def test_a_file_that_shrinks_between_passes_is_named(tmp_path):
    path = tmp_path / "less.parquet"
    pq.write_table(table(X), path, row_group_size=50)
    stream = as_stream(path)
    list(stream.matrices())
    os.truncate(path, 600)
    with pytest.raises(FileFormatError, match=r"Row group \d of \S*less\.parquet"):
        list(stream.matrices())


DIFFERENT = {
    "one less": (X[:, :3], NAMES[:3], r"1\.parquet has no column 'd'"),
    "one more": (np.hstack([X, X[:, :1]]), [*NAMES, "e"], r"1\.parquet has a column 'e', which"),
    "another type": (X.astype(np.float64), NAMES, r"'a' is float in \S*0\.parquet but double in"),
}


@pytest.mark.parametrize(("rows", "names", "said"), DIFFERENT.values(), ids=DIFFERENT)
def test_files_of_different_schemas(tmp_path, rows, names, said):
    pq.write_table(table(X), tmp_path / "0.parquet")
    pq.write_table(table(rows, names), tmp_path / "1.parquet")
    with pytest.raises(InvalidDataError, match=said):
        as_stream(str(tmp_path / "*.parquet"))


def test_a_generator_that_raises_half_way():
    def batches():
        yield X[:50]
        yield X[50:80]
        raise OSError("the line is dead")

    with pytest.raises(InvalidDataError, match=r"after 2 of them.*OSError: the line is") as caught:
        survey(as_stream(batches), 10, 0)
    assert isinstance(caught.value.__cause__, OSError)


def changing():
    sizes = iter([230, 230, 230, 200, 200])
    return lambda: iter([X[: next(sizes)]])


REFUSED = {
    "a generator": (lambda: iter(Batches()), UnsupportedTypeError, r"only once.*function"),
    "a generator expression": (lambda: (x for x in [X]), UnsupportedTypeError, "only once"),
    "no batches": (lambda: lambda: iter([]), InvalidDataError, r"0 sample\(s\)"),
    "empty batches": (lambda: lambda: iter([X[:0]]), InvalidDataError, r"0 sample\(s\)"),
    "wider batches": (
        lambda: lambda: iter([X, X[:, :3]]),
        InvalidDataError,
        r"row 230 on have the shape \(3,\), and those before \(4,\)",
    ),
    "other names": (
        lambda: lambda: iter([FRAME, FRAME.rename(columns={"b": "z"})]),
        InvalidDataError,
        r"row 230 on are a, z, c, d, and those before a, b, c, d",
    ),
    "rows with labels": (lambda: lambda: iter([(X, X[:, 0])]), UnsupportedTypeError, "rows alone"),
    "text": (lambda: lambda: iter([np.array([["a"]])]), InvalidDataError, "holds text"),
    "a missing file": (lambda: ["no.parquet"], InvalidDataError, r"no file no\.parquet"),
    "a missing path": (lambda: "no.parquet", InvalidDataError, r"no file no\.parquet"),
    "a pattern of nothing": (lambda: "no/*.parquet", InvalidDataError, r"named like 'no/\*"),
}


@pytest.mark.parametrize(("make", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_refused(make, kind, said):
    with pytest.raises(kind, match=said) as caught:
        list(as_stream(make()).matrices())
    assert isinstance(caught.value, IsthmusError)
    assert str(caught.value).endswith(".")


def test_batches_that_change_are_refused():
    stream = as_stream(changing())
    list(stream.matrices())
    list(stream.matrices())
    with pytest.raises(InvalidDataError, match="230 rows in the first pass and 200 in another"):
        list(stream.matrices())


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UnsupportedTypeError, match=r"x\.csv can't be read part by part.*data\.re"):
        as_stream(tmp_path / "x.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidDataError, match="has no Parquet files"):
        as_stream(tmp_path / "empty")


def test_an_infinite_value_is_named_by_its_place_in_the_whole(tmp_path):
    rows = X.copy()
    rows[155, 2] = np.inf
    pq.write_table(table(rows), tmp_path / "x.parquet", row_group_size=40)
    with pytest.raises(InvalidDataError, match=r"is inf in row 155, column 'c'"):
        survey(as_stream(tmp_path / "x.parquet"), 10, 0)


def test_the_pages_of_a_map_are_given_back(folder):
    array = np.load(folder / "all.npy", mmap_mode="r")
    source = sources_module.ArraySource(array)
    (piece,) = source.pieces(0)
    np.testing.assert_array_equal(piece, X)
