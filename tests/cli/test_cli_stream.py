"""Files larger than memory on the command line, made small for the test."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from cli_cases import FAST, NAMES

from isthmus import load
from isthmus._progress import counting
from isthmus.data import read, write


@pytest.fixture
def parts(tmp_path, table):
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder / "0.parquet", table[:25], NAMES)
    write(folder / "1.parquet", table[25:], NAMES)
    return folder


@pytest.mark.parametrize("pattern", [True, False])
def test_fit_transform_and_score(run, files, parts, tmp_path, pattern):
    given, model = (parts / "*.parquet" if pattern else parts), tmp_path / "m.safetensors"
    ended = run("fit", given, "-o", model, *FAST)
    assert (ended.code, ended.json["rows"], ended.json["columns"]) == (0, 60, 5)
    codes = tmp_path / "codes.parquet"
    ended = run("transform", model, given, "-o", codes)
    assert ended.json == {"output": str(codes), "rows": 60, "row_shape": [2]}
    twin = load(model)
    whole = read(files / "table.parquet")
    found = pq.read_table(codes)
    assert found.column_names == list(twin.get_feature_names_out())
    expected = twin.transform(whole)
    np.testing.assert_allclose(found["autoencoder0"].to_numpy(), expected[:, 0], rtol=1e-12)
    assert run("score", model, given).json["mean"] == pytest.approx(twin.score(whole))


def test_large_files_are_streamed(run, files, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.data.stream.LARGE_BYTES", 1)
    for ending in ("parquet", "npy"):
        model = tmp_path / f"{ending}.safetensors"
        assert run("fit", files / f"table.{ending}", "-o", model, *FAST).json["rows"] == 60
        ended = run("transform", model, files / f"table.{ending}", "-o", tmp_path / "c.csv")
        assert ended.json["rows"] == 60
    ended = run("transform", files / "table.safetensors", files / "table.parquet")
    assert ended.code == 2
    assert "60 rows are too many to print" in ended.line


def test_a_broken_file_is_one_line(run, files, parts, tmp_path):
    with open(parts / "1.parquet", "rb+") as file:
        file.truncate(300)
    ended = run("fit", parts / "*.parquet", "-o", tmp_path / "m.safetensors", *FAST)
    assert ended.code == 2
    assert "1.parquet can't be read as Parquet, from row group 0 on" in ended.line
    ended = run("fit", parts / "*.pq", "-o", tmp_path / "m.safetensors", *FAST)
    assert ended.code == 2
    assert "No file is named like" in ended.line


def test_rows_are_counted_on_a_terminal_only(monkeypatch, capsys):
    with counting(1, 10) as tick:
        tick(5)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with counting(2, 10) as tick:
        tick(4)
        tick(6)
    assert "rows" in capsys.readouterr().err
