"""Files that grow by tables: the same rows as in one piece, and whole or not at all."""

import os
import resource

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus import InvalidDataError, InvalidParameterError
from isthmus.data import read
from isthmus.data.growing import growing

TABLE = pa.table(
    {
        "x": np.random.default_rng(0).normal(size=100),
        "n": pa.array([None if i % 7 == 0 else i for i in range(100)], pa.int32()),
        "job": pa.array(["clerk", "smith", None, "ü"] * 25),
    }
)


def write(path, tables):
    with growing(path) as add:
        for table in tables:
            add(table)


def failing():
    yield TABLE
    raise KeyError


ENDINGS = ("parquet", "csv", "feather", "arrow")


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_rows_of_all_parts_in_order(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    with growing(path) as add:
        for first in range(0, 100, 13):
            add(TABLE.slice(first, 13))
        assert not path.exists()
    found = read(path)
    assert found.to_pydict() == TABLE.to_pydict()
    assert found.schema.types == TABLE.schema.types or ending == "csv"
    assert os.listdir(tmp_path) == [path.name]


def test_parts_become_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.data.growing.GROUP_CELLS", 30 * 3)
    with growing(tmp_path / "x.parquet") as add:
        for first in range(0, 100, 10):
            add(TABLE.slice(first, 10))
    footer = pq.ParquetFile(tmp_path / "x.parquet").metadata
    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [30, 30, 30, 10]


def test_dictionaries_are_text_in_a_csv(tmp_path):
    coded = TABLE.set_column(2, "job", TABLE["job"].dictionary_encode())
    with growing(tmp_path / "x.csv") as add:
        add(coded)
    assert read(tmp_path / "x.csv")["job"].to_pylist() == TABLE["job"].to_pylist()


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_leaves_the_old_file(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(b"old")
    with pytest.raises(KeyError):
        write(path, failing())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


@pytest.fixture
def full_disk():
    """No file may become larger than 20 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("early", [True, False])
def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path, monkeypatch, ending, early):
    if early:  # while rows are added, not at the end
        monkeypatch.setattr("isthmus.data.growing.GROUP_CELLS", 1)
    rows = pa.table({"x": np.random.default_rng(0).normal(size=10_000)})
    with (
        pytest.raises(OSError, match=rf"x\.{ending} can't be written: .*too large"),
        growing(tmp_path / f"x.{ending}") as add,
    ):
        add(rows)
    assert os.listdir(tmp_path) == []


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(InvalidDataError, match=r"are x \(double\), and those of the rows before"):
        write(tmp_path / "x.parquet", [TABLE, TABLE.select(["x"])])
    with pytest.raises(InvalidParameterError, match=r"'\.npy' is not known"):
        write(tmp_path / "x.npy", [TABLE])
