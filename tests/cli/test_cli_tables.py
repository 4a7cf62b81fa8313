"""Mixed tables on the command line: fit, score with flags, impute, and back."""

import warnings

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from isthmus import load
from isthmus.data import read

FAST = ("--max-epochs", 3, "--hidden", 16, "-k", 3, "--seed", 0, "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of numbers, counts and text, with holes, as CSV and as Parquet."""
    folder, rng, n = tmp_path_factory.mktemp("tables"), np.random.default_rng(0), 300
    size = rng.normal(10, 2, n)
    table = pa.table(
        {
            "size": pa.array(size, mask=rng.random(n) < 0.2),
            "price": size * 3 + rng.normal(0, 0.5, n),
            "visits": rng.poisson(3, n),
            "kind": pa.array(np.where(size > 10, "big", "small"), mask=rng.random(n) < 0.2),
        }
    )
    parquet.write_table(table, folder / "x.parquet")
    from pyarrow import csv

    csv.write_csv(table, folder / "x.csv")
    return folder


@pytest.fixture
def model(run, folder, tmp_path):
    path = tmp_path / "m.safetensors"
    masking = ("--corruption", "masking:0.25:true:hidden")
    ended = run("fit", folder / "x.csv", "-o", path, *FAST, *masking)
    assert ended.code == 0, ended.err
    kinds = [part["kind"] for part in ended.json["likelihood"]["parts"]]
    assert kinds == ["Gaussian", "Gaussian", "Poisson", "Categorical"]
    return path


def test_impute_fills_the_holes_and_nothing_else(run, folder, model, tmp_path):
    out = tmp_path / "filled.parquet"
    said = run("impute", model, folder / "x.parquet", "-o", out).json
    before, after = read(folder / "x.parquet"), read(out)
    assert said["filled"] == sum(column.null_count for column in before.columns) > 0
    assert after.schema.types == before.schema.types
    for name in before.column_names:
        old, new = before[name].to_pylist(), after[name].to_pylist()
        assert None not in new
        assert all(o is None or o == n for o, n in zip(old, new, strict=True))


def test_several_draws_are_several_files(run, folder, model, tmp_path):
    said = run("impute", model, folder / "x.csv", "-o", tmp_path / "f.csv", "-m", 3).json
    assert said["output"] == [str(tmp_path / f"f-{i}.csv") for i in (1, 2, 3)]
    one, two = (read(tmp_path / f"f-{i}.csv") for i in (1, 2))
    assert not one["size"].equals(two["size"])
    assert one["price"].equals(two["price"])


def test_flags_come_with_p_values_and_reasons(run, model, folder, tmp_path):
    table = read(folder / "x.parquet")
    odd = table.set_column(1, "price", pa.array([1000.0, *table["price"].to_pylist()[1:]]))
    parquet.write_table(odd, tmp_path / "odd.parquet")
    said = run("score", model, tmp_path / "odd.parquet", "--flag", 0.05).json
    first = said["rows_flagged"][0]
    assert (first["row"], first["reason_1"]) == (0, "price")
    assert said["reference_rows"] == 30
    assert first["p_value"] == pytest.approx(1 / 31)
    written = tmp_path / "judged.csv"
    assert run("score", model, tmp_path / "odd.parquet", "--flag", 0.05, "-o", written).code == 0
    judged = read(written)
    assert judged.num_rows == 300
    assert judged["flagged"].to_pylist().count(True) == said["flagged"]
    np.testing.assert_allclose(judged["score"], load(model).score_samples(odd), rtol=1e-12)


def test_a_flag_needs_held_out_rows(run, folder, tmp_path):
    path = tmp_path / "m.safetensors"
    run("fit", folder / "x.csv", "-o", path, *FAST, "--validation-fraction", 0)
    assert "no held-out rows" in run("score", path, folder / "x.csv", "--flag", 0.05).line


def test_a_likelihood_for_one_column(run, folder, tmp_path):
    path = tmp_path / "m.safetensors"
    ended = run("fit", folder / "x.csv", "-o", path, *FAST, "--column", "price=student_t:3")
    assert ended.code == 0, ended.err
    assert load(path).likelihood_.parts[1].df == 3
    for given, words in (("price", "expected a column"), ("cost=laplace", "no column named")):
        assert words in run("fit", folder / "x.csv", "-o", path, *FAST, "--column", given).line


def test_ranks_for_a_column_with_heavy_tails(run, folder, tmp_path):
    path = tmp_path / "m.safetensors"
    ended = run("fit", folder / "x.csv", "-o", path, *FAST, "--column", "price=gaussian_ranked")
    assert ended.code == 0, ended.err
    parts = run("info", path).json["likelihood"]["parts"]
    assert [part.get("ranked") for part in parts] == [False, True, None, None]
    assert run("score", path, folder / "x.csv", "--flag", 0.05).code == 0


def test_codes_become_a_table_again(run, folder, model, tmp_path):
    codes, rows = tmp_path / "c.npy", tmp_path / "r.csv"
    assert run("transform", model, folder / "x.csv", "-o", codes).code == 0
    assert run("inverse", model, codes, "-o", rows).code == 0
    assert set(read(rows)["kind"].to_pylist()) <= {"big", "small"}
    np.save(tmp_path / "two.npy", np.load(codes)[:2])
    said = run("inverse", model, tmp_path / "two.npy").json
    assert said["names"] == ["size", "price", "visits", "kind"]


def test_columns_are_left_out_by_name(run, folder, tmp_path, monkeypatch):
    whole = read(folder / "x.parquet")
    labelled = whole.append_column("patient", pa.array(np.arange(len(whole))))
    parquet.write_table(labelled, tmp_path / "id.parquet")
    path = tmp_path / "m.safetensors"
    drop = ("--drop", "patient")
    said = run("fit", tmp_path / "id.parquet", "-o", path, *FAST, *drop).json
    assert said["columns"] == 4
    for verb, output in (("score", "s.csv"), ("transform", "c.csv"), ("impute", "f.parquet")):
        given = (verb, path, tmp_path / "id.parquet", "-o", tmp_path / output, "--quiet")
        assert run(*given, *drop).json["rows"] == len(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert "left out: 'patient'" in run("score", path, tmp_path / "id.parquet").err
    filled = read(tmp_path / "f.parquet")
    assert filled.column_names == labelled.column_names
    assert filled["patient"] == labelled["patient"]
    assert not any(filled[name].null_count for name in whole.column_names)
    # the same where the file is too large to be read at once
    monkeypatch.setattr("isthmus.data.stream.LARGE_BYTES", 1)
    given = ("impute", path, tmp_path / "id.parquet", "-o", tmp_path / "g.parquet", "--quiet")
    assert run(*given, *drop).json["filled"] > 0
    assert read(tmp_path / "g.parquet") == filled
    refused = run("fit", tmp_path / "id.parquet", "-o", path, *FAST, "--drop", "patent")
    assert refused.code == 2
    assert "no column named 'patent'" in refused.err
    assert "'patient'" in refused.err
